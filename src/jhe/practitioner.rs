//! Practitioners who sign in here through JHE: the code that they bring, who they are, and where they belong.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::timeout;

use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::http::{Granted, read};
use crate::model::account::Role;
use crate::model::jhe_consents::Organization;
use crate::model::jhe_practitioner::{Membership, Practitioner};

/// How long JHE may take to let the token end: nobody waits for it longer, as it ends by itself too.
const REVOKE_PATIENCE: Duration = Duration::from_secs(3);

/// What a browser brings back from JHE, and what has to be shown with it.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// The code.
    pub code: &'a str,
    /// Where it was sent to, byte for byte.
    pub redirect_uri: &'a str,
    /// The OAuth client that asked for it.
    pub client_id: &'a str,
    /// The verifier to the challenge that it was asked for with.
    pub verifier: &'a str,
}

/// Who has signed in at JHE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// Somebody who works with patients.
    Practitioner(Practitioner),
    /// A patient, or whatever else JHE may know.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    id: i64,
    user_type: String,
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Held {
    current_user_role: Option<String>,
}

impl Jhe {
    /// Who it is that brings this code. The token that it is good for ends with the answer.
    ///
    /// # Errors
    /// As [`JheError`] says; [`JheError::NotGranted`] with JHE's word where it does not take the code.
    pub async fn signed_in(&self, sign_in: &SignIn<'_>) -> Result<SignedIn, JheError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", sign_in.code),
            ("redirect_uri", sign_in.redirect_uri),
            ("client_id", sign_in.client_id),
            ("code_verifier", sign_in.verifier),
        ];
        let Granted { access_token, refresh_token, .. } = self.http.token(&fields, None).await?;
        // Where there is one to renew it with, both end together.
        let ends = refresh_token.unwrap_or_else(|| access_token.clone());
        let seen = self.look(Who::Person(&SecretString::from(access_token))).await;
        let fields = [("token", ends.as_str()), ("client_id", sign_in.client_id)];
        match timeout(REVOKE_PATIENCE, self.http.revoke(&fields)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the token of a sign-in lives on at JHE: {error}"),
            Err(_) => tracing::warn!("the token of a sign-in lives on at JHE: it did not answer in time"),
        }
        seen
    }

    async fn look(&self, who: Who<'_>) -> Result<SignedIn, JheError> {
        let url = self.http.url(&["api", "v1", "users", "profile"])?;
        let Profile { id, user_type, email } = read(&self.get(who, url).await?)?;
        if user_type != "practitioner" {
            return Ok(SignedIn::Other);
        }
        Ok(SignedIn::Practitioner(Practitioner {
            user: id,
            email,
            memberships: self.memberships(who).await?,
        }))
    }

    /// The list of one's own organizations is the one that counts: the list of all says of a superuser to have a
    /// role in each. Only the organization itself says which role it is.
    pub(crate) async fn memberships(&self, who: Who<'_>) -> Result<Vec<Membership>, JheError> {
        let url = self.http.url(&["api", "v1", "users", "organizations"])?;
        let own: Vec<Organization> = read(&self.get(who, url).await?)?;
        let mut memberships = Vec::new();
        for Organization { id, .. } in own {
            let url = self.http.url(&["api", "v1", "organizations", &id.to_string()])?;
            let held: Held = read(&self.get(who, url).await?)?;
            // None has left between the two answers.
            if let Some(role) = held.current_user_role {
                memberships.push(Membership { organization: id, role: role_here(&role) });
            }
        }
        Ok(memberships)
    }
}

/// What a role in an organization of JHE's means here. One that we do not know is the least.
fn role_here(role: &str) -> Role {
    match role {
        "manager" | "member" | "super_user" => Role::Manager,
        _ => Role::Viewer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn practitioner(roles: &[&str]) -> Practitioner {
        let membership = |role: &&str| Membership { organization: 20003, role: role_here(role) };
        Practitioner { user: 10005, email: None, memberships: roles.iter().map(membership).collect() }
    }

    #[test]
    fn the_least_of_several_roles_counts() {
        assert_eq!(practitioner(&["manager", "member"]).role(), Some(Role::Manager));
        assert_eq!(practitioner(&["manager", "viewer", "member"]).role(), Some(Role::Viewer));
        assert_eq!(practitioner(&["manager", "auditor"]).role(), Some(Role::Viewer), "not known here");
        assert_eq!(practitioner(&[]).role(), None);
    }

    #[test]
    fn nobody_comes_from_jhe_as_an_operator() {
        for role in ["manager", "member", "viewer", "super_user", "operator", ""] {
            assert!(role_here(role) < Role::Operator, "{role}");
        }
    }
}
