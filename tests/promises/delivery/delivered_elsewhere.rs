//! Observations that JHE's own poller has stored at JHE are recognised there and never sent again.

use std::fs::File;
use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::samples_table::Row;

use crate::support::connected_world::Scene;
use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::Served;

const JHE_ID: i64 = 40001;

/// Adds a patient whose last hours JHE's own poller has delivered, with a duplicate at each full hour; returns the OW
/// user, our patient number, and the number of those observations.
fn delivered_by_another_poller(scene: &Scene, hours: u32) -> (String, String, usize) {
    let (user, patient) = scene.patient(JHE_ID);
    scene.fill(&user, hours);
    let mut left = 0;
    for (at, value) in scene.world.sim.heart_rates(&user) {
        let is_whole = at.micros() % 3_600_000_000 == 0;
        for _ in 0..if is_whole { 2 } else { 1 } {
            scene.jhe.leave(JHE_ID, &format!("random-{left}"), at, value);
            left += 1;
        }
    }
    (user, patient, left)
}

fn adopt(scene: &Scene, more: &[&str]) -> Ran {
    let mut arguments = vec!["adopt"];
    arguments.extend(more);
    scene.world.run(&arguments)
}

fn observations_at_jhe(scene: &Scene) -> usize {
    scene.jhe.state().kept.len()
}

#[test]
fn an_observation_of_another_client_is_not_sent_again() {
    let scene = Scene::new();
    let (user, patient, left) = delivered_by_another_poller(&scene, 20);
    assert_eq!(scene.world.created(), 240);
    let adopted = adopt(&scene, &[]);
    let expected = format!(
        "patient {patient} (jhe:40001): seen {left}, adopted {left}, already ours 0, not readable 0, duplicates 20; \
         no longer to be sent 240"
    );
    assert!(adopted.code == 0 && adopted.stdout.contains(&expected), "{adopted:?}");
    assert!(adopted.stdout.contains("Adoption complete: seen 260, "), "{adopted:?}");
    assert!(scene.export().stdout.contains("Delivered 0"));
    let all = scene.world.run(&["export", "--all"]);
    assert!(all.stdout.contains("Queued 0"), "{all:?}");
    // Later samples are delivered as usual and are recorded as ours.
    scene.world.sim.put(&user, scene.world.now.minus(FIVE_MINUTES.mul_f64(0.5)), 71.0);
    assert_eq!(scene.world.created(), 1);
    assert!(scene.export().stdout.contains("Delivered 1 "));
    let again = adopt(&scene, &[]);
    assert!(again.stdout.contains("seen 261, adopted 260, already ours 1, "), "{again:?}");
    assert_eq!((observations_at_jhe(&scene), scene.export().code), (261, 0));
}

#[test]
fn an_observation_that_ow_shows_later_is_not_sent_again() {
    let mut scene = Scene::new();
    let (_, patient, left) = delivered_by_another_poller(&scene, 5);
    // The store has none of these observations yet.
    assert!(adopt(&scene, &[]).stdout.contains("no longer to be sent 0"));
    assert_eq!(scene.world.created(), 60);
    assert!(scene.export().stdout.contains("Delivered 0"));
    assert_eq!((observations_at_jhe(&scene), scene.world.kept(&patient).len()), (left, 60));
    scene.world.pass(DAY);
    assert!(scene.export().stdout.contains("Delivered 0"));
}

#[test]
fn another_value_of_the_same_instant_is_sent() {
    let scene = Scene::new();
    let (user, _) = scene.patient(JHE_ID);
    let at = scene.world.now.minus(HOUR);
    scene.jhe.leave(JHE_ID, "random", at, 60.0);
    scene.world.sim.put(&user, at, 60.0);
    scene.world.sim.put_row(&user, Row::heart_rate(at, 64.0).with_device("Watch"));
    assert_eq!(scene.world.created(), 2);
    assert!(adopt(&scene, &[]).stdout.contains("no longer to be sent 1"));
    assert!(scene.export().stdout.contains("Delivered 1 "));
    assert_eq!(scene.jhe.state().kept.iter().map(Kept::value).collect::<Vec<_>>(), [60.0, 64.0]);
}

#[test]
fn a_correction_of_an_adopted_observation_is_sent_unless_it_is_reverted() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(JHE_ID);
    let at = scene.world.now.minus(HOUR);
    scene.jhe.leave(JHE_ID, "random", at, 60.0);
    adopt(&scene, &[]);
    let change = |scene: &mut Scene, value: f64, wait: Duration| {
        scene.world.sim.put(&user, at, value);
        scene.world.poll();
        scene.world.pass(wait);
        scene.export();
        scene.jhe.state().kept.iter().map(Kept::value).collect::<Vec<_>>()
    };
    assert_eq!(change(&mut scene, 60.0, HOUR), [60.0]);
    assert_eq!(change(&mut scene, 61.0, HOUR), [60.0]);
    assert_eq!(
        change(&mut scene, 60.0, HOUR * 6),
        [60.0],
        "JHE already has this value from the other client"
    );
    assert_eq!(change(&mut scene, 61.0, HOUR * 6), [60.0, 61.0]);
    assert_eq!(
        change(&mut scene, 60.0, HOUR * 6),
        [60.0, 61.0, 60.0],
        "JHE's newest value is now one of ours, so the old value is sent"
    );
}

#[test]
fn a_dry_run_says_what_it_would_do_and_writes_nothing() {
    let scene = Scene::new();
    let (_, _, left) = delivered_by_another_poller(&scene, 1);
    assert_eq!(scene.world.created(), 12);
    let ran = adopt(&scene, &["--dry-run"]);
    let says = format!(
        "seen {left}, adopted {left}, already ours 0, not readable 0, duplicates 1; no longer to be sent 12"
    );
    assert!(ran.code == 0 && ran.stdout.contains(&says), "{ran:?}");
    assert!(ran.stdout.contains("nothing was written"), "{ran:?}");
    assert!(scene.export().stdout.contains("Delivered 12"));
}

#[test]
fn unreadable_entries_are_counted_and_stop_nothing() {
    let scene = Scene::new();
    let (_, _, left) = delivered_by_another_poller(&scene, 1);
    scene.jhe.leave_unreadable(JHE_ID, "");
    let ran = adopt(&scene, &[]);
    let says = format!("seen {}, adopted {left}, already ours 0, not readable 1,", left + 1);
    assert!(ran.code == 0 && ran.stdout.contains(&says), "{ran:?}");
    assert_eq!(scene.world.created(), 12);
    assert!(scene.export().stdout.contains("Delivered 0"));
}

#[test]
fn every_page_is_read_while_more_arrives() {
    let scene = Scene::new();
    let (_, _, left) = delivered_by_another_poller(&scene, 120);
    assert!(left > 1000);
    let late: Vec<(Timestamp, f64)> = (0..5).map(|second| (at_second(&scene, second), 70.0)).collect();
    scene.jhe.leave_while_paging(JHE_ID, &late);
    let ran = adopt(&scene, &[]);
    let says = format!("seen {left}, adopted {left}, already ours 0, not readable 0, duplicates 120;");
    assert!(ran.code == 0 && ran.stdout.contains(&says), "{ran:?}");
    // Two pages of heart rates, and one empty page for each other code that can be compared.
    assert_eq!(scene.jhe.state().pages, 2 + 7);
}

fn at_second(scene: &Scene, second: u64) -> Timestamp {
    scene.world.now.minus(Duration::from_secs(second + 1))
}

#[test]
fn an_interrupted_adoption_continues_when_run_again() {
    let scene = Scene::new();
    let (_, _, left) = delivered_by_another_poller(&scene, 120);
    assert!(scene.world.run(&["poll", "--window", "7d"]).stdout.contains("Created 1440"));
    // JHE becomes unavailable between two pages.
    scene.jhe.state().fails_after_pages = Some(1);
    let cut = adopt(&scene, &[]);
    assert!(
        cut.code == 3 && cut.stderr.contains("patient 1: not all of JHE's observations could be read"),
        "{cut:?}"
    );
    scene.jhe.state().fails_after_pages = None;
    let ran = adopt(&scene, &[]);
    assert!(ran.stdout.contains(&format!("seen {left}, adopted {left}, already ours 0")), "{ran:?}");
    assert!(scene.export().stdout.contains("Delivered 0"));
    assert_eq!(observations_at_jhe(&scene), left);
}

#[test]
fn a_patient_jhe_denies_access_to_delays_nobody_else() {
    let scene = Scene::new();
    let (_, patient, left) = delivered_by_another_poller(&scene, 1);
    let (_, other) = scene.patient(40002);
    scene.jhe.hide(40002, true);
    let ran = adopt(&scene, &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("patient {other}: ")) && ran.stderr.contains("not authorized"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains(&format!("patient {patient} (jhe:40001): seen {left}, ")), "{ran:?}");
    let one = adopt(&scene, &["--patient-id", "jhe:40001"]);
    assert!(one.code == 0 && !one.stdout.contains("jhe:40002"), "{one:?}");
}

#[test]
fn nothing_is_sent_during_an_adoption() {
    let scene = Scene::new();
    delivered_by_another_poller(&scene, 1);
    let held = File::options().write(true).open(scene.world.data_dir().join("export.lock"));
    let held = held.unwrap_or_else(|_| File::create(scene.world.data_dir().join("export.lock")).unwrap());
    held.lock().unwrap();
    let ran = adopt(&scene, &["--wait", "0s"]);
    assert!(ran.code == 1 && ran.stderr.contains("an export runs, and has not ended"), "{ran:?}");
    assert_eq!(scene.jhe.state().pages, 0);
    let waiting = scene.world.start(&["adopt", "--wait", "1m"]);
    drop(held);
    let ran = waiting.wait();
    assert!(ran.code == 0 && ran.stdout.contains("Adoption complete"), "{ran:?}");
}

#[test]
fn adoption_needs_a_jhe_and_a_patient_of_jhe() {
    let mut scene = Scene::new();
    scene.patient(JHE_ID);
    let (_, alone) = scene.world.patient();
    let ran = adopt(&scene, &["--patient-id", &alone]);
    assert!(ran.code == 2 && ran.stderr.contains("is not JHE's, or not linked"), "{ran:?}");
    scene.world.set("JHE_CLIENT_KEY", "d3Jvbmc6d3Jvbmc=");
    let ran = adopt(&scene, &[]);
    assert!(ran.code == 1 && ran.stderr.contains("does not accept the client key"), "{ran:?}");
    scene.world.set("JHE_BASE_URL", "");
    let ran = adopt(&scene, &[]);
    assert!(ran.code == 2 && ran.stderr.contains("JHE_BASE_URL"), "{ran:?}");
}

#[test]
fn an_adoption_is_audited() {
    let scene = Scene::new();
    delivered_by_another_poller(&scene, 1);
    adopt(&scene, &[]);
    let served = Served::start(&scene.world);
    let audit = served.operator(&scene.world).get("/admin/audit").body;
    assert!(audit.contains("export.adopt") && audit.contains("adopted 13"), "{audit}");
    served.stop("TERM");
}
