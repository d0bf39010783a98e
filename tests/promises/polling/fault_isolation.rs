//! One patient's fault affects that patient alone.

use jhe_ow::simulator::fault::Fault;

use jhe_ow::simulator::samples_table::Row;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Nine patients without a fault are read completely; the fault of the tenth is reported.
fn one_in_ten(fault: &Fault, told: &str) -> Ran {
    let world = World::new();
    let (troubled, number) = world.patient();
    let well: Vec<_> = (0..9).map(|_| world.patient()).collect();
    for user in well.iter().map(|(user, _)| user).chain([&troubled]) {
        world.sim.fill(user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    }
    world.sim.set_fault(&troubled, Some(fault.clone()));
    let ran = world.poll();
    assert_eq!(ran.code, 3, "exit code 3 means complete with errors: {ran:?}");
    assert!(ran.stderr.contains(&format!("patient {number}: ")), "{ran:?}");
    assert!(ran.stderr.contains(told), "{fault:?}: {ran:?}");
    assert_eq!(
        ran.stderr.matches("patient ").count() - ran.stderr.matches("link the patient").count(),
        1,
        "{ran:?}"
    );
    for (user, patient) in &well {
        assert_eq!(world.kept(patient), world.sim.heart_rates(user));
    }
    // After the fault is gone, nothing is lost.
    world.sim.set_fault(&troubled, None);
    assert_eq!(world.poll().code, 0);
    assert_eq!(world.kept(&number), world.sim.heart_rates(&troubled));
    ran
}

#[test]
fn a_patient_whose_requests_hang_delays_nobody_else() {
    one_in_ten(&Fault::Hang, "OW did not answer in time");
}

#[test]
fn a_patient_with_errors_500_stops_nobody_else() {
    one_in_ten(&Fault::Status(500), "OW answered 500: Internal Server Error");
}

#[test]
fn a_patient_with_garbage_stops_nobody_else() {
    one_in_ten(&Fault::Garbage, "not a timeseries page");
}

#[test]
fn a_patient_with_json_of_another_shape_stops_nobody_else() {
    one_in_ten(&Fault::WrongType, "not a timeseries page");
}

#[test]
fn a_patient_with_truncated_pages_stops_nobody_else() {
    one_in_ten(&Fault::Truncated, "not a timeseries page");
    one_in_ten(&Fault::Cut, "the connection to OW broke");
}

#[test]
fn a_patient_with_a_repeating_cursor_stops_nobody_else() {
    one_in_ten(&Fault::RepeatCursor, "the same cursor came twice");
}

#[test]
fn earlier_pages_are_stored_when_later_ones_fail() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    world.sim.set_fault(&user, Some(Fault::FailAfterPages { pages: 3, status: 403 }));
    assert_eq!(world.poll().code, 3);
    let kept = world.kept(&patient);
    assert!((99..=200).contains(&kept.len()), "{} samples of the first two pages", kept.len());
    world.sim.set_fault(&user, None);
    world.poll();
    assert_eq!(
        world.kept(&patient),
        world.sim.heart_rates(&user),
        "the high-water mark did not pass the gap"
    );
}

#[test]
fn an_endless_answer_is_cut_off() {
    one_in_ten(&Fault::Huge, "larger than 16 MiB");
}

#[test]
fn a_slowly_dripping_answer_times_out() {
    one_in_ten(&Fault::SlowDrip, "OW did not answer in time");
}

#[test]
fn a_redirect_to_another_origin_is_refused_and_never_called() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let target = format!("http://{}/", elsewhere.local_addr().unwrap());
    one_in_ten(&Fault::RedirectTo(target), "which is not the configured OW");
    assert!(elsewhere.accept().is_err(), "the API key must not follow the redirect");
}

#[test]
fn a_short_outage_is_retried_within_the_tick() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.sim.set_fault(&user, Some(Fault::FailFirst { times: 2, status: 503 }));
    assert_eq!(world.created(), 12);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn retry_after_is_obeyed_or_left_to_the_next_tick() {
    let world = World::new();
    world.sim.set_page_cap(1000);
    let (user, _) = world.patient();
    world.sim.set_fault(&user, Some(Fault::TooManyRequests { retry_after: "3600".into() }));
    let ran = world.poll();
    assert_eq!(ran.code, 3);
    assert!(
        ran.stderr.contains("OW answered 429") && ran.stderr.contains("the next tick tries again"),
        "{ran:?}"
    );
    assert_eq!(world.pages_of(&user), 1, "a tick does not wait for an hour");
    world.sim.forget_requests();
    world.sim.set_fault(&user, Some(Fault::TooManyRequests { retry_after: "1".into() }));
    world.poll();
    assert_eq!(world.pages_of(&user), 3, "a tick waits for one second");
}

#[test]
fn retry_after_as_a_date_is_obeyed_and_a_past_or_unreadable_one_puts_nobody_off() {
    let world = World::new();
    world.sim.set_page_cap(1000);
    let (user, _) = world.patient();
    let tries = |retry_after: &str| {
        world.sim.set_fault(&user, Some(Fault::TooManyRequests { retry_after: retry_after.into() }));
        world.sim.forget_requests();
        world.poll();
        world.pages_of(&user)
    };
    assert_eq!(world.now, at("2026-11-21T12:00:00Z"));
    assert_eq!(tries("Sat, 21 Nov 2026 14:00:00 GMT"), 1);
    assert_eq!(tries("Sat, 21 Nov 2026 11:59:00 GMT"), 3);
    assert_eq!(tries("soon"), 3);
}

#[test]
fn an_unknown_key_stops_the_tick_for_everybody() {
    let world = World::new();
    for _ in 0..9 {
        world.patient();
    }
    world.sim.rotate_key();
    let ran = world.poll();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("401 Invalid or missing API key"), "{ran:?}");
    assert!(ran.stderr.contains("set OW_API_KEY"), "{ran:?}");
    assert!(world.sim.requests().len() <= 4, "OW is not tried again for each patient");
    assert_eq!(world.lock(), "");
}

#[test]
fn a_user_lost_by_ow_must_be_linked_again() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.created();
    world.sim.remove_user(&user);
    world.pass(DAY);
    let ran = world.poll();
    assert_eq!(ran.code, 3, "an empty answer must not count as no data: {ran:?}");
    assert!(ran.stderr.contains("invite the patient again"), "{ran:?}");
    world.sim.forget_requests();
    let ran = world.poll();
    assert!(world.sim.requests().is_empty(), "no request before the back-off ends: {ran:?}");
    assert!(world.run(&["patient", "show", &patient]).stdout.contains("unknown to OW"));
    let again = world.sim.add_user();
    world.run(&["patient", "link", &patient, "--ow-user", &again, "--same-person"]);
    world.sim.put(&again, world.now.minus(HOUR), 60.0);
    assert_eq!(world.created(), 1);
}

#[test]
fn an_unreachable_ow_is_reported_per_patient() {
    let mut world = World::new();
    world.patient();
    world.set("OW_API_URL", &format!("http://127.0.0.1:{}", free_port()));
    let ran = world.poll();
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("OW cannot be reached"), "{ran:?}");
}

#[test]
fn a_wrong_address_is_distinguished_from_a_lost_user() {
    let mut world = World::new();
    let (_, patient) = world.patient();
    world.set("OW_API_URL", &format!("{}/elsewhere", world.sim.url()));
    let ran = world.poll();
    assert!(ran.stderr.contains("OW_API_URL is not an OW's"), "{ran:?}");
    assert!(!world.run(&["patient", "show", &patient]).stdout.contains("unknown to OW"));
}

#[test]
fn a_type_that_ow_does_not_know_does_not_block_the_others() {
    let world = World::new();
    let codes = [HEART_RATE, "omh:oxygen-saturation:2.0"];
    let (user, patient) = world.patient_of(&codes, "UTC");
    let (only, alone) = world.patient_of(&codes[1..], "UTC");
    world.sim.set_missing_types(&["oxygen_saturation"]);
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (0, 12), "{ran:?}");
    let doctor = world.run(&["doctor"]).stdout;
    assert!(doctor.contains("does not know the series types oxygen_saturation"), "{doctor}");
    world.setting("ow.poll_interval", "1s");
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the page names the fault", || {
        operator.get("/admin/system").body.contains("does not know the series types oxygen_saturation")
    });
    let asked = world.pages_of(&user);
    until("some ticks have run", || world.pages_of(&user) > asked + 3);
    let refused = world.sim.requests().iter().filter(|seen| seen.query.contains("oxygen_saturation")).count();
    assert!(refused < 10, "the unknown type is not requested in each tick");
    served.stop("TERM");
    // Once OW knows the type, it is read.
    world.sim.set_missing_types(&[]);
    for user in [&user, &only] {
        world.sim.put_row(user, Row::of("oxygen_saturation", world.now.minus(HOUR), 97.0));
    }
    assert_eq!(world.created(), 2);
    assert_eq!(world.table(&patient).len() + world.table(&alone).len(), 14);
}
