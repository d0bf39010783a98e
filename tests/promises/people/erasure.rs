//! A patient's data can be exported and erased completely.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::connected_world::Scene;
use crate::support::erasure::*;
use crate::support::harness::*;
use crate::support::jhe_patient;
use crate::support::running_daemon::*;

#[test]
fn erased_data_is_nowhere_in_the_file_while_the_daemon_runs() {
    let mut world = World::new();
    world.setting("ow.poll_interval", "1s");
    let (_, patient, neighbour) = canaries(&world);
    let mut needles: Vec<Vec<u8>> = [NAME, EMAIL, DEVICE, SAMPLE].map(|text| text.as_bytes().to_vec()).into();
    needles.push(external_id(&world, &patient).into_bytes());
    needles.extend(MEASURED.map(|value| value.to_be_bytes().to_vec()));
    assert_eq!(
        canaries_in_store(&world, &needles).len(),
        needles.len(),
        "precondition: every canary is in the store"
    );
    let before = world.kept(&neighbour);
    let served = Served::start(&world);
    let told = erased(&world, &patient);
    assert_eq!(canaries_in_store(&world, &needles), BTreeSet::new());
    assert_eq!(
        rows_of(&world, &patient).into_iter().map(|(table, _)| table).collect::<Vec<_>>(),
        ["audit_entries", "erased_identifiers", "erasures"]
    );
    assert_eq!(orphans(&world), 0);
    world.pass(HOUR);
    assert_eq!(served.stop("TERM").code, 0);
    assert_eq!(canaries_in_store(&world, &needles), BTreeSet::new());
    assert_eq!(world.kept(&neighbour), before);
    assert_eq!(one::<String>(&world, "PRAGMA integrity_check"), "ok");
    for out_of_reach in ["backups", "replicas", "OW keeps", "the audit log here", "log files"] {
        assert!(told.contains(out_of_reach), "{out_of_reach}: {told}");
    }
    let all = world.run(&["audit", "list"]).stdout;
    let line = all.lines().find(|line| line.contains("patient.erase")).unwrap();
    assert!(line.trim_end().ends_with(&format!("patient.erase  patient {patient}")), "{line}");
    assert_eq!(world.run(&["audit", "verify"]).code, 0);
}

#[test]
fn an_erasure_disconnects_the_device_at_ow_or_is_refused() {
    let world = World::new();
    let (user, patient, _) = canaries(&world);
    world.sim.set_users_broken(Some(503));
    let ran = erase(&world, &patient);
    assert!(ran.code == 1 && ran.stderr.contains("Nothing was erased"), "{ran:?}");
    assert!(!world.kept(&patient).is_empty());
    assert!(world.run(&["patient", "list"]).stdout.contains(NAME));
    world.sim.set_users_broken(None);
    erased(&world, &patient);
    assert_eq!(world.sim.connected("oura").len(), 1, "the other patient's connection stays");
    assert!(!world.sim.connected("oura").contains(&user));
}

#[test]
fn an_erasure_can_skip_ow_on_request() {
    let world = World::new();
    let (user, patient, _) = canaries(&world);
    world.sim.set_users_broken(Some(503));
    let ran = world.run(&["patient", "erase", &patient, "--yes", "--without-ow"]);
    assert!(ran.code == 0 && ran.stderr.contains("OW could not disconnect"), "{ran:?}");
    assert!(world.sim.connected("oura").contains(&user));
    assert!(ran.stdout.contains(&format!("ow:{user}; delete the user there")), "{ran:?}");
}

#[test]
fn a_running_tick_writes_nothing_of_an_erased_patient() {
    let world = World::new();
    let (_, patient, neighbour) = canaries(&world);
    let kept = world.kept(&neighbour).len();
    for ward in world.sim.connected("oura") {
        world.sim.put(&ward, world.now.minus(FIVE_MINUTES / 2), 63.0);
    }
    let mut command = world.command(&["patient", "erase", &patient, "--yes", "--without-ow"]);
    command.env_remove("OW_API_URL");
    let once = Mutex::new(Some(command));
    world.sim.on_page(move |_, _| {
        if let Some(mut erase) = once.lock().unwrap().take() {
            let ended = erase.output().unwrap();
            assert!(ended.status.success(), "{ended:?}");
        }
    });
    let ran = world.poll();
    assert!(ran.code != 1, "an erased patient must not stop the others' polls: {ran:?}");
    assert_eq!(rows_of(&world, &patient).len(), 3);
    assert_eq!(orphans(&world), 0);
    assert_eq!(world.kept(&neighbour).len(), kept + 1);
    assert_eq!(world.poll().code, 0);
}

#[test]
fn an_unconfirmed_erasure_is_refused() {
    let world = World::new();
    let (_, patient) = world.patient();
    let ran = world.run(&["patient", "erase", &patient]);
    assert!(ran.code == 2 && ran.stderr.contains("--yes"), "{ran:?}");
    assert_eq!(world.run(&["patient", "show", &patient]).code, 0);
    let ran = erase(&world, "77");
    assert!(ran.code == 2 && ran.stderr.contains("there is no patient 77"), "{ran:?}");
}

#[test]
fn the_number_of_an_erased_patient_is_never_given_again_and_erasing_twice_does_no_harm() {
    let world = World::new();
    let (_, patient) = world.patient();
    erased(&world, &patient);
    erased(&world, &patient);
    let (_, next) = world.patient();
    assert_ne!(patient, next);
    let entries: i64 = one(&world, "SELECT count(*) FROM audit_entries WHERE action = 'patient.erase'");
    assert_eq!(entries, 1);
}

#[test]
fn copies_of_the_store_that_have_the_patient_are_named() {
    let world = World::new();
    let backups = world.data_dir().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let backup = |name: &str| {
        let file = backups.join(name);
        assert_eq!(world.run(&["backup", file.to_str().unwrap()]).code, 0);
    };
    backup("before.sqlite3");
    let (_, patient) = world.patient();
    backup("after.sqlite3");
    std::fs::write(backups.join("torn.sqlite3"), "torn to pieces").unwrap();
    let told = erased(&world, &patient);
    assert!(told.contains("after.sqlite3: has the patient"), "{told}");
    assert!(told.contains("torn.sqlite3: cannot be read, and may have the patient"), "{told}");
    assert!(!told.contains("before.sqlite3"), "{told}");
}

#[test]
fn an_erased_patient_is_not_imported_again_unasked() {
    let scene = Scene::new();
    let world = &scene.world;
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 3);
    world.created();
    scene.export();
    let delivered = scene.jhe.instants(40001).len();
    assert_eq!(delivered, 36);
    let told = erased(world, &patient);
    assert!(told.contains("JHE keeps the observations that it received"), "{told}");
    assert_eq!(scene.jhe.instants(40001).len(), delivered);
    let refused = |ran: &Ran| {
        assert!(ran.code == 2 && ran.stderr.contains("was erased at"), "{ran:?}");
        assert!(ran.stderr.contains(&format!("jhe-ow patient readmit {patient}")), "{ran:?}");
    };
    refused(&world.run(&["patient", "add", "--jhe-patient", "40001"]));
    refused(&world.run(&["patient", "add", "--name", "B", "--ow-user", &user]));
    let alone = world.run(&["patient", "add", "--name", "C"]).stdout.trim().to_owned();
    refused(&world.run(&["patient", "match", &alone, "--jhe-patient", "40001"]));
    let imported = world.run(&["patient", "import"]);
    assert!(
        imported.code == 0 && imported.stdout.contains("left out, JHE patient 40001 was"),
        "{imported:?}"
    );
    let ran = world.run(&["patient", "readmit", "jhe:40001"]);
    assert!(ran.code == 0 && ran.stdout.contains("can be added again"), "{ran:?}");
    assert_eq!(world.run(&["patient", "add", "--jhe-patient", "40001", "--ow-user", &user]).code, 0);
}

#[test]
fn an_invitation_of_an_erased_patient_explains_that() {
    let scene = jhe_patient::Scene::new();
    scene.come_in();
    let patient = format!("jhe:{}", jhe_patient::PATIENT);
    let ran = scene.world.run(&["patient", "erase", &patient, "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_ne!(scene.browser.get("/clients/ow/manage").status, 200, "the browser is signed out");
    let went = scene.go_on(&scene.jhe.make_invitation(jhe_patient::PATIENT));
    assert_eq!(went.status, 403, "{}", went.body);
    assert!(
        went.body.contains("Your data were erased here") && !went.body.contains("readmit"),
        "{}",
        went.body
    );
    assert_eq!(one::<i64>(&scene.world, "SELECT count(*) FROM patients"), 0);
}

fn unzip(file: &Path, name: &str) -> String {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut text = String::new();
    zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn everything_about_one_patient_and_nobody_else_is_in_the_zip() {
    let world = World::new();
    let (user, patient, _) = canaries(&world);
    let file = world.directory.path().join("one.zip");
    let export = ["patient", "export", &patient, "--output", file.to_str().unwrap()];
    let ran = world.run(&export);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = |name: &str| -> Vec<Value> {
        unzip(&file, name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let observations = lines("observations.ndjson");
    let current: Vec<&Value> =
        observations.iter().filter(|one| one["state"] == "current").map(|one| &one["data_point"]).collect();
    assert_eq!(current, world.documents(&patient).iter().collect::<Vec<_>>());
    let replaced: Vec<&Value> = observations.iter().filter(|one| one["state"] == "replaced").collect();
    assert_eq!(replaced.len(), 1);
    assert_eq!(replaced[0]["data_point"]["body"]["heart_rate"]["value"], MEASURED[0]);
    let person: Value = serde_json::from_str(&unzip(&file, "patient.json")).unwrap();
    assert_eq!(
        (&person["patient"][0]["name"], &person["patient"][0]["email"]),
        (&NAME.into(), &EMAIL.into())
    );
    assert_eq!(person["links"][0]["ow_user_id"], Value::from(user));
    assert_eq!(person["consents"][0]["code"], HEART_RATE);
    assert!(lines("rejected.ndjson")[0]["sample"].as_str().unwrap().contains(SAMPLE));
    assert!(lines("audit.ndjson").iter().any(|entry| entry["action"] == "patient.export"));
    assert!(unzip(&file, "README.txt").contains("observations.ndjson"));
    let again = world.run(&export);
    assert!(again.code == 1 && again.stderr.contains("is there already"), "{again:?}");
    assert_eq!(world.run(&[&export[..], &["--force"]].concat()).code, 0);
    assert!(!names(world.directory.path()).iter().any(|name| name.contains("unfinished")));
}

#[test]
fn no_secret_is_in_the_zip() {
    let world = World::new();
    let (_, patient) = world.patient();
    let db = Connection::open(world.database()).unwrap();
    db.execute(
        "INSERT INTO sessions (token_hash, patient_id, created_at, expires_at, last_active_at, browser, address)
         VALUES (x'00112233445566778899', ?, 1, 2, 1, '', '')",
        [&patient],
    )
    .unwrap();
    let invitation = [0xAB_u8; 32];
    db.execute(
        "INSERT INTO invitations (token_hash, patient_id, issued_at, expires_at) VALUES (?, ?, 1, 2)",
        rusqlite::params![invitation, patient],
    )
    .unwrap();
    let file = world.directory.path().join("one.zip");
    assert_eq!(world.run(&["patient", "export", &patient, "--output", file.to_str().unwrap()]).code, 0);
    let text = unzip(&file, "patient.json").to_lowercase();
    assert!(!text.contains(&"ab".repeat(32)) && !text.contains("00112233445566778899"));
    let person: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(person["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(person["invitations"].as_array().unwrap().len(), 1);
}

#[test]
fn the_page_of_an_erased_patient_shows_when_it_was_erased() {
    let world = World::new();
    let (_, patient) = world.patient();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    erased(&world, &patient);
    let page = operator.get(&format!("/admin/patients/{patient}"));
    assert_eq!((page.status, page.heading()), (404, "The patient was erased"), "{}", page.body);
    assert!(page.body.contains("erased on ") && !page.body.contains("cut short"), "{}", page.body);
    let never = operator.get("/admin/patients/99");
    assert_eq!((never.status, never.heading()), (404, "There is no such patient"), "{}", never.body);
}

#[test]
fn the_sqlite_of_the_machine_finds_the_store_sound_after_an_erasure() {
    let world = World::new();
    let (_, patient) = world.patient();
    erased(&world, &patient);
    // Debian 12 has SQLite 3.40, which misreads reordered columns.
    let check = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())";
    let python =
        std::process::Command::new("/usr/bin/python3").args(["-c", check]).arg(world.database()).output();
    let Ok(python) = python else { return eprintln!("there is no python3 here; this was not checked") };
    assert_eq!(String::from_utf8_lossy(&python.stdout), "[('ok',)]\n", "{python:?}");
}
