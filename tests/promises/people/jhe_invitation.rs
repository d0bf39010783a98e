//! A JHE patient enters with a JHE invitation: opening it does not use it up, no host named in the link is called, and
//! choices are saved at JHE.

use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::jhe_patient::*;
use crate::support::running_daemon::*;

#[test]
fn opening_a_link_of_jhe_uses_nothing_up_and_continuing_redeems_it() {
    let scene = Scene::new();
    let token = scene.jhe.make_invitation(PATIENT);
    for _ in 0..3 {
        let opened = scene.browser.get(&scene.link(&token));
        assert_eq!((opened.status, opened.heading()), (200, "Your study invites you"));
    }
    assert_eq!(scene.jhe.invitation(&token), Invited::Issued);
    assert_eq!(scene.jhe.state().people.redeemed, 0);
    let went = scene.go_on(&token);
    assert_eq!((went.status, went.location()), (303, "/clients/ow/ask"), "{}", went.body);
    assert_eq!(scene.jhe.state().people.redeemed, 1);
    let asks = scene.browser.get("/clients/ow/ask");
    assert!(asks.body.contains("Lifespan") && asks.body.contains("Heart rate"), "{}", asks.body);
    let all = format!("{asks:?}{went:?}{:?}", scene.browser.cookies.lock().unwrap());
    assert!(!all.contains("person-") && !all.contains("refresh-"), "JHE's tokens must not reach the browser");
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]);
    assert!(shown.stdout.contains("P40001 Doe") && shown.stdout.contains("not linked"), "{shown:?}");
}

#[test]
fn no_request_ever_goes_to_a_host_that_a_link_names() {
    let (scene, other) = (Scene::new(), FakeJhe::start());
    other.add_undecided(PATIENT, 10006);
    let token = other.make_invitation(PATIENT);
    let ours = scene.jhe.make_invitation(PATIENT);
    let form = scene.browser.get(&scene.link(&ours)).hidden("/clients/ow/redeem");
    let form_token = form.iter().find(|(name, _)| name == "form_token").unwrap().1.clone();
    for host in [
        format!("127.0.0.1:{}", other.port),
        "evil.example.org".into(),
        format!("127.0.0.1:{}@evil", scene.jhe.port),
    ] {
        let code = format!("{host}_{token}");
        let escaped: String = form_urlencoded::byte_serialize(code.as_bytes()).collect();
        let opened = scene.browser.get(&format!("/clients/ow/launch?code={escaped}"));
        assert_eq!((opened.status, opened.heading()), (400, "This link belongs elsewhere"), "{host}");
        let sent = scene.browser.post("/clients/ow/redeem", &[("code", &code), ("form_token", &form_token)]);
        assert_eq!((sent.status, sent.heading()), (400, "This link belongs elsewhere"), "{host}");
    }
    assert_eq!((other.state().people.redeemed, scene.jhe.state().people.redeemed), (0, 0));
}

#[test]
fn each_outcome_of_an_invitation_has_its_own_page() {
    let scene = Scene::new();
    for (status, code, title) in [
        (Invited::Reissued, 409, "This link was used already"),
        (Invited::LongRedeemed, 409, "This link was used already"),
        (Invited::Cancelled, 403, "This link no longer works"),
        (Invited::Expired, 410, "This link is too old"),
    ] {
        let token = scene.jhe.make_invitation(PATIENT);
        scene.jhe.set_invitation(&token, status);
        let went = scene.go_on(&token);
        assert_eq!((went.status, went.heading()), (code, title), "{}", went.body);
    }
    let unknown = scene.go_on("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!((unknown.status, unknown.heading()), (404, "We do not know this link"));
}

#[test]
fn an_outage_of_jhe_does_not_use_up_the_link() {
    let scene = Scene::new();
    let token = scene.jhe.make_invitation(PATIENT);
    scene.jhe.state().consents_broken = true;
    let went = scene.go_on(&token);
    assert_eq!((went.status, went.heading()), (503, "This does not work at the moment"));
    scene.jhe.state().consents_broken = false;
    assert_eq!(scene.go_on(&token).status, 303);
}

#[test]
fn choices_are_saved_at_jhe_in_its_own_format() {
    let scene = Scene::new();
    let agreed = scene.agree();
    assert_eq!((agreed.status, agreed.location()), (303, "/clients/ow/connect"), "{}", agreed.body);
    assert_eq!(scene.saved(), [("POST".to_owned(), true)]);
    scene.jhe.state().people.now = scene.world.now.plus(FIVE_MINUTES);
    let sure = scene.manage("/clients/ow/withdraw", &[]);
    assert_eq!(sure.heading(), "Stop sharing heart rate?");
    let fields = sure.hidden("/clients/ow/withdraw");
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let stopped = scene.browser.post("/clients/ow/withdraw", &fields);
    assert_eq!(
        (stopped.status, stopped.location()),
        (303, "/clients/ow/manage?done=withdrawn&what=omh%3Aheart-rate%3A2.0"),
        "{}",
        stopped.body
    );
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    assert!(shown.contains("withdrawn"), "{shown}");
    let again = scene.manage("/clients/ow/grant", &[]);
    assert_eq!((again.status, again.location()), (303, "/clients/ow/manage?done=granted"), "{}", again.body);
    let answers = [("POST", true), ("PATCH", false), ("PATCH", true)];
    assert_eq!(scene.saved(), answers.map(|(method, yes)| (method.to_owned(), yes)));
    let page = scene.served.operator(&scene.world).get("/admin/patients/1");
    assert_eq!(page.body.matches("/consents/").count(), 2, "the text of each grant is kept: {}", page.body);
}

#[test]
fn refusing_everything_saves_nothing() {
    let scene = Scene::new();
    scene.come_in();
    let nothing = scene.browser.submit("/clients/ow/ask", "/clients/ow/answer", &[("answer", "agree")]);
    assert_eq!(nothing.status, 400);
    assert!(nothing.body.contains("Nothing is ticked"), "{}", nothing.body);
    let declined = scene.browser.submit("/clients/ow/ask", "/clients/ow/answer", &[("answer", "decline")]);
    assert_eq!(declined.heading(), "You agreed to nothing new");
    assert_eq!(scene.saved(), []);
}

#[test]
fn a_consent_text_changed_at_jhe_must_be_read_again() {
    let scene = Scene::new();
    let form = scene.come_in().hidden("/clients/ow/answer");
    scene.jhe.state().people.description = "To sell them".to_owned();
    let mut fields: Vec<(&str, &str)> =
        form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let study = form.iter().find(|(name, _)| name == "wording").unwrap().1.split(':').next().unwrap();
    let scope = format!("{study}:{HEART_RATE}");
    fields.extend([("scope", scope.as_str()), ("answer", "agree")]);
    let sent = scene.browser.post("/clients/ow/answer", &fields);
    assert_eq!(sent.status, 400);
    assert!(
        sent.body.contains("The text has changed") && sent.body.contains("To sell them"),
        "{}",
        sent.body
    );
    assert_eq!(scene.saved(), []);
}

#[test]
fn scopes_no_device_delivers_are_listed_and_not_asked() {
    let scene = Scene::new();
    scene.jhe.state().people.asks.push("omh:rr-interval:1.0".to_owned());
    let asks = scene.come_in();
    assert!(asks.body.contains("no device here delivers: Time between heartbeats"), "{}", asks.body);
    assert!(!asks.body.contains("omh:rr-interval:1.0\""), "{}", asks.body);
}

#[test]
fn the_ow_user_is_made_through_jhe_where_jhe_has_an_ow() {
    let scene = Scene::new();
    scene.jhe.state().people.ow = Some((scene.world.sim.url(), scene.world.sim.key()));
    scene.agree();
    let left = scene.browser.get("/clients/ow/leave?provider=oura");
    assert_eq!(left.status, 200, "{}", left.body);
    let named = scene.jhe.state().people.identifiers[&PATIENT].clone();
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    assert!(named.starts_with("ow:") && shown.contains(&named), "{named} {shown}");
}

#[test]
fn both_ways_to_create_an_ow_user_give_the_same_user() {
    let scene = Scene::new();
    scene.agree();
    assert_eq!(scene.browser.get("/clients/ow/leave?provider=oura").status, 200);
    assert!(scene.jhe.state().people.identifiers.is_empty());
    let link = |scene: &Scene| {
        let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
        shown.lines().find(|line| line.starts_with("link")).unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let directly = link(&scene);
    scene.jhe.state().people.ow = Some((scene.world.sim.url(), scene.world.sim.key()));
    assert_eq!(scene.browser.get("/clients/ow/leave?provider=oura").status, 200);
    assert_eq!(scene.jhe.state().people.identifiers[&PATIENT], directly);
    assert_eq!(link(&scene), directly);
    assert_eq!(scene.users().len(), 2, "JHE requests the user the second time");
}

#[test]
fn a_token_that_has_ended_is_renewed_once() {
    let scene = Scene::new();
    scene.agree();
    scene.jhe.state().people.end_access();
    let sure = scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    assert_eq!(sure.status, 303, "{}", sure.body);
    assert_eq!(scene.jhe.state().people.refreshed, 1);
    assert_eq!(scene.manage("/clients/ow/grant", &[]).status, 303);
    assert_eq!(scene.jhe.state().people.refreshed, 1);
}

#[test]
fn tokens_are_sealed_and_outlive_the_process() {
    let scene = Scene::new();
    scene.agree();
    let mut stored = Vec::new();
    for name in names(&scene.world.data_dir()) {
        let path = scene.world.data_dir().join(name);
        let backups = if path.is_dir() { names(&path) } else { Vec::new() };
        let files = backups.into_iter().map(|name| path.join(name)).chain([path.clone()]);
        for file in files.filter(|file| file.is_file()) {
            stored.extend(std::fs::read(file).unwrap());
        }
    }
    for secret in ["person-", "refresh-"] {
        assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    let scene = scene.restart();
    assert_eq!(scene.manage("/clients/ow/withdraw", &[("sure", "yes")]).status, 303);
    let again = scene.manage("/clients/ow/grant", &[]);
    assert_eq!((again.status, again.location()), (303, "/clients/ow/manage?done=granted"), "{}", again.body);
}

#[test]
fn withdrawal_is_possible_without_a_key_or_token() {
    let scene = Scene::with(&[]);
    scene.agree();
    let scene = scene.restart();
    let stopped = scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    assert_eq!(
        (stopped.status, stopped.location()),
        (303, "/clients/ow/manage?done=withdrawn&what=omh%3Aheart-rate%3A2.0"),
        "{}",
        stopped.body
    );
    assert_eq!(scene.saved().last(), Some(&("PATCH".to_owned(), false)));
    let again = scene.manage("/clients/ow/grant", &[]);
    assert_eq!((again.status, again.heading()), (401, "Please open a link of your study again"));
    scene.come_in();
    assert_eq!(scene.manage("/clients/ow/grant", &[]).status, 303);
}

#[test]
fn a_withdrawal_that_jhe_refuses_is_reported() {
    let scene = Scene::new();
    scene.agree();
    let form = scene.browser.get("/clients/ow/manage").hidden("/clients/ow/withdraw");
    scene.jhe.state().consents_broken = true;
    let mut fields: Vec<(&str, &str)> =
        form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("sure", "yes"));
    let stopped = scene.browser.post("/clients/ow/withdraw", &fields);
    assert_eq!((stopped.status, stopped.heading()), (503, "This does not work at the moment"));
    assert!(!scene.world.run(&["patient", "show", "jhe:40001"]).stdout.contains("withdrawn"));
}

#[test]
fn jhe_makes_the_links_to_its_patients() {
    let scene = Scene::new();
    let made = scene.world.run(&["invite", "--patient-id", "40001"]);
    assert_eq!(made.code, 0, "{made:?}");
    let link = made.stdout.trim();
    assert!(
        link.starts_with(&format!("{}/clients/ow/launch?code=127.0.0.1%3A", scene.served.url())),
        "{link}"
    );
    assert!(made.stderr.contains("for P40001 Doe"), "{made:?}");
    let went = scene.browser.submit(link, "/clients/ow/redeem", &[]);
    assert_eq!(went.status, 303, "{}", went.body);
    let operator = scene.served.operator(&scene.world);
    let page = operator.submit("/admin/patients/1", "/admin/patients/1/invite", &[]);
    assert_eq!(page.status, 200, "{}", page.body);
    assert_ne!(page.secret(), link);
    let went = scene.browser.submit(&page.secret(), "/clients/ow/redeem", &[]);
    assert_eq!(went.status, 303, "{}", went.body);
    let page = operator.get("/admin/patients/1").body;
    let invitations = between(&page, "id=\"invitations\"", "</section>").unwrap();
    assert_eq!(invitations.matches("used").count(), 2, "both invitations are shown as used: {invitations}");
}

#[test]
fn a_failed_invitation_of_jhe_names_what_is_missing() {
    let scene = Scene::new();
    scene.jhe.hide(PATIENT, true);
    let hidden = scene.world.run(&["invite", "--patient-id", "jhe:40001"]);
    assert_eq!((hidden.code, hidden.stdout.as_str()), (1, ""), "{hidden:?}");
    assert!(hidden.stderr.contains("shares an organization"), "{hidden:?}");
    scene.jhe.hide(PATIENT, false);
    scene.jhe.state().people.invitation_url = Some("https://elsewhere.example.org/?code=CODE".to_owned());
    let elsewhere = scene.world.run(&["invite", "--patient-id", "jhe:40001"]);
    assert_eq!(elsewhere.code, 1, "{elsewhere:?}");
    let wanted = format!("with the invitationUrl {}/clients/ow/launch?code=CODE", scene.served.url());
    assert!(elsewhere.stderr.contains(&wanted), "{elsewhere:?}");
}

/// The operators' test table with JHE: withdraw, poll, 0 created; grant, new sample, poll, 1; poll again, 0; delivered
/// once.
#[test]
fn an_invitation_of_jhe_leads_to_observations_at_jhe() {
    let mut scene = Scene::new();
    scene.agree();
    let buttons = provider_buttons(&scene.browser);
    let back = scene.browser.get(&buttons["agree"]);
    let complete = scene.browser.get(back.location());
    assert_eq!(complete.heading(), "Successfully Connected", "{}", complete.body);
    let shown = scene.world.run(&["patient", "show", "jhe:40001"]).stdout;
    let user = between(&shown, "ow:", "\n").unwrap().to_owned();
    scene.world.sim.put(&user, scene.world.now.minus(HOUR), 60.0);
    scene.world.pass(FIVE_MINUTES);
    assert_eq!(scene.world.created(), 1);
    scene.jhe.state().people.now = scene.world.now;
    scene = scene.restart();
    assert_eq!(scene.manage("/clients/ow/withdraw", &[("sure", "yes")]).status, 303);
    scene.world.pass(FIVE_MINUTES);
    scene.world.sim.put(&user, scene.world.now.minus(FIVE_MINUTES / 2), 61.0);
    assert_eq!(scene.world.created(), 0);
    scene.world.pass(FIVE_MINUTES);
    scene.jhe.state().people.now = scene.world.now;
    scene = scene.restart();
    assert_eq!(scene.manage("/clients/ow/grant", &[]).status, 303);
    scene.world.pass(FIVE_MINUTES);
    scene.world.sim.put(&user, scene.world.now.minus(FIVE_MINUTES / 2), 62.0);
    assert_eq!(scene.world.created(), 1);
    assert_eq!(scene.world.created(), 0);
    let ran = scene.world.run(&["export"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let values: Vec<f64> = scene
        .jhe
        .state()
        .kept
        .iter()
        .map(|kept| kept.document["body"]["heart_rate"]["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values, [60.0, 62.0], "samples measured during the withdrawal are not stored");
}

#[test]
fn a_link_that_the_launch_page_would_not_take_is_not_handed_out() {
    let mut scene = Scene::new();
    scene.come_in();
    let (here, other) = (scene.jhe.url(), format!("http://localhost:{}", scene.jhe.port));
    scene.world.set("JHE_BASE_URL", &other);
    let mut scene = scene.restart();
    let refused = scene.world.run(&["invite", "--patient-id", "40001"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
    let named =
        format!("a link to 127.0.0.1:{}, but the daemon accepts links to {other} only", scene.jhe.port);
    let next = format!("set JHE_PUBLIC_URL to {here} if browsers reach JHE there");
    assert!(refused.stderr.contains(&named) && refused.stderr.contains(&next), "{refused:?}");
    let operator = scene.served.operator(&scene.world);
    let page = operator.submit("/admin/patients/1", "/admin/patients/1/invite", &[]);
    assert_eq!((page.status, page.heading()), (502, "JHE made no link"), "{}", page.body);
    assert!(page.body.contains("JHE_PUBLIC_URL") && !page.body.contains("code="), "{}", page.body);
    scene.world.set("JHE_PUBLIC_URL", &here);
    let scene = scene.restart();
    let made = scene.world.run(&["invite", "--patient-id", "40001"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(scene.browser.get(made.stdout.trim()).heading(), "Your study invites you");
}

#[test]
fn what_keeps_an_invitation_from_being_made_has_its_own_remedy() {
    let scene = Scene::new();
    scene.jhe.state().trouble = Some(Box::new(|_| Some(Fault::Status(503))));
    let away = scene.world.run(&["invite", "--patient-id", "jhe:40001"]);
    assert_eq!(away.code, 1, "{away:?}");
    assert!(
        away.stderr.contains("see that JHE runs") && !away.stderr.contains("number is right"),
        "{away:?}"
    );
}

#[test]
fn a_patient_invited_by_jhe_is_not_shown_as_uninvited() {
    let scene = Scene::new();
    let made = scene.world.run(&["invite", "--patient-id", "40001"]);
    assert_eq!(made.code, 0, "{made:?}");
    let taken = scene.world.run(&["patient", "add", "--jhe-patient", "40001"]);
    assert_eq!(taken.code, 0, "{taken:?}");
    let page = scene.served.operator(&scene.world).get("/admin/patients/1").body;
    assert!(
        page.contains("No invitation is recorded here") && !page.contains("was not invited yet"),
        "{page}"
    );
    assert!(page.contains("Invite the patient") && !page.contains("Enrol the patient"), "{page}");
}
