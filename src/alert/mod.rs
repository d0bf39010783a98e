//! What is told to people who do not look at the pages: that a patient is silent, that nobody is read, that observations
//! do not get to JHE, that nothing can be kept. Each once, without anything measured and without a name.

mod awake;
mod export;
mod mail;
mod outage;
mod round;
mod webhook;

pub use awake::Awake;
pub use export::{Exporting, Trouble};
pub use outage::Outage;
pub use round::{Round, test};

use serde_json::{Value, json};

use crate::patient::PatientId;
use crate::silence::Cause;
use crate::time::Timestamp;

/// Patients whom one line names: people read some and then count.
const NAMED: usize = 20;
/// Alerts that one message to a program lists; it counts them all.
const LISTED: usize = 100;

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
    /// Observations are overdue at JHE.
    Unsent,
    /// Observations wait until somebody mends something at JHE.
    Held,
    /// JHE refuses observations for good.
    Refused,
}

impl Kind {
    const ALL: &[Self] = &[Self::Silent, Self::Back, Self::Stuck, Self::Unsent, Self::Held, Self::Refused];

    /// As the table and the webhook write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Back => "back",
            Self::Stuck => "stuck",
            Self::Unsent => "unsent",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
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
    /// The likely cause, where nobody's data come in, or one patient's.
    pub cause: Option<Cause>,
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
    /// What happened, in the words of a subject.
    fn subject(&self) -> String {
        let who = self.patient.map_or_else(|| "somebody".to_owned(), |patient| format!("patient {patient}"));
        match self.kind {
            Kind::Silent => format!("{who} is silent"),
            Kind::Back => format!("{who} is back"),
            Kind::Stuck => "nobody's data are read".to_owned(),
            Kind::Unsent => "observations do not get to JHE".to_owned(),
            Kind::Held => "JHE lacks something that observations wait for".to_owned(),
            Kind::Refused => "JHE refuses observations".to_owned(),
        }
    }

    fn sentence(&self) -> String {
        let since = self.since;
        let what = match self.kind {
            Kind::Silent => format!("nothing measured since {since} has come in."),
            Kind::Back => format!("data come in again, after a silence since {since}."),
            Kind::Stuck => format!("nothing has been read since {since}."),
            Kind::Unsent => format!(
                "they have been waiting since {since}. The overview says what the last export met; jhe-ow doctor finds \
                 out why."
            ),
            Kind::Held => {
                "the overview and jhe-ow doctor say what. They are sent once it is there.".to_owned()
            }
            Kind::Refused => format!(
                "the first of them at {since}. Their patients' pages have its words; once that is mended, jhe-ow export \
                 --retry-dead sends them again."
            ),
        };
        let mut sentence = format!("{}: {what}{}", self.subject(), self.why());
        if let Some(first) = sentence.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        sentence
    }

    /// What happened to these patients, of whom this is one.
    fn of_many(&self, patients: &[PatientId]) -> String {
        let named: Vec<String> = patients.iter().take(NAMED).map(ToString::to_string).collect();
        let more = match patients.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = if self.kind == Kind::Back { "back" } else { "silent" };
        format!("{} patients are {what}: {}{more}.{}", patients.len(), named.join(", "), self.why())
    }

    /// The likely cause and what to do about it, after a space.
    fn why(&self) -> String {
        let why = self.cause.filter(|_| self.kind != Kind::Back);
        why.map(|cause| format!(" Likely: {}. {}", cause.words(), cause.next())).unwrap_or_default()
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
            "cause": self.cause.map(Cause::as_str),
            "link": self.link(base),
        })
    }
}

impl Message {
    /// One message of these alerts; none where there are none. `base` is where browsers reach this daemon. Many alerts
    /// alike are one sentence: when OW is down, everybody falls silent, and a chat takes some thousand characters.
    pub fn of(alerts: &[Alert], base: &str) -> Option<Self> {
        let first = alerts.first()?;
        if alerts.len() == 1 {
            let (subject, link) = (format!("jhe-ow: {}", first.subject()), first.link(base));
            let text = format!("{} {link}", first.sentence());
            let mut body = first.document(base);
            body["text"] = text.clone().into();
            return Some(Self { subject, text, body });
        }
        let subject = format!("jhe-ow: {} alerts", alerts.len());
        let text = lines(alerts, base).join("\n");
        let documents: Vec<Value> = alerts.iter().take(LISTED).map(|one| one.document(base)).collect();
        let body = json!({ "kind": "several", "text": text, "count": alerts.len(), "alerts": documents });
        Some(Self { subject, text, body })
    }

    /// That nothing can be kept, and why.
    fn unkept(why: &str, since: Timestamp, base: &str) -> Self {
        let text =
            format!("Nothing can be kept since {since}: {why}. {base}/readyz says when it can be again.");
        let body = json!({ "kind": "unkept", "since": since.to_string(), "text": text, "link": format!("{base}/readyz") });
        Self { subject: "jhe-ow: nothing can be kept".to_owned(), text, body }
    }

    /// The message that shows whether messages arrive.
    pub fn test(base: &str) -> Self {
        let text = format!("jhe-ow at {base} tests its alerts: they arrive here.");
        let body = json!({ "kind": "test", "text": text, "link": format!("{base}/admin") });
        Self { subject: "jhe-ow: test".to_owned(), text, body }
    }
}

/// A line for each kind and cause.
fn lines(alerts: &[Alert], base: &str) -> Vec<String> {
    let mut alike: Vec<(&Alert, Vec<PatientId>)> = Vec::new();
    for alert in alerts {
        let patients = alert.patient.into_iter();
        match alike.iter_mut().find(|(one, _)| (one.kind, one.cause) == (alert.kind, alert.cause)) {
            Some((_, known)) => known.extend(patients),
            None => alike.push((alert, patients.collect())),
        }
    }
    let line = |(alert, patients): (&Alert, Vec<PatientId>)| match patients.as_slice() {
        [] | [_] => format!("{} {}", alert.sentence(), alert.link(base)),
        patients => format!("{} {base}/admin/patients", alert.of_many(patients)),
    };
    alike.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(patient: i64) -> Alert {
        let since = Timestamp::parse("2026-11-20T07:00:00Z").unwrap();
        Alert {
            kind: Kind::Silent,
            patient: Some(PatientId::new(patient)),
            since,
            cause: Some(Cause::NotWorn),
        }
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
    fn several_are_one_message_and_those_alike_one_line_of_it() {
        let stuck = Alert { kind: Kind::Stuck, patient: None, cause: Some(Cause::OwDown), ..alert(1) };
        let message = Message::of(&[alert(7), stuck, alert(8)], "http://x").unwrap();
        let lines: Vec<&str> = message.text.lines().collect();
        assert_eq!((lines.len(), message.body["count"].as_u64()), (2, Some(3)), "{message:?}");
        assert!(lines[0].starts_with("2 patients are silent: 7, 8. Likely: not worn"), "{message:?}");
        assert!(lines[1].starts_with("Nobody's data are read: "), "{message:?}");
        assert_eq!(Message::of(&[], "http://x"), None);
    }

    #[test]
    fn a_message_of_everybody_is_short_enough_for_a_chat() {
        let everybody: Vec<Alert> = (1..=10_000).map(alert).collect();
        let message = Message::of(&everybody, "http://x").unwrap();
        assert!(message.text.len() < 1000 && message.body.to_string().len() < 100_000, "{}", message.text);
        assert!(
            message.text.contains("10000 patients are silent: 1, 2,")
                && message.text.contains(" and 9980 more.")
        );
        assert_eq!(message.body["alerts"].as_array().unwrap().len(), LISTED);
    }
}
