//! The history of a patient in one list: audit entries in plain words, and what the store knows besides.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use rusqlite::Connection;

use crate::common::counted::counted;
use crate::common::time::Timestamp;
use crate::model::account::{Actor, VisibleTo};
use crate::model::{catalog::source::data_source_name, patient::PatientId};
use crate::store::error::StoreError;
use crate::store::people::consent::ConsentEntry;
use crate::store::people::device_connection::{ConnectionState, DeviceConnection};
use crate::store::people::invitation::{Invitation, InvitationState};
use crate::store::people::{account, study};
use crate::store::privacy::{audit, audit_entry::AuditEntry};
use crate::web::layout::{format_local, length};

/// Entries that the page shows; the audit has all.
const SHOWN: u32 = 30;

/// Known actions of the audit, each with its words and whether they end in the detail. Consents are not among them: the
/// store knows their texts.
const ACTIONS: &[(&str, &str, Detail)] = &[
    ("patient.add", "Added", Detail::None),
    ("patient.change", "Name or address changed", Detail::None),
    ("patient.match", "Matched with a patient of JHE", Detail::None),
    ("patient.time-zone", "Time zone changed", Detail::None),
    ("patient.link", "Linked to Open Wearables", Detail::None),
    ("patient.unlink", "Link to Open Wearables ended", Detail::None),
    ("patient.export", "Everything about the patient exported", Detail::None),
    ("patient.readmit", "Readmitted after an erasure", Detail::None),
    ("study.complete", "Completed", Detail::Study),
    ("collection.change", "Last day changed for", Detail::Study),
    ("study.enrol", "Enrolled in", Detail::Study),
    ("study.download", "Exported with the data of", Detail::Study),
    ("invitation.issue", "Invited", Detail::None),
    ("invitation.links", "Invited", Detail::None),
    ("invitation.reopen", "Invitation opened in another browser", Detail::None),
    ("mail.queue", "Mail queued:", Detail::Mail),
    ("mail.sent", "Mail sent:", Detail::Mail),
    ("mail.refused", "Mail not sent:", Detail::Mail),
    ("invitation.use", "Invitation answered", Detail::None),
    ("invitation.revoke", "Invitation revoked", Detail::None),
    ("consent.confirm", "Consent confirmed after a restore", Detail::None),
    ("device.authorize", "Went to connect", Detail::Provider),
    ("device.disconnect", "Disconnected", Detail::Provider),
    ("reminders.agree", "Agreed to reminders by mail of", Detail::Study),
    ("reminders.stop", "Stopped the reminders by mail of", Detail::Study),
    ("poll", "Asked for a", Detail::Words),
    ("poll.result", "Result of the", Detail::Words),
    ("session.end", "Signed out in every browser", Detail::None),
    ("api-token.make", "API token made", Detail::None),
    ("api-token.revoke", "API token revoked", Detail::None),
    ("data.download", "Downloaded their own data", Detail::None),
    ("data.erase", "Withdrawn data erased", Detail::None),
    ("export.retry-dead", "Refused observations sent to JHE again", Detail::None),
];

/// The use of an entry's detail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    None,
    /// `study 3 …` becomes the study's name.
    Study,
    Provider,
    /// The kind of a mail, such as `reminder study 3`.
    Mail,
    /// Fixed words that read well as they are.
    Words,
}

/// The entries that the page shows, the newest first.
pub(crate) struct PatientHistory {
    entries: Vec<HistoryEntry>,
}

/// Something that happened to a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryEntry {
    at: Timestamp,
    /// `good`, `warn` or `idle`.
    tone: &'static str,
    text: String,
    by: Option<String>,
}

impl HistoryEntry {
    pub(crate) fn new(at: Timestamp, tone: &'static str, text: impl Into<String>) -> Self {
        Self { at, tone, text: text.into(), by: None }
    }
}

impl PatientHistory {
    /// Joins the audit with entries that the store implies. An account that may not read the audit gets those alone.
    pub(crate) fn load(
        db: &Connection,
        visible_to: VisibleTo,
        id: PatientId,
        derived: Vec<HistoryEntry>,
    ) -> Result<Self, StoreError> {
        let actions: Vec<&str> = ACTIONS.iter().map(|(action, ..)| *action).collect();
        let mut entries = derived;
        for entry in audit::list_history(db, visible_to, id, &actions, SHOWN)? {
            entries.extend(describe(db, entry)?);
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        entries.truncate(SHOWN as usize);
        Ok(Self { entries })
    }

    pub(crate) fn render(&self, zone: &TimeZone) -> Markup {
        html! {
            section aria-labelledby="history-title" {
                h2 #history-title { "History" }
                @if self.entries.is_empty() { p.empty { "Nothing has happened yet." } } @else {
                    ol.card.log { @for entry in &self.entries { li {
                        time datetime=(entry.at) { (format_local(zone, entry.at, "%a %-d %b %Y, %H:%M")) }
                        span {
                            span class={ "mark " (entry.tone) } aria-hidden="true" { (mark(entry.tone)) } " "
                            (entry.text) @if let Some(by) = &entry.by { " " span.fine { "by " (by) } }
                        }
                    } } }
                }
            }
        }
    }
}

fn mark(tone: &str) -> &'static str {
    match tone {
        "good" => "●",
        "warn" => "▲",
        _ => "○",
    }
}

/// Puts an entry of the audit into words; none for an unknown action.
fn describe(db: &Connection, entry: AuditEntry) -> Result<Option<HistoryEntry>, StoreError> {
    let Some((action, words, detail)) = ACTIONS.iter().find(|(action, ..)| *action == entry.action) else {
        return Ok(None);
    };
    let number = |text: &str| text.split(' ').nth(1).and_then(|number| number.parse::<i64>().ok());
    let more = match detail {
        Detail::None => String::new(),
        Detail::Words => entry.detail.clone(),
        Detail::Provider => data_source_name(&entry.detail).to_owned(),
        Detail::Mail => entry.detail.split(' ').next().unwrap_or_default().replace('-', " "),
        Detail::Study => match entry.detail.split(' ').nth(1).and_then(|id| id.parse().ok()) {
            // A study that is gone has no name any more.
            Some(id) => study::find(db, id).map_or_else(|_| "a study".to_owned(), |study| study.terms.name),
            None => String::new(),
        },
    };
    let by = match entry.actor.split_once(' ').map(|(kind, _)| kind) {
        Some("account") => {
            let id = number(&entry.actor).map(crate::model::account::AccountId);
            let known = id.map(|id| account::find(db, id)).transpose()?.flatten();
            Some(known.map_or(entry.actor, |account| account.name))
        }
        Some("patient") => Some("the patient".to_owned()),
        _ if entry.actor == Actor::Daemon.to_string() || entry.actor == Actor::Visitor.to_string() => None,
        _ => Some(entry.actor),
    };
    let tone = match *action {
        "study.complete" | "invitation.use" => "good",
        "reminders.stop" | "mail.refused" | "device.disconnect" | "patient.unlink" | "data.erase" => "warn",
        _ => "idle",
    };
    let text = format!("{words} {more}").trim_end().to_owned();
    Ok(Some(HistoryEntry { at: entry.at, tone, text, by }))
}

/// Lists grants, refusals and withdrawals; those of the same moment and text are one entry.
pub(crate) fn of_consents(consents: &[ConsentEntry]) -> Vec<HistoryEntry> {
    let mut groups: Vec<(Timestamp, &'static str, String, Vec<&str>)> = Vec::new();
    let mut add = |at: Timestamp, tone, words: String, name| match groups
        .iter_mut()
        .find(|(when, _, text, _)| *when == at && *text == words)
    {
        Some((.., names)) => names.push(name),
        None => groups.push((at, tone, words, vec![name])),
    };
    for entry in consents {
        let (name, grant) = (entry.scope.display.as_str(), entry.grant);
        let agreed = match &entry.text {
            Some((version, language, _)) => format!("greed to text {version} ({language})"),
            None if entry.study.is_none() => "greed, as recorded by hand".to_owned(),
            None => "greed to a text that is not recorded here".to_owned(),
        };
        if grant.is_refusal() {
            add(grant.granted, "idle", format!("Not a{agreed}"), name);
            continue;
        }
        add(grant.granted, "good", format!("A{agreed}"), name);
        if let Some(at) = grant.withdrawn {
            add(at, "warn", "Withdrew".to_owned(), name);
        }
    }
    let entry = |(at, tone, words, names): (Timestamp, &'static str, String, Vec<&str>)| {
        let what = if names.len() > 3 { counted(names.len(), "data type") } else { names.join(", ") };
        HistoryEntry::new(at, tone, format!("{words}: {what}"))
    };
    groups.into_iter().map(entry).collect()
}

/// Lists the invitations that nobody answered in time.
pub(crate) fn of_invitations(invitations: &[(Invitation, InvitationState)]) -> Vec<HistoryEntry> {
    let expired = invitations.iter().filter(|(_, state)| *state == InvitationState::Expired);
    expired
        .map(|(one, _)| HistoryEntry::new(one.expires, "warn", "Invitation expired without an answer"))
        .collect()
}

/// Lists the connections that are or were active.
pub(crate) fn of_devices(devices: &[DeviceConnection]) -> Vec<HistoryEntry> {
    let entry = |device: &DeviceConnection| {
        let name = data_source_name(&device.provider);
        match device.state {
            ConnectionState::Active => {
                Some(HistoryEntry::new(device.changed, "good", format!("Connected {name}")))
            }
            ConnectionState::Ended => {
                Some(HistoryEntry::new(device.changed, "warn", format!("Connection to {name} ended")))
            }
            ConnectionState::Authorizing | ConnectionState::Ending => None,
        }
    };
    devices.iter().filter_map(entry).collect()
}

/// Lists the newest data, and the time at which their absence became a silence.
pub(crate) fn of_data(
    newest: Option<Timestamp>,
    is_silent: bool,
    after: std::time::Duration,
) -> Vec<HistoryEntry> {
    let Some(newest) = newest else { return Vec::new() };
    let mut entries = vec![HistoryEntry::new(newest, "idle", "Newest measurement")];
    if is_silent {
        let text = format!("Silent: {} without data", length(after));
        entries.push(HistoryEntry::new(newest.plus(after), "warn", text));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::consent_intervals::Grant;
    use crate::model::study::Scope;

    fn consent(display: &str, granted: i64, withdrawn: Option<i64>) -> ConsentEntry {
        let at = Timestamp::from_micros;
        ConsentEntry {
            scope: Scope { code: String::new(), display: display.into() },
            study: None,
            grant: Grant { granted: at(granted), withdrawn: withdrawn.map(at), covers_from: None },
            text: None,
        }
    }

    #[test]
    fn consents_of_one_moment_are_one_entry() {
        let all = [
            consent("Heart Rate", 5, None),
            consent("Steps", 5, Some(9)),
            consent("Sleep", 5, Some(9)),
            consent("Weight", 5, None),
            consent("Height", 7, Some(7)),
        ];
        let texts: Vec<(i64, String)> =
            of_consents(&all).into_iter().map(|entry| (entry.at.micros(), entry.text)).collect();
        let text = |words: &str| words.to_owned();
        assert_eq!(
            texts,
            [
                (5, text("Agreed, as recorded by hand: 4 data types")),
                (9, text("Withdrew: Steps, Sleep")),
                (7, text("Not agreed, as recorded by hand: Height")),
            ]
        );
    }

    #[test]
    fn a_silence_is_dated_when_it_began() {
        let hours = |hours| std::time::Duration::from_hours(hours);
        let newest = Timestamp::parse("2026-11-19T12:00:00Z").unwrap();
        let entries = of_data(Some(newest), true, hours(48));
        assert_eq!(entries[1].at, newest.plus(hours(48)));
        assert_eq!(of_data(Some(newest), false, hours(48)).len(), 1);
        assert!(of_data(None, true, hours(48)).is_empty());
    }
}
