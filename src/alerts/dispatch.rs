//! A round: who is silent now, what of it is still to be told, and telling it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use crate::alerts::message::Message;
use crate::alerts::{mail, webhook};
use crate::common::clock::Clock;
use crate::common::time::Timestamp;
use crate::config::alerts::Alerts;
use crate::config::load::Config;
use crate::model::alert::{Alert, Channel};
use crate::model::patient::PatientId;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::operations::alert_queue;
use crate::store::operations::alert_queue::Waiting;
use crate::store::operations::alert_rules::View;

/// More than so many at once are one message: when OW is down, everybody falls silent.
const MOST_MESSAGES: usize = 5;
/// By then some tick has ended, or will not.
const TICK_TIME: Duration = Duration::from_hours(2);
/// What waits is told after so long: the export begins at once, and JHE may take a minute over a bundle.
const EXPORT_TIME: Duration = Duration::from_mins(10);

/// What a round works with.
#[derive(Debug)]
pub struct Round<'a> {
    /// Where everything is kept.
    pub store: &'a Store,
    /// Where "now" comes from.
    pub clock: &'a Clock,
    /// Where alerts go, and where browsers reach this daemon.
    pub config: &'a Config,
    /// Since when the process has run without a gap.
    pub awake_since: Timestamp,
    /// When the last tick began of those that have ended; none where none has.
    pub tick_began: Option<Timestamp>,
}

/// The channels that are configured.
pub(crate) fn channels(alerts: &Alerts) -> Vec<Channel> {
    let webhook = alerts.webhook.is_some().then_some(Channel::Webhook);
    webhook.into_iter().chain(alerts.mail.is_some().then_some(Channel::Mail)).collect()
}

impl Round<'_> {
    /// Notes who is silent, and tells what is to be told. What cannot be told now is told later; each is told once on each
    /// channel, also by a daemon that starts anew.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn run(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let view = View {
            channels: channels(&self.config.alerts),
            has_read: self.tick_began.is_some_and(|began| began >= self.awake_since)
                || now.since(self.awake_since) >= TICK_TIME,
            exports: self.config.exports(),
            has_exported: now.since(self.awake_since) >= EXPORT_TIME,
        };
        let channels = view.channels.clone();
        // Most rounds find nothing new, and write nothing.
        let look = view.clone();
        if let Some(news) = self.store.read(move |db| look.news(db, now)).await? {
            self.store.write(move |db| view.raise(db, &news, now)).await?;
        }
        // Side by side: one that hangs keeps nothing from the other.
        let told = join_all(channels.into_iter().map(|channel| self.tell(channel))).await;
        told.into_iter().collect()
    }

    async fn tell(&self, channel: Channel) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = self.store.read(move |db| alert_queue::due(db, channel, now)).await?;
        let base = self.config.public_base();
        let size = if due.len() > MOST_MESSAGES { due.len() } else { 1 };
        let mut waiting = due.as_slice();
        while !waiting.is_empty() {
            let (group, rest) = waiting.split_at(size.min(waiting.len()));
            let alerts: Vec<Alert> = group.iter().map(|one| one.alert).collect();
            let Some(message) = Message::of(&alerts, &base) else { break };
            let sent = send(&self.config.alerts, channel, &message, &id(group), now).await;
            let noted = match &sent {
                Ok(()) => {
                    tracing::info!(channel = channel.as_str(), "{}", message.subject);
                    waiting = rest;
                    group
                }
                Err(error) => {
                    let alerts = waiting.len();
                    tracing::warn!(
                        channel = channel.as_str(),
                        alerts,
                        "an alert is tried again later: {error}"
                    );
                    // Who did not take one does not take the next either.
                    std::mem::take(&mut waiting)
                }
            };
            let ids: Vec<i64> = noted.iter().map(|one| one.id).collect();
            self.store.write(move |db| alert_queue::note(db, &ids, &sent, now)).await?;
        }
        Ok(())
    }
}

/// Sends a test message on each configured channel; answers how each went.
pub async fn test(config: &Config, now: Timestamp) -> BTreeMap<Channel, Result<(), String>> {
    let message = Message::test(&config.public_base());
    let id = format!("test-{}", now.micros());
    let mut sent = BTreeMap::new();
    for channel in channels(&config.alerts) {
        sent.insert(channel, send(&config.alerts, channel, &message, &id, now).await);
    }
    sent
}

pub(crate) async fn send(
    alerts: &Alerts,
    channel: Channel,
    message: &Message,
    id: &str,
    now: Timestamp,
) -> Result<(), String> {
    match (channel, &alerts.webhook, &alerts.mail) {
        (Channel::Webhook, Some(address), _) => {
            webhook::send(address, alerts.webhook_secret.as_ref(), message, id, now).await
        }
        (Channel::Mail, _, Some(mail)) => mail::send(mail, message, id, now).await,
        _ => Err("it is configured no more".to_owned()),
    }
}

/// The name of a message: the same for the same alerts, so that a receiver can tell that it came twice.
fn id(group: &[Waiting]) -> String {
    let mut hash = Sha256::new();
    for Waiting { alert: Alert { kind, patient, since, .. }, .. } in group {
        let patient = patient.map_or(0, PatientId::get);
        hash.update(format!("{} {patient} {}\n", kind.as_str(), since.micros()));
    }
    let code = hash.finalize();
    uuid::Builder::from_sha1_bytes(code.first_chunk().copied().unwrap_or_default()).into_uuid().to_string()
}
