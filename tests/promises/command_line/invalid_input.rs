//! Invalid arguments and configuration: a clear error, exit code 2, and nothing written.

use crate::support::harness::*;

#[track_caller]
fn refused(ran: &Ran, told: &str) {
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains(told), "{told} is not in {ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

#[test]
fn arguments_are_checked() {
    let world = World::new();
    let (user, patient) = world.patient();
    for (arguments, told) in [
        (vec!["poll", "--patient-id", "x"], "'x' is not a patient"),
        (vec!["poll", "--patient-id", "99"], "there is no patient 99"),
        (vec!["poll", "--patient-id", "jhe:40001"], "there is no patient jhe:40001"),
        (vec!["poll", "--window", "soon"], "'soon' is not a length of time"),
        (vec!["poll", "--window", "0d"], "0d is empty"),
        (vec!["poll", "--window", "30000d"], "20 years"),
        (vec!["poll", "--since", "0000-01-01"], "20 years"),
        (vec!["poll", "--since", "yesterday"], "'yesterday' is not a time"),
        (vec!["poll", "--since", "2026-11-21", "--until", "2026-11-20"], "is not before"),
        (vec!["poll", "--until", "2026-11-20"], "--since"),
        (vec!["observations", "--code", "omh:pulse:1.0"], "CodeableConcept 'omh:pulse:1.0' not found"),
        (vec!["observations", "--format", "xml"], "omh"),
        (vec!["observations", "--since", "2026-13-01"], "is not a time"),
        (vec!["patient", "add", "--name", " "], "give a name"),
        (vec!["patient", "add", "--name", "A", "--email", "nobody"], "name@example.org"),
        (
            vec!["patient", "add", "--name", "A", "--tz", "Mars/Olympus"],
            "there is no time zone 'Mars/Olympus'",
        ),
        (vec!["patient", "add", "--name", "A", "--ow-user", "123"], "is not an OW user id"),
        (
            vec!["patient", "add", "--name", "A", "--consent", "omh:pulse:1.0", "--reason", "paper"],
            "not found. `jhe-ow catalog` lists the codes.",
        ),
        (
            vec!["patient", "add", "--name", "A", "--consent", "heart-rate", "--reason", "paper"],
            "CodeableConcept 'heart-rate' not found. Did you mean omh:heart-rate:2.0?",
        ),
        (vec!["patient", "link", &patient, "--ow-user", "ow:1"], "is not an OW user id"),
        (vec!["patient", "consent", &patient, HEART_RATE], "--grant"),
        (vec!["patient", "show", "99"], "there is no patient 99"),
        (vec!["settings", "set", "module.ow", "maybe"], "give true or false"),
        (vec!["settings", "set", "module.wo", "true"], "did you mean module.ow?"),
        (vec!["settings", "get", "nothing"], "there is no setting 'nothing'"),
        (vec!["settings", "set", "ow.ingest_mode", "bogus"], "give normalized or raw"),
        (vec!["fly"], "unrecognized subcommand"),
    ] {
        refused(&world.run(&arguments), told);
    }
    assert_eq!(world.run(&["patient", "list"]).stdout.lines().count(), 1);
    assert!(world.sim.requests().is_empty(), "{user}");
}

#[test]
fn the_configuration_is_checked_before_anything_is_made() {
    for (name, value, told) in [
        ("JHE_OW_BIND", "8002", "environment variable JHE_OW_BIND"),
        ("OW_API_URL", "ftp://x", "OW_API_URL"),
        ("OW_API_KEY_FILE", "/nowhere/key", "/nowhere/key"),
        ("JHE_OW_CLOCK", "noon", "JHE_OW_CLOCK"),
        ("JHE_OW_LOG_FORMAT", "xml", "give auto, pretty or json"),
        ("JHE_OW_DATE_DIR", "/x", "JHE_OW_DATA_DIR"),
        ("JHE_OW_CONFIG", "/nowhere.toml", "/nowhere.toml"),
    ] {
        let world = World::bare();
        let mut command = world.command(&["seed"]);
        command.env_remove("OW_API_KEY").env(name, value);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains(told), "{stderr}");
        assert!(!world.data_dir().exists(), "{name}: the command must not create anything");
    }
}

#[test]
fn an_error_in_the_configuration_file_names_its_line() {
    let world = World::bare();
    std::fs::write(world.directory.path().join("jhe-ow.toml"), "[server]\nbnid = \"127.0.0.1:1\"\n").unwrap();
    let ran = world.run(&["seed"]);
    refused(&ran, "jhe-ow.toml line 2");
    assert!(ran.stderr.contains("did you mean server.bind?"), "{ran:?}");
}

#[test]
fn secrets_are_never_shown() {
    let mut world = World::new();
    world.set("JHE_OW_SECRET_KEY", &"0123456789".repeat(4));
    world.setting("ow.s3.secret_access_key", "hush-hush");
    let list = world.run(&["settings", "list"]);
    assert!(list.stdout.contains("ow.s3.secret_access_key = (set)"), "{list:?}");
    assert!(!list.stdout.contains("hush"));
    assert_eq!(world.run(&["settings", "get", "ow.s3.secret_access_key"]).stdout, "(set)\n");
    assert_eq!(world.run(&["settings", "unset", "ow.s3.secret_access_key"]).code, 0);
}

#[test]
fn settings_show_their_default_and_origin() {
    let world = World::new();
    let list = world.run(&["settings", "list"]).stdout;
    assert!(list.contains("module.ow = true  (set; default: false)"), "{list}");
    assert!(list.contains("ow.poll_interval = 15m  (default)"), "{list}");
}
