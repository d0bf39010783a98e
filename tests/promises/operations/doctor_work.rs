//! `jhe-ow doctor` on the flow of data: faults that stop it, states that only look like faults, and alerts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jhe_ow::simulator::fault::Fault;

use crate::support::alert_receivers::*;
use crate::support::bucket::{Bucket, use_bucket};
use crate::support::doctor::*;
use crate::support::harness::*;
use crate::support::running_daemon::Served;

/// Returns the OW user of the first samples request.
fn first_read(world: &World) -> String {
    let requests = world.sim.requests();
    let asked = requests.iter().find(|one| one.path.ends_with("/timeseries")).unwrap();
    asked.path.split('/').nth(4).unwrap().to_owned()
}

#[test]
fn an_ow_without_samples_stops_data_in_normalized_mode() {
    let world = well();
    world.sim.set_page_cap(1000);
    // The doctor asks about a user that should not exist, and expects an empty page.
    let nobody = "00000000-0000-0000-0000-000000000000";
    world.sim.add_user_with_id(nobody);
    world.sim.set_fault(nobody, Some(Fault::Status(500)));
    examine(&world).stops("ow.version", "samples cannot be read: ", "see OW's log");
    let bucket = Bucket::start();
    use_bucket(&world, &bucket);
    examine(&world).warns("ow.version", "raw payloads are still read", "see OW's log");
}

#[test]
fn one_patient_in_error_is_a_warning_and_all_in_error_stop_data() {
    let mut world = well();
    let first = first_read(&world);
    let (second, _) = world.patient();
    world.sim.set_fault(&second, Some(Fault::Garbage));
    world.poll();
    let found = examine(&world);
    found.warns("data.outcome", "in error in the last tick: 1 of 2 patients", "jhe-ow poll says which");
    world.sim.set_fault(&first, Some(Fault::Garbage));
    world.now = world.now.plus(FIVE_MINUTES);
    world.poll();
    let found = examine(&world);
    found.stops(
        "data.errors",
        "all patients that are polled were in error the last time: 2 patients",
        "jhe-ow poll says which",
    );
    found.has("data.outcome", "warning", "2 of 2 patients", "");
    let bucket = Bucket::start();
    use_bucket(&world, &bucket);
    assert_eq!(
        examine(&world).checks("stops"),
        Vec::<&str>::new(),
        "one bad payload among many readable ones stops nothing"
    );
    world.setting("ow.ingest_mode", "normalized");
    world.sim.set_fault(&first, None);
    world.now = world.now.plus(FIVE_MINUTES);
    world.poll();
    examine(&world).warns("data.outcome", "1 of 2 patients", "");
}

#[test]
fn a_long_running_tick_is_not_overdue() {
    let mut world = well();
    world.setting("ow.poll_interval", "1m");
    world.set("JHE_OW_OW_TIMEOUT", "1m");
    let (user, _) = world.patient();
    world.sim.set_fault(&user, Some(Fault::Hang));
    world.now = world.now.plus(Duration::from_secs(200));
    let hangs = |words: &[&str]| {
        world.sim.forget_requests();
        let running = world.start(words);
        until("the poll has sent its request", || world.pages_of(&user) > 0);
        running
    };
    let poll = hangs(&["poll"]);
    let found = examine(&world);
    found.has("data.lock", "ok", "a tick is under way", "");
    found.has("data.tick", "ok", "the last tick ended 3 minutes ago, and the next one is under way", "");
    assert_eq!((found.code, found.checks("stops")), (0, vec![]), "{}", found.text);
    poll.signal("KILL");
    poll.wait();
    examine(&world).stops("data.tick", "the last tick ended 3 minutes ago", "check that the daemon runs");
    // A backfill may hold the lock for days, but lets ticks run.
    let backfill = hangs(&["poll", "--window", "3d"]);
    let found = examine(&world);
    found.has("data.lock", "ok", "a backfill is under way", "");
    found.stops("data.tick", "the last tick ended 3 minutes ago", "check that the daemon runs");
    backfill.signal("KILL");
    backfill.wait();
    sql(&world, "DELETE FROM runs");
    examine(&world).warns("data.tick", "no tick has ended yet", "jhe-ow serve polls");
    let poll = hangs(&["poll"]);
    examine(&world).has("data.tick", "ok", "the first tick is under way", "");
    poll.signal("KILL");
    poll.wait();
}

#[test]
fn a_tick_that_ended_in_the_future_is_reported() {
    let mut world = well();
    world.now = world.now.minus(HOUR * 2);
    examine(&world).warns("data.tick", "the last tick ended in the future, at ", "check the clock");
    world.now = world.now.plus(HOUR * 2).minus(Duration::from_secs(30));
    examine(&world).has("data.tick", "ok", "the last tick ended 0 seconds ago", "");
}

#[test]
fn no_tick_is_overdue_while_polling_is_off() {
    let mut world = well();
    world.setting("module.ow", "false");
    world.now = world.now.plus(DAY);
    examine(&world).stops("data.module", "module.ow=false", "jhe-ow settings set module.ow true");
}

#[test]
fn observations_due_for_less_than_an_hour_are_not_overdue() {
    let mut world = well();
    let _jhe = connect(&mut world);
    add_pending_observation(&world);
    world.now = world.now.plus(Duration::from_mins(40));
    assert_eq!(world.poll().code, 0);
    let found = examine(&world);
    found.has("data.export", "ok", "waiting to be sent to JHE: 1 observation", "");
    assert_eq!(found.checks("stops"), Vec::<&str>::new(), "{}", found.text);
}

#[test]
fn undelivered_alerts_are_reported_with_their_channel() {
    let mut world = well();
    examine(&world).has("data.alerts", "skipped", "no alerts are sent", "");
    world.set("JHE_OW_ALERTS_WEBHOOK", &Webhook::start().url());
    world.set("JHE_OW_ALERTS_SMTP_URL", "smtp://127.0.0.1:9");
    world.set("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org");
    world.set("JHE_OW_ALERTS_MAIL_TO", "ada@example.org");
    let found = examine(&world);
    found.has("data.alerts", "ok", "alerts go out by the webhook", "");
    assert!(found.text.contains("alerts go out by mail to ada@example.org"), "{}", found.text);
    let raised = world.now.minus(HOUR * 3);
    sql(
        &world,
        &format!(
            "INSERT INTO alerts (channel, kind, patient_id, since, cause, raised_at, due_at, sent_at,
             last_error) VALUES
             ('webhook', 'silent', 1, 1, 'not_worn', {0}, {0}, NULL, 'it answered 500'),
             ('webhook', 'silent', 1, 2, 'not_worn', {1}, {1}, NULL, 'it answered 500'),
             ('webhook', 'silent', 1, 3, 'not_worn', {1}, {1}, NULL, NULL),
             ('webhook', 'silent', 1, 4, 'not_worn', {0}, {0}, {1}, NULL)",
            raised.micros(),
            world.now.micros()
        ),
    );
    let found = examine(&world);
    let what =
        format!("2 alerts could not be sent by the webhook since {raised}, 3 hours ago: it answered 500");
    found.warns("data.alerts", &what, "jhe-ow alerts test");
    found.has("data.alerts", "ok", "alerts go out by mail", "");
    assert!(!found.text.contains("hidden-part"), "{}", found.text);
}

#[test]
fn jhe_is_asked_for_the_number_of_patients_only() {
    let mut world = well();
    let jhe = connect(&mut world);
    for id in 40002..40008 {
        jhe.add_patient(id, id - 30000, world.now.minus(DAY));
    }
    let count = Arc::<Mutex<usize>>::default();
    let heard = Arc::clone(&count);
    jhe.state().trouble = Some(Box::new(move |asked| {
        *heard.lock().unwrap() += usize::from(asked == "/api/v1/patients");
        None
    }));
    // The doctor makes two requests.
    examine(&world).has("jhe.client", "ok", "reaches 7 patients through", "");
    assert_eq!(*count.lock().unwrap(), 2, "requested pages of patients");
}

#[test]
fn a_wrong_key_of_ow_is_seen_at_once_also_before_the_first_patient_is_linked() {
    let mut world = World::new();
    world.set("OW_API_KEY", "sk-wrong");
    world.setting("ow.poll_interval", "1s");
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let readyz = || get(served.port, "/readyz", &[]).unwrap();
    until("the daemon is not ready", || readyz().0 == 503 && readyz().1.contains("OW refuses the key"));
    assert!(operator.get("/admin").body.contains("OW refuses the key: Invalid or missing API key"));
    let ran = served.stop("TERM");
    assert_eq!(
        ran.stderr.matches("OW refuses the key").count(),
        1,
        "the error is logged once: {}",
        ran.stderr
    );
    // With the right key the daemon is ready, even if OW is unavailable.
    world.set("OW_API_KEY", &world.sim.key());
    let served = Served::start(&world);
    until("the daemon is ready", || get(served.port, "/readyz", &[]).unwrap().0 == 200);
    assert!(!served.operator(&world).get("/admin").body.contains("refuses the key"));
}
