//! Re-authentication: asks for a password or a code again, and shows the form that waited for it or for a sign-in.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::{second_factor, state::App};
use crate::secrets::token::Token;
use crate::store::people::session;
use crate::store::privacy::audit;
use crate::web::access::{ANY_ACCOUNT, CONFIRM, Staff};
use crate::web::admin::after_sign_in::{Attempt, safe_next_page};
use crate::web::admin::jhe_sign_in;
use crate::web::admin::password::is_password_of;
use crate::web::admin::staff::{SESSION_AGE, render_staff_page, with_session};
use crate::web::keep_form::{KEPT_FORM, SENT_AGAIN};
use crate::web::layout::{FormErrors, FormField, form, local};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, see_other, with_status};
use crate::web::route::{Route, get, post};
use crate::web::{access::with_next, csrf};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get(CONFIRM, ANY_ACCOUNT, show),
        post(CONFIRM, ANY_ACCOUNT, confirm),
        get(KEPT_FORM, ANY_ACCOUNT, show_kept_form),
    ]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    if !staff.account().has_password && !staff.account().is_of_jhe() {
        return Ok(see_other("/admin/password"));
    }
    Ok(render(app, staff, safe_next_page(request.query.get("next")), &FormErrors::default()))
}

fn render(app: &App, staff: &Staff, next: &str, errors: &FormErrors) -> Response {
    let account = staff.account();
    let code_help = "The six digits that your authenticator app shows now, or a recovery code.";
    let body = html! {
        h1 { "Please confirm that it is you" }
        p.lead {
            "What comes next concerns people’s data or access to them, and you last said who you are more than ten minutes ago."
            @if next == KEPT_FORM { " Your form is kept for ten minutes; you can send it afterwards." }
        }
        @if account.is_of_jhe() {
            p { a.button href=(with_next(jhe_sign_in::AGAIN, next)) { "Sign in with JHE again" } }
        } @else {
            (errors.summary())
            (form(CONFIRM, staff.token(), &html! {
                input type="hidden" name="next" value=(next);
                // A password alone must not open what a second factor protects, such as its removal.
                @if account.has_second_factor() {
                    (FormField { name: "code", label: "Code", help: code_help, value: "", kind: "text",
                             autocomplete: "one-time-code", errors })
                } @else {
                    (FormField { name: "password", label: "Password", help: "", value: "", kind: "password",
                             autocomplete: "current-password", errors })
                }
                button type="submit" { "Confirm" }
            }))
        }
    };
    render_staff_page(app, staff, CONFIRM, "Confirm", &body)
}

async fn confirm(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (account, fields, now) = (staff.account(), request.form(), app.clock.now());
    let next = safe_next_page(fields.get("next"));
    let attempt = Attempt::begin(app, request, &account.name, Some(account.id)).await?;
    let mut errors = FormErrors::default();
    if account.has_second_factor() {
        let verdict = second_factor::check(app, account.id, fields.get("code"), now).await?;
        if !verdict.is_valid() {
            errors.add("code", verdict.problem());
        }
    } else if !is_password_of(app, staff, fields.secret("password")).await? {
        errors.add("password", "This is not your password.");
    }
    if !errors.is_empty() {
        attempt.fail(app, "confirm").await?;
        return Ok(with_status(StatusCode::FORBIDDEN, render(app, staff, next, &errors)));
    }
    attempt.succeed(app);
    let token = Token::generate()?;
    let (old, new, who) = (staff.token().hash(), token.hash(), staff.actor());
    let write = move |db: &_| {
        session::renew(db, old, new, Some(now))?;
        audit::record(db, now, who, "sign-in.confirm", None, "")
    };
    app.store.write(write).await?;
    Ok(with_session(app, see_other(next), &token, SESSION_AGE))
}

/// Shows a kept form with a button that sends it, with a fresh form token.
async fn show_kept_form(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (visitor, _) = csrf::visitor(request)?;
    let kept = app.kept_forms.find(visitor.hash(), staff.account().id, app.clock.now());
    let body = match kept {
        None => html! {
            h1 { "There is no form to send" }
            p { "A form is kept for ten minutes, for the account and the browser that sent it, and without passwords. Please \
                 fill it in again." }
            p { a.button href="/admin" { "Home" } }
        },
        Some(kept) => html! {
            h1 { "Send it now?" }
            p.lead {
                "You sent this form to " code { (kept.path) } " at " (local(&jiff::tz::TimeZone::UTC, kept.sent))
                ". Nothing was changed yet."
            }
            dl.terms { @for (name, value) in kept.fields.iter().filter(|(_, value)| !value.is_empty()) {
                dt { (name) } dd { (value) }
            } }
            (form(&kept.path, staff.token(), &html! {
                input type="hidden" name=(SENT_AGAIN) value="yes";
                @for (name, value) in &kept.fields { input type="hidden" name=(name) value=(value); }
                div.actions { button type="submit" { "Send it now" } a href="/admin" { "Do not send it" } }
            }))
        },
    };
    Ok(render_staff_page(app, staff, KEPT_FORM, "Your form", &body))
}
