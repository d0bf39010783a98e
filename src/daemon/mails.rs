//! The loops that queue and send mails to patients.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::app::invite::invite_through_jhe;
use crate::common::failure::Failure;
use crate::daemon::run::Daemon;
use crate::mail::outbox::MailSender;
use crate::mail::reminders;
use crate::model::account::Actor;
use crate::model::mail::MailKind;

/// The interval between two looks for mails that are due. A command may have queued them.
const MAIL_INTERVAL: Duration = Duration::from_secs(3);
/// The longest interval between two looks for silent patients, besides the one after each tick.
const REMINDER_INTERVAL: Duration = Duration::from_mins(15);

impl Daemon {
    /// Sends the queued mails. Without a mail server they wait.
    pub(crate) async fn send_mails(&self) {
        let jhe_links = Mutex::default();
        loop {
            let config = self.app.live.config();
            if let Some(server) = &config.alerts.mail {
                let (store, clock, base) = (&self.app.store, &self.app.clock, config.public_base());
                let invite_at_jhe = async |jhe_id: i64| self.invite_at_jhe(jhe_id).await;
                let sender = MailSender { store, clock, server, base, invite_at_jhe, jhe_links: &jhe_links };
                if let Err(failure) = sender.send_due().await {
                    tracing::warn!(next = failure.remedy, "mails to patients: {}", failure.message);
                }
            }
            sleep(MAIL_INTERVAL).await;
        }
    }

    /// Has JHE make a new link for a patient who asked for one.
    async fn invite_at_jhe(&self, jhe_id: i64) -> Result<String, Failure> {
        let (config, jhe) = (self.app.live.config(), self.app.live.jhe());
        let jhe = jhe.ok_or_else(|| Failure::failed("JHE is not configured", "set JHE_BASE_URL"))?;
        let (store, clock) = (&self.app.store, &self.app.clock);
        Ok(invite_through_jhe(&jhe, store, &config, jhe_id, Actor::Visitor, clock).await?.link)
    }

    /// Queues reminders to silent patients after each tick: before it, what they measured may be unread.
    pub(crate) async fn queue_reminders(&self) {
        // The wait returns at once when the daemon ends.
        while !self.cancel.is_cancelled() {
            self.wait_for_tick_or(REMINDER_INTERVAL).await;
            if self.app.live.config().alerts.mail.is_none() {
                continue;
            }
            let now = self.app.clock.now();
            let queue = async {
                // Most rounds find nothing, so the rules are evaluated without a write transaction first.
                let due = self.app.store.read(move |db| reminders::list_due(db, now)).await?;
                if due.is_empty() {
                    return Ok(());
                }
                let write = move |db: &rusqlite::Connection| {
                    due.into_iter().try_for_each(|(patient, study)| {
                        let kind = MailKind::Reminder;
                        reminders::enqueue(db, patient, study, kind, Actor::Daemon, now).map(drop)
                    })
                };
                self.app.store.write(write).await
            };
            if let Err(error) = queue.await {
                tracing::warn!("reminders could not be queued: {error}");
            }
        }
    }
}
