//! The first two steps: the list of people, and its check. Below the list, those who have not answered.

use std::sync::Arc;

use http::{Method, StatusCode};
use maud::{Markup, html};

use crate::app::people_list::{self, CheckedLine, Invited, MAX_BYTES, MAX_LINES};
use crate::app::state::App;
use crate::common::counted::counted;
use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::i18n::language::Language;
use crate::i18n::texts::Texts;
use crate::model::mail::{MailKind, MailState};
use crate::secrets::token::Token;
use crate::store::people::mail::{self, InvitedParticipant};
use crate::store::people::study_text;
use crate::web::access::{COORDINATED_STUDY, VisibleStudy};
use crate::web::admin::staff::{PAGE, invitations_of, record_view, split_page};
use crate::web::admin::study::frame::render_study_page;
use crate::web::admin::study::invite::frame::{render_steps, require_local};
use crate::web::admin::study::invite::links;
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{FORM_TOKEN, FormErrors, badge, form, local_text, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, with_status};
use crate::web::route::{Route, get, route};

pub(crate) fn routes() -> Vec<Route> {
    // A list in a form takes up to three bytes for each of its own.
    let largest = 3 * MAX_BYTES + 64 * 1024;
    vec![
        get("/admin/studies/{study}/invite", COORDINATED_STUDY, show),
        route(Method::POST, "/admin/studies/{study}/invite", COORDINATED_STUDY, largest, Arc::new(check)),
        route(Method::POST, "/admin/studies/{study}/invite/make", COORDINATED_STUDY, largest, Arc::new(make)),
    ]
}

async fn show(app: &App, _: &Request, visible: &VisibleStudy) -> HandlerResult {
    require_local(visible)?;
    let id = visible.study().id;
    let language = app.store.read(move |db| study_text::find_own_language(db, id)).await?;
    let list = ListForm { text: String::new(), language };
    list.render(app, visible, &FormErrors::default()).await
}

/// The list as it was given.
struct ListForm {
    text: String,
    /// Of lines without one.
    language: Language,
}

impl ListForm {
    /// Takes the file, or else the typed lines.
    fn parse(request: &Request) -> Self {
        let fields = request.form();
        let file = fields.secret("file");
        let text = if file.trim().is_empty() { fields.secret("people") } else { file };
        let language = Language::find_or_english(fields.get("language"));
        Self { text: text.to_owned(), language }
    }

    async fn check(&self, app: &App, visible: &VisibleStudy) -> Result<Vec<CheckedLine>, Refusal> {
        let lines = people_list::parse(&self.text).map_err(Refusal::bad)?;
        let (study, viewer, language) = (visible.study().id, visible.staff().visible_to(), self.language);
        Ok(app.store.read(move |db| people_list::check(db, study, viewer, lines, language)).await?)
    }

    async fn render(&self, app: &App, visible: &VisibleStudy, errors: &FormErrors) -> HandlerResult {
        let (staff, id, now) = (visible.staff(), visible.study().id, app.clock.now());
        let invited = app.store.read(move |db| mail::list_invited(db, id, now, PAGE + 1)).await?;
        let (invited, more) = split_page(invited);
        record_view(app, staff, "patients.view", None).await?;
        let help = format!(
            "Study number, name, e-mail, time zone, language. Only the study number is required. Cells copied from a \
             spreadsheet work too. At most {MAX_LINES} lines."
        );
        let body = html! {
            (errors.summary())
            h2 { "Invite participants" }
            (render_steps(1))
            // A form with a file has another encoding than the others.
            form method="post" action={ "/admin/studies/" (id) "/invite" } enctype="multipart/form-data" {
                input type="hidden" name=(FORM_TOKEN) value=(staff.token().csrf_token());
                (self.render_fields(errors, "People, one on each line", &help))
                div.field {
                    label for="file" { "Or a CSV file" }
                    p.help id="file-help" { "With or without a line of headings." }
                    input id="file" name="file" type="file" accept=".csv,.tsv,.txt,text/csv" aria-describedby="file-help";
                }
                (render_language(self.language))
                div.actions { button type="submit" { "Check the list" } span.fine { "Nothing is sent yet." } }
            }
            p { a href={ "/admin/studies/" (id) "/mails" } { "Texts of the mails, and reminders" } }
            (render_invited(app, visible, &invited, more))
        };
        let page = render_study_page(app, visible, "/invite", None, body).await?;
        Ok(if errors.is_empty() { page } else { with_status(StatusCode::BAD_REQUEST, page) })
    }

    fn render_fields(&self, errors: &FormErrors, label: &str, help: &str) -> Markup {
        let field = errors.field("people", label, help, &self.text, "textarea");
        html! { div.people-list { (field) } }
    }
}

fn render_language(chosen: Language) -> Markup {
    FormErrors::default().select(
        "language",
        "Language, if none is given",
        "",
        &html! { @for one in Language::all() { option value=(one) selected[one == chosen] { (Texts::ENGLISH.language_name(one)) } } },
    )
}

fn render_invited(app: &App, visible: &VisibleStudy, invited: &[InvitedParticipant], more: bool) -> Markup {
    let zone = time_zone_or_utc(&visible.study().terms.time_zone);
    let until = |at: Timestamp| local_text(&zone, at);
    html! { section #open {
        h2 { "Not answered yet" }
        @if invited.is_empty() { p.empty { "Everybody who was invited has answered." } } @else {
            table {
                (table_head(&[Text("Study number"), Text("Name"), Text("Delivery"), Text("Link"), Text("")]))
                tbody { @for one in invited { tr {
                    th scope="row" data-label="Study number" { a href={ "/admin/patients/" (one.patient) } { (one.number) } }
                    td data-label="Name" { (one.name) }
                    td data-label="Delivery" {
                        (render_mail_state(one.mail))
                        @if let Some(error) = &one.mail_error { p.fine { (error) } }
                    }
                    td data-label="Link" { @match one.link_expires {
                        Some(at) => { "works until " (until(at)) }
                        None => "none",
                    } }
                    td data-label="" { (render_action(app, visible, one)) }
                } } }
            }
            @if more { p.fine { "These are the first " (PAGE) ". The page of each patient shows the rest." } }
        }
    } }
}

/// Renders the state of a mail; paper where there is none.
pub(crate) fn render_mail_state(state: Option<MailState>) -> Markup {
    match state {
        None => badge("idle", "no mail"),
        Some(MailState::Waiting) => badge("idle", "mail waits"),
        Some(MailState::Sent) => badge("good", "mailed"),
        Some(MailState::Refused) => badge("bad", "mail refused"),
        Some(MailState::Cancelled) => badge("idle", "mail cancelled"),
    }
}

fn render_action(app: &App, visible: &VisibleStudy, one: &InvitedParticipant) -> Markup {
    let (page, staff) = (format!("/admin/patients/{}", one.patient), visible.staff());
    let number = html! { span.hidden { ", " (one.number) } };
    html! {
        @if one.mail == Some(MailState::Refused) {
            a.button.quiet href={ (page) "/edit" } { "Correct the address" (number) }
        } @else if one.email.is_some() && one.mail != Some(MailState::Waiting) && app.live.config().alerts.mail.is_some() {
            (form(&format!("{page}/mails"), staff.token(), &html! {
                input type="hidden" name="kind" value=(MailKind::Invitation.as_str());
                input type="hidden" name="study" value=(visible.study().id);
                button.quiet type="submit" { @if one.mail.is_some() { "Send again" } @else { "Send by mail" } (number) }
            }))
        } @else {
            a.button.quiet href=(invitations_of(one.patient)) { "Make a new link" (number) }
        }
    }
}

async fn check(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    require_local(visible)?;
    let list = ListForm::parse(request);
    let checked = match list.check(app, visible).await {
        Ok(checked) => checked,
        Err(refusal) => {
            let mut errors = FormErrors::default();
            errors.add("people", format!("People: {}", refusal.text.render(Texts::ENGLISH)));
            return list.render(app, visible, &errors).await;
        }
    };
    render_preview(app, visible, &list, &checked, Token::generate()?.expose()).await
}

async fn render_preview(
    app: &App,
    visible: &VisibleStudy,
    list: &ListForm,
    checked: &[CheckedLine],
    batch: &str,
) -> HandlerResult {
    let (staff, study) = (visible.staff(), visible.study());
    let ready: Vec<&CheckedLine> = checked.iter().filter(|line| line.person.is_some()).collect();
    let bad: Vec<&CheckedLine> = checked.iter().filter(|line| line.person.is_none()).collect();
    let with_mail = ready.iter().filter(|line| !line.given.cells[2].is_empty()).count();
    let can_mail = app.live.config().alerts.mail.is_some() && with_mail > 0;
    let (action, make) =
        (format!("/admin/studies/{}/invite", study.id), format!("/admin/studies/{}/invite/make", study.id));
    let body = html! {
        h2 { (ready.len()) " of " (checked.len()) " lines are ready" }
        (render_steps(2))
        @if !bad.is_empty() {
            p.warning { (counted(bad.len(), "line")) " cannot be used. Correct them below, or go on without them. Nothing has been sent or saved." }
        }
        (render_lines(checked))
        @if !ready.is_empty() {
            (form(&make, staff.token(), &html! {
                input type="hidden" name="batch" value=(batch);
                input type="hidden" name="people" value=(list.text);
                input type="hidden" name="language" value=(list.language);
                (render_how(can_mail, with_mail, ready.len()))
                div.actions {
                    button type="submit" { "Make " (counted(ready.len(), "invitation")) }
                    a href=(action) { "Cancel" }
                }
            }))
        }
        @if !bad.is_empty() {
            section {
                h2 { "Correct the lines" }
                (form(&action, staff.token(), &html! {
                    @let help = "Suggested time zones are filled in. Lines that are ready are not in here: make their invitations first, or \
                                 check the whole list again.";
                    @let rest = ListForm { text: people_list::render(bad.iter().copied()), language: list.language };
                    (rest.render_fields(&FormErrors::default(), "Lines that cannot be used", help))
                    input type="hidden" name="language" value=(list.language);
                    button.quiet type="submit" { "Check these lines" }
                }))
            }
        }
    };
    render_study_page(app, visible, "/invite", None, body).await
}

fn render_how(can_mail: bool, with_mail: usize, ready: usize) -> Markup {
    let people = |count: usize| if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
    html! {
        @if can_mail {
            fieldset {
                legend { "How do people get their link?" }
                div.choice {
                    input type="radio" name="how" id="how-mail" value="mail" checked;
                    label for="how-mail" {
                        "By mail, " (people(with_mail))
                        span.covers {
                            "With the study’s text. Each mail carries a link of its own."
                            @if with_mail < ready { " You get the links of the others." }
                        }
                    }
                }
                div.choice {
                    input type="radio" name="how" id="how-hand" value="hand";
                    label for="how-hand" { "I hand them out myself" span.covers { "As a CSV file, or as a printed sheet with QR codes." } }
                }
            }
        } @else {
            p { "You get the links as a CSV file and as a sheet with QR codes. To send them by mail, a line needs an e-mail address, and \
                 the service a mail server." }
        }
    }
}

fn render_lines(checked: &[CheckedLine]) -> Markup {
    html! {
        table {
            (table_head(&[Number("Line"), Text("Study number"), Text("Name"), Text("E-mail"), Text("Time zone"), Text("Language"),
                          Text("Check")]))
            tbody { @for line in checked {
                @let [number, name, email, zone, language] = &line.given.cells;
                tr {
                    td.number data-label="Line" { (line.given.line) }
                    th scope="row" data-label="Study number" { (number) }
                    td data-label="Name" { (name) }
                    td data-label="E-mail" { (email) }
                    td data-label="Time zone" { @if zone.is_empty() { span.idle { "the study’s" } } @else { (zone) } }
                    td data-label="Language" {
                        (line.person.as_ref().map_or_else(|| language.clone(), |person| Texts::ENGLISH.language_name(person.language)))
                    }
                    td data-label="Check" {
                        @if line.person.is_none() { (badge("bad", "not ready")) } @else { (badge("good", "ready")) }
                        @for error in &line.errors { p.error { (error) } }
                        @for note in &line.notes { p.fine { (note) } }
                    }
                }
            } }
        }
    }
}

/// Adds and invites those on lines without an error. The same form again adds nobody and shows the same links.
async fn make(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    require_local(visible)?;
    let list = ListForm::parse(request);
    let back = format!("/admin/studies/{}/invite", visible.study().id);
    let batch = Token::parse(request.form().get("batch"))
        .ok_or_else(|| Refusal::bad("The form is incomplete: check the list again.").link(back, "Invite"))?;
    let lines = people_list::parse(&list.text).map_err(Refusal::bad)?;
    let by_mail = request.form().get("how") == "mail" && app.live.config().alerts.mail.is_some();
    let (study, viewer, language) = (visible.study().id, visible.staff().visible_to(), list.language);
    let (actor, now, token) = (visible.staff().actor(), app.clock.now(), batch.clone());
    let write = move |db: &rusqlite::Connection| {
        // Checked once more: others may have added people since the preview.
        let checked = people_list::check(db, study, viewer, lines, language)?;
        people_list::invite_all(db, study, checked, &token, by_mail, actor, now)
    };
    let Invited { added, mailed } = app.store.write(write).await?;
    let done = match (added, mailed) {
        (0, _) => "Nobody was added: these people are participants already.".to_owned(),
        (_, 0) => format!("{} added.", counted(added, "participant")),
        _ => format!(
            "{} added. {} on the way; the page “Invite” shows what becomes of them.",
            counted(added, "participant"),
            counted(mailed, "mail"),
        ),
    };
    links::render(app, visible, &batch, 1, &done).await
}
