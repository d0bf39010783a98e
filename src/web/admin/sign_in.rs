//! Signing in and out, and passwords.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::secrets::password;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::account::{self, Account};
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{ANY_ACCOUNT, Anyone, OPEN, Staff};
use crate::web::admin::after_sign_in::{landing, plain};
use crate::web::admin::jhe_sign_in;
use crate::web::admin::staff::{SESSION_AGE, page, with_session, without_session};
use crate::web::csrf;
use crate::web::layout::{FormErrors, FormField, form};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/sign-in", OPEN, show),
        post("/admin/sign-in", OPEN, sign_in),
        post("/admin/sign-out", ANY_ACCOUNT, sign_out),
        get("/admin/password", ANY_ACCOUNT, show_password),
        post("/admin/password", ANY_ACCOUNT, set_password),
    ]
}

/// Shows the form, or the button of a one-time link. Opening a link does not use it up.
async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let visitor = csrf::visitor(request)?;
    let body = match request.query.get("token") {
        "" => ask(app, &visitor.0, request.query.get("next"), "", None),
        token => {
            let (hash, now) = (link_hash(token), app.clock.now());
            match app.store.read(move |db| account::find_by_sign_in_link(db, hash, now)).await? {
                Some(account) => ask_link(&visitor.0, token, &account),
                None => ask(app, &visitor.0, "", "", Some(SPENT)),
            }
        }
    };
    Ok(csrf::with_visitor(app, plain(app, &body), &visitor))
}

const PASSWORD_IS_JHES: &str = "You sign in through JHE: your password is changed there.";
const SPENT: &str = "This one-time link was used already, or is too old. Sign in with your name and password, \
                     or have an operator make a new link. At the machine: jhe-ow admin set-password";

fn link_hash(token: &str) -> TokenHash {
    TokenHash::of(token.as_bytes())
}

fn ask(app: &App, visitor: &Token, next: &str, name: &str, problem: Option<&str>) -> Markup {
    let errors = FormErrors::default();
    html! {
        h1 { "Sign in" }
        p { "For practitioners and operators. Patients use the link from their study." }
        @if let Some(problem) = problem { div.problem role="alert" { p { (problem) } } }
        @if jhe_sign_in::is_offered(app) {
            p { a.button href={ "/admin/jhe?next=" (landing(next)) } { "Sign in with JHE" } }
            h2 { "Without JHE" }
        }
        (form("/admin/sign-in", visitor, &html! {
            input type="hidden" name="next" value=(next);
            (FormField { name: "name", label: "Name", help: "", value: name, kind: "text",
                     autocomplete: "username", errors: &errors })
            (FormField { name: "password", label: "Password", help: "", value: "", kind: "password",
                     autocomplete: "current-password", errors: &errors })
            button type="submit" { "Sign in" }
        }))
    }
}

fn ask_link(visitor: &Token, token: &str, account: &Account) -> Markup {
    html! {
        h1 { "Sign in" }
        p { "This link signs you in once, as “" (account.name) "” (" (account.role.as_str()) "). You then choose a \
             password." }
        (form("/admin/sign-in", visitor, &html! {
            input type="hidden" name="token" value=(token);
            button type="submit" { "Sign in" }
        }))
    }
}

async fn sign_in(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let name = request.form().get("name");
    // First, so that another site's page cannot wear out its reader's tries.
    let visitor = csrf::check_visitor_form(app, request).await?;
    app.rate_limits.check_sign_in(request.client)?;
    let session = match request.form().get("token") {
        "" => with_password(app, name, request.form().secret("password")).await?,
        token => with_link(app, link_hash(token)).await?,
    };
    if let Some(session) = session {
        let next = landing(request.form().get("next"));
        return Ok(with_session(app, see_other(next), &session, SESSION_AGE));
    }
    let problem = if request.form().has("token") { SPENT } else { "Name or password is wrong." };
    let body = ask(app, &visitor, request.form().get("next"), name, Some(problem));
    Ok(with_status(StatusCode::FORBIDDEN, plain(app, &body)))
}

async fn with_password(app: &App, name: &str, password: &str) -> Result<Option<Token>, Refusal> {
    let wanted = name.to_owned();
    let found = app.store.read(move |db| account::find_with_password_hash(db, &wanted)).await?;
    let (account, hash) = found.unzip();
    if !password::verify(password.to_owned(), hash).await {
        if let Some(account) = account {
            let now = app.clock.now();
            let actor = Actor::Account(account.id);
            app.store.write(move |db| audit::record(db, now, actor, "sign-in.failed", None, "")).await?;
        }
        return Ok(None);
    }
    match account {
        Some(account) => begin(app, &account, None).await,
        None => Ok(None),
    }
}

async fn with_link(app: &App, hash: TokenHash) -> Result<Option<Token>, Refusal> {
    let now = app.clock.now();
    match app.store.read(move |db| account::find_by_sign_in_link(db, hash, now)).await? {
        Some(account) => begin(app, &account, Some(hash)).await,
        None => Ok(None),
    }
}

/// Begins a session, and uses up the link that led to it.
async fn begin(app: &App, account: &Account, link: Option<TokenHash>) -> Result<Option<Token>, Refusal> {
    let token = Token::generate()?;
    let (hash, id, now) = (token.hash(), account.id, app.clock.now());
    let write = move |db: &_| {
        if let Some(link) = link {
            if account::find_by_sign_in_link(db, link, now)?.is_none() {
                return Ok(false);
            }
            account::consume_sign_in_link(db, id, link)?;
        }
        session::insert(db, hash, Holder::Account(id), now, now.plus(SESSION_AGE))?;
        audit::record(db, now, Actor::Account(id), "sign-in", None, "")?;
        Ok(true)
    };
    Ok(app.store.write(write).await?.then_some(token))
}

async fn sign_out(app: &App, _: &Request, staff: &Staff) -> HandlerResult {
    let (hash, who, now) = (staff.token().hash(), staff.actor(), app.clock.now());
    let end = move |db: &_| {
        session::delete(db, hash)?;
        audit::record(db, now, who, "sign-out", None, "")
    };
    app.store.write(end).await?;
    Ok(without_session(app, see_other("/admin/sign-in")))
}

async fn show_password(app: &App, _: &Request, staff: &Staff) -> HandlerResult {
    staff.require_local(PASSWORD_IS_JHES)?;
    Ok(ask_password(app, staff, &FormErrors::default()))
}

fn ask_password(app: &App, staff: &Staff, errors: &FormErrors) -> Response {
    let help = format!("At least {} characters. A few words in a row do well.", password::MIN_LENGTH);
    let field = |name, label, help, autocomplete| FormField {
        name,
        label,
        help,
        value: "",
        kind: "password",
        autocomplete,
        errors,
    };
    let body = html! {
        h1 { "Your password" }
        @if !staff.account().has_password { p.lead { "Choose a password; the link you came by works only once." } }
        (errors.summary())
        (form("/admin/password", staff.token(), &html! {
            @if staff.account().has_password {
                (field("current", "Present password", "", "current-password"))
            }
            (field("password", "New password", &help, "new-password"))
            (field("again", "New password, once more", "", "new-password"))
            button type="submit" { "Save" }
        }))
    };
    page(app, staff, "/admin/password", "Your password", &body)
}

async fn set_password(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    staff.require_local(PASSWORD_IS_JHES)?;
    let (id, name) = (staff.account().id, staff.account().name.clone());
    let mut errors = FormErrors::default();
    if staff.account().has_password {
        app.rate_limits.check_sign_in(request.client)?;
        let wanted = name.clone();
        let hash = app
            .store
            .read(move |db| account::find_with_password_hash(db, &wanted))
            .await?
            .map(|(_, hash)| hash);
        if !password::verify(request.form().secret("current").to_owned(), hash).await {
            errors.add("current", "This is not your present password");
        }
    }
    let new = request.form().secret("password");
    errors
        .take("password", password::check_strength(new, &name).map_err(|why| format!("New password: {why}")));
    if new != request.form().secret("again") {
        errors.add("again", "The two new passwords differ");
    }
    if !errors.is_empty() {
        return Ok(with_status(StatusCode::BAD_REQUEST, ask_password(app, staff, &errors)));
    }
    let hash = password::hash(new.to_owned()).await?;
    let (keep, who, now) = (staff.token().hash(), staff.actor(), app.clock.now());
    app.store.write(move |db| keep_password(db, id, &hash, keep, who, now)).await?;
    Ok(see_other("/admin?done=password"))
}

fn keep_password(
    db: &rusqlite::Connection,
    id: crate::model::account::AccountId,
    hash: &str,
    keep: TokenHash,
    who: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    account::set_password(db, id, hash, Some(keep))?;
    audit::record(db, now, who, "password.set", None, &format!("account {id}"))
}
