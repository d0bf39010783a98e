//! The documentation of the repository, rendered as help pages.

use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html as markdown};

use crate::app::state::App;
use crate::web::access::{STAFF, Staff};
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get};
use crate::web::{admin::staff::render_staff_page, request::Request};

/// A file of the documentation. `name` is the last part of its address.
struct Chapter {
    name: &'static str,
    title: &'static str,
    file: &'static str,
    text: &'static str,
}

/// Embeds a file of the repository as a chapter.
macro_rules! chapter {
    ($name:literal, $title:literal, $file:literal) => {
        Chapter {
            name: $name,
            title: $title,
            file: $file,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $file)),
        }
    };
}

const CHAPTERS: &[Chapter] = &[
    chapter!("start", "What it is, settings, troubleshooting", "README.md"),
    chapter!("laptop", "From scratch on a laptop", "docs/laptop.md"),
    chapter!("patients", "Patients and practitioners", "docs/patients.md"),
    chapter!("jhe", "Connected to JHE", "docs/jhe.md"),
    chapter!("data", "Data", "docs/data.md"),
    chapter!("raw-mode", "Raw mode", "docs/raw-mode.md"),
    chapter!("production", "Production", "docs/production.md"),
    chapter!("packaging", "Packaging", "packaging/README.md"),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/help", STAFF, show), get("/admin/help/{chapter}", STAFF, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let name = Some(request.parameter("chapter")).filter(|name| !name.is_empty()).unwrap_or(CHAPTERS[0].name);
    let chapter = CHAPTERS.iter().find(|chapter| chapter.name == name).ok_or_else(Refusal::not_found)?;
    let body = html! {
        nav.chapters aria-label="Chapters" {
            ul {
                @for one in CHAPTERS {
                    li {
                        a href={ "/admin/help/" (one.name) } aria-current=[(one.name == name).then_some("page")] {
                            (one.title)
                        }
                    }
                }
            }
        }
        article.prose { (render(chapter)) }
    };
    Ok(render_staff_page(app, staff, "/admin/help", chapter.title, &body))
}

/// Renders a chapter as HTML. Headings get anchors, and links between files become links between pages.
fn render(chapter: &Chapter) -> Markup {
    let mut events: Vec<Event<'_>> = Parser::new_ext(chapter.text, Options::ENABLE_TABLES).collect();
    for place in 0..events.len() {
        if let Event::Start(Tag::Heading { .. }) = events[place] {
            let slug = slug(&heading_text(&events[place..]));
            if let Event::Start(Tag::Heading { id, .. }) = &mut events[place] {
                *id = Some(CowStr::from(slug));
            }
        }
    }
    let events = events.into_iter().map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => Event::Start(Tag::Link {
            link_type,
            dest_url: resolve_link(chapter, &dest_url).into(),
            title,
            id,
        }),
        event => event,
    });
    let mut page = String::new();
    markdown::push_html(&mut page, events);
    PreEscaped(page)
}

/// Returns the text of the heading that these events begin with.
fn heading_text(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside.fold(String::new(), |mut heading, event| {
        if let Event::Text(text) | Event::Code(text) = event {
            heading.push_str(text);
        }
        heading
    })
}

/// Returns the anchor of a heading. It equals GitHub's anchor, so that the links also work there.
fn slug(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Resolves a link of a chapter to the address of a help page.
fn resolve_link(from: &Chapter, link: &str) -> String {
    if link.starts_with("http") || link.starts_with('#') {
        return link.to_owned();
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let directory = from.file.rsplit_once('/').map_or("", |(directory, _)| directory);
    let path = match file.strip_prefix("../") {
        Some(up) => up.to_owned(),
        None if directory.is_empty() => file.to_owned(),
        None => format!("{directory}/{file}"),
    };
    match CHAPTERS.iter().find(|chapter| chapter.file == path) {
        Some(chapter) if anchor.is_empty() => format!("/admin/help/{}", chapter.name),
        Some(chapter) => format!("/admin/help/{}#{anchor}", chapter.name),
        // The file exists in the repository only; the link stays on the page.
        None => format!("/admin/help/{}", from.name),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_link_between_the_chapters_leads_to_something() {
        for chapter in CHAPTERS {
            let base = Path::new(env!("CARGO_MANIFEST_DIR")).join(chapter.file);
            for event in Parser::new_ext(chapter.text, Options::ENABLE_TABLES) {
                let Event::Start(Tag::Link { dest_url: link, .. }) = event else { continue };
                if link.starts_with("http") {
                    continue;
                }
                let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
                let there = base.parent().unwrap().join(file);
                assert!(file.is_empty() || there.exists(), "{}: {link}", chapter.file);
                if anchor.is_empty() {
                    continue;
                }
                let text =
                    std::fs::read_to_string(if file.is_empty() { base.clone() } else { there }).unwrap();
                let events: Vec<Event<'_>> = Parser::new_ext(&text, Options::ENABLE_TABLES).collect();
                let has = events.iter().enumerate().any(|(place, event)| {
                    matches!(event, Event::Start(Tag::Heading { .. }))
                        && slug(&heading_text(&events[place..])) == anchor
                });
                assert!(has, "{}: there is no {link}", chapter.file);
            }
        }
    }

    #[test]
    fn links_lead_to_the_pages() {
        let jhe = CHAPTERS.iter().find(|chapter| chapter.name == "jhe").unwrap();
        assert_eq!(resolve_link(jhe, "data.md#what-it-costs"), "/admin/help/data#what-it-costs");
        assert_eq!(resolve_link(jhe, "../packaging/README.md"), "/admin/help/packaging");
        assert_eq!(resolve_link(&CHAPTERS[0], "docs/jhe.md"), "/admin/help/jhe");
        assert_eq!(resolve_link(&CHAPTERS[0], "jhe-ow.toml.example"), "/admin/help/start");
        assert_eq!(slug("Preview and compare: `jhe-ow convert`"), "preview-and-compare-jhe-ow-convert");
    }
}
