use serde_json::{Value, json};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::model::silence::Cause;

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

impl Alert {
    /// What happened, in the words of a subject.
    pub(crate) fn subject(&self) -> String {
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

    pub(crate) fn sentence(&self) -> String {
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
    pub(crate) fn of_many(&self, patients: &[PatientId]) -> String {
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

    pub(crate) fn link(&self, base: &str) -> String {
        self.patient
            .map_or_else(|| format!("{base}/admin"), |patient| format!("{base}/admin/patients/{patient}"))
    }

    pub(crate) fn document(&self, base: &str) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "patient": self.patient.map(PatientId::get),
            "since": self.since.to_string(),
            "cause": self.cause.map(Cause::as_str),
            "link": self.link(base),
        })
    }
}

/// Patients whom one line names: people read some and then count.
pub(crate) const NAMED: usize = 20;
