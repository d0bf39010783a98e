//! Alerts about a store that cannot be written, such as on a full disk. Such an alert is sent from memory,
//! since the queue is in the store.

use std::time::Duration;

use crate::alerts::{dispatch, message::AlertMessage};
use crate::common::time::Timestamp;
use crate::config::load::Config;
use crate::model::alert::Channel;

/// A store that cannot be written for this long does not recover by itself.
const PATIENCE: Duration = Duration::from_mins(10);
/// Pause before a channel that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(crate) struct StoreOutage {
    /// The beginning of the outage; none while the store works.
    since: Option<Timestamp>,
    /// Channels that have taken the message.
    sent: Vec<Channel>,
    /// The time of the next attempt.
    due: Option<Timestamp>,
}

impl StoreOutage {
    pub(crate) fn is_ongoing(&self) -> bool {
        self.since.is_some()
    }

    /// Records the store's current error, and alerts each channel once per outage.
    pub(crate) async fn update(&mut self, config: &Config, error: Option<&str>, now: Timestamp) {
        let Some(error) = error else {
            *self = Self::default();
            return;
        };
        let since = *self.since.get_or_insert(now);
        if now.since(since) < PATIENCE || self.due.is_some_and(|due| now < due) {
            return;
        }
        let message = AlertMessage::store_outage(error, since, &config.public_base());
        let id = format!("unkept-{}", since.micros());
        for channel in dispatch::channels(&config.alerts) {
            if self.sent.contains(&channel) {
                continue;
            }
            match dispatch::send(&config.alerts, channel, &message, &id, now).await {
                Ok(()) => self.sent.push(channel),
                Err(error) => {
                    tracing::warn!(
                        channel = channel.as_str(),
                        "an alert was not sent and will be retried: {error}"
                    );
                }
            }
        }
        self.due = Some(now.plus(RETRY_AFTER));
    }
}
