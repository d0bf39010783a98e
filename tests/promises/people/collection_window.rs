//! A study stores only measurements inside its collection window. Late data are read for seven days; then the
//! participation is completed.

use jhe_ow::common::time::Timestamp;

use crate::dataset::tables::{Tables, read};
use crate::support::connected_world::Scene;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Adds a study that asks for heart rates; returns its number.
fn add_study(world: &World, name: &str, window: &[&str]) -> String {
    let add = ["study", "add", name, "--organization", "Lab", "--purpose", "Why", "--contact", "Ada"];
    let ran = world.run(&[&add[..], &["--scope", HEART_RATE], window].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout.trim().to_owned()
}

/// Adds a linked patient in Berlin who is enrolled and consents; returns the OW user and the number.
fn add_patient(world: &World, study: &str) -> (String, String) {
    let user = world.sim.add_user();
    let add =
        ["patient", "add", "--name", "A", "--tz", "Europe/Berlin", "--study", study, "--ow-user", &user];
    let ran = world.run(&[&add[..], &["--consent", HEART_RATE, "--reason", "paper"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    (user, ran.stdout.trim().to_owned())
}

fn edit(world: &World, study: &str, window: &[&str]) {
    let ran = world.run(&[&["study", "edit", study], window].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Exports the whole data set of a study.
fn data_set(world: &World, study: &str, name: &str) -> Tables {
    let path = world.directory.path().join(name);
    let ran = world.run(&["dataset", "--study", study, "--out", path.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    read(&path)
}

fn starts(tables: &Tables) -> Vec<Timestamp> {
    tables["heart_rate"].iter().map(|row| at(&row["start_time"])).collect()
}

/// Advances the clock to an instant.
fn wait_until(world: &mut World, instant: &str) {
    world.pass(at(instant).since(world.now));
}

/// Counts the patients that `jhe-ow patient list` shows with these filters.
fn listed(world: &World, filters: &[&str]) -> usize {
    let ran = world.run(&[&["patient", "list"], filters].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout.lines().count()
}

#[test]
fn only_measurements_inside_the_window_count_and_late_ones_are_read_for_seven_days() {
    let mut world = World::new();
    let study = add_study(&world, "Sleep", &["--from", "2026-11-21", "--until", "2026-11-22"]);
    let (user, patient) = add_patient(&world, &study);
    // In Berlin the window's days begin at 23:00 UTC.
    let (first, last) = (at("2026-11-20T23:00:00Z"), at("2026-11-22T23:00:00Z"));
    for time in ["20T22:55", "20T23:00", "22T22:55", "22T23:00", "23T10:00"] {
        world.sim.put(&user, at(&format!("2026-11-{time}:00Z")), 60.0);
    }
    assert_eq!(world.created(), 1, "the sample before the window is not stored");
    wait_until(&mut world, "2026-11-23T12:00:00Z");
    assert_eq!(world.created(), 1, "the samples after the window are not stored");
    wait_until(&mut world, "2026-11-29T22:00:00Z");
    world.sim.put(&user, at("2026-11-22T20:00:00Z"), 61.0);
    assert_eq!(world.created(), 1, "a sample that arrives six days late is stored");
    let pages: Vec<_> = world.sim.data_requests();
    let pages = pages.iter().filter(|page| page.user == user && page.until.is_some());
    for page in pages {
        let [from, until] = [&page.from, &page.until].map(|time| at(time.as_deref().unwrap()));
        assert!(first <= from && until <= last, "{page:?}");
    }
    assert_eq!(listed(&world, &["--silent"]), 0, "no data is expected after the window");
    assert_eq!((listed(&world, &["--state", "completed"]), listed(&world, &["--study", "Sleep"])), (0, 1));
    let tables = data_set(&world, &study, "set");
    let inside = [first, at("2026-11-22T20:00:00Z"), at("2026-11-22T22:55:00Z")];
    assert_eq!(starts(&tables), inside);
    let person = &tables["participants"][0];
    assert_eq!([&person["collection_from"], &person["collection_until"]].map(|time| at(time)), [first, last]);
    let days: Vec<&str> = tables["days"].iter().map(|day| day["local_date"].as_str()).collect();
    assert_eq!(days, ["2026-11-21", "2026-11-22"], "adherence covers the window only");

    wait_until(&mut world, "2026-11-29T23:00:00Z");
    world.sim.put(&user, at("2026-11-22T21:00:00Z"), 62.0);
    world.sim.forget_requests();
    let ran = world.poll();
    assert!(ran.created() == 0 && ran.stderr.contains("window of every study is over"), "{ran:?}");
    let asked = world.run(&["poll", "--window", "30d", "--patient-id", &patient]);
    assert_eq!(asked.created(), 0, "a backfill does not read outside the window");
    assert!(world.sim.requests().is_empty());
    assert_eq!(world.kept(&patient).len(), 3);
    assert_eq!((listed(&world, &["--state", "completed"]), listed(&world, &["--silent"])), (1, 0));

    // Days count from the link of the first sample, even if it arrives late, to the end of the last day.
    edit(&world, &study, &["--days", "1"]);
    let (user, patient) = add_patient(&world, &study);
    for hours in [0, 1, 24, 48, 49] {
        // From midnight in Berlin.
        world.sim.put(&user, at("2026-11-29T22:55:00Z").plus(HOUR * hours), 60.0);
    }
    for (instant, created) in
        [("2026-11-30T12:00:00Z", 1), ("2026-12-01T12:00:00Z", 1), ("2026-12-02T12:00:00Z", 1)]
    {
        wait_until(&mut world, instant);
        let ran = world.poll();
        assert_eq!(ran.created(), created, "{ran:?}");
    }
    let kept: Vec<_> = world.kept(&patient).into_iter().map(|(at, _)| at).collect();
    let inside = [1, 24, 48].map(|hours| at("2026-11-29T22:55:00Z").plus(HOUR * hours));
    assert_eq!(kept, inside, "only samples between the link and the end of the last day are stored");
}

#[test]
fn a_completed_patient_is_disconnected_once_and_told_and_another_ones_trouble_stops_nothing() {
    let mut world = World::new();
    world.setting("ow.poll_interval", "1s");
    let clock = world.clock_in_a_file();
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &clock)]);
    world.sim.set_api_base(&served.url());
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, "P-1", &study);
    let browser = served.visitor();
    assert_eq!(agree(&browser, &invite(&operator, &patient), &study).status, 303);
    let back = browser.get(&provider_buttons(&browser)["agree"]);
    assert_eq!(browser.get(back.location()).heading(), "Successfully Connected");
    let user = world.sim.connected("oura").pop().unwrap();
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    // OW cannot list the connections of this patient, who is processed first.
    let (troubled, other) = add_patient(&world, &study);
    world.sim.connect(&troubled, "oura");
    let page = |patient: &str| format!("/admin/patients/{patient}");
    for one in [&patient, &other] {
        let action = format!("{}/collection", page(one));
        let wrong = operator.submit(&page(one), &action, &[("until", "soon")]);
        assert!(wrong.status == 400 && wrong.body.contains("is not a date"), "{}", wrong.body);
        let set = operator.submit(&page(one), &action, &[("until", "2026-11-22")]);
        assert_eq!(set.status, 303, "{}", set.body);
    }
    let choices = browser.get("/clients/ow/manage").body;
    assert!(choices.contains("Your part in Sleep ends on 22 November 2026"), "{choices}");
    until("the sample is stored", || !world.table(&patient).is_empty());

    world.sim.mix_up_connections(&troubled, &user);
    wait_until(&mut world, "2026-11-29T22:59:00Z");
    world.clock_in_a_file();
    world.sim.forget_requests();
    until("a few ticks have run", || world.pages_of(&user) > 2);
    assert_eq!(world.sim.connected("oura").len(), 2, "late data are read for seven days only");
    let choices = browser.get("/clients/ow/manage").body;
    assert!(choices.contains("Sleep ended on 22 November 2026. Nothing that you measure"), "{choices}");
    wait_until(&mut world, "2026-11-29T23:01:00Z");
    world.clock_in_a_file();
    until("the patient is disconnected at OW", || world.sim.connected("oura") == [troubled.as_str()]);
    let audit = |of: &str| world.run(&["audit", "list", "--patient-id", of]).stdout;
    until("the disconnection is in the audit", || audit(&patient).contains("study.complete"));
    assert!(!audit(&other).contains("study.complete"), "the failed disconnection is retried");
    world.sim.mix_up_connections("", "");
    until("the other patient is disconnected too", || audit(&other).contains("study.complete"));
    let noted = audit(&patient);
    assert_eq!(noted.matches("daemon  device.disconnect").count(), 1, "{noted}");
    assert_eq!(noted.matches("daemon  study.complete").count(), 1, "{noted}");
    let ends = |seen: &&jhe_ow::simulator::request_log::ReceivedRequest| seen.method == "DELETE";
    assert_eq!(world.sim.requests().iter().filter(ends).count(), 2, "OW gets one disconnection per patient");

    world.sim.forget_requests();
    until("a few ticks have run", || world.sim.requests().len() > 3);
    let about = |seen: &jhe_ow::simulator::request_log::ReceivedRequest| {
        [&user, &troubled].iter().any(|user| format!("{} {}", seen.path, seen.query).contains(user.as_str()))
    };
    assert!(!world.sim.requests().iter().any(about), "ticks no longer call OW for these patients");
    let choices = browser.get("/clients/ow/manage").body;
    assert!(choices.contains("Sleep ended on 22 November 2026. Nothing more is fetched"), "{choices}");
    assert!(!choices.contains("/clients/ow/connect"), "{choices}");
    assert_eq!(browser.get("/clients/ow/connect").location(), "/clients/ow/manage");
    assert!(!world.sim.requests().iter().any(about), "pages no longer call OW for these patients");
    let operator = served.visitor();
    assert_eq!(operator.sign_in("operator", PASSWORD).status, 303);
    let shown = operator.get(&page(&patient)).body;
    assert!(shown.contains("completed</span>") && shown.contains("the last day was 2026-11-22"), "{shown}");
    assert!(operator.get("/admin/patients?silent=1").body.contains("Nobody is silent"));
    served.stop("TERM");
}

#[test]
fn two_studies_are_read_together_each_has_its_own_window_and_an_extension_fills_the_gap() {
    let mut world = World::new();
    let first = add_study(&world, "First", &["--until", "2026-11-21"]);
    let second = add_study(&world, "Second", &["--from", "2027-02-02"]);
    let (user, patient) = add_patient(&world, &first);
    let other = world.run(&["study", "enrol", &second, &patient]);
    assert_eq!(other.code, 0, "{other:?}");
    let times =
        ["2026-11-21T10:00:00Z", "2026-11-24T10:00:00Z", "2027-02-02T10:00:00Z", "2027-02-03T10:00:00Z"];
    for time in times {
        world.sim.put(&user, at(time), 60.0);
    }
    world.created();
    wait_until(&mut world, "2027-02-02T12:00:00Z");
    world.created();
    let of = |world: &World, study: &str, name: &str| starts(&data_set(world, study, name));
    assert_eq!(of(&world, &first, "first"), [at(times[0])]);
    assert_eq!(of(&world, &second, "second"), [at(times[2])]);
    assert_eq!(world.kept(&patient).len(), 2, "samples outside both windows are not stored");
    assert_eq!(listed(&world, &["--state", "completed"]), 0, "the other study still needs the device");

    // The type's high-water mark is inside the second window by now, so no tick reads the gap.
    edit(&world, &first, &["--until", "2027-01-30"]);
    let clock = world.clock_in_a_file();
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &clock)]);
    until("the samples of the gap are stored", || world.kept(&patient).len() == 3);
    served.stop("TERM");
    assert_eq!(of(&world, &first, "longer"), [at(times[0]), at(times[1])]);
    edit(&world, &first, &["--until", "2026-11-20"]);
    assert_eq!(of(&world, &first, "shorter"), []);
    assert_eq!(world.kept(&patient).len(), 3, "the sample is hidden from the study and not deleted");
    let enrolled = world.run(&["study", "enrol", &first, &patient, "--until", "2026-11-21"]);
    assert_eq!(enrolled.code, 0, "{enrolled:?}");
    assert_eq!(of(&world, &first, "own"), [at(times[0])]);
}

#[test]
fn jhe_gets_nothing_from_outside_and_the_rest_when_the_window_grows() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 36);
    scene.world.run(&["poll", "--window", "2d"]);
    let all: Vec<_> = scene.world.kept(&patient).into_iter().map(|(at, _)| at).collect();
    let midnight = at("2026-11-21T00:00:00Z");
    assert!(all.first() < Some(&midnight) && all.last() > Some(&midnight));
    edit(&scene.world, "1", &["--until", "2026-11-20"]);
    for _ in 0..2 {
        scene.export();
        scene.world.pass(HOUR);
    }
    let inside: Vec<_> = all.iter().copied().filter(|at| *at < midnight).collect();
    assert_eq!(scene.jhe.instants(40001), inside);
    let named = scene.world.run(&["study", "edit", "1", "--name", "Other"]);
    assert!(named.code != 0 && named.stderr.contains("JHE's"), "{named:?}");
    edit(&scene.world, "1", &["--no-window"]);
    scene.export();
    assert_eq!(scene.jhe.instants(40001), all);
}
