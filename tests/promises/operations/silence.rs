//! A patient without recent samples is flagged as silent, with the likely cause.

use std::time::Duration;

use jhe_ow::simulator::fault::Fault;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Adds a patient whose newest sample is an hour old.
fn wearer(world: &World) -> (String, String) {
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    (user, patient)
}

/// Returns the likely cause of the silence on the patient's page, or an empty text.
fn silence_text(operator: &Visitor, patient: &str) -> String {
    let page = operator.get(&format!("/admin/patients/{patient}")).body;
    between(&page, "Likely cause: ", "</p>").unwrap_or_default().to_owned()
}

#[test]
fn each_silent_patient_is_flagged_with_the_likely_cause_and_what_to_do() {
    let mut world = World::new();
    let [(_, quiet), (revoked_user, revoked), (_, withdrawn), (down_user, down), (gone_user, gone)] =
        std::array::from_fn(|_| wearer(&world));
    let (fresh_user, fresh) = wearer(&world);
    world.run(&["patient", "add", "--name", "Nobody yet"]);
    assert_eq!(world.created(), 6);
    world.pass(DAY);
    world.created();
    world.pass(DAY);
    world.sim.put(&fresh_user, world.now.minus(HOUR), 61.0);
    world.sim.end_connection(&revoked_user, "oura");
    world.run(&["patient", "consent", &withdrawn, HEART_RATE, "--withdraw"]);
    world.sim.set_fault(&down_user, Some(Fault::Status(503)));
    world.sim.remove_user(&gone_user);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the page shows the cause", || silence_text(&operator, &down).contains("OW down"));
    until("the tick has ended", || world.lock().is_empty());
    for (patient, cause, next) in [
        (&quiet, "not worn or not synced", "ask the patient to wear"),
        (&revoked, "link revoked at the provider", "invite again, so that the patient reconnects"),
        (&withdrawn, "consent withdrawn", "only if the patient asks for it"),
        (&gone, "unknown to OW", "invite again, so that the patient reconnects"),
    ] {
        let said = silence_text(&operator, patient);
        assert!(said.contains(cause) && said.contains(next), "{patient} {cause}: {said}");
    }
    let down = silence_text(&operator, &down);
    assert!(down.contains("OW down") && down.contains("check that it runs"), "{down}");
    assert_eq!(silence_text(&operator, &fresh), "");
    let overview = operator.get("/admin").body;
    assert!(overview.contains("4 of 5 patients stopped sending"), "{overview}");
    for cause in ["OW no longer knows the user", "ask the patient to wear and charge"] {
        assert!(overview.contains(cause), "{cause}: {overview}");
    }
    let listed = operator.get("/admin/patients?silent=1").body;
    assert!(listed.contains(&format!("/admin/patients/{quiet}\"")), "{listed}");
    assert!(!listed.contains(&format!("/admin/patients/{fresh}\"")) && !listed.contains("Nobody yet"));
    served.stop("TERM");
}

#[test]
fn ow_errors_for_half_the_silence_are_its_likely_cause() {
    let mut world = World::new();
    let (user, patient) = wearer(&world);
    world.created();
    world.sim.set_fault(&user, Some(Fault::Status(503)));
    world.pass(DAY * 2);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the tick has failed", || silence_text(&operator, &patient).contains("OW down"));
    served.stop("TERM");
}

#[test]
fn an_ow_that_syncs_nothing_is_distinguished_from_an_unworn_device() {
    let mut world = World::new();
    let (_, patient) = wearer(&world);
    world.created();
    world.sim.set_last_pull(Some(world.now));
    world.pass(DAY * 2);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the page shows the silence", || silence_text(&operator, &patient).contains("OW not pulling"));
    world.sim.set_last_pull(None);
    served.stop("TERM");
    world.pass(HOUR * 2);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the page shows the silence", || {
        silence_text(&operator, &patient).contains("not worn or not synced")
    });
    served.stop("TERM");
}

#[test]
fn a_silence_caused_by_the_daemon_is_attributed_to_it() {
    let mut world = World::new();
    let (_, patient) = wearer(&world);
    world.created();
    world.setting("module.ow", "false");
    world.pass(DAY * 2);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    assert!(silence_text(&operator, &patient).contains("not read by this daemon"));
    served.stop("TERM");
}

#[test]
fn how_long_a_silence_lasts_is_a_setting_and_empty_polls_are_counted() {
    let mut world = World::new();
    let (user, patient) = wearer(&world);
    world.created();
    world.created();
    world.created();
    world.setting("module.ow", "false");
    world.pass(HOUR * 10);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    assert_eq!(silence_text(&operator, &patient), "");
    let empty = |page: &str| between(page, "Empty syncs in a row</dt><dd>", "</dd>").unwrap().to_owned();
    assert_eq!(empty(&operator.get(&format!("/admin/patients/{patient}")).body), "2");
    world.setting("silence.after", "6h");
    assert_ne!(silence_text(&operator, &patient), "");
    served.stop("TERM");
    world.setting("module.ow", "true");
    world.sim.put(&user, world.now.minus(Duration::from_secs(1)), 62.0);
    world.created();
    world.setting("module.ow", "false");
    let served = Served::start(&world);
    let operator = served.operator(&world);
    assert_eq!(silence_text(&operator, &patient), "");
    assert_eq!(empty(&operator.get(&format!("/admin/patients/{patient}")).body), "0");
    served.stop("TERM");
}
