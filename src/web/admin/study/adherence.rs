//! The adherence of a study: participants by days, with the hours of data of each day.

use std::iter;

use http::{HeaderValue, header};
use jiff::civil::Date;
use jiff::{Span, ToSpan};
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::csv_line::csv_line;
use crate::common::time::{Timestamp, midnight_in, time_zone_or_utc};
use crate::model::adherence::{Adherence, DayState, LocalDays, Share};
use crate::model::audit_detail::AuditDetail;
use crate::model::participant::Participant;
use crate::model::patient::PatientId;
use crate::store::people::participant;
use crate::store::{error::StoreError, privacy::audit, samples::data_hours};
use crate::web::access::{VISIBLE_STUDY, VisibleStudy};
use crate::web::admin::staff::record_study_view;
use crate::web::admin::study::frame::render_study_page;
use crate::web::layout::count;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, with_type};
use crate::web::route::{Route, get};

/// Days of the grid.
const DAYS: usize = 28;
/// Participants on one page.
const ROWS: usize = 25;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/studies/{study}/adherence", VISIBLE_STUDY, show),
        get("/admin/studies/{study}/adherence.csv", VISIBLE_STUDY, download),
    ]
}

/// The grid that an address asks for.
struct Grid {
    first: Date,
    today: Date,
    rows: Vec<(Participant, Adherence)>,
    /// All participants of the study.
    participants: usize,
    /// From 1.
    page: usize,
}

impl Grid {
    async fn load(
        app: &App,
        request: &Request,
        visible: &VisibleStudy,
        rows: usize,
    ) -> Result<Self, Refusal> {
        let (study, now) = (visible.study(), app.clock.now());
        let zone = time_zone_or_utc(&study.terms.time_zone);
        let today = now.to_jiff().map(|now| zone.to_datetime(now).date()).unwrap_or_default();
        let last = request.query.get("until").parse::<Date>().unwrap_or(today).min(today);
        let first = last.saturating_sub(27.days());
        let page = request.query.number("page").and_then(|page| page.try_into().ok()).unwrap_or(1).max(1);
        let (id, viewer) = (study.id, visible.staff().visible_to());
        // A day more at both ends: participants live in other zones.
        let begin = midnight_in(&zone, first.saturating_sub(1.day())).unwrap_or(Timestamp::MIN);
        let end = midnight_in(&zone, last.saturating_add(2.days())).unwrap_or(now);
        let read = move |db: &_| {
            let all = participant::list(db, id, viewer, now)?;
            let (participants, pages) = (all.len(), all.len().div_ceil(rows).max(1));
            let page = page.min(pages);
            let shown: Vec<Participant> = all.into_iter().skip((page - 1) * rows).take(rows).collect();
            let ids: Vec<PatientId> = shown.iter().map(|one| one.patient).collect();
            let hours = data_hours::list(db, id, Some(&ids), begin, end)?;
            let row = |one: Participant| {
                let zone = time_zone_or_utc(&one.time_zone);
                let data = hours.get(&one.patient).cloned().unwrap_or_default();
                let adherence =
                    Adherence::of(&data, one.participation(), &LocalDays::new(&zone, first, DAYS), now);
                (one, adherence)
            };
            let rows = shown.into_iter().map(row).collect();
            Ok::<_, StoreError>(Self { first, today, rows, participants, page })
        };
        Ok(app.store.read(read).await?)
    }

    fn dates(&self) -> impl Iterator<Item = Date> + use<> {
        self.first.series(Span::new().days(1)).take(DAYS)
    }

    /// Returns the mean hours of those who were expected to deliver on a day.
    fn mean(&self, place: usize) -> Option<u32> {
        let hours = self.rows.iter().filter_map(|(_, row)| match row.days.get(place)? {
            DayState::Hours(hours) => Some(*hours),
            DayState::Silent => Some(0),
            _ => None,
        });
        let hours: Vec<u32> = hours.collect();
        let people = u32::try_from(hours.len()).ok().filter(|people| *people > 0)?;
        Some((hours.iter().sum::<u32>() + people / 2) / people)
    }
}

async fn show(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let grid = Grid::load(app, request, visible, ROWS).await?;
    record_study_view(app, visible, "adherence.view").await?;
    let last = grid.first.saturating_add(27.days());
    let action = html! { a.button.quiet href={ "/admin/studies/" (visible.study().id) "/adherence.csv?until=" (last) } { "Download as CSV" } };
    let body = html! {
        div.heading {
            h2 { (grid.first.strftime("%-d %B")) " to " (last.strftime("%-d %B %Y")) }
            nav.actions aria-label="Periods" {
                a.button.quiet rel="prev" href={ "?until=" (grid.first.saturating_sub(1.day())) } { "Earlier" }
                @if last < grid.today { a.button.quiet rel="next" href={ "?until=" (last.saturating_add(28.days()).min(grid.today)) } { "Later" } }
            }
        }
        (render_key())
        @if grid.rows.is_empty() { p.empty { "Nobody takes part in this study yet." } } @else { (render_grid(&grid)) (render_pages(&grid, last)) }
    };
    render_study_page(app, visible, "/adherence", Some(action), body).await
}

fn render_key() -> Markup {
    html! {
        ul.signs aria-label="Signs" {
            li { i.most { "20" } "18 to 24 hours" }
            li { i.many { "14" } "12 to 17" }
            li { i.some { "9" } "6 to 11" }
            li { i.few { "3" } "1 to 5" }
            li { i.zero { "0" } "no data" }
            li { i.silent { "!" } "silent, 2 days or longer" }
            li { i.ended { "×" } "withdrawn" }
            li { i.ended { "✓" } "completed" }
            li { i { "·" } "not expected" }
        }
    }
}

/// Renders the grid. The roles stay where a phone shows it in two rows of 14 days.
fn render_grid(grid: &Grid) -> Markup {
    let share: Share = grid.rows.iter().map(|(_, row)| row.share()).sum();
    html! {
        table.days role="table" {
            thead { tr role="row" {
                th.who scope="col" role="columnheader" { "Participant" }
                @for date in grid.dates() {
                    th scope="col" role="columnheader" { (date.strftime("%a").to_string().get(..1).unwrap_or_default()) br; (date.day()) }
                }
                th.sum scope="col" role="columnheader" { "28 days" }
            } }
            tbody { @for (one, row) in &grid.rows {
                tr role="row" {
                    th.who scope="row" role="rowheader" {
                        a href={ "/admin/patients/" (one.patient) } { (one.number) }
                        @if !one.name.is_empty() { " " span.fine { (one.name) } }
                    }
                    @for day in &row.days { (render_day(*day)) }
                    td.sum role="cell" {
                        @if let Some(per_cent) = row.share().per_cent() { b { (row.share().hours) "\u{a0}h" } " " span.fine { (per_cent) "\u{a0}%" } } @else { "–" }
                    }
                }
            } }
            tfoot { tr role="row" {
                th.who scope="row" role="rowheader" { "Mean hours" }
                @for place in 0..DAYS { td role="cell" { @if let Some(mean) = grid.mean(place) { (mean) } } }
                td.sum role="cell" { @if share.expected > 0 { (count(share.hours.into())) "\u{a0}h" } }
            } }
        }
    }
}

/// Renders a day. There are hundreds on a page, so that each is a few letters.
fn render_day(day: DayState) -> Markup {
    let (class, sign) = match day {
        DayState::NotExpected => return html! { td role="cell" { "·" } },
        DayState::Hours(hours @ 0) => ("zero", hours.to_string()),
        DayState::Hours(hours @ 1..6) => ("few", hours.to_string()),
        DayState::Hours(hours @ 6..12) => ("some", hours.to_string()),
        DayState::Hours(hours @ 12..18) => ("many", hours.to_string()),
        DayState::Hours(hours) => ("most", hours.to_string()),
        DayState::Silent => ("silent", "!".to_owned()),
        DayState::Withdrawn => ("ended", "×".to_owned()),
        DayState::Completed => ("ended", "✓".to_owned()),
    };
    html! { td class=(class) role="cell" { (sign) } }
}

fn render_pages(grid: &Grid, last: Date) -> Markup {
    let share: Share = grid.rows.iter().map(|(_, row)| row.share()).sum();
    let pages = grid.participants.div_ceil(ROWS).max(1);
    html! {
        div.heading {
            p.fine {
                (grid.rows.len()) " of " (grid.participants) " participants"
                @if let Some(per_cent) = share.per_cent() { " · " (count(share.hours.into())) " of " (count(share.expected.into())) " expected hours (" (per_cent) "\u{a0}%)" }
                " · a day runs from midnight to midnight in the participant’s time zone · today is not over"
            }
            @if pages > 1 {
                nav.actions aria-label="Pages" {
                    @if grid.page > 1 { a.button.quiet rel="prev" href={ "?until=" (last) "&page=" (grid.page - 1) } { "Previous" } }
                    span.fine { "Page " (grid.page) " of " (pages) }
                    @if grid.page < pages { a.button.quiet rel="next" href={ "?until=" (last) "&page=" (grid.page + 1) } { "Next" } }
                }
            }
        }
    }
}

/// Answers with the whole grid: a line per participant, a column per day.
async fn download(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let grid = Grid::load(app, request, visible, usize::MAX).await?;
    let (study, who, now) = (visible.study().id, visible.staff().actor(), app.clock.now());
    let detail = AuditDetail::from("study").with(study);
    app.store.write(move |db| audit::record(db, now, who, "adherence.download", None, detail)).await?;
    let dates: Vec<String> = grid.dates().map(|date| date.to_string()).collect();
    let header =
        iter::once("participant").chain(dates.iter().map(String::as_str)).chain(["hours", "expected_hours"]);
    let mut lines = csv_line(header);
    for (one, row) in &grid.rows {
        let days = row.days.iter().map(|day| match day {
            DayState::NotExpected => String::new(),
            DayState::Hours(hours) => hours.to_string(),
            DayState::Silent => "0".to_owned(),
            DayState::Withdrawn => "withdrawn".to_owned(),
            DayState::Completed => "completed".to_owned(),
        });
        let Share { hours, expected } = row.share();
        let sums = [hours.to_string(), expected.to_string()];
        lines.extend(csv_line(iter::once(one.number.clone()).chain(days).chain(sums)));
    }
    let mut answer = with_type("text/csv; charset=utf-8", String::from_utf8_lossy(&lines));
    let name = format!("attachment; filename=\"adherence-{}-{}.csv\"", visible.study().id, grid.first);
    if let Ok(name) = HeaderValue::try_from(name) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(answer)
}
