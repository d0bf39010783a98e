//! Practitioners who sign in through JHE: exchanges their authorization code, and reads who they are and
//! their roles.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::timeout;

use crate::jhe::client::{Caller, Jhe};
use crate::jhe::error::JheError;
use crate::jhe::http::{TokenResponse, parse};
use crate::model::jhe_practitioner::{Membership, Practitioner};
use crate::model::{account::Role, jhe_consents::Organization};

/// Time for the revocation of a token. The person waits for it, and the token expires by itself too.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(3);

/// An OAuth authorization code with the parameters that JHE requires for its exchange.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    pub code: &'a str,
    /// The address that JHE sent the code to, byte for byte.
    pub redirect_uri: &'a str,
    pub client_id: &'a str,
    /// The PKCE verifier.
    pub verifier: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedIn {
    Practitioner(Practitioner),
    /// A patient, or another type of user.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserProfile {
    id: i64,
    user_type: String,
    #[serde(default)]
    email: Option<String>,
}

/// The part of an organization that names the caller's role in it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnRole {
    current_user_role: Option<String>,
}

impl Jhe {
    /// Exchanges a code for a token, reads who signed in, and revokes the token. Fails with
    /// [`JheError::NotGranted`] if JHE refuses the code.
    pub async fn sign_in(&self, sign_in: &SignIn<'_>) -> Result<SignedIn, JheError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", sign_in.code),
            ("redirect_uri", sign_in.redirect_uri),
            ("client_id", sign_in.client_id),
            ("code_verifier", sign_in.verifier),
        ];
        let TokenResponse { access_token, refresh_token, .. } =
            self.http.request_token(&fields, None).await?;
        // Revoking the refresh token ends the access token too.
        let revoked = refresh_token.unwrap_or_else(|| access_token.clone());
        let signed_in = self.fetch_signed_in(Caller::Person(&SecretString::from(access_token))).await;
        let fields = [("token", revoked.as_str()), ("client_id", sign_in.client_id)];
        match timeout(REVOKE_TIMEOUT, self.http.revoke_token(&fields)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("the token of a sign-in lives on at JHE: {error}"),
            Err(_) => tracing::warn!("the token of a sign-in lives on at JHE: it did not answer in time"),
        }
        signed_in
    }

    async fn fetch_signed_in(&self, caller: Caller<'_>) -> Result<SignedIn, JheError> {
        let url = self.http.url(&["api", "v1", "users", "profile"])?;
        let UserProfile { id, user_type, email } = parse(&self.get(caller, url).await?)?;
        if user_type != "practitioner" {
            return Ok(SignedIn::Other);
        }
        let memberships = self.list_memberships(caller).await?;
        Ok(SignedIn::Practitioner(Practitioner { user: id, email, memberships }))
    }

    pub(crate) async fn list_memberships(&self, caller: Caller<'_>) -> Result<Vec<Membership>, JheError> {
        // Not the list of all organizations: that one gives a superuser a role in each of them.
        let url = self.http.url(&["api", "v1", "users", "organizations"])?;
        let own: Vec<Organization> = parse(&self.get(caller, url).await?)?;
        let mut memberships = Vec::new();
        for Organization { id, .. } in own {
            let url = self.http.url(&["api", "v1", "organizations", &id.to_string()])?;
            let role: OwnRole = parse(&self.get(caller, url).await?)?;
            // No role: the membership ended between the two calls.
            if let Some(role) = role.current_user_role {
                memberships.push(Membership { organization: id, role: map_role(&role) });
            }
        }
        Ok(memberships)
    }
}

/// Maps a role in an organization of JHE to ours. An unknown role gets the least rights.
fn map_role(role: &str) -> Role {
    match role {
        "manager" | "super_user" => Role::DataManager,
        "member" => Role::Coordinator,
        _ => Role::Viewer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_role_gets_the_least_rights() {
        for (of_jhe, ours) in [
            ("manager", Role::DataManager),
            ("member", Role::Coordinator),
            ("viewer", Role::Viewer),
            ("auditor", Role::Viewer),
        ] {
            assert_eq!(map_role(of_jhe), ours, "{of_jhe}");
        }
    }

    #[test]
    fn no_role_of_jhe_makes_an_operator() {
        for role in ["manager", "member", "viewer", "super_user", "operator", ""] {
            assert!(map_role(role) < Role::Operator, "{role}");
        }
    }
}
