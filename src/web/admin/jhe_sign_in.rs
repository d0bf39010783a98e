//! Practitioners sign in through JHE: authorization code with PKCE (RFC 6749, RFC 7636). What JHE gives for the
//! code is used once, to ask who it is, and not kept.

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
use crate::store::people::session::{self, Holder};
use crate::store::people::{account, jhe_practitioner};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{Anyone, OPEN};
use crate::web::admin::{after_sign_in, staff::with_session};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, TokenCookie, see_other, with_cookie};
use crate::web::route::{Route, get};

/// The cookie of a browser that is on its way to JHE and back: state and verifier are derived from it.
const COOKIE: &str = "jhe_ow_to_jhe";
/// As long as it may take to type a password there, and to look one up.
const ON_THE_WAY: Duration = Duration::from_mins(10);
/// Whoever leaves an organization at JHE, or gets another role there, is not told of here: by then the browser has
/// to go by JHE again.
const SESSION_AGE: Duration = Duration::from_hours(1);
/// How long a person waits for JHE to say who it is: some short answers, behind the batches of an export.
const PATIENCE: Duration = Duration::from_secs(20);
/// Characters of an error code of OAuth that are shown; JHE's have less than 30.
const LONGEST_CODE: usize = 40;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/jhe", OPEN, begin), get("/admin/jhe/callback", OPEN, callback)]
}

/// How practitioners get to JHE and back.
struct Way {
    jhe: Arc<Jhe>,
    base: BaseUrl,
    client_id: String,
    /// Registered at JHE, byte for byte.
    redirect_uri: String,
}

impl Way {
    /// None where it is not configured.
    fn of(app: &App) -> Option<Self> {
        let config = app.live.config();
        let redirect_uri = format!("{}/admin/jhe/callback", config.public_base());
        let base = config.jhe_public_base()?.clone();
        Some(Self { jhe: app.live.jhe()?, base, client_id: config.jhe_sign_in_client_id?, redirect_uri })
    }

    /// Where the browser is sent. The page to come back to goes along in the state.
    fn authorize(&self, token: &Token, next: &str) -> String {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", &format!("{}{next}", token.oauth_state()))
            .append_pair("code_challenge", &token.pkce_challenge())
            .append_pair("code_challenge_method", "S256")
            .finish();
        format!("{}/o/authorize/?{query}", self.base)
    }
}

/// Whether the sign-in page offers it.
pub(crate) fn is_offered(app: &App) -> bool {
    Way::of(app).is_some()
}

/// Sends the browser to JHE.
async fn begin(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let way = Way::of(app).ok_or_else(Refusal::not_found)?;
    let token = Token::generate()?;
    let to = way.authorize(&token, after_sign_in::landing(request.query.get("next")));
    Ok(with_way_cookie(app, see_other(&to), Some(&token)))
}

fn with_way_cookie(app: &App, answer: Response, token: Option<&Token>) -> Response {
    let secure = app.is_https();
    with_cookie(answer, &TokenCookie { name: COOKIE, token, path: "/admin/jhe", max_age: ON_THE_WAY, secure })
}

/// Signs in a browser that comes back from JHE. However that ends, its cookie of the way there is deleted.
async fn callback(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let signed_in = async {
        let back = own_state(app, request)?;
        // After the state, so that another site's page cannot wear out its reader's tries.
        app.rate_limits.check_sign_in(request.client)?;
        come_back(app, request, &back).await
    };
    Ok(with_way_cookie(app, signed_in.await.unwrap_or_else(Response::from), None))
}

/// A browser that comes back from where it was sent.
struct Back<'a> {
    way: Way,
    token: Token,
    /// The page that it wanted.
    next: &'a str,
}

fn own_state<'a>(app: &App, request: &'a Request) -> Result<Back<'a>, Refusal> {
    let way = Way::of(app).ok_or_else(Refusal::not_found)?;
    let token = request.cookie(COOKIE).ok_or_else(not_begun_here)?;
    let given = request.query.get("state").split_at_checked(TOKEN_LENGTH);
    match given.filter(|(state, _)| token.is_oauth_state(state)) {
        Some((_, next)) => Ok(Back { way, token, next: after_sign_in::landing(next) }),
        None => Err(not_begun_here()),
    }
}

async fn come_back(app: &App, request: &Request, back: &Back<'_>) -> HandlerResult {
    if request.query.has("error") {
        return Err(broken_off(request.query.get("error")));
    }
    let verifier = back.token.pkce_verifier();
    let brought = SignIn {
        code: request.query.get("code"),
        redirect_uri: &back.way.redirect_uri,
        client_id: &back.way.client_id,
        verifier: &verifier,
    };
    let late = |_| Err(JheError::NoResponse("it did not answer in time".to_owned()));
    match timeout(PATIENCE, back.way.jhe.sign_in(&brought)).await.unwrap_or_else(late) {
        Ok(SignedIn::Practitioner(who)) => {
            let session = let_in(app, who).await?;
            Ok(with_session(app, see_other(back.next), &session, SESSION_AGE))
        }
        Ok(SignedIn::Other) => Err(not_a_practitioner()),
        Err(error) => Err(not_told(&error)),
    }
}

/// What became of a practitioner whom JHE knows.
enum Kept {
    In,
    /// The account is disabled here.
    ShutOut,
    /// There is no organization.
    Nowhere,
}

async fn let_in(app: &App, who: Practitioner) -> Result<Token, Refusal> {
    let token = Token::generate()?;
    let (hash, now) = (token.hash(), app.clock.now());
    let write = move |db: &_| {
        if let Some(known) = account::find_by_jhe_user(db, who.user)?
            && known.disabled
        {
            audit::record(db, now, Actor::Account(known.id), "sign-in.failed", None, "jhe")?;
            return Ok(Kept::ShutOut);
        }
        let Some(role) = who.role() else {
            jhe_practitioner::revoke_access(db, &who)?;
            return Ok(Kept::Nowhere);
        };
        let id = jhe_practitioner::upsert(db, &who, role, now)?;
        session::insert(db, hash, Holder::Account(id), now, now.plus(SESSION_AGE))?;
        audit::record(db, now, Actor::Account(id), "sign-in", None, "jhe")?;
        Ok::<_, StoreError>(Kept::In)
    };
    match app.store.write(write).await? {
        Kept::In => Ok(token),
        Kept::ShutOut => Err(out(
            "Your account is shut here",
            "An operator of this service has done that. Ask one to let you in again.",
        )),
        Kept::Nowhere => Err(out(
            "You belong to no organization",
            "You are signed in at JHE, but there is nobody here for you to see. Have a manager of your organization \
             add you in JHE, then sign in again.",
        )),
    }
}

/// Somebody whom JHE knows, and who does not come in.
fn out(title: &str, text: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, title, text).link("/admin/sign-in", "Sign in")
}

fn not_begun_here() -> Refusal {
    let text = "It was begun in another browser, longer than ten minutes ago, or it has ended already. Nothing was \
                changed. Begin it anew.";
    Refusal::new(StatusCode::BAD_REQUEST, "This sign-in cannot go on", text)
        .link("/admin/jhe", "Sign in with JHE")
}

/// JHE sent the browser back without a code.
fn broken_off(error: &str) -> Refusal {
    if error == "access_denied" {
        return out(
            "You did not sign in",
            "JHE says that it was refused or broken off. Nothing was changed.",
        );
    }
    let is_code = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let code = Some(error).filter(is_code).map_or("", |code| &code[..code.len().min(LONGEST_CODE)]);
    tracing::warn!("JHE sends practitioners back without a code: {code}");
    misconfigured(&format!("JHE takes no part in it ({code})."))
}

fn not_a_practitioner() -> Refusal {
    let text = "You are signed in at JHE as a patient. Patients use the link of their study. If you work for the study \
                too, sign out in JHE, then sign in again as a practitioner.";
    Refusal::new(StatusCode::FORBIDDEN, "This is not for patients", text).link("/", "To the start page")
}

/// JHE did not say who it is.
fn not_told(error: &JheError) -> Refusal {
    let again = |refusal: Refusal| refusal.link("/admin/jhe", "Sign in with JHE");
    match error {
        JheError::NotGranted(code) if code == "invalid_grant" => again(Refusal::new(
            StatusCode::BAD_REQUEST,
            "This sign-in cannot go on",
            "JHE no longer takes what your browser brought from there: it is good once, for a minute. Begin anew.",
        )),
        JheError::NoResponse(_) | JheError::Unavailable { .. } => {
            tracing::warn!("a practitioner could not sign in: {error}");
            again(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "JHE does not answer",
                "So it is not known who you are. Please try again in a few minutes.",
            ))
        }
        JheError::NotGranted(what) => {
            tracing::warn!("JHE does not take the client of jhe.sign_in_client_id: {what}");
            misconfigured("JHE did not accept this sign-in.")
        }
        _ => {
            tracing::warn!("a practitioner could not sign in: {error}");
            misconfigured("JHE did not say who you are.")
        }
    }
}

fn misconfigured(what: &str) -> Refusal {
    let next = "Tell an operator of this service: the log and “Practitioners sign in through JHE” in docs/patients.md help.";
    Refusal::new(StatusCode::BAD_GATEWAY, "The sign-in with JHE does not work", format!("{what} {next}"))
        .link("/admin/sign-in", "Sign in")
}
