//! Alerts and their texts.

use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::model::{patient::PatientId, silence::SilenceCause};

/// A way to deliver alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    Webhook,
    Mail,
}

impl Channel {
    /// Returns the name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertKind {
    /// A patient is silent.
    Silent,
    /// A silent patient has data again.
    Back,
    /// No patient's data could be read for a while.
    Stuck,
    /// Observations are overdue for delivery to JHE.
    Unsent,
    /// Observations are parked until somebody completes the configuration of JHE.
    Held,
    /// JHE rejects observations.
    Refused,
    /// JHE rejects many observations within an hour.
    ManyRefused,
    /// Many wrong passwords or codes for one account.
    ManySignIns,
}

impl AlertKind {
    const ALL: &[Self] = &[
        Self::Silent,
        Self::Back,
        Self::Stuck,
        Self::Unsent,
        Self::Held,
        Self::Refused,
        Self::ManyRefused,
        Self::ManySignIns,
    ];

    /// Returns the name in the database and in webhook messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Back => "back",
            Self::Stuck => "stuck",
            Self::Unsent => "unsent",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::ManyRefused => "many-refused",
            Self::ManySignIns => "many-sign-ins",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    pub kind: AlertKind,
    /// None for an alert about the daemon.
    pub patient: Option<PatientId>,
    /// Start of the problem.
    pub since: Timestamp,
    /// The likely cause, if no data come in.
    pub cause: Option<SilenceCause>,
}

impl Alert {
    /// Returns a short text for the subject of a mail.
    pub(crate) fn subject(&self) -> String {
        let who = self.patient.map_or_else(|| "somebody".to_owned(), |patient| format!("patient {patient}"));
        match self.kind {
            AlertKind::Silent => format!("{who} is silent"),
            AlertKind::Back => format!("{who} is back"),
            AlertKind::Stuck => "no data are read".to_owned(),
            AlertKind::Unsent => "observations do not reach JHE".to_owned(),
            AlertKind::Held => "observations wait for the configuration of JHE".to_owned(),
            AlertKind::Refused => "JHE refuses observations".to_owned(),
            AlertKind::ManyRefused => "JHE refuses many observations".to_owned(),
            AlertKind::ManySignIns => "somebody guesses a password".to_owned(),
        }
    }

    pub(crate) fn sentence(&self) -> String {
        let since = self.since;
        let text = match self.kind {
            AlertKind::Silent => format!("no sample has come in since {since}."),
            AlertKind::Back => format!("data come in again after a silence since {since}."),
            AlertKind::Stuck => format!("nothing has been read since {since}."),
            AlertKind::Unsent => format!(
                "they have been waiting since {since}. The page System shows the last export; jhe-ow doctor \
                 finds the reason."
            ),
            AlertKind::Held => {
                "the page System and jhe-ow doctor say what is missing. Once it is there, they are sent."
                    .to_owned()
            }
            AlertKind::Refused => format!(
                "the first one at {since}. The patients' pages show the reason; once it is fixed, jhe-ow \
                 export --retry-dead sends them again."
            ),
            AlertKind::ManyRefused => format!(
                "50 or more in the hour that began at {since}. The page System shows the reasons and a button that \
                 sends them again."
            ),
            AlertKind::ManySignIns => format!(
                "20 failed sign-ins of one account since {since}. The audit names the account. Each further try waits a \
                 minute; browsers that the account has used before do not. A second factor protects it best."
            ),
        };
        let mut sentence = format!("{}: {text}{}", self.subject(), self.likely_cause());
        if let Some(first) = sentence.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        sentence
    }

    /// Returns one line about several patients with the same kind of alert.
    pub(crate) fn group_sentence(&self, patients: &[PatientId]) -> String {
        let named: Vec<String> = patients.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        let more = match patients.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let state = if self.kind == AlertKind::Back { "back" } else { "silent" };
        format!("{} patients are {state}: {}{more}.{}", patients.len(), named.join(", "), self.likely_cause())
    }

    /// Returns the likely cause and its remedy after a space; empty if there is none.
    fn likely_cause(&self) -> String {
        let cause = self.cause.filter(|_| self.kind != AlertKind::Back);
        cause.map(|cause| format!(" Likely: {}. {}", cause.label(), cause.remedy())).unwrap_or_default()
    }

    pub(crate) fn link(&self, base: &str) -> String {
        self.patient
            .map_or_else(|| format!("{base}/admin"), |patient| format!("{base}/admin/patients/{patient}"))
    }

    pub(crate) fn render_json(&self, base: &str) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "patient": self.patient.map(PatientId::get),
            "since": self.since.to_string(),
            "cause": self.cause.map(SilenceCause::as_str),
            "link": self.link(base),
        })
    }
}

/// Patients named in one line; the rest is a number.
pub(crate) const MAX_NAMED: usize = 20;
