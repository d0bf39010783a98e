//! Accounts of practitioners: their ids, roles and visible patients, and the actors of the audit.

use std::fmt;

use crate::model::patient::PatientId;

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

/// The rights of an account in a study or an organization of JHE. Each role includes the rights of the roles before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Role {
    /// Sees figures of patients under their study numbers, and no names.
    Viewer,
    /// Sees figures and names, adds and invites patients, starts syncs.
    Coordinator,
    /// All that a coordinator does, and downloads data sets.
    DataManager,
    /// Everything, in all studies: creates studies and accounts, and changes settings.
    Operator,
}

/// The word for an account without a role in a study.
pub const NO_ROLE: &str = "none";

impl Role {
    /// Every role, the lowest first.
    pub const ALL: &[Self] = &[Self::Viewer, Self::Coordinator, Self::DataManager, Self::Operator];
    /// The roles that an account can have in a study.
    pub const IN_STUDY: &[Self] = &[Self::Viewer, Self::Coordinator, Self::DataManager];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Coordinator => "coordinator",
            Self::DataManager => "data-manager",
            Self::Operator => "operator",
        }
    }

    /// Returns a description for the accounts page.
    pub fn about(self) -> &'static str {
        match self {
            Self::Viewer => "Sees the figures of a study’s patients under their study numbers, and no names.",
            Self::Coordinator => {
                "Also sees names, adds and invites patients, starts syncs, changes the study, and reads the audit."
            }
            Self::DataManager => "Also downloads the study’s data.",
            Self::Operator => {
                "Does all of this in every study, sees patients without a study, makes studies and accounts, and changes \
                 settings."
            }
        }
    }
}

/// For people; [`Role::as_str`] is for programs.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().replace('-', " "))
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text).ok_or_else(|| {
            format!("'{text}' is not a role; give viewer, coordinator, data-manager or operator")
        })
    }
}

/// The patients whose data an account may see and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisibleTo {
    Everybody,
    /// The patients of this account's studies, and those who share an organization of JHE with it.
    Account(AccountId),
}

/// The author of an audit entry. It holds a number and no name, so that the erasure of a person leaves the
/// audit intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    CommandLine,
    Account(AccountId),
    Patient(PatientId),
    /// A visitor who is not signed in.
    Visitor,
    /// The daemon by itself, as its settings say.
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
    fn a_higher_role_includes_the_lower_ones() {
        assert!(Role::ALL.is_sorted());
        for &role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("manager".parse::<Role>().is_err());
    }
}
