//! Practitioners: who may do what on the pages, and who did it in the audit.

use std::fmt;

use crate::model::patient::PatientId;

/// The number of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountId(pub(crate) i64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for AccountId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What an account may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Role {
    /// Sees patients, studies and their data.
    Viewer,
    /// Makes studies, adds and invites patients, has them polled.
    Manager,
    /// Makes accounts, and flips settings.
    Operator,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: &[Self] = &[Self::Viewer, Self::Manager, Self::Operator];

    /// As people and tables write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Manager => "manager",
            Self::Operator => "operator",
        }
    }

    /// What it may do, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Viewer => "Sees patients, studies and data.",
            Self::Manager => "Also makes studies, adds and invites patients, polls, and reads the audit.",
            Self::Operator => "Also makes accounts and changes settings.",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("'{text}' is not a role; give viewer, manager or operator"))
    }
}

/// Whose data somebody may see and touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Every patient's.
    Everybody,
    /// Of JHE's patients, those with whom this account shares an organization; no one else's.
    Shared(AccountId),
}

/// Who did something, as the audit names them: by number, so that a person can be erased without breaking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody at the machine's own command line.
    CommandLine,
    /// A practitioner or operator.
    Account(AccountId),
    /// The patient.
    Patient(PatientId),
    /// Somebody who is not signed in.
    Visitor,
    /// Nobody: the program, as its settings say.
    Daemon,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Account(id) => write!(f, "account {id}"),
            Self::Patient(id) => write!(f, "patient {id}"),
            Self::Visitor => f.write_str("visitor"),
            Self::Daemon => f.write_str("daemon"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_do_what_a_lower_one_may() {
        assert!(Role::Operator > Role::Manager && Role::Manager > Role::Viewer);
        for &role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("admin".parse::<Role>().is_err());
    }
}
