//! Sends one batch to JHE, and gives each entry a verdict, whatever happens.

use std::time::Duration;

use futures_util::StreamExt;

use crate::common::backoff::{Backoff, jitter};
use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::export::batch::{BatchResult, CONFIGURATION_PAUSE, OutgoingEntry, render_batch};
use crate::export::classify::{EntryOutcome, classify};
use crate::export::exporter::Exporter;
use crate::jhe::{bundle::EntryResponse, error::JheError};
use crate::store::outbox::outbox::{OutboxEntry, Verdict};

/// Minimum pause after a request without a response. By then JHE no longer works on it: two simultaneous
/// requests with one identifier can leave an observation without its identifier.
const QUIET: Duration = Duration::from_mins(1);
/// JHE may be down for long, and should get the waiting entries within an hour of its return.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
/// Simultaneous look-ups of one batch.
const LOOK_UPS: usize = 4;
/// Attempts of any kind after which a server error for an entry that was sent alone makes it dead. With the
/// pauses in between, they take more than an hour.
const MAX_SERVER_ERRORS: u32 = 8;

impl Exporter {
    /// Sends entries. JHE may reject a batch as a whole because of one entry: then it is halved, until
    /// that entry is alone.
    pub(crate) async fn send(&self, entries: Vec<OutgoingEntry>) -> BatchResult {
        let mut result = BatchResult { verdicts: Vec::new(), stop: None };
        let mut parts = vec![entries];
        while let Some(mut part) = parts.pop() {
            if result.stop.is_some() {
                result.verdicts.extend(part.into_iter().map(|entry| (entry.waiting, Verdict::Unsent)));
                continue;
            }
            let sent = self.jhe.send_batch(render_batch(&part), part.len()).await;
            failpoint::at("export.sent");
            match sent {
                Ok(responses) => {
                    let verdicts = futures_util::stream::iter(part.into_iter().zip(responses))
                        .map(|(entry, response)| async move {
                            let verdict = self.verdict(&entry, &response).await;
                            (entry.waiting, verdict)
                        })
                        .buffered(LOOK_UPS);
                    result.verdicts.extend(verdicts.collect::<Vec<_>>().await);
                }
                Err(error @ JheError::Rejected { .. }) if part.len() > 1 => {
                    for entry in &mut part {
                        entry.waiting.ambiguous |= error.is_ambiguous();
                    }
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(error) => {
                    let now = self.clock.now();
                    let is_rejected = matches!(error, JheError::Rejected { .. });
                    result.verdicts.extend(part.into_iter().map(|entry| {
                        let may_recover = error.is_ambiguous() && entry.waiting.attempts < MAX_SERVER_ERRORS;
                        let verdict = match &error {
                            JheError::Rejected { status, message } if !may_recover => {
                                Verdict::Dead(format!("{status}: {message}"))
                            }
                            error => retry(&entry.waiting, error, now),
                        };
                        (entry.waiting, verdict)
                    }));
                    // A rejection concerns this entry; any other error concerns JHE or the path to it.
                    result.stop = (!is_rejected).then_some(error);
                }
            }
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
            EntryOutcome::Retry(why) => {
                let due = now.plus(BACKOFF.pause(entry.waiting.attempts, jitter()));
                Verdict::Retry { due, ambiguous: true, why }
            }
        }
    }

    /// Decides the verdict of a 409: delivered if JHE has an observation of this patient, code and instant,
    /// else dead. JHE's identifiers are unique across all patients, and JHE cannot be searched by them.
    async fn decide_existing(&self, entry: &OutgoingEntry, diagnostics: &str) -> Verdict {
        let code = format!("{}|{}", entry.stream.code_system, entry.stream.code);
        let instant = entry.waiting.observation.instant.to_string();
        match self.jhe.count_observations(entry.patient, &code, &instant).await {
            Ok(0) => Verdict::Dead(format!(
                "409: {diagnostics}. JHE has no observation of this patient with this code and time, so the identifier belongs to another record."
            )),
            Ok(_) => Verdict::Delivered,
            Err(error) => retry(&entry.waiting, &error, self.clock.now()),
        }
    }
}

fn retry(waiting: &OutboxEntry, error: &JheError, now: Timestamp) -> Verdict {
    let at_least = match error {
        JheError::Unavailable { retry_after: Some(after), .. } => after.wait(now),
        _ if error.is_ambiguous() => QUIET,
        _ => Duration::ZERO,
    };
    let due = now.plus(BACKOFF.pause(waiting.attempts, jitter()).max(at_least));
    Verdict::Retry { due, ambiguous: error.is_ambiguous(), why: error.to_string() }
}
