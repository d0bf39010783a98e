//! Invitations of JHE: creates links, and exchanges a link for the patient's tokens.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::config::base_url::BaseUrl;
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::error::JheError;
use crate::jhe::http::{TokenResponse, check_status, parse};
use crate::model::jhe_consents::JhePatient;
use crate::secrets::token::TokenHash;

/// Characters of JHE's invitation tokens, all of them letters or digits.
const TOKEN_CHARS: usize = 32;
/// The placeholder for the code in the `invitationUrl` of a client at JHE.
const PLACEHOLDER: &str = "CODE";

/// The code in an invitation link of JHE: `<host>_<token>`. Whoever holds it can act as the patient.
#[derive(Clone)]
pub struct InvitationCode {
    host: String,
    token: SecretString,
}

impl InvitationCode {
    pub fn parse(text: &str) -> Option<Self> {
        let (host, token) = text.rsplit_once('_')?;
        let is_token = token.len() == TOKEN_CHARS && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_token && !host.is_empty()).then(|| Self { host: host.to_owned(), token: token.to_owned().into() })
    }

    /// Returns the host that the link claims to come from. It is untrusted: compare or show it, but never
    /// call it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns true if the JHE at `base` issued the code.
    pub fn is_of(&self, base: &BaseUrl) -> bool {
        let Ok(base) = Url::parse(base.as_str()) else { return false };
        let Ok(named) = Url::parse(&format!("{}://{}", base.scheme(), self.host)) else { return false };
        // JHE writes the `Host` header here. A URL parser would also accept a user, a path or percent signs.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        self.host.bytes().all(is_host) && named.origin() == base.origin()
    }

    /// Returns the code as in the link, with its secret.
    pub fn expose(&self) -> String {
        format!("{}_{}", self.host, self.token.expose_secret())
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose().as_bytes())
    }

    /// Returns the PKCE verifier, which JHE derives from the token.
    fn verifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.token.expose_secret())
    }
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationCode({}_…)", self.host)
    }
}

#[derive(Debug, Clone)]
pub struct PersonTokens {
    pub access: SecretString,
    /// Buys the next tokens, once. It does not expire.
    pub refresh: Option<SecretString>,
    /// The lifetime of the access token.
    pub life: Duration,
    /// The OAuth client that the tokens were issued to.
    pub client_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    #[error("JHE does not know the invitation")]
    Unknown,
    /// JHE accepts an invitation for half a day after its first use, and until it creates a newer one.
    #[error("the invitation was used, or replaced by a newer one")]
    Used,
    /// The invitation is older than JHE allows, by default seven days.
    #[error("the invitation has expired")]
    Expired,
    #[error("the invitation was cancelled")]
    Cancelled,
    /// The call failed; the invitation may be valid.
    #[error(transparent)]
    Jhe(#[from] JheError),
}

#[derive(Deserialize)]
pub(crate) struct RedeemResponse {
    grant: AuthorizationGrant,
}

#[derive(Deserialize)]
struct AuthorizationGrant {
    redirect_uri: String,
    client_id: String,
    code: String,
}

/// An OAuth client of JHE that patients can be invited to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitingClient {
    pub id: i64,
    pub name: String,
    /// The address that its invitations open, with a placeholder for the code.
    #[serde(default)]
    pub invitation_url: Option<String>,
}

impl InvitingClient {
    /// Returns true if its invitations open the launch page of the daemon at `public_base`.
    fn opens_launch_page(&self, public_base: &str) -> bool {
        let path = self.invitation_url.as_deref().and_then(|url| url.strip_prefix(public_base));
        let path = path.and_then(|path| path.strip_suffix(PLACEHOLDER));
        matches!(path, Some("/clients/ow/launch?code=" | "/ow/?code=" | "/ow?code="))
    }
}

/// Returns the `invitationUrl` to register at JHE for the daemon at `public_base`.
pub fn invitation_url(public_base: &str) -> String {
    format!("{public_base}/clients/ow/launch?code={PLACEHOLDER}")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvitationResponse {
    invitation_link: String,
    /// The patient whom the link invites.
    patient_id: Option<i64>,
}

impl Jhe {
    /// Exchanges an invitation for the patient's tokens.
    pub async fn redeem_invitation(&self, code: &InvitationCode) -> Result<PersonTokens, RedeemError> {
        let url = self.http.url(&["api", "v1", "invitation", code.token.expose_secret()])?;
        let response = self.http.send(Method::POST, url, None, None).await?;
        match response.status.as_u16() {
            403 => return Err(RedeemError::Cancelled),
            404 => return Err(RedeemError::Unknown),
            409 => return Err(RedeemError::Used),
            410 => return Err(RedeemError::Expired),
            _ => {}
        }
        let RedeemResponse { grant } = parse(&check_status(response)?)?;
        // The response also names a token endpoint, which may be an internal address: the configured one is
        // used.
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &grant.code),
            ("redirect_uri", &grant.redirect_uri),
            ("client_id", &grant.client_id),
            ("code_verifier", &code.verifier()),
        ];
        // At once: the grant expires after a minute.
        let granted = self.http.request_token(&fields, None).await?;
        Ok(granted.for_person(grant.client_id))
    }

    /// Exchanges a refresh token for new tokens. The old ones become invalid. Fails with
    /// [`JheError::NotGranted`] if the person has to sign in again.
    pub async fn refresh_tokens(
        &self,
        refresh: &SecretString,
        client_id: &str,
    ) -> Result<PersonTokens, JheError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
            ("client_id", client_id),
        ];
        Ok(self.http.request_token(&fields, None).await?.for_person(client_id.to_owned()))
    }

    /// Revokes a person's token at JHE.
    pub async fn revoke_token(&self, token: &SecretString, client_id: &str) -> Result<(), JheError> {
        self.http.revoke_token(&[("token", token.expose_secret()), ("client_id", client_id)]).await
    }

    /// Fetches the patient who owns the token.
    pub async fn fetch_own_patient(&self, access: &SecretString) -> Result<JhePatient, JheError> {
        // JHE has this path without a slash at its end only.
        let url = self.http.url(&["api", "v1", "patients", "me"])?;
        parse(&self.get(Caller::Person(access), url).await?)
    }

    /// Finds the client of JHE whose invitations open our launch page.
    pub async fn find_inviting_client(&self, public_base: &str) -> Result<Option<InvitingClient>, JheError> {
        let all: Vec<InvitingClient> = self.list_all(&["api", "v1", "clients"]).await?;
        Ok(all.into_iter().find(|client| client.opens_launch_page(public_base)))
    }

    /// Creates an invitation and returns its link. An earlier invitation of the same patient and client
    /// becomes invalid.
    pub async fn create_invitation(&self, patient: i64, client: i64) -> Result<String, JheError> {
        let url = self.http.url(&["api", "v1", "invitation"])?;
        // JHE reads `client_id` in snake case only.
        let body = json!({ "patientId": patient, "client_id": client, "sendEmail": false }).to_string();
        let created: InvitationResponse =
            parse(&self.call(Caller::Daemon, Method::POST, url, Some(body)).await?)?;
        if created.patient_id.is_some_and(|answered| answered != patient) {
            return Err(JheError::invalid(format!(
                "it answered with an invitation of another than Patient/{patient}"
            )));
        }
        Ok(created.invitation_link)
    }
}

impl TokenResponse {
    pub(crate) fn for_person(self, client_id: String) -> PersonTokens {
        PersonTokens {
            life: self.life(),
            access: self.access_token.into(),
            refresh: self.refresh_token.map(SecretString::from),
            client_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "xGuKNrx5mT7JFFFYJApDU7dxc2cVvZ2J";

    fn code(host: &str) -> InvitationCode {
        InvitationCode::parse(&format!("{host}_{TOKEN}")).unwrap()
    }

    #[test]
    fn a_code_is_a_host_and_a_token() {
        assert_eq!(code("127.0.0.1:8001").host(), "127.0.0.1:8001");
        assert_eq!(code("a_b.example.org").expose(), format!("a_b.example.org_{TOKEN}"));
        for wrong in [
            "",
            TOKEN,
            &format!("_{TOKEN}"),
            &format!("h_{}", &TOKEN[1..]),
            "h_xGuKNrx5mT7JFFFYJApDU7dxc2cVvZ2-",
        ] {
            assert!(InvitationCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{:?}", code("h")).contains(TOKEN));
    }

    #[test]
    fn the_verifier_is_one_that_a_real_jhe_accepted() {
        assert_eq!(code("h").verifier(), "eEd1S05yeDVtVDdKRkZGWUpBcERVN2R4YzJjVnZaMko");
    }

    #[test]
    fn only_codes_of_the_configured_jhe_are_accepted() {
        let base = |text: &str| BaseUrl::parse(text).unwrap();
        assert!(code("127.0.0.1:8001").is_of(&base("http://127.0.0.1:8001")));
        assert!(code("JHE.example.org").is_of(&base("https://jhe.example.org")));
        assert!(code("jhe.example.org:443").is_of(&base("https://jhe.example.org/inner")));
        for foreign in [
            "evil.example.org",
            "jhe.example.org:8443",
            "jhe.example.org.evil.example.org",
            "user@jhe.example.org",
            "jhe.example.org/x",
            "jhe.example.org?x",
            "jhe.example.org#x",
            ":x@jhe.example.org",
            "jhe.ex%61mple.org",
            "ｊhe.example.org",
        ] {
            assert!(!code(foreign).is_of(&base("https://jhe.example.org")), "{foreign}");
        }
    }

    #[test]
    fn the_client_whose_invitations_open_our_page_is_found() {
        let client = |url: Option<&str>| InvitingClient {
            id: 9,
            name: "Open Wearables".into(),
            invitation_url: url.map(str::to_owned),
        };
        let here = "https://jhe-ow.example.org";
        assert!(client(Some(&invitation_url(here))).opens_launch_page(here));
        assert!(client(Some("https://jhe-ow.example.org/ow/?code=CODE")).opens_launch_page(here));
        assert!(!client(Some("https://jhe.example.org/clients/ow/launch?code=CODE")).opens_launch_page(here));
        assert!(!client(Some("https://jhe-ow.example.org/clients/ow/launch")).opens_launch_page(here));
        assert!(!client(None).opens_launch_page(here));
    }
}
