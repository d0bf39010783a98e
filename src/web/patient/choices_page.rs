//! The page of a patient's choices: consents, device, data.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use tokio::time::timeout;

use crate::app::{connect_device as devices, device_offers};
use crate::app::{connect_device::ConnectError, offer_cache::Offer, patient_tokens::JHE_TIMEOUT, state::App};
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::account::VisibleTo;
use crate::model::catalog::{code, source};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::{Scope, StudyId};
use crate::store::operations::patient_status::{self, PatientFilter};
use crate::store::people::collection_window::{self, StudyPart};
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::device_connection::ConnectionState;
use crate::store::people::patient as patients;
use crate::store::samples::code::DataSourceCodes;
use crate::web::layout::{form, local, notice};
use crate::web::patient::consent_questions::{ConsentQuestion, load_questions};
use crate::web::patient::{
    collection, connect::display_name, selected_devices::SelectedDevices, signed_in::page_response, time_zone,
};
use crate::web::patient_access::{CHOICES, PATIENT, SignedInPatient, WITHDRAW};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get};

/// The patient's devices, as OW reports them.
enum ConnectedDevices {
    Connected(Vec<String>),
    None,
    Unknown,
}

struct ChoicesView {
    questions: Vec<ConsentQuestion>,
    /// Active consents that no study asks for any more, or that an operator recorded.
    without_question: Vec<ConsentEntry>,
    /// Active consents to scopes that no device delivers; JHE's studies ask for such scopes too.
    undeliverable: Vec<ConsentEntry>,
    newest: Option<Timestamp>,
    zone: TimeZone,
    parts: Vec<StudyPart>,
    now: Timestamp,
}

impl ChoicesView {
    fn part(&self, study: StudyId) -> Option<&StudyPart> {
        self.parts.iter().find(|part| part.study == study)
    }

    /// Returns true if every study that the patient agreed to has ended.
    fn is_completed(&self) -> bool {
        let mut agreed = self.questions.iter().filter(|question| question.has_consent()).peekable();
        let is_over = |question: &ConsentQuestion| {
            let end = self.part(question.study.id).and_then(StudyPart::reads_until);
            end.is_some_and(|end| end <= self.now)
        };
        agreed.peek().is_some() && agreed.all(is_over)
    }

    async fn load(app: &App, patient: &SignedInPatient, selected: &SelectedDevices) -> Result<Self, Refusal> {
        let questions = load_questions(app, patient, selected).await?;
        let (id, now) = (patient.id(), app.clock.now());
        let read = move |db: &_| {
            let who = patients::find(db, PatientRef::Own(id))?;
            let newest = patient_status::list(db, now, &PatientFilter::one(id, VisibleTo::Everybody), 1)?
                .first()
                .and_then(|line| line.newest);
            let mut without_question = consent::list(db, VisibleTo::Everybody, id)?;
            let is_asked = |entry: &ConsentEntry| questions.iter().any(|question| question.includes(entry));
            without_question.retain(|entry| entry.grant.withdrawn.is_none() && !is_asked(entry));
            let delivered = consent::list_active_deliverable(db, id)?;
            let is_delivered = |entry: &ConsentEntry| {
                delivered.contains(&(entry.scope.code.clone(), entry.study.as_ref().map(|(id, _)| *id)))
            };
            let (without_question, undeliverable) = without_question.into_iter().partition(is_delivered);
            let zone = time_zone_or_utc(&who.time_zone);
            let parts = collection_window::list_parts(db, id)?;
            Ok(Self { questions, without_question, undeliverable, newest, zone, parts, now })
        };
        Ok(app.store.read(read).await?)
    }
}

async fn find_devices(app: &App, id: PatientId) -> Result<ConnectedDevices, Refusal> {
    let mut names = Vec::new();
    if !devices::find_standing(app, id).await?.is_active() {
        for one in devices::list_known_devices(app, id).await? {
            if one.state == ConnectionState::Ending {
                return Ok(ConnectedDevices::Unknown);
            }
            names.push(display_name(app, id, &one.provider).await);
        }
        return Ok(if names.is_empty() {
            ConnectedDevices::None
        } else {
            ConnectedDevices::Connected(names)
        });
    }
    let active = match devices::refresh_active(app, id).await {
        Ok(active) => active,
        Err(ConnectError::NoUser) => Vec::new(),
        Err(error) => {
            tracing::warn!(patient = %id, "OW did not list its devices: {error}");
            return Ok(ConnectedDevices::Unknown);
        }
    };
    for one in &active {
        names.push(display_name(app, id, &one.provider).await);
    }
    Ok(if names.is_empty() { ConnectedDevices::None } else { ConnectedDevices::Connected(names) })
}

/// Maps the `done` parameter to its notice.
fn done_text(word: &str) -> &'static str {
    match word {
        "granted" => "Saved: you share this from now on.",
        "changed" => {
            "The text has changed since you opened the page. Please read it again; nothing was saved."
        }
        "withdrawn" => "Saved: nothing more of it is fetched.",
        "shared-elsewhere" => {
            "Saved for this study. You still share the same with another one: see below, and stop it there \
             too if you want to."
        }
        "time-zone" => "Saved: your days and nights are counted by this time zone.",
        "disconnected" => "Your device is disconnected.",
        "still-connected" => {
            "Saved: nothing more is fetched. Your device could not be disconnected at the moment; that is \
             tried again until it works."
        }
        "disconnecting" => {
            "Your device could not be disconnected at the moment; that is tried again until it works."
        }
        _ => "",
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![get(CHOICES, PATIENT, show)]
}

async fn show(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let is_current = devices::refresh_consents(app, patient.id()).await;
    // First: the connected devices decide which scopes can be asked.
    let devices = find_devices(app, patient.id()).await?;
    let selected = SelectedDevices::from_query(&request.query);
    let view = ChoicesView::load(app, patient, &selected).await?;
    let others = find_other_devices(app, patient.id(), &view.questions).await?;
    let time_zone = time_zone::render_section(app, patient).await?;
    let body = html! {
        h1 { "Your choices" }
        (notice(done_text(request.query.get("done"))))
        @if !is_current {
            p.warning { "The service that keeps your choices does not answer at the moment: this is what it \
                         said last." }
        }
        @if let Some(provider) = selected.chosen_provider() {
            (selected.describe("/clients/ow/manage"))
            p { "Once you have agreed, "
                a href=(selected.next_page()) { "connect " (source::data_source_name(provider)) } "." }
        }
        @for question in &view.questions {
            (render_study(question, (patient, &selected), &others, &view))
        }
        @for entry in &view.without_question {
            section.card { h2 { (entry_title(entry)) } (render_entry(entry, patient, &view.zone)) }
        }
        @if view.questions.is_empty() && view.without_question.is_empty() {
            p { "You are in no study at the moment. Nothing is shared." }
        }
        (render_devices(&devices, patient, &view))
        @if !view.undeliverable.is_empty() {
            (render_undeliverable(&view.undeliverable, patient, &view.zone))
        }
        (time_zone)
        section.card {
            h2 { "Your data" }
            p { a.button href="/clients/ow/data" { "See and download my data" } }
        }
        (form("/clients/ow/sign-out", patient.token(), &html! {
            button.quiet type="submit" { "Sign out of this browser" }
            p.fine { "To come back, you then need a new link from your study." }
        }))
    };
    Ok(page_response(app, "Your choices", &body))
}

fn entry_title(entry: &ConsentEntry) -> String {
    let study = entry.study.as_ref().map_or_else(String::new, |(_, name)| format!(", {name}"));
    format!("{}{study}", entry.scope.display)
}

fn render_entry(entry: &ConsentEntry, patient: &SignedInPatient, zone: &TimeZone) -> Markup {
    html! {
        p { "You have shared this since " (local(zone, entry.grant.granted)) "." }
        (stop_button(entry.study.as_ref().map(|(id, _)| *id), &entry.scope, patient))
    }
}

/// Offers to stop these too, although their data come from elsewhere.
fn render_undeliverable(entries: &[ConsentEntry], patient: &SignedInPatient, zone: &TimeZone) -> Markup {
    html! {
        section.card {
            h2 { "Shared, but not from your device" }
            @for entry in entries {
                div.scope { h3 { (entry_title(entry)) } (render_entry(entry, patient, zone)) }
            }
        }
    }
}

/// The devices that could be connected, with the scopes that each adds.
type OtherDevices = Vec<(Offer, Vec<(StudyId, String)>)>;

/// Finds devices that measure more than the patient's. It names none if OW does not answer.
async fn find_other_devices(
    app: &App,
    id: PatientId,
    questions: &[ConsentQuestion],
) -> Result<OtherDevices, Refusal> {
    if questions.iter().all(|one| one.unmeasured.is_empty()) {
        return Ok(Vec::new());
    }
    let source_codes = app.store.read(DataSourceCodes::load).await?;
    let offers = timeout(JHE_TIMEOUT, device_offers::list_for(app, id)).await;
    let offers = offers.ok().and_then(Result::ok).unwrap_or_default();
    let opened = |offer: &Offer| {
        questions.iter().flat_map(|one| one.opened_by(&offer.provider.provider, &source_codes)).collect()
    };
    Ok(offers.into_iter().map(|offer| (offer.clone(), opened(&offer))).collect())
}

/// Names the scopes that the patient's device does not measure, and devices that do.
fn render_unmeasured(question: &ConsentQuestion, others: &OtherDevices) -> Markup {
    let names =
        |scopes: &[&Scope]| scopes.iter().map(|scope| scope.display.as_str()).collect::<Vec<_>>().join(", ");
    let all: Vec<&Scope> = question.unmeasured.iter().collect();
    let of_offer = |opened: &[(StudyId, String)]| {
        let is_opened = |scope: &&&Scope| opened.contains(&(question.study.id, scope.code.clone()));
        all.iter().filter(is_opened).copied().collect::<Vec<&Scope>>()
    };
    html! {
        @if !all.is_empty() {
            div.scope {
                h3 { "Not measured by " (question.device_names()) }
                p { "The study asks for more, which your device does not measure: " (names(&all)) "." }
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

fn render_study(
    question: &ConsentQuestion,
    (patient, selected): (&SignedInPatient, &SelectedDevices),
    others: &OtherDevices,
    view: &ChoicesView,
) -> Markup {
    let (id, terms, zone) = (question.study.id, &question.study.terms, &view.zone);
    let part = view.part(id);
    html! {
        section.card {
            h2 { (terms.name) }
            p { (terms.organization) }
            @if let Some(part) = part { (collection::render(part, zone, view.now)) }
            @for (scope, agreed) in &question.scopes {
                @if let Some(agreed) = agreed {
                    div.scope {
                        h3 { (scope.display) }
                        p.fine { (code::patient_description(&scope.code).unwrap_or_default()) }
                        p { "You have shared this since " (local(zone, agreed.since)) "."
                            @if !question.measures(scope) {
                                " It is not measured by " (question.device_names()) "."
                            }
                        }
                        @if let Some(text) = &agreed.text {
                            details { summary { "What you agreed to" } pre { (text) } }
                        }
                        (stop_button(Some(id), scope, patient))
                    }
                }
            }
            @if !part.is_some_and(|part| part.has_ended(view.now)) {
                (render_open_scopes(question, (patient, selected)))
                (render_unmeasured(question, others))
            }
        }
    }
}

/// Renders the text and the buttons to agree.
fn render_open_scopes(
    question: &ConsentQuestion,
    (patient, selected): (&SignedInPatient, &SelectedDevices),
) -> Markup {
    let open = question.open_scopes();
    let study = Some(question.study.id);
    let fields = html! {
        input type="hidden" name="wording" value=(question.wording_id());
        (selected.hidden_fields())
    };
    html! {
        @if !open.is_empty() {
            details open {
                summary { "Read this before you share more" }
                dl.terms {
                    @for (heading, text) in question.wording().parts() { dt { (heading) } dd { (text) } }
                }
            }
        }
        @for scope in &open {
            div.scope {
                h3 { (scope.display) }
                p.fine { (code::patient_description(&scope.code).unwrap_or_default()) }
                p { "You do not share this." }
                (choice_button("/clients/ow/grant", "Agree to share", (study, scope), patient, &fields))
            }
        }
    }
}

fn stop_button(study: Option<StudyId>, scope: &Scope, patient: &SignedInPatient) -> Markup {
    choice_button(WITHDRAW, "Stop sharing", (study, scope), patient, &html! {})
}

/// A button about one scope. Its hidden text names the scope for readers who do not see its place on the
/// page.
fn choice_button(
    action: &str,
    label: &str,
    (study, scope): (Option<StudyId>, &Scope),
    patient: &SignedInPatient,
    hidden_fields: &Markup,
) -> Markup {
    let study = study.map(|id| id.to_string()).unwrap_or_default();
    let inside = html! {
        input type="hidden" name="study" value=(study);
        input type="hidden" name="scope" value=(scope.code);
        (hidden_fields)
        button.quiet type="submit" { (label) span.hidden { ": " (scope.display) } }
    };
    form(action, patient.token(), &inside)
}

fn render_devices(devices: &ConnectedDevices, patient: &SignedInPatient, view: &ChoicesView) -> Markup {
    let has_consent_without_study = view.without_question.iter().any(|entry| entry.study.is_none());
    let shares = has_consent_without_study || view.questions.iter().any(ConsentQuestion::has_consent);
    html! {
        section.card {
            h2 { "Your device" }
            @match devices {
                ConnectedDevices::Connected(names) => {
                    p { (names.join(", ")) " is connected." }
                }
                ConnectedDevices::None => p { "No device is connected." },
                ConnectedDevices::Unknown => p { "Whether your device is connected cannot be found out at \
                                                  the moment." },
            }
            p {
                @match view.newest {
                    Some(at) => { "Last measurement that arrived: " (local(&view.zone, at)) "." }
                    None => { "No measurement has arrived yet." }
                }
            }
            div.actions {
                @match (shares, devices) {
                    (true, _) if view.is_completed() => {},
                    (false, _) => p { "To connect one, agree to share something first." },
                    (true, ConnectedDevices::Connected(_)) => {
                        a.button.quiet href="/clients/ow/connect" { "Connect again" }
                    }
                    (true, _) => a.button href="/clients/ow/connect" { "Connect a device" },
                }
                @if !matches!(devices, ConnectedDevices::None) {
                    (form("/clients/ow/disconnect", patient.token(), &html! {
                        button.quiet type="submit" { "Disconnect" }
                    }))
                }
            }
        }
    }
}
