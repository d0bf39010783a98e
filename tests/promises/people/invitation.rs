//! An invitation admits one patient; errors explain what is wrong with a link and reveal nothing about anybody.

use crate::support::harness::*;
use crate::support::running_daemon::*;

struct Scene {
    world: World,
    served: Served,
    operator: Visitor,
    study: String,
    patient: String,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let served = Served::start(&world);
        let operator = served.operator(&world);
        let study = make_study(&operator, "Sleep");
        let patient = make_patient(&operator, "P-1", &study);
        Self { world, served, operator, study, patient }
    }

    fn invite(&self) -> String {
        invite(&self.operator, &self.patient)
    }

    fn consents(&self) -> String {
        self.world.run(&["patient", "show", &self.patient]).stdout
    }
}

#[test]
fn an_invitation_is_used_up_by_agreeing_and_not_by_opening() {
    let scene = Scene::new();
    let link = scene.invite();
    let (one, other) = (scene.served.visitor(), scene.served.visitor());
    for _ in 0..3 {
        assert_eq!(one.get(&link).heading(), "Would you like to share your data?");
    }
    assert!(!scene.consents().contains("granted"));
    let agreed = agree(&one, &link, &scene.study);
    assert_eq!((agreed.status, agreed.location()), (303, "/clients/ow/connect"), "{}", agreed.body);
    assert!(scene.consents().contains("omh:heart-rate:2.0 granted"), "{}", scene.consents());
    assert_eq!(one.get(&link).location(), "/clients/ow/manage", "the same browser continues");
    assert_eq!(other.get(&link).heading(), "Continue here?", "another browser must confirm first");
}

#[test]
fn nothing_is_ticked_before_the_patient_ticks_it() {
    let scene = Scene::new();
    let link = scene.invite();
    let patient = scene.served.visitor();
    let page = patient.get(&link).body;
    assert!(page.contains("type=\"checkbox\"") && !page.contains("checked"), "{page}");
    for words in
        ["Lifespan Lab", "hearts behave at night", "last day", "Heart rate", "ada@example.org", "How to stop"]
    {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    let missing = patient.submit(&link, "/clients/ow/agree", &[("answer", "agree")]);
    assert_eq!(missing.status, 400);
    assert!(missing.body.contains("Nothing is ticked"), "{}", missing.body);
    let foreign = [("answer", "agree"), ("scope", "1:omh:body-weight:3.0")];
    assert_eq!(patient.submit(&link, "/clients/ow/agree", &foreign).status, 400);
    assert_eq!(patient.get(&link).status, 200, "a refused form does not use up the link");
    assert!(!scene.consents().contains("body-weight"), "only scopes that the study asks for can be granted");
    let declined = scene.served.visitor();
    let fields = [("answer", "decline"), ("scope", "1:omh:heart-rate:2.0")];
    scene.invite();
    let link = scene.invite();
    let answer = declined.submit(&link, "/clients/ow/agree", &fields);
    assert_eq!(answer.heading(), "You agreed to nothing new");
    assert!(!scene.consents().contains("granted"));
    assert_eq!(declined.get(&link).status, 200, "the link is still valid");
}

#[test]
fn a_consent_form_sent_twice_counts_once_and_a_strangers_never() {
    let scene = Scene::new();
    let link = scene.invite();
    let patient = scene.served.visitor();
    let page = patient.get(&link);
    let scope = format!("{}:{HEART_RATE}", scene.study);
    let hidden = page.hidden("/clients/ow/agree");
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("scope", &*scope), ("answer", "agree")]);
    for _ in 0..2 {
        let agreed = patient.post("/clients/ow/agree", &fields);
        assert_eq!((agreed.status, agreed.location()), (303, "/clients/ow/connect"), "{}", agreed.body);
    }
    assert_eq!(scene.consents().matches("granted").count(), 1);
    let stranger = scene.served.visitor();
    stranger.get(&scene.invite());
    assert_eq!(
        stranger.post("/clients/ow/agree", &fields).status,
        403,
        "the form of another browser is refused"
    );
}

#[test]
fn each_grant_keeps_version_language_and_hash_of_what_was_read() {
    let scene = Scene::new();
    let patient = scene.served.visitor();
    agree(&patient, &scene.invite(), &scene.study);
    let page = scene.operator.get(&format!("/admin/patients/{}", scene.patient)).body;
    let wording = between(&page, "/consents/", "\"").unwrap();
    assert_eq!(wording.len(), 64, "the hash is a SHA-256");
    let kept = scene.operator.get(&format!("/admin/patients/{}/consents/{wording}", scene.patient)).body;
    assert!(kept.contains("hearts behave at night") && kept.contains("language en"), "{kept}");
    assert!(kept.contains(wording));
    let other = make_patient(&scene.operator, "P-2", &scene.study);
    let foreign = scene.operator.get(&format!("/admin/patients/{other}/consents/{wording}"));
    assert_eq!(foreign.status, 404, "another patient agreed to this text");
}

#[test]
fn an_unusable_link_explains_why() {
    let mut scene = Scene::new();
    let link = scene.invite();
    let (base, code) = link.split_once("code=").unwrap();
    let visitor = scene.served.visitor();
    let at = |code: &str| visitor.get(&format!("{base}code={code}"));
    assert_eq!((at("").status, at("").heading()), (400, "This link is not complete"));
    for garbled in [&code[1..], &format!("{code}x"), "%00%ff", "'><script>alert(1)</script>"] {
        let answer = at(garbled);
        assert_eq!(answer.status, 400, "{garbled}");
        assert!(!answer.body.contains("<script"), "{}", answer.body);
    }
    let unknown = at("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!((unknown.status, unknown.heading()), (404, "We do not know this link"));
    let newer = scene.invite();
    assert_eq!((at(code).status, at(code).heading()), (403, "This link no longer works"));
    let page = format!("/admin/patients/{}", scene.patient);
    scene.operator.submit(&page, &format!("{page}/revoke"), &[]);
    assert_eq!(visitor.get(&newer).heading(), "This link no longer works");
    let late = scene.invite();
    scene.served.stop("TERM");
    scene.world.pass(DAY * 8);
    let served = Served::start(&scene.world);
    let late = late.split_once("/ow/").unwrap().1;
    let answer = served.visitor().get(&format!("/ow/{late}"));
    assert_eq!((answer.status, answer.heading()), (410, "This link is too old"));
}

#[test]
fn the_command_line_makes_the_same_link_with_the_public_host() {
    let mut scene = Scene::new();
    let local = scene.world.run(&["invite", "--patient-id", &scene.patient]);
    assert!(local.stderr.contains("only this machine reaches"), "{local:?}");
    scene.world.set("JHE_OW_PUBLIC_URL", "https://jhe-ow.example.org");
    let ran = scene.world.run(&["invite", "--patient-id", &scene.patient, "--study", &scene.study]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with("https://jhe-ow.example.org/ow/?code="), "{ran:?}");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    let path = ran.stdout.trim().strip_prefix("https://jhe-ow.example.org").unwrap();
    assert_eq!(scene.served.visitor().get(path).status, 200);
    assert_eq!(scene.served.visitor().get(&path.replace("/ow/", "/clients/ow/launch")).status, 200);
    let database = std::fs::read(scene.world.database()).unwrap();
    let code = path.split('=').nth(1).unwrap().as_bytes();
    assert!(
        !database.windows(code.len()).any(|window| window == code),
        "the store has the hash of the link only"
    );
    for (arguments, why) in [
        (vec!["invite", "--patient-id", "99"], "there is no patient 99"),
        (vec!["invite", "--patient-id", &scene.patient, "--study", "99"], "there is no study 99"),
    ] {
        let ran = scene.world.run(&arguments);
        assert!(ran.code != 0 && ran.stderr.contains(why), "{ran:?}");
    }
    let (_, alone) = scene.world.patient();
    let ran = scene.world.run(&["invite", "--patient-id", &alone]);
    assert!(ran.code != 0 && ran.stderr.contains("is in no study"), "{ran:?}");
}

#[test]
fn a_changed_consent_text_must_be_read_again() {
    let scene = Scene::new();
    let patient = scene.served.visitor();
    let link = scene.invite();
    let hidden = patient.get(&link).hidden("/clients/ow/agree");
    let page = format!("/admin/studies/{}/settings", scene.study);
    let terms = [("name", "Sleep"), ("organization", "Others"), ("purpose", "To sell."), ("contact", "C")];
    let changed = [terms.as_slice(), &[("scope", HEART_RATE)]].concat();
    assert_eq!(scene.operator.submit(&page, &page, &changed).status, 303);
    let scope = format!("{}:{HEART_RATE}", scene.study);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("scope", &*scope), ("answer", "agree")]);
    let answer = patient.post("/clients/ow/agree", &fields);
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("The text has changed") && answer.body.contains("To sell."),
        "{}",
        answer.body
    );
    assert!(!scene.consents().contains("granted"));
    assert_eq!(
        agree(&patient, &link, &scene.study).status,
        303,
        "the new text can be agreed to after it was displayed"
    );
    let choices = patient.get("/clients/ow/manage").body;
    assert!(choices.contains("What you agreed to") && choices.contains("To sell."));
    let back =
        [("name", "Sleep"), ("organization", "Lifespan Lab"), ("purpose", "To learn."), ("contact", "C")];
    let changed = [back.as_slice(), &[("scope", HEART_RATE)]].concat();
    scene.operator.submit(&page, &page, &changed);
    let choices = patient.get("/clients/ow/manage").body;
    assert!(
        choices.contains("To sell.") && !choices.contains("To learn."),
        "the record of an earlier consent does not change"
    );
}

#[test]
fn declining_after_agreeing_does_not_claim_that_nothing_is_shared() {
    let scene = Scene::new();
    let link = scene.invite();
    let patient = scene.served.visitor();
    let hidden = patient.get(&link).hidden("/clients/ow/agree");
    agree(&patient, &link, &scene.study);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.push(("answer", "decline"));
    assert_eq!(patient.post("/clients/ow/agree", &fields).location(), "/clients/ow/manage");
}

#[test]
fn an_old_form_does_not_sign_a_signed_out_browser_in() {
    let scene = Scene::new();
    let link = scene.invite();
    let patient = scene.served.visitor();
    let hidden = patient.get(&link).hidden("/clients/ow/agree");
    agree(&patient, &link, &scene.study);
    patient.submit("/clients/ow/manage", "/clients/ow/sign-out", &[]);
    let scope = format!("{}:{HEART_RATE}", scene.study);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("scope", &*scope), ("answer", "agree")]);
    assert_eq!(patient.post("/clients/ow/agree", &fields).status, 409);
    assert_eq!(patient.get("/clients/ow/data").status, 401);
}

#[test]
fn an_invitation_form_sent_twice_makes_one_link() {
    let scene = Scene::new();
    let page = format!("/admin/patients/{}", scene.patient);
    let action = format!("{page}/invite");
    let hidden = scene.operator.get(&page).hidden(&action);
    let mut fields: Vec<(&str, &str)> = hidden.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.push(("study", ""));
    let (first, again) =
        (scene.operator.post(&action, &fields).secret(), scene.operator.post(&action, &fields).secret());
    assert_eq!(first, again);
    assert_eq!(scene.served.visitor().get(&first).status, 200);
    scene.operator.submit(&page, &format!("{page}/revoke"), &[]);
    assert_ne!(scene.operator.post(&action, &fields).secret(), first, "a revoked link is not issued again");
}
