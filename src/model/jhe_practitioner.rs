//! A practitioner of JHE.

use crate::model::account::Role;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practitioner {
    /// JHE's user id.
    pub user: i64,
    pub email: Option<String>,
    pub memberships: Vec<Membership>,
}

/// A practitioner's membership in an organization of JHE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// JHE's id of the organization.
    pub organization: i64,
    /// The role here that corresponds to the role in JHE.
    pub role: Role,
}
