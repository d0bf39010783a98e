//! Sign-in with a password or a one-time link, sign-out, and the change of a password.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::{repeated_events::AuditEvent, state::App};
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::secrets::password;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::account::{self, Account};
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{ANY_ACCOUNT, Anyone, OPEN, Staff};
use crate::web::admin::after_sign_in::{render_signed_out_page, safe_next_page};
use crate::web::admin::jhe_sign_in;
use crate::web::admin::staff::{SESSION_AGE, render_staff_page, with_session, without_session};
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
        "" => render_form(app, &visitor.0, request.query.get("next"), "", None),
        token => {
            let (hash, now) = (link_hash(token), app.clock.now());
            match app.store.read(move |db| account::find_by_sign_in_link(db, hash, now)).await? {
                Some(account) => render_link_form(&visitor.0, token, &account),
                None => render_form(app, &visitor.0, "", "", Some(LINK_INVALID)),
            }
        }
    };
    Ok(csrf::with_visitor(app, render_signed_out_page(app, &body), &visitor))
}

const PASSWORD_IS_JHES: &str = "You sign in through JHE: your password is changed there.";
const LINK_INVALID: &str = "This one-time link was used already, or has expired. Sign in with your name and password, \
                     or have an operator make a new link. At the machine: jhe-ow admin set-password";

fn link_hash(token: &str) -> TokenHash {
    TokenHash::of(token.as_bytes())
}

fn render_form(app: &App, visitor: &Token, next: &str, name: &str, problem: Option<&str>) -> Markup {
    let errors = FormErrors::default();
    html! {
        h1 { "Sign in" }
        p { "For practitioners and operators. Patients use the link from their study." }
        @if let Some(problem) = problem { div.problem role="alert" { p { (problem) } } }
        @if jhe_sign_in::is_offered(app) {
            p { a.button href={ "/admin/jhe?next=" (safe_next_page(next)) } { "Sign in with JHE" } }
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

fn render_link_form(visitor: &Token, token: &str, account: &Account) -> Markup {
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
    // First, so that another site's page cannot use up the visitor's attempts.
    let visitor = csrf::check_visitor_form(app, request).await?;
    app.rate_limits.check_sign_in(request.client)?;
    let session = match request.form().get("token") {
        "" => sign_in_with_password(app, name, request.form().secret("password")).await?,
        token => sign_in_with_link(app, link_hash(token)).await?,
    };
    if let Some(session) = session {
        let next = safe_next_page(request.form().get("next"));
        return Ok(with_session(app, see_other(next), &session, SESSION_AGE));
    }
    let problem = if request.form().has("token") { LINK_INVALID } else { "Name or password is wrong." };
    let body = render_form(app, &visitor, request.form().get("next"), name, Some(problem));
    Ok(with_status(StatusCode::FORBIDDEN, render_signed_out_page(app, &body)))
}

async fn sign_in_with_password(app: &App, name: &str, password: &str) -> Result<Option<Token>, Refusal> {
    let wanted = name.to_owned();
    let found = app.store.read(move |db| account::find_with_password_hash(db, &wanted)).await?;
    let (account, hash) = found.unzip();
    // Also without an account, so that the response time does not reveal which names exist.
    if !password::verify(password.to_owned(), hash).await {
        if let Some(account) = account {
            let now = app.clock.now();
            let actor = Actor::Account(account.id);
            let event =
                AuditEvent { actor, action: "sign-in.failed", patient: None, detail: AuditDetail::default() };
            app.repeated_events.record(&app.store, event, now).await?;
        }
        return Ok(None);
    }
    match account {
        Some(account) => begin_session(app, &account, None).await,
        None => Ok(None),
    }
}

async fn sign_in_with_link(app: &App, hash: TokenHash) -> Result<Option<Token>, Refusal> {
    let now = app.clock.now();
    match app.store.read(move |db| account::find_by_sign_in_link(db, hash, now)).await? {
        Some(account) => begin_session(app, &account, Some(hash)).await,
        None => Ok(None),
    }
}

/// Inserts a session and consumes the one-time link, if one was used.
async fn begin_session(
    app: &App,
    account: &Account,
    link: Option<TokenHash>,
) -> Result<Option<Token>, Refusal> {
    let token = Token::generate()?;
    let (hash, id, now) = (token.hash(), account.id, app.clock.now());
    let write = move |db: &_| {
        if let Some(link) = link {
            // Checked again in the transaction: another request may have used the link in the meantime.
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
    Ok(render_password_form(app, staff, &FormErrors::default()))
}

fn render_password_form(app: &App, staff: &Staff, errors: &FormErrors) -> Response {
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
        @if !staff.account().has_password { p.lead { "Choose a password; your one-time link works only once." } }
        (errors.summary())
        (form("/admin/password", staff.token(), &html! {
            @if staff.account().has_password {
                (field("current", "Current password", "", "current-password"))
            }
            (field("password", "New password", &help, "new-password"))
            (field("again", "Repeat the new password", "", "new-password"))
            button type="submit" { "Save" }
        }))
    };
    render_staff_page(app, staff, "/admin/password", "Your password", &body)
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
            errors.add("current", "This is not your current password");
        }
    }
    let new = request.form().secret("password");
    errors
        .take("password", password::check_strength(new, &name).map_err(|why| format!("New password: {why}")));
    if new != request.form().secret("again") {
        errors.add("again", "The two new passwords differ");
    }
    if !errors.is_empty() {
        return Ok(with_status(StatusCode::BAD_REQUEST, render_password_form(app, staff, &errors)));
    }
    let hash = password::hash(new.to_owned()).await?;
    let (keep, who, now) = (staff.token().hash(), staff.actor(), app.clock.now());
    app.store.write(move |db| save_password(db, id, &hash, keep, who, now)).await?;
    Ok(see_other("/admin?done=password"))
}

fn save_password(
    db: &rusqlite::Connection,
    id: crate::model::account::AccountId,
    hash: &str,
    keep: TokenHash,
    who: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    account::set_password(db, id, hash, Some(keep))?;
    audit::record(db, now, who, "password.set", None, AuditDetail::from("account").with(id))
}
