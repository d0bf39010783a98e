//! Follows samples of which OW says only later that each is the total of a day (`is_daily_total` null, then true).
//!
//! The flag is part of a stream's key, so such a sample appears in another stream at the same instant. It is the same
//! observation: it moves to the stream of totals, keeps its identifier, and is revised. OW has one record per instant,
//! so a total and a part of one device never share an instant.

use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::sample::Sample;
use crate::model::sample_details::SampleDetails;
use crate::model::stream_key::{StreamKey, StreamOwner};
use crate::store::error::StoreResult;
use crate::store::samples::merge::{self, Change};
use crate::store::samples::stream;

/// The changes of a stream, after samples of the stream with the other flag were recognized.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) own: Vec<Change>,
    /// Changes that belong to the stream of totals: OW has lost the flag, and the stored one stays.
    pub(crate) of_totals: Vec<(i64, Change)>,
    /// Observations that move to this stream: their stream and instant.
    pub(crate) moved: Vec<(i64, Timestamp)>,
}

/// Recognizes new samples of a stream that are stored in the stream with the other flag. `is_shown` tells whether OW
/// still shows the other stream's sample of an instant. With `insert_only` they are dropped.
pub(crate) fn follow(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    own: Vec<Change>,
    insert_only: bool,
    is_shown: impl Fn(&StreamKey, Timestamp) -> bool,
) -> StoreResult<Followed> {
    let instants = || own.iter().filter_map(Change::new_sample).map(|sample| sample.instant);
    let other = StreamKey { daily_total: !key.daily_total, ..key.clone() };
    let (Some(first), Some(last)) = (instants().min(), instants().max()) else {
        return Ok(Followed { own, ..Followed::default() });
    };
    let Some(stored) = stream::find(db, owner, &other)? else {
        return Ok(Followed { own, ..Followed::default() });
    };
    let samples = stream::list_samples(db, stored.id, first, last)?;
    let mut followed = Followed::default();
    for change in own {
        let before = change.new_sample().and_then(|sample| find(&samples, sample.instant));
        let before = before.filter(|before| !is_shown(&other, before.instant));
        match (change, before) {
            (Change::New(shown), Some(before)) if key.daily_total && !insert_only => {
                followed.moved.push((stored.id, before.instant));
                followed.own.push(Change::Revised(as_total(before, shown)));
            }
            (Change::New(shown), Some(before)) if !key.daily_total && !insert_only => {
                let shown = Sample { details: before.details.clone(), ..shown };
                let change = merge::compare(before, &shown);
                followed.of_totals.extend(change.map(|change| (stored.id, change)));
            }
            (_, Some(_)) => {}
            (change, None) => followed.own.push(change),
        }
    }
    Ok(followed)
}

fn find(samples: &[Sample], instant: Timestamp) -> Option<&Sample> {
    let index = samples.binary_search_by_key(&instant, |sample| sample.instant).ok()?;
    samples.get(index)
}

/// Returns the total, which keeps the identifier that the sample had as a part.
fn as_total(before: &Sample, mut shown: Sample) -> Sample {
    let details = shown.details.get_or_insert_with(|| Arc::new(SampleDetails::default()));
    Arc::make_mut(details).was_part = true;
    let (zone, context) = (shown.zone.or(before.zone), shown.context.or(before.context));
    Sample { zone, context, ..shown }
}

/// Moves observations to the stream of totals, with everything that belongs to them.
pub(crate) fn move_rows(db: &Connection, to: i64, moved: &[(i64, Timestamp)]) -> StoreResult<()> {
    const AS_PART: &str = "json_set(coalesce(details, '{}'), '$.was_part', json('true'))";
    for (from, instant) in moved {
        for (table, columns) in [
            ("observations", "value, utc_offset, revision, activity_context, details, commit_number"),
            ("revisions", "revision, value, utc_offset, details, replaced_at, undelivered, commit_number"),
            (
                "outbox",
                "revision, value, utc_offset, details, state, due_at, attempts, ambiguous, reason, requeued,
                 first_due_at, refused_since",
            ),
            ("export_exclusions", ""),
        ] {
            let names = if columns.is_empty() { String::new() } else { format!(", {columns}") };
            let values = names.replace("details", AS_PART);
            db.execute(
                &format!(
                    "INSERT INTO {table} (stream_id, instant{names})
                     SELECT ?1, instant{values} FROM {table} WHERE stream_id = ?2 AND instant = ?3"
                ),
                params![to, from, instant],
            )?;
        }
        // The observation comes last: its revisions refer to it.
        for table in ["revisions", "outbox", "export_exclusions", "observations"] {
            db.execute(
                &format!("DELETE FROM {table} WHERE stream_id = ? AND instant = ?"),
                params![from, instant],
            )?;
        }
    }
    Ok(())
}
