//! Sends one batch to JHE, and gives each entry a verdict, whatever happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::common::backoff::{Backoff, jitter};
use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::export::batch::{BatchResult, CONFIGURATION_PAUSE, OutgoingEntry, render_batch};
use crate::export::classify::{EntryOutcome, classify};
use crate::export::exporter::Exporter;
use crate::jhe::{bundle::EntryResponse, error::JheError, observations::JheObservation};
use crate::omh::render::{identifier_value, omh_document};
use crate::store::outbox::outbox::{OutboxEntry, Verdict};

/// Minimum pause after a request without a response. By then JHE no longer works on it: two simultaneous
/// requests with one identifier can leave an observation without its identifier.
const QUIET: Duration = Duration::from_mins(1);
/// JHE may be down for long, and should get the waiting entries within an hour of its return.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
/// Simultaneous look-ups of one batch.
const LOOK_UPS: usize = 4;
/// Requests of one batch that JHE may reject as a whole. Halving a hundred entries down to a bad one takes eight,
/// and two bad ones at most sixteen; with more, the cause is no single entry.
const MAX_REJECTIONS: usize = 16;

impl Exporter {
    /// Sends entries. JHE may reject a batch as a whole because of one entry: then it is halved, until that
    /// entry is alone. Any other error of a whole request concerns JHE or the path to it, and says nothing
    /// about an entry.
    pub(crate) async fn send(&self, entries: Vec<OutgoingEntry>) -> BatchResult {
        let (mut result, entries) = self.look_up_ambiguous(entries).await;
        let mut rejections = 0;
        let mut parts = vec![entries];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            if result.stop.is_some() {
                result.verdicts.extend(part.into_iter().map(|entry| (entry.waiting, Verdict::Unsent)));
                continue;
            }
            let sent = self.jhe.send_batch(render_batch(&part), part.len()).await;
            failpoint::at("export.sent");
            let error = match sent {
                Ok(responses) => {
                    let verdicts = futures_util::stream::iter(part.into_iter().zip(responses))
                        .map(|(entry, response)| async move {
                            let verdict = self.verdict(&entry, &response).await;
                            (entry.waiting, verdict)
                        })
                        .buffered(LOOK_UPS);
                    result.verdicts.extend(verdicts.collect::<Vec<_>>().await);
                    continue;
                }
                Err(error) => error,
            };
            rejections += 1;
            let may_be_an_entry = error.may_concern_one_entry() && rejections < MAX_REJECTIONS;
            if may_be_an_entry && part.len() > 1 {
                for entry in &mut part {
                    entry.waiting.ambiguous |= error.is_ambiguous();
                }
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
                continue;
            }
            let now = self.clock.now();
            let verdicts = part.into_iter().map(|entry| {
                let verdict = retry(&entry.waiting, &error, may_be_an_entry, now);
                (entry.waiting, verdict)
            });
            result.verdicts.extend(verdicts);
            result.stop = (!may_be_an_entry).then_some(error);
        }
        result
    }

    async fn verdict(&self, entry: &OutgoingEntry, response: &EntryResponse) -> Verdict {
        let now = self.clock.now();
        match classify(response) {
            EntryOutcome::Delivered => Verdict::Delivered,
            EntryOutcome::Exists(_) if entry.waiting.ambiguous || entry.may_exist => Verdict::Delivered,
            EntryOutcome::Exists(text) => self.decide_existing(entry, &text).await,
            EntryOutcome::NoConsent => Verdict::NoConsent,
            EntryOutcome::Configuration(text) => Verdict::Configuration(text, now.plus(CONFIGURATION_PAUSE)),
            EntryOutcome::Dead(text) => Verdict::Dead(text),
            EntryOutcome::Refused(why) => {
                let due = now.plus(BACKOFF.pause(entry.waiting.attempts, jitter()).max(QUIET));
                Verdict::Retry { due, ambiguous: true, is_refused: true, why }
            }
        }
    }

    /// Asks JHE for the entries that an earlier attempt may have delivered, and returns the others. A worker that
    /// was killed leaves an observation without its identifier: sending it again would make a second one.
    async fn look_up_ambiguous(&self, entries: Vec<OutgoingEntry>) -> (BatchResult, Vec<OutgoingEntry>) {
        let has_failed = AtomicBool::new(false);
        let look_ups = futures_util::stream::iter(entries).map(|entry| async {
            // After an error nothing more is asked for, as nothing is sent then.
            if !entry.waiting.ambiguous || has_failed.load(Ordering::Relaxed) {
                return (entry, Ok(false));
            }
            let found = self.is_at_jhe(&entry).await;
            let is_of_path = found.as_ref().is_err_and(|error| !error.concerns_one_patient());
            has_failed.fetch_or(is_of_path, Ordering::Relaxed);
            (entry, found)
        });
        let mut looked_up = look_ups.buffered(LOOK_UPS);
        let (mut result, mut unsent) = (BatchResult { verdicts: Vec::new(), stop: None }, Vec::new());
        while let Some((entry, found)) = looked_up.next().await {
            match found {
                Ok(false) => unsent.push(entry),
                Ok(true) => result.verdicts.push((entry.waiting, Verdict::Delivered)),
                Err(error) => {
                    let verdict = retry(&entry.waiting, &error, false, self.clock.now());
                    result.verdicts.push((entry.waiting, verdict));
                    if !error.concerns_one_patient() {
                        result.stop.get_or_insert(error);
                    }
                }
            }
        }
        (result, unsent)
    }

    /// Returns true if JHE has the observation: under its identifier, or with its content and without an
    /// identifier. JHE cannot be searched by identifiers, so it is asked for the patient, code and instant.
    async fn is_at_jhe(&self, entry: &OutgoingEntry) -> Result<bool, JheError> {
        let OutgoingEntry { stream, waiting, .. } = entry;
        let code = format!("{}|{}", stream.code_system, stream.code);
        // JHE files an interval under its beginning.
        let frame = waiting.observation.details.as_ref().and_then(|details| details.frame);
        let instant = frame.map_or(waiting.observation.instant, |frame| frame.start).to_string();
        let found = self.jhe.find_observations(entry.patient, &code, &instant).await?;
        let identifier = (stream.system.clone(), identifier_value(stream, &waiting.observation));
        let document = omh_document(stream, &waiting.observation).map_err(JheError::invalid)?;
        let document: Value = serde_json::from_str(&document).map_err(JheError::invalid)?;
        let is_orphan = |one: &JheObservation| {
            let theirs = one.document.as_ref().map(|theirs| &theirs["body"]);
            one.identifiers.is_empty() && theirs.is_some_and(|body| is_equal(body, &document["body"]))
        };
        if found.iter().any(|one| one.identifiers.contains(&identifier)) {
            return Ok(true);
        }
        let has_orphan = found.iter().any(is_orphan);
        if has_orphan {
            let patient = stream.patient;
            tracing::warn!(%patient, %instant, "JHE has an observation without its identifier; it counts as delivered");
        }
        Ok(has_orphan)
    }

    /// Decides the verdict of a 409: delivered if JHE has the observation, else dead. JHE's identifiers are unique
    /// across all patients.
    async fn decide_existing(&self, entry: &OutgoingEntry, diagnostics: &str) -> Verdict {
        match self.is_at_jhe(entry).await {
            Ok(false) => Verdict::Dead(format!(
                "409: {diagnostics}. JHE has no observation of this patient with this identifier, code and time, so the identifier belongs to another record."
            )),
            Ok(true) => Verdict::Delivered,
            Err(error) => retry(&entry.waiting, &error, false, self.clock.now()),
        }
    }
}

/// Compares JSON values. JHE writes some numbers in another form, such as 72 for 72.0, and times at UTC as
/// `+00:00`.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::String(one), Value::String(other)) => {
            one == other || Timestamp::parse(one).is_ok_and(|at| Timestamp::parse(other) == Ok(at))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has_equal = |(name, value)| other.get(name).is_some_and(|theirs| is_equal(value, theirs));
            one.len() == other.len() && one.iter().all(has_equal)
        }
        (one, other) => one == other,
    }
}

/// Returns the verdict after an error of a whole request. `is_refused` is true if the entry was alone in it, and
/// may be its cause.
fn retry(waiting: &OutboxEntry, error: &JheError, is_refused: bool, now: Timestamp) -> Verdict {
    let at_least = match error.retry_after() {
        Some(after) => after.wait(now),
        None if error.is_ambiguous() => QUIET,
        None => Duration::ZERO,
    };
    let due = now.plus(BACKOFF.pause(waiting.attempts, jitter()).max(at_least));
    Verdict::Retry { due, ambiguous: error.is_ambiguous(), is_refused, why: error.to_string() }
}
