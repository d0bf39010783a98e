use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::model::alert::Alert;
use crate::model::patient::PatientId;

/// Alerts that one message to a program lists; it counts them all.
const LISTED: usize = 100;

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
    pub(crate) fn unkept(why: &str, since: Timestamp, base: &str) -> Self {
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
    use crate::model::alert::Kind;
    use crate::model::silence::Cause;

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
