//! The form that asks: what each study asks for, word for word, with boxes to tick; and what came back.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::state::App;
use crate::model::catalog::code;
use crate::model::study::{Scope, StudyId};
use crate::secrets::token::Token;
use crate::web::layout::{checkbox, form};
use crate::web::patient::consent_questions::Asked;
use crate::web::patient::signed_in::page;
use crate::web::patient::wording::{LANGUAGE, VERSION};
use crate::web::request::Fields;
use crate::web::response::with_status;

/// Why a form is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Nothing was ticked.
    Nothing,
    /// The text has changed since it was shown.
    Changed,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Ticks {
    /// The boxes that were ticked.
    ticked: Vec<String>,
    /// Which words stood above the boxes, for each study.
    read: Vec<String>,
}

impl Ticks {
    pub(crate) fn read(form: &Fields) -> Self {
        let all = |name| form.all(name).map(str::to_owned).collect();
        Self { ticked: all("scope"), read: all("wording") }
    }

    /// What of it was agreed to, of each study that asks.
    ///
    /// # Errors
    /// Where nothing was ticked, or something whose words have changed since they were read.
    pub(crate) fn judge<'a>(&self, asked: &'a [Asked]) -> Result<Vec<(&'a Asked, Vec<Scope>)>, Problem> {
        let agreed: Vec<(&Asked, Vec<Scope>)> = asked.iter().map(|one| (one, self.agreed_of(one))).collect();
        let is_asked = asked.iter().any(|one| !one.open().is_empty());
        if is_asked && agreed.iter().all(|(_, scopes)| scopes.is_empty()) && !self.stands(asked) {
            return Err(Problem::Nothing);
        }
        if agreed.iter().any(|(one, scopes)| !scopes.is_empty() && !self.read.contains(&one.proof())) {
            return Err(Problem::Changed);
        }
        Ok(agreed)
    }

    /// Whether something that was ticked stands by now: the form came twice.
    fn stands(&self, asked: &[Asked]) -> bool {
        let standing = |asked: &Asked| {
            let agreed = asked.scopes.iter().filter(|(_, agreed)| agreed.is_some());
            agreed.map(|(scope, _)| box_value(asked.study.id, scope)).collect::<Vec<_>>()
        };
        asked.iter().flat_map(standing).any(|value| self.ticked.contains(&value))
    }

    /// Whether what this study asks stood in the form, word for word.
    pub(crate) fn has_read(&self, asked: &Asked) -> bool {
        self.read.contains(&asked.proof())
    }

    fn agreed_of(&self, asked: &Asked) -> Vec<Scope> {
        let mut scopes = asked.open();
        scopes.retain(|scope| self.ticked.contains(&box_value(asked.study.id, scope)));
        scopes
    }
}

/// The value of a box to tick.
fn box_value(study: StudyId, scope: &Scope) -> String {
    format!("{study}:{}", scope.code)
}

/// The form.
pub(crate) struct Questions<'a> {
    /// Where it goes.
    pub(crate) action: &'a str,
    /// What it is bound to.
    pub(crate) token: &'a Token,
    /// What else it carries.
    pub(crate) hidden: Markup,
    /// Which device it is about.
    pub(crate) note: Markup,
    pub(crate) problem: Option<Problem>,
}

impl Questions<'_> {
    /// The page with the form, about what is open in `asked`.
    pub(crate) fn page(&self, app: &App, asked: &[Asked]) -> Response {
        let open: Vec<&Asked> = asked.iter().filter(|asked| !asked.open().is_empty()).collect();
        let answer = page(app, "Share your data", &self.body(&open));
        if self.problem.is_some() { with_status(StatusCode::BAD_REQUEST, answer) } else { answer }
    }

    fn body(&self, open: &[&Asked]) -> Markup {
        html! {
            h1 { "Would you like to share your data?" }
            p.lead { "Please read what is asked, tick what you agree to, and go on. It takes about three minutes." }
            (self.note)
            @match self.problem {
                Some(Problem::Nothing) => div.problem role="alert" tabindex="-1" {
                    h2 { "Nothing is ticked" }
                    p { a href={ "#" (first_box(open)) } { "Tick at least one box" } ", or choose “I do not agree”." }
                },
                Some(Problem::Changed) => div.problem role="alert" tabindex="-1" {
                    h2 { "The text has changed" }
                    p { "It was changed since you opened the page. Please read it once more; nothing was saved." }
                },
                None => {}
            }
            (form(self.action, self.token, &html! {
                (self.hidden)
                @for asked in open { (question(asked, self.problem == Some(Problem::Nothing))) }
                div.actions {
                    button type="submit" name="answer" value="agree" { "I agree to what is ticked" }
                    button.quiet type="submit" name="answer" value="decline" { "I do not agree" }
                }
            }))
        }
    }
}

fn first_box(open: &[&Asked]) -> String {
    let first = open.first().and_then(|asked| Some((asked.study.id, asked.open().into_iter().next()?)));
    first.map(|(study, scope)| box_value(study, &scope)).unwrap_or_default()
}

fn question(asked: &Asked, missing: bool) -> Markup {
    let (study, open) = (&asked.study, asked.open());
    let error = format!("error-{}", study.id);
    let unmeasured: Vec<&str> = asked.unmeasured.iter().map(|scope| scope.display.as_str()).collect();
    let beyond: Vec<&str> = asked.beyond.iter().map(|scope| scope.display.as_str()).collect();
    html! {
        section.card {
            h2 { (study.terms.name) }
            dl.terms {
                @for (heading, text) in asked.wording().parts() { dt { (heading) } dd { (text) } }
            }
            input type="hidden" name="wording" value=(asked.proof());
            fieldset aria-describedby=[missing.then_some(&error)] {
                legend { "I agree to share with “" (study.terms.name) "”:" }
                @if missing { p.error id=(error) { "Tick what you agree to." } }
                @for scope in &open {
                    @let value = box_value(study.id, scope);
                    (checkbox(&value, "scope", &value, false, &html! {
                        (scope.display) " " span.covers { (code::covers(&scope.code).unwrap_or_default()) }
                    }))
                }
            }
            @if !unmeasured.is_empty() {
                p.fine { "Not measured by " (asked.device_names()) ", so you are not asked about it: "
                         (unmeasured.join(", ")) "." }
            }
            @if !beyond.is_empty() {
                p.fine { "The study also asks for what no device here delivers: " (beyond.join(", ")) ". You are not \
                          asked about that here." }
            }
            p.fine { "Text " (VERSION) " (" (LANGUAGE) ")" }
        }
    }
}
