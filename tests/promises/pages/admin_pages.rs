//! The practitioners' pages: settings, lists, and errors of invalid forms.

use crate::support::harness::*;
use crate::support::running_daemon::*;

#[test]
fn settings_are_checked_where_they_are_typed() {
    let mut world = World::new();
    world.set("JHE_OW_SECRET_KEY", &"0123456789".repeat(4));
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let set = |key: &str, more: &[(&str, &str)]| {
        let token = operator.get("/admin/settings").hidden("/admin/settings")[0].1.clone();
        let fields = [&[("form_token", token.as_str()), ("key", key)], more].concat();
        operator.post("/admin/settings", &fields)
    };
    let wrong = set("ow.poll_interval", &[("value", "0s")]);
    assert_eq!(wrong.status, 400);
    for part in
        ["href=\"#ow.poll_interval\"", "give a time from 1s to 1d", "value=\"0s\"", "aria-invalid=\"true\""]
    {
        assert!(wrong.body.contains(part), "{part}: {}", wrong.body);
    }
    let saved = set("ow.poll_interval", &[("value", "900s")]);
    assert_eq!(saved.location(), "/admin/settings?done=ow.poll_interval#ow.poll_interval");
    assert_eq!(world.run(&["settings", "get", "ow.poll_interval"]).stdout, "15m\n");
    set("ow.poll_interval", &[("unset", "yes")]);
    assert!(world.run(&["settings", "list"]).stdout.contains("ow.poll_interval = 15m  (default)"));
    assert_eq!(set("no.such", &[("value", "1")]).status, 400);
    set("ow.s3.secret_access_key", &[("value", "hush-hush")]);
    assert!(!operator.get("/admin/settings").body.contains("hush-hush"), "the page must not show the secret");
    assert!(!operator.get("/admin/audit").body.contains("hush-hush"));
}

#[test]
fn the_lock_can_be_seen_and_cleared() {
    let world = World::new();
    world.setting("module.ow", "false");
    let served = Served::start(&world);
    let operator = served.operator(&world);
    assert!(operator.get("/admin/settings").body.contains("No sync is running."));
    world.setting("ow.sync_in_progress", &world.now.minus(FIVE_MINUTES).to_string());
    let page = operator.get("/admin/settings").body;
    assert!(page.contains("it renewed its lock") && page.contains("Clear the lock"), "{page}");
    let token = operator.get("/admin/settings").hidden("/admin/settings")[0].1.clone();
    let clear = [("form_token", token.as_str()), ("key", "ow.sync_in_progress"), ("value", "")];
    assert_eq!(operator.post("/admin/settings", &clear).status, 303);
    assert_eq!(world.lock(), "");
}

#[test]
fn an_invalid_form_shows_its_errors_and_keeps_the_input() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let fields = [("name", "P-1"), ("email", "nobody"), ("tz", "Mars/Olympus")];
    let wrong = operator.submit("/admin/patients/new", "/admin/patients/new", &fields);
    assert_eq!(wrong.status, 400);
    for part in ["value=\"P-1\"", "name@example.org", "there is no time zone", "href=\"#tz\""] {
        assert!(wrong.body.contains(part), "{part}: {}", wrong.body);
    }
    let study = make_study(&operator, "Sleep");
    let again =
        [("name", "sleep"), ("organization", "A"), ("purpose", "B"), ("contact", "C"), ("scope", HEART_RATE)];
    let taken = operator.submit("/admin/studies/new", "/admin/studies/new", &again);
    assert!(taken.status == 400 && taken.body.contains("already"), "{}", taken.body);
    let empty = operator.submit("/admin/studies/new", "/admin/studies/new", &[("name", "Other")]);
    assert!(empty.body.contains("tick what patients are asked for"), "{}", empty.body);
    let evil = "<script>alert(1)</script>";
    let patient = make_patient(&operator, evil, &study);
    for path in ["/admin", "/admin/patients", &format!("/admin/patients/{patient}")] {
        assert!(!operator.get(path).body.contains(evil), "{path}");
    }
}

#[test]
fn a_second_patient_of_a_name_is_confirmed_and_the_study_of_the_page_stays() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let new = "/admin/patients/new";
    let from_study = operator.get(&format!("{new}?study={study}")).body;
    assert!(from_study.contains(&format!("value=\"{study}\" checked")), "{from_study}");
    assert!(from_study.contains(&format!("<a href=\"/admin/studies/{study}\">Cancel")), "{from_study}");
    let first = make_patient(&operator, "Ada", &study);
    let fields = [("name", "ada"), ("tz", ""), ("study", &*study)];
    let asked = operator.submit(new, new, &fields);
    assert!(asked.status == 400 && asked.body.contains("a patient has this name already"), "{}", asked.body);
    assert!(asked.body.contains(&format!("<a href=\"/admin/patients/{first}\">")), "{}", asked.body);
    assert!(asked.body.contains("autofocus") && asked.body.contains("(required)"), "{}", asked.body);
    let confirmed = [fields.as_slice(), &[("same-name", "yes")]].concat();
    assert_eq!(operator.submit(new, new, &confirmed).status, 303);
}

#[test]
fn the_audit_is_narrowed_down_by_person_kind_and_day() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    make_patient(&operator, "P-1", &make_study(&operator, "Sleep"));
    let list = |query: &str| operator.get(&format!("/admin/audit?{query}")).body;
    let day = world.now.to_string()[..10].to_owned();
    let found = list(&format!("what=study&who=account+1&from={day}&until={day}"));
    assert!(found.contains(">study.add<") && found.contains(">study.enrol<"), "{found}");
    assert!(!found.contains(">patient.add<"), "{found}");
    assert!(list("what=patient.add").contains(">patient.add<"));
    for none in ["what=stud", "what=%25", "who=account+9", "from=2099-01-01", "until=2000-01-01"] {
        assert!(list(none).contains("There are no such entries."), "{none}");
    }
}

#[test]
fn people_are_found_by_name_or_number() {
    let world = World::new();
    for name in ["Ada", "Grace", "Adele"] {
        world.run(&["patient", "add", "--name", name]);
    }
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let found = |search: &str| {
        let page = operator.get(&format!("/admin/patients?search={search}")).body;
        ["Ada", "Grace", "Adele"].into_iter().filter(|name| page.contains(name)).collect::<Vec<_>>()
    };
    assert_eq!(found("ad"), ["Ada", "Adele"]);
    assert_eq!(found("2"), ["Grace"]);
    assert!(operator.get("/admin/patients?search=x%27--").body.contains("Show all"));
}

#[test]
fn long_lists_are_paged() {
    let world = World::new();
    let (user, patient) = world.patient();
    for minute in 1..=80_u32 {
        let at = world.now.minus(FIVE_MINUTES * minute);
        let wrong = format!(r#"{{"timestamp":"{at}","type":"heart_rate","value":"x{minute}","unit":"bpm"}}"#);
        world.sim.put_verbatim(&user, at, &wrong);
    }
    world.sim.fill(&user, world.now.minus(HOUR * 6), world.now, FIVE_MINUTES, 1);
    world.poll();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    for path in ["/admin/rejected", &format!("/admin/patients/{patient}/observations")] {
        let first = operator.get(path).body;
        let rows = |page: &str| page.matches("<tr>").count() - 1;
        let older = between(&first, "aria-label=\"More\"><p><a class=\"button\" href=\"", "\"").unwrap();
        let second = operator.get(&older.replace("&amp;", "&")).body;
        assert_eq!(
            (rows(&first), rows(&second)),
            (50, if path.contains("rejected") { 30 } else { 22 }),
            "{path}"
        );
        assert!(!second.contains("aria-label=\"More\""));
    }
    for number in 0..60 {
        let zone = if number % 2 == 0 { "UTC" } else { "Europe/Berlin" };
        assert_eq!(world.run(&["patient", "set", &patient, "--tz", zone]).code, 0);
    }
    let audit = operator.get("/admin/audit").body;
    assert!(audit.contains("/admin/audit?before="), "{audit}");
    let of_one = operator.get(&format!("/admin/audit?patient={patient}")).body;
    assert!(of_one.contains(&format!("/admin/audit?patient={patient}&amp;before=")), "{of_one}");
}

#[test]
fn a_withdrawal_from_one_study_leaves_the_others_consent() {
    let mut world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let (one, two) = (make_study(&operator, "Sleep"), make_study(&operator, "Sport"));
    let patient = make_patient(&operator, "P-1", &one);
    let page = format!("/admin/patients/{patient}/edit");
    let both = [("name", "P-1"), ("tz", "UTC"), ("study", one.as_str()), ("study", two.as_str())];
    assert_eq!(operator.submit(&page, &page, &both).status, 303);
    let browser = served.visitor();
    let link = invite(&operator, &patient);
    let (first, second) = (format!("{one}:{HEART_RATE}"), format!("{two}:{HEART_RATE}"));
    let agree = [("scope", first.as_str()), ("scope", second.as_str()), ("answer", "agree")];
    assert_eq!(browser.submit(&link, "/clients/ow/agree", &agree).status, 303);
    world.sim.set_api_base(&served.url());
    let buttons = provider_buttons(&browser);
    browser.get(&buttons["agree"]);
    let manage = browser.get("/clients/ow/manage");
    let token = manage.hidden("/clients/ow/sign-out")[0].1.clone();
    let withdraw = [("form_token", token.as_str()), ("study", &one), ("scope", HEART_RATE), ("sure", "yes")];
    let answer = browser.post("/clients/ow/withdraw", &withdraw);
    assert_eq!(
        answer.location(),
        "/clients/ow/manage?done=shared-elsewhere&what=omh%3Aheart-rate%3A2.0",
        "the other study still shares the data"
    );
    let user = world.sim.connected("oura").pop().expect("still connected");
    world.pass(HOUR);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    assert_eq!(world.created(), 1, "the other study still asks for the scope");
}
