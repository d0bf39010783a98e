//! What JHE's studies ask a patient who has come in by a link of JHE's, and the answer.

use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::study::Scope;
use crate::web::patient::consent_form::{Problem, Questions, Ticks};
use crate::web::patient::consent_questions::{Asked, all_asked, intend};
use crate::web::patient::device::{Settled, choose, settle};
use crate::web::patient::jhe_consents::{AtJhe, Chosen};
use crate::web::patient::signed_in::{Patient, page};
use crate::web::patient::wearing::Wearing;
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other};

/// `GET /clients/ow/ask`.
pub(crate) async fn show(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    if let Some(at_jhe) = AtJhe::of(app, patient).await? {
        at_jhe.refresh(app).await?;
    }
    ask(app, patient, Wearing::chosen(&visit.query), None).await
}

async fn ask(
    app: &App,
    patient: &Patient,
    wearing: Wearing,
    problem: Option<Problem>,
) -> Result<Response, Refusal> {
    let (asked, wearing) = match settle(app, patient.id, None, wearing).await? {
        Settled::Asked(asked, wearing) => (asked, wearing),
        Settled::Choose(offers) => return Ok(choose(app, &offers, "/clients/ow/ask?device=")),
    };
    if asked.iter().all(|asked| asked.open().is_empty()) {
        return Ok(see_other("/clients/ow/manage"));
    }
    let (action, token, hidden) = ("/clients/ow/answer", &patient.token, wearing.hidden());
    let note = wearing.note("/clients/ow/ask");
    Ok(Questions { action, token, hidden, note, problem }.page(app, &asked))
}

/// `POST /clients/ow/answer`.
pub(crate) async fn answer(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let Some(at_jhe) = AtJhe::of(app, patient).await? else { return Err(Refusal::not_found()) };
    if visit.form.get("answer") == "decline" {
        return Ok(declined(app));
    }
    at_jhe.refresh(app).await?;
    let wearing = Wearing::of_form(&visit.form);
    let (asked, ticks) = (all_asked(app, patient, &wearing).await?, Ticks::read(&visit.form));
    let agreed = match ticks.judge(&asked) {
        Ok(agreed) => agreed,
        Err(problem) => return ask(app, patient, wearing, Some(problem)).await,
    };
    let chosen = chosen(&agreed, &ticks);
    let (id, now) = (patient.id, app.clock.now());
    let words: Vec<(Asked, Vec<Scope>)> =
        agreed.into_iter().map(|(asked, scopes)| (asked.clone(), scopes)).collect();
    let keep = move |db: &_| words.iter().try_for_each(|(asked, scopes)| intend(db, id, asked, scopes, now));
    app.store.write(keep).await?;
    at_jhe.answer(app, chosen).await?;
    Ok(see_other(&wearing.way_on()))
}

/// A yes to each box that was ticked, and a no to each other that stood there: not to what was asked only since.
fn chosen(agreed: &[(&Asked, Vec<Scope>)], ticks: &Ticks) -> Vec<Chosen> {
    let stood_there = agreed.iter().filter(|(asked, _)| ticks.has_read(asked));
    let of_study = |(asked, scopes): &(&Asked, Vec<Scope>)| {
        let (study, scopes) = (asked.study.id, scopes.clone());
        let open = asked.open().into_iter();
        open.map(move |scope| (study, scope.code.clone(), scopes.contains(&scope))).collect::<Vec<_>>()
    };
    stood_there.flat_map(of_study).collect()
}

fn declined(app: &App) -> Response {
    let body = html! {
        h1 { "You have not agreed to anything" }
        p { "Nothing was saved and nothing new is shared. You need not do anything more." }
        p { "If you change your mind, this browser knows you for 30 days: "
            a href="/clients/ow/ask" { "read what is asked" } ", or look at "
            a href="/clients/ow/manage" { "your choices" } "." }
    };
    page(app, "You have not agreed", &body)
}
