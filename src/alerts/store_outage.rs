//! That nothing can be kept, as on a full disk: told from memory, as it cannot be written down either.

use std::time::Duration;

use crate::alerts::dispatch;
use crate::alerts::message::Message;
use crate::common::time::Timestamp;
use crate::config::load::Config;
use crate::model::alert::Channel;

/// A store that cannot be written for so long does not mend itself.
const PATIENCE: Duration = Duration::from_mins(10);
/// When a channel that did not take the message gets it again.
const AGAIN: Duration = Duration::from_mins(10);

/// Whether things can be kept, as far as it has been looked.
#[derive(Debug, Default)]
pub struct Outage {
    /// Since when they cannot.
    since: Option<Timestamp>,
    /// Who has been told.
    told: Vec<Channel>,
    /// When those who have not are told again.
    due: Option<Timestamp>,
}

impl Outage {
    /// Whether it goes on since an earlier look.
    pub fn goes_on(&self) -> bool {
        self.since.is_some()
    }

    /// Takes in why nothing can be kept now, if so, and tells it on each channel once for as long as that lasts.
    pub async fn look(&mut self, config: &Config, trouble: Option<&str>, now: Timestamp) {
        let Some(trouble) = trouble else {
            *self = Self::default();
            return;
        };
        let since = *self.since.get_or_insert(now);
        if now.since(since) < PATIENCE || self.due.is_some_and(|due| now < due) {
            return;
        }
        let message = Message::unkept(trouble, since, &config.public_base());
        let id = format!("unkept-{}", since.micros());
        for channel in dispatch::channels(&config.alerts) {
            if self.told.contains(&channel) {
                continue;
            }
            match dispatch::send(&config.alerts, channel, &message, &id, now).await {
                Ok(()) => self.told.push(channel),
                Err(error) => {
                    tracing::warn!(channel = channel.as_str(), "an alert is tried again later: {error}");
                }
            }
        }
        self.due = Some(now.plus(AGAIN));
    }
}
