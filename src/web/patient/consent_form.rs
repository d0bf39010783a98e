//! The consent form: the text of each study, with boxes to tick, and the answer to it.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::model::catalog::code;
use crate::model::study::{Scope, StudyId};
use crate::secrets::token::Token;
use crate::web::layout::{checkbox, form};
use crate::web::patient::wording::{LANGUAGE, VERSION};
use crate::web::patient::{consent_questions::ConsentQuestion, signed_in::page_response};
use crate::web::{request::FormFields, response::with_status};

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
        let response = page_response(app, "Share your data", &self.body(&open));
        if self.problem.is_some() { with_status(StatusCode::BAD_REQUEST, response) } else { response }
    }

    fn body(&self, open: &[&ConsentQuestion]) -> Markup {
        html! {
            h1 { "Would you like to share your data?" }
            p.lead { "Please read what is asked, tick what you agree to, and go on. It takes about three \
                      minutes." }
            (self.device)
            @match self.problem {
                Some(FormProblem::NothingTicked) => div.problem role="alert" tabindex="-1" {
                    h2 { "Nothing is ticked" }
                    p {
                        a href={ "#" (first_box(open)) } { "Tick at least one box" }
                        ", or choose “I do not agree”."
                    }
                },
                Some(FormProblem::TextChanged) => div.problem role="alert" tabindex="-1" {
                    h2 { "The text has changed" }
                    p { "It was changed since you opened the page. Please read it once more; nothing was \
                         saved." }
                },
                None => {}
            }
            (form(self.action, self.token, &html! {
                (self.hidden_fields)
                @for question in open {
                    (render_question(question, self.problem == Some(FormProblem::NothingTicked)))
                }
                section.card { (self.time_zone) }
                (self.reminders)
                div.actions {
                    button type="submit" name="answer" value="agree" { "I agree to the ticked items" }
                    button.quiet type="submit" name="answer" value="decline" { "I do not agree" }
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

fn render_question(question: &ConsentQuestion, missing: bool) -> Markup {
    let (study, open) = (&question.study, question.open_scopes());
    let error = format!("error-{}", study.id);
    let unmeasured: Vec<&str> = question.unmeasured.iter().map(|scope| scope.display.as_str()).collect();
    let undeliverable: Vec<&str> =
        question.undeliverable.iter().map(|scope| scope.display.as_str()).collect();
    html! {
        section.card {
            h2 { (study.terms.name) }
            dl.terms {
                @for (heading, text) in question.wording().parts() { dt { (heading) } dd { (text) } }
            }
            input type="hidden" name="wording" value=(question.wording_id());
            fieldset aria-describedby=[missing.then_some(&error)] {
                legend { "I agree to share with “" (study.terms.name) "”:" }
                @if missing { p.error id=(error) { "Tick what you agree to." } }
                @for scope in &open {
                    @let value = box_value(study.id, scope);
                    (checkbox(&value, "scope", &value, false, &html! {
                        (scope.display) " "
                        span.covers { (code::patient_description(&scope.code).unwrap_or_default()) }
                    }))
                }
            }
            @if !unmeasured.is_empty() {
                p.fine { "We do not ask for what " (question.device_names()) " does not measure: "
                         (unmeasured.join(", ")) "." }
            }
            @if !undeliverable.is_empty() {
                p.fine { "The study also asks for what no device here delivers: \
                          " (undeliverable.join(", ")) ". You are not \
                          asked about that here." }
            }
            p.fine { "Text " (VERSION) " (" (LANGUAGE) ")" }
        }
    }
}
