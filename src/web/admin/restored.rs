//! Lists the patients whose consents a restore has suspended, and confirms or ends them.

use maud::{Markup, html};

use crate::app::state::App;
use crate::model::patient::PatientId;
use crate::store::privacy::restored::{self, SuspendedPatient};
use crate::web::access::{OPERATOR, Operator};
use crate::web::admin::staff::render_staff_page;
use crate::web::layout::{Column::Text, ago, form, notice, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, get, post};

const PATH: &str = "/admin/restored";

pub(crate) fn routes() -> Vec<Route> {
    vec![get(PATH, OPERATOR, show), post(PATH, OPERATOR, confirm)]
}

/// Renders the warning on other pages; nothing if no consent is suspended.
pub(crate) fn render_warning(suspended: i64) -> Markup {
    html! {
        @if suspended > 0 {
            p.warning {
                "A backup was restored. The consents of " (suspended) " patients are suspended, because a withdrawal since \
                 the backup may be lost: nothing of theirs is read. "
                a href=(PATH) { "Confirm the consents" } "."
            }
        }
    }
}

async fn show(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let now = app.clock.now();
    let read = |db: &_| Ok((restored::list_suspended(db)?, restored::find_last_restore(db)?));
    let (suspended, last) = app.store.read(read).await?;
    let done = match request.query.get("done") {
        "withdrawn" => "The withdrawal is recorded.",
        "confirmed" => "Confirmed. The next sync reads them again.",
        _ => "",
    };
    let staff = operator.staff();
    let body = html! {
        h1 { "Restored backup" }
        (notice(done))
        @match last {
            None => p.empty { "No backup was restored into this store." },
            Some(last) => p { "A backup was restored " (ago(now, Some(last))) ". Everybody has to sign in again; invitations and API tokens have ended." },
        }
        @if suspended.is_empty() {
            p.empty { "No consent waits for confirmation." }
        } @else {
            p {
                "These patients had consented when the backup was made. Confirm those who have not withdrawn since then. \
                 Until you confirm, nothing of them is read or sent; what is measured meanwhile is read afterwards."
            }
            table {
                (table_head(&[Text("Patient"), Text("Data types"), Text("Backup of"), Text("")]))
                tbody { @for one in &suspended { tr {
                    th scope="row" data-label="Patient" { a href={ "/admin/patients/" (one.patient) } { (one.patient) " " (one.name) } }
                    td data-label="Data types" { (one.scopes) }
                    td data-label="Backup of" { (ago(now, Some(one.as_of))) }
                    td data-label="" { div.actions { (form(PATH, staff.token(), &decide(one))) } }
                } } }
            }
            (form(PATH, staff.token(), &html! { button type="submit" { "Confirm the consents of all " (suspended.len()) } }))
        }
    };
    Ok(render_staff_page(app, staff, PATH, "Restored backup", &body))
}

fn decide(one: &SuspendedPatient) -> Markup {
    html! {
        input type="hidden" name="patient" value=(one.patient);
        button.quiet type="submit" name="action" value="confirm" {
            "Confirm" span.hidden { " the consents of patient " (one.patient) }
        }
        button.quiet type="submit" name="action" value="withdrawn" {
            "Has withdrawn" span.hidden { ": patient " (one.patient) }
        }
    }
}

async fn confirm(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let form = request.form();
    let patient = match form.get("patient") {
        "" => None,
        text => {
            Some(text.parse().map(PatientId::new).map_err(|_| Refusal::bad("There is no such patient."))?)
        }
    };
    let (who, now) = (operator.staff().actor(), app.clock.now());
    if let Some(patient) = patient.filter(|_| form.get("action") == "withdrawn") {
        app.store.write(move |db| restored::withdraw_suspended(db, patient, who, now)).await?;
        return Ok(see_other("/admin/restored?done=withdrawn"));
    }
    app.store.write(move |db| restored::confirm_suspended(db, patient, who, now)).await?;
    Ok(see_other("/admin/restored?done=confirmed"))
}
