//! Accounts of practitioners and operators.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::sign_in_link::{LINK_LIFETIME, sign_in_url};
use crate::app::state::App;
use crate::model::account::{AccountId, Role};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::parse_name;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::account::{self, Account, LinkOrigin};
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{OPERATOR, Operator, Staff};
use crate::web::layout::{FormErrors, FormField, form, local_text, notice, to_copy};
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};
use crate::web::{admin::staff::render_staff_page, request::Request};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/accounts", OPERATOR, show),
        post("/admin/accounts/new", OPERATOR, add),
        post("/admin/accounts/{account}", OPERATOR, change),
    ]
}

async fn show(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let done = match request.query.get("done") {
        "changed" => "Saved.",
        "ended" => "The account is signed out in every browser.",
        _ => "",
    };
    render(app, operator.staff(), done, "", &FormErrors::default()).await
}

async fn render(app: &App, staff: &Staff, done: &str, typed: &str, errors: &FormErrors) -> HandlerResult {
    let now = app.clock.now();
    let read = move |db: &_| {
        let accounts = account::list(db)?.into_iter();
        let with_session_count = |one: Account| Ok((session::count(db, Holder::Account(one.id), now)?, one));
        accounts.map(with_session_count).collect::<Result<Vec<_>, StoreError>>()
    };
    let accounts = app.store.read(read).await?;
    let body = html! {
        h1 { "Accounts" }
        dl.terms { @for &role in Role::ALL { dt { (role.as_str()) } dd { (role.about()) } } }
        (notice(done))
        (errors.summary())
        @for (sessions, one) in &accounts { (render_card(staff, one, *sessions)) }
        section.card {
            h2 { "Make an account" }
            (form("/admin/accounts/new", staff.token(), &html! {
                (FormField { name: "name", label: "Name", help: "To sign in with, and for the audit.", value: typed,
                         kind: "text", autocomplete: "off", errors })
                (role_choice("role", Role::Viewer))
                button type="submit" { "Make the account" }
            }))
        }
    };
    Ok(render_staff_page(app, staff, "/admin/accounts", "Accounts", &body))
}

fn role_choice(id: &str, chosen: Role) -> Markup {
    html! {
        div.field {
            label for=(id) { "Role" }
            select id=(id) name="role" {
                @for &role in Role::ALL {
                    option value=(role) selected[role == chosen] { (role.as_str()) }
                }
            }
        }
    }
}

fn render_card(staff: &Staff, one: &Account, sessions: i64) -> Markup {
    let state = match (one.disabled, one.has_password) {
        (true, _) => "sign-in is blocked",
        (false, _) if one.is_of_jhe() => "signs in through JHE",
        (false, true) => "has a password",
        (false, false) => "has not chosen a password yet",
    };
    let button = |action: &str, label: &str| {
        html! {
            button.quiet type="submit" name="action" value=(action) { (label) span.hidden { " of " (one.name) } }
        }
    };
    html! {
        section.card {
            h2 { (one.name) }
            p { (state) "; signed in in " (sessions) " " (if sessions == 1 { "browser" } else { "browsers" }) }
            @if let Some(user) = one.jhe_user {
                p.fine { "JHE’s user " (user) ", " (one.role.as_str()) ": JHE sets name, role and organizations at each \
                          sign-in." }
            }
            (form(&format!("/admin/accounts/{}", one.id), staff.token(), &html! {
                @if !one.is_of_jhe() { (role_choice(&format!("role-{}", one.id), one.role)) }
                div.actions {
                    @if !one.is_of_jhe() { (button("role", "Save the role")) }
                    @if one.disabled {
                        (button("enable", "Allow sign-in again"))
                    } @else {
                        @if !one.is_of_jhe() { (button("link", "Make a one-time link")) }
                        (button("disable", "Block sign-in"))
                    }
                    @if sessions > 0 && !one.is_of_jhe() { (button("end-sessions", "Sign out everywhere")) }
                }
            }))
        }
    }
}

async fn add(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let staff = operator.staff();
    let typed = request.form().get("name");
    let mut errors = FormErrors::default();
    let role: Role = request.form().get("role").parse().map_err(|why: String| Refusal::bad(why))?;
    if let Some(name) = errors.take("name", parse_name(typed).map_err(|why| format!("Name: {why}"))) {
        let (token, who, now) = (Token::generate()?, staff.actor(), app.clock.now());
        let (hash, wanted) = (token.hash(), name.clone());
        let write = move |db: &_| {
            let id = account::insert(db, &wanted, role, now)?;
            account::insert_sign_in_link(db, id, hash, LinkOrigin::Person, now.plus(LINK_LIFETIME))?;
            audit::record(db, now, who, "account.add", None, AuditDetail::from("account").with(id).with(role))
        };
        match app.store.write(write).await {
            Ok(()) => return Ok(render_one_time_link(app, staff, &name, &token)),
            Err(StoreError::Refused(why)) => errors.add("name", format!("Name: {why}")),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(with_status(StatusCode::BAD_REQUEST, render(app, staff, "", typed, &errors).await?))
}

fn render_one_time_link(app: &App, staff: &Staff, name: &str, token: &Token) -> Response {
    let config = app.live.config();
    let link = sign_in_url(&config.public_base(), token);
    let until = local_text(&jiff::tz::TimeZone::UTC, app.clock.now().plus(LINK_LIFETIME));
    let body = html! {
        h1 { "A one-time link for " (name) }
        @if let Some(warning) = config.public_url_warning() { p.warning { "Careful: " (warning) "." } }
        (to_copy("secret", "The link to pass on", &link))
        p { "It signs in once, until " (until) ", and then asks for a new password. It is shown only now; if \
             it is lost, make another." }
        p { a.button href="/admin/accounts" { "Back to the accounts" } }
    };
    render_staff_page(app, staff, "/admin/accounts", "A one-time link", &body)
}

async fn change(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let staff = operator.staff();
    let id: AccountId = request.parameter("account").parse().map_err(|_| Refusal::not_found())?;
    let one = app.store.read(move |db| account::find(db, id)).await?.ok_or_else(Refusal::not_found)?;
    match request.form().get("action") {
        "role" | "link" | "end-sessions" if one.is_of_jhe() => {
            let why = "JHE manages this account: here you can only block its sign-in, or allow it again.";
            Err(Refusal::bad(why).link("/admin/accounts", "Accounts"))
        }
        "role" => {
            let role = request.form().get("role").parse().map_err(|why: String| Refusal::bad(why))?;
            update_account(app, staff, Account { role, ..one }).await
        }
        "disable" => update_account(app, staff, Account { disabled: true, ..one }).await,
        "enable" => update_account(app, staff, Account { disabled: false, ..one }).await,
        "end-sessions" => end_sessions(app, staff, id).await,
        "link" if !one.disabled => {
            let token = Token::generate()?;
            insert_link(app, staff, id, token.hash()).await?;
            Ok(render_one_time_link(app, staff, &one.name, &token))
        }
        _ => Err(Refusal::bad("There is no such action.").link("/admin/accounts", "Accounts")),
    }
}

async fn update_account(app: &App, staff: &Staff, to: Account) -> HandlerResult {
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        account::update(db, to.id, to.role, to.disabled)?;
        let detail = AuditDetail::from("account").with(to.id).with(to.role);
        let detail = if to.disabled { detail.with("disabled") } else { detail };
        audit::record(db, now, who, "account.change", None, detail)
    };
    let written = app.store.write(write).await;
    written.map_err(|error| Refusal::from(error).link("/admin/accounts", "Accounts"))?;
    Ok(see_other("/admin/accounts?done=changed"))
}

async fn insert_link(app: &App, staff: &Staff, id: AccountId, hash: TokenHash) -> Result<(), Refusal> {
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        account::insert_sign_in_link(db, id, hash, LinkOrigin::Person, now.plus(LINK_LIFETIME))?;
        audit::record(db, now, who, "account.link", None, AuditDetail::from("account").with(id))
    };
    Ok(app.store.write(write).await?)
}

async fn end_sessions(app: &App, staff: &Staff, id: AccountId) -> HandlerResult {
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        session::delete_all(db, Holder::Account(id))?;
        audit::record(db, now, who, "session.end", None, AuditDetail::from("account").with(id))
    };
    app.store.write(write).await?;
    Ok(see_other("/admin/accounts?done=ended"))
}
