//! The third step: the links, ten people on a page, as CSV, or as a sheet to print. Only the token of the form finds the
//! links again: the store has their hashes.

use http::{HeaderValue, header};
use maud::html;

use crate::app::people_list::{self, InvitationLink};
use crate::app::state::App;
use crate::common::counted::counted;
use crate::common::time::time_zone_or_utc;
use crate::i18n::texts::Texts;
use crate::model::audit_detail::AuditDetail;
use crate::secrets::token::Token;
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_STUDY, VisibleStudy};
use crate::web::admin::study::frame::render_study_page;
use crate::web::admin::study::invite::frame::{render_steps, require_local};
use crate::web::admin::study::invite::sheet;
use crate::web::layout::{form, local_text, notice};
use crate::web::qr;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, html as html_response, with_type};
use crate::web::route::{Route, post};

/// People on one page: each has a QR code of some kilobytes.
const PEOPLE: usize = 10;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/studies/{study}/invite/links", COORDINATED_STUDY, show),
        post("/admin/studies/{study}/invite/csv", COORDINATED_STUDY, download),
        post("/admin/studies/{study}/invite/sheet", COORDINATED_STUDY, show_sheet),
    ]
}

fn read_batch(request: &Request, visible: &VisibleStudy) -> Result<Token, Refusal> {
    require_local(visible)?;
    let text = "These links cannot be shown again. Make new ones on the page “Invite”.";
    let back = format!("/admin/studies/{}/invite#open", visible.study().id);
    Token::parse(request.form().get("batch")).ok_or_else(|| Refusal::bad(text).link(back, "Invite"))
}

async fn load(app: &App, visible: &VisibleStudy, batch: &Token) -> Result<Vec<InvitationLink>, Refusal> {
    let (study, batch, base, now) =
        (visible.study().id, batch.clone(), app.live.config().public_base(), app.clock.now());
    Ok(app.store.read(move |db| people_list::list_links(db, study, &batch, &base, now)).await?)
}

async fn show(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let batch = read_batch(request, visible)?;
    let page = request.form().number("page").and_then(|page| usize::try_from(page).ok()).unwrap_or(1);
    render(app, visible, &batch, page, "").await
}

/// Renders one page of the links, from 1.
pub(crate) async fn render(
    app: &App,
    visible: &VisibleStudy,
    batch: &Token,
    page: usize,
    done: &str,
) -> HandlerResult {
    let (staff, study) = (visible.staff(), visible.study());
    let links = load(app, visible, batch).await?;
    let (pages, zone) = (links.len().div_ceil(PEOPLE), time_zone_or_utc(&study.terms.time_zone));
    let page = page.clamp(1, pages.max(1));
    let action = |what: &str| format!("/admin/studies/{}/invite/{what}", study.id);
    let button = |what: &str, page: usize, label: &str, class: &str| {
        form(
            &action(what),
            staff.token(),
            &html! {
                input type="hidden" name="batch" value=(batch.expose());
                @if page > 0 { input type="hidden" name="page" value=(page); }
                button class=(class) type="submit" { (label) }
            },
        )
    };
    let config = app.live.config();
    let body = html! {
        h2 { (counted(links.len(), "link")) }
        (render_steps(3))
        (notice(done))
        @if let Some(warning) = config.public_url_warning() { p.warning { "Careful: " (warning) "." } }
        @if let Some(first) = links.first() {
            p {
                "The links work until " (local_text(&zone, first.expires)) ". Whoever opens one acts as its patient. "
                strong { "They are shown this once:" } " download or print them now. “Send again” makes a new link."
            }
            div.actions {
                (button("csv", 0, "Download links as CSV", ""))
                (button("sheet", 0, "Show the sheet to print", "quiet"))
                a.button.quiet href={ "/admin/studies/" (study.id) "/invite" } { "Invite more" }
            }
            ul.people { @for one in links.iter().skip((page - 1) * PEOPLE).take(PEOPLE) { li {
                (qr::render(&one.link, &format!("QR code of the link for {}", one.number)))
                div {
                    h2 { (one.number) " " span.fine { (one.name) ", " (Texts::ENGLISH.language_name(one.language)) } }
                    input.id type="text" readonly value=(one.link) aria-label={ "Link for " (one.number) };
                }
            } } }
            @if pages > 1 {
                nav aria-label="Pages" { div.actions {
                    @if page > 1 { (button("links", page - 1, "Previous 10", "quiet")) }
                    span { "Page " (page) " of " (pages) }
                    @if page < pages { (button("links", page + 1, "Next 10", "quiet")) }
                } }
            }
        } @else {
            p { a.button href={ "/admin/studies/" (study.id) "/invite#open" } { "Back to “Invite”" } }
        }
    };
    render_study_page(app, visible, "/invite", None, body).await
}

/// Records in the audit that links were taken out.
async fn record(app: &App, visible: &VisibleStudy, what: &'static str, links: usize) -> Result<(), Refusal> {
    let (actor, now) = (visible.staff().actor(), app.clock.now());
    let detail = AuditDetail::from(what).with("study").with(visible.study().id).with(links as u64);
    Ok(app.store.write(move |db| audit::record(db, now, actor, "invitation.links", None, detail)).await?)
}

async fn download(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let batch = read_batch(request, visible)?;
    let links = load(app, visible, &batch).await?;
    record(app, visible, "csv", links.len()).await?;
    let csv = String::from_utf8(people_list::render_csv(&links)).unwrap_or_default();
    let mut response = with_type("text/csv; charset=utf-8", csv);
    let name = format!("attachment; filename=\"study-{}-links.csv\"", visible.study().id);
    let name = HeaderValue::try_from(name).map_err(|_| Refusal::not_found())?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

async fn show_sheet(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    let batch = read_batch(request, visible)?;
    let links = load(app, visible, &batch).await?;
    record(app, visible, "sheet", links.len()).await?;
    let head = html! { link rel="stylesheet" href="/style.css"; };
    Ok(html_response(sheet::render(&visible.study().terms, &links, &head)))
}
