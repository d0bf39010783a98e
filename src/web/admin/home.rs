//! The first page of practitioners and operators: whether all is well, what needs somebody, and the studies.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use rusqlite::Connection;

use crate::app::{state::App, study_shares::StudyShares};
use crate::common::time::Timestamp;
use crate::config::settings::Settings;
use crate::model::account::{Role, VisibleTo};
use crate::model::participant::ParticipantState;
use crate::model::patient::PatientId;
use crate::model::silence::{Silence, SilenceCause};
use crate::model::study::Study;
use crate::model::time_zones::describe_contradiction;
use crate::store::operations::patient_trouble::{self, PatientTrouble, TroubleKind};
use crate::store::operations::{patient_status, silence};
use crate::store::people::{participant, study, visibility};
use crate::store::privacy::restored as restored_store;
use crate::store::{engine::setting, error::StoreError};
use crate::web::access::{STAFF, Staff};
use crate::web::admin::staff::{invitations_of, no_patients_text, record_view, render_staff_page};
use crate::web::admin::study::participants::render_state;
use crate::web::icon::{Icon, coloured, icon};
use crate::web::layout::{ago, count, foreign, notice};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

/// Patients that *Needs attention* lists; a link leads to the others.
const SHOWN: u32 = 12;
/// Studies with a card; a link leads to the others.
const CARDS: u32 = 24;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin", STAFF, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (now, visible_to) = (app.clock.now(), staff.visible_to());
    let shares = app.study_shares.clone();
    let overview = app.store.read(move |db| Overview::load(db, visible_to, &shares, now)).await?;
    record_view(app, staff, "home.view", None).await?;
    let parts = list_parts(app, staff, &overview);
    let done = if request.query.get("done") == "password" { "Your password is set." } else { "" };
    let body = html! {
        h1 { "Home" }
        (notice(done))
        (render_band(&overview, parts.first()))
        @let count = parts.len() + overview.troubles.len() + overview.silent.len();
        @if count > 0 {
            h2 { "Needs attention " span.fine { (count) } }
            ul.todo.panel {
                @for part in &parts { (part.render()) }
                @for trouble in &overview.troubles { (render_trouble(trouble, now)) }
                @for one in &overview.attention { (one.render(now)) }
            }
            @if overview.silent.len() > overview.attention.len() {
                p { a href="/admin/patients?silent=1" { "All " (overview.silent.len()) " silent patients" } }
            }
        }
        (render_studies(&overview, staff))
    };
    Ok(render_staff_page(app, staff, "/admin", "Home", &body))
}

/// The stored data of the page. It reads rows of patients and counters, never samples.
struct Overview {
    settings: Settings,
    silent: BTreeMap<PatientId, Silence>,
    /// The silent patients that the page lists, the longest silence first.
    attention: Vec<SilentPatient>,
    troubles: Vec<PatientTrouble>,
    cards: Vec<StudyCard>,
    has_more_studies: bool,
    /// Patients who are expected to send.
    expected: usize,
    /// Patients whose consents a restore has suspended.
    suspended: i64,
}

struct SilentPatient {
    id: PatientId,
    label: String,
    studies: String,
    silence: Silence,
    may_invite: bool,
}

struct StudyCard {
    study: Study,
    states: BTreeMap<ParticipantState, usize>,
    /// The share of the expected hours of each day in per cent; none where nothing was expected.
    days: Vec<Option<u32>>,
    /// The same over the last days; none if nothing was expected.
    share: Option<u32>,
}

impl Overview {
    fn load(
        db: &Connection,
        visible_to: VisibleTo,
        shares: &StudyShares,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let settings = setting::read_all(db)?;
        let silent = silence::list_needing_action(db, visible_to, settings.silence_after(), now)?;
        let mut studies = study::list(db, visible_to, Role::Viewer, 0, CARDS + 1)?;
        let has_more_studies = studies.len() > CARDS as usize;
        studies.truncate(CARDS as usize);
        let (mut senders, last) = (BTreeSet::new(), studies.last().map(|study| study.id));
        let mut cards = Vec::with_capacity(studies.len());
        for study in studies {
            cards.push(StudyCard::load(db, study, visible_to, (&silent, shares), &mut senders, now)?);
        }
        // Patients without a study are the operators' only. Those of the other studies count too.
        if visible_to == VisibleTo::Everybody {
            senders.extend(patient_status::list_polled_outside(db, last, now)?);
        }
        let mut order: Vec<(&PatientId, &Silence)> = silent.iter().collect();
        order.sort_by_key(|(_, silence)| silence.since);
        let describe = |(&id, &silence): (&PatientId, &Silence)| {
            let studies = study::list_visible_of_patient(db, visible_to, id)?;
            let names: Vec<&str> = studies.iter().map(|one| one.terms.name.as_str()).collect();
            let label = visibility::find_patient_label(db, visible_to, id)?;
            let role = visibility::find_patient_role(db, visible_to, id)?;
            let may_invite = role >= Some(Role::Coordinator);
            Ok(SilentPatient { id, label, studies: names.join(", "), silence, may_invite })
        };
        let attention =
            order.into_iter().take(SHOWN as usize).map(describe).collect::<Result<_, StoreError>>()?;
        let suspended = restored_store::count_suspended(db)?;
        let expected = senders.union(&silent.keys().copied().collect()).count();
        let troubles = patient_trouble::list(db, visible_to, SHOWN)?;
        Ok(Self { settings, silent, attention, troubles, cards, has_more_studies, expected, suspended })
    }
}

impl StudyCard {
    fn load(
        db: &Connection,
        study: Study,
        visible_to: VisibleTo,
        (silent, shares): (&BTreeMap<PatientId, Silence>, &StudyShares),
        senders: &mut BTreeSet<PatientId>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let participants = participant::list(db, study.id, visible_to, now)?;
        let mut states = BTreeMap::new();
        for one in &participants {
            let state = one.state(silent.contains_key(&one.patient));
            *states.entry(state).or_default() += 1;
            if matches!(state, ParticipantState::Sending | ParticipantState::Silent) {
                senders.insert(one.patient);
            }
        }
        let shares = shares.find(db, study.id, visible_to, &participants, now)?;
        let days = shares.days.iter().map(|share| share.per_cent()).collect();
        Ok(Self { study, states, days, share: shares.week().per_cent() })
    }

    fn render(&self) -> Markup {
        let href = format!("/admin/studies/{}", self.study.id);
        let participants: usize = self.states.values().sum();
        let others =
            |state: &ParticipantState| !matches!(state, ParticipantState::Sending | ParticipantState::Silent);
        let rest: Vec<String> = self
            .states
            .iter()
            .filter(|(state, _)| others(state))
            .map(|(state, count)| format!("{count} {}", state.label().to_lowercase()))
            .collect();
        html! {
            li {
                div.heading {
                    h3 { a href=(href) { (self.study.terms.name) } }
                    span.fine { (count(i64::try_from(participants).unwrap_or(i64::MAX))) " participants" }
                }
                p.actions {
                    @for wanted in [ParticipantState::Sending, ParticipantState::Silent] {
                        @if let Some(number) = self.states.get(&wanted) {
                            a.state.plain href={ (href) "?state=" (wanted.as_str()) } { (number) " " (render_state(wanted)) }
                        }
                    }
                }
                @if !rest.is_empty() { p.fine { (rest.join(" · ")) } }
                @match self.share {
                    Some(share) => {
                        p { span.figure { (share) "\u{a0}%" } " " span.fine { "of the expected data in 7 days" } }
                        (render_bars(&self.days))
                    }
                    None => p.fine { "No data are expected yet." },
                }
            }
        }
    }
}

/// Renders the shares of the last days as bars.
fn render_bars(days: &[Option<u32>]) -> Markup {
    html! {
        svg.days-bars viewBox="0 0 140 32" preserveAspectRatio="none" role="img" aria-label="Share of the expected data of each day, the last one today" {
            @for (place, share) in days.iter().enumerate() {
                @let share = share.unwrap_or(0);
                @let height = (share * 32 / 100).max(1);
                rect .low[share < 60] x=(place * 10) y=(32 - height) width="8" height=(height) {}
            }
        }
        p.fine { "Each bar is a day, the last one today." }
    }
}

/// A part of the installation that somebody has to look after.
struct Part {
    /// Nothing comes in because of it.
    stops_data: bool,
    what: String,
    cause: String,
    /// The address and the words of the action.
    action: Option<(&'static str, &'static str)>,
}

impl Part {
    fn render(&self) -> Markup {
        let (shape, kind) = if self.stops_data { (Icon::Cross, "bad") } else { (Icon::Triangle, "warn") };
        html! {
            li {
                (coloured(shape, kind))
                div { b { (self.what) } p { (self.cause) } }
                @if let Some((href, words)) = self.action { a.button.quiet href=(href) { (words) } }
            }
        }
    }
}

impl SilentPatient {
    fn render(&self, now: Timestamp) -> Markup {
        let (href, words) = match self.silence.cause {
            SilenceCause::UserGone | SilenceCause::LinkRevoked if self.may_invite => {
                (invitations_of(self.id), "Send a new link")
            }
            _ => (format!("/admin/patients/{}", self.id), "See the patient"),
        };
        html! {
            li {
                (coloured(Icon::Flat, "warn"))
                div {
                    a href={ "/admin/patients/" (self.id) } { b { (self.label) } }
                    " " span.fine { "silent, last data " (ago(now, Some(self.silence.since))) @if !self.studies.is_empty() { " · " (self.studies) } }
                    p { (self.silence.cause.remedy()) }
                }
                a.button.quiet href=(href) { (words) span.hidden { ", " (self.label) } }
            }
        }
    }
}

fn render_trouble(trouble: &PatientTrouble, now: Timestamp) -> Markup {
    let page = format!("/admin/patients/{}", trouble.patient);
    let (what, cause, href, words) = match &trouble.kind {
        TroubleKind::MailNotSent(since, error) => (
            html! { "mail not sent, " (ago(now, Some(*since))) },
            foreign(error),
            format!("{page}?open=mails#mails"),
            "See the mail",
        ),
        TroubleKind::TimeZone { zone, offset } => {
            (html! { "time zone" }, describe_contradiction(zone, *offset), page.clone(), "Correct it")
        }
    };
    html! {
        li {
            (coloured(Icon::Triangle, "warn"))
            div {
                a href=(page) { b { (trouble.label) } } " " span.fine { (what) }
                p { (cause) }
            }
            a.button.quiet href=(href) { (words) span.hidden { ", " (trouble.label) } }
        }
    }
}

/// Lists the parts that need somebody. Those that stop the data come first. An account that is no operator's learns only
/// that an operator is needed.
fn list_parts(app: &App, staff: &Staff, overview: &Overview) -> Vec<Part> {
    let config = app.live.config();
    let mut parts = Vec::new();
    let mut add = |stops_data, what: &str, cause: String, action| {
        parts.push(Part { stops_data, what: what.to_owned(), cause, action });
    };
    let system = Some(("/admin/system", "See System"));
    let ticks = app.ticker.state();
    if !overview.settings.is_on() {
        let action = Some(("/admin/settings#module.ow", "Switch it on"));
        add(true, "The sync is switched off", "Nothing arrives while it is off.".to_owned(), action);
    } else if config.ow_api_url.is_none() || config.ow_api_key.is_none() {
        let cause = "OW_API_URL / OW_API_KEY not configured: set both and restart, or reload with SIGHUP.";
        add(true, "Open Wearables is not configured", cause.to_owned(), None);
    } else if let Some(refusal) = app.ow_status.refusal() {
        let cause = format!(
            "OW refuses the key: {}. Nothing is lost: with a valid key, the next sync reads everything. Make a new key in \
             OW’s admin pages, set OW_API_KEY, and restart the daemon, or reload it with SIGHUP.",
            foreign(refusal)
        );
        add(true, "Open Wearables refuses the key", cause, None);
    } else if ticks.failed {
        let outcome = foreign(ticks.outcome.unwrap_or_default());
        add(true, "The last sync could not run", format!("{outcome}."), system);
    }
    if !staff.may(Role::Operator) {
        let ask =
            |part: Part| Part { cause: "An operator has to mend this.".to_owned(), action: None, ..part };
        return parts.into_iter().map(ask).collect();
    }
    let mut add = |what: &str, cause: String, action| {
        parts.push(Part { stops_data: false, what: what.to_owned(), cause, action });
    };
    if let Some(error) = app.backup_status.state().error {
        add("The last backup failed", foreign(error), system);
    }
    if overview.suspended > 0 {
        let cause = format!(
            "A backup was restored. The consents of {} patients are suspended, because a withdrawal since the backup may be \
             lost: nothing of theirs is read.",
            overview.suspended
        );
        add("Consents are suspended", cause, Some(("/admin/restored", "Confirm the consents")));
    }
    if let Some(error) = app.export_status.last().and_then(|last| last.error) {
        let cause = format!("{}. Nothing is lost: it is sent again.", foreign(error));
        add("JHE does not take the data", cause, system);
    }
    parts
}

/// Renders the state of everything in one sentence.
fn render_band(overview: &Overview, first: Option<&Part>) -> Markup {
    let (silent, expected) = (overview.silent.len(), overview.expected);
    let stopped = first.filter(|part| part.stops_data);
    let (kind, shape) = match (stopped, silent) {
        (Some(_), _) => ("bad", Icon::Cross),
        (None, 1..) => ("warn", Icon::Triangle),
        (None, 0) => ("good", Icon::Tick),
    };
    html! {
        section class={ "band " (kind) } aria-label="State" {
            (icon(shape))
            div {
                h2 {
                    @match (stopped, silent, expected) {
                        (Some(_), 0, _) => "No data come in",
                        (Some(_), silent, expected) => { "No data come in, and " (silent) " of " (expected) " patients are silent" }
                        (None, 0, 0) => "No patient sends data yet",
                        (None, 0, 1) => "The one patient sends data",
                        (None, 0, expected) => { "All " (expected) " patients send data" }
                        (None, silent, expected) => { (silent) " of " (expected) " patients stopped sending" }
                    }
                }
                @if let Some(part) = stopped { p { (part.what) ". " (part.cause) } }
                @else if expected > 0 {
                    p { (if silent == 0 { "Their" } else { "The others’" }) " newest data are less than " (overview.settings.text("silence.after")) " old." }
                }
            }
            @if let Some((href, words)) = stopped.and_then(|part| part.action) { a.button href=(href) { (words) } }
        }
    }
}

fn render_studies(overview: &Overview, staff: &Staff) -> Markup {
    html! {
        div.heading {
            h2 { "Studies" }
            @if staff.may(Role::Operator) { a.button.quiet href="/admin/studies/new" { "Add a study" } }
        }
        @if overview.cards.is_empty() {
            div.empty {
                p { (no_patients_text(staff)) }
                @if staff.may(Role::Operator) {
                    ol {
                        li { a href="/admin/studies/new" { "Add a study" } ": what it asks for, and why" }
                        li { "Add participants on the page of the study" }
                        li { "Send each the link that invites" }
                    }
                }
            }
        } @else {
            ul.cards { @for card in &overview.cards { (card.render()) } }
            @if overview.has_more_studies { p { a href="/admin/studies" { "All studies" } } }
        }
    }
}
