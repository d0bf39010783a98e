//! Sign-in of practitioners through JHE: authorization code with PKCE (RFC 6749, RFC 7636). The access token is used
//! once, to read the practitioner, and is not stored.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;
use warp::reply::Response;

use crate::app::state::App;
use crate::config::base_url::BaseUrl;
use crate::jhe::practitioner::{SignIn, SignedIn};
use crate::jhe::{client::Jhe, error::JheError};
use crate::model::{account::Actor, jhe_practitioner::Practitioner};
use crate::secrets::token::{TOKEN_LENGTH, Token};
use crate::store::people::session::NewStaffSession;
use crate::store::people::{account, jhe_practitioner};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::admin::after_sign_in::{self, SessionStart};
use crate::web::patient_access::{Anyone, OPEN};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, TokenCookie, see_other, with_cookie};
use crate::web::route::{Route, get};

/// The cookie during a sign-in at JHE. State and PKCE verifier are derived from it.
const COOKIE: &str = "jhe_ow_to_jhe";
/// Time to type a password at JHE, or to look one up.
const COOKIE_AGE: Duration = Duration::from_mins(10);
/// JHE does not announce that a practitioner left an organization or changed roles, so each hour the browser signs
/// in through JHE again.
const SESSION_AGE: Duration = Duration::from_hours(1);
/// Limit of all requests of a sign-in; JHE may be busy with export batches.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(20);
/// Characters of an OAuth error code to show; JHE's have less than 30.
const MAX_CODE_LENGTH: usize = 40;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/jhe", OPEN, begin), get(AGAIN, OPEN, begin), get("/admin/jhe/callback", OPEN, callback)]
}

/// Sends the browser to JHE for a sign-in with the password, also if JHE knows the browser.
pub(crate) const AGAIN: &str = "/admin/jhe/again";
/// Begins the page in the state of such a sign-in. No page begins with it.
const AGAIN_MARK: &str = "!";

/// The OAuth client of this service at JHE.
struct AuthorizationClient {
    jhe: Arc<Jhe>,
    base: BaseUrl,
    client_id: String,
    /// Must equal the one registered at JHE, byte for byte.
    redirect_uri: String,
}

impl AuthorizationClient {
    /// Returns `None` if sign-in through JHE is not configured.
    fn configured(app: &App) -> Option<Self> {
        let config = app.live.config();
        let redirect_uri = format!("{}/admin/jhe/callback", config.public_base());
        let base = config.jhe_public_base()?.clone();
        Some(Self { jhe: app.live.jhe()?, base, client_id: config.jhe_sign_in_client_id?, redirect_uri })
    }

    /// Returns the authorization URL. The state carries the page to open afterwards, and whether JHE asks for the
    /// password even if it knows the browser.
    fn authorization_url(&self, token: &Token, next: &str, is_again: bool) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if is_again {
            query.append_pair("prompt", "login");
        }
        let again = if is_again { AGAIN_MARK } else { "" };
        let query = query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", &format!("{}{again}{next}", token.oauth_state()))
            .append_pair("code_challenge", &token.pkce_challenge())
            .append_pair("code_challenge_method", "S256")
            .finish();
        format!("{}/o/authorize/?{query}", self.base)
    }
}

pub(crate) fn is_offered(app: &App) -> bool {
    AuthorizationClient::configured(app).is_some()
}

/// Sends the browser to JHE.
async fn begin(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let client = AuthorizationClient::configured(app).ok_or_else(Refusal::not_found)?;
    let token = Token::generate()?;
    let next = after_sign_in::safe_next_page(request.query.get("next"));
    let url = client.authorization_url(&token, next, request.path == AGAIN);
    Ok(with_state_cookie(app, see_other(&url), Some(&token)))
}

fn with_state_cookie(app: &App, response: Response, token: Option<&Token>) -> Response {
    let secure = app.is_https();
    with_cookie(response, &TokenCookie { name: COOKIE, token, max_age: COOKIE_AGE, secure })
}

/// Completes a sign-in after JHE redirected the browser here. In any case the state cookie is deleted.
async fn callback(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let signed_in = async {
        let redirect = check_state(app, request)?;
        // After the state check, so that another site's page cannot use up the visitor's attempts.
        app.rate_limits.check_sign_in(request.client)?;
        complete_sign_in(app, request, &redirect).await
    };
    Ok(with_state_cookie(
        app,
        signed_in.await.unwrap_or_else(|refusal| refusal.into_page(&request.reader)),
        None,
    ))
}

/// A redirect from JHE whose state matches the cookie.
struct CheckedRedirect<'a> {
    client: AuthorizationClient,
    token: Token,
    /// The page to open after sign-in.
    next: &'a str,
    /// JHE was told to ask for the password.
    is_again: bool,
}

fn check_state<'a>(app: &App, request: &'a Request) -> Result<CheckedRedirect<'a>, Refusal> {
    let client = AuthorizationClient::configured(app).ok_or_else(Refusal::not_found)?;
    let token = request.cookie(COOKIE).ok_or_else(unknown_state)?;
    let given = request.query.get("state").split_at_checked(TOKEN_LENGTH);
    match given.filter(|(state, _)| token.is_oauth_state(state)) {
        Some((_, rest)) => {
            let again = rest.strip_prefix(AGAIN_MARK);
            let next = after_sign_in::safe_next_page(again.unwrap_or(rest));
            Ok(CheckedRedirect { client, token, next, is_again: again.is_some() })
        }
        None => Err(unknown_state()),
    }
}

async fn complete_sign_in(app: &App, request: &Request, redirect: &CheckedRedirect<'_>) -> HandlerResult {
    if request.query.has("error") {
        return Err(authorization_error(request.query.get("error")));
    }
    let verifier = redirect.token.pkce_verifier();
    let sign_in = SignIn {
        code: request.query.get("code"),
        redirect_uri: &redirect.client.redirect_uri,
        client_id: &redirect.client.client_id,
        verifier: &verifier,
    };
    let late = |_| Err(JheError::NoResponse("it did not answer in time".to_owned()));
    match timeout(SIGN_IN_TIMEOUT, redirect.client.jhe.sign_in(&sign_in)).await.unwrap_or_else(late) {
        Ok(SignedIn::Practitioner(who)) => {
            let start = SessionStart::new(app, request, SESSION_AGE)?;
            // JHE may have signed in a browser that it knew, whoever sits at it.
            begin_session(app, who, NewStaffSession { is_confirmed: redirect.is_again, ..start.row.clone() })
                .await?;
            Ok(start.respond(app, redirect.next))
        }
        Ok(SignedIn::Other) => Err(not_a_practitioner()),
        Err(error) => Err(sign_in_error(&error)),
    }
}

/// The result of signing in a practitioner whom JHE identified.
enum SignInOutcome {
    SignedIn,
    AccountDisabled,
    NoOrganization,
}

async fn begin_session(app: &App, who: Practitioner, row: NewStaffSession) -> Result<(), Refusal> {
    let now = app.clock.now();
    let write = move |db: &_| {
        if let Some(known) = account::find_by_jhe_user(db, who.user)?
            && known.disabled
        {
            audit::record(db, now, Actor::Account(known.id), "sign-in.failed", None, "jhe")?;
            return Ok(SignInOutcome::AccountDisabled);
        }
        if who.memberships.is_empty() {
            // The practitioner left the last organization, so open sessions end as well.
            jhe_practitioner::revoke_access(db, &who)?;
            return Ok(SignInOutcome::NoOrganization);
        }
        let id = jhe_practitioner::upsert(db, &who, now)?;
        after_sign_in::insert_session(db, id, &row, "jhe", now)?;
        Ok::<_, StoreError>(SignInOutcome::SignedIn)
    };
    match app.store.write(write).await? {
        SignInOutcome::SignedIn => Ok(()),
        SignInOutcome::AccountDisabled => Err(refuse_access(
            "Your account is shut here",
            "An operator of this service has blocked it. Ask an operator to allow it again.",
        )),
        SignInOutcome::NoOrganization => Err(refuse_access(
            "You belong to no organization",
            "You are signed in at JHE, but no patients are assigned to you. Have a manager of your organization \
             add you in JHE, then sign in again.",
        )),
    }
}

fn refuse_access(title: &str, text: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, title, text).link("/admin/sign-in", "Sign in")
}

fn unknown_state() -> Refusal {
    let text = "It was begun in another browser or more than ten minutes ago, or it is already complete. Nothing was \
                changed. Please begin again.";
    Refusal::new(StatusCode::BAD_REQUEST, "This sign-in cannot go on", text)
        .link("/admin/jhe", "Sign in with JHE")
}

/// Describes an error that JHE reported in the redirect.
fn authorization_error(error: &str) -> Refusal {
    if error == "access_denied" {
        return refuse_access(
            "You did not sign in",
            "JHE reports that it was refused or broken off. Nothing was changed.",
        );
    }
    // The query string is untrusted; only a plain error code reaches the log and the page.
    let is_code = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let code = Some(error).filter(is_code).map_or("", |code| &code[..code.len().min(MAX_CODE_LENGTH)]);
    tracing::warn!("JHE refuses to authorize practitioners: {code}");
    misconfigured(&format!("JHE refused it ({code})."))
}

fn not_a_practitioner() -> Refusal {
    let text = "You are signed in at JHE as a patient. Patients use the link of their study. If you work for the study \
                too, sign out in JHE, then sign in again as a practitioner.";
    Refusal::new(StatusCode::FORBIDDEN, "This is not for patients", text).link("/", "To the start page")
}

/// Describes a failed token exchange or a failed lookup of the practitioner.
fn sign_in_error(error: &JheError) -> Refusal {
    let again = |refusal: Refusal| refusal.link("/admin/jhe", "Sign in with JHE");
    match error {
        JheError::NotGranted(code) if code == "invalid_grant" => again(Refusal::new(
            StatusCode::BAD_REQUEST,
            "This sign-in cannot go on",
            "JHE no longer takes the code that your browser brought: it works once, within a minute. Please begin again.",
        )),
        JheError::NoResponse(_) | JheError::Unavailable { .. } => {
            tracing::warn!("a practitioner could not sign in: {error}");
            again(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "JHE does not answer",
                "Please try again in a few minutes.",
            ))
        }
        JheError::NotGranted(code) => {
            tracing::warn!("JHE does not accept the client of jhe.sign_in_client_id: {code}");
            misconfigured("JHE did not accept this sign-in.")
        }
        _ => {
            tracing::warn!("a practitioner could not sign in: {error}");
            misconfigured("JHE did not say who you are.")
        }
    }
}

fn misconfigured(message: &str) -> Refusal {
    let remedy = "Tell an operator of this service: the log and “Practitioners sign in through JHE” in docs/patients.md help.";
    Refusal::new(StatusCode::BAD_GATEWAY, "The sign-in with JHE does not work", format!("{message} {remedy}"))
        .link("/admin/sign-in", "Sign in")
}
