//! The mails of a study: the texts by language, and when silent patients are reminded.

use http::StatusCode;
use maud::{Markup, html};

use crate::app::state::App;
use crate::i18n::{language::Language, texts::Texts};
use crate::mail::texts::default_text;
use crate::model::audit_detail::AuditDetail;
use crate::model::mail::{MailKind, MailText};
use crate::store::error::StoreError;
use crate::store::people::mail_text;
use crate::store::people::reminder::{self, ReminderRule};
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_STUDY, VisibleStudy};
use crate::web::admin::study::frame::render_study_page;
use crate::web::admin::study::invite::frame::require_local;
use crate::web::layout::{FormErrors, FormField, form, notice};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

/// The longest rule, in days.
const MAX_DAYS: u32 = 90;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/studies/{study}/mails", COORDINATED_STUDY, show),
        post("/admin/studies/{study}/mails", COORDINATED_STUDY, save_text),
        post("/admin/studies/{study}/reminders", COORDINATED_STUDY, save_rule),
    ]
}

/// A text as a form has sent it, with its errors.
struct SentText {
    kind: MailKind,
    language: Language,
    text: MailText,
    errors: FormErrors,
}

async fn show(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    require_local(visible)?;
    let done = if request.query.get("done") == "saved" { "Saved." } else { "" };
    render(app, visible, None, &FormErrors::default(), done).await
}

async fn render(
    app: &App,
    visible: &VisibleStudy,
    sent: Option<&SentText>,
    rule_errors: &FormErrors,
    done: &str,
) -> HandlerResult {
    let id = visible.study().id;
    let load = move |db: &_| {
        let mut texts = Vec::new();
        for &kind in MailKind::ALL {
            for language in Language::all() {
                texts.push((kind, language, mail_text::find(db, id, kind, language)?));
            }
        }
        Ok((texts, reminder::find_rule(db, id)?))
    };
    let (texts, rule) = app.store.read(load).await?;
    let has_server = app.live.config().alerts.mail.is_some();
    let body = html! {
        (notice(done))
        @if !has_server {
            p.warning { "No mail server is configured, so no mail is sent: an operator sets " code { "alerts.smtp_url" } " and "
                        code { "alerts.mail_from" } "." }
        }
        @if let Some(sent) = sent { (sent.errors.summary()) }
        (rule_errors.summary())
        section #reminders { h2 { "Reminders" } (render_rule(visible, rule, rule_errors)) }
        section #texts {
            h2 { "Texts" }
            p.help { "Mails pass through other hands: they name no measurement. A reminder ends with a link that stops reminders." }
            @for (kind, language, own) in &texts {
                @let mine = sent.filter(|sent| sent.kind == *kind && sent.language == *language);
                (render_text(visible, *kind, *language, own.as_ref(), mine))
            }
        }
        p { a href={ "/admin/studies/" (id) "/invite" } { "Invite participants" } }
    };
    let page = render_study_page(app, visible, "/invite", None, body).await?;
    let is_wrong = sent.is_some() || !rule_errors.is_empty();
    Ok(if is_wrong { with_status(StatusCode::BAD_REQUEST, page) } else { page })
}

fn render_rule(visible: &VisibleStudy, rule: Option<ReminderRule>, errors: &FormErrors) -> Markup {
    let days = |days: Option<u32>| days.map(|days| days.to_string()).unwrap_or_default();
    let (after, every) = (days(rule.map(|rule| rule.after)), days(rule.map(|rule| rule.every)));
    html! {
        p.help { "A mail asks a silent patient to look after the device. It goes only to patients who ticked that they want reminders, \
                  and ends with a withdrawal." }
        (form(&format!("/admin/studies/{}/reminders", visible.study().id), visible.staff().token(), &html! {
            (errors.field("after", "Days of silence before the first reminder", "Leave it empty to remind nobody.", &after, "number"))
            (errors.field("every", "Days between two reminders", "", if every.is_empty() { "7" } else { &every }, "number"))
            button type="submit" { "Save" }
        }))
    }
}

fn render_text(
    visible: &VisibleStudy,
    kind: MailKind,
    language: Language,
    own: Option<&MailText>,
    sent: Option<&SentText>,
) -> Markup {
    let title = match kind {
        MailKind::Invitation => "Invitation",
        MailKind::Reminder => "Reminder",
    };
    let text = match (sent, own) {
        (Some(sent), _) => sent.text.clone(),
        (None, Some(own)) => own.clone(),
        (None, None) => default_text(kind, language),
    };
    let none = FormErrors::default();
    let errors = sent.map_or(&none, |sent| &sent.errors);
    let listed: Vec<String> = kind.placeholders().iter().map(|name| format!("{{{name}}}")).collect();
    let [subject, body] = ["subject", "body"].map(|part| field_name(part, kind, language));
    html! {
        details open[sent.is_some()] {
            summary { (title) ", " (Texts::ENGLISH.language_name(language)) ": " @if own.is_some() { "the study’s text" } @else { "the standard text" } }
            (form(&format!("/admin/studies/{}/mails", visible.study().id), visible.staff().token(), &html! {
                input type="hidden" name="kind" value=(kind.as_str());
                input type="hidden" name="language" value=(language);
                (FormField { name: &subject, label: "Subject", help: "", value: &text.subject, kind: "text", autocomplete: "off", errors })
                (FormField { name: &body, label: "Text", help: &format!("You can use {}.", listed.join(", ")), value: &text.body,
                             kind: "textarea", autocomplete: "off", errors })
                div.actions {
                    button type="submit" { "Save" }
                    @if own.is_some() { button.quiet type="submit" name="standard" value="1" { "Use the standard text" } }
                }
            }))
        }
    }
}

async fn save_text(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    require_local(visible)?;
    let fields = request.form();
    let kind: MailKind = fields.get("kind").parse().map_err(Refusal::bad)?;
    let language =
        Language::find(fields.get("language")).ok_or_else(|| Refusal::bad("There is no such language."))?;
    let value = |part: &str| fields.get(&field_name(part, kind, language)).replace("\r\n", "\n");
    let text = MailText { subject: value("subject"), body: value("body") };
    let text = if fields.has("standard") || text == default_text(kind, language) { None } else { Some(text) };
    if let Some(text) = &text
        && let Err(why) = text.check(kind)
    {
        let mut errors = FormErrors::default();
        errors.add(field_name("body", kind, language), why);
        let sent = SentText { kind, language, text: text.clone(), errors };
        return render(app, visible, Some(&sent), &FormErrors::default(), "").await;
    }
    let (study, actor, now) = (visible.study().id, visible.staff().actor(), app.clock.now());
    let write = move |db: &rusqlite::Connection| {
        mail_text::set(db, study, kind, language, text.as_ref())?;
        let detail =
            AuditDetail::from("study").with(study).with("mail").with(kind.as_str()).with(language.tag());
        audit::record(db, now, actor, "study.change", None, detail)
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/studies/{study}/mails?done=saved#texts")))
}

/// Returns the name of a field. The forms of all mails and languages are on one page.
fn field_name(part: &str, kind: MailKind, language: Language) -> String {
    format!("{part}-{}-{language}", kind.as_str())
}

async fn save_rule(app: &App, request: &Request, visible: &VisibleStudy) -> HandlerResult {
    require_local(visible)?;
    let fields = request.form();
    let mut errors = FormErrors::default();
    let mut days = |name: &'static str, label: &str| {
        let days = fields.get(name).parse().ok().filter(|days| (1..=MAX_DAYS).contains(days));
        errors.take(name, days.ok_or_else(|| format!("{label}: give a number of days, from 1 to {MAX_DAYS}")))
    };
    let rule = if fields.get("after").is_empty() {
        None
    } else {
        let (after, every) = (days("after", "First reminder"), days("every", "Between two reminders"));
        after.zip(every).map(|(after, every)| ReminderRule { after, every })
    };
    if !errors.is_empty() {
        return render(app, visible, None, &errors, "").await;
    }
    let (study, actor, now) = (visible.study().id, visible.staff().actor(), app.clock.now());
    let write = move |db: &rusqlite::Connection| -> Result<(), StoreError> {
        reminder::set_rule(db, study, rule)?;
        let detail = AuditDetail::from("study").with(study).with("reminders");
        let detail = rule.map_or_else(
            || detail.clone().with("off"),
            |rule| detail.clone().with(i64::from(rule.after)).with(i64::from(rule.every)),
        );
        audit::record(db, now, actor, "study.change", None, detail)
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/studies/{study}/mails?done=saved#reminders")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_text_has_a_field_of_its_own_in_every_language() {
        let kinds = || MailKind::ALL.iter().copied();
        let names = Language::all().flat_map(|one| kinds().map(move |kind| field_name("body", kind, one)));
        let names: BTreeSet<String> = names.collect();
        assert_eq!(names.len(), Language::all().count() * MailKind::ALL.len());
    }
}
