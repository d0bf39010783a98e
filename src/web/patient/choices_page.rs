//! The page of a patient's choices: consents, device, data.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use tokio::time::timeout;

use crate::app::{connect_device as devices, device_offers};
use crate::app::{connect_device::ConnectError, offer_cache::Offer, patient_tokens::JHE_TIMEOUT, state::App};
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::account::VisibleTo;
use crate::model::catalog::source;
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::{Scope, StudyId};
use crate::store::operations::patient_status::{self, PatientFilter};
use crate::store::people::collection_window::{self, StudyPart};
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::device_connection::ConnectionState;
use crate::store::people::patient as patients;
use crate::store::people::study_text::{self, Participation};
use crate::store::samples::code::DataSourceCodes;
use crate::web::layout::{form, notice};
use crate::web::patient::consent_form::{name_types, render_wording};
use crate::web::patient::consent_questions::{ConsentQuestion, load_questions};
use crate::web::patient::stop_sharing::{self, StopTarget};
use crate::web::patient::{
    collection, connect::display_name, reminders, selected_devices::SelectedDevices,
    signed_in::page_response, time_zone,
};
use crate::web::patient_access::{CHOICES, PATIENT, SignedInPatient};
use crate::web::reader::Reader;
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
    /// All consents of the patient, with those that have ended.
    history: Vec<ConsentEntry>,
    places: Vec<Participation>,
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

    fn shares(&self) -> bool {
        self.without_question.iter().any(|entry| entry.study.is_none())
            || self.questions.iter().any(ConsentQuestion::has_consent)
    }

    fn count_active(&self) -> usize {
        self.history.iter().filter(|entry| entry.grant.withdrawn.is_none()).count()
    }

    async fn load(app: &App, patient: &SignedInPatient, selected: &SelectedDevices) -> Result<Self, Refusal> {
        let questions = load_questions(app, patient, selected).await?;
        let (id, now, language) = (patient.id(), app.clock.now(), patient.reader().texts.language());
        let read = move |db: &_| {
            let who = patients::find(db, PatientRef::Own(id))?;
            let newest = patient_status::list(db, now, &PatientFilter::one(id, VisibleTo::Everybody), 1)?
                .first()
                .and_then(|line| line.newest);
            let history = consent::list(db, VisibleTo::Everybody, id)?;
            let mut without_question = history.clone();
            let is_asked = |entry: &ConsentEntry| questions.iter().any(|question| question.includes(entry));
            without_question.retain(|entry| entry.grant.withdrawn.is_none() && !is_asked(entry));
            let delivered = consent::list_active_deliverable(db, id)?;
            let is_delivered = |entry: &ConsentEntry| {
                delivered.contains(&(entry.scope.code.clone(), entry.study.as_ref().map(|(id, _)| *id)))
            };
            let (without_question, undeliverable) = without_question.into_iter().partition(is_delivered);
            let zone = time_zone_or_utc(&who.time_zone);
            let places = study_text::list_participations(db, id, None, language)?;
            let parts = collection_window::list_parts(db, id)?;
            Ok(Self { questions, without_question, undeliverable, history, places, newest, zone, parts, now })
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

/// Returns the notice of the `done` parameter.
fn done_notice(reader: &Reader, request: &Request, known: &[ConsentEntry]) -> String {
    let word = request.query.get("done");
    let key = match word {
        "granted" => "done-granted",
        "changed" => "text-changed-text",
        "time-zone" => "done-time-zone",
        "disconnected" => "done-disconnected",
        "disconnecting" => "done-disconnecting",
        "reminders-on" => "reminders-on",
        "reminders-stopped" => "reminders-stopped",
        _ => {
            let stopped = stop_sharing::done_notice(reader, word, request.query.get("what"), known);
            return stopped.unwrap_or_default();
        }
    };
    reader.get(key)
}

pub(crate) fn routes() -> Vec<Route> {
    vec![get(CHOICES, PATIENT, show)]
}

async fn show(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let reader = patient.reader();
    let is_current = devices::refresh_consents(app, patient.id()).await;
    // First: the connected devices decide which scopes can be asked.
    let devices = find_devices(app, patient.id()).await?;
    let selected = SelectedDevices::from_query(&request.query);
    let view = ChoicesView::load(app, patient, &selected).await?;
    let others = find_other_devices(app, patient.id(), &view.questions).await?;
    let time_zone = time_zone::render_section(app, patient).await?;
    let reminders = reminders::load_section(app, patient).await?;
    let device_section = render_devices(&devices, patient, &view);
    let is_first = matches!(devices, ConnectedDevices::None) && view.shares();
    let body = html! {
        h1 { (reader.get("choices-title")) }
        @for place in &view.places {
            p.fine {
                span lang=[(place.language != reader.texts.language()).then(|| place.language.tag())] { (place.title) }
                " · " (reader.get_with("your-number", &[("number", &place.participant)]))
            }
        }
        (notice(&done_notice(reader, request, &view.history)))
        @if !is_current { p.warning { (reader.get("choices-stale")) } }
        // Without a device nothing arrives: that is the first thing to do.
        @if is_first { (device_section) }
        @if let Some(provider) = selected.chosen_provider() {
            (selected.describe(reader, CHOICES))
            p {
                (reader.get("connect-after-agreeing")) " "
                a href=(selected.next_page()) {
                    (reader.get_with("connect-device", &[("device", source::data_source_name(provider))]))
                }
            }
        }
        @for question in &view.questions {
            (render_study(question, (patient, &selected), &others, &view))
        }
        @for entry in &view.without_question {
            section.card { h2 { (entry_title(reader, entry)) } (render_entry(entry, patient, &view.zone)) }
        }
        @if view.questions.is_empty() && view.without_question.is_empty() { p { (reader.get("no-study")) } }
        @if !is_first { (device_section) }
        @if !view.undeliverable.is_empty() {
            (render_undeliverable(&view.undeliverable, patient, &view.zone))
        }
        (time_zone)
        (reminders)
        section.card {
            h2 { (reader.get("data-title")) }
            p { a.button href="/clients/ow/data" { (reader.get("data-see")) } }
        }
        @if view.count_active() > 1 { (stop_sharing::render_button(patient, &StopTarget::Everything)) }
        (form("/clients/ow/sign-out", patient.token(), &html! {
            button.quiet type="submit" { (reader.get("sign-out")) }
            p.fine { (reader.get("sign-out-text")) }
        }))
    };
    Ok(page_response(app, reader, &reader.get("choices-title"), &body))
}

fn entry_title(reader: &Reader, entry: &ConsentEntry) -> String {
    let study = entry.study.as_ref().map_or_else(String::new, |(_, name)| format!(", {name}"));
    format!("{}{study}", reader.texts.data_type(&entry.scope.code, &entry.scope.display))
}

fn render_entry(entry: &ConsentEntry, patient: &SignedInPatient, zone: &TimeZone) -> Markup {
    html! {
        (render_since(patient.reader(), zone, entry.grant.granted))
        (stop_button(entry.study.as_ref().map(|(id, _)| *id), &entry.scope, patient))
    }
}

fn render_since(reader: &Reader, zone: &TimeZone, since: Timestamp) -> Markup {
    html! { p { (reader.get_with("shared-since", &[("date", &reader.texts.date(zone, since))])) } }
}

/// Offers to stop these too, although their data come from elsewhere.
fn render_undeliverable(entries: &[ConsentEntry], patient: &SignedInPatient, zone: &TimeZone) -> Markup {
    html! {
        section.card {
            h2 { (patient.reader().get("shared-elsewhere")) }
            @for entry in entries {
                div.scope { h3 { (entry_title(patient.reader(), entry)) } (render_entry(entry, patient, zone)) }
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
fn render_unmeasured(reader: &Reader, question: &ConsentQuestion, others: &OtherDevices) -> Markup {
    let of_offer = |opened: &[(StudyId, String)]| {
        let is_opened = |scope: &&Scope| opened.contains(&(question.study.id, scope.code.clone()));
        question.unmeasured.iter().filter(is_opened).cloned().collect::<Vec<Scope>>()
    };
    html! {
        @if !question.unmeasured.is_empty() {
            @let names = [("types", &*name_types(reader, &question.unmeasured))];
            div.scope {
                h3 { (reader.get_with("unmeasured", &[("device", &question.device_names(reader.texts))])) }
                p { (reader.get_with("unmeasured-text", &names)) }
                @for (offer, opened) in others {
                    @let more = of_offer(opened);
                    @if !more.is_empty() {
                        @let device = ("device", &*offer.provider.name);
                        p.fine {
                            (reader.get_with("other-measures", &[device, ("types", &name_types(reader, &more))])) " "
                            a href={ (CHOICES) "?device=" (offer.provider.provider) } {
                                (reader.get_with("also-wear", &[device]))
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
    let (id, reader, zone) = (question.study.id, patient.reader(), &view.zone);
    let other = (question.text.language != reader.texts.language()).then(|| question.text.language.tag());
    let part = view.part(id);
    html! {
        section.card {
            h2 lang=[other] { (question.text.title) }
            p lang=[other] { (question.text.organization) }
            @if let Some(part) = part { (collection::render(reader, part, zone, view.now)) }
            @for (scope, agreed) in &question.scopes {
                @if let Some(agreed) = agreed {
                    div.scope {
                        h3 { (reader.texts.data_type(&scope.code, &scope.display)) }
                        p.fine { (reader.texts.data_type_covers(&scope.code).unwrap_or_default()) }
                        (render_since(reader, zone, agreed.since))
                        @if !question.measures(scope) {
                            @let device = question.device_names(reader.texts);
                            p { (reader.get_with("not-measured-by", &[("device", &device)])) }
                        }
                        @if let Some((language, text)) = &agreed.text {
                            details { summary { (reader.get("agreed-text")) } pre lang=(language) { (text) } }
                        }
                        (stop_button(Some(id), scope, patient))
                    }
                }
            }
            @if !part.is_some_and(|part| part.has_ended(view.now)) {
                (render_open_scopes(question, (patient, selected)))
                (render_unmeasured(reader, question, others))
            }
        }
    }
}

/// Renders the text and the buttons to agree.
fn render_open_scopes(
    question: &ConsentQuestion,
    (patient, selected): (&SignedInPatient, &SelectedDevices),
) -> Markup {
    let (open, reader) = (question.open_scopes(), patient.reader());
    let name = |scope: &Scope| reader.texts.data_type(&scope.code, &scope.display);
    html! {
        @if !open.is_empty() && patient.may_grant() {
            details open {
                summary { (reader.get("read-first")) }
                (render_wording(reader, question))
            }
        }
        @for scope in &open {
            div.scope {
                h3 { (name(scope)) }
                p.fine { (reader.texts.data_type_covers(&scope.code).unwrap_or_default()) }
                p { (reader.get("not-shared")) }
                @if patient.may_grant() {
                    (form("/clients/ow/grant", patient.token(), &html! {
                        input type="hidden" name="study" value=(question.study.id);
                        input type="hidden" name="scope" value=(scope.code);
                        input type="hidden" name="wording" value=(question.wording_id());
                        (selected.hidden_fields())
                        button.quiet type="submit" { (reader.get("agree-to-share")) span.hidden { ": " (name(scope)) } }
                    }))
                }
            }
        }
        @if !open.is_empty() && !patient.may_grant() { p.fine { (reader.get("may-not-grant-text")) } }
    }
}

fn stop_button(study: Option<StudyId>, scope: &Scope, patient: &SignedInPatient) -> Markup {
    let name = patient.reader().texts.data_type(&scope.code, &scope.display);
    stop_sharing::render_button(patient, &StopTarget::One { study, code: &scope.code, name })
}

fn render_devices(devices: &ConnectedDevices, patient: &SignedInPatient, view: &ChoicesView) -> Markup {
    let reader = patient.reader();
    html! {
        section.card {
            h2 { (reader.get("device-title")) }
            @match devices {
                ConnectedDevices::Connected(names) => {
                    p { (reader.get_with("device-connected", &[("device", &reader.texts.list(names))])) }
                }
                ConnectedDevices::None => p { (reader.get("device-none")) },
                ConnectedDevices::Unknown => p { (reader.get("device-state-unknown")) },
            }
            p {
                @match view.newest {
                    Some(at) => {
                        (reader.get_with("newest", &[("time", &reader.texts.date_time(&view.zone, at))]))
                    }
                    None => (reader.get("newest-none")),
                }
            }
            div.actions {
                @match (view.shares(), devices) {
                    (true, _) if view.is_completed() => {},
                    (false, _) => p { (reader.get("share-first")) },
                    (true, ConnectedDevices::Connected(_)) => {
                        a.button.quiet href="/clients/ow/connect" { (reader.get("connect-again")) }
                    }
                    (true, _) => a.button href="/clients/ow/connect" { (reader.get("connect-a-device")) },
                }
                @if !matches!(devices, ConnectedDevices::None) {
                    (form("/clients/ow/disconnect", patient.token(), &html! {
                        button.quiet type="submit" { (reader.get("disconnect")) }
                    }))
                }
            }
        }
    }
}
