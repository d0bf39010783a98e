//! The invitation: what is asked, and the answer.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use super::wording::{LANGUAGE, VERSION, Wording};
use super::{Patient, SESSION_AGE, find_session, page, with_session};
use crate::account::Actor;
use crate::patient::PatientId;
use crate::settings::Snapshot;
use crate::store::consent::{self, Entry, Grounds};
use crate::store::invitation::{self, Invitation, Standing};
use crate::store::session::{self, Holder};
use crate::store::{StoreError, audit, setting, study};
use crate::study::{Scope, Study, StudyId};
use crate::time::{Timestamp, show_duration};
use crate::token::{Token, TokenHash};
use crate::web::answer::{Refusal, see_other, with_status};
use crate::web::layout::{checkbox, form};
use crate::web::visit::Visit;
use crate::web::{App, guard};

/// How long a form that was sent twice is taken for one.
const SENT_TWICE: std::time::Duration = std::time::Duration::from_mins(10);

/// A study that asks a patient, and which of its scopes the patient has agreed to.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) study: Study,
    /// Each scope, and since when the patient has agreed to it.
    pub(super) scopes: Vec<(Scope, Option<Timestamp>)>,
    /// How far back the first read goes, in words.
    pub(super) reach: String,
}

impl Asked {
    /// Whether the patient shares anything with the study.
    pub(super) fn is_agreed(&self) -> bool {
        self.scopes.iter().any(|(_, since)| since.is_some())
    }

    /// Whether it asks for what was agreed to in this consent.
    pub(super) fn shows(&self, entry: &Entry) -> bool {
        let is_for_this = entry.study.as_ref().is_some_and(|(id, _)| *id == self.study.id);
        is_for_this && self.scopes.iter().any(|(scope, _)| *scope == entry.scope)
    }

    /// What is still open.
    pub(super) fn open(&self) -> Vec<Scope> {
        self.scopes.iter().filter(|(_, since)| since.is_none()).map(|(scope, _)| scope.clone()).collect()
    }

    /// What the patient reads about these scopes.
    pub(super) fn wording(&self, scopes: &[Scope]) -> Wording {
        Wording::new(&self.study, scopes, &self.reach)
    }
}

/// The studies that ask a patient, or one of them.
pub(super) fn asked(
    db: &rusqlite::Connection,
    patient: PatientId,
    only: Option<StudyId>,
) -> Result<Vec<Asked>, StoreError> {
    let reach = Snapshot::new(setting::all(db)?).first_connect_window();
    let reach = match reach.as_secs() / 86_400 {
        1 => "last day".to_owned(),
        days if reach.as_secs().is_multiple_of(86_400) => format!("last {days} days"),
        _ => format!("last {}", show_duration(reach)),
    };
    let entries = consent::entries(db, patient)?;
    let since = |study: &Study, scope: &Scope| {
        let stands = entries.iter().find(|entry| {
            entry.grant.withdrawn.is_none()
                && entry.scope == *scope
                && entry.study.as_ref().is_some_and(|(id, _)| *id == study.id)
        });
        stands.map(|entry| entry.grant.granted)
    };
    let studies = study::of_patient(db, patient)?.into_iter();
    let studies = studies.filter(|study| only.is_none_or(|only| only == study.id));
    Ok(studies
        .map(|study| {
            let scopes = study.terms.scopes.iter();
            let scopes = scopes.map(|scope| (scope.clone(), since(&study, scope))).collect();
            Asked { study, scopes, reach: reach.clone() }
        })
        .collect())
}

/// Notes that a patient agrees to these scopes of a study, with the wording that was read.
pub(super) fn note_grants(
    db: &rusqlite::Connection,
    patient: PatientId,
    asked: &Asked,
    scopes: &[Scope],
    read: &[Scope],
    now: Timestamp,
) -> Result<(), StoreError> {
    let wording = asked.wording(read);
    consent::keep_wording(db, wording.hash(), VERSION, LANGUAGE, &wording.text())?;
    let grounds = Grounds { study: Some(asked.study.id), wording: Some(wording.hash()) };
    for scope in scopes {
        if consent::grant(db, patient, &scope.code, grounds, now)? {
            let detail = format!("{} study {} text {}", scope.code, asked.study.id, wording.hash().hex());
            audit::record(db, now, Actor::Patient(patient), "consent.grant", Some(patient), &detail)?;
        }
    }
    Ok(())
}

/// `GET /ow/?code=…`: opening it uses nothing up.
pub(super) async fn show(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let code = read_code(visit.query.get("code"))?;
    let (hash, now) = (code.hash(), app.clock.now());
    let known = app.store.read(move |db| invitation::find(db, hash)).await?;
    let invitation = known.ok_or_else(unknown)?;
    if invitation.standing(now) != Standing::Open {
        let here = find_session(app, visit).await?;
        return match here.filter(|patient| patient.id == invitation.patient) {
            Some(_) => Ok(see_other("/clients/ow/manage")),
            None => Err(spent(&invitation, now)),
        };
    }
    let visitor = guard::visitor(visit)?;
    let ask = Ask { code: &code, visitor: &visitor.0, missing: false };
    let answer = ask.page(app, &invitation).await?;
    Ok(guard::greet(app, answer, &visitor))
}

/// `POST /clients/ow/agree`: uses the invitation up, keeps what was agreed to, and signs the browser in.
pub(super) async fn agree(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let code = read_code(visit.form.get("code"))?;
    let (visitor, is_new) = guard::visitor(visit)?;
    let token = (!is_new).then_some(&visitor);
    guard::check_form(app, visit, token, Actor::Visitor).await?;
    let (hash, now) = (code.hash(), app.clock.now());
    let invitation = app.store.read(move |db| invitation::find(db, hash)).await?.ok_or_else(unknown)?;
    let ticked: Vec<String> = visit.form.all("scope").map(str::to_owned).collect();
    let (patient, only) = (invitation.patient, invitation.study);
    let asked = app.store.read(move |db| asked(db, patient, only)).await?;
    let nothing_open = asked.iter().all(|asked| asked.open().is_empty());
    if visit.form.get("answer") == "decline" {
        return Ok(declined(app));
    }
    if ticked.is_empty() && !nothing_open && invitation.standing(now) == Standing::Open {
        let ask = Ask { code: &code, visitor: &visitor, missing: true };
        return Ok(with_status(StatusCode::BAD_REQUEST, ask.page(app, &invitation).await?));
    }
    let session = Token::draw()?;
    let (session_hash, browser) = (session.hash(), visitor.hash());
    let keep = move |db: &_| use_up(db, hash, browser, session_hash, &asked, &ticked, now);
    if !app.store.write(keep).await? {
        return Err(spent(&invitation, now));
    }
    Ok(with_session(app, see_other("/clients/ow/connect"), Some(&session)))
}

/// All or nothing: the invitation, the consents, the session. Answers whether the invitation was good, or was
/// used a moment ago by a form that this browser sent twice.
fn use_up(
    db: &rusqlite::Connection,
    code: TokenHash,
    browser: TokenHash,
    session: TokenHash,
    asked: &[Asked],
    ticked: &[String],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(invitation) = invitation::find(db, code)? else { return Ok(false) };
    let patient = invitation.patient;
    match (invitation.standing(now), invitation.used) {
        (Standing::Open, _) => {
            invitation::mark_used(db, invitation.id, browser, now)?;
            audit::record(db, now, Actor::Patient(patient), "invitation.use", Some(patient), "")?;
            for asked in asked {
                let open = asked.open();
                let is_ticked = |scope: &&Scope| ticked.contains(&box_value(asked.study.id, scope));
                let agreed: Vec<Scope> = open.iter().filter(is_ticked).cloned().collect();
                note_grants(db, patient, asked, &agreed, &open, now)?;
            }
        }
        (Standing::Used, Some(used)) if now.since(used) < SENT_TWICE => {
            if invitation.used_by != Some(browser) {
                return Ok(false);
            }
        }
        _ => return Ok(false),
    }
    session::begin(db, session, Holder::Patient(patient), now, now.plus(SESSION_AGE))?;
    Ok(true)
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
            "It works once, and in one browser. Go on in the browser where you first opened it, or ask the \
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
            p { "If you change your mind, the same link works for seven days from when it was sent." }
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
    /// Whether the form came back with nothing ticked.
    missing: bool,
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
            @if self.missing {
                div.problem role="alert" tabindex="-1" {
                    h2 { "Nothing is ticked" }
                    p { a href={ "#" (first_box(open)) } { "Tick at least one box" } ", or choose “I do not agree”." }
                }
            }
            (form("/clients/ow/agree", self.visitor, &html! {
                (code)
                @for asked in open { (question(asked, self.missing)) }
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
                @for (heading, text) in asked.wording(&open).parts() { dt { (heading) } dd { (text) } }
            }
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

/// For pages that show a patient's own choices.
pub(super) async fn all_asked(app: &App, patient: &Patient) -> Result<Vec<Asked>, Refusal> {
    let id = patient.id;
    Ok(app.store.read(move |db| asked(db, id, None)).await?)
}
