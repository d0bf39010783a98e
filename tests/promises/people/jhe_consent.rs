//! An answer of JHE counts as of the time of its request: a late answer undoes nothing. A refusal keeps out data
//! measured afterwards, and only displayed questions are answered.

use std::time::Duration;

use crate::support::harness::*;
use crate::support::jhe_patient::{PATIENT, Scene};
use crate::support::running_daemon::*;

/// Longer than a test needs to press a button.
const SLOW: Duration = Duration::from_secs(2);

fn fields(answer: &Answer, action: &str) -> Vec<(String, String)> {
    answer.hidden(action)
}

fn post(scene: &Scene, action: &str, fields: &[(String, String)], more: &[(&str, &str)]) -> Answer {
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<(&str, &str)> = fields.chain(more.iter().copied()).collect();
    scene.browser.post(action, &all)
}

/// Returns the OW user of a patient who has agreed and connected.
fn connected(scene: &Scene) -> String {
    scene.agree();
    let buttons = provider_buttons(&scene.browser);
    scene.browser.get(&buttons["agree"]);
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    between(&shown, "ow:", "\n").unwrap().to_owned()
}

#[test]
fn a_stale_answer_of_jhe_does_not_undo_a_withdrawal() {
    let mut scene = Scene::new();
    let user = connected(&scene);
    scene.world.sim.put(&user, scene.world.now.minus(HOUR), 60.0);
    let form = fields(&scene.browser.get("/clients/ow/manage"), "/clients/ow/withdraw");
    // The poll sends its request a minute before the patient withdraws.
    scene.world.now = scene.world.now.minus(FIVE_MINUTES / 5);
    let asked = scene.jhe.state().asked;
    scene.jhe.state().people.slow = Some(SLOW);
    let poll = scene.world.start(&["poll"]);
    until("the poll has sent its request", || scene.jhe.state().asked > asked);
    scene.jhe.state().people.slow = None;
    let stopped = post(&scene, "/clients/ow/withdraw", &form, &[("sure", "yes")]);
    assert_eq!(
        (stopped.status, stopped.location()),
        (303, "/clients/ow/manage?done=withdrawn&what=omh%3Aheart-rate%3A2.0"),
        "{}",
        stopped.body
    );
    let ran = poll.wait();
    assert!(ran.stdout.contains("Created 0 observations"), "{ran:?}");
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    assert_eq!(shown.matches("granted").count(), shown.matches("withdrawn").count(), "{shown}");
}

#[test]
fn data_measured_after_a_refusal_is_not_stored_after_a_later_consent() {
    let mut scene = Scene::new();
    let user = connected(&scene);
    scene.world.pass(DAY);
    scene.jhe.add_patient(40002, 10007, scene.world.now);
    scene.jhe.consent(40002, false, scene.world.now);
    let other = scene.world.sim.add_user();
    let add = ["patient", "add", "--jhe-patient", "40002", "--ow-user", &other];
    assert_eq!(scene.world.run(&add).code, 0);
    scene.world.pass(HOUR);
    scene.world.sim.put(&other, scene.world.now.minus(FIVE_MINUTES), 70.0);
    scene.world.sim.put(&other, scene.world.now.minus(HOUR * 2), 71.0);
    scene.world.poll();
    scene.jhe.consent(40002, true, scene.world.now);
    scene.world.pass(FIVE_MINUTES);
    scene.world.poll();
    let kept: Vec<f64> = scene.world.kept("2").into_iter().map(|(_, value)| value).collect();
    assert_eq!(kept, [71.0], "only samples measured before the refusal are stored");
    drop(user);
}

#[test]
fn a_question_that_was_not_in_the_form_is_not_answered() {
    let scene = Scene::new();
    let form = fields(&scene.come_in(), "/clients/ow/answer");
    let study =
        form.iter().find(|(name, _)| name == "wording").unwrap().1.split(':').next().unwrap().to_owned();
    scene.jhe.state().people.second = true;
    let scope = format!("{study}:{HEART_RATE}");
    let sent = post(&scene, "/clients/ow/answer", &form, &[("scope", &scope), ("answer", "agree")]);
    assert_eq!((sent.status, sent.location()), (303, "/clients/ow/connect"), "{}", sent.body);
    assert_eq!(scene.jhe.state().people.saved.len(), 1);
    let asks = scene.browser.get("/clients/ow/ask");
    assert!(asks.body.contains("Second study"), "the question is still open: {}", asks.body);
    // Both questions were displayed: the unticked one is a refusal, and the same form sent twice counts once.
    let form = fields(&asks, "/clients/ow/answer");
    assert!(form.iter().filter(|(name, _)| name == "wording").count() == 1);
}

#[test]
fn an_unticked_box_is_a_refusal_and_a_form_sent_twice_counts_once() {
    let scene = Scene::new();
    scene.jhe.state().people.second = true;
    let form = fields(&scene.come_in(), "/clients/ow/answer");
    let study =
        form.iter().find(|(name, _)| name == "wording").unwrap().1.split(':').next().unwrap().to_owned();
    let scope = format!("{study}:{HEART_RATE}");
    for _ in 0..2 {
        let sent = post(&scene, "/clients/ow/answer", &form, &[("scope", &scope), ("answer", "agree")]);
        assert_eq!((sent.status, sent.location()), (303, "/clients/ow/connect"), "{}", sent.body);
    }
    let mut saved = scene.jhe.state().people.saved.clone();
    saved.sort();
    let post = |yes| ("POST".to_owned(), HEART_RATE.to_owned(), yes);
    assert_eq!(saved, [post(false), post(true)]);
}

#[test]
fn a_revoked_or_closed_invitation_of_jhe_signs_nobody_in() {
    let scene = Scene::new();
    scene.come_in();
    let operator = scene.served.operator(&scene.world);
    let link = operator.submit("/admin/patients/1", "/admin/patients/1/invite", &[]).secret();
    operator.submit("/admin/patients/1", "/admin/patients/1/revoke", &[]);
    let stranger = scene.served.visitor();
    let went = stranger.submit(&link, "/clients/ow/redeem", &[]);
    assert_eq!((went.status, went.heading()), (403, "This link no longer works"), "{}", went.body);
    // The same holds for an invitation from JHE's own pages, once the patient is signed out everywhere.
    let token = scene.jhe.make_invitation(PATIENT);
    assert_eq!(scene.go_on(&token).status, 303);
    operator.submit("/admin/patients/1", "/admin/patients/1/end-sessions", &[]);
    let went = stranger.submit(&scene.link(&token), "/clients/ow/redeem", &[]);
    assert_eq!(went.status, 403, "{}", went.body);
    let token = scene.jhe.make_invitation(PATIENT);
    assert_eq!(scene.go_on(&token).status, 303);
    scene.browser.submit("/clients/ow/manage", "/clients/ow/sign-out", &[]);
    assert_eq!(scene.go_on(&token).status, 403, "signing in again takes a new link");
}

#[test]
fn a_match_does_not_undo_a_withdrawal() {
    let mut scene = Scene::new();
    scene.jhe.add_patient(40003, 10008, scene.world.now.minus(DAY * 3));
    let (user, patient) = scene.world.patient();
    scene.world.pass(FIVE_MINUTES);
    assert_eq!(scene.world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]).code, 0);
    scene.world.pass(HOUR * 5);
    scene.world.sim.fill(&user, scene.world.now.minus(HOUR * 4), scene.world.now, FIVE_MINUTES, 1);
    let ran = scene.world.run(&["patient", "match", &patient, "--jhe-patient", "40003"]);
    assert!(ran.code == 0 && ran.stdout.contains("applies from now on"), "{ran:?}");
    assert_eq!(scene.world.created(), 0, "samples measured during the withdrawal are not stored");
}

#[test]
fn after_a_match_only_jhes_studies_apply() {
    let scene = Scene::new();
    let operator = scene.served.operator(&scene.world);
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, "P-1", &study);
    assert!(operator.get(&format!("/admin/patients/{patient}")).body.contains("Sleep"));
    assert_eq!(scene.world.run(&["patient", "match", &patient, "--jhe-patient", "40001"]).code, 0);
    let asks = scene.come_in();
    assert!(asks.body.contains("Lifespan") && !asks.body.contains("Sleep"), "{}", asks.body);
}

#[test]
fn a_patient_invited_before_the_match_is_one_patient_afterwards() {
    let scene = Scene::new();
    let (_, patient) = scene.world.patient();
    scene.come_in();
    let ran = scene.world.run(&["patient", "match", &patient, "--jhe-patient", "40001"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let list = scene.world.run(&["patient", "list"]).stdout;
    assert_eq!((list.lines().count(), list.contains("jhe:40001")), (1, true), "{list}");
    scene.agree();
    assert_eq!(scene.world.run(&["patient", "list"]).stdout.lines().count(), 1);
}

#[test]
fn an_ow_user_lost_by_ow_is_created_again() {
    let scene = Scene::new();
    scene.jhe.state().people.ow = Some((scene.world.sim.url(), scene.world.sim.key()));
    let lost = "00000000-0000-4000-8000-000000000001";
    scene.jhe.state().people.identifiers.insert(PATIENT, format!("ow:{lost}"));
    scene.agree();
    assert_eq!(scene.browser.get("/clients/ow/leave?provider=oura").status, 200);
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    assert!(shown.contains("ow:") && !shown.contains(lost), "{shown}");
}

#[test]
fn a_study_of_jhe_accepts_its_attached_data_sources_only() {
    let scene = Scene::new();
    scene.jhe.state().has_oura = false;
    scene.agree();
    let offers = scene.browser.get("/clients/ow/connect");
    assert_eq!((offers.status, offers.heading()), (503, "No device can be connected at the moment"));
}

#[test]
fn name_and_e_mail_address_come_from_jhe() {
    let scene = Scene::new();
    scene.come_in();
    let operator = scene.served.operator(&scene.world);
    let page = operator.get("/admin/patients/1/edit");
    let mut form = page.hidden("/admin/patients/1/edit");
    form.iter_mut().filter(|(name, _)| name == "name").for_each(|(_, value)| *value = "Mallory".into());
    let mut all: Vec<(&str, &str)> =
        form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.push(("tz", "Europe/Berlin"));
    assert_eq!(operator.post("/admin/patients/1/edit", &all).status, 303);
    let shown = scene.world.run(&["patient", "show", "1"]).stdout;
    assert!(shown.contains("P40001 Doe") && shown.contains("Europe/Berlin"), "{shown}");
}
