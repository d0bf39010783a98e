//! Each observation reaches JHE exactly once, and nothing without consent.

use std::time::Duration;

use crate::support::connected_world::*;
use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn each_observation_reaches_jhe_once_and_complete() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 20);
    assert_eq!(scene.world.created(), 240);
    let ran = scene.export();
    assert_eq!((ran.code, ran.stdout.contains("Delivered 240 observations")), (0, true), "{ran:?}");
    assert!(scene.is_delivered(40001, &patient));
    assert_eq!(scene.jhe.state().batches, [100, 100, 40]);
    let kept = scene.jhe.state().kept[0].clone();
    let document = &scene.world.documents(&patient)[0];
    assert_eq!(
        kept.identifier,
        ("ow:normalized".to_owned(), document["header"]["uuid"].as_str().unwrap().to_owned())
    );
    assert_eq!((kept.device.as_str(), &kept.document), ("Device/70004", document));
    assert!(scene.export().stdout.contains("Delivered 0 observations"));
    assert_eq!(scene.world.created(), 0);
    assert_eq!(scene.jhe.state().logins, 3, "each process requests one token");
}

#[test]
fn a_command_without_a_jhe_reads_none_of_jhes_patients() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.set("JHE_BASE_URL", "");
    scene.world.set("JHE_CLIENT_KEY", "");
    let (alone, kept) = scene.world.patient();
    scene.world.sim.put(&alone, scene.world.now.minus(HOUR), 60.0);
    for arguments in [&["poll"][..], &["poll", "--patient-id", &patient], &["poll", "--window", "2d"]] {
        let ran = scene.world.run(arguments);
        assert!(ran.code == 3 && ran.stderr.contains("this process has no JHE; set JHE_BASE_URL"), "{ran:?}");
    }
    assert_eq!((scene.world.pages_of(&user), scene.world.kept(&kept).len()), (0, 1));
}

#[test]
fn a_correction_has_an_identifier_of_its_own() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    scene.world.sim.put(&user, at, 60.0);
    scene.world.created();
    scene.export();
    scene.world.sim.put(&user, at, 61.0);
    scene.world.created();
    scene.world.pass(HOUR * 6);
    scene.export();
    let names: Vec<String> = scene.jhe.state().kept.iter().map(|kept| kept.identifier.1.clone()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[1], format!("{}#r1", names[0]));
}

#[test]
fn a_lost_answer_neither_loses_nor_duplicates_an_observation() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 20);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Lost]);
    let ran = scene.export();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("JHE gave no answer"), "{ran:?}");
    assert!(scene.export().stdout.contains("Delivered 140"), "the batches not in flight are delivered");
    assert_eq!(scene.jhe.state().kept.len(), 240);
    scene.world.pass(MINUTE * 2);
    assert!(scene.export().stdout.contains("Delivered 100"), "the observation at JHE is recognised as ours");
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn after_an_unanswered_batch_a_minute_passes_before_the_next() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Status(502)]);
    scene.export();
    let sent = scene.jhe.state().batches.len();
    scene.world.pass(MINUTE.mul_f64(0.8));
    scene.export();
    assert_eq!(scene.jhe.state().batches.len(), sent);
    scene.world.pass(MINUTE);
    scene.export();
    assert_eq!(scene.jhe.state().batches.len(), sent + 1);
}

#[test]
fn jhes_retry_after_is_obeyed() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Busy("600"), Fault::Busy("Sat, 21 Nov 2026 14:00:00 GMT")]);
    scene.export();
    scene.world.pass(MINUTE * 9);
    assert!(scene.export().stdout.contains("Delivered 0"));
    scene.world.pass(MINUTE * 2);
    assert!(scene.export().stdout.contains("sent again 12"));
    scene.world.pass(MINUTE * 105);
    assert!(scene.export().stdout.contains("Delivered 0"));
    scene.world.pass(MINUTE * 5);
    assert!(scene.export().stdout.contains("Delivered 12"));
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn an_entry_that_breaks_jhe_is_isolated_and_delays_nothing_else() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 10);
    scene.world.sim.put(&user, scene.world.now.minus(HOUR * 2), 199.0);
    scene.world.created();
    scene.jhe.state().poison.push(199.0);
    for day_part in 0..13 {
        scene.world.sim.put(&user, scene.world.now.minus(MINUTE), 70.0);
        scene.world.created();
        let ran = scene.export();
        assert!(
            ran.stdout.contains("to be sent again 1"),
            "a single failure may be transient: {day_part} {ran:?}"
        );
        assert!(
            ran.stdout.contains("refused 0"),
            "an unknown error must not mark the observation as refused: {ran:?}"
        );
        scene.world.pass(HOUR * 2);
    }
    assert!(scene.export().stdout.contains("to be sent again 0"), "the observation is suspect after a day");
    assert_eq!(scene.jhe.state().kept.len(), 119 + 13);
    assert_eq!(scene.jhe.state().overlaps, 0);
    let doctor = scene.world.run(&["doctor"]).stdout;
    assert!(doctor.contains("for a reason that this program does not know: 1 observation"), "{doctor}");
    scene.jhe.state().poison.clear();
    assert!(
        scene.export().stdout.contains("Delivered 0"),
        "a suspect observation stays suspect until an operator retries it"
    );
    let again = scene.world.run(&["export", "--retry-dead"]);
    assert!(again.stdout.contains("Queued 1") && again.stdout.contains("Delivered 1"), "{again:?}");
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn nothing_is_sent_without_consent_and_sending_resumes_with_it() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.world.pass(MINUTE * 5);
    scene.jhe.consent(40001, false, scene.world.now);
    assert!(scene.export().stdout.contains("Delivered 0"));
    assert!(scene.jhe.state().batches.is_empty(), "no delivery was attempted");
    scene.world.pass(MINUTE * 5);
    scene.jhe.consent(40001, true, scene.world.now);
    scene.world.created();
    assert!(scene.export().stdout.contains("Delivered 12"));
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn data_measured_during_a_withdrawal_at_jhe_is_not_stored() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.world.created();
    let seen = scene.world.now;
    scene.world.pass(HOUR * 4);
    // Withdrawn and granted again between two polls: JHE returns the last answer only.
    let granted = scene.world.now.minus(HOUR);
    scene.jhe.consent(40001, true, granted);
    scene.fill(&user, 5);
    scene.world.created();
    let kept = scene.world.kept(&patient);
    assert!(kept.iter().all(|(at, _)| *at < seen || *at >= granted), "{kept:?}");
    assert_eq!(kept.len(), 12 + 12);
}

#[test]
fn a_patient_whose_consent_cannot_be_refreshed_is_neither_read_nor_sent() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.world.pass(MINUTE * 2);
    scene.jhe.state().consents_broken = true;
    scene.world.sim.put(&user, scene.world.now.minus(MINUTE), 60.0);
    scene.world.sim.forget_requests();
    let polled = scene.world.poll();
    assert_eq!((polled.code, polled.created()), (3, 0), "{polled:?}");
    assert!(polled.stderr.contains("the consents could not be"), "{polled:?}");
    assert_eq!(scene.world.pages_of(&user), 0, "OW must get no request");
    let ran = scene.export();
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("nothing was sent") && scene.jhe.state().batches.is_empty(), "{ran:?}");
    scene.jhe.state().consents_broken = false;
    assert_eq!(scene.world.created(), 1);
    assert!(scene.export().stdout.contains("Delivered 13"));
}

#[test]
fn observations_wait_for_missing_jhe_configuration_and_are_tried_again() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.jhe.state().has_oura = false;
    let ran = scene.export();
    assert!(ran.stdout.contains("Delivered 0") && ran.stdout.contains("for configuration 12"), "{ran:?}");
    assert!(
        scene.world.run(&["export", "--patient-id", "jhe:40001"]).stdout.contains("for configuration 12")
    );
    scene.jhe.state().has_oura = true;
    let ran = scene.export();
    assert!(ran.stdout.contains("Delivered 12") && ran.stdout.contains("for configuration 0"), "{ran:?}");
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn a_conflicting_identifier_is_compared_and_a_foreign_value_is_reported() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.jhe.add_patient(40002, 10007, scene.world.now.minus(DAY));
    let (mine, other) = (scene.world.now.minus(HOUR), scene.world.now.minus(HOUR * 2));
    scene.world.sim.put(&user, mine, 60.0);
    scene.world.sim.put(&user, other, 61.0);
    scene.world.created();
    let uuid = |instant| {
        let documents = scene.world.documents(&patient);
        let is_it = |document: &&serde_json::Value| {
            at(document["body"]["effective_time_frame"]["date_time"].as_str().unwrap()) == instant
        };
        documents.iter().find(is_it).unwrap()["header"]["uuid"].as_str().unwrap().to_owned()
    };
    scene.jhe.leave(40001, &uuid(mine), mine, 60.0);
    scene.jhe.put(40002, &uuid(other), other);
    let ran = scene.export();
    assert!(ran.stdout.contains("Delivered 1 ") && ran.stdout.contains("refused 1"), "{ran:?}");
    assert_eq!(scene.jhe.state().kept.len(), 2);
}

#[test]
fn batches_mix_patients_and_no_patient_is_in_two_at_once() {
    let scene = Scene::new();
    let patients: Vec<_> = (40001..40006).map(|id| (id, scene.patient(id))).collect();
    for (_, (user, _)) in &patients {
        scene.fill(user, 20);
    }
    scene.world.created();
    scene.jhe.state().latency = Duration::from_millis(30);
    assert_eq!(scene.export().code, 0);
    for (id, (_, patient)) in &patients {
        assert!(scene.is_delivered(*id, patient));
    }
    let state = scene.jhe.state();
    assert_eq!((state.overlaps, state.most_batches), (0, 2));
    assert!(state.of.iter().any(|patients| patients.len() > 1), "{:?}", state.of);
}

#[test]
fn a_token_that_is_no_longer_accepted_is_renewed() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.setting("ow.poll_interval", "1s");
    let served = Served::start(&scene.world);
    until("the first observations are delivered", || scene.is_delivered(40001, &patient));
    let logins = scene.jhe.state().logins;
    scene.jhe.forget_tokens();
    scene.world.sim.put(&user, scene.world.now.minus(MINUTE * 2), 60.0);
    until("the next observation is delivered", || scene.jhe.instants(40001).len() == 13);
    assert_eq!(scene.jhe.state().logins - logins, 1, "one token renewal serves all requests");
    served.stop("TERM");
}

#[test]
fn a_wrong_key_or_address_says_what_to_do_and_polling_without_jhe_goes_on() {
    let mut scene = Scene::new();
    scene.patient(40001);
    let (user, patient) = scene.world.patient();
    scene.fill(&user, 1);
    scene.world.set("JHE_CLIENT_KEY", "d3Jvbmc6d3Jvbmc=");
    scene.world.pass(MINUTE * 2);
    let ran = scene.export();
    assert!(ran.stderr.contains("JHE does not accept the client key (invalid_client)"), "{ran:?}");
    assert_eq!(scene.world.poll().code, 3);
    assert!(!scene.world.kept(&patient).is_empty(), "local patients are still read");
    scene.world.set("JHE_BASE_URL", "http://127.0.0.1:9");
    let ran = scene.export();
    assert!(ran.stderr.contains("JHE cannot be reached"), "{ran:?}");
    scene.world.set("JHE_BASE_URL", "");
    let ran = scene.export();
    assert!(ran.code == 2 && ran.stderr.contains("JHE_BASE_URL"), "{ran:?}");
}

#[test]
fn observations_stored_standalone_are_queued_on_request() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.export();
    scene.jhe.state().kept.clear();
    assert!(scene.export().stdout.contains("Delivered 0"));
    let all = scene.world.run(&["export", "--all"]);
    assert!(all.stdout.contains("Queued 12") && all.stdout.contains("Delivered 12"), "{all:?}");
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn a_batch_that_fails_once_is_sent_in_halves() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 8);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Status(500), Fault::Status(413)]);
    assert!(scene.export().stdout.contains("Delivered 96"));
    assert!(scene.is_delivered(40001, &patient));
    assert_eq!(scene.jhe.state().overlaps, 0);
}

#[test]
fn a_patient_who_moved_out_of_reach_delays_nobody_else() {
    let mut scene = Scene::new();
    let ((one, _), (two, second)) = (scene.patient(40001), scene.patient(40002));
    scene.fill(&one, 1);
    scene.fill(&two, 1);
    scene.world.created();
    scene.world.pass(MINUTE * 2);
    scene.jhe.hide(40001, true);
    let ran = scene.export();
    assert!(
        ran.stdout.contains("Delivered 12") && ran.stderr.contains("not authorized to access"),
        "{ran:?}"
    );
    assert!(scene.is_delivered(40002, &second) && scene.jhe.instants(40001).is_empty());
    scene.jhe.hide(40001, false);
    assert!(scene.export().stdout.contains("Delivered 12"));
}

#[test]
fn the_pages_show_pending_and_rejected_observations() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.sim.put(&user, scene.world.now.minus(MINUTE * 7), 199.0);
    scene.jhe.state().refused.push(199.0);
    let served = Served::start(&scene.world);
    until("the accepted observation is exported", || scene.jhe.instants(40001).len() == 12);
    let operator = served.operator(&scene.world);
    let overview = || operator.get("/admin/system").body;
    until("the page counts the refused observation", || overview().contains("<dt>Refused</dt><dd>1</dd>"));
    assert!(overview().contains("Delivered in 24\u{a0}h: 12."), "{}", overview());
    let page = format!("/admin/patients/{patient}");
    let shown = operator.get(&page).body;
    assert!(
        shown.contains("this JHE will not have") && shown.contains("Send these observations again"),
        "{shown}"
    );
    scene.jhe.state().refused.clear();
    let retry = format!("{page}/retry-export");
    assert_eq!(operator.submit(&page, &retry, &[]).status, 303);
    assert!(scene.export().stdout.contains("Delivered 1") || scene.jhe.instants(40001).len() == 13);
    served.stop("TERM");
}

#[test]
fn jhes_patients_are_imported_with_their_ow_users() {
    let scene = Scene::new();
    for id in 40001..40006 {
        scene.jhe.add_patient(id, id - 30000, scene.world.now.minus(DAY));
    }
    let user = scene.world.sim.add_user_known_as("10003");
    let import = || scene.world.run(&["patient", "import"]).stdout;
    let first = import();
    assert!(first.contains(&format!("jhe:40003  P40003 Doe: patient 1, linked to ow:{user}")), "{first}");
    assert_eq!(first.matches("left out, OW has no user of external_user_id").count(), 4, "{first}");
    assert!(import().contains("jhe:40003  P40003 Doe: here already"));
    scene.world.sim.put(&user, scene.world.now.minus(HOUR), 60.0);
    assert_eq!(scene.world.created(), 1);
    let twice = scene.world.run(&["patient", "add", "--jhe-patient", "40003"]);
    assert!(twice.code != 0 && twice.stderr.contains("is here already, as patient 1"), "{twice:?}");
    let foreign = scene.world.run(&["patient", "add", "--jhe-patient", "49999"]);
    assert!(foreign.code == 1 && foreign.stderr.contains("shares an organization"), "{foreign:?}");
}

#[test]
fn fields_owned_by_jhe_cannot_be_edited_here() {
    let scene = Scene::new();
    let (_, patient) = scene.patient(40001);
    let ran = scene.world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]);
    assert!(ran.code != 0 && ran.stderr.contains("is JHE's, which is the truth about it"), "{ran:?}");
}

#[test]
fn delayed_corrections_are_shown_with_their_due_time() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let measured = scene.world.now.minus(HOUR);
    scene.world.sim.put(&user, measured, 60.0);
    scene.world.created();
    assert!(!scene.export().stdout.contains("still"), "no correction is delayed yet");
    scene.world.sim.put(&user, measured, 61.0);
    scene.world.created();
    let next = scene.world.now.plus(HOUR * 6);
    let ran = scene.export();
    let told = format!(
        "Delivered 0 observations; waiting for consent 0, for configuration 0, refused 0, to be sent again 0. \
                        1 observation waits because it may still change: the next at {next}."
    );
    assert!(ran.code == 0 && ran.stdout.contains(&told), "{ran:?}");
    for more in [&[][..], &["--patient-id", "jhe:40001"]] {
        let ran = scene.world.run(&[&["export", "--json"], more].concat());
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["still"], serde_json::json!({ "count": 1, "next": next.to_string() }), "{ran:?}");
        assert_eq!((&report["delivered"], &report["stopped"]), (&0.into(), &serde_json::Value::Null));
    }
    scene.world.pass(HOUR * 6);
    let ran = scene.world.run(&["export", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["delivered"], &report["still"]), (&1.into(), &serde_json::Value::Null), "{ran:?}");
}

#[test]
fn export_has_the_same_exit_code_with_json() {
    let scene = Scene::new();
    let (user, _) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Status(503)]);
    let ran = scene.world.run(&["export", "--retry-dead", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["queued"], &report["again"]), (1, &0.into(), &12.into()), "{ran:?}");
    assert!(report["stopped"].as_str().unwrap().contains("503"), "{ran:?}");
}

#[test]
fn a_consent_is_shown_with_the_study_that_asked() {
    let scene = Scene::new();
    let (_, patient) = scene.patient(40001);
    let shown = scene.world.run(&["patient", "show", &patient]).stdout;
    let consent = shown.lines().find(|line| line.starts_with("consent")).unwrap();
    assert!(consent.contains(HEART_RATE) && consent.contains(", for study 1 (Lifespan)"), "{shown}");
    let shown = scene.world.run(&["patient", "show", &patient, "--json"]).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["consents"][0]["study"], serde_json::json!({ "id": 1, "name": "Lifespan" }));
    let (_, own) = World::patient(&scene.world);
    let shown = scene.world.run(&["patient", "show", &own]).stdout;
    assert!(shown.contains(", recorded by hand"), "{shown}");
}

#[test]
fn a_long_export_without_a_terminal_prints_how_far_it_is() {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    let from = scene.world.now.minus(HOUR * 20);
    scene.world.sim.fill(&user, from, scene.world.now, Duration::from_mins(1), 1);
    scene.world.created();
    let ran = scene.export();
    assert!(ran.stdout.contains("Delivered 1200"), "{ran:?}");
    assert_eq!(ran.stderr.matches("observations processed so far").count(), 1, "{ran:?}");
    assert!(scene.is_delivered(40001, &patient));
}
