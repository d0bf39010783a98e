//! Applies the alert rules and sends the queued alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use crate::alerts::{message::AlertMessage, webhook};
use crate::common::{clock::Clock, time::Timestamp};
use crate::config::{alerts::Alerts, load::Config};
use crate::mail::smtp;
use crate::model::alert::{Alert, Channel};
use crate::model::patient::PatientId;
use crate::store::operations::alert_queue::{self, QueuedAlert};
use crate::store::operations::alert_rules::Conditions;
use crate::store::{engine::store::Store, error::StoreError};

/// With more alerts than this, all go into one message: when OW is down, all patients fall silent at once.
const MAX_MESSAGES: usize = 5;
/// Longest wait for the first tick after a start or a suspend; then alerts are sent anyway.
const TICK_TIME: Duration = Duration::from_hours(2);
/// Time after a start or a suspend that the export gets: it begins at once, and JHE may take a minute per
/// batch.
const EXPORT_TIME: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(crate) struct Dispatcher<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a Clock,
    pub(crate) config: &'a Config,
    /// The start of the process, or the end of the last suspend.
    pub(crate) awake_since: Timestamp,
    /// The beginning of the last tick that has ended.
    pub(crate) tick_began: Option<Timestamp>,
}

/// Lists the configured channels.
pub(crate) fn channels(alerts: &Alerts) -> Vec<Channel> {
    let webhook = alerts.webhook.is_some().then_some(Channel::Webhook);
    let has_recipient = alerts.mail.as_ref().is_some_and(|mail| !mail.to.is_empty());
    webhook.into_iter().chain(has_recipient.then_some(Channel::Mail)).collect()
}

impl Dispatcher<'_> {
    /// Queues new alerts and sends all that are due. Each alert is sent at least once per channel, also across
    /// restarts. A repeat has the same message id.
    pub(crate) async fn run(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let awake = now.since(self.awake_since);
        let conditions = Conditions {
            channels: channels(&self.config.alerts),
            has_read: self.tick_began.is_some_and(|began| began >= self.awake_since) || awake >= TICK_TIME,
            exports: self.config.exports(),
            has_exported: awake >= EXPORT_TIME,
        };
        let channels = conditions.channels.clone();
        // Most runs find nothing new, so the rules are evaluated without a write transaction first.
        let rules = conditions.clone();
        if let Some(pending) = self.store.read(move |db| rules.evaluate(db, now)).await? {
            self.store.write(move |db| conditions.enqueue(db, &pending, now)).await?;
        }
        // In parallel: a channel that hangs does not delay the other.
        let sent = join_all(channels.into_iter().map(|channel| self.send_due(channel))).await;
        sent.into_iter().collect()
    }

    async fn send_due(&self, channel: Channel) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = self.store.read(move |db| alert_queue::list_due(db, channel, now)).await?;
        let base = self.config.public_base();
        let size = if due.len() > MAX_MESSAGES { due.len() } else { 1 };
        let mut waiting = due.as_slice();
        while !waiting.is_empty() {
            let (group, rest) = waiting.split_at(size.min(waiting.len()));
            let alerts: Vec<Alert> = group.iter().map(|one| one.alert).collect();
            let Some(message) = AlertMessage::from_alerts(&alerts, &base) else { break };
            let sent = send(&self.config.alerts, channel, &message, &message_id(group), now).await;
            let attempted = match &sent {
                Ok(()) => {
                    tracing::info!(channel = channel.as_str(), "{}", message.subject);
                    waiting = rest;
                    group
                }
                Err(error) => {
                    let (channel, alerts) = (channel.as_str(), waiting.len());
                    tracing::warn!(channel, alerts, "alerts were not sent and will be retried: {error}");
                    // A receiver that refuses one message would refuse the next: all wait for the next
                    // attempt.
                    std::mem::take(&mut waiting)
                }
            };
            let ids: Vec<i64> = attempted.iter().map(|one| one.id).collect();
            self.store.write(move |db| alert_queue::record_attempt(db, &ids, &sent, now)).await?;
        }
        Ok(())
    }
}

/// Sends a test message on each configured channel; returns the result of each.
pub(crate) async fn send_test(config: &Config, now: Timestamp) -> BTreeMap<Channel, Result<(), String>> {
    let message = AlertMessage::test(&config.public_base());
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
    message: &AlertMessage,
    id: &str,
    now: Timestamp,
) -> Result<(), String> {
    match (channel, &alerts.webhook, &alerts.mail) {
        (Channel::Webhook, Some(address), _) => {
            webhook::send(address, alerts.webhook_secret.as_ref(), message, id, now).await
        }
        (Channel::Mail, _, Some(mail)) => {
            smtp::send(mail, &message.as_mail(id, &mail.to), now).await.map_err(|error| error.to_string())
        }
        _ => Err("the channel is no longer configured".to_owned()),
    }
}

/// Returns the id of a message: the same for the same alerts, so that a receiver recognizes one that comes
/// twice.
fn message_id(group: &[QueuedAlert]) -> String {
    let mut hash = Sha256::new();
    for QueuedAlert { alert: Alert { kind, patient, since, .. }, .. } in group {
        let patient = patient.map_or(0, PatientId::get);
        hash.update(format!("{} {patient} {}\n", kind.as_str(), since.micros()));
    }
    let digest = hash.finalize();
    uuid::Builder::from_sha1_bytes(digest.first_chunk().copied().unwrap_or_default()).into_uuid().to_string()
}
