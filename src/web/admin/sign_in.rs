//! Signing in and out, and passwords.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::secrets::password;
use crate::secrets::token::{Token, TokenHash};
use crate::store::error::StoreError;
use crate::store::people::account::Account;
use crate::store::people::session::Holder;
use crate::store::people::{account, session};
use crate::store::privacy::audit;
use crate::web::admin::after_sign_in::{landing, plain};
use crate::web::admin::jhe_sign_in;
use crate::web::admin::staff::{SESSION_AGE, Staff, page, with_session, without_session};
use crate::web::csrf;
use crate::web::layout::{Errors, Field, form};
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other, with_status};

/// `GET /admin/sign-in`, with a one-time link's token or without. Opening a link uses nothing up.
pub(crate) async fn show(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let visitor = csrf::visitor(visit)?;
    let body = match visit.query.get("token") {
        "" => ask(app, &visitor.0, visit.query.get("next"), "", None),
        token => {
            let (hash, now) = (link_hash(token), app.clock.now());
            match app.store.read(move |db| account::of_link(db, hash, now)).await? {
                Some(account) => ask_link(&visitor.0, token, &account),
                None => ask(app, &visitor.0, "", "", Some(SPENT)),
            }
        }
    };
    Ok(csrf::greet(app, plain(app, &body), &visitor))
}

const SPENT: &str = "This one-time link was used already, or is too old. Sign in with your name and password, \
                     or have an operator make a new link. At the machine: jhe-ow admin set-password";

fn link_hash(token: &str) -> TokenHash {
    TokenHash::of(token.as_bytes())
}

fn ask(app: &App, visitor: &Token, next: &str, name: &str, problem: Option<&str>) -> Markup {
    let errors = Errors::default();
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
            (Field { name: "name", label: "Name", help: "", value: name, kind: "text",
                     autocomplete: "username", errors: &errors })
            (Field { name: "password", label: "Password", help: "", value: "", kind: "password",
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

/// `POST /admin/sign-in`.
pub(crate) async fn sign_in(app: &App, visit: &Visit) -> Response {
    let name = visit.form.get("name");
    let visitor = match csrf::visitor(visit) {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal.into_response(),
    };
    let token = (!visitor.1).then_some(&visitor.0);
    // First, so that another site's page cannot wear out its reader's tries.
    if let Err(refusal) = csrf::check_form(app, visit, token, Actor::Visitor).await {
        return refusal.into_response();
    }
    if let Err(too_many) = app.limits.sign_in(visit.client) {
        return too_many.into_response();
    }
    let signed = async {
        match visit.form.get("token") {
            "" => with_password(app, name, visit.form.secret("password")).await,
            token => with_link(app, link_hash(token)).await,
        }
    };
    match signed.await {
        Ok(Some(session)) => {
            let next = landing(visit.form.get("next"));
            with_session(app, see_other(next), &session, SESSION_AGE)
        }
        Ok(None) => {
            let problem = if visit.form.has("token") { SPENT } else { "Name or password is wrong." };
            let body = ask(app, &visitor.0, visit.form.get("next"), name, Some(problem));
            with_status(StatusCode::FORBIDDEN, plain(app, &body))
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn with_password(app: &App, name: &str, password: &str) -> Result<Option<Token>, Refusal> {
    let wanted = name.to_owned();
    let found = app.store.read(move |db| account::password(db, &wanted)).await?;
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
    match app.store.read(move |db| account::of_link(db, hash, now)).await? {
        Some(account) => begin(app, &account, Some(hash)).await,
        None => Ok(None),
    }
}

/// Begins a session, and uses up the link that led to it.
async fn begin(app: &App, account: &Account, link: Option<TokenHash>) -> Result<Option<Token>, Refusal> {
    let token = Token::draw()?;
    let (hash, id, now) = (token.hash(), account.id, app.clock.now());
    let write = move |db: &_| {
        if let Some(link) = link {
            if account::of_link(db, link, now)?.is_none() {
                return Ok(false);
            }
            account::use_link(db, id, link)?;
        }
        session::begin(db, hash, Holder::Account(id), now, now.plus(SESSION_AGE))?;
        audit::record(db, now, Actor::Account(id), "sign-in", None, "")?;
        Ok(true)
    };
    Ok(app.store.write(write).await?.then_some(token))
}

/// `POST /admin/sign-out`.
pub(crate) async fn sign_out(app: &App, staff: &Staff) -> Result<Response, Refusal> {
    let (hash, who, now) = (staff.token.hash(), staff.actor(), app.clock.now());
    let end = move |db: &_| {
        session::end(db, hash)?;
        audit::record(db, now, who, "sign-out", None, "")
    };
    app.store.write(end).await?;
    Ok(without_session(app, see_other("/admin/sign-in")))
}

/// `GET /admin/password`.
pub(crate) fn ask_password(app: &App, staff: &Staff, errors: &Errors) -> Response {
    let help = format!("At least {} characters. A few words in a row do well.", password::SHORTEST);
    let field = |name, label, help, autocomplete| Field {
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
        @if !staff.account.has_password { p.lead { "Choose a password; the link you came by works only once." } }
        (errors.summary())
        (form("/admin/password", &staff.token, &html! {
            @if staff.account.has_password {
                (field("current", "Present password", "", "current-password"))
            }
            (field("password", "New password", &help, "new-password"))
            (field("again", "New password, once more", "", "new-password"))
            button type="submit" { "Save" }
        }))
    };
    page(app, staff, "/admin/password", "Your password", &body)
}

/// `POST /admin/password`.
pub(crate) async fn set_password(app: &App, visit: &Visit, staff: &Staff) -> Result<Response, Refusal> {
    let (id, name) = (staff.account.id, staff.account.name.clone());
    let mut errors = Errors::default();
    if staff.account.has_password {
        if let Err(too_many) = app.limits.sign_in(visit.client) {
            return Ok(too_many.into_response());
        }
        let wanted = name.clone();
        let hash = app.store.read(move |db| account::password(db, &wanted)).await?.map(|(_, hash)| hash);
        if !password::verify(visit.form.secret("current").to_owned(), hash).await {
            errors.add("current", "This is not your present password");
        }
    }
    let new = visit.form.secret("password");
    errors.take("password", password::check(new, &name).map_err(|why| format!("New password: {why}")));
    if new != visit.form.secret("again") {
        errors.add("again", "The two new passwords differ");
    }
    if !errors.is_empty() {
        return Ok(with_status(StatusCode::BAD_REQUEST, ask_password(app, staff, &errors)));
    }
    let hash = password::hash(new.to_owned()).await?;
    let (keep, who, now) = (staff.token.hash(), staff.actor(), app.clock.now());
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
