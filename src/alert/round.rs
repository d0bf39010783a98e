//! A round: who is silent now, what of it is still to be told, and telling it.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Alert, Channel, Exporting, Kind, Message, Trouble, mail, webhook};
use crate::clock::Clock;
use crate::config::{Alerts, Config};
use crate::patient::PatientId;
use crate::settings::Snapshot;
use crate::silence::Cause;
use crate::store::alert::{self, Waiting};
use crate::store::{Store, StoreError, outbox, setting, silence};
use crate::time::Timestamp;

/// More than so many at once are one message: when OW is down, everybody falls silent.
const MOST_MESSAGES: usize = 5;
/// Nobody was read for so long: some ticks failed, and not one.
const STUCK_AFTER: Duration = Duration::from_hours(2);

/// What a round works with.
#[derive(Debug)]
pub struct Round<'a> {
    /// Where everything is kept.
    pub store: &'a Store,
    /// Where "now" comes from.
    pub clock: &'a Clock,
    /// Where alerts go, and where browsers reach this daemon.
    pub config: &'a Config,
    /// Whether the last tick could not do its work at all.
    pub is_failing: bool,
}

/// What is found where the daemon itself is in trouble.
#[derive(Debug, Default)]
struct Troubles {
    /// What goes on.
    going_on: Vec<Alert>,
    /// What is over.
    over: Vec<Kind>,
}

/// The channels that are configured.
pub(super) fn channels(alerts: &Alerts) -> Vec<Channel> {
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
        let (channels, now) = (channels(&self.config.alerts), self.clock.now());
        let (wanted, is_failing, exports) = (channels.clone(), self.is_failing, self.config.exports());
        // Most rounds find nothing new, and write nothing.
        let look = move |db: &_| {
            let settings = Snapshot::new(setting::all(db)?);
            let mut troubles = exporting(db, exports, now)?;
            troubles.going_on.extend(stuck(db, &settings, is_failing, now)?);
            let is_news = silence::is_news(db, settings.silence_after(), now)?
                || alert::is_lacking(db, &wanted, &troubles.going_on)?
                || !troubles.over.is_empty();
            Ok(is_news.then_some((settings, troubles)))
        };
        if let Some((settings, troubles)) = self.store.read(look).await? {
            let wanted = channels.clone();
            self.store.write(move |db| raise(db, &wanted, &settings, &troubles, now)).await?;
        }
        for channel in channels {
            self.tell(channel).await?;
        }
        Ok(())
    }

    async fn tell(&self, channel: Channel) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = self.store.read(move |db| alert::due(db, channel, now)).await?;
        let base = self.config.public_base();
        let size = if due.len() > MOST_MESSAGES { due.len() } else { 1 };
        for group in due.chunks(size) {
            let alerts: Vec<Alert> = group.iter().map(|one| one.alert).collect();
            let Some(message) = Message::of(&alerts, &base) else { continue };
            let sent = send(&self.config.alerts, channel, &message, &id(group), now).await;
            if let Err(error) = &sent {
                tracing::warn!(
                    channel = channel.as_str(),
                    alerts = group.len(),
                    "an alert is tried again later: {error}"
                );
            } else {
                tracing::info!(channel = channel.as_str(), "{}", message.subject);
            }
            let ids: Vec<i64> = group.iter().map(|one| one.id).collect();
            self.store.write(move |db| alert::note(db, &ids, &sent, now)).await?;
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

pub(super) async fn send(
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

fn raise(
    db: &rusqlite::Connection,
    channels: &[Channel],
    settings: &Snapshot,
    troubles: &Troubles,
    now: Timestamp,
) -> Result<(), StoreError> {
    let news = silence::note(db, settings.silence_after(), now)?;
    let silent = news.going_on.iter().map(|one| Alert {
        kind: Kind::Silent,
        patient: Some(one.patient),
        since: one.silence.since,
        cause: Some(one.silence.cause),
    });
    for one in silent.chain(troubles.going_on.iter().copied()) {
        alert::raise(db, channels, &one, now)?;
    }
    for kind in &troubles.over {
        alert::forget(db, *kind)?;
    }
    for one in news.ended.iter().filter(|_| settings.tells_when_back()) {
        alert::raise_back(db, one.patient, one.silence, now)?;
    }
    alert::forget_ended(db, now)
}

/// That nobody is read, where polls fail: a machine that slept has not failed.
fn stuck(
    db: &rusqlite::Connection,
    settings: &Snapshot,
    is_failing: bool,
    now: Timestamp,
) -> Result<Option<Alert>, StoreError> {
    if !settings.is_on() {
        return Ok(None);
    }
    let patience = STUCK_AFTER.max(settings.poll_interval() * 3);
    let Some(since) = alert::last_read(db)?.filter(|last| last.plus(patience) <= now) else {
        return Ok(None);
    };
    let cause = alert::stuck_by(db)?;
    let alert = Alert { kind: Kind::Stuck, patient: None, since, cause: Some(cause) };
    Ok((is_failing || cause == Cause::OwDown).then_some(alert))
}

/// What keeps observations from JHE. A trouble that was told goes on from when it was found first.
fn exporting(db: &rusqlite::Connection, exports: bool, now: Timestamp) -> Result<Troubles, StoreError> {
    let standing = if exports { outbox::standing(db, now)? } else { Exporting::default() };
    let mut troubles = Troubles::default();
    for (kind, trouble) in standing.troubles(now) {
        let known = alert::known_since(db, kind)?;
        match (trouble, known) {
            (Trouble::Since(found), _) => {
                let since = known.unwrap_or(found);
                troubles.going_on.push(Alert { kind, patient: None, since, cause: None });
            }
            (Trouble::Over, Some(_)) => troubles.over.push(kind),
            (Trouble::Over, None) | (Trouble::AsBefore, _) => {}
        }
    }
    Ok(troubles)
}
