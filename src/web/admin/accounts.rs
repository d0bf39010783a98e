//! Accounts of practitioners and operators.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::second_factor::reset as reset_second_factor;
use crate::app::sign_in_link::{LINK_LIFETIME, sign_in_url};
use crate::app::state::App;
use crate::common::counted::counted;
use crate::model::account::{AccountId, NO_ROLE, Role, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::parse_name;
use crate::model::study::{Study, StudyId};
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::account::{self, Account, LinkOrigin};
use crate::store::people::session::{self, Holder};
use crate::store::people::{api_token, study};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::access::{CONFIRMED_OPERATOR, Confirmed, OPERATOR, Operator, Staff};
use crate::web::admin::patients::MAX_OFFERED_STUDIES;
use crate::web::admin::staff::render_staff_page;
use crate::web::layout::{FormErrors, FormField, checkbox, form, local_text, notice, to_copy};
use crate::web::request::{FormFields, Request};
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/accounts", OPERATOR, show),
        post("/admin/accounts/new", CONFIRMED_OPERATOR, add),
        post("/admin/accounts/{account}", CONFIRMED_OPERATOR, change),
    ]
}

async fn show(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let done = match request.query.get("done") {
        "changed" => "Saved.",
        "reset" => {
            "The second factor is reset. The account signs in with its password alone until it sets up another."
        }
        "ended" => "The account is signed out in every browser.",
        "tokens" => "The API tokens that the account made are revoked.",
        _ => "",
    };
    render(app, operator.staff(), done, "", &FormErrors::default()).await
}

async fn render(app: &App, staff: &Staff, done: &str, typed: &str, errors: &FormErrors) -> HandlerResult {
    let now = app.clock.now();
    let read = move |db: &_| {
        let load = |account: Account| {
            let sessions = session::count(db, Holder::Account(account.id), now)?;
            let tokens = api_token::count_made_by(db, account.id, now)?;
            Ok(AccountCard { roles: account::list_study_roles(db, account.id)?, sessions, tokens, account })
        };
        let accounts = account::list(db)?.into_iter().map(load).collect::<Result<Vec<_>, StoreError>>()?;
        Ok((accounts, study::list(db, VisibleTo::Everybody, Role::Viewer, 0, MAX_OFFERED_STUDIES)?))
    };
    let (accounts, studies) = app.store.read(read).await?;
    let body = html! {
        h1 { "Accounts" }
        dl.terms { @for &role in Role::ALL { dt { (role) } dd { (role.about()) } } }
        (notice(done))
        (errors.summary())
        @for one in &accounts { (one.render(staff, &studies)) }
        section.card {
            h2 { "Make an account" }
            (form("/admin/accounts/new", staff.token(), &html! {
                (FormField { name: "name", label: "Name", help: "To sign in with, and for the audit.", value: typed,
                         kind: "text", autocomplete: "off", errors })
                (checkbox("operator", "operator", "1", false, &html! { "Operator, in every study" }))
                (render_role_choice("new", &studies, &[]))
                button type="submit" { "Make the account" }
            }))
        }
    };
    Ok(render_staff_page(app, staff, "/admin/accounts", "Accounts", &body))
}

/// Renders a choice of a study, and one of a role in it. `more` are choices beside the roles, each with its value.
fn render_role_choice(id: &str, studies: &[Study], more: &[(&str, &str)]) -> Markup {
    html! {
        div.inline {
            label for={ "study-" (id) } { "In the study" }
            select id={ "study-" (id) } name="study" {
                option value="" { "choose" }
                @for study in studies { option value=(study.id) { (study.terms.name) } }
            }
            label for={ "role-" (id) } { "as" }
            select id={ "role-" (id) } name="role" {
                @for &role in Role::IN_STUDY { option value=(role.as_str()) { (role) } }
                @for (value, name) in more { option value=(value) { (name) } }
            }
        }
    }
}

/// An account with what its card shows.
struct AccountCard {
    account: Account,
    /// The role in each study, by the name of the study.
    roles: Vec<(String, Role)>,
    sessions: i64,
    /// API tokens that the account made and that work, whatever its role is now.
    tokens: i64,
}

impl AccountCard {
    fn render(&self, staff: &Staff, studies: &[Study]) -> Markup {
        let Self { account, roles, sessions, tokens } = self;
        let state = match (account.disabled, account.has_password) {
            (true, _) => "sign-in is blocked",
            (false, _) if account.is_of_jhe() => "signs in through JHE",
            (false, true) => "has a password",
            (false, false) => "has not chosen a password yet",
        };
        let button = |action: &str, label: &str| {
            html! {
                button.quiet type="submit" name="action" value=(action) {
                    (label) span.hidden { " of " (account.name) }
                }
            }
        };
        let is_operator = account.role == Role::Operator;
        html! {
            section.card {
                h2 { (account.name) }
                p {
                    (state) @if account.has_second_factor() { " and a second factor" }
                    @if *sessions > 0 { "; signed in in " (counted(sessions, "browser")) }
                }
                @if *tokens > 0 { p { (counted(tokens, "API token")) " made by this account still can be used." } }
                @if let Some(user) = account.jhe_user {
                    p.fine { "JHE’s user " (user) ", " (account.role) ": JHE sets name, roles and organizations at each \
                              sign-in." }
                } @else if is_operator { p { "Operator" } } @else {
                    @if roles.is_empty() { p { "No role in any study: sees nothing." } }
                    @else { ul { @for (study, role) in roles { li { (study) ": " (role) } } } }
                }
                (form(&format!("/admin/accounts/{}", account.id), staff.token(), &html! {
                    @if !account.is_of_jhe() && !is_operator {
                        (render_role_choice(&account.id.to_string(), studies, &[(NO_ROLE, "no role")]))
                    }
                    div.actions {
                        @if !account.is_of_jhe() && is_operator { (button("not-operator", "End the role of operator")) }
                        @if !account.is_of_jhe() && !is_operator {
                            (button("role", "Save the role"))
                            (button("operator", "Make an operator"))
                        }
                        @if account.disabled {
                            (button("enable", "Allow sign-in again"))
                        } @else {
                            @if !account.is_of_jhe() { (button("link", "Make a one-time link")) }
                            (button("disable", "Block sign-in"))
                        }
                        @if account.has_second_factor() { (button("reset-second-factor", "Reset the second factor")) }
                        @if *sessions > 0 && !account.is_of_jhe() { (button("end-sessions", "Sign out everywhere")) }
                        @if *tokens > 0 { (button("revoke-tokens", "Revoke the API tokens")) }
                    }
                }))
            }
        }
    }
}

/// Returns the study and the role that a form chose; no study if none was chosen, no role if it is to be taken away.
fn parse_role(form: &FormFields) -> Result<Option<(StudyId, Option<Role>)>, Refusal> {
    if form.get("study").is_empty() {
        return Ok(None);
    }
    let study = form.get("study").parse().map_err(|_| Refusal::bad("There is no such study."))?;
    let role = match form.get("role") {
        NO_ROLE => None,
        role => Some(role.parse().map_err(|why: String| Refusal::bad(why))?),
    };
    Ok(Some((study, role)))
}

async fn add(app: &App, request: &Request, operator: &Confirmed<Operator>) -> HandlerResult {
    let staff = operator.staff();
    let typed = request.form().get("name");
    let mut errors = FormErrors::default();
    let (is_operator, role) = (request.form().has("operator"), parse_role(request.form())?);
    if let Some(name) = errors.take("name", parse_name(typed).map_err(|why| format!("Name: {why}"))) {
        let (token, who, now) = (Token::generate()?, staff.actor(), app.clock.now());
        let (hash, wanted) = (token.hash(), name.clone());
        let write = move |db: &_| {
            let id = account::insert(db, &wanted, is_operator, now)?;
            account::insert_sign_in_link(db, id, hash, LinkOrigin::Person, now.plus(LINK_LIFETIME))?;
            let detail = AuditDetail::from("account").with(id);
            let detail = if is_operator { detail.with(Role::Operator) } else { detail };
            audit::record(db, now, who, "account.add", None, detail)?;
            match role.filter(|_| !is_operator) {
                Some((study, role)) => account::set_study_role(db, id, study, role, who, now),
                None => Ok(()),
            }
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

async fn change(app: &App, request: &Request, operator: &Confirmed<Operator>) -> HandlerResult {
    let staff = operator.staff();
    let id: AccountId = request.parameter("account").parse().map_err(|_| Refusal::not_found())?;
    let one = app.store.read(move |db| account::find(db, id)).await?.ok_or_else(Refusal::not_found)?;
    match request.form().get("action") {
        "role" | "operator" | "link" | "end-sessions" if one.is_of_jhe() => {
            let why = "JHE manages this account: here you can only block its sign-in, or allow it again.";
            Err(Refusal::bad(why).link("/admin/accounts", "Accounts"))
        }
        "role" => {
            let (study, role) =
                parse_role(request.form())?.ok_or_else(|| Refusal::bad("Choose a study first."))?;
            let (who, now) = (staff.actor(), app.clock.now());
            app.store.write(move |db| account::set_study_role(db, id, study, role, who, now)).await?;
            Ok(see_other("/admin/accounts?done=changed"))
        }
        "operator" => update_account(app, staff, id, true, one.disabled).await,
        "not-operator" => update_account(app, staff, id, false, one.disabled).await,
        "disable" => update_account(app, staff, id, one.role == Role::Operator, true).await,
        "enable" => update_account(app, staff, id, one.role == Role::Operator, false).await,
        "end-sessions" => end_sessions(app, staff, id).await,
        "revoke-tokens" => revoke_tokens(app, staff, id).await,
        "reset-second-factor" => {
            let (who, now) = (staff.actor(), app.clock.now());
            app.store.write(move |db| reset_second_factor(db, id, who, now)).await?;
            Ok(see_other("/admin/accounts?done=reset"))
        }
        "link" if !one.disabled => {
            let token = Token::generate()?;
            insert_link(app, staff, id, token.hash()).await?;
            Ok(render_one_time_link(app, staff, &one.name, &token))
        }
        _ => Err(Refusal::bad("There is no such action.").link("/admin/accounts", "Accounts")),
    }
}

async fn update_account(
    app: &App,
    staff: &Staff,
    id: AccountId,
    is_operator: bool,
    is_disabled: bool,
) -> HandlerResult {
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        account::update(db, id, is_operator, is_disabled)?;
        let detail = AuditDetail::from("account").with(id);
        let detail = if is_operator { detail.with(Role::Operator) } else { detail };
        let detail = if is_disabled { detail.with("disabled") } else { detail };
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

async fn revoke_tokens(app: &App, staff: &Staff, id: AccountId) -> HandlerResult {
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        if api_token::revoke_made_by(db, id, now)? > 0 {
            let detail = AuditDetail::from("made by account").with(id);
            audit::record(db, now, who, "api-token.revoke", None, detail)?;
        }
        Ok(())
    };
    app.store.write(write).await?;
    Ok(see_other("/admin/accounts?done=tokens"))
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
