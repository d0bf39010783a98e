//! The page of a patient's choices: consents, device, data.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use tokio::time::timeout;
use warp::reply::Response;

use crate::app::connect_device as devices;
use crate::app::connect_device::ConnectError;
use crate::app::device_offers::Offer;
use crate::app::patient_tokens::PATIENCE;
use crate::app::state::App;
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::consent::refresh;
use crate::model::catalog::{code, source};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::{Scope, StudyId};
use crate::store::operations::patient_status;
use crate::store::operations::patient_status::Shown;
use crate::store::people::consent::Entry;
use crate::store::people::{consent, patient as patients};
use crate::store::samples::code::Deliveries;
use crate::web::layout::{form, local, notice};
use crate::web::patient::connect::display_name;
use crate::web::patient::consent_questions::{Asked, all_asked};
use crate::web::patient::signed_in::{Patient, page};
use crate::web::patient::wearing::Wearing;
use crate::web::request::Visit;
use crate::web::response::Refusal;

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
    /// Consents to what no device delivers: JHE's studies ask for such, too.
    beyond: Vec<Entry>,
    newest: Option<Timestamp>,
    zone: TimeZone,
}

impl View {
    async fn load(app: &App, patient: &Patient, wearing: &Wearing) -> Result<Self, Refusal> {
        let asked = all_asked(app, patient, wearing).await?;
        let (id, now) = (patient.id, app.clock.now());
        let read = move |db: &_| {
            let who = patients::find(db, PatientRef::Own(id))?;
            let newest =
                patient_status::lines(db, now, &Shown::one(id), 1)?.first().and_then(|line| line.newest);
            let mut elsewhere = consent::entries(db, id)?;
            let is_asked = |entry: &Entry| asked.iter().any(|asked| asked.shows(entry));
            elsewhere.retain(|entry| entry.grant.withdrawn.is_none() && !is_asked(entry));
            let delivered = consent::delivered(db, id)?;
            let is_delivered = |entry: &Entry| {
                delivered.contains(&(entry.scope.code.clone(), entry.study.as_ref().map(|(id, _)| *id)))
            };
            let (elsewhere, beyond) = elsewhere.into_iter().partition(is_delivered);
            let zone = time_zone_or_utc(&who.time_zone);
            Ok(Self { asked, elsewhere, beyond, newest, zone })
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
pub(crate) async fn show(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let is_fresh = refresh(app, patient).await;
    // First: what is connected decides what can be asked.
    let devices = find_devices(app, patient.id).await;
    let wearing = Wearing::chosen(&visit.query);
    let view = View::load(app, patient, &wearing).await?;
    let others = others(app, &view.asked).await?;
    let body = html! {
        h1 { "Your choices" }
        (notice(done(visit.query.get("done"))))
        @if !is_fresh {
            p.warning { "The service that keeps your choices does not answer at the moment: this is what it said last." }
        }
        @if let Some(provider) = wearing.choice() {
            (wearing.note("/clients/ow/manage"))
            p { "Once you have agreed, "
                a href=(wearing.way_on()) { "connect " (source::data_source(provider)) } "." }
        }
        @for asked in &view.asked { (study(asked, (patient, &wearing), &others, &view.zone)) }
        @for entry in &view.elsewhere { (without_study(entry, patient, &view.zone)) }
        @if view.asked.is_empty() && view.elsewhere.is_empty() {
            p { "You are in no study at the moment. Nothing is shared." }
        }
        (device(&devices, patient, &view))
        @if !view.beyond.is_empty() { (beyond(&view.beyond, patient, &view.zone)) }
        section.card {
            h2 { "Your data" }
            p { a.button href="/clients/ow/data" { "See and download my data" } }
        }
        (form("/clients/ow/sign-out", &patient.token, &html! {
            button.quiet type="submit" { "Forget me in this browser" }
            p.fine { "To come back, you then need a new link from your study." }
        }))
    };
    Ok(page(app, "Your choices", &body))
}

/// Has JHE say, where the patient is JHE's, what is agreed to at the moment; answers whether it did.
async fn refresh(app: &App, patient: &Patient) -> bool {
    let Some(jhe) = app.live.jhe() else { return true };
    let only = BTreeSet::from([patient.id]);
    match timeout(PATIENCE, refresh::refresh(&jhe, &app.store, &app.clock, Some(&only))).await {
        Ok(Ok(unread)) => unread.is_empty(),
        Ok(Err(error)) => {
            tracing::warn!(patient = %patient.id, "the consents could not be read anew: {error}");
            false
        }
        Err(_) => false,
    }
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

/// What comes from elsewhere is stopped here all the same.
fn beyond(entries: &[Entry], patient: &Patient, zone: &TimeZone) -> Markup {
    html! {
        section.card {
            h2 { "Shared, but not from your device" }
            @for entry in entries {
                @let study = entry.study.as_ref();
                div.scope {
                    h3 { (entry.scope.display) @if let Some((_, name)) = study { ", " (name) } }
                    p { "You share this since " (local(zone, entry.grant.granted)) "." }
                    (Choice::stop(study.map(|(id, _)| *id), &entry.scope).form(patient))
                }
            }
        }
    }
}

/// The devices that could be connected, and what each would have a study ask for.
type Others = Vec<(Offer, Vec<(StudyId, String)>)>;

/// Looks for devices that measure what the patient's do not; where OW does not say, none is named.
async fn others(app: &App, asked: &[Asked]) -> Result<Others, Refusal> {
    if asked.iter().all(|one| one.unmeasured.is_empty()) {
        return Ok(Vec::new());
    }
    let deliveries = app.store.read(Deliveries::load).await?;
    let offers = timeout(PATIENCE, devices::offers(app)).await.ok().and_then(Result::ok).unwrap_or_default();
    let opened = |offer: &Offer| {
        asked.iter().flat_map(|one| one.opened_by(&offer.provider.provider, &deliveries)).collect()
    };
    Ok(offers.into_iter().map(|offer| (offer.clone(), opened(&offer))).collect())
}

/// What the patient's device does not measure: it can be asked once another one does.
fn unmeasured(asked: &Asked, others: &Others) -> Markup {
    let names =
        |scopes: &[&Scope]| scopes.iter().map(|scope| scope.display.as_str()).collect::<Vec<_>>().join(", ");
    let all: Vec<&Scope> = asked.unmeasured.iter().collect();
    let of_offer = |opened: &[(StudyId, String)]| {
        let is_opened = |scope: &&&Scope| opened.contains(&(asked.study.id, scope.code.clone()));
        all.iter().filter(is_opened).copied().collect::<Vec<&Scope>>()
    };
    html! {
        @if !all.is_empty() {
            div.scope {
                h3 { "Not measured by " (asked.device_names()) }
                p { "The study asks for more, and you are not asked about it: " (names(&all)) "." }
                @for (offer, opened) in others {
                    @let more = of_offer(opened);
                    @if !more.is_empty() {
                        p.fine { (offer.provider.name) " measures: " (names(&more)) ". "
                            a href={ "/clients/ow/manage?device=" (offer.provider.provider) } {
                                "I also wear " (offer.provider.name)
                            }
                        }
                    }
                }
            }
        }
    }
}

fn study(
    asked: &Asked,
    (patient, wearing): (&Patient, &Wearing),
    others: &Others,
    zone: &TimeZone,
) -> Markup {
    let (id, terms) = (asked.study.id, &asked.study.terms);
    html! {
        section.card {
            h2 { (terms.name) }
            p { (terms.organization) }
            @for (scope, agreed) in &asked.scopes {
                @if let Some(agreed) = agreed {
                    div.scope {
                        h3 { (scope.display) }
                        p.fine { (code::covers(&scope.code).unwrap_or_default()) }
                        p { "You share this since " (local(zone, agreed.since)) "."
                            @if !asked.measures(scope) { " It is not measured by " (asked.device_names()) "." } }
                        @if let Some(text) = &agreed.text {
                            details { summary { "What you agreed to" } pre { (text) } }
                        }
                        (Choice::stop(Some(id), scope).form(patient))
                    }
                }
            }
            (offer(asked, (patient, wearing)))
            (unmeasured(asked, others))
        }
    }
}

/// The words and the buttons with which a patient agrees.
fn offer(asked: &Asked, (patient, wearing): (&Patient, &Wearing)) -> Markup {
    let open = asked.open();
    html! {
        @if !open.is_empty() {
            details open {
                summary { "What you agree to when you share" }
                dl.terms { @for (heading, text) in asked.wording().parts() { dt { (heading) } dd { (text) } } }
            }
        }
        @for scope in &open {
            div.scope {
                h3 { (scope.display) }
                p.fine { (code::covers(&scope.code).unwrap_or_default()) }
                p { "You do not share this." }
                (Choice::agree(asked, scope, wearing).form(patient))
            }
        }
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
    /// Which device they are about, as a form says it.
    device: Markup,
}

impl<'a> Choice<'a> {
    fn stop(study: Option<StudyId>, scope: &'a Scope) -> Self {
        Self {
            action: "/clients/ow/withdraw",
            words: "Stop sharing",
            study,
            scope,
            proof: None,
            device: html! {},
        }
    }

    fn agree(asked: &Asked, scope: &'a Scope, wearing: &Wearing) -> Self {
        let (study, proof) = (Some(asked.study.id), Some(asked.proof()));
        Self {
            action: "/clients/ow/grant",
            words: "Agree to share",
            study,
            scope,
            proof,
            device: wearing.hidden(),
        }
    }

    fn form(&self, patient: &Patient) -> Markup {
        let study = self.study.map(|id| id.to_string()).unwrap_or_default();
        let inside = html! {
            input type="hidden" name="study" value=(study);
            input type="hidden" name="scope" value=(self.scope.code);
            @if let Some(proof) = &self.proof { input type="hidden" name="wording" value=(proof); }
            (self.device)
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
