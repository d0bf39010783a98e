//! From consent to a connected device and back. A connection counts when OW confirms it, and no failure loses anything.

use crate::support::harness::*;
use crate::support::running_daemon::*;

struct Scene {
    world: World,
    served: Served,
    operator: Visitor,
    study: String,
    patient: String,
    browser: Visitor,
}

impl Scene {
    /// Creates a patient who has agreed; the provider redirects through the daemon.
    fn new() -> Self {
        let world = World::new();
        let served = Served::start(&world);
        world.sim.set_api_base(&served.url());
        let operator = served.operator(&world);
        let study = make_study(&operator, "Sleep");
        let patient = make_patient(&operator, "P-1", &study);
        let browser = served.visitor();
        assert_eq!(agree(&browser, &invite(&operator, &patient), &study).status, 303);
        Self { world, served, operator, study, patient, browser }
    }

    /// Opens the provider's page, presses a button there, and follows the redirect.
    fn press(&self, button: &str) -> Answer {
        let buttons = provider_buttons(&self.browser);
        let back = self.browser.get(&buttons[button]);
        assert_eq!(back.status, 303, "{}", back.body);
        self.browser.get(back.location())
    }

    fn state(&self) -> String {
        let page = self.operator.get(&format!("/admin/patients/{}", self.patient)).body;
        let badge = between(&page, "<dt>State</dt><dd>", "</dd>").unwrap();
        badge.rsplit("</span>").nth(1).unwrap().trim().to_owned()
    }

    /// Presses a button of "Your choices".
    fn manage(&self, action: &str, more: &[(&str, &str)]) -> Answer {
        self.browser.submit("/clients/ow/manage", action, more)
    }
}

#[test]
fn the_practitioner_sees_every_step_of_the_enrolment() {
    let world = World::new();
    let served = Served::start(&world);
    world.sim.set_api_base(&served.url());
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, "P-1", &study);
    let browser = served.visitor();
    let scene = Scene { world, served, operator, study, patient, browser };
    assert_eq!(scene.state(), "added");
    let link = invite(&scene.operator, &scene.patient);
    assert_eq!(scene.state(), "invited");
    agree(&scene.browser, &link, &scene.study);
    assert_eq!(scene.state(), "consented");
    assert_eq!(
        scene.browser.get("/clients/ow/connect").location(),
        "/clients/ow/leave?provider=oura",
        "the only provider is chosen automatically"
    );
    let buttons = provider_buttons(&scene.browser);
    assert_eq!(scene.state(), "authorizing");
    let back = scene.browser.get(&buttons["agree"]);
    let complete = scene.browser.get(back.location());
    assert_eq!(complete.heading(), "Successfully Connected");
    assert!(complete.body.contains("Oura is connected"), "{}", complete.body);
    assert_eq!(scene.state(), "connected");
    let asked = scene.manage("/clients/ow/withdraw", &[]);
    assert_eq!(
        asked.heading(),
        "Stop sharing heart rate?",
        "withdrawing the last scope disconnects the device, and the page says so"
    );
    assert_eq!(scene.state(), "connected");
    scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    assert_eq!(scene.state(), "withdrawn");
    assert_eq!(scene.world.sim.connected("oura").len(), 0, "the device is disconnected at OW");
}

#[test]
fn refusal_and_failure_are_distinguished_and_can_be_retried() {
    let scene = Scene::new();
    let refused = scene.press("refuse");
    assert_eq!(refused.heading(), "You did not agree", "{}", refused.body);
    let failed = scene.press("fail");
    assert_eq!(failed.heading(), "That did not work");
    assert!(failed.body.contains("/clients/ow/leave?provider=oura"), "{}", failed.body);
    assert_eq!(scene.press("agree").heading(), "Successfully Connected");
    let audit = scene.operator.get("/admin/audit").body;
    for action in ["device.refused", "device.failed", "device.connected"] {
        assert!(audit.contains(action), "{action}");
    }
}

#[test]
fn a_connection_counts_only_when_ow_lists_it() {
    let scene = Scene::new();
    let lied = scene.browser.get("/clients/ow/complete?provider=oura&result=connected");
    assert_ne!(lied.heading(), "Successfully Connected");
    scene.press("agree");
    let user = scene.world.sim.connected("oura").pop().unwrap();
    scene.world.sim.end_connection(&user, "oura");
    let page = scene.browser.get("/clients/ow/complete?provider=oura&result=connected");
    assert_eq!(page.heading(), "Not connected yet");
    scene.world.sim.set_users_broken(Some(500));
    let page = scene.browser.get("/clients/ow/complete?provider=oura");
    assert_eq!(page.heading(), "We cannot tell at the moment");
}

#[test]
fn the_return_is_the_same_where_browsers_reach_ow_directly() {
    let scene = Scene::new();
    scene.world.sim.set_api_base(&scene.world.sim.url());
    let complete = scene.press("agree");
    assert_eq!(complete.heading(), "Successfully Connected", "{}", complete.body);
}

#[test]
fn an_oauth_state_is_bound_to_its_browser_and_single_use() {
    let scene = Scene::new();
    let buttons = provider_buttons(&scene.browser);
    for _ in 0..5 {
        assert_eq!(provider_buttons(&scene.browser), buttons, "a repeated request reuses the same state");
    }
    let rows = "SELECT count(*) FROM authorizations UNION ALL \
                SELECT count(*) FROM audit_entries WHERE action = 'device.authorize'";
    let db = rusqlite::Connection::open(scene.world.database()).unwrap();
    let mut query = db.prepare(rows).unwrap();
    let rows: Vec<i64> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(rows[0] == 1 && rows[1] <= 2, "one state exists and repeats are counted: {rows:?}");
    let stranger = scene.served.visitor();
    let stolen = stranger.get(&buttons["agree"]);
    assert_eq!((stolen.status, stolen.heading()), (400, "This return link no longer works"));
    assert_eq!(scene.world.sim.connected("oura").len(), 0, "OW gets no request");
    assert_eq!(scene.browser.get(&buttons["agree"]).status, 303);
    let replayed = scene.browser.get(&buttons["agree"]);
    assert_eq!(replayed.status, 400, "{}", replayed.body);
    for forged in ["state=made-up&code=x", "state=&code=x", "code=x", ""] {
        let answer = scene.browser.get(&format!("/api/v1/oauth/oura/callback?{forged}"));
        assert_eq!(answer.status, 400, "{forged}");
    }
    let elsewhere = provider_buttons(&scene.browser)["agree"].replace("/oura/", "/garmin/");
    assert_eq!(scene.browser.get(&elsewhere).status, 400, "the state belongs to another provider");
    assert!(scene.operator.get("/admin/audit").body.contains("state of another browser"));
}

#[test]
fn an_expired_oauth_state_is_reported() {
    let mut scene = Scene::new();
    let buttons = provider_buttons(&scene.browser);
    let port = scene.served.port;
    scene.served.stop("TERM");
    scene.world.pass(FIVE_MINUTES * 4);
    let served = Served::on(&scene.world, port, &[]);
    let late = scene.browser.get(&buttons["agree"]);
    assert_eq!((late.status, late.heading()), (400, "This return link no longer works"));
    served.stop("TERM");
}

#[test]
fn an_ow_outage_at_any_step_is_reported_and_the_session_continues() {
    let scene = Scene::new();
    scene.world.sim.set_oauth_broken(Some(500));
    let connect = scene.browser.get("/clients/ow/connect");
    assert_eq!(connect.status, 503, "the providers cannot be listed: {}", connect.body);
    for (users, oauth) in [(Some(500), None), (None, Some(500))] {
        scene.world.sim.set_users_broken(users);
        scene.world.sim.set_oauth_broken(oauth);
        let leave = scene.browser.get("/clients/ow/leave?provider=oura");
        assert_eq!(
            (leave.status, leave.heading()),
            (503, "This does not work at the moment"),
            "{}",
            leave.body
        );
        assert!(leave.body.contains("Your answer is saved"));
    }
    scene.world.sim.set_users_broken(None);
    scene.world.sim.set_oauth_broken(None);
    let buttons = provider_buttons(&scene.browser);
    scene.world.sim.set_oauth_broken(Some(500));
    let back = scene.browser.get(&buttons["agree"]);
    assert_eq!(scene.browser.get(back.location()).heading(), "That did not work");
    scene.world.sim.set_oauth_broken(None);
    scene.world.sim.set_users_broken(Some(500));
    assert!(scene.browser.get("/clients/ow/manage").body.contains("We cannot find out at the moment"));
    let withdrawn = scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    assert_eq!(withdrawn.status, 303, "a patient can always withdraw");
    scene.world.sim.set_users_broken(None);
    scene.manage("/clients/ow/grant", &[]);
    assert_eq!(scene.press("agree").heading(), "Successfully Connected");
}

#[test]
fn a_provider_without_credentials_is_not_offered() {
    let scene = Scene::new();
    scene.world.sim.set_configured(&[]);
    let none = scene.browser.get("/clients/ow/connect");
    assert_eq!((none.status, none.heading()), (503, "No device can be connected at the moment"));
    scene.world.sim.set_configured(&["oura", "garmin"]);
    let only = scene.browser.get("/clients/ow/connect");
    assert_eq!(only.location(), "/clients/ow/leave?provider=oura", "the study accepts Oura only");
    for not_offered in ["garmin", "polar", "nosuch"] {
        let leave = scene.browser.get(&format!("/clients/ow/leave?provider={not_offered}"));
        assert_eq!(leave.location(), "/clients/ow/connect", "{not_offered}");
    }
}

#[test]
fn several_providers_are_offered_as_a_choice() {
    let scene = Scene::new();
    scene.world.sim.set_configured(&["oura", "garmin"]);
    let page = format!("/admin/studies/{}/settings", scene.study);
    let fields =
        [("name", "Sleep"), ("organization", "A"), ("purpose", "B"), ("contact", "C"), ("scope", HEART_RATE)];
    assert_eq!(scene.operator.submit(&page, &page, &fields).status, 303);
    let choice = scene.browser.get("/clients/ow/connect");
    assert!(choice.body.contains("Garmin") && choice.body.contains("Oura"), "{}", choice.body);
    assert!(!choice.body.contains("Apple"), "a provider without OAuth has no button");
    let chosen =
        scene.browser.submit("/clients/ow/connect", "/clients/ow/connect", &[("provider", "garmin")]);
    assert_eq!(chosen.location(), "/clients/ow/leave?provider=garmin");
}

#[test]
fn a_patient_downloads_all_data_and_returns_by_a_new_link() {
    let scene = Scene::new();
    scene.press("agree");
    let user = scene.world.sim.connected("oura").pop().unwrap();
    scene.world.sim.fill(&user, scene.world.now.minus(HOUR), scene.world.now, FIVE_MINUTES, 1);
    assert_eq!(scene.world.created(), 12);
    let data = scene.browser.get("/clients/ow/data").body;
    assert!(data.contains("<svg") && data.contains("12 samples") && data.contains("bpm"), "{data}");
    let lines = scene.browser.get("/clients/ow/data.ndjson");
    assert_eq!(lines.body, scene.world.run(&["observations", "--patient-id", &scene.patient]).stdout);
    let table = scene.browser.get("/clients/ow/data.csv");
    assert_eq!(table.body.lines().count(), 13, "{}", table.body);
    let again = scene.served.visitor();
    let link = invite(&scene.operator, &scene.patient);
    assert_eq!(again.get(&link).heading(), "Welcome back");
    again.submit(&link, "/clients/ow/agree", &[]);
    let manage = again.get("/clients/ow/manage").body;
    assert!(
        manage.contains("Connected: Oura") && manage.contains("Last measurement that arrived"),
        "{manage}"
    );
    again.submit("/clients/ow/manage", "/clients/ow/disconnect", &[]);
    assert_eq!(scene.world.sim.connected("oura").len(), 0);
    again.submit("/clients/ow/manage", "/clients/ow/sign-out", &[]);
    assert_eq!(again.get("/clients/ow/manage").status, 401);
}

#[test]
fn a_backfill_from_the_page_shows_its_result_and_reads_nothing_that_the_patient_did_not_agree_to() {
    let scene = Scene::new();
    // The patient agreed to the last day; a larger setting applies to later patients.
    scene.world.setting("ow.first_connect_window", "10d");
    scene.press("agree");
    let user = scene.world.sim.connected("oura").pop().unwrap();
    scene.world.sim.fill(&user, scene.world.now.minus(DAY * 20), scene.world.now, HOUR, 1);
    let page = format!("/admin/patients/{}", scene.patient);
    let wrong = scene.operator.submit(&page, &format!("{page}/backfill"), &[("days", "0")]);
    assert_eq!(wrong.status, 400);
    let started = scene.operator.submit(&page, &format!("{page}/backfill"), &[("days", "20")]);
    assert_eq!(started.status, 303, "{}", started.body);
    let ended = || scene.operator.get(&page).body.contains("Created ");
    until("the backfill has ended", ended);
    let kept = scene.world.kept(&scene.patient).len();
    assert!((23..=24).contains(&kept), "{kept} of 480 hours are stored");
}

#[test]
fn polls_from_pages_are_queued_while_another_run_holds_the_lock_and_stay_until_dismissed() {
    let world = World::new();
    world.setting("ow.poll_interval", "1h");
    let people: Vec<(String, String)> = (0..3).map(|_| world.patient()).collect();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the first tick has ended", || operator.get("/admin/system").body.contains("OW poll complete"));
    for (user, _) in &people {
        world.sim.fill(user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    }
    world.setting("ow.sync_in_progress", &world.now.to_string());
    let page = |patient: &str| format!("/admin/patients/{patient}");
    for (_, patient) in &people {
        let page = page(patient);
        for _ in 0..3 {
            assert_eq!(operator.submit(&page, &format!("{page}/poll"), &[]).status, 303);
        }
        let days = [("days", "2")];
        assert_eq!(operator.submit(&page, &format!("{page}/backfill"), &days).status, 303);
        until("the polls are queued", || operator.get(&page).body.contains("Waits for its turn"));
    }
    world.setting("ow.sync_in_progress", "");
    for (user, patient) in &people {
        let body = || operator.get(&page(patient)).body;
        until("all queued polls have ended", || {
            !body().contains("Waits for its turn") && !body().contains("<progress")
        });
        let shown = body();
        assert!(!shown.contains("skipped") && shown.matches("Created ").count() >= 2, "{shown}");
        assert_eq!(world.kept(patient), world.sim.heart_rates(user));
        // A later tick removes no result.
        assert_eq!(world.poll().code, 0);
        assert!(body().contains("Backfill of 2 days"));
        let dismissed = format!("{}/dismiss-results", page(patient));
        assert_eq!(operator.submit(&page(patient), &dismissed, &[]).status, 303);
        let kept = body();
        assert!(!kept.contains("Backfill of 2 days"), "{kept}");
        for words in [
            "Asked for a sync",
            "Asked for a backfill of 2 days",
            "Result of the sync: ",
            " new observations",
        ] {
            assert!(kept.contains(words), "the history keeps “{words}”: {kept}");
        }
    }
}

#[test]
fn a_patient_ow_has_lost_reconnects_and_keeps_the_history() {
    let mut scene = Scene::new();
    scene.press("agree");
    let first = scene.world.sim.connected("oura").pop().unwrap();
    scene.world.sim.put(&first, scene.world.now.minus(HOUR), 60.0);
    assert_eq!(scene.world.created(), 1);
    scene.world.sim.remove_user(&first);
    scene.world.pass(DAY);
    scene.world.poll();
    assert_eq!(scene.state(), "needs relink");
    let page = scene.operator.get("/admin/patients").body;
    assert!(page.contains("invite the patient again"), "{page}");
    assert_eq!(scene.press("agree").heading(), "Successfully Connected");
    let second = scene.world.sim.connected("oura").pop().unwrap();
    assert_ne!(first, second, "OW created another user");
    assert_eq!(scene.state(), "connected");
    scene.world.sim.put(&second, scene.world.now.minus(HOUR * 25), 60.0);
    scene.world.sim.put(&second, scene.world.now.minus(HOUR), 61.0);
    assert_eq!(scene.world.created(), 1, "the first sample keeps its identity after the reconnection");
}

#[test]
fn a_consent_recorded_by_hand_is_shown_and_can_be_withdrawn() {
    let scene = Scene::new();
    scene.world.consent(&scene.patient, "--grant");
    let page = scene.browser.get("/clients/ow/manage").body;
    assert_eq!(page.matches("You have shared this since").count(), 2, "{page}");
    let asked = scene.manage("/clients/ow/withdraw", &[]);
    assert!(
        asked.heading() == "Stop sharing heart rate?" && !asked.body.contains("disconnect"),
        "{}",
        asked.body
    );
    assert_eq!(scene.manage("/clients/ow/withdraw", &[("sure", "yes")]).status, 303);
    let page = scene.browser.get("/clients/ow/manage");
    assert_eq!(page.body.matches("You have shared this since").count(), 1);
    let fields = [("sure", "yes")];
    assert_eq!(scene.browser.submit("/clients/ow/manage", "/clients/ow/withdraw", &fields).status, 303);
    assert_eq!(scene.browser.get("/clients/ow/manage").body.matches("You have shared this since").count(), 0);
}

#[test]
fn a_withdrawal_during_authorization_connects_nothing() {
    let scene = Scene::new();
    let buttons = provider_buttons(&scene.browser);
    scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    assert_eq!(scene.browser.get(&buttons["agree"]).status, 400);
    assert_eq!(scene.world.sim.connected("oura").len(), 0);
    assert_eq!(scene.state(), "withdrawn");
    assert_eq!(scene.browser.get("/clients/ow/leave?provider=oura").status, 403);
}

#[test]
fn a_withdrawn_patient_causes_no_call_to_ow_from_any_page() {
    let scene = Scene::new();
    scene.press("agree");
    let link = invite(&scene.operator, &scene.patient);
    scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    scene.world.sim.forget_requests();
    let manage = scene.browser.get("/clients/ow/manage").body;
    assert!(manage.contains("No device is connected."), "{manage}");
    let form = manage.as_str();
    let token = between(form, "name=\"form_token\" value=\"", "\"").unwrap();
    for page in ["complete?provider=oura", "complete?provider=oura&result=failed", "complete"] {
        let page = scene.browser.get(&format!("/clients/ow/{page}"));
        assert!(page.body.contains("You have stopped sharing"), "{}", page.body);
    }
    let leave = scene.browser.get("/clients/ow/leave?provider=oura");
    assert_eq!(leave.status, 403);
    assert!(leave.body.contains("You have stopped sharing"), "{}", leave.body);
    assert_eq!(scene.browser.get("/clients/ow/connect").location(), "/clients/ow/manage");
    assert_eq!(scene.browser.post("/clients/ow/disconnect", &[("form_token", token)]).status, 303);
    let with_provider = [("form_token", token), ("provider", "oura")];
    assert_eq!(scene.browser.post("/clients/ow/connect", &with_provider).status, 303);
    assert_eq!(scene.browser.get("/clients/ow/data").status, 200);
    assert_eq!(scene.browser.get(&link).status, 200);
    assert_eq!(scene.operator.get(&format!("/admin/patients/{}", scene.patient)).status, 200);
    let requests = scene.world.sim.requests();
    assert!(requests.is_empty(), "{requests:?}");
}

#[test]
fn ow_gets_the_checked_parameters_of_a_callback_and_no_others() {
    let scene = Scene::new();
    let back = provider_buttons(&scene.browser)["agree"].clone();
    let victim = provider_buttons(&scene.browser)["agree"].clone();
    let (_, victims_state) = victim.split_once("state=").unwrap();
    scene.world.sim.forget_requests();
    for twice in [format!("{back}&state={victims_state}"), format!("{back}&code=other")] {
        let refused = scene.browser.get(&twice);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.json()["error"].as_str().unwrap().contains("more than once"), "{refused:?}");
    }
    assert!(scene.world.sim.requests().is_empty(), "the state is unused and OW got no request");
    let back = format!("{back}&redirect_uri=https%3A%2F%2Fevil.example.org&user_id=x");
    assert_eq!(scene.browser.get(&back).status, 303);
    let requests = scene.world.sim.requests();
    let callback = requests.iter().find(|seen| seen.path == "/api/v1/oauth/oura/callback").unwrap();
    let names: Vec<String> =
        form_urlencoded::parse(callback.query.as_bytes()).map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["code", "state"]);
}

#[test]
fn a_failed_disconnection_is_retried() {
    let mut scene = Scene::new();
    scene.press("agree");
    scene.world.sim.set_users_broken(Some(500));
    let told = scene.manage("/clients/ow/withdraw", &[("sure", "yes")]);
    assert_eq!(told.location(), "/clients/ow/manage?done=still-connected&what=omh%3Aheart-rate%3A2.0");
    assert!(scene.browser.get(told.location()).body.contains("We try again until it works"));
    assert_eq!(scene.world.sim.connected("oura").len(), 1);
    scene.world.sim.set_users_broken(None);
    let port = scene.served.port;
    scene.served.stop("TERM");
    scene.world.setting("ow.poll_interval", "1s");
    scene.served = Served::on(&scene.world, port, &[]);
    until("the device is disconnected", || scene.world.sim.connected("oura").is_empty());
    assert_eq!(scene.state(), "withdrawn");
}

#[test]
fn a_refusal_ends_the_pending_authorization() {
    let scene = Scene::new();
    let buttons = provider_buttons(&scene.browser);
    assert_eq!(scene.state(), "authorizing");
    scene.browser.get(&buttons["refuse"]);
    assert_eq!(scene.state(), "consented");
}

#[test]
fn the_connections_of_another_user_of_ow_are_refused() {
    let mut scene = Scene::new();
    scene.press("agree");
    let user = scene.world.sim.connected("oura").pop().unwrap();
    assert_eq!(scene.state(), "connected");
    // OW, or a cache before it, answers with another user's connections.
    let other = scene.world.sim.add_user();
    scene.world.sim.connect(&other, "oura");
    scene.world.sim.mix_up_connections(&user, &other);
    scene.world.pass(DAY);
    let ran = scene.world.poll();
    assert!(ran.stderr.contains("connections of another user"), "{ran:?}");
    assert_eq!(scene.state(), "connected", "the other user's connection does not count for this patient");
}
