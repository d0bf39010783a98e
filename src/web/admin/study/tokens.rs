//! The tokens with which programs read a study: a section of its page of data, and its forms.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::read_token::{self, ReadToken};
use crate::app::state::App;
use crate::model::patient::parse_name;
use crate::store::people::api_token::ApiToken;
use crate::web::access::{CONFIRMED_STUDY, Confirmed, VisibleStudy};
use crate::web::admin::staff::render_staff_page;
use crate::web::layout::{FormErrors, form, local, local_text, to_copy};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

/// The lives that the form offers, in days, with their names.
const LIVES: [(u64, &str); 3] = [(30, "30 days"), (90, "90 days"), (365, "a year")];
const DEFAULT_LIFE: u64 = 90;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/studies/{study}/tokens", CONFIRMED_STUDY, make),
        post("/admin/studies/{study}/revoke-token", CONFIRMED_STUDY, revoke),
    ]
}

/// Renders the tokens and the form for another one.
pub(crate) fn render(visible: &VisibleStudy, tokens: &[ApiToken], zone: &TimeZone, base: &str) -> Markup {
    let (study, form_token, errors) = (visible.study().id, visible.staff().token(), FormErrors::default());
    html! {
        h2 id="tokens" { "Read tokens" }
        p.help {
            "With a token, a notebook or a FHIR client reads these data at " code { (base) "/FHIR/R5" } ", as it would at \
             JupyterHealth Exchange. It reads only what participants share at that moment."
        }
        @if !tokens.is_empty() {
            table {
                thead { tr {
                    @for head in ["For", "Works until", "Last used", "Shows"] { th scope="col" { (head) } }
                    th scope="col" { span.hidden { "Actions" } }
                } }
                tbody { @for token in tokens { tr {
                    th scope="row" data-label="For" { (token.name) }
                    td data-label="Works until" {
                        @match (token.revoked, token.expires) {
                            (Some(at), _) => { "revoked " (local(zone, at)) }
                            (None, Some(at)) => { (local(zone, at)) }
                            (None, None) => "it is revoked"
                        }
                    }
                    td data-label="Last used" {
                        @match token.last_used { Some(at) => { (local(zone, at)) } None => "never" }
                    }
                    td data-label="Shows" { @if token.shows_names { "names" } @else { "study numbers" } }
                    td data-label="" {
                        @if token.revoked.is_none() && !visible.staff().account().is_of_jhe() {
                            (form(&format!("/admin/studies/{study}/revoke-token"), form_token, &html! {
                                input type="hidden" name="token" value=(token.id);
                                button.quiet type="submit" { "Revoke" span.hidden { " the token for " (token.name) } }
                            }))
                        }
                    }
                } } }
            }
        }
        @if visible.staff().account().is_of_jhe() {
            p.fine { "Tokens are made by accounts of this service. Ask an operator." }
        } @else {
            (form(&format!("/admin/studies/{study}/tokens"), form_token, &html! {
                (errors.field("name", "Program or person", "Such as “Ada’s notebook”.", "", "text").required())
                (errors.select("days", "It works for", "", &html! {
                    @for (days, name) in LIVES { option value=(days) selected[days == DEFAULT_LIFE] { (name) } }
                }))
                (errors.select("names", "Participants have", "", &html! {
                    option value="" selected { "study numbers alone" }
                    option value="yes" { "names and mail addresses too" }
                }))
                div.actions { button type="submit" { "Make a read token" } }
            }))
        }
    }
}

async fn make(app: &App, request: &Request, visible: &Confirmed<VisibleStudy>) -> HandlerResult {
    let (staff, study) = (visible.staff(), visible.study().id);
    require_local(visible)?;
    let fields = request.form();
    let name = parse_name(fields.get("name"))
        .map_err(|_| Refusal::bad("Enter the program or person that the token is for, in one line."))?;
    let life = LIVES.iter().find(|(days, _)| days.to_string() == fields.get("days"));
    let (days, _) = life.ok_or_else(|| Refusal::bad("Choose one of the times that the form offers."))?;
    let life = Duration::from_hours(24 * days);
    let wanted = ReadToken { study, name, life, shows_names: fields.get("names") == "yes" };
    let (token, expires) = read_token::make(&app.store, wanted, staff.actor(), app.clock.now()).await?;
    let until = local_text(&TimeZone::UTC, expires);
    let body = html! {
        h1 { "The read token" }
        (to_copy("secret", "The token, to be sent as Authorization: Bearer …", token.expose()))
        p { "It reads the data of this study until " (until) " or until it is revoked. It is shown only now; if it is lost, make another." }
        p { a.button href={ "/admin/studies/" (study) "/data#tokens" } { "Back to the data" } }
    };
    Ok(render_staff_page(app, staff, "/admin/studies", "The read token", &body))
}

async fn revoke(app: &App, request: &Request, visible: &Confirmed<VisibleStudy>) -> HandlerResult {
    require_local(visible)?;
    let (study, actor, now) = (visible.study().id, visible.staff().actor(), app.clock.now());
    let token = request.form().number("token").ok_or_else(|| Refusal::bad("There is no such token."))?;
    app.store.write(move |db| read_token::revoke(db, study, token, actor, now)).await?;
    app.bulk_jobs.remove_of_token(token);
    Ok(see_other(&format!("/admin/studies/{study}/data#tokens")))
}

/// A token would outlive the practitioner's membership in an organization of JHE.
fn require_local(visible: &VisibleStudy) -> Result<(), Refusal> {
    visible.staff().require_local("Tokens are made by accounts of this service. Ask an operator.")
}
