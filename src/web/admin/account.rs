//! One's own account: password, second factor, address for notices, and the browsers in which it is signed in.

use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::mail::smtp;
use crate::model::audit_detail::AuditDetail;
use crate::store::people::session::{self, StaffSession};
use crate::store::people::{account, second_factor};
use crate::store::{engine::setting, error::StoreError, privacy::audit};
use crate::web::access::{ANY_ACCOUNT, CONFIRMED_ACCOUNT, Confirmed, Staff};
use crate::web::admin::staff::render_staff_page;
use crate::web::layout::{FormErrors, ago, badge, form, notice};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

/// Characters of an e-mail address (RFC 5321).
const LONGEST_EMAIL: usize = 254;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/account", ANY_ACCOUNT, show),
        post("/admin/account/email", CONFIRMED_ACCOUNT, set_email),
        post("/admin/account/sessions", ANY_ACCOUNT, end_sessions),
    ]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let done = match request.query.get("done") {
        "email" => "Saved.",
        "ended" => "Signed out there.",
        "removed" => "Your second factor is removed.",
        "recovery" => {
            "You signed in with a recovery code, which is used up now. If your device is lost, set up another one."
        }
        _ => "",
    };
    render(app, staff, done, &staff.account().email, &FormErrors::default()).await
}

async fn render(app: &App, staff: &Staff, done: &str, email: &str, errors: &FormErrors) -> HandlerResult {
    let (account, now) = (staff.account().clone(), app.clock.now());
    let id = account.id;
    let read = move |db: &_| {
        let idle_end = setting::read_all(db)?.idle_end();
        let codes = second_factor::count_recovery_codes(db, id)?;
        Ok::<_, StoreError>((session::list_staff(db, id, now)?, codes, idle_end))
    };
    let (mut sessions, codes, idle_end) = app.store.read(read).await?;
    for session in &mut sessions {
        session.last_active = app.last_use.sessions.find(session.hash).unwrap_or(session.last_active);
    }
    sessions.retain(|session| session.last_active.plus(idle_end) > now);
    let body = html! {
        h1 { "Your sign-in" }
        (notice(done))
        (errors.summary())
        @if account.is_of_jhe() {
            p { "You sign in through JHE. Your password is changed there." }
        } @else {
            section { h2 { "Password" } p { a.button href="/admin/password" { "Change the password" } } }
            (render_second_factor(staff, codes))
            section #notices {
                h2 { "Notices" }
                (form("/admin/account/email", staff.token(), &html! {
                    (errors.field("email", "E-mail (optional)", "For a notice when somebody signs in to your account from a new \
                         browser. It needs a mail server in the configuration.", email, "email"))
                    button type="submit" { "Save" }
                }))
            }
        }
        (render_sessions(staff, &sessions, now))
    };
    Ok(render_staff_page(app, staff, "/admin/account", "Your sign-in", &body))
}

fn render_second_factor(staff: &Staff, codes: i64) -> Markup {
    html! {
        section #second-factor {
            h2 { "Second factor" }
            @if staff.account().has_second_factor() {
                p { (badge("good", "on")) " After your password, a code of your authenticator app is asked. Recovery codes left: "
                    (codes) "." }
                div.actions {
                    a.button href="/admin/account/second-factor" { "Set up another device" }
                    (form("/admin/account/recovery-codes", staff.token(), &html! {
                        button.quiet type="submit" { "Make new recovery codes" }
                    }))
                    (form("/admin/account/second-factor/remove", staff.token(), &html! {
                        button.quiet type="submit" { "Remove the second factor" }
                    }))
                }
            } @else {
                p { (badge("idle", "off")) " A code of an app on your phone, besides the password: a stolen password alone then \
                     opens nothing." }
                p { a.button href="/admin/account/second-factor" { "Set it up" } }
            }
        }
    }
}

fn render_sessions(staff: &Staff, sessions: &[StaffSession], now: Timestamp) -> Markup {
    let own = staff.token().hash();
    html! {
        section #browsers {
            h2 { "Where you are signed in" }
            table {
                thead { tr {
                    th scope="col" { "Browser" }
                    th scope="col" { "Address" }
                    th scope="col" { "Signed in" }
                    th scope="col" { "Last used" }
                    th scope="col" { "" span.hidden { "Actions" } }
                } }
                tbody { @for one in sessions { tr {
                    th scope="row" data-label="Browser" { (known(&one.browser)) @if one.hash == own { " (this one)" } }
                    td data-label="Address" { (known(&one.address)) }
                    td data-label="Signed in" { (ago(now, Some(one.created))) }
                    td data-label="Last used" { (ago(now, Some(one.last_active))) }
                    td data-label="" { @if one.hash != own {
                        (form("/admin/account/sessions", staff.token(), &html! {
                            input type="hidden" name="session" value=(one.id);
                            button.quiet type="submit" { "Sign out" span.hidden { " of " (known(&one.browser)) } }
                        }))
                    } }
                } } }
            }
            @if sessions.len() > 1 {
                (form("/admin/account/sessions", staff.token(), &html! {
                    input type="hidden" name="session" value="others";
                    button.quiet type="submit" { "Sign out everywhere else" }
                }))
            }
        }
    }
}

fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

async fn set_email(app: &App, request: &Request, staff: &Confirmed<Staff>) -> HandlerResult {
    staff.require_local("You sign in through JHE: no notices are sent from here.")?;
    let email = request.form().get("email").to_owned();
    let is_address = email.len() <= LONGEST_EMAIL && smtp::parse_recipient(&email).is_some();
    if !email.is_empty() && !is_address {
        let mut errors = FormErrors::default();
        errors.add("email", "Give an address such as ada@example.org, or nothing");
        let page: Response = render(app, staff, "", &email, &errors).await?;
        return Ok(with_status(http::StatusCode::BAD_REQUEST, page));
    }
    let (id, who, now) = (staff.account().id, staff.actor(), app.clock.now());
    let write = move |db: &_| {
        account::set_email(db, id, &email)?;
        audit::record(db, now, who, "account.email", None, AuditDetail::from("account").with(id))
    };
    app.store.write(write).await?;
    Ok(see_other("/admin/account?done=email#notices"))
}

/// Ends one session, or all but this one.
async fn end_sessions(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (id, own, which) = (staff.account().id, staff.token().hash(), request.form().get("session"));
    let one = if which == "others" {
        None
    } else {
        Some(which.parse::<i64>().map_err(|_| Refusal::bad("There is no such sign-in."))?)
    };
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        match one {
            Some(one) => session::delete_one(db, id, one)?,
            None => session::delete_others(db, id, Some(own))?,
        }
        audit::record(db, now, who, "session.end", None, AuditDetail::from("account").with(id))
    };
    app.store.write(write).await?;
    Ok(see_other("/admin/account?done=ended#browsers"))
}
