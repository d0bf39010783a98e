//! Renders alerts as text for people and JSON for programs.

use lettre::message::Mailbox;
use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::mail::smtp::OutgoingMail;
use crate::model::{alert::Alert, patient::PatientId};

/// Alerts that the JSON of one message lists; its `count` is of all.
const LISTED: usize = 100;

/// A message about one or several alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertMessage {
    pub subject: String,
    /// Plain text for people.
    pub text: String,
    /// JSON for programs; a chat shows its `text`.
    pub body: Value,
}

impl AlertMessage {
    /// Renders one message; none for no alerts. `base` is the address of this daemon for browsers. Similar
    /// alerts share a sentence: when OW is down, all patients fall silent, and a chat takes some thousand
    /// characters.
    pub fn from_alerts(alerts: &[Alert], base: &str) -> Option<Self> {
        let first = alerts.first()?;
        if alerts.len() == 1 {
            let (subject, link) = (format!("jhe-ow: {}", first.subject()), first.link(base));
            let text = format!("{} {link}", first.sentence());
            let mut body = first.render_json(base);
            body["text"] = text.clone().into();
            return Some(Self { subject, text, body });
        }
        let subject = format!("jhe-ow: {} alerts", alerts.len());
        let text = lines(alerts, base).join("\n");
        let documents: Vec<Value> = alerts.iter().take(LISTED).map(|one| one.render_json(base)).collect();
        let body = json!({ "kind": "several", "text": text, "count": alerts.len(), "alerts": documents });
        Some(Self { subject, text, body })
    }

    /// Renders the alert about a store that cannot be written.
    pub(crate) fn store_outage(error: &str, since: Timestamp, base: &str) -> Self {
        let text =
            format!("No data can be stored since {since}: {error}. {base}/readyz says when it works again.");
        let body = json!({ "kind": "unkept", "since": since.to_string(), "text": text, "link": format!("{base}/readyz") });
        Self { subject: "jhe-ow: no data can be stored".to_owned(), text, body }
    }

    /// Renders the notice to the holder of an account about a sign-in from a new browser.
    pub(crate) fn new_browser(browser: &str, address: &str, at: Timestamp, base: &str) -> Self {
        let text = format!(
            "Your account was signed in to from a browser that was not used for it before: {browser}, from {address}, at {at}. \
             If it was you, nothing needs to be done. If not, end that sign-in and change your password at \
             {base}/admin/account, and tell an operator."
        );
        Self { subject: "jhe-ow: sign-in from a new browser".to_owned(), text, body: Value::Null }
    }

    pub(crate) fn as_mail<'a>(&'a self, id: &'a str, to: &'a [Mailbox]) -> OutgoingMail<'a> {
        OutgoingMail { id, to, subject: &self.subject, text: &self.text, unsubscribe: None }
    }

    /// Renders the message of `jhe-ow alerts test`.
    pub fn test(base: &str) -> Self {
        let text = format!("jhe-ow at {base} tests its alerts: they arrive here.");
        let body = json!({ "kind": "test", "text": text, "link": format!("{base}/admin") });
        Self { subject: "jhe-ow: test".to_owned(), text, body }
    }
}

/// Renders one line per kind and cause.
fn lines(alerts: &[Alert], base: &str) -> Vec<String> {
    let mut groups: Vec<(&Alert, Vec<PatientId>)> = Vec::new();
    for alert in alerts {
        let patients = alert.patient.into_iter();
        match groups.iter_mut().find(|(one, _)| (one.kind, one.cause) == (alert.kind, alert.cause)) {
            Some((_, others)) => others.extend(patients),
            None => groups.push((alert, patients.collect())),
        }
    }
    let line = |(alert, patients): (&Alert, Vec<PatientId>)| match patients.as_slice() {
        [] | [_] => format!("{} {}", alert.sentence(), alert.link(base)),
        patients => format!("{} {base}/admin/patients", alert.group_sentence(patients)),
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::AlertKind;
    use crate::model::silence::SilenceCause;

    fn alert(patient: i64) -> Alert {
        let since = Timestamp::parse("2026-11-20T07:00:00Z").unwrap();
        Alert {
            kind: AlertKind::Silent,
            patient: Some(PatientId::new(patient)),
            since,
            cause: Some(SilenceCause::NotWorn),
        }
    }

    #[test]
    fn one_alert_names_the_patient_the_cause_and_the_page() {
        let message = AlertMessage::from_alerts(&[alert(7)], "https://ow.example.org").unwrap();
        assert_eq!(message.subject, "jhe-ow: patient 7 is silent");
        assert_eq!(message.body["cause"], "not_worn");
        assert_eq!(message.body["link"], "https://ow.example.org/admin/patients/7");
        assert_eq!(message.body["text"].as_str(), Some(message.text.as_str()));
        assert!(message.text.starts_with("Patient 7 is silent"), "{}", message.text);
    }

    #[test]
    fn several_alerts_are_one_message_with_a_line_per_kind_and_cause() {
        let stuck =
            Alert { kind: AlertKind::Stuck, patient: None, cause: Some(SilenceCause::OwDown), ..alert(1) };
        let message = AlertMessage::from_alerts(&[alert(7), stuck, alert(8)], "http://x").unwrap();
        let lines: Vec<&str> = message.text.lines().collect();
        assert_eq!((lines.len(), message.body["count"].as_u64()), (2, Some(3)), "{message:?}");
        assert!(lines[0].starts_with("2 patients are silent: 7, 8. Likely: not worn"), "{message:?}");
        assert!(lines[1].starts_with("No data are read: "), "{message:?}");
        assert_eq!(AlertMessage::from_alerts(&[], "http://x"), None);
    }

    #[test]
    fn a_message_about_all_patients_is_short_enough_for_a_chat() {
        let all: Vec<Alert> = (1..=10_000).map(alert).collect();
        let message = AlertMessage::from_alerts(&all, "http://x").unwrap();
        assert!(message.text.len() < 1000 && message.body.to_string().len() < 100_000, "{}", message.text);
        assert!(
            message.text.contains("10000 patients are silent: 1, 2,")
                && message.text.contains(" and 9980 more.")
        );
        assert_eq!(message.body["alerts"].as_array().unwrap().len(), LISTED);
    }
}
