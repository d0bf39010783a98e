//! The consent form: the text of each study, with boxes to tick, and the answer to it.

use http::StatusCode;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::model::study::{Scope, StudyId};
use crate::secrets::token::Token;
use crate::web::layout::{checkbox, form};
use crate::web::patient::{consent_questions::ConsentQuestion, signed_in::page_response};
use crate::web::{reader::Reader, request::FormFields, response::with_status};

/// The reason why the form is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FormProblem {
    NothingTicked,
    TextChanged,
}

/// The scopes that a patient agrees to, by study.
pub(crate) type AgreedScopes<'a> = Vec<(&'a ConsentQuestion, Vec<Scope>)>;

/// The answer to the form.
#[derive(Debug)]
pub(crate) struct TickedBoxes {
    ticked: Vec<String>,
    /// The ids of the texts that the form showed, one per study.
    wording_ids: Vec<String>,
}

impl TickedBoxes {
    pub(crate) fn from_form(form: &FormFields) -> Self {
        let all = |name| form.all(name).map(str::to_owned).collect();
        Self { ticked: all("scope"), wording_ids: all("wording") }
    }

    /// Returns the scopes agreed to. The text above each ticked box must be the current one.
    pub(crate) fn check<'a>(
        &self,
        questions: &'a [ConsentQuestion],
    ) -> Result<AgreedScopes<'a>, FormProblem> {
        let agreed: AgreedScopes<'_> = questions.iter().map(|one| (one, self.agreed_scopes(one))).collect();
        let is_open = questions.iter().any(|one| !one.open_scopes().is_empty());
        if is_open && agreed.iter().all(|(_, scopes)| scopes.is_empty()) && !self.was_saved(questions) {
            return Err(FormProblem::NothingTicked);
        }
        if agreed.iter().any(|(one, scopes)| !scopes.is_empty() && !self.has_shown(one)) {
            return Err(FormProblem::TextChanged);
        }
        Ok(agreed)
    }

    /// Returns whether a ticked scope has a consent already: the form was sent twice.
    fn was_saved(&self, questions: &[ConsentQuestion]) -> bool {
        let consented = |question: &ConsentQuestion| {
            let agreed = question.scopes.iter().filter(|(_, agreed)| agreed.is_some());
            agreed.map(|(scope, _)| box_value(question.study.id, scope)).collect::<Vec<_>>()
        };
        questions.iter().flat_map(consented).any(|value| self.ticked.contains(&value))
    }

    /// Returns whether the form showed the current text of a study.
    pub(crate) fn has_shown(&self, question: &ConsentQuestion) -> bool {
        self.wording_ids.contains(&question.wording_id())
    }

    fn agreed_scopes(&self, question: &ConsentQuestion) -> Vec<Scope> {
        let mut scopes = question.open_scopes();
        scopes.retain(|scope| self.ticked.contains(&box_value(question.study.id, scope)));
        scopes
    }
}

fn box_value(study: StudyId, scope: &Scope) -> String {
    format!("{study}:{}", scope.code)
}

pub(crate) struct ConsentForm<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) action: &'a str,
    /// The token of the browser in which it is shown.
    pub(crate) token: &'a Token,
    pub(crate) hidden_fields: Markup,
    /// The device that it is about.
    pub(crate) device: Markup,
    /// The question about the patient's time zone.
    pub(crate) time_zone: Markup,
    /// The tick for reminders by mail.
    pub(crate) reminders: Markup,
    pub(crate) problem: Option<FormProblem>,
}

impl ConsentForm<'_> {
    /// Renders the page, about the open scopes of `questions`.
    pub(crate) fn render(&self, app: &App, questions: &[ConsentQuestion]) -> Response {
        let open: Vec<&ConsentQuestion> =
            questions.iter().filter(|question| !question.open_scopes().is_empty()).collect();
        let mut title = self.reader.get("consent-page-title");
        if self.problem.is_some() {
            title = self.reader.get_with("error-title", &[("title", &title)]);
        }
        let response = page_response(app, self.reader, &title, &self.body(&open));
        if self.problem.is_some() { with_status(StatusCode::BAD_REQUEST, response) } else { response }
    }

    fn body(&self, open: &[&ConsentQuestion]) -> Markup {
        let reader = self.reader;
        html! {
            p.fine { (reader.get("step-1")) }
            h1 { (reader.get("consent-heading")) }
            p.lead { (reader.get("consent-lead")) }
            (self.device)
            @match self.problem {
                Some(FormProblem::NothingTicked) => div.problem role="alert" tabindex="-1" autofocus {
                    h2 { (reader.get("nothing-ticked")) }
                    p { a href={ "#" (first_box(open)) } { (reader.get("nothing-ticked-text")) } }
                },
                Some(FormProblem::TextChanged) => div.problem role="alert" tabindex="-1" autofocus {
                    h2 { (reader.get("text-changed")) }
                    p { (reader.get("text-changed-text")) }
                },
                None => {}
            }
            (form(self.action, self.token, &html! {
                (self.hidden_fields)
                @for question in open {
                    (render_question(reader, question, self.problem == Some(FormProblem::NothingTicked)))
                }
                section.card { (self.time_zone) }
                (self.reminders)
                div.pair-of-buttons {
                    button type="submit" name="answer" value="agree" { (reader.get("agree")) }
                    button.quiet type="submit" name="answer" value="decline" { (reader.get("decline")) }
                }
            }))
        }
    }
}

fn first_box(open: &[&ConsentQuestion]) -> String {
    let first = open
        .first()
        .and_then(|question| Some((question.study.id, question.open_scopes().into_iter().next()?)));
    first.map(|(study, scope)| box_value(study, &scope)).unwrap_or_default()
}

fn render_question(reader: &Reader, question: &ConsentQuestion, missing: bool) -> Markup {
    let (study, open) = (&question.study, question.open_scopes());
    let error = format!("error-{}", study.id);
    html! {
        section.card {
            (render_wording(reader, question))
            input type="hidden" name="wording" value=(question.wording_id());
            fieldset aria-describedby=[missing.then_some(&error)] {
                legend { (reader.get("consent-legend")) }
                @if missing { p.error id=(error) { (reader.get("consent-tick")) } }
                @for scope in &open {
                    @let value = box_value(study.id, scope);
                    (checkbox(&value, "scope", &value, false, &html! {
                        b { (reader.texts.data_type(&scope.code, &scope.display)) } " "
                        span.covers { (reader.texts.data_type_covers(&scope.code).unwrap_or_default()) }
                    }))
                }
            }
            @if !question.unmeasured.is_empty() {
                @let device = question.device_names(reader.texts);
                p.fine { (reader.get_with("consent-unmeasured", &[
                    ("device", &device), ("types", &name_types(reader, &question.unmeasured)),
                ])) }
            }
            @if !question.undeliverable.is_empty() {
                p.fine { (reader.get_with("consent-undeliverable", &[
                    ("types", &name_types(reader, &question.undeliverable)),
                ])) }
            }
        }
    }
}

/// Renders the text of a study, and says so if it is not in the patient's language.
pub(crate) fn render_wording(reader: &Reader, question: &ConsentQuestion) -> Markup {
    let (text, wording) = (&question.text, question.wording());
    let other = (text.language != reader.texts.language()).then(|| wording.language());
    let name = reader.get(&format!("language-{}", text.language));
    let date = reader.texts.date(&TimeZone::UTC, text.written);
    let version = text.version.to_string();
    html! {
        h2 lang=[other] { (text.title) }
        @if other.is_some() { p.warning { (reader.get_with("other-language", &[("language", &name)])) } }
        dl.terms lang=[other] {
            @for (heading, text) in wording.parts() { dt { (heading) } dd { (text) } }
        }
        p.fine { (reader.get_with("text-version", &[("version", &version), ("language", &name), ("date", &date)])) }
    }
}

/// Returns the names of data types, separated by commas.
pub(crate) fn name_types(reader: &Reader, scopes: &[Scope]) -> String {
    let names: Vec<String> =
        scopes.iter().map(|scope| reader.texts.data_type(&scope.code, &scope.display)).collect();
    names.join(", ")
}
