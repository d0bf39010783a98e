//! What there is to tell: who is silent, and what the daemon itself is in trouble with.

use std::time::Duration;

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::config::settings::Snapshot;
use crate::model::alert::{Alert, Channel, Kind};
use crate::model::export_health::{Exporting, Trouble};
use crate::model::silence::Cause;
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::operations::{alert_queue, silence};
use crate::store::outbox::outbox;

/// Nobody was read for so long: some ticks failed, and not one alone.
const STUCK_AFTER: Duration = Duration::from_hours(2);

/// What is found where the daemon itself is in trouble.
#[derive(Debug, Default)]
struct Troubles {
    /// What goes on.
    going_on: Vec<Alert>,
    /// What is over.
    over: Vec<Kind>,
}

/// What is known beside the store.
#[derive(Debug, Clone)]
pub struct View {
    /// Where alerts go.
    pub channels: Vec<Channel>,
    /// Whether a tick has begun and ended since the process began or the machine woke up: before, nobody has looked.
    pub has_read: bool,
    /// Whether observations are exported at all.
    pub exports: bool,
    /// Whether the export has had its time since then.
    pub has_exported: bool,
}

/// What there is to raise.
#[derive(Debug)]
pub struct News {
    settings: Snapshot,
    troubles: Troubles,
}

impl View {
    /// What is to be raised or forgotten, if anything is. Only reads.
    ///
    /// # Errors
    /// Where the tables cannot be read.
    pub fn news(&self, db: &Connection, now: Timestamp) -> Result<Option<News>, StoreError> {
        let settings = setting::all(db)?;
        let mut troubles = Troubles::default();
        if self.has_read {
            let (trouble, cause) = stuck(db, &settings, now)?;
            troubles.add(db, Kind::Stuck, trouble, cause)?;
        }
        let standing = if self.exports { outbox::standing(db, now)? } else { Exporting::default() };
        for (kind, trouble) in standing.troubles(now) {
            if self.has_exported || trouble == Trouble::Over {
                troubles.add(db, kind, trouble, None)?;
            }
        }
        let is_news = (self.has_read && silence::is_news(db, settings.silence_after(), now)?)
            || alert_queue::is_lacking(db, &self.channels, &troubles.going_on)?
            || !troubles.over.is_empty();
        Ok(is_news.then_some(News { settings, troubles }))
    }

    /// Raises it, and notes who is silent.
    ///
    /// # Errors
    /// Where the tables cannot be written.
    pub fn raise(&self, db: &Connection, news: &News, now: Timestamp) -> Result<(), StoreError> {
        if self.has_read {
            raise_silences(db, &self.channels, &news.settings, now)?;
        }
        for one in &news.troubles.going_on {
            alert_queue::raise(db, &self.channels, one, now)?;
        }
        news.troubles.over.iter().try_for_each(|kind| alert_queue::forget(db, *kind))
    }
}

impl Troubles {
    /// Takes in how a kind stands. A trouble that somebody was to be told of goes on from when it was found first.
    fn add(
        &mut self,
        db: &Connection,
        kind: Kind,
        trouble: Trouble,
        cause: Option<Cause>,
    ) -> Result<(), StoreError> {
        let known = alert_queue::known_since(db, kind)?;
        match (trouble, known) {
            (Trouble::Since(found), _) => {
                self.going_on.push(Alert { kind, patient: None, since: known.unwrap_or(found), cause });
            }
            (Trouble::Over, Some(_)) => self.over.push(kind),
            (Trouble::Over, None) | (Trouble::AsBefore, _) => {}
        }
        Ok(())
    }
}

fn raise_silences(
    db: &Connection,
    channels: &[Channel],
    settings: &Snapshot,
    now: Timestamp,
) -> Result<(), StoreError> {
    let news = silence::note(db, settings.silence_after(), now)?;
    for one in &news.going_on {
        let (patient, cause) = (Some(one.patient), Some(one.silence.cause));
        let silent = Alert { kind: Kind::Silent, patient, since: one.silence.since, cause };
        alert_queue::raise(db, channels, &silent, now)?;
    }
    for one in news.ended.iter().filter(|_| settings.tells_when_back()) {
        alert_queue::raise_back(db, one.patient, one.silence, now)?;
    }
    alert_queue::forget_ended(db, now)
}

/// Whether nobody is read, and the likely cause.
fn stuck(
    db: &Connection,
    settings: &Snapshot,
    now: Timestamp,
) -> Result<(Trouble, Option<Cause>), StoreError> {
    let patience = STUCK_AFTER.max(settings.poll_interval() * 3);
    let last = alert_queue::last_read(db)?.filter(|last| settings.is_on() && last.plus(patience) <= now);
    Ok(match last {
        Some(last) => (Trouble::Since(last), Some(alert_queue::stuck_by(db)?)),
        None => (Trouble::Over, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::operations::silence::tests::{self, start};

    const HOUR: Duration = Duration::from_hours(1);

    /// A patient who is quiet, with the polls switched on.
    fn quiet() -> Connection {
        let db = tests::quiet();
        setting::set(&db, "module.ow", "true").unwrap();
        db
    }

    fn view() -> View {
        View { channels: vec![Channel::Webhook], has_read: true, exports: true, has_exported: true }
    }

    /// What is to be told after a round, in order.
    fn raised(db: &Connection, view: &View, now: Timestamp) -> Vec<(Kind, Option<Cause>)> {
        if let Some(news) = view.news(db, now).unwrap() {
            view.raise(db, &news, now).unwrap();
        }
        let due = alert_queue::due(db, Channel::Webhook, now).unwrap();
        due.iter().map(|one| (one.alert.kind, one.alert.cause)).collect()
    }

    #[test]
    fn who_has_not_looked_since_the_machine_woke_up_tells_nothing() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        let asleep = View { has_read: false, has_exported: false, ..view() };
        assert_eq!(raised(&db, &asleep, now), []);
        let not_read = Some(Cause::NotRead);
        assert_eq!(raised(&db, &view(), now), [(Kind::Silent, not_read), (Kind::Stuck, not_read)]);
    }

    #[test]
    fn that_nobody_is_read_is_told_whatever_the_reason_and_only_while_it_lasts() {
        let (db, now) = (quiet(), start().plus(HOUR * 2));
        assert_eq!(raised(&db, &view(), start().plus(HOUR)), []);
        db.execute("UPDATE sync_status SET failed_polls = 1", []).unwrap();
        assert_eq!(raised(&db, &view(), now), [(Kind::Stuck, Some(Cause::OwDown))]);
        assert_eq!(
            raised(&db, &View { has_read: false, ..view() }, now),
            [(Kind::Stuck, Some(Cause::OwDown))]
        );
        db.execute("UPDATE sync_status SET fully_read_at = ?, failed_polls = 0", [now]).unwrap();
        assert_eq!(raised(&db, &view(), now), [], "what could not be told by then is not told any more");
        db.execute("UPDATE settings SET value = 'false' WHERE key = 'module.ow'", []).unwrap();
        assert_eq!(raised(&db, &view(), now.plus(HOUR * 3)), [], "switched off on purpose");
    }

    #[test]
    fn what_failed_for_somebody_who_is_read_no_more_is_no_cause() {
        let (db, now) = (quiet(), start().plus(HOUR * 2));
        db.execute_batch(
            "INSERT INTO patients (id, name, time_zone, created_at) VALUES (2, 'B', 'UTC', 0);
             INSERT INTO links (patient_id, ow_user_id, state, linked_at) VALUES (2, 'v', 'active', 0);
             INSERT INTO consents (patient_id, code_id, granted_at, withdrawn_at) VALUES (2, 1, 1, 2);",
        )
        .unwrap();
        db.execute(
            "INSERT INTO sync_status (patient_id, fully_read_at, failed_polls) VALUES (2, ?, 1)",
            [now],
        )
        .unwrap();
        assert!(raised(&db, &view(), now).contains(&(Kind::Stuck, Some(Cause::NotRead))));
    }
}
