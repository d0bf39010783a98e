//! Invitations of JHE's: the links that it makes, and what a link is exchanged for.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::base_url::BaseUrl;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::http::{Granted, read, settle};
use crate::model::jhe_consents::Person;
use crate::secrets::token::TokenHash;

/// Characters of JHE's invitation tokens, all of them letters or digits.
const TOKEN_CHARACTERS: usize = 32;
/// What stands for the code in the address that a client of JHE's is to be opened with.
const PLACEHOLDER: &str = "CODE";

/// What an invitation link of JHE's carries: `<host>_<token>`. Whoever holds it is taken for the patient.
#[derive(Clone)]
pub struct InvitationCode {
    host: String,
    token: SecretString,
}

impl InvitationCode {
    /// Reads a code; none where the text cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, token) = text.rsplit_once('_')?;
        let is_token =
            token.len() == TOKEN_CHARACTERS && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_token && !host.is_empty()).then(|| Self { host: host.to_owned(), token: token.to_owned().into() })
    }

    /// Whose invitation the link says it is: never to be called, only to be compared and shown.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is of the JHE at this address.
    pub fn is_of(&self, base: &BaseUrl) -> bool {
        let Ok(base) = Url::parse(base.as_str()) else { return false };
        let Ok(named) = Url::parse(&format!("{}://{}", base.scheme(), self.host)) else { return false };
        // What a `Host` header has, and so what JHE writes; an address has more ways to say the same, and other parts.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        self.host.bytes().all(is_host) && named.origin() == base.origin()
    }

    /// The code as the link carries it.
    pub fn expose(&self) -> String {
        format!("{}_{}", self.host, self.token.expose_secret())
    }

    /// What may be kept of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose().as_bytes())
    }

    /// The PKCE verifier that JHE derives from the token.
    fn verifier(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.token.expose_secret())
    }
}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationCode({}_…)", self.host)
    }
}

/// What JHE gives for a person.
#[derive(Debug, Clone)]
pub struct PersonGrant {
    /// Shown with each call.
    pub access: SecretString,
    /// For the next access token, once; it does not end by itself.
    pub refresh: Option<SecretString>,
    /// For how long the access token is good.
    pub life: Duration,
    /// The OAuth client that it was given to.
    pub client_id: String,
}

/// Why an invitation is not exchanged for a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedeemError {
    /// JHE has no such invitation.
    #[error("JHE does not know the invitation")]
    Unknown,
    /// It was used more than half a day ago, or a newer one has taken its place.
    #[error("the invitation was used, or replaced by a newer one")]
    Used,
    /// It is older than JHE lets it be, by default seven days.
    #[error("the invitation has expired")]
    Expired,
    /// It was taken back.
    #[error("the invitation was cancelled")]
    Cancelled,
    /// It could not be tried; it may be good.
    #[error(transparent)]
    Jhe(#[from] JheError),
}

#[derive(Deserialize)]
pub(crate) struct Redeemed {
    grant: Grant,
}

#[derive(Deserialize)]
struct Grant {
    redirect_uri: String,
    client_id: String,
    code: String,
}

/// A client of JHE's that patients can be invited to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitingClient {
    /// JHE's number of it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Where its invitations lead, with `CODE` for the code.
    #[serde(default)]
    pub invitation_url: Option<String>,
}

impl InvitingClient {
    /// Whether its invitations open the launch page of the daemon at `public_base`.
    pub fn leads_to(&self, public_base: &str) -> bool {
        let Some(rest) = self.invitation_url.as_deref().and_then(|url| url.strip_prefix(public_base)) else {
            return false;
        };
        launch_paths().any(|path| rest == path)
    }
}

/// The `invitationUrl` to register for the daemon at `public_base`.
pub fn invitation_url(public_base: &str) -> String {
    format!("{public_base}/clients/ow/launch?code={PLACEHOLDER}")
}

fn launch_paths() -> impl Iterator<Item = String> {
    ["/clients/ow/launch", "/ow/", "/ow"].into_iter().map(|path| format!("{path}?code={PLACEHOLDER}"))
}

#[derive(Serialize)]
struct Invite {
    #[serde(rename = "patientId")]
    patient: i64,
    // JHE reads this one in snake case only.
    client_id: i64,
    #[serde(rename = "sendEmail")]
    send_email: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invited {
    invitation_link: String,
}

impl Jhe {
    /// Exchanges an invitation for the patient's tokens, at once: what JHE gives in between is good for a minute.
    ///
    /// # Errors
    /// As [`RedeemError`] says.
    pub async fn redeem(&self, code: &InvitationCode) -> Result<PersonGrant, RedeemError> {
        let url = self.http.url(&["api", "v1", "invitation", code.token.expose_secret()])?;
        let answer = self.http.ask(Method::POST, url, None, None).await?;
        match answer.status.as_u16() {
            403 => return Err(RedeemError::Cancelled),
            404 => return Err(RedeemError::Unknown),
            409 => return Err(RedeemError::Used),
            410 => return Err(RedeemError::Expired),
            _ => {}
        }
        let Redeemed { grant } = read(&settle(answer)?)?;
        // The token endpoint that the answer names may be an inner address; ours is the configured one.
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &grant.code),
            ("redirect_uri", &grant.redirect_uri),
            ("client_id", &grant.client_id),
            ("code_verifier", &code.verifier()),
        ];
        let granted = self.http.token(&fields, None).await?;
        Ok(granted.of_person(grant.client_id))
    }

    /// The next tokens of a person. The old ones are good no longer.
    ///
    /// # Errors
    /// [`JheError::NotGranted`] where the person has to sign in anew.
    pub async fn refresh(&self, refresh: &SecretString, client_id: &str) -> Result<PersonGrant, JheError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
            ("client_id", client_id),
        ];
        Ok(self.http.token(&fields, None).await?.of_person(client_id.to_owned()))
    }

    /// Ends a person's token at JHE.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn revoke(&self, token: &SecretString, client_id: &str) -> Result<(), JheError> {
        self.http.revoke(&[("token", token.expose_secret()), ("client_id", client_id)]).await
    }

    /// The patient whose token it is.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn me(&self, access: &SecretString) -> Result<Person, JheError> {
        // Without a slash at its end: with one, JHE has no such page.
        let url = self.http.url(&["api", "v1", "patients", "me"])?;
        read(&self.get(Who::Person(access), url).await?)
    }

    /// The client of JHE's whose invitations open our launch page; none where nobody has made one.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn inviting_client(&self, public_base: &str) -> Result<Option<InvitingClient>, JheError> {
        let all: Vec<InvitingClient> = self.all(&["api", "v1", "clients"]).await?;
        Ok(all.into_iter().find(|client| client.leads_to(public_base)))
    }

    /// Makes an invitation; answers with the link to send. An earlier one of the same patient and client is good
    /// no longer.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn invite(&self, patient: i64, client: i64) -> Result<String, JheError> {
        let url = self.http.url(&["api", "v1", "invitation"])?;
        let body = serde_json::to_string(&Invite { patient, client_id: client, send_email: false })
            .map_err(|error| JheError::Wrong(error.to_string()))?;
        let invited: Invited = read(&self.call(Who::Daemon, Method::POST, url, Some(body)).await?)?;
        Ok(invited.invitation_link)
    }
}

impl Granted {
    pub(crate) fn of_person(self, client_id: String) -> PersonGrant {
        PersonGrant {
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
    fn the_verifier_is_the_one_that_a_real_jhe_took() {
        assert_eq!(code("h").verifier(), "eEd1S05yeDVtVDdKRkZGWUpBcERVN2R4YzJjVnZaMko");
    }

    #[test]
    fn only_the_configured_jhe_is_meant() {
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
    fn the_client_that_leads_here_is_told_from_others() {
        let client = |url: Option<&str>| InvitingClient {
            id: 9,
            name: "Open Wearables".into(),
            invitation_url: url.map(str::to_owned),
        };
        let here = "https://jhe-ow.example.org";
        assert!(client(Some(&invitation_url(here))).leads_to(here));
        assert!(client(Some("https://jhe-ow.example.org/ow/?code=CODE")).leads_to(here));
        assert!(!client(Some("https://jhe.example.org/clients/ow/launch?code=CODE")).leads_to(here));
        assert!(!client(Some("https://jhe-ow.example.org/clients/ow/launch")).leads_to(here));
        assert!(!client(None).leads_to(here));
    }
}
