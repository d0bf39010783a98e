//! The change of one's own password.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::audit_detail::AuditDetail;
use crate::secrets::{password, token::Token};
use crate::store::people::{account, session};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{ANY_ACCOUNT, Staff};
use crate::web::admin::after_sign_in::Attempt;
use crate::web::admin::staff::{SESSION_AGE, render_staff_page, with_session};
use crate::web::layout::{FormErrors, FormField, form};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/password", ANY_ACCOUNT, show_password),
        post("/admin/password", ANY_ACCOUNT, set_password),
    ]
}

const PASSWORD_IS_JHES: &str = "You sign in through JHE: your password is changed there.";

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
    render_staff_page(app, staff, "/admin/account", "Your password", &body)
}

async fn set_password(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    staff.require_local(PASSWORD_IS_JHES)?;
    let (id, name) = (staff.account().id, staff.account().name.clone());
    let mut errors = FormErrors::default();
    if staff.account().has_password {
        let attempt = Attempt::begin(app, request, &name, Some(id)).await?;
        if is_password_of(app, staff, request.form().secret("current")).await? {
            attempt.succeed(app);
        } else {
            attempt.fail(app, "").await?;
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
    let token = Token::generate()?;
    // A password alone does not confirm an account with a second factor.
    let confirmed = Some(app.clock.now()).filter(|_| !staff.account().has_second_factor());
    let (keep, renewed, who, now) = (staff.token().hash(), token.hash(), staff.actor(), app.clock.now());
    let save = move |db: &_| {
        account::set_password(db, id, &hash, Some(keep))?;
        session::renew(db, keep, renewed, confirmed)?;
        audit::record(db, now, who, "password.set", None, AuditDetail::from("account").with(id))
    };
    app.store.write(save).await?;
    Ok(with_session(app, see_other("/admin?done=password"), &token, SESSION_AGE))
}

/// Checks the password of the signed-in account.
pub(crate) async fn is_password_of(app: &App, staff: &Staff, given: &str) -> Result<bool, StoreError> {
    let name = staff.account().name.clone();
    let found = app.store.read(move |db| account::find_with_password_hash(db, &name)).await?;
    Ok(password::verify(given.to_owned(), found.map(|(_, hash)| hash)).await)
}
