//! A patient's choices: consents, device, and a way out.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use warp::reply::Response;

use super::asked::{Asked, all_asked, asked, note_grants};
use super::connect::display_name;
use super::{Patient, page, with_session};
use crate::account::Actor;
use crate::patient::{PatientId, PatientRef};
use crate::store::consent::{self, Entry};
use crate::store::status::{self, Shown};
use crate::store::{StoreError, audit, invitation, patient as patients, session};
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
            let newest = status::lines(db, now, &Shown::one(id), 1)?.first().and_then(|line| line.newest);
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
        "changed" => {
            "The text has changed since you opened the page. Please read it again; nothing was saved."
        }
        "withdrawn" => "Saved: nothing more of it is fetched.",
        "shared-elsewhere" => {
            "Saved for this study. You still share the same with another one: see below, and stop it there too if \
             you want to."
        }
        "disconnected" => "Your device is disconnected.",
        "still-connected" => {
            "Saved: nothing more is fetched. Your device could not be disconnected at the moment; that is tried \
             again until it works."
        }
        "disconnecting" => {
            "Your device could not be disconnected at the moment; that is tried again until it works."
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
            (Choice::stop(study.map(|(id, _)| *id), &entry.scope).form(patient))
        }
    }
}

fn study(asked: &Asked, patient: &Patient, zone: &TimeZone) -> Markup {
    let (id, terms) = (asked.study.id, &asked.study.terms);
    html! {
        section.card {
            h2 { (terms.name) }
            p { (terms.organization) }
            @for (scope, agreed) in &asked.scopes {
                div.scope {
                    h3 { (scope.display) }
                    @match agreed {
                        Some(agreed) => {
                            p { "You share this since " (local(zone, agreed.since)) "." }
                            @if let Some(text) = &agreed.text {
                                details { summary { "What you agreed to" } pre { (text) } }
                            }
                            (Choice::stop(Some(id), scope).form(patient))
                        }
                        None => {
                            p { "You do not share this." }
                            (offer(asked, scope, patient))
                        }
                    }
                }
            }
        }
    }
}

/// The words and the button with which a patient agrees.
fn offer(asked: &Asked, scope: &Scope, patient: &Patient) -> Markup {
    html! {
        details {
            summary { "What you agree to when you share" }
            dl.terms { @for (heading, text) in asked.wording().parts() { dt { (heading) } dd { (text) } } }
        }
        (Choice::agree(asked, scope).form(patient))
    }
}

/// A choice about one scope: a button, named so that it can be told from the others without seeing where it
/// stands.
struct Choice<'a> {
    action: &'a str,
    words: &'a str,
    study: Option<StudyId>,
    scope: &'a Scope,
    /// Which words stood above the button that agrees.
    proof: Option<String>,
}

impl<'a> Choice<'a> {
    fn stop(study: Option<StudyId>, scope: &'a Scope) -> Self {
        Self { action: "/clients/ow/withdraw", words: "Stop sharing", study, scope, proof: None }
    }

    fn agree(asked: &Asked, scope: &'a Scope) -> Self {
        let (study, proof) = (Some(asked.study.id), Some(asked.proof()));
        Self { action: "/clients/ow/grant", words: "Agree to share", study, scope, proof }
    }

    fn form(&self, patient: &Patient) -> Markup {
        let study = self.study.map(|id| id.to_string()).unwrap_or_default();
        let inside = html! {
            input type="hidden" name="study" value=(study);
            input type="hidden" name="scope" value=(self.scope.code);
            @if let Some(proof) = &self.proof { input type="hidden" name="wording" value=(proof); }
            button.quiet type="submit" { (self.words) span.hidden { ": " (self.scope.display) } }
        };
        form(self.action, &patient.token, &inside)
    }
}

fn device(devices: &Devices, patient: &Patient, view: &View) -> Markup {
    let by_hand = view.elsewhere.iter().any(|entry| entry.study.is_none());
    let shares = by_hand || view.asked.iter().any(Asked::is_agreed);
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
    let (id, now) = (patient.id, app.clock.now());
    let study: Option<StudyId> = visit.form.get("study").parse().ok();
    let (code, proof) = (visit.form.get("scope").to_owned(), visit.form.get("wording").to_owned());
    let keep = move |db: &_| {
        let Some(asked) = asked(db, id, study)?.into_iter().find(|one| Some(one.study.id) == study) else {
            return Ok(None);
        };
        let Some((scope, agreed)) = asked.scopes.iter().find(|(scope, _)| scope.code == code) else {
            return Ok(None);
        };
        if agreed.is_none() && asked.proof() != proof {
            return Ok(Some("changed"));
        }
        if agreed.is_none() {
            note_grants(db, id, &asked, std::slice::from_ref(scope), now)?;
        }
        Ok(Some("granted"))
    };
    let done = app.store.write(keep).await?.ok_or_else(|| {
        let text = "The study does not ask you for this any more.";
        Refusal::bad(text).next("/clients/ow/manage", "Your choices")
    })?;
    Ok(see_other(&format!("/clients/ow/manage?done={done}")))
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
    if standing.iter().any(|entry| entry.scope == this.scope && entry.study != this.study) {
        return Ok(see_other("/clients/ow/manage?done=shared-elsewhere"));
    }
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
        Err(error) => {
            tracing::warn!(patient = %patient.id, "its device could not be disconnected: {error}");
            Ok(see_other("/clients/ow/manage?done=disconnecting"))
        }
    }
}

/// `POST /clients/ow/sign-out`.
pub(super) async fn sign_out(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    let (id, hash) = (patient.id, patient.token.hash());
    let end = move |db: &_| {
        session::end(db, hash)?;
        invitation::forget_browsers(db, id)
    };
    app.store.write(end).await?;
    let body = html! {
        h1 { "This browser has forgotten you" }
        p { "Your choices stand as they are. To come back, ask your study for a new link." }
    };
    Ok(with_session(app, page(app, "Signed out", &body), None))
}
