//! The participants of a study: states, newest data, hours of data, and the next action.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};
use rusqlite::Connection;

use crate::app::{state::App, study_shares::StudyShares};
use crate::common::time::Timestamp;
use crate::model::account::VisibleTo;
use crate::model::adherence::{Adherence, DayHours, DayState, LastDays, Share};
use crate::model::catalog::source::data_source_name;
use crate::model::participant::{Participant, ParticipantState};
use crate::model::patient::PatientId;
use crate::model::silence::Silence;
use crate::model::study::StudyId;
use crate::store::operations::silence;
use crate::store::people::participant;
use crate::store::{engine::setting, error::StoreError, samples::data_hours};
use crate::web::access::{VISIBLE_STUDY, VisibleStudy};
use crate::web::admin::staff::{invitations_of, record_study_view};
use crate::web::admin::study::frame::render_study_page;
use crate::web::icon::{Icon, state};
use crate::web::layout::{ago, count};
use crate::web::request::Request;
use crate::web::response::HandlerResult;
use crate::web::route::{Route, get};

/// Participants on one page.
const ROWS: usize = 40;
/// A day more on both ends: participants live in other zones.
const DAY: Duration = Duration::from_hours(24);
/// Days of the column with hours of data, today included.
const DAYS: u8 = 7;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/studies/{study}", VISIBLE_STUDY, show)]
}

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Number,
    State,
    /// The oldest data first.
    Newest,
    /// The fewest hours first.
    Hours,
}

impl Sort {
    const ALL: &[(Self, &'static str, &'static str)] = &[
        (Self::Number, "number", "Participant"),
        (Self::State, "state", "State"),
        (Self::Newest, "newest", "Last data"),
        (Self::Hours, "hours", "Hours of data, 7 days"),
    ];

    fn parse(text: &str) -> Self {
        Self::ALL.iter().find(|(_, name, _)| *name == text).map_or(Self::Number, |(sort, ..)| *sort)
    }

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(sort, ..)| *sort == self).map_or("", |(_, name, _)| name)
    }
}

/// One row of the list.
struct Row {
    participant: Participant,
    state: ParticipantState,
    silence: Option<Silence>,
    week: Adherence,
}

/// The part of the list that the address asks for.
struct Wanted {
    state: Option<ParticipantState>,
    search: String,
    sort: Sort,
    /// From 1.
    page: usize,
}

impl Wanted {
    fn parse(request: &Request) -> Self {
        Self {
            state: request.query.get("state").parse().ok(),
            search: request.query.get("search").to_owned(),
            sort: Sort::parse(request.query.get("sort")),
            page: request.query.number("page").and_then(|page| page.try_into().ok()).unwrap_or(1).max(1),
        }
    }

    /// Returns the address of the same list with another state, order or page.
    fn link(&self, state: Option<ParticipantState>, sort: Sort, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::from("?"));
        if let Some(state) = state {
            query.append_pair("state", state.as_str());
        }
        if !self.search.is_empty() {
            query.append_pair("search", &self.search);
        }
        if sort != Sort::Number {
            query.append_pair("sort", sort.as_str());
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        query.finish()
    }

    fn matches(&self, row: &Row) -> bool {
        let search = self.search.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&search);
        let one = &row.participant;
        self.state.is_none_or(|state| state == row.state)
            && (search.is_empty()
                || has(&one.number)
                || has(&one.name)
                || one.providers.iter().any(|name| has(name)))
    }
}

/// The part of the list that is shown, and counts of all of it.
struct ParticipantList {
    rows: Vec<Row>,
    states: BTreeMap<ParticipantState, usize>,
    /// Participants of the study, and those among them who fit the search.
    all: usize,
    fitting: usize,
    /// From 1.
    page: usize,
}

impl ParticipantList {
    fn load(
        db: &Connection,
        study: StudyId,
        visible_to: VisibleTo,
        shares: &StudyShares,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let silent =
            silence::list_needing_action(db, visible_to, setting::read_all(db)?.silence_after(), now)?;
        let mut states = BTreeMap::new();
        let mut rows = Vec::new();
        let participants = participant::list(db, study, visible_to, now)?;
        let all = participants.len();
        // Only this order needs the hours of everybody.
        let sort_by_hours = wanted.sort == Sort::Hours;
        let shares =
            sort_by_hours.then(|| shares.find(db, study, visible_to, &participants, now)).transpose()?;
        for participant in participants {
            let silence = silent.get(&participant.patient).copied();
            let state = participant.state(silence.is_some());
            *states.entry(state).or_default() += 1;
            rows.push(Row { participant, state, silence, week: Adherence::default() });
        }
        rows.retain(|row| wanted.matches(row));
        let fitting = rows.len();
        match wanted.sort {
            Sort::Number => {}
            Sort::State => rows.sort_by_key(|row| row.state),
            Sort::Newest => rows.sort_by_key(|row| row.participant.newest),
            // Those of whom nothing is expected come last.
            Sort::Hours => rows.sort_by_key(|row| {
                let week = shares.as_ref().and_then(|shares| shares.weeks.get(&row.participant.patient));
                week.filter(|week| week.expected > 0).map_or(u32::MAX, |week| week.hours)
            }),
        }
        let page = wanted.page.min(fitting.div_ceil(ROWS).max(1));
        let mut rows: Vec<Row> = rows.into_iter().skip((page - 1) * ROWS).take(ROWS).collect();
        add_weeks(db, study, &mut rows, now)?;
        Ok(Self { rows, states, all, fitting, page })
    }
}

/// Adds the hours of the last days to rows.
fn add_weeks(db: &Connection, study: StudyId, rows: &mut [Row], now: Timestamp) -> Result<(), StoreError> {
    let ids: Vec<PatientId> = rows.iter().map(|row| row.participant.patient).collect();
    let hours = data_hours::list(db, study, Some(&ids), now.minus(DAY * 8), now.plus(DAY))?;
    let (mut local, nothing) = (LastDays::new(DAYS, now), DayHours::default());
    for row in rows {
        let data = hours.get(&row.participant.patient).unwrap_or(&nothing);
        let days = local.of(&row.participant.time_zone);
        row.week = Adherence::of(data, row.participant.participation(), days, now);
    }
    Ok(())
}

async fn show(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let (study, now) = (visible.study().id, app.clock.now());
    let visible_to = visible.staff().visible_to();
    let wanted = Wanted::parse(request);
    let shares = app.study_shares.clone();
    let load = move |db: &_| {
        let found = ParticipantList::load(db, study, visible_to, &shares, &wanted, now)?;
        Ok((found, wanted))
    };
    let (found, wanted) = app.store.read(load).await?;
    record_study_view(app, visible, "participants.view").await?;
    let body = render(visible, &found, &wanted, now);
    let action = (visible.may_change()).then(|| {
        html! { a.button href={ "/admin/patients/new?study=" (study) } { "Add a participant" } }
    });
    render_study_page(app, visible, "", action, body).await
}

fn render(visible: &VisibleStudy, found: &ParticipantList, wanted: &Wanted, now: Timestamp) -> Markup {
    html! {
        div.heading {
            (render_filter(found, wanted))
            form.search role="search" method="get" {
                label.hidden for="search" { "Number, name or device" }
                input id="search" name="search" type="search" placeholder="Number, name or device" value=(wanted.search);
                @if let Some(state) = wanted.state { input type="hidden" name="state" value=(state.as_str()); }
                @if wanted.sort != Sort::Number { input type="hidden" name="sort" value=(wanted.sort.as_str()); }
                button.quiet type="submit" { "Search" }
            }
        }
        @if found.all == 0 {
            div.empty {
                p { "Nobody takes part in this study yet." }
                @if visible.may_change() { p { a.button href={ "/admin/patients/new?study=" (visible.study().id) } { "Add a participant" } } }
            }
        } @else if found.fitting == 0 {
            p.empty { "Nobody fits this search. " a href="?" { "Show all" } }
        } @else {
            table.list {
                thead { tr {
                    @for (sort, _, name) in Sort::ALL {
                        th scope="col" aria-sort=[(*sort == wanted.sort).then_some("ascending")] {
                            a href=(wanted.link(wanted.state, *sort, 1)) { (name) @if *sort == wanted.sort { " ↑" } }
                        }
                    }
                    th scope="col" { "Device" }
                    th scope="col" { "Time zone" }
                    th scope="col" { "Next action" }
                } }
                tbody { @for row in &found.rows { (render_row(row, visible, now)) } }
            }
            (render_pages(found, wanted))
        }
    }
}

fn render_filter(found: &ParticipantList, wanted: &Wanted) -> Markup {
    html! {
        nav.chips aria-label="Filter by state" { ul {
            li { a href=(wanted.link(None, wanted.sort, 1)) aria-current=[wanted.state.is_none().then_some("true")] {
                "All " span.fine { (found.all) }
            } }
            @for (&state, count) in &found.states {
                li { a href=(wanted.link(Some(state), wanted.sort, 1)) aria-current=[(wanted.state == Some(state)).then_some("true")] {
                    (state.label()) " " span.fine { (count) }
                } }
            }
        } }
    }
}

fn render_row(row: &Row, visible: &VisibleStudy, now: Timestamp) -> Markup {
    let one = &row.participant;
    html! {
        tr {
            th.first scope="row" {
                a href={ "/admin/patients/" (one.patient) } { (one.number) }
                @if !one.name.is_empty() { " " span.fine { (one.name) } }
            }
            td.right { (render_state(row.state)) }
            td.second { (ago(now, one.newest)) }
            td.right { @if row.week.share().expected > 0 { (render_week(&row.week)) } @else { span.fine { "–" } } }
            td.third { @if one.providers.is_empty() { span.fine { "none yet" } } @else { (one.providers.iter().map(|name| data_source_name(name)).collect::<Vec<_>>().join(", ")) } }
            td.wide { (one.time_zone) }
            td.third { (render_action(row, visible)) }
        }
    }
}

pub(crate) fn render_state(of: ParticipantState) -> Markup {
    let (kind, shape) = match of {
        ParticipantState::Sending => ("good", Icon::Tick),
        ParticipantState::Silent => ("warn", Icon::Flat),
        ParticipantState::Invited => ("info", Icon::Letter),
        ParticipantState::Agreed => ("info", Icon::Pen),
        ParticipantState::NotInvited => ("idle", Icon::Clock),
        ParticipantState::Withdrawn => ("idle", Icon::Stop),
        ParticipantState::Completed => ("idle", Icon::Flag),
    };
    state(kind, shape, of.label())
}

/// Renders the hours of each day as bars, and their sum.
fn render_week(week: &Adherence) -> Markup {
    html! {
        svg.week viewBox="0 0 84 20" aria-hidden="true" {
            @for (place, day) in week.days.iter().enumerate() {
                @let hours = if let DayState::Hours(hours) = day { (*hours).min(24) } else { 0 };
                @let height = (hours * 20 / 24).max(1);
                rect .none[hours == 0] x=(place * 12) y=(20 - height) width="9" height=(height) {}
            }
        }
        " " span.nowrap { (week.share().hours) "\u{a0}h" }
    }
}

fn render_action(row: &Row, visible: &VisibleStudy) -> Markup {
    let href = invitations_of(row.participant.patient);
    html! {
        @if visible.may_change() {
            @match row.state {
                ParticipantState::NotInvited => a.button.quiet href=(href) { "Invite" },
                ParticipantState::Agreed => a.button.quiet href=(href) { "Send a new link" },
                _ => {}
            }
        }
        @if let Some(silence) = row.silence.filter(|_| row.state == ParticipantState::Silent) { span.fine { (silence.cause.label()) } }
    }
}

fn render_pages(found: &ParticipantList, wanted: &Wanted) -> Markup {
    let (page, pages) = (found.page, found.fitting.div_ceil(ROWS).max(1));
    let first = (page - 1) * ROWS + 1;
    let share: Share = found.rows.iter().map(|row| row.week.share()).sum();
    html! {
        div.heading {
            p.fine {
                (first) " to " (first + found.rows.len() - 1) " of " (found.fitting)
                @if let Some(per_cent) = share.per_cent() {
                    " · " (count(share.hours.into())) " hours of data in 7 days, " (per_cent) "\u{a0}% of what is expected of these"
                }
            }
            @if pages > 1 {
                nav.actions aria-label="Pages" {
                    @if page > 1 { a.button.quiet rel="prev" href=(wanted.link(wanted.state, wanted.sort, page - 1)) { "Previous" } }
                    span.fine { "Page " (page) " of " (pages) }
                    @if page < pages { a.button.quiet rel="next" href=(wanted.link(wanted.state, wanted.sort, page + 1)) { "Next" } }
                }
            }
        }
    }
}
