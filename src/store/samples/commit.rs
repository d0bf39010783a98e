//! Commits the samples that a read brought, in one transaction with their counters, high-water marks and
//! outbox rows.
//!
//! Conditions checked before the request to OW are checked again inside the transaction: the tick still holds
//! the lock, the link is active, and the patient still consents.

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, params};

use crate::common::failpoint;
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::catalog::{method, series};
use crate::model::commit_counts::{CommitCounts, CommitCountsByType};
use crate::model::sample_details::TimeFrame;
use crate::model::stream_key::{StreamKey, StreamOwner};
use crate::model::{consent_intervals::ConsentIntervals, event_census::EventCensus, sample::Sample};
use crate::store::error::{StoreError, StoreResult};
use crate::store::operations::hourly_counters::{self, Lag, Totals};
use crate::store::operations::{counter, tick_lock};
use crate::store::outbox::enqueue::{self, ExportTarget};
use crate::store::outbox::{delivered_elsewhere, one_of_two_modes};
use crate::store::people::{collection_window, consent, patient};
use crate::store::samples::merge::{self, Change};
use crate::store::samples::rejected::{self, Rejected};
use crate::store::samples::stream::{self, StoredStream};
use crate::store::samples::{
    code, commit_number, data_hours, deleted_event, event, total_flag, write_change,
};

/// Samples of one stream, in order of instants, each instant once.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSamples {
    pub key: StreamKey,
    pub samples: Vec<Sample>,
}

/// Samples that a read brought for one patient. For each instant it holds all samples that OW shows, so that
/// a renamed stream can be told from a second device.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub owner: StreamOwner,
    /// The link that the samples came through.
    pub link: i64,
    /// The patient's time zone, which frames days without an offset.
    pub zone: TimeZone,
    /// The ingest mode of the high-water marks.
    pub mode: &'static str,
    pub streams: Vec<StreamSamples>,
    pub rejected: Vec<Rejected>,
    /// Ids of events that the provider has deleted.
    pub deleted: Vec<Box<str>>,
    /// Set for a late read: later reads may have stored newer values, so it only inserts what is missing.
    pub insert_only: bool,
    /// OW's complete list of events in a range, if the read had one.
    pub census: Option<EventCensus>,
    /// High-water marks that this batch completes: series type, newest sample time.
    pub marks: Vec<(&'static str, Timestamp)>,
}

/// The writes that one stream of a batch needs.
struct StreamChanges {
    code: i64,
    is_sent_to_jhe: bool,
    stored: Option<StoredStream>,
    newest: Option<Timestamp>,
    /// Changes to this stream.
    own: Vec<Change>,
    /// Changes to the stream that this one continues under a new name, or to the stream of totals.
    renamed: Vec<(i64, Change)>,
    renamed_from: Option<i64>,
    /// New ids that OW gives to stored events.
    aliases: Vec<(Box<str>, Timestamp)>,
    /// Observations that move here from the stream of parts: see [`total_flag`].
    moved: Vec<(i64, Timestamp)>,
    withheld: u64,
    unchanged: u64,
}

/// Writes a batch for the tick that holds the lock as `lock_owner`.
///
/// # Errors
/// [`StoreError::LockLost`] and [`StoreError::ConsentEnded`]; nothing is written then.
pub fn commit(
    db: &Connection,
    batch: &Batch,
    lock_owner: &str,
    now: Timestamp,
) -> StoreResult<CommitCountsByType> {
    // In the same transaction as the writes: a tick that lost the lock in between writes nothing.
    tick_lock::check(db, lock_owner, now)?;
    failpoint::at("commit.checked");
    let linked = find_linked_at(db, batch)?;
    if batch.streams.iter().any(|stream| !stream.samples.is_empty()) {
        // Before the samples are checked: days of collection count from now on.
        collection_window::record_connected(db, batch.owner.patient, linked)?;
    }
    let run = tick_lock::find_run(db)?;
    let (mut committed, mut lag) = (CommitCountsByType::default(), Lag::default());
    for (incoming, changes) in batch.streams.iter().zip(resolve(db, batch)?) {
        committed.add(
            incoming.key.series_type,
            write_stream(db, &batch.owner, &incoming.key, &changes, run, now)?,
        );
        lag += changes.lag(&incoming.key, linked, now);
        failpoint::at("commit.part");
    }
    for event in &batch.deleted {
        deleted_event::apply(db, &batch.owner, event, run, now)?;
    }
    for one in &batch.rejected {
        let is_new = rejected::save(db, batch.owner.patient, batch.owner.system, one, now)?;
        // The types become metric labels, so their set must be bounded: OW's text is not used.
        let series_type = series::find(&one.series_type).map_or("other", |series| series.series_type);
        committed.add(series_type, CommitCounts { rejected: u64::from(is_new), ..CommitCounts::default() });
        failpoint::at("commit.rejected");
    }
    let total = committed.total;
    if !batch.rejected.is_empty() {
        rejected::trim(db, batch.owner.patient)?;
    }
    for StreamSamples { key, samples } in &batch.streams {
        rejected::delete_stored(db, &batch.owner, key, samples, &batch.rejected)?;
        failpoint::at("commit.paired");
    }
    for (series_type, newest) in &batch.marks {
        advance_mark(db, batch, series_type, *newest)?;
        failpoint::at("commit.marks");
    }
    counter::add(db, "observations", total.created)?;
    counter::add(db, "revisions", total.revised)?;
    counter::add(db, "rejected", total.rejected)?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (created, revised, rejected) = (number(total.created), number(total.revised), number(total.rejected));
    hourly_counters::add(db, now, &Totals { created, revised, rejected, lag, ..Totals::default() })?;
    failpoint::at("commit.counted");
    Ok(committed)
}

/// Returns when the batch's link began, if it is still active and the patient's time zone is the same.
fn find_linked_at(db: &Connection, batch: &Batch) -> StoreResult<Timestamp> {
    let mut query = db.prepare_cached(
        "SELECT linked_at, time_zone FROM links JOIN patients ON patients.id = patient_id
         WHERE links.id = ? AND patient_id = ? AND state = 'active'",
    )?;
    let linked: Option<(Timestamp, String)> = query
        .query_row(params![batch.link, batch.owner.patient], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match linked {
        Some((linked, zone)) if time_zone_or_utc(&zone) == batch.zone => Ok(linked),
        _ => Err(StoreError::ConsentEnded),
    }
}

/// Returns what [`commit`] would do. It writes nothing and needs no lock.
///
/// # Errors
/// [`StoreError::ConsentEnded`] if the link or the consent has ended.
pub fn preview(db: &Connection, batch: &Batch) -> StoreResult<CommitCounts> {
    let mut counts = CommitCounts { rejected: batch.rejected.len() as u64, ..CommitCounts::default() };
    find_linked_at(db, batch)?;
    for changes in resolve(db, batch)? {
        counts += changes.count();
    }
    Ok(counts)
}

impl StreamChanges {
    /// Sums up the delays of new samples. Samples from before the link, and values of a whole day, have no
    /// delay.
    fn lag(&self, key: &StreamKey, linked: Timestamp, now: Timestamp) -> Lag {
        let mut lag = Lag::default();
        let is_by_day = key.daily_total || series::find(key.series_type).is_some_and(SeriesType::is_by_day);
        for change in self.own.iter().filter(|_| !is_by_day) {
            let Some(sample) = change.new_sample() else { continue };
            let measured = sample.frame().map_or(sample.instant, |frame| frame.end);
            if measured >= linked {
                lag.add(measured, now);
            }
        }
        lag
    }

    fn count(&self) -> CommitCounts {
        let mut counts =
            CommitCounts { unchanged: self.unchanged, withheld: self.withheld, ..CommitCounts::default() };
        for change in self.own.iter().chain(self.renamed.iter().map(|(_, change)| change)) {
            match change {
                Change::New(_) => counts.created += 1,
                Change::Revised(_) => counts.revised += 1,
                Change::Relocated(_) => counts.unchanged += 1,
            }
        }
        counts
    }
}

fn resolve(db: &Connection, batch: &Batch) -> StoreResult<Vec<StreamChanges>> {
    for rejected in &batch.rejected {
        // A rejected sample is the patient's data, too.
        find_allowed(db, &batch.owner, &rejected.series_type)?;
    }
    batch.streams.iter().map(|incoming| resolve_stream(db, batch, incoming)).collect()
}

/// Returns the series type and the intervals that the consent allows; no interval is an error.
fn find_allowed(
    db: &Connection,
    owner: &StreamOwner,
    series_type: &str,
) -> StoreResult<(&'static SeriesType, ConsentIntervals)> {
    let series = series::find(series_type)
        .ok_or_else(|| StoreError::Other(format!("no series type '{series_type}'")))?;
    let allowed = consent::find_allowed(db, owner.patient, series.code)?;
    if allowed.is_empty() { Err(StoreError::ConsentEnded) } else { Ok((series, allowed)) }
}

/// Decides what a stream's samples change, without writing.
fn resolve_stream(db: &Connection, batch: &Batch, incoming: &StreamSamples) -> StoreResult<StreamChanges> {
    let owner = &batch.owner;
    let (series, allowed) = find_allowed(db, owner, incoming.key.series_type)?;
    let mut samples = incoming.samples.clone();
    samples.retain(|sample| is_allowed(&allowed, sample.instant, sample.frame()));
    let withheld = (incoming.samples.len() - samples.len()) as u64;
    let stored = stream::find(db, owner, &incoming.key)?;
    let event::PlacedEvents { samples, aliases } =
        event::place_events(db, stored.map(|stream| stream.id), samples, batch.census.as_ref())?;
    let known = match (stored, samples.first(), samples.last()) {
        (Some(stream), Some(first), Some(last)) => {
            stream::list_samples(db, stream.id, first.instant, last.instant)?
        }
        _ => Vec::new(),
    };
    let mut own = merge::merge(&known, &samples);
    if batch.insert_only {
        own.retain(|change| !matches!(change, Change::Revised(_)));
    }
    if series.is_restamped_by(&incoming.key.provider) {
        drop_unchanged(db, stored, batch.insert_only, &mut own)?;
    }
    let is_shown =
        |key: &StreamKey, instant| contains(batch.streams.iter().find(|other| other.key == *key), instant);
    let followed = total_flag::follow(db, owner, &incoming.key, own, batch.insert_only, is_shown)?;
    let changed = followed.own.len() + followed.of_totals.len();
    let mut changes = StreamChanges {
        code: code::require(db, series.code)?,
        is_sent_to_jhe: series::is_sent_to_jhe(series.code),
        stored,
        newest: samples.last().map(|sample| sample.instant),
        own: followed.own,
        renamed: followed.of_totals,
        moved: followed.moved,
        renamed_from: stored.and_then(|stream| stream.renamed_from),
        withheld,
        aliases,
        unchanged: 0,
    };
    changes.unchanged = (samples.len() - changed) as u64;
    follow_renames(db, batch, incoming, &mut changes)?;
    Ok(changes)
}

/// Returns true if consent covers a sample: its complete time frame, or its instant if it has none.
pub(crate) fn is_allowed(allowed: &ConsentIntervals, instant: Timestamp, frame: Option<TimeFrame>) -> bool {
    frame.map_or_else(|| allowed.contains(instant), |frame| allowed.covers(frame.interval()))
}

/// Drops new samples whose value equals the one before them: the provider gives the same measurement a new
/// time at each sync. A late read may bring an earlier copy of a stored sample, so it is compared with the
/// next one too.
#[expect(clippy::float_cmp, reason = "the same measurement comes back with the very same bits")]
fn drop_unchanged(
    db: &Connection,
    stored: Option<StoredStream>,
    is_late: bool,
    changes: &mut Vec<Change>,
) -> StoreResult<()> {
    let mut accepted: Option<(Timestamp, f64)> = None;
    let mut remaining = Vec::with_capacity(changes.len());
    for change in changes.drain(..) {
        if let Change::New(sample) = &change {
            let before = match stored {
                Some(stream) => stream::find_last_before(db, stream.id, sample.instant)?,
                None => None,
            };
            // The latest of the stored samples and those accepted in this batch.
            let last = if before.map(|(at, _)| at) < accepted.map(|(at, _)| at) { accepted } else { before };
            let next = match stored.filter(|_| is_late) {
                Some(stream) => stream::find_first_after(db, stream.id, sample.instant)?,
                None => None,
            };
            if last.is_some_and(|(_, value)| value == sample.value) || next == Some(sample.value) {
                continue;
            }
            accepted = Some((sample.instant, sample.value));
        }
        remaining.push(change);
    }
    *changes = remaining;
    Ok(())
}

/// Finds new samples that are stored in a sibling stream already. If a device or source was renamed, its
/// stored samples have left the old stream and appear in this one.
fn follow_renames(
    db: &Connection,
    batch: &Batch,
    incoming: &StreamSamples,
    changes: &mut StreamChanges,
) -> StoreResult<()> {
    let new = |change: &Change| change.new_sample().map(|sample| sample.instant);
    let Some(first) = changes.own.iter().find_map(new) else { return Ok(()) };
    let last = changes.own.iter().rev().find_map(new).unwrap_or(first);
    for (id, key) in stream::list_siblings(db, &batch.owner, &incoming.key)? {
        let stored = stream::list_samples(db, id, first, last)?;
        let sibling = batch.streams.iter().find(|other| other.key == key);
        let moved: Vec<Sample> =
            stored.into_iter().filter(|sample| !contains(sibling, sample.instant)).collect();
        continue_renamed(id, &moved, changes);
    }
    Ok(())
}

fn contains(stream: Option<&StreamSamples>, instant: Timestamp) -> bool {
    stream
        .is_some_and(|stream| stream.samples.binary_search_by_key(&instant, |sample| sample.instant).is_ok())
}

/// Moves the new samples that continue the samples `moved` from stream `before` out of the new ones. If most
/// values differ, two devices have measured at the same instants and nothing is moved.
#[expect(clippy::float_cmp, reason = "the same sample comes back with the very same bits")]
fn continue_renamed(before: i64, moved: &[Sample], changes: &mut StreamChanges) {
    let stored_at = |instant| {
        let at = moved.binary_search_by_key(&instant, |sample: &Sample| sample.instant).ok()?;
        moved.get(at).cloned()
    };
    let pair = |change: &Change| {
        let sample = change.new_sample()?;
        Some((stored_at(sample.instant)?, sample.clone()))
    };
    // An event keeps the id and the instant under which it was first stored.
    let in_place = |stored: &Sample, shown: Sample| match stored.event().map(Box::<str>::from) {
        Some(id) => event::moved_to(shown, stored.instant, &id),
        None => shown,
    };
    let pairs: Vec<(Sample, Sample)> = changes.own.iter().filter_map(pair).collect();
    let same = pairs.iter().filter(|(stored, shown)| stored.value == shown.value).count();
    if same * 2 > pairs.len() {
        changes.renamed_from = Some(before);
    }
    // A stream that continues another one keeps doing so, even if most values differ this time.
    if changes.renamed_from != Some(before) {
        return;
    }
    changes.own.retain(|change| pair(change).is_none());
    for (stored, shown) in pairs {
        match merge::compare(&stored, &in_place(&stored, shown)) {
            Some(change) => changes.renamed.push((before, change)),
            None => changes.unchanged += 1,
        }
    }
}

fn write_stream(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    changes: &StreamChanges,
    run: Option<i64>,
    now: Timestamp,
) -> StoreResult<CommitCounts> {
    let Some(newest) = changes.newest else { return Ok(changes.count()) };
    let stored = match changes.stored {
        Some(stored) => stored,
        None if changes.own.is_empty() && changes.renamed_from.is_none() => {
            // All samples belong to the stream of totals: this one is not made.
            for (stream, change) in &changes.renamed {
                write_elsewhere(db, owner, key, *stream, change, run, now)?;
            }
            return Ok(changes.count());
        }
        None => {
            let id = stream::insert(db, owner, key, changes.code, newest)?;
            failpoint::at("commit.stream");
            StoredStream { id, newest, renamed_from: None }
        }
    };
    if newest > stored.newest {
        stream::set_newest(db, stored.id, newest)?;
        failpoint::at("commit.newest");
    }
    if let Some(before) = changes.renamed_from
        && stored.renamed_from != Some(before)
    {
        stream::set_renamed_from(db, stored.id, before)?;
    }
    event::insert_aliases(db, stored.id, &changes.aliases)?;
    failpoint::at("commit.aliases");
    let own = changes.own.iter().map(|change| (stored.id, change));
    let renamed = changes.renamed.iter().map(|(stream, change)| (*stream, change));
    let is_exported = changes.is_sent_to_jhe && patient::is_of_jhe(db, owner.patient)?;
    let has_delivered_elsewhere = is_exported && delivered_elsewhere::has_any(db, owner.patient)?;
    let target = is_exported.then_some(ExportTarget {
        patient: owner.patient,
        code: changes.code,
        daily_total: key.daily_total,
        has_delivered_elsewhere,
    });
    let gate = one_of_two_modes::find_gate(db, owner, key, changes.code)?;
    // A commit that changes nothing takes no number.
    let is_changed = !(changes.own.is_empty() && changes.renamed.is_empty());
    let commit = if is_changed { commit_number::assign(db, run, now)? } else { 0 };
    total_flag::move_rows(db, stored.id, &changes.moved)?;
    let new: Vec<&Sample> = changes.own.iter().filter_map(Change::new_sample).collect();
    write_change::insert(db, stored.id, &new, commit)?;
    for (stream, change) in own.chain(renamed) {
        let is_admitted = gate.map_or(Ok(true), |gate| write_change::admit(db, gate, stream, change))?;
        write_change::update(db, stream, change, is_exported && is_admitted, commit, now)?;
        failpoint::at("change.kept");
        if let Some(target) = target.filter(|_| is_admitted) {
            // A change of the stream of totals waits as long as a total.
            let target = if stream == stored.id { target } else { enqueue::find_target(db, stream)? };
            write_change::enqueue(db, target, stream, change, now)?;
            failpoint::at("change.queued");
        }
    }
    let covers_day = series::find(key.series_type).is_some_and(|series| {
        matches!(series.origin, OwEndpoint::Activity)
            || method::find(series, &key.provider, key.daily_total).covers_day
    });
    data_hours::count(db, owner.patient, changes.code, &new, covers_day, now)?;
    // A device whose clock is ahead must not hide that its patient is silent later.
    update_newest(db, owner, newest.min(now))?;
    Ok(changes.count())
}

/// Writes a change to another stream than that of the batch, with what that stream's rows are exported by.
fn write_elsewhere(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    stream: i64,
    change: &Change,
    run: Option<i64>,
    now: Timestamp,
) -> StoreResult<()> {
    let commit = commit_number::assign(db, run, now)?;
    let target = enqueue::find_target(db, stream)?;
    let is_exported = enqueue::is_sent(db, target.code)? && patient::is_of_jhe(db, owner.patient)?;
    let gate = one_of_two_modes::find_gate(db, owner, key, target.code)?;
    let is_admitted = gate.map_or(Ok(true), |gate| write_change::admit(db, gate, stream, change))?;
    write_change::update(db, stream, change, is_exported && is_admitted, commit, now)?;
    if is_exported && is_admitted {
        write_change::enqueue(db, target, stream, change, now)?;
    }
    Ok(())
}

fn update_newest(db: &Connection, owner: &StreamOwner, newest: Timestamp) -> StoreResult<()> {
    let insert = "INSERT INTO sync_status (patient_id, newest_instant) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET newest_instant = max(coalesce(newest_instant, ?2), ?2)";
    db.prepare_cached(insert)?.execute(params![owner.patient, newest])?;
    Ok(())
}

/// Moves a high-water mark forward, never back.
fn advance_mark(db: &Connection, batch: &Batch, series_type: &str, newest: Timestamp) -> StoreResult<()> {
    let insert = "INSERT INTO high_water_marks (link_id, mode, series_type, instant) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET instant = max(instant, excluded.instant)";
    db.prepare_cached(insert)?.execute(params![batch.link, batch.mode, series_type, newest])?;
    Ok(())
}
