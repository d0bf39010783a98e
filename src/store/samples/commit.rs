//! One transaction: samples, their counters, and the mark that speaks for them.
//!
//! Whatever was true when OW was asked is asked again here, in the same transaction: that the tick still
//! holds the lock, that the link stands, and that the patient still consents.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::model::catalog::series;
use crate::model::catalog::series_type::{Body, Series};
use crate::model::commit_counts::{Committed, Tally};
use crate::model::consent_intervals::Allowed;
use crate::model::event_census::Census;
use crate::model::sample::Sample;
use crate::model::stream_key::{Owner, StreamKey};
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters::{Lag, Totals};
use crate::store::operations::{hourly_counters, tick_lock};
use crate::store::outbox::enqueue::Target;
use crate::store::outbox::{delivered_elsewhere, one_of_two_modes};
use crate::store::people::{consent, patient};
use crate::store::samples::merge::Change;
use crate::store::samples::rejected::Rejected;
use crate::store::samples::{code, commit_number, event, merge, rejected, stream, write_change};

/// Hours of sample time for which counts per hour are kept: the pages show a week at most.
const COUNTED_HOURS: i64 = 8 * 24;

/// Samples of one stream, in the order of time, each instant once.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which stream.
    pub key: StreamKey,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// What a read brought for one patient. It holds every sample that OW showed of each instant in it, so
/// that a stream that changed its name can be told from a second device.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Whose.
    pub owner: Owner,
    /// The link it came through.
    pub link: i64,
    /// The mode of ingestion, as the marks are kept by it.
    pub mode: &'static str,
    /// The samples.
    pub parts: Vec<Part>,
    /// What could not be converted.
    pub rejected: Vec<Rejected>,
    /// Whether it is read late, after others that may be newer: then it only fills what is not there yet.
    pub fills_only: bool,
    /// Which events OW has, where it was asked for all of a stretch of time.
    pub census: Option<Census>,
    /// High-water marks that stand once this batch does: series type, newest sample time.
    pub marks: Vec<(&'static str, Timestamp)>,
}

/// What one part means for the store, before anything is written.
struct Resolved {
    code: i64,
    /// Whether JHE takes observations of the code.
    is_sent: bool,
    stream: Option<stream::Known>,
    newest: Option<Timestamp>,
    /// Changes to this stream itself.
    own: Vec<Change>,
    /// Changes to the stream that this one continues under a new name.
    before: Vec<(i64, Change)>,
    continues: Option<i64>,
    /// Events of this stream that OW now calls by another id.
    aliases: Vec<(Box<str>, Timestamp)>,
    withheld: u64,
    unchanged: u64,
}

/// Writes a batch for the tick that holds the lock as `lock_owner`.
///
/// # Errors
/// [`StoreError::LockLost`] and [`StoreError::ConsentEnded`] where that is so; nothing is written then.
pub fn commit(
    db: &Connection,
    batch: &Batch,
    lock_owner: &str,
    now: Timestamp,
) -> Result<Committed, StoreError> {
    tick_lock::check(db, lock_owner, now)?;
    failpoint::at("commit.checked");
    let linked = linked_at(db, batch)?;
    let run = tick_lock::run(db)?;
    let (mut committed, mut lag) = (Committed::default(), Lag::default());
    for (part, resolved) in batch.parts.iter().zip(resolve(db, batch)?) {
        committed.add(part.key.series_type, write_part(db, &batch.owner, &part.key, &resolved, run, now)?);
        lag += resolved.lag(&part.key, linked, now);
        failpoint::at("commit.part");
    }
    for one in &batch.rejected {
        let is_new = rejected::keep(db, batch.owner.patient, batch.owner.system, one, now)?;
        let series_type = series::series(&one.series_type).map_or("other", |series| series.series_type);
        committed.add(series_type, Tally { rejected: u64::from(is_new), ..Tally::default() });
        failpoint::at("commit.rejected");
    }
    let tally = committed.tally;
    if !batch.rejected.is_empty() {
        rejected::trim(db, batch.owner.patient)?;
    }
    for part in batch.parts.iter().filter(|part| is_paired(part)) {
        rejected::let_go(db, &batch.owner, &part.key, &part.samples)?;
        failpoint::at("commit.paired");
    }
    for (series_type, newest) in &batch.marks {
        move_mark(db, batch, series_type, *newest)?;
        failpoint::at("commit.marks");
    }
    count(db, "observations", tally.created)?;
    count(db, "revisions", tally.revised)?;
    count(db, "rejected", tally.rejected)?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (created, revised, rejected) = (number(tally.created), number(tally.revised), number(tally.rejected));
    hourly_counters::add(db, now, &Totals { created, revised, rejected, lag, ..Totals::default() })?;
    failpoint::at("commit.counted");
    Ok(committed)
}

/// When the link of a batch began.
fn linked_at(db: &Connection, batch: &Batch) -> Result<Timestamp, StoreError> {
    let mut query = db.prepare_cached("SELECT linked_at FROM links WHERE id = ?")?;
    let linked = query.query_row([batch.link], |row| row.get(0)).optional()?;
    linked.ok_or(StoreError::ConsentEnded)
}

/// Whether each sample of a part was put together from two.
fn is_paired(part: &Part) -> bool {
    series::series(part.key.series_type).is_some_and(|series| series.body == Body::BloodPressure)
}

/// What [`commit`] would do with a batch. Writes nothing and needs no lock.
///
/// # Errors
/// [`StoreError::ConsentEnded`] where the link or the consent no longer stands.
pub fn preview(db: &Connection, batch: &Batch) -> Result<Tally, StoreError> {
    let mut tally = Tally { rejected: batch.rejected.len() as u64, ..Tally::default() };
    for resolved in resolve(db, batch)? {
        tally += resolved.tally();
    }
    Ok(tally)
}

impl Resolved {
    /// How late its new samples are. Those from before the link came with it, and the total of a day is not over until
    /// the day is: neither is late.
    fn lag(&self, key: &StreamKey, linked: Timestamp, now: Timestamp) -> Lag {
        let mut lag = Lag::default();
        let is_by_day = key.daily_total || series::series(key.series_type).is_some_and(Series::is_by_day);
        for change in self.own.iter().filter(|_| !is_by_day) {
            let Change::New(sample) = change else { continue };
            let measured = sample.frame().map_or(sample.instant, |frame| frame.end);
            if measured >= linked {
                lag.add(measured, now);
            }
        }
        lag
    }

    fn tally(&self) -> Tally {
        let mut tally = Tally { unchanged: self.unchanged, withheld: self.withheld, ..Tally::default() };
        for change in self.own.iter().chain(self.before.iter().map(|(_, change)| change)) {
            match change {
                Change::New(_) => tally.created += 1,
                Change::Revised { .. } => tally.revised += 1,
                Change::Placed(_) => tally.unchanged += 1,
            }
        }
        tally
    }
}

fn resolve(db: &Connection, batch: &Batch) -> Result<Vec<Resolved>, StoreError> {
    require_link(db, batch)?;
    for rejected in &batch.rejected {
        // A sample that cannot be read is the patient's all the same.
        allowed(db, &batch.owner, &rejected.series_type)?;
    }
    batch.parts.iter().map(|part| resolve_part(db, batch, part)).collect()
}

fn require_link(db: &Connection, batch: &Batch) -> Result<(), StoreError> {
    let mut query =
        db.prepare_cached("SELECT 1 FROM links WHERE id = ? AND patient_id = ? AND state = 'active'")?;
    let stands = query.query_row(params![batch.link, batch.owner.patient], |_| Ok(())).optional()?;
    stands.ok_or(StoreError::ConsentEnded)
}

/// What the patient's consent allows of a series type; nothing is an error.
fn allowed(
    db: &Connection,
    owner: &Owner,
    series_type: &str,
) -> Result<(&'static Series, Allowed), StoreError> {
    let series = series::series(series_type)
        .ok_or_else(|| StoreError::Other(format!("no series type '{series_type}'")))?;
    let allowed = consent::allowed(db, owner.patient, series.code)?;
    if allowed.is_empty() { Err(StoreError::ConsentEnded) } else { Ok((series, allowed)) }
}

fn resolve_part(db: &Connection, batch: &Batch, part: &Part) -> Result<Resolved, StoreError> {
    let owner = &batch.owner;
    let (series, allowed) = allowed(db, owner, part.key.series_type)?;
    let mut samples = part.samples.clone();
    samples.retain(|sample| is_allowed(&allowed, sample));
    let withheld = (part.samples.len() - samples.len()) as u64;
    let stream = stream::find(db, owner, &part.key)?;
    let event::Settled { samples, aliases } =
        event::settle(db, stream.map(|known| known.id), samples, batch.census.as_ref())?;
    let kept = match (stream, samples.first(), samples.last()) {
        (Some(known), Some(first), Some(last)) => stream::samples(db, known.id, first.instant, last.instant)?,
        _ => Vec::new(),
    };
    let mut own = merge::merge(&kept, &samples);
    if batch.fills_only {
        own.retain(|change| !matches!(change, Change::Revised { .. }));
    }
    if series.is_restamped_by(&part.key.provider) {
        drop_unchanged(db, stream, batch.fills_only, &mut own)?;
    }
    let mut resolved = Resolved {
        code: code::require(db, series.code)?,
        is_sent: series::goes_to_jhe(series.code),
        stream,
        newest: samples.last().map(|sample| sample.instant),
        own,
        before: Vec::new(),
        continues: stream.and_then(|known| known.continues),
        withheld,
        aliases,
        unchanged: 0,
    };
    resolved.unchanged = (samples.len() - resolved.own.len()) as u64;
    follow_renames(db, batch, part, &mut resolved)?;
    Ok(resolved)
}

fn is_allowed(allowed: &Allowed, sample: &Sample) -> bool {
    sample.frame().map_or_else(|| allowed.contains(sample.instant), |frame| allowed.covers(frame.interval()))
}

/// Drops what is new by its instant only: the provider stamps the same measurement anew whenever it syncs. What is read
/// late may be an earlier stamp of what is kept.
#[expect(clippy::float_cmp, reason = "the same measurement comes back with the very same bits")]
fn drop_unchanged(
    db: &Connection,
    stream: Option<stream::Known>,
    is_late: bool,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let mut accepted: Option<(Timestamp, f64)> = None;
    let mut kept = Vec::with_capacity(changes.len());
    for change in changes.drain(..) {
        if let Change::New(sample) = &change {
            let before = match stream {
                Some(known) => stream::last_before(db, known.id, sample.instant)?,
                None => None,
            };
            let last = if before.map(|(at, _)| at) < accepted.map(|(at, _)| at) { accepted } else { before };
            let next = match stream.filter(|_| is_late) {
                Some(known) => stream::first_after(db, known.id, sample.instant)?,
                None => None,
            };
            if last.is_some_and(|(_, value)| value == sample.value) || next == Some(sample.value) {
                continue;
            }
            accepted = Some((sample.instant, sample.value));
        }
        kept.push(change);
    }
    *changes = kept;
    Ok(())
}

/// A stream whose device or source was renamed shows again, under the new name, what is kept under the
/// old: those rows have left the old stream and are the same samples.
fn follow_renames(
    db: &Connection,
    batch: &Batch,
    part: &Part,
    resolved: &mut Resolved,
) -> Result<(), StoreError> {
    let new = |change: &Change| match change {
        Change::New(sample) => Some(sample.instant),
        _ => None,
    };
    let Some(first) = resolved.own.iter().find_map(new) else { return Ok(()) };
    let last = resolved.own.iter().rev().find_map(new).unwrap_or(first);
    for (id, key) in stream::siblings(db, &batch.owner, &part.key)? {
        let kept = stream::samples(db, id, first, last)?;
        let shown = batch.parts.iter().find(|other| other.key == key);
        let gone: Vec<Sample> = kept.into_iter().filter(|sample| !shows(shown, sample.instant)).collect();
        adopt(id, &gone, resolved);
    }
    Ok(())
}

fn shows(part: Option<&Part>, instant: Timestamp) -> bool {
    part.is_some_and(|part| part.samples.binary_search_by_key(&instant, |sample| sample.instant).is_ok())
}

/// Takes the samples that continue those `gone` from stream `before` out of the new ones. Where most values
/// differ, two devices have measured at the same instants: then nothing is taken.
#[expect(clippy::float_cmp, reason = "the same sample comes back with the very same bits")]
fn adopt(before: i64, gone: &[Sample], resolved: &mut Resolved) {
    let kept_at = |instant| {
        let at = gone.binary_search_by_key(&instant, |sample: &Sample| sample.instant).ok()?;
        gone.get(at).cloned()
    };
    let pair = |change: &Change| match change {
        Change::New(sample) => kept_at(sample.instant).map(|kept| (kept, sample.clone())),
        _ => None,
    };
    // What is kept goes on under the id that it was first kept under.
    let in_place = |kept: &Sample, shown: Sample| match kept.event().map(Box::<str>::from) {
        Some(id) => event::at(shown, kept.instant, &id),
        None => shown,
    };
    let pairs: Vec<(Sample, Sample)> = resolved.own.iter().filter_map(pair).collect();
    let same = pairs.iter().filter(|(kept, shown)| kept.value == shown.value).count();
    if same * 2 > pairs.len() {
        resolved.continues = Some(before);
    }
    if resolved.continues != Some(before) {
        return;
    }
    resolved.own.retain(|change| pair(change).is_none());
    for (kept, shown) in pairs {
        match merge::compare(&kept, &in_place(&kept, shown)) {
            Some(change) => resolved.before.push((before, change)),
            None => resolved.unchanged += 1,
        }
    }
}

fn write_part(
    db: &Connection,
    owner: &Owner,
    key: &StreamKey,
    resolved: &Resolved,
    run: Option<i64>,
    now: Timestamp,
) -> Result<Tally, StoreError> {
    let Some(newest) = resolved.newest else { return Ok(resolved.tally()) };
    let known = match resolved.stream {
        Some(known) => known,
        None if resolved.own.is_empty() && resolved.continues.is_none() => return Ok(resolved.tally()),
        None => {
            let id = stream::add(db, owner, key, resolved.code, newest)?;
            failpoint::at("commit.stream");
            stream::Known { id, newest, continues: None }
        }
    };
    if newest > known.newest {
        stream::set_newest(db, known.id, newest)?;
        failpoint::at("commit.newest");
    }
    if let Some(before) = resolved.continues
        && known.continues != Some(before)
    {
        stream::set_continues(db, known.id, before)?;
    }
    event::alias(db, known.id, &resolved.aliases)?;
    failpoint::at("commit.aliases");
    let changes = resolved.own.iter().map(|change| (known.id, change));
    let before = resolved.before.iter().map(|(stream, change)| (*stream, change));
    let is_exported = resolved.is_sent && patient::is_of_jhe(db, owner.patient)?;
    let has_adopted = is_exported && delivered_elsewhere::any(db, owner.patient)?;
    let target = is_exported.then_some(Target {
        patient: owner.patient,
        code: resolved.code,
        daily_total: key.daily_total,
        has_adopted,
    });
    let gate = one_of_two_modes::gate(db, owner, key, resolved.code)?;
    let is_changed = !(resolved.own.is_empty() && resolved.before.is_empty());
    let commit = if is_changed { commit_number::number(db, run, now)? } else { 0 };
    for (stream, change) in changes.chain(before) {
        let goes = gate.map_or(Ok(true), |gate| write_change::goes(db, gate, stream, change))?;
        write_change::write(db, stream, change, is_exported && goes, commit, now)?;
        failpoint::at("change.kept");
        if let Some(target) = target.filter(|_| goes) {
            write_change::export(db, target, stream, change, now)?;
            failpoint::at("change.queued");
        }
    }
    count_hours(db, owner, resolved, now)?;
    note_newest(db, owner, newest)?;
    Ok(resolved.tally())
}

fn count_hours(
    db: &Connection,
    owner: &Owner,
    resolved: &Resolved,
    now: Timestamp,
) -> Result<(), StoreError> {
    let oldest = now.hour() - COUNTED_HOURS;
    let mut hours: Vec<(i64, i64)> = Vec::new();
    for change in &resolved.own {
        let Change::New(sample) = change else { continue };
        match (sample.instant.hour(), hours.last_mut()) {
            (hour, _) if hour < oldest => {}
            (hour, Some((last, count))) if *last == hour => *count += 1,
            (hour, _) => hours.push((hour, 1)),
        }
    }
    let mut add = db.prepare_cached(
        "INSERT INTO hourly_sample_counts (patient_id, hour, code_id, samples) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET samples = samples + excluded.samples",
    )?;
    for (hour, samples) in hours {
        add.execute(params![owner.patient, hour, resolved.code, samples])?;
    }
    Ok(())
}

/// Forgets the counts of hours that no page shows any more.
///
/// # Errors
/// Where the table cannot be written.
pub fn trim_hours(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    db.execute("DELETE FROM hourly_sample_counts WHERE hour < ?", [now.hour() - COUNTED_HOURS])?;
    Ok(())
}

fn note_newest(db: &Connection, owner: &Owner, newest: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, newest_instant) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET newest_instant = max(coalesce(newest_instant, ?2), ?2)",
    )?
    .execute(params![owner.patient, newest])?;
    Ok(())
}

/// A mark only ever moves forward.
fn move_mark(db: &Connection, batch: &Batch, series_type: &str, newest: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO high_water_marks (link_id, mode, series_type, instant) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET instant = max(instant, excluded.instant)",
    )?
    .execute(params![batch.link, batch.mode, series_type, newest])?;
    Ok(())
}

fn count(db: &Connection, name: &str, by: u64) -> Result<(), StoreError> {
    if by == 0 {
        return Ok(());
    }
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    db.prepare_cached(
        "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
    )?
    .execute(params![name, by])?;
    Ok(())
}
