use crate::model::account::Role;

/// A practitioner of JHE's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practitioner {
    /// JHE's number of the user.
    pub user: i64,
    /// What the user signs in with there.
    pub email: Option<String>,
    /// The organizations that the user belongs to.
    pub memberships: Vec<Membership>,
}

/// That somebody belongs to an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// JHE's number of the organization.
    pub organization: i64,
    /// What the role in it means here.
    pub role: Role,
}

impl Practitioner {
    /// What such a practitioner may do here: the least of what the roles in the organizations allow, as one
    /// account has one role, and nobody may do more than in any of them. None where there is no organization.
    pub fn role(&self) -> Option<Role> {
        self.memberships.iter().map(|one| one.role).min()
    }
}
