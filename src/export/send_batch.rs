//! One batch on its way: a verdict for each entry, whatever happens.

use std::time::Duration;

use futures_util::StreamExt;

use crate::common::backoff::{Backoff, jitter};
use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::export::batch::{Ready, Sent, batch};
use crate::export::classify::{Meaning, classify};
use crate::export::exporter::Exporter;
use crate::jhe::bundle::Entry;
use crate::jhe::error::JheError;
use crate::store::outbox::outbox::{Verdict, Waiting};

/// After a silence, nothing of it goes again before JHE has surely ended with it: two sends of one sample at a
/// time leave an orphan there.
const QUIET: Duration = Duration::from_mins(1);
/// JHE may be down for a while, and takes what waits within an hour of its return.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
/// Look-ups of one batch at the same time.
const LOOK_UPS: usize = 4;
/// An entry on which JHE breaks so often when it goes alone is one that it cannot take. With the pauses between, an hour
/// of JHE's own trouble refuses nothing.
const BREAKS: u32 = 8;
/// How often what somebody has to mend is tried again.
const CONFIGURATION_PAUSE: Duration = Duration::from_hours(1);

impl Exporter {
    /// Sends entries. Where a batch as a whole is rejected it is halved, until the culprit stands alone.
    pub(crate) async fn send(&self, entries: Vec<Ready>) -> Sent {
        let mut sent = Sent { settled: Vec::new(), stop: None };
        let mut parts = vec![entries];
        while let Some(mut part) = parts.pop() {
            if sent.stop.is_some() {
                sent.settled.extend(part.into_iter().map(|ready| (ready.waiting, Verdict::Unsent)));
                continue;
            }
            let body = batch(part.iter().map(|ready| ready.entry.as_str()));
            let answered = self.jhe.send(body, part.len()).await;
            failpoint::at("export.sent");
            match answered {
                Ok(answers) => {
                    let judged = futures_util::stream::iter(part.into_iter().zip(answers))
                        .map(|(ready, answer)| async move {
                            let verdict = self.judge(&ready, &answer).await;
                            (ready.waiting, verdict)
                        })
                        .buffered(LOOK_UPS);
                    sent.settled.extend(judged.collect::<Vec<_>>().await);
                }
                Err(error @ JheError::Rejected { .. }) if part.len() > 1 => {
                    for ready in &mut part {
                        ready.waiting.ambiguous |= error.is_ambiguous();
                    }
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                // JHE may have broken for another reason: it is this entry's fault once that has happened time and again.
                Err(error @ JheError::Rejected { .. })
                    if error.is_ambiguous() && part.iter().all(|ready| ready.waiting.attempts < BREAKS) =>
                {
                    let now = self.clock.now();
                    let again = |ready: Ready| {
                        let verdict = again(&ready.waiting, &error, now);
                        (ready.waiting, verdict)
                    };
                    sent.settled.extend(part.into_iter().map(again));
                }
                Err(JheError::Rejected { status, what }) => {
                    let dead = |ready: Ready| (ready.waiting, Verdict::Dead(format!("{status}: {what}")));
                    sent.settled.extend(part.into_iter().map(dead));
                }
                Err(error) => {
                    let now = self.clock.now();
                    let again = |ready: Ready| {
                        let verdict = again(&ready.waiting, &error, now);
                        (ready.waiting, verdict)
                    };
                    sent.settled.extend(part.into_iter().map(again));
                    sent.stop = Some(error);
                }
            }
        }
        sent
    }

    async fn judge(&self, ready: &Ready, answer: &Entry) -> Verdict {
        let now = self.clock.now();
        match classify(answer) {
            Meaning::Done => Verdict::Done,
            Meaning::Exists(_) if ready.waiting.ambiguous || ready.may_be_there => Verdict::Done,
            Meaning::Exists(words) => self.look_up(ready, words).await,
            Meaning::Consent => Verdict::Consent,
            Meaning::Configuration(words) => Verdict::Configuration(words, now.plus(CONFIGURATION_PAUSE)),
            Meaning::Dead(words) => Verdict::Dead(words),
            Meaning::Later(why) => {
                let due = now.plus(BACKOFF.pause(ready.waiting.attempts, jitter()));
                Verdict::Again { due, ambiguous: true, why }
            }
        }
    }

    /// Whether what has our identifier at JHE is this patient's observation of this instant: identifiers are
    /// global there.
    async fn look_up(&self, ready: &Ready, words: String) -> Verdict {
        let observation = &ready.waiting.observation;
        let code = format!("{}|{}", ready.stream.code_system, ready.stream.code);
        match self.jhe.count(ready.patient, &code, &observation.instant.to_string()).await {
            Ok(0) => Verdict::Dead(format!("409: {words} It is not this patient's.")),
            Ok(_) => Verdict::Done,
            Err(error) => again(&ready.waiting, &error, self.clock.now()),
        }
    }
}

fn again(waiting: &Waiting, error: &JheError, now: Timestamp) -> Verdict {
    let asked = match error {
        JheError::Later { retry_after: Some(after), .. } => after.wait(now),
        _ if error.is_ambiguous() => QUIET,
        _ => Duration::ZERO,
    };
    let due = now.plus(BACKOFF.pause(waiting.attempts, jitter()).max(asked));
    Verdict::Again { due, ambiguous: error.is_ambiguous(), why: error.to_string() }
}
