//! A patient as the participant of one study.

use crate::common::time::Timestamp;
use crate::model::adherence::Participation;
use crate::model::patient::PatientId;

/// The state of a participant, as pages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParticipantState {
    Sending,
    /// Expected to send, and without new data.
    Silent,
    /// Has an open invitation, and has agreed to nothing yet.
    Invited,
    /// Agreed, without a connected device.
    Agreed,
    /// Neither invited nor agreed.
    NotInvited,
    Withdrawn,
    Completed,
}

impl ParticipantState {
    pub const ALL: &[Self] = &[
        Self::Sending,
        Self::Silent,
        Self::Invited,
        Self::Agreed,
        Self::NotInvited,
        Self::Withdrawn,
        Self::Completed,
    ];

    /// Returns the name in addresses, on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Silent => "silent",
            Self::Invited => "invited",
            Self::Agreed => "agreed",
            Self::NotInvited => "not-invited",
            Self::Withdrawn => "withdrawn",
            Self::Completed => "completed",
        }
    }

    /// Returns the words for pages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sending => "Sending",
            Self::Silent => "Silent",
            Self::Invited => "Invited",
            Self::Agreed => "Agreed, no device",
            Self::NotInvited => "Not invited",
            Self::Withdrawn => "Withdrawn",
            Self::Completed => "Completed",
        }
    }
}

impl std::str::FromStr for ParticipantState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("give one of: {}", names()))
    }
}

/// A participant with what a list shows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; the state is computed from them"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    pub patient: PatientId,
    /// The number in the study.
    pub number: String,
    /// Empty where the account may see no names.
    pub name: String,
    /// IANA name or fixed offset.
    pub time_zone: String,
    pub newest: Option<Timestamp>,
    /// The names of the connected providers, in order.
    pub providers: Vec<String>,
    /// OW has listed a device, connected or not.
    pub has_device: bool,
    pub is_linked: bool,
    /// OW no longer knows the linked user.
    pub needs_relink: bool,
    pub is_invited: bool,
    /// The first consent to what the study asks for; none if there was none.
    pub agreed: Option<Timestamp>,
    /// The withdrawal of all of it; none if a consent is active.
    pub withdrawn: Option<Timestamp>,
    /// The first link to a user of OW.
    pub linked: Option<Timestamp>,
    /// The limits of the collection window; the end is not part of it.
    pub limits: (Option<Timestamp>, Option<Timestamp>),
    /// The window has ended, and late data are not read any more either.
    pub is_completed: bool,
}

impl Participant {
    /// Returns the state; `is_silent` says whether the patient is among the silent ones.
    pub fn state(&self, is_silent: bool) -> ParticipantState {
        match self {
            Self { withdrawn: Some(_), .. } => ParticipantState::Withdrawn,
            Self { is_completed: true, .. } => ParticipantState::Completed,
            Self { agreed: None, is_invited: true, .. } => ParticipantState::Invited,
            Self { agreed: None, .. } => ParticipantState::NotInvited,
            _ if is_silent || self.needs_relink => ParticipantState::Silent,
            Self { is_linked: true, .. } if !self.providers.is_empty() => ParticipantState::Sending,
            // Linked on the command line: OW has not listed the devices yet.
            Self { is_linked: true, newest: Some(_), has_device: false, .. } => ParticipantState::Sending,
            _ => ParticipantState::Agreed,
        }
    }

    /// Returns the time in which data are expected: from the consent and the first connection on, within the collection
    /// window.
    pub fn participation(&self) -> Participation {
        let began = self.agreed.zip(self.linked).map(|(agreed, linked)| agreed.max(linked));
        let began = began.map(|began| self.limits.0.map_or(began, |from| began.max(from)));
        Participation { began, withdrawn: self.withdrawn, completed: self.limits.1 }
    }
}
