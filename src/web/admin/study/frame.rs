//! The frame of a study's pages: the name, the figures below it, and the tabs.

use maud::{Markup, html};

use crate::app::state::App;
use crate::model::account::Role;
use crate::store::people::study;
use crate::web::access::VisibleStudy;
use crate::web::admin::staff::render_staff_page;
use crate::web::layout::count;
use crate::web::response::HandlerResult;

/// The tabs: the end of the address, the name, and the role that it takes.
const TABS: &[(&str, &str, Role)] = &[
    ("", "Participants", Role::Viewer),
    ("/adherence", "Adherence", Role::Viewer),
    ("/invite", "Invite", Role::Coordinator),
    ("/data", "Data", Role::DataManager),
    ("/consent-text", "Consent text", Role::Viewer),
    ("/settings", "Settings", Role::Viewer),
];

/// Renders a page of a study. `tab` is the end of its address.
pub(crate) async fn render_study_page(
    app: &App,
    visible: &VisibleStudy,
    tab: &str,
    action: Option<Markup>,
    body: Markup,
) -> HandlerResult {
    let (staff, one) = (visible.staff(), visible.study());
    let (id, visible_to) = (one.id, staff.visible_to());
    let participants = app.store.read(move |db| study::count_enrolled(db, visible_to, id)).await?;
    let name = TABS.iter().find(|(end, ..)| *end == tab).map_or("", |(_, name, _)| name);
    let page = html! {
        p.crumb { a href="/admin/studies" { "Studies" } }
        div.heading {
            div {
                h1 { (one.terms.name) }
                p.fine { (count(participants)) " participants · " (one.terms.organization) }
            }
            @if let Some(action) = action { div.actions { (action) } }
        }
        nav.tabs aria-label="Study" {
            ul { @for (end, name, role) in TABS { @if visible.may(*role) {
                li { a href={ "/admin/studies/" (id) (end) } aria-current=[(*end == tab).then_some("page")] { (name) } }
            } } }
        }
        (body)
    };
    Ok(render_staff_page(app, staff, "/admin/studies", &format!("{name}, {}", one.terms.name), &page))
}
