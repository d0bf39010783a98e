//! Sign-in with a password or a one-time link, the one-time code after it, and sign-out.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::second_factor::{self, CodeVerdict};
use crate::app::sign_in_link;
use crate::app::state::App;
use crate::secrets::password;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::account::{self, Account};
use crate::store::people::session;
use crate::store::privacy::audit;
use crate::web::access::{ANY_ACCOUNT, Staff};
use crate::web::admin::after_sign_in::{
    Attempt, SessionStart, insert_session, render_signed_out_page, safe_next_page,
};
use crate::web::admin::jhe_sign_in;
use crate::web::admin::staff::{SESSION_AGE, without_session};
use crate::web::csrf;
use crate::web::keep_form::KEPT_FORM;
use crate::web::layout::{FormErrors, FormField, form};
use crate::web::patient_access::{Anyone, OPEN};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/sign-in", OPEN, show),
        post("/admin/sign-in", OPEN, sign_in),
        get("/admin/sign-in/code", OPEN, show_code),
        post("/admin/sign-in/code", OPEN, give_code),
        post("/admin/sign-out", ANY_ACCOUNT, sign_out),
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

const LINK_INVALID: &str = "This one-time link was used already, or has expired. Sign in with your name and password, \
                     or have an operator make a new link. At the machine: jhe-ow admin set-password";

fn link_hash(token: &str) -> TokenHash {
    TokenHash::of(token.as_bytes())
}

fn render_form(app: &App, visitor: &Token, next: &str, name: &str, problem: Option<&str>) -> Markup {
    let errors = FormErrors::default();
    html! {
        h1 { "Sign in" }
        @if next == KEPT_FORM {
            p.notice role="status" {
                "You were signed out before your form arrived. It is kept for ten minutes: sign in, and you can send it."
            }
        }
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
        p { "This link signs you in once, as “" (account.name) "” (" (account.role) "). You then choose a \
             password." }
        (form("/admin/sign-in", visitor, &html! {
            input type="hidden" name="token" value=(token);
            button type="submit" { "Sign in" }
        }))
    }
}

async fn sign_in(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let form = request.form();
    // First, so that another site's page cannot use up the visitor's attempts.
    let visitor = csrf::check_visitor_form(app, request).await?;
    let next = safe_next_page(form.get("next"));
    let problem = if form.has("token") {
        app.rate_limits.check_sign_in(request.client)?;
        let (hash, now) = (link_hash(form.get("token")), app.clock.now());
        if let Some(account) = app.store.read(move |db| account::find_by_sign_in_link(db, hash, now)).await?
            && let Some(response) =
                pass_first_factor(app, request, &visitor, &account, Some(hash), next).await?
        {
            return Ok(response);
        }
        LINK_INVALID
    } else {
        let name = form.get("name").to_owned();
        let found = app.store.read(move |db| account::find_with_password_hash(db, &name)).await?;
        let (account, hash) = found.unzip();
        let id = account.as_ref().map(|account| account.id);
        let attempt = Attempt::begin(app, request, form.get("name"), id).await?;
        // Also without an account, so that the response time does not reveal which names exist.
        if password::verify(form.secret("password").to_owned(), hash).await
            && let Some(account) = account
        {
            // With a second factor, the series goes on: whoever has the password may not guess codes without end.
            if !account.has_second_factor() {
                attempt.succeed(app);
            }
            if let Some(response) = pass_first_factor(app, request, &visitor, &account, None, next).await? {
                return Ok(response);
            }
        } else {
            attempt.fail(app, "").await?;
        }
        "Name or password is wrong."
    };
    let body = render_form(app, &visitor, form.get("next"), form.get("name"), Some(problem));
    Ok(with_status(StatusCode::FORBIDDEN, render_signed_out_page(app, &body)))
}

/// Signs the account in, or asks for its one-time code. Returns none if the link was used in the meantime.
async fn pass_first_factor(
    app: &App,
    request: &Request,
    visitor: &Token,
    account: &Account,
    link: Option<TokenHash>,
    next: &str,
) -> Result<Option<Response>, Refusal> {
    if account.has_second_factor() {
        let now = app.clock.now();
        app.sign_in_attempts.wait_for_code(visitor.hash(), account.id, link, next, now);
        return Ok(Some(see_other("/admin/sign-in/code")));
    }
    begin_session(app, request, account, link, next, "").await
}

/// Inserts a session and consumes the one-time link, if one was used.
async fn begin_session(
    app: &App,
    request: &Request,
    account: &Account,
    link: Option<TokenHash>,
    next: &str,
    how: &'static str,
) -> Result<Option<Response>, Refusal> {
    let start = SessionStart::new(app, request, SESSION_AGE)?;
    let (id, now, row) = (account.id, app.clock.now(), start.row.clone());
    let write = move |db: &_| {
        if let Some(link) = link {
            // Checked again in the transaction: another request may have used the link in the meantime.
            if account::find_by_sign_in_link(db, link, now)?.is_none() {
                return Ok(None);
            }
            account::consume_sign_in_link(db, id, link)?;
        }
        insert_session(db, id, &row, how, now).map(Some)
    };
    let Some(is_new_browser) = app.store.write(write).await? else { return Ok(None) };
    if let Some(link) = link {
        sign_in_link::remove_used_link(app.store.directory(), link);
    }
    if is_new_browser {
        start.notify(app, account);
    }
    Ok(Some(start.respond(app, next)))
}

async fn show_code(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let (visitor, _) = csrf::visitor(request)?;
    if app.sign_in_attempts.find_waiting(visitor.hash(), app.clock.now()).is_none() {
        return Ok(see_other("/admin/sign-in"));
    }
    Ok(render_signed_out_page(app, &render_code_form(&visitor, None)))
}

fn render_code_form(visitor: &Token, problem: Option<&'static str>) -> Markup {
    let mut errors = FormErrors::default();
    if let Some(problem) = problem {
        errors.add("code", problem);
    }
    html! {
        h1 { "Your code" }
        (errors.summary())
        (form("/admin/sign-in/code", visitor, &html! {
            (FormField { name: "code", label: "Code", help: "The six digits that your authenticator app shows now.", value: "",
                     kind: "text", autocomplete: "one-time-code", errors: &errors })
            button type="submit" { "Sign in" }
        }))
        h2 { "If you do not have your device" }
        p { "Give one of your recovery codes instead. Without one, ask an operator to reset your second factor. On the \
             machine: " code { "jhe-ow admin reset-second-factor NAME" } "." }
        p { a href="/admin/sign-in" { "Sign in with another account" } }
    }
}

async fn give_code(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let visitor = csrf::check_visitor_form(app, request).await?;
    let (browser, now) = (visitor.hash(), app.clock.now());
    let Some(waiting) = app.sign_in_attempts.find_waiting(browser, now) else {
        return Ok(see_other("/admin/sign-in"));
    };
    let id = waiting.account;
    let account = app.store.read(move |db| account::find(db, id)).await?.filter(|one| !one.disabled);
    let Some(account) = account else { return Ok(see_other("/admin/sign-in")) };
    let attempt = Attempt::begin(app, request, &account.name, Some(id)).await?;
    let verdict = second_factor::check(app, id, request.form().get("code"), now).await?;
    if !verdict.is_valid() {
        app.sign_in_attempts.count_wrong_code(browser);
        attempt.fail(app, "code").await?;
        let body = if app.sign_in_attempts.find_waiting(browser, now).is_some() {
            render_code_form(&visitor, Some(verdict.problem()))
        } else {
            render_form(app, &visitor, &waiting.next, "", Some(CODES_WRONG))
        };
        return Ok(with_status(StatusCode::FORBIDDEN, render_signed_out_page(app, &body)));
    }
    app.sign_in_attempts.end_waiting(browser);
    attempt.succeed(app);
    let is_recovery = verdict == CodeVerdict::ValidRecoveryCode;
    let next = if is_recovery && waiting.next == "/admin" { AFTER_RECOVERY } else { &waiting.next };
    let how = if is_recovery { "recovery code" } else { "code" };
    match begin_session(app, request, &account, waiting.link, next, how).await? {
        Some(response) => Ok(response),
        None => Err(Refusal::forbidden(LINK_INVALID).link("/admin/sign-in", "Sign in")),
    }
}

/// Says how many recovery codes are left.
const AFTER_RECOVERY: &str = "/admin/account?done=recovery";
const CODES_WRONG: &str = "The code was wrong too often. Please begin again with your password.";

async fn sign_out(app: &App, _: &Request, staff: &Staff) -> HandlerResult {
    let (hash, who, now) = (staff.token().hash(), staff.actor(), app.clock.now());
    let end = move |db: &_| {
        session::delete(db, hash)?;
        audit::record(db, now, who, "sign-out", None, "")
    };
    app.store.write(end).await?;
    Ok(without_session(app, see_other("/admin/sign-in")))
}
