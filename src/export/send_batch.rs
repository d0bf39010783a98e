//! Sends one batch to JHE, and gives each entry a verdict, whatever happens.

use std::time::Duration;

use crate::common::backoff::{Backoff, jitter};
use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::export::batch::{BatchResult, CONFIGURATION_PAUSE, OutgoingEntry, render_batch};
use crate::export::classify::{EntryOutcome, classify};
use crate::export::exporter::Exporter;
use crate::export::look_up::AtJhe;
use crate::jhe::{bundle::EntryResponse, error::JheError};
use crate::store::outbox::outbox::{OutboxEntry, Verdict};

/// Minimum pause after a request without a response. By then JHE no longer works on it: two simultaneous
/// requests with one identifier can leave an observation without its identifier.
const QUIET: Duration = Duration::from_mins(1);
/// JHE may be down for long, and should get the waiting entries within an hour of its return.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
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
                    result.verdicts.extend(self.verdicts(part, &responses).await);
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

    /// Gives each entry its verdict. A 409 is decided by what JHE has.
    async fn verdicts(
        &self,
        entries: Vec<OutgoingEntry>,
        responses: &[EntryResponse],
    ) -> Vec<(OutboxEntry, Verdict)> {
        let outcomes: Vec<EntryOutcome> = responses.iter().map(classify).collect();
        let both = || entries.iter().zip(&outcomes);
        let existing = both().filter(|(_, outcome)| matches!(outcome, EntryOutcome::Exists(_)));
        let existing: Vec<&OutgoingEntry> = existing.map(|(entry, _)| entry).collect();
        let mut looked_up = self.look_up(&existing).await.into_iter();
        let now = self.clock.now();
        let verdicts: Vec<Verdict> = both()
            .map(|(entry, outcome)| match outcome {
                EntryOutcome::Delivered => Verdict::Delivered,
                EntryOutcome::Exists(text) => {
                    let at_jhe = looked_up.next().unwrap_or(Ok(AtJhe::Missing));
                    at_jhe.map_or_else(
                        |error| retry(&entry.waiting, &error, false, now),
                        |at_jhe| {
                            found_verdict(entry, &at_jhe).unwrap_or_else(|| Verdict::Dead(format!(
                                "409: {text}. JHE has no observation of this patient with this identifier, code and \
                                 time, so the identifier belongs to another record."
                            )))
                        },
                    )
                }
                EntryOutcome::NoConsent => Verdict::NoConsent,
                EntryOutcome::Configuration(text) => {
                    Verdict::Configuration(text.clone(), now.plus(CONFIGURATION_PAUSE))
                }
                EntryOutcome::Dead(text) => Verdict::Dead(text.clone()),
                EntryOutcome::Refused(why) => {
                    let due = now.plus(BACKOFF.pause(entry.waiting.attempts, jitter()).max(QUIET));
                    Verdict::Retry { due, ambiguous: true, is_refused: true, why: why.clone() }
                }
            })
            .collect();
        entries.into_iter().map(|entry| entry.waiting).zip(verdicts).collect()
    }

    /// Looks up the entries that an earlier attempt may have delivered, and returns those that have to be sent. A
    /// worker of JHE that was killed leaves an observation without its identifier: sending it again would make a
    /// second one.
    async fn look_up_ambiguous(&self, entries: Vec<OutgoingEntry>) -> (BatchResult, Vec<OutgoingEntry>) {
        let ambiguous: Vec<&OutgoingEntry> = entries.iter().filter(|entry| entry.may_exist).collect();
        let mut looked_up = self.look_up(&ambiguous).await.into_iter();
        let now = self.clock.now();
        let (mut result, mut unsent) = (BatchResult { verdicts: Vec::new(), stop: None }, Vec::new());
        for entry in entries {
            let at_jhe = if entry.may_exist { looked_up.next() } else { None };
            match at_jhe.unwrap_or(Ok(AtJhe::Missing)) {
                Ok(at_jhe) => match found_verdict(&entry, &at_jhe) {
                    Some(verdict) => result.verdicts.push((entry.waiting, verdict)),
                    None => unsent.push(entry),
                },
                Err(error) => {
                    let verdict = retry(&entry.waiting, &error, false, now);
                    result.verdicts.push((entry.waiting, verdict));
                    if !error.concerns_one_patient() {
                        result.stop.get_or_insert(error);
                    }
                }
            }
        }
        (result, unsent)
    }
}

/// Returns the verdict on an entry that JHE has; none if JHE does not have it.
fn found_verdict(entry: &OutgoingEntry, at_jhe: &AtJhe) -> Option<Verdict> {
    match at_jhe {
        AtJhe::Missing => None,
        AtJhe::Delivered => Some(Verdict::Delivered),
        AtJhe::Differs { next } => Some(Verdict::Differs { next: *next }),
        AtJhe::Orphan => {
            let (patient, instant) = (entry.stream.patient, entry.waiting.observation.instant);
            tracing::warn!(%patient, %instant, "JHE has an observation without its identifier; it counts as delivered");
            Some(Verdict::Orphan)
        }
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
