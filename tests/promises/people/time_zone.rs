//! A patient's days follow one time zone: the study's, until the patient or an operator sets another. Contradicting
//! samples are shown, and a correction of the zone moves the affected days.

use std::sync::Mutex;

use jhe_ow::simulator::activity_day::ActivityDay;
use jhe_ow::simulator::samples_table::{Row, Source};

use crate::support::connected_world;
use crate::support::doctor::examine;
use crate::support::harness::*;
use crate::support::jhe_patient;
use crate::support::running_daemon::*;

const STEPS: &str = "omh:step-count:3.0";
const ACTIVITY: &str = "omh:physical-activity:1.2";
const SATURATION: &str = "omh:oxygen-saturation:2.0";

/// Creates a study in a time zone; returns its number.
fn make_study_in(operator: &Visitor, name: &str, zone: &str) -> String {
    let study = make_study(operator, name);
    let page = format!("/admin/studies/{study}/settings");
    let fields = [
        ("name", name),
        ("organization", "Lifespan Lab"),
        ("purpose", "To learn."),
        ("contact", "Ada"),
        ("scope", HEART_RATE),
        ("tz", zone),
    ];
    let saved = operator.submit(&page, &page, &fields);
    assert_eq!(saved.status, 303, "{}", saved.body);
    study
}

/// Enrols a patient, optionally with an own time zone; returns the number.
fn enrol(operator: &Visitor, study: &str, zone: &str) -> String {
    let fields = [("name", "P"), ("same-name", "yes"), ("tz", zone), ("study", study)];
    let made = operator.submit("/admin/patients/new", "/admin/patients/new", &fields);
    assert_eq!(made.status, 303, "{}", made.body);
    between(made.location(), "/admin/patients/", "?").unwrap().to_owned()
}

fn zone_of(world: &World, patient: &str) -> String {
    let shown = world.run(&["patient", "show", patient, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["time_zone"].as_str().unwrap().to_owned()
}

/// Returns the preselected zone of the page's list.
fn proposed(page: &str) -> &str {
    let list = between(page, "<select id=\"tz\"", "</select>").unwrap_or_else(|| panic!("no list in {page}"));
    let (before, _) =
        list.split_once(" selected").unwrap_or_else(|| panic!("no zone is preselected in {list}"));
    before.rsplit_once("value=\"").unwrap().1.trim_end_matches('"')
}

#[test]
fn an_enrolled_patient_gets_the_studys_time_zone_unless_one_was_set() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let (berlin, other) = (
        make_study_in(&operator, "Sleep", "Europe/Berlin"),
        make_study_in(&operator, "Sport", "America/Denver"),
    );
    let page = operator.get(&format!("/admin/studies/{berlin}/settings")).body;
    assert_eq!(proposed(&page), "Europe/Berlin");
    assert!(page.contains("<option>Pacific/Apia</option>") && !page.contains("<script"), "{page}");
    let (new, own) = (enrol(&operator, &berlin, ""), enrol(&operator, &other, "Asia/Tokyo"));
    assert_eq!(
        (zone_of(&world, &new).as_str(), zone_of(&world, &own).as_str()),
        ("Europe/Berlin", "Asia/Tokyo")
    );
    // Saving the form with a new name only sets no zone: the next study's zone still applies.
    let edit = format!("/admin/patients/{new}/edit");
    let page = operator.get(&edit).body;
    let fields = [("name", "Q"), ("tz", proposed(&page)), ("study", &berlin), ("study", &other)];
    assert_eq!(operator.submit(&edit, &edit, &fields).status, 303);
    assert_eq!(zone_of(&world, &new), "America/Denver");
    let undecided = make_study(&operator, "Undecided");
    let fields = [("name", "Q"), ("tz", "America/Denver"), ("study", &undecided)];
    assert_eq!(operator.submit(&edit, &edit, &fields).status, 303);
    assert_eq!(zone_of(&world, &new), "America/Denver", "a study without a zone changes none");
    let wrong = [("name", "Sleep"), ("tz", "Mars/Olympus")];
    let page = format!("/admin/studies/{berlin}/settings");
    assert!(operator.submit(&page, &page, &wrong).body.contains("there is no time zone"));
}

#[test]
fn the_patient_confirms_or_changes_the_time_zone_before_agreeing() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study_in(&operator, "Sleep", "Europe/Berlin");
    let patient = enrol(&operator, &study, "");
    let (link, browser) = (invite(&operator, &patient), served.visitor());
    let page = browser.get(&link).body;
    assert_eq!(proposed(&page), "Europe/Berlin");
    assert!(page.contains("Your time zone") && !page.contains("<script"), "{page}");
    assert!(
        page.find("value=\"Europe/London\"") < page.find("<option>Africa/Cairo"),
        "likely zones come first"
    );
    // A form that is shown again keeps the chosen zone.
    let again = browser.submit(&link, "/clients/ow/agree", &[("tz", "Europe/Paris"), ("answer", "agree")]);
    assert_eq!((again.status, proposed(&again.body)), (400, "Europe/Paris"));
    assert_eq!(zone_of(&world, &patient), "Europe/Berlin", "nothing was granted yet");
    let scope = format!("{study}:{HEART_RATE}");
    let fields = [("scope", scope.as_str()), ("tz", "Europe/Paris"), ("answer", "agree")];
    assert_eq!(browser.submit(&link, "/clients/ow/agree", &fields).status, 303);
    assert_eq!(zone_of(&world, &patient), "Europe/Paris");
    // The zone is now the patient's own.
    let other = make_study_in(&operator, "Sport", "America/Denver");
    let edit = format!("/admin/patients/{patient}/edit");
    operator.submit(&edit, &edit, &[("name", "P"), ("tz", "Europe/Paris"), ("study", &other)]);
    assert_eq!(zone_of(&world, &patient), "Europe/Paris");
    let choices = "/clients/ow/manage";
    assert_eq!(proposed(&browser.get(choices).body), "Europe/Paris");
    let saved = browser.submit(choices, "/clients/ow/time-zone", &[("tz", "Asia/Tokyo")]);
    assert_eq!((saved.status, zone_of(&world, &patient).as_str()), (303, "Asia/Tokyo"));
    let audit = operator.get("/admin/audit").body;
    assert!(audit.contains("patient.time-zone") && !audit.contains("Asia/Tokyo"), "{audit}");
}

#[test]
fn a_patient_of_jhe_says_the_time_zone_too() {
    let scene = jhe_patient::Scene::new();
    let asks = scene.come_in().body;
    assert_eq!(proposed(&asks), "UTC");
    let scope = between(&asks, "name=\"scope\" value=\"", "\"").unwrap();
    let fields = [("scope", scope), ("tz", "America/Chicago"), ("answer", "agree")];
    let sent = scene.browser.submit("/clients/ow/ask", "/clients/ow/answer", &fields);
    assert_eq!(sent.status, 303, "{}", sent.body);
    assert_eq!(zone_of(&scene.world, "1"), "America/Chicago");
}

#[test]
fn the_command_line_sets_a_time_zone() {
    let world = World::new();
    let (_, patient) = world.patient_of(&[STEPS], "UTC");
    for (zone, stored) in [("europe/berlin", "Europe/Berlin"), ("-03:30", "-03:30")] {
        let ran = world.run(&["patient", "set", &patient, "--tz", zone]);
        assert_eq!((ran.code, zone_of(&world, &patient).as_str()), (0, stored), "{ran:?}");
    }
    let wrong = world.run(&["patient", "set", &patient, "--tz", "Mars/Olympus"]);
    assert!(wrong.code != 0 && wrong.stderr.contains("there is no time zone"), "{wrong:?}");
    let nobody = world.run(&["patient", "set", "99", "--tz", "UTC"]);
    assert!(nobody.code != 0 && nobody.stderr.contains("there is no patient 99"), "{nobody:?}");
    let served = Served::start(&world);
    assert!(served.operator(&world).get("/admin/audit").body.contains("patient.time-zone"));
}

/// Creates a patient whose heart rates of the last `days` days carry an offset.
fn patient_with(world: &World, days: u32, offset: &str) -> String {
    let (user, patient) = world.patient_of(&[HEART_RATE], "UTC");
    for day in 0..days {
        let row = Row::of("heart_rate", world.now.minus(DAY * day + HOUR), 60.0);
        world.sim.put_row(&user, row.with_zone(offset));
    }
    patient
}

#[test]
fn samples_that_contradict_the_time_zone_for_three_days_are_shown_and_one_click_corrects_it() {
    let world = World::new();
    world.setting("ow.first_connect_window", "7d");
    let (short, agreeing) = (patient_with(&world, 2, "+01:00"), patient_with(&world, 4, "+00:00"));
    let (fits, fixed) = (patient_with(&world, 4, "+01:00"), patient_with(&world, 3, "+05:45"));
    assert_eq!(world.created(), 13);
    examine(&world).has("data.time_zones", "warning", &format!("patient {fits}, {fixed}"), "patient set");
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study_in(&operator, "Sleep", "Europe/Berlin");
    let edit = format!("/admin/patients/{fits}/edit");
    operator.submit(&edit, &edit, &[("name", "A"), ("tz", "UTC"), ("study", &study)]);
    let sentence = "carry the local time UTC+01:00, and the time zone of the profile is UTC.";
    assert_eq!(operator.get("/admin/patients").body.matches(sentence).count(), 1);
    assert_eq!(operator.get("/admin").body.matches("carry the local time").count(), 2);
    let page = |patient: &str| format!("/admin/patients/{patient}");
    for quiet in [&short, &agreeing] {
        assert!(!operator.get(&page(quiet)).body.contains("carry the local time"), "{quiet}");
    }
    for (patient, button, zone) in [
        (&fits, "Set the time zone to Europe/Berlin", "Europe/Berlin"),
        (&fixed, "Set the time zone to UTC+05:45", "+05:45"),
    ] {
        let page = page(patient);
        assert!(operator.get(&page).body.contains(button), "{}", operator.get(&page).body);
        assert_eq!(operator.submit(&page, &format!("{page}/time-zone"), &[]).status, 303);
        assert_eq!(zone_of(&world, patient), zone);
        assert!(!operator.get(&page).body.contains("carry the local time"));
    }
    assert!(!operator.get("/admin/patients").body.contains("carry the local time"));
    assert!(!examine(&world).text.contains("local time"));
    // A correction that contradicts the samples too is shown at once.
    world.run(&["patient", "set", &fits, "--tz", "Asia/Tokyo"]);
    assert!(operator.get(&page(&fits)).body.contains("the profile is Asia/Tokyo."));
}

#[test]
fn a_corrected_time_zone_moves_the_days_that_it_framed_once() {
    let mut world = World::new();
    world.setting("ow.first_connect_window", "7d");
    let (user, patient) = world.patient_of(&[STEPS, ACTIVITY, SATURATION], "UTC");
    for date in ["2026-11-19", "2026-11-20"] {
        let total = Row::of("steps", at(&format!("{date}T00:00:00Z")), 4000.0).with_daily_total(true);
        world.sim.put_row(&user, total.with_provider("sensorbio"));
        let mean = Row::of("oxygen_saturation", at(&format!("{date}T00:00:00Z")), 97.0);
        world.sim.put_row(&user, mean.with_provider("oura"));
        let day = ActivityDay::of(date, 4000);
        let source = Source::of("oura");
        world.sim.put_activity(&user, ActivityDay { source, active_calories: Some(300.0), ..day });
    }
    let own = Row::of("steps", at("2026-11-20T03:00:00Z"), 5000.0).with_zone("+09:00").with_daily_total(true);
    world.sim.put_row(&user, own);
    assert_eq!(world.created(), 7);
    let frames = |world: &World| {
        let mut lines: Vec<(String, u64)> =
            world.table(&patient).into_iter().map(|line| (line.local, line.revision)).collect();
        lines.sort();
        lines
    };
    let expected = |start: &str, revision| {
        let mut lines = vec![("2026-11-20T00:00:00+09:00".to_owned(), 0)];
        for date in ["2026-11-19", "2026-11-20"] {
            lines.extend(vec![(format!("{date}T00:00:00{start}"), revision); 3]);
        }
        lines.sort();
        lines
    };
    assert_eq!(frames(&world), expected("Z", 0));
    let ran = world.run(&["patient", "set", &patient, "--tz", "America/New_York"]);
    assert!(ran.stdout.contains("days that moved: 6"), "{ran:?}");
    assert_eq!(frames(&world), expected("-05:00", 1));
    // A tick and a read of the whole week return the same records.
    world.pass(FIVE_MINUTES);
    assert_eq!((world.created(), world.run(&["poll", "--window", "7d"]).created()), (0, 0));
    assert_eq!(frames(&world), expected("-05:00", 1));
    let ran = world.run(&["patient", "set", &patient, "--tz", "America/New_York"]);
    assert!(ran.stdout.contains("days that moved: 0"), "{ran:?}");
    assert_eq!(frames(&world), expected("-05:00", 1));
}

#[test]
fn jhe_gets_a_moved_day_as_a_correction() {
    let mut scene = connected_world::Scene::new();
    scene.jhe.consent_to(40001, STEPS, true, scene.world.now.minus(DAY));
    let (user, patient) = scene.patient(40001);
    let total = Row::of("steps", at("2026-11-21T00:00:00Z"), 4000.0).with_daily_total(true);
    scene.world.sim.put_row(&user, total);
    assert_eq!(scene.world.created(), 1);
    scene.world.pass(HOUR * 49);
    scene.export();
    scene.world.run(&["patient", "set", &patient, "--tz", "Europe/Berlin"]);
    scene.export();
    assert_eq!(scene.jhe.state().kept.len(), 1, "the correction waits like any other");
    scene.world.pass(HOUR * 49);
    scene.export();
    assert_eq!(scene.world.created(), 0);
    scene.export();
    let kept = scene.jhe.state().kept.clone();
    let starts: Vec<(bool, &str)> = kept
        .iter()
        .map(|kept| {
            let frame = &kept.document["body"]["effective_time_frame"]["time_interval"];
            (kept.identifier.1.ends_with("#r1"), frame["start_date_time"].as_str().unwrap())
        })
        .collect();
    assert_eq!(starts, [(false, "2026-11-21T00:00:00Z"), (true, "2026-11-21T00:00:00+01:00")]);
}

#[test]
fn a_read_that_began_before_a_correction_stores_no_day_of_the_former_zone() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "UTC");
    let total = Row::of("steps", at("2026-11-21T00:00:00Z"), 4000.0).with_daily_total(true);
    world.sim.put_row(&user, total);
    let correction = Mutex::new(Some(world.command(&["patient", "set", &patient, "--tz", "Europe/Berlin"])));
    world.sim.on_page(move |_, _| {
        if let Some(mut command) = correction.lock().unwrap().take() {
            assert!(command.output().unwrap().status.success());
        }
    });
    world.poll();
    assert!(world.table(&patient).is_empty(), "{:?}", world.table(&patient));
    world.pass(FIVE_MINUTES);
    assert_eq!(world.created(), 1);
    let line = world.table(&patient).remove(0);
    assert_eq!((line.local.as_str(), line.revision), ("2026-11-21T00:00:00+01:00", 0));
}
