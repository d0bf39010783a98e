//! The parts that pages share: the frame, forms with their errors, times and numbers as people read them.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, Render, html};

use crate::common::{time::Timestamp, visible::VisibleLine};
use crate::i18n::{language::Language, texts::Texts};
use crate::model::account::Role;
use crate::secrets::token::Token;
use crate::store::people::account::Account;
use crate::web::{reader::Reader, request_id};

/// The name of the program, where no institution is configured.
pub(crate) const PRODUCT: &str = "jhe-ow";

/// The frame of a page, by its reader.
pub(crate) enum PageFrame<'a> {
    /// For visitors and patients. The browser goes on to `leads_to` at once.
    Plain { reader: &'a Reader, simulated: bool, leads_to: Option<&'a str> },
    /// For accounts; the sign-out form carries the session's token.
    Staff {
        account: &'a Account,
        token: &'a Token,
        here: &'a str,
        /// The institution that runs the service.
        institution: &'a str,
        simulated: bool,
    },
}

impl<'a> PageFrame<'a> {
    pub(crate) fn plain(reader: &'a Reader, simulated: bool) -> Self {
        Self::Plain { reader, simulated, leads_to: None }
    }
}

pub(crate) fn render_page(title: &str, shell: &PageFrame<'_>, body: &Markup) -> Markup {
    let (simulated, refresh, texts) = match shell {
        PageFrame::Plain { simulated, leads_to, reader } => {
            (*simulated, leads_to.map(|target| format!("0; url={target}")), reader.texts)
        }
        PageFrame::Staff { simulated, .. } => (*simulated, None, Texts::ENGLISH),
    };
    let institution = match shell {
        PageFrame::Staff { institution, .. } => (*institution).to_owned(),
        PageFrame::Plain { reader, .. } => reader.institution().unwrap_or_else(|| PRODUCT.to_owned()),
    };
    html! {
        (DOCTYPE)
        html lang=(texts.language()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(refresh) = refresh { meta http-equiv="refresh" content=(refresh); }
                title { (title) " · " (institution) }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
            }
            body .staff[matches!(shell, PageFrame::Staff { .. })] {
                a.skip href="#main" { (texts.get("skip")) }
                @if let PageFrame::Staff { account, token, here, institution, .. } = shell {
                    (render_header(account, token, here, institution, account.is_set_up() || simulated))
                }
                @if let PageFrame::Plain { reader, .. } = shell { (render_plain_header(reader, &institution)) }
                @if simulated {
                    aside.simulated aria-label=(texts.get("note")) { (texts.get("simulated")) }
                }
                main #main tabindex="-1" { (body) }
                @match shell {
                    PageFrame::Staff { .. } => footer {
                        (PRODUCT) " " (env!("CARGO_PKG_VERSION")) " · " a href="/admin/help" { "Help" }
                    },
                    PageFrame::Plain { reader, .. } => (render_contacts(reader)),
                }
            }
        }
    }
}

/// Renders the institution, and the links to the same page in the other languages. Staff pages have one language.
fn render_plain_header(reader: &Reader, institution: &str) -> Markup {
    let is_for_staff = reader.here.starts_with("/admin");
    html! {
        header.top.plain { div {
            span.brand { img src="/icon.svg" alt=""; (institution) }
            @if !is_for_staff {
                nav.lang aria-label=(reader.get("language")) {
                    @for language in Language::all() {
                        @let name = Texts::of(language).get("language-name");
                        @if language == reader.texts.language() {
                            span lang=(language) aria-current="true" { (name) }
                        } @else {
                            a lang=(language) hreflang=(language) href=(reader.here_in(language)) { (name) }
                        }
                    }
                }
            }
        } }
    }
}

/// Renders whom patients may ask.
fn render_contacts(reader: &Reader) -> Markup {
    html! {
        @if !reader.institutions.is_empty() {
            footer.contact {
                @for one in &reader.institutions {
                    p { (reader.get_with("questions-to", &[("contact", one.contact.trim_end_matches('.'))])) }
                }
            }
        }
    }
}

/// The pages of the header, with the role that each takes.
const SECTIONS: &[(&str, &str, Role)] = &[
    ("/admin", "Home", Role::Viewer),
    ("/admin/studies", "Studies", Role::Viewer),
    ("/admin/patients", "Patients", Role::Viewer),
    ("/admin/system", "System", Role::Operator),
];
/// The pages of the menu below the name of the account.
const MENU: &[(&str, &str, Role)] = &[
    ("/admin/account", "Your sign-in", Role::Viewer),
    ("/admin/rejected", "Rejected samples", Role::Coordinator),
    ("/admin/audit", "Audit", Role::Coordinator),
    ("/admin/settings", "Settings", Role::Operator),
    ("/admin/accounts", "Accounts", Role::Operator),
    ("/admin/help", "Help", Role::Viewer),
];

fn render_header(account: &Account, token: &Token, here: &str, institution: &str, is_open: bool) -> Markup {
    let allowed = |pages: &'static [(&str, &str, Role)]| pages.iter().filter(|page| account.role >= page.2);
    let current = |href: &str| (here == href).then_some("page");
    html! {
        header.top {
            div {
                a.brand href="/admin" { img src="/icon.svg" alt=""; (institution) }
                nav aria-label="Pages" {
                    @if is_open {
                        ul { @for (href, name, _) in allowed(SECTIONS) {
                            li { a href=(href) aria-current=[current(href)] { (name) } }
                        } }
                    }
                }
                details.menu {
                    summary { (account.name) " (" (account.role) @if account.is_of_jhe() { ", through JHE" } ")" }
                    div {
                        @if is_open {
                            @for (href, name, _) in allowed(MENU) {
                                a href=(href) aria-current=[current(href)] { (name) }
                            }
                        }
                        // An account that came by a one-time link and has no password could not sign in again.
                        @if account.has_password || account.is_of_jhe() {
                            (form("/admin/sign-out", token, &html! { button.quiet type="submit" { "Sign out" } }))
                        }
                    }
                }
            }
        }
    }
}

/// Shows the request id on a server error, for people to quote; it leads to the lines of the log.
pub(crate) fn reference(texts: Texts, status: StatusCode) -> Markup {
    let id = request_id::current().filter(|_| status.is_server_error());
    html! { @if let Some(id) = id { p.fine { (texts.get("error-reference")) " " code { (id) } } } }
}

/// A form with the token of the browser that it is shown in.
pub(crate) fn form(action: &str, token: &Token, inside: &Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name=(FORM_TOKEN) value=(token.csrf_token());
            (inside)
        }
    }
}

/// The errors of a form, by the names of its fields.
#[derive(Debug, Default)]
pub(crate) struct FormErrors(Vec<(Cow<'static, str>, String)>);

impl FormErrors {
    pub(crate) fn add(&mut self, field: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.0.push((field.into(), text.into()));
    }

    /// Returns the value, or adds its error to the field.
    pub(crate) fn take<T>(&mut self, field: &'static str, value: Result<T, String>) -> Option<T> {
        value.map_err(|text| self.add(field, text)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Builds a field that browsers do not fill in.
    pub(crate) fn field<'a>(
        &'a self,
        name: &'static str,
        label: &'a str,
        help: &'a str,
        value: &'a str,
        kind: &'static str,
    ) -> FormField<'a> {
        FormField { name, label, help, value, kind, autocomplete: "off", errors: self }
    }

    /// Renders a list to choose from, with its label and its error.
    pub(crate) fn select(&self, name: &str, label: &str, help: &str, options: &Markup) -> Markup {
        self.labelled((name, label, help), false, |described, invalid| {
            html! {
                select id=(name) name=(name) aria-describedby=[described] aria-invalid=[invalid] { (options) }
            }
        })
    }

    /// Renders a control below its label, its help and its error. The control refers to the two by
    /// `aria-describedby`.
    fn labelled(
        &self,
        (name, label, help): (&str, &str, &str),
        is_required: bool,
        control: impl FnOnce(Option<String>, Option<&'static str>) -> Markup,
    ) -> Markup {
        let error = self.of(name);
        let (help_id, error_id) = (format!("{name}-help"), format!("{name}-error"));
        let described = match (help.is_empty(), error) {
            (true, None) => None,
            (false, None) => Some(help_id.clone()),
            (true, Some(_)) => Some(error_id.clone()),
            (false, Some(_)) => Some(format!("{error_id} {help_id}")),
        };
        html! {
            div.field {
                label for=(name) { (label) @if is_required { span.fine { " (required)" } } }
                @if !help.is_empty() { p.help id=(help_id) { (help) } }
                @if let Some(error) = error { p.error id=(error_id) { (error) } }
                (control(described, error.map(|_| "true")))
            }
        }
    }

    fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    /// Renders all errors, each with a link to its field.
    pub(crate) fn summary(&self) -> Markup {
        html! {
            @if !self.0.is_empty() {
                div.problem role="alert" tabindex="-1" autofocus {
                    h2 { "Please correct this" }
                    ul { @for (field, text) in &self.0 { li { a href={ "#" (field) } { (text) } } } }
                }
            }
        }
    }
}

pub(crate) struct FormField<'a> {
    pub(crate) name: &'a str,
    pub(crate) label: &'a str,
    pub(crate) help: &'a str,
    pub(crate) value: &'a str,
    /// `text`, `email`, `password`, `number`, or `textarea`.
    pub(crate) kind: &'static str,
    pub(crate) autocomplete: &'static str,
    pub(crate) errors: &'a FormErrors,
}

impl FormField<'_> {
    /// Renders a field that must not be empty, in English.
    pub(crate) fn required(&self) -> Markup {
        self.render_field(true)
    }

    fn render_field(&self, is_required: bool) -> Markup {
        let (kind, required) = (self.kind, is_required.then_some("true"));
        self.errors.labelled((self.name, self.label, self.help), is_required, |described, invalid| {
            html! {
                @if kind == "textarea" {
                    textarea id=(self.name) name=(self.name) rows="4" aria-describedby=[described]
                        aria-invalid=[invalid] aria-required=[required] { (self.value) }
                } @else {
                    input id=(self.name) name=(self.name) type=(kind) value=(self.value)
                        autocomplete=(self.autocomplete) aria-describedby=[described] aria-invalid=[invalid]
                        aria-required=[required];
                }
            }
        })
    }
}

impl Render for FormField<'_> {
    fn render(&self) -> Markup {
        self.render_field(false)
    }
}

pub(crate) fn checkbox(id: &str, name: &str, value: &str, checked: bool, label: &Markup) -> Markup {
    html! {
        div.choice {
            input type="checkbox" id=(id) name=(name) value=(value) checked[checked];
            label for=(id) { (label) }
        }
    }
}

/// A text to copy in a field of its own, so that "select all" takes exactly this text.
pub(crate) fn to_copy(id: &str, label: &str, text: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            textarea.id id=(id) rows="3" readonly { (text) }
        }
    }
}

pub(crate) fn group_error(errors: &FormErrors, name: &str) -> Markup {
    html! { @if let Some(error) = errors.of(name) { p.error id={ (name) "-error" } { (error) } } }
}

/// Renders the age of a time, with the time itself as its title.
pub(crate) fn ago(now: Timestamp, at: Option<Timestamp>) -> Markup {
    let Some(at) = at else { return html! { "never" } };
    let text = if at > now {
        format!("in {}", length(at.since(now)))
    } else {
        format!("{} ago", length(now.since(at)))
    };
    html! { time datetime=(at) title=(at) { (text) } }
}

/// Formats a duration in its largest unit.
pub(crate) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}\u{a0}s"),
        60..3600 => format!("{}\u{a0}min", seconds / 60),
        3600..172_800 => format!("{}\u{a0}h", seconds / 3600),
        _ => format!("{}\u{a0}days", seconds / 86_400),
    }
}

/// Renders a time in a time zone: `21 Nov 2026, 13:05 CET`.
pub(crate) fn local(zone: &TimeZone, at: Timestamp) -> Markup {
    html! { time datetime=(at) { (local_text(zone, at)) } }
}

pub(crate) fn local_text(zone: &TimeZone, at: Timestamp) -> String {
    format_local(zone, at, "%-d %b %Y, %H:%M %Z")
}

/// Formats a time in a time zone by a `strftime` format.
pub(crate) fn format_local(zone: &TimeZone, at: Timestamp, format: &str) -> String {
    match jiff::Timestamp::from_microsecond(at.micros()) {
        Ok(instant) => instant.to_zoned_datetime(zone.clone()).strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}

/// Renders a text of OW, a provider or JHE. What would change the text around it is shown as an escape.
pub(crate) fn foreign(text: impl std::fmt::Display) -> String {
    VisibleLine(text).to_string()
}

/// Renders a number with thin spaces between the thousands.
pub(crate) fn count(number: i64) -> Markup {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    let sign = if number < 0 { "\u{2212}" } else { "" };
    html! { (sign) (text) }
}

/// A word for a state, with a mark besides its colour.
pub(crate) fn badge(kind: &str, word: &str) -> Markup {
    let mark = match kind {
        "good" => "●",
        "bad" => "▲",
        _ => "○",
    };
    html! { span class={ "badge " (kind) } { span aria-hidden="true" { (mark) " " } (word) } }
}

/// A part of a page that is rarely needed; its state shows while it is closed.
pub(crate) fn fold(id: &str, title: &str, state: &str, is_open: bool, inside: &Markup) -> Markup {
    html! {
        details.fold #(id) open[is_open] {
            summary { (title) " " small { (state) } }
            div { (inside) }
        }
    }
}

pub(crate) enum Column<'a> {
    Text(&'a str),
    /// Aligned to the right.
    Number(&'a str),
}

pub(crate) fn table_head(columns: &[Column<'_>]) -> Markup {
    html! {
        thead { tr { @for column in columns { @match column {
            Column::Text(title) => th scope="col" { (title) },
            Column::Number(title) => th.number scope="col" { (title) },
        } } } }
    }
}

/// The link to the older part of a list.
pub(crate) fn older(href: Option<String>) -> Markup {
    html! { @if let Some(href) = href { nav aria-label="More" { p { a.button href=(href) { "Older" } } } } }
}

/// The notice of success after a form.
pub(crate) fn notice(text: &str) -> Markup {
    html! { @if !text.is_empty() { p.notice role="status" { (text) } } }
}

/// The hidden field with the form's token.
pub(crate) const FORM_TOKEN: &str = "form_token";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!(count(1_234_567).into_string(), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12).into_string(), "12");
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let noon = Timestamp::parse("2026-11-21T12:05:00Z").unwrap();
        assert_eq!(local_text(&berlin, noon), "21 Nov 2026, 13:05 CET");
        assert_eq!(length(Duration::from_secs(7300)), "2\u{a0}h");
    }

    #[test]
    fn an_error_shows_beside_its_field_and_in_the_summary() {
        let mut errors = FormErrors::default();
        errors.add("name", "give a name");
        let field = FormField {
            name: "name",
            label: "Name",
            help: "",
            value: "<b>",
            kind: "text",
            autocomplete: "off",
            errors: &errors,
        };
        let page = field.render().into_string();
        assert!(page.contains("aria-invalid=\"true\"") && page.contains("&lt;b&gt;"), "{page}");
        assert!(page.contains("aria-describedby=\"name-error\""), "{page}");
        assert!(errors.summary().into_string().contains("href=\"#name\""));
    }
}
