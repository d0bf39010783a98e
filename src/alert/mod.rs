//! What is told to people who do not look at the pages: that a patient is silent, once, without anything measured and
//! without a name.

mod mail;
mod round;
mod webhook;

pub use round::{Round, test};

use serde_json::{Value, json};

use crate::patient::PatientId;
use crate::silence::Cause;
use crate::time::Timestamp;

/// Where alerts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The webhook of the configuration.
    Webhook,
    /// Mail, through the server of the configuration.
    Mail,
}

impl Channel {
    /// As the table writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A patient is silent.
    Silent,
    /// A patient who was silent is so no more.
    Back,
    /// Nobody's data could be read for a while.
    Stuck,
}

impl Kind {
    /// As the table and the webhook write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Back => "back",
            Self::Stuck => "stuck",
        }
    }

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Silent, Self::Back, Self::Stuck].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One thing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// What.
    pub kind: Kind,
    /// Of whom; none where it is about the daemon.
    pub patient: Option<PatientId>,
    /// Since when.
    pub since: Timestamp,
    /// The likely cause.
    pub cause: Cause,
}

/// A message as it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The subject of a mail.
    pub subject: String,
    /// What a person reads.
    pub text: String,
    /// What a program reads; a chat takes its `text`.
    pub body: Value,
}

impl Alert {
    fn sentence(&self) -> String {
        let Self { since, cause, .. } = self;
        let who = self.patient.map(|patient| format!("Patient {patient}"));
        match (self.kind, who) {
            (Kind::Silent, Some(who)) => format!(
                "{who} is silent: nothing measured since {since} has come in. Likely: {}. {}",
                cause.words(),
                cause.next()
            ),
            (Kind::Back, Some(who)) => {
                format!("{who} is back: data come in again, after a silence since {since}.")
            }
            _ => format!(
                "Nobody's data have been read since {since}. Likely: {}. {}",
                cause.words(),
                cause.next()
            ),
        }
    }

    fn link(&self, base: &str) -> String {
        self.patient
            .map_or_else(|| format!("{base}/admin"), |patient| format!("{base}/admin/patients/{patient}"))
    }

    fn document(&self, base: &str) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "patient": self.patient.map(PatientId::get),
            "since": self.since.to_string(),
            "cause": self.cause.as_str(),
            "link": self.link(base),
        })
    }
}

impl Message {
    /// One message of these alerts; none where there are none. `base` is where browsers reach this daemon.
    pub fn of(alerts: &[Alert], base: &str) -> Option<Self> {
        let first = alerts.first()?;
        if alerts.len() == 1 {
            let (subject, link) = (subject(first), first.link(base));
            let text = format!("{} {link}", first.sentence());
            let mut body = first.document(base);
            body["text"] = text.clone().into();
            return Some(Self { subject, text, body });
        }
        let subject = format!("jhe-ow: {} alerts", alerts.len());
        let lines: Vec<String> =
            alerts.iter().map(|one| format!("{} {}", one.sentence(), one.link(base))).collect();
        let text = lines.join("\n");
        let documents: Vec<Value> = alerts.iter().map(|one| one.document(base)).collect();
        let body = json!({ "kind": "several", "text": text, "alerts": documents });
        Some(Self { subject, text, body })
    }

    /// The message that shows whether messages arrive.
    pub fn test(base: &str) -> Self {
        let text = format!("jhe-ow at {base} tests its alerts: they arrive here.");
        let body = json!({ "kind": "test", "text": text, "link": format!("{base}/admin") });
        Self { subject: "jhe-ow: test".to_owned(), text, body }
    }
}

fn subject(alert: &Alert) -> String {
    match (alert.kind, alert.patient) {
        (Kind::Silent, Some(patient)) => format!("jhe-ow: patient {patient} is silent"),
        (Kind::Back, Some(patient)) => format!("jhe-ow: patient {patient} is back"),
        _ => "jhe-ow: nobody's data are read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(patient: i64) -> Alert {
        let since = Timestamp::parse("2026-11-20T07:00:00Z").unwrap();
        Alert { kind: Kind::Silent, patient: Some(PatientId::new(patient)), since, cause: Cause::NotWorn }
    }

    #[test]
    fn one_alert_is_told_with_its_number_its_cause_and_where_to_look() {
        let message = Message::of(&[alert(7)], "https://ow.example.org").unwrap();
        assert_eq!(message.subject, "jhe-ow: patient 7 is silent");
        assert_eq!(message.body["cause"], "not_worn");
        assert_eq!(message.body["link"], "https://ow.example.org/admin/patients/7");
        assert_eq!(message.body["text"].as_str(), Some(message.text.as_str()));
        assert!(message.text.starts_with("Patient 7 is silent"), "{}", message.text);
    }

    #[test]
    fn several_are_one_message() {
        let message = Message::of(&[alert(7), alert(8)], "http://x").unwrap();
        assert_eq!((message.text.lines().count(), message.body["alerts"].as_array().unwrap().len()), (2, 2));
        assert_eq!(Message::of(&[], "http://x"), None);
    }
}
