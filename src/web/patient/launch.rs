//! The invitation: what is asked, and the answer.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use super::asked::{Asked, asked, note_grants};
use super::wording::{LANGUAGE, VERSION};
use super::{SESSION_AGE, find_session, page, with_session};
use crate::account::Actor;
use crate::store::invitation::{self, Invitation, Standing};
use crate::store::session::{self, Holder};
use crate::store::{StoreError, audit};
use crate::study::{Scope, StudyId};
use crate::time::Timestamp;
use crate::token::{Token, TokenHash};
use crate::web::answer::{Refusal, see_other, with_status};
use crate::web::layout::{checkbox, form};
use crate::web::visit::Visit;
use crate::web::{App, guard};

/// How long a form that was sent twice is taken for one.
const SENT_TWICE: std::time::Duration = std::time::Duration::from_mins(10);

/// `GET /ow/?code=…`: opening it uses nothing up.
pub(super) async fn show(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let code = read_code(visit.query.get("code"))?;
    let (hash, now) = (code.hash(), app.clock.now());
    let known = app.store.read(move |db| invitation::find(db, hash)).await?;
    let invitation = known.ok_or_else(unknown)?;
    if invitation.standing(now) != Standing::Open {
        return elsewhere(app, visit, &invitation).await;
    }
    let visitor = guard::visitor(visit)?;
    let ask = Ask { code: &code, visitor: &visitor.0, problem: None };
    let answer = ask.page(app, &invitation).await?;
    Ok(guard::greet(app, answer, &visitor))
}

/// What became of an answer.
enum Kept {
    /// It is kept, or was a moment ago by a form that this browser sent twice.
    Yes,
    /// The invitation is no longer good.
    Spent,
    /// Nothing was ticked that is asked for.
    Nothing,
    /// The study says something else by now than what stood above the form.
    Changed,
}

/// `POST /clients/ow/agree`: uses the invitation up, keeps what was agreed to, and signs the browser in.
pub(super) async fn agree(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let code = read_code(visit.form.get("code"))?;
    let (visitor, is_new) = guard::visitor(visit)?;
    let token = (!is_new).then_some(&visitor);
    guard::check_form(app, visit, token, Actor::Visitor).await?;
    let (hash, now) = (code.hash(), app.clock.now());
    let invitation = app.store.read(move |db| invitation::find(db, hash)).await?.ok_or_else(unknown)?;
    if visit.form.get("answer") == "decline" {
        return match invitation.standing(now) {
            Standing::Open => Ok(declined(app)),
            _ => elsewhere(app, visit, &invitation).await,
        };
    }
    let session = Token::draw()?;
    let answer = Answer {
        code: hash,
        ticked: visit.form.all("scope").map(str::to_owned).collect(),
        read: visit.form.all("wording").map(str::to_owned).collect(),
        browser: visitor.hash(),
        session: session.hash(),
    };
    let problem = match app.store.write(move |db| answer.keep(db, now)).await? {
        Kept::Yes => return Ok(with_session(app, see_other("/clients/ow/connect"), Some(&session))),
        Kept::Spent => return elsewhere(app, visit, &invitation).await,
        Kept::Nothing => Problem::Nothing,
        Kept::Changed => Problem::Changed,
    };
    let ask = Ask { code: &code, visitor: &visitor, problem: Some(problem) };
    Ok(with_status(StatusCode::BAD_REQUEST, ask.page(app, &invitation).await?))
}

/// An invitation that is no longer good leads whoever used it here to what was chosen.
async fn elsewhere(app: &App, visit: &Visit, invitation: &Invitation) -> Result<Response, Refusal> {
    let here = find_session(app, visit).await?;
    if here.is_some_and(|patient| patient.id == invitation.patient) {
        return Ok(see_other("/clients/ow/manage"));
    }
    Err(spent(invitation, app.clock.now()))
}

/// A patient's answer to an invitation.
struct Answer {
    code: TokenHash,
    /// The boxes that were ticked.
    ticked: Vec<String>,
    /// Which words stood above the boxes, for each study.
    read: Vec<String>,
    browser: TokenHash,
    session: TokenHash,
}

impl Answer {
    /// All or nothing: the invitation, the consents, the session.
    fn keep(&self, db: &rusqlite::Connection, now: Timestamp) -> Result<Kept, StoreError> {
        let Some(invitation) = invitation::find(db, self.code)? else { return Ok(Kept::Spent) };
        let patient = invitation.patient;
        match (invitation.standing(now), invitation.used) {
            (Standing::Open, _) => {
                let asked = asked(db, patient, invitation.study)?;
                let agreed: Vec<(&Asked, Vec<Scope>)> =
                    asked.iter().map(|one| (one, self.agreed_of(one))).collect();
                let is_asked = asked.iter().any(|one| !one.open().is_empty());
                if is_asked && agreed.iter().all(|(_, scopes)| scopes.is_empty()) {
                    return Ok(Kept::Nothing);
                }
                if agreed.iter().any(|(one, scopes)| !scopes.is_empty() && !self.read.contains(&one.proof()))
                {
                    return Ok(Kept::Changed);
                }
                invitation::mark_used(db, invitation.id, self.browser, now)?;
                audit::record(db, now, Actor::Patient(patient), "invitation.use", Some(patient), "")?;
                for (one, scopes) in agreed {
                    note_grants(db, patient, one, &scopes, now)?;
                }
            }
            (Standing::Used, Some(used))
                if now.since(used) < SENT_TWICE && invitation.used_by == Some(self.browser) => {}
            _ => return Ok(Kept::Spent),
        }
        session::begin(db, self.session, Holder::Patient(patient), now, now.plus(SESSION_AGE))?;
        Ok(Kept::Yes)
    }

    fn agreed_of(&self, asked: &Asked) -> Vec<Scope> {
        let mut scopes = asked.open();
        scopes.retain(|scope| self.ticked.contains(&box_value(asked.study.id, scope)));
        scopes
    }
}

fn read_code(text: &str) -> Result<Token, Refusal> {
    let whom = "Open the whole link from the message of your study; if it does not work, ask the person who \
                sent it for a new one.";
    if text.is_empty() {
        let title = "This link is not complete";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, title, format!("Its code is missing. {whom}")));
    }
    Token::parse(text).ok_or_else(|| {
        let title = "This link is not complete";
        Refusal::new(StatusCode::BAD_REQUEST, title, format!("Part of its code was lost or changed. {whom}"))
    })
}

fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "We do not know this link",
        "Ask the person in your study who sent it for a new one.",
    )
}

/// Why an invitation that is known is no longer good.
fn spent(invitation: &Invitation, now: Timestamp) -> Refusal {
    let (status, title, text) = match invitation.standing(now) {
        Standing::Revoked => (
            StatusCode::FORBIDDEN,
            "This link was taken back",
            "There may be a newer one in your messages. Otherwise ask the person in your study who sent it.",
        ),
        Standing::Expired => (
            StatusCode::GONE,
            "This link is too old",
            "Links work for seven days. Ask the person in your study who sent it for a new one.",
        ),
        Standing::Used | Standing::Open => (
            StatusCode::CONFLICT,
            "This link was used already",
            "It works once, and in one browser. Go on in the browser in which you agreed, or ask the \
             person in your study who sent it for a new one.",
        ),
    };
    Refusal::new(status, title, text)
}

fn declined(app: &App) -> Response {
    page(
        app,
        "You have not agreed",
        &html! {
            h1 { "You have not agreed to anything" }
            p { "Nothing was saved and nothing is shared. You need not do anything more." }
            p { "If you change your mind, the same link works for seven days from when it was made." }
        },
    )
}

/// The value of a box to tick.
fn box_value(study: StudyId, scope: &Scope) -> String {
    format!("{study}:{}", scope.code)
}

/// The page that asks.
struct Ask<'a> {
    code: &'a Token,
    visitor: &'a Token,
    /// Why the form came back.
    problem: Option<Problem>,
}

/// Why a form is shown again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    /// Nothing was ticked.
    Nothing,
    /// The text has changed since it was shown.
    Changed,
}

impl Ask<'_> {
    async fn page(&self, app: &App, invitation: &Invitation) -> Result<Response, Refusal> {
        let (patient, only) = (invitation.patient, invitation.study);
        let asked = app.store.read(move |db| asked(db, patient, only)).await?;
        let open: Vec<&Asked> = asked.iter().filter(|asked| !asked.open().is_empty()).collect();
        let code = html! { input type="hidden" name="code" value=(self.code.expose()); };
        let body = if open.is_empty() {
            html! {
                h1 { "Welcome back" }
                p { "You have answered everything that was asked. Go on to connect a device, or to look at \
                     your choices." }
                (form("/clients/ow/agree", self.visitor, &html! { (code) button type="submit" { "Go on" } }))
            }
        } else {
            self.questions(&open, &code)
        };
        Ok(page(app, "Share your data", &body))
    }

    fn questions(&self, open: &[&Asked], code: &Markup) -> Markup {
        html! {
            h1 { "Would you like to share your data?" }
            p.lead { "Please read what is asked, tick what you agree to, and go on. It takes about three minutes." }
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
            (form("/clients/ow/agree", self.visitor, &html! {
                (code)
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
                    (checkbox(&value, "scope", &value, false, &html! { (scope.display) }))
                }
            }
            p.fine { "Text " (VERSION) " (" (LANGUAGE) ")" }
        }
    }
}
