//! A rotation encrypts every secret with the new key, even if it is interrupted at any point; a wrong key is reported
//! at start.

use crate::support::authenticator::{Authenticator, STEP, give_code, give_password, wait};
use crate::support::bucket::{KEY_ID, SECRET};
use crate::support::harness::*;
use crate::support::jhe_patient::{PATIENT, Scene};
use crate::support::running_daemon::*;
use crate::support::secrets::SEAL;

const KEY: &str = "JHE_OW_SECRET_KEY";
const PREVIOUS: &str = "JHE_OW_SECRET_KEY_PREVIOUS";
const NEW: &str = "the-key-that-replaces-it-is-as-long-as-this";
const ROTATE: &[&str] = &["secrets", "rotate"];

fn configure(world: &mut World, key: &str, previous: &str) {
    world.set(KEY, key);
    world.set(PREVIOUS, previous);
}

fn set_secrets(world: &World) {
    for (key, value) in [("ow.s3.access_key_id", KEY_ID), ("ow.s3.secret_access_key", SECRET)] {
        world.setting(key, value);
    }
}

#[test]
fn a_rotation_seals_everything_again_and_goes_on_after_a_kill() {
    let scene = Scene::with(&[(KEY, SEAL)]);
    let operator = scene.served.operator(&scene.world);
    set_secrets(&scene.world);
    let (app, _) = Authenticator::set_up(&operator, &scene.world);
    assert_eq!(scene.go_on(&scene.jhe.make_invitation(PATIENT)).status, 303);
    let Scene { mut world, served, jhe, .. } = scene;
    let port = served.port;
    served.stop("TERM");
    configure(&mut world, NEW, SEAL);
    let killed = world.command(ROTATE).env("JHE_OW_FAILPOINT", "writer.committed:1").output().unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    let left = world.run(&["doctor"]).stdout;
    assert!(
        left.contains("still sealed with JHE_OW_SECRET_KEY_PREVIOUS: 1 second factor, 1 JHE token"),
        "{left}"
    );
    assert!(left.contains("jhe-ow secrets rotate"), "{left}");
    let done = world.run(ROTATE);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("sealed again: 1 second factor, 1 JHE token\n"), "{done:?}");
    assert!(done.stdout.contains("sealed with this key already: 2 secret settings\n"), "{done:?}");
    let unneeded = world.run(&["doctor"]).stdout;
    assert!(unneeded.contains("nothing is sealed with it any more"), "{unneeded}");
    let again = world.run(ROTATE);
    assert!(again.code == 0 && again.stdout.contains("sealed again: nothing\n"), "{again:?}");
    let audit = world.run(&["audit", "list"]).stdout;
    assert_eq!(audit.matches("secrets.rotate").count(), 3, "one audit entry per column: {audit}");
    // The former key decrypts nothing any more, and the new one decrypts everything.
    configure(&mut world, SEAL, "");
    let former = world.run(&["doctor"]).stdout;
    let says = "JHE_OW_SECRET_KEY is not the key that opens 2 secret settings, 1 second factor, 1 JHE token";
    assert!(former.contains(says), "{former}");
    configure(&mut world, NEW, "");
    let alone = world.run(&["doctor"]).stdout;
    assert!(alone.contains("JHE_OW_SECRET_KEY opens all of 4 sealed values"), "{alone}");
    wait(&mut world, STEP * 2);
    let served = Served::on(&world, port, &[("JHE_OW_CLOCK", &world.clock_in_a_file())]);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    assert_eq!(give_code(&visitor, &app.code(world.now)).status, 303);
    drop(jhe);
}

#[test]
fn a_wrong_key_is_told_at_start_with_what_to_do_or_what_is_lost() {
    let mut world = World::new();
    configure(&mut world, SEAL, "");
    set_secrets(&world);
    let log = |world: &World| Served::start(world).stop("TERM").stderr;
    assert!(!log(&world).contains(KEY));
    let lost = "set the secret settings again";
    for (key, previous, problem, remedy) in [
        (
            NEW,
            "",
            "JHE_OW_SECRET_KEY is not the key that opens 2 secret settings",
            "JHE_OW_SECRET_KEY_PREVIOUS, and run",
        ),
        (
            "",
            "",
            "no JHE_OW_SECRET_KEY is configured that opens 2 secret settings",
            "with which they were sealed",
        ),
        (
            NEW,
            "a-key-that-never-sealed-anything-at-all",
            "neither JHE_OW_SECRET_KEY nor JHE_OW_SECRET_KEY_PREVIOUS opens 2 secret settings",
            "jhe-ow secrets rotate",
        ),
    ] {
        configure(&mut world, key, previous);
        for told in [log(&world), world.run(&["doctor"]).stdout] {
            let words: Vec<&str> = told.split_whitespace().collect();
            let told = words.join(" ");
            assert!(
                told.contains(problem) && told.contains(remedy) && told.contains(lost),
                "{problem}: {told}"
            );
        }
        let ran = world.run(ROTATE);
        let expected = if key.is_empty() { (2, "no JHE_OW_SECRET_KEY is configured") } else { (1, problem) };
        assert!(ran.code == expected.0 && ran.stderr.contains(expected.1), "{ran:?}");
    }
    configure(&mut world, "", SEAL);
    let alone = world.run(&["patient", "list"]);
    assert!(
        alone.code == 2 && alone.stderr.contains("secret_key_previous is set, and secret_key is not"),
        "{alone:?}"
    );
    // With both keys the daemon works before the rotation.
    configure(&mut world, NEW, SEAL);
    assert!(log(&world).contains("still sealed with JHE_OW_SECRET_KEY_PREVIOUS: 2 secret settings"));
}

#[test]
fn the_former_key_comes_from_a_file_or_a_credential_too() {
    let mut world = World::new();
    let (file, credential) =
        (world.directory.path().join("former"), world.directory.path().join("jhe_ow_secret_key_previous"));
    world.set(KEY, SEAL);
    set_secrets(&world);
    world.set(KEY, NEW);
    std::fs::write(&file, format!("{SEAL}\n")).unwrap();
    world.set("JHE_OW_SECRET_KEY_PREVIOUS_FILE", file.to_str().unwrap());
    let done = world.run(ROTATE);
    assert!(done.code == 0 && done.stdout.contains("sealed again: 2 secret settings"), "{done:?}");
    world.set("JHE_OW_SECRET_KEY_PREVIOUS_FILE", "");
    std::fs::write(credential, NEW).unwrap();
    world.set("CREDENTIALS_DIRECTORY", world.directory.path().to_str().unwrap().to_owned().as_str());
    world.set(KEY, SEAL);
    let back = world.run(ROTATE);
    assert!(back.code == 0 && back.stdout.contains("sealed again: 2 secret settings"), "{back:?}");
}
