//! A patient's choices: consents, device, and a way out.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use warp::reply::Response;

use super::connect::display_name;
use super::launch::{Asked, all_asked, note_grants};
use super::{Patient, page, with_session};
use crate::account::Actor;
use crate::patient::{PatientId, PatientRef};
use crate::store::consent::{self, Entry};
use crate::store::status::{self, Shown};
use crate::store::{StoreError, audit, patient as patients, session};
use crate::study::{Scope, StudyId};
use crate::time::Timestamp;
use crate::web::App;
use crate::web::answer::{Refusal, see_other};
use crate::web::connect::{self as devices, ConnectError};
use crate::web::layout::{form, local, notice};
use crate::web::visit::Visit;

/// What OW says of the patient's devices.
enum Devices {
    Connected(Vec<String>),
    None,
    Unknown,
}

/// What the page shows.
struct View {
    asked: Vec<Asked>,
    /// Consents that stand and that no study asks for any more, or that were noted by hand.
    elsewhere: Vec<Entry>,
    newest: Option<Timestamp>,
    zone: TimeZone,
}

impl View {
    async fn load(app: &App, patient: &Patient) -> Result<Self, Refusal> {
        let asked = all_asked(app, patient).await?;
        let (id, now) = (patient.id, app.clock.now());
        let read = move |db: &_| {
            let who = patients::find(db, PatientRef::Own(id))?;
            let shown = Shown { patient: Some(id), ..Shown::default() };
            let newest = status::lines(db, now, &shown, 1)?.first().and_then(|line| line.newest);
            let mut elsewhere = consent::entries(db, id)?;
            let is_asked = |entry: &Entry| asked.iter().any(|asked| asked.shows(entry));
            elsewhere.retain(|entry| entry.grant.withdrawn.is_none() && !is_asked(entry));
            let zone = TimeZone::get(&who.time_zone).unwrap_or(TimeZone::UTC);
            Ok(Self { asked, elsewhere, newest, zone })
        };
        Ok(app.store.read(read).await?)
    }
}

async fn find_devices(app: &App, id: PatientId) -> Devices {
    let active = match devices::active(app, id).await {
        Ok(active) => active,
        Err(ConnectError::NoUser) => Vec::new(),
        Err(error) => {
            tracing::warn!(patient = %id, "its devices could not be asked for: {error}");
            return Devices::Unknown;
        }
    };
    let mut names = Vec::new();
    for one in &active {
        names.push(display_name(app, &one.provider).await);
    }
    if names.is_empty() { Devices::None } else { Devices::Connected(names) }
}

/// What was done, in words; the address only says which of these it is.
fn done(word: &str) -> &'static str {
    match word {
        "granted" => "Saved: you share this from now on.",
        "withdrawn" => "Saved: nothing more is fetched for it.",
        "disconnected" => "Your device is disconnected.",
        "still-connected" => {
            "Saved: nothing more is fetched. Your device could not be disconnected at the moment; please use \
             “Disconnect” below in a few minutes."
        }
        _ => "",
    }
}

/// `GET /clients/ow/manage`.
pub(super) async fn show(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let view = View::load(app, patient).await?;
    let devices = find_devices(app, patient.id).await;
    let body = html! {
        h1 { "Your choices" }
        (notice(done(visit.query.get("done"))))
        @for asked in &view.asked { (study(asked, patient, &view.zone)) }
        @for entry in &view.elsewhere { (without_study(entry, patient, &view.zone)) }
        @if view.asked.is_empty() && view.elsewhere.is_empty() {
            p { "You are in no study at the moment. Nothing is shared." }
        }
        (device(&devices, patient, &view))
        section.card {
            h2 { "Your data" }
            p { a.button href="/clients/ow/data" { "See and download my data" } }
        }
        (form("/clients/ow/sign-out", &patient.token, &html! {
            button.quiet type="submit" { "Forget me in this browser" }
        }))
    };
    Ok(page(app, "Your choices", &body))
}

fn without_study(entry: &Entry, patient: &Patient, zone: &TimeZone) -> Markup {
    let study = entry.study.as_ref();
    html! {
        section.card {
            h2 { (entry.scope.display) @if let Some((_, name)) = study { ", " (name) } }
            p { "You share this since " (local(zone, entry.grant.granted)) "." }
            (choice("/clients/ow/withdraw", patient, study.map(|(id, _)| *id), &entry.scope, "Stop sharing"))
        }
    }
}

fn study(asked: &Asked, patient: &Patient, zone: &TimeZone) -> Markup {
    let terms = &asked.study.terms;
    let all: Vec<Scope> = asked.scopes.iter().map(|(scope, _)| scope.clone()).collect();
    html! {
        section.card {
            h2 { (terms.name) }
            p { (terms.organization) }
            details {
                summary { "What you agree to when you share" }
                dl.terms { @for (heading, text) in asked.wording(&all).parts() { dt { (heading) } dd { (text) } } }
            }
            @for (scope, since) in &asked.scopes {
                div.scope {
                    h3 { (scope.display) }
                    @match since {
                        Some(at) => {
                            p { "You share this since " (local(zone, *at)) "." }
                            (choice("/clients/ow/withdraw", patient, Some(asked.study.id), scope, "Stop sharing"))
                        }
                        None => {
                            p { "You do not share this." }
                            (choice("/clients/ow/grant", patient, Some(asked.study.id), scope, "Agree to share"))
                        }
                    }
                }
            }
        }
    }
}

/// A button for one scope, named so that it can be told from the others without seeing where it stands.
fn choice(action: &str, patient: &Patient, study: Option<StudyId>, scope: &Scope, words: &str) -> Markup {
    let study = study.map(|id| id.to_string()).unwrap_or_default();
    form(
        action,
        &patient.token,
        &html! {
            input type="hidden" name="study" value=(study);
            input type="hidden" name="scope" value=(scope.code);
            button.quiet type="submit" { (words) " " span.hidden { ": " (scope.display) } }
        },
    )
}

fn device(devices: &Devices, patient: &Patient, view: &View) -> Markup {
    let shares = view.asked.iter().any(Asked::is_agreed);
    html! {
        section.card {
            h2 { "Your device" }
            @match devices {
                Devices::Connected(names) => {
                    p { (names.join(", ")) " is connected." }
                }
                Devices::None => p { "No device is connected." },
                Devices::Unknown => p { "Whether your device is connected cannot be found out at the moment." },
            }
            p {
                @match view.newest {
                    Some(at) => { "Last measurement that arrived: " (local(&view.zone, at)) "." }
                    None => { "No measurement has arrived yet." }
                }
            }
            div.actions {
                @match (shares, devices) {
                    (false, _) => p { "To connect one, agree to share something first." },
                    (true, Devices::Connected(_)) => {
                        a.button.quiet href="/clients/ow/connect" { "Connect again" }
                    }
                    (true, _) => a.button href="/clients/ow/connect" { "Connect a device" },
                }
                @if !matches!(devices, Devices::None) {
                    (form("/clients/ow/disconnect", &patient.token, &html! {
                        button.quiet type="submit" { "Disconnect" }
                    }))
                }
            }
        }
    }
}

/// `POST /clients/ow/grant`.
pub(super) async fn grant(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let (asked, scope) = chosen(app, visit, patient).await?;
    let all: Vec<Scope> = asked.scopes.iter().map(|(scope, _)| scope.clone()).collect();
    let (id, now) = (patient.id, app.clock.now());
    app.store.write(move |db| note_grants(db, id, &asked, &[scope], &all, now)).await?;
    Ok(see_other("/clients/ow/manage?done=granted"))
}

/// The study and the scope of a form, where this patient is asked for them.
async fn chosen(app: &App, visit: &Visit, patient: &Patient) -> Result<(Asked, Scope), Refusal> {
    let study: Option<StudyId> = visit.form.get("study").parse().ok();
    let code = visit.form.get("scope");
    let found = all_asked(app, patient).await?.into_iter().find(|one| Some(one.study.id) == study);
    let found = found.and_then(|asked| {
        let scope = asked.scopes.iter().map(|(scope, _)| scope).find(|scope| scope.code == code).cloned()?;
        Some((asked, scope))
    });
    found.ok_or_else(|| {
        let text = "The study does not ask you for this any more.";
        Refusal::bad(text).next("/clients/ow/manage", "Your choices")
    })
}

/// `POST /clients/ow/withdraw`: the last consent takes the device with it, after saying so.
pub(super) async fn withdraw(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let (id, now) = (patient.id, app.clock.now());
    let study: Option<StudyId> = visit.form.get("study").parse().ok();
    let code = visit.form.get("scope").to_owned();
    let entries = app.store.read(move |db| consent::entries(db, id)).await?;
    let standing: Vec<_> = entries.iter().filter(|entry| entry.grant.withdrawn.is_none()).collect();
    let this = standing
        .iter()
        .find(|entry| entry.scope.code == code && entry.study.as_ref().map(|(id, _)| *id) == study);
    let Some(this) = this else { return Ok(see_other("/clients/ow/manage?done=withdrawn")) };
    let is_last = standing.len() == 1;
    if is_last && visit.form.get("sure") != "yes" {
        return Ok(confirm(app, patient, study, &this.scope));
    }
    app.store.write(move |db| note_withdrawal(db, id, &code, study, now)).await?;
    if !is_last {
        return Ok(see_other("/clients/ow/manage?done=withdrawn"));
    }
    match devices::disconnect(app, id, patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(see_other("/clients/ow/manage?done=withdrawn")),
        Err(error) => {
            tracing::warn!(patient = %id, "its device could not be disconnected: {error}");
            Ok(see_other("/clients/ow/manage?done=still-connected"))
        }
    }
}

fn note_withdrawal(
    db: &rusqlite::Connection,
    id: PatientId,
    code: &str,
    study: Option<StudyId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    consent::withdraw(db, id, code, consent::Extent::Study(study), now)?;
    let study = study.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let detail = format!("{code} study {study}");
    audit::record(db, now, Actor::Patient(id), "consent.withdraw", Some(id), &detail)
}

fn confirm(app: &App, patient: &Patient, study: Option<StudyId>, scope: &Scope) -> Response {
    let study = study.map(|id| id.to_string()).unwrap_or_default();
    page(
        app,
        "Stop sharing?",
        &html! {
            h1 { "Stop sharing " (scope.display) "?" }
            p { "This is the last thing that you share. When you stop, nothing more is fetched, and your device \
                 is disconnected as well. What was fetched before stays with the study; ask the study to have \
                 it erased." }
            (form("/clients/ow/withdraw", &patient.token, &html! {
                input type="hidden" name="study" value=(study);
                input type="hidden" name="scope" value=(scope.code);
                input type="hidden" name="sure" value="yes";
                div.actions {
                    button type="submit" { "Stop sharing and disconnect" }
                    a href="/clients/ow/manage" { "Go back" }
                }
            }))
        },
    )
}

/// `POST /clients/ow/disconnect`: consents stay; there is only nothing to fetch.
pub(super) async fn disconnect(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    match devices::disconnect(app, patient.id, patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(see_other("/clients/ow/manage?done=disconnected")),
        Err(error) => Ok(super::connect::trouble(app, &error, "/clients/ow/manage")),
    }
}

/// `POST /clients/ow/sign-out`.
pub(super) async fn sign_out(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    let hash = patient.token.hash();
    app.store.write(move |db| session::end(db, hash)).await?;
    let body = html! {
        h1 { "This browser has forgotten you" }
        p { "Your choices stand as they are. To come back, ask your study for a new link." }
    };
    Ok(with_session(app, page(app, "Signed out", &body), None))
}
