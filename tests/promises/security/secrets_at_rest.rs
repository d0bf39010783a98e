//! The files of the store hold no usable secret: tokens are hashed, secrets of other services are encrypted.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::support::authenticator::Authenticator;
use crate::support::bucket::{BUCKET, KEY_ID, SECRET};
use crate::support::harness::*;
use crate::support::jhe_patient::{PATIENT, Scene};
use crate::support::running_daemon::*;
use crate::support::secrets::{EMAIL, NAME, SEAL};

fn holds(file: &Path, text: &[u8]) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(text.len()).any(|part| part == text)
}

/// Returns every file below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn no_file_of_the_store_holds_a_secret_that_can_be_used() {
    let scene = Scene::with(&[("JHE_OW_SECRET_KEY", SEAL)]);
    let (world, served) = (&scene.world, &scene.served);
    let operator = served.operator(world);
    for (key, value) in [("ow.s3.access_key_id", KEY_ID), ("ow.s3.secret_access_key", SECRET)] {
        world.setting(key, value);
    }
    let (app, recovery) = Authenticator::set_up(&operator, world);
    let totp = app.secret();
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, NAME, &study);
    let page = format!("/admin/patients/{patient}");
    let api = operator.submit(&page, &format!("{page}/api-token"), &[("label", "an app")]).secret();
    let person = served.visitor();
    let used = invite(&operator, &patient);
    assert_eq!(agree(&person, &used, &study).status, 303);
    let open = invite(&operator, &patient);
    let link =
        operator.submit("/admin/accounts", "/admin/accounts/new", &[("name", "Ada"), ("role", "viewer")]);
    // The JHE patient's tokens are stored for the duration of the session.
    let jhe_code = scene.jhe.make_invitation(PATIENT);
    assert_eq!(scene.go_on(&jhe_code).status, 303);
    let after = |text: &str, mark: &str| text.split_once(mark).unwrap().1.to_owned();
    let session = |visitor: &Visitor, name: &str| visitor.cookies.lock().unwrap()[name].clone();
    let hashed = [
        session(&operator, "jhe_ow_session"),
        session(&person, "jhe_ow_patient"),
        session(&scene.browser, "jhe_ow_patient"),
        api,
        after(&used, "code="),
        after(&open, "code="),
        after(&link.secret(), "token="),
    ];
    let (world_key, forms) = (world.sim.key(), operator.get("/admin").hidden("/admin/sign-out")[0].1.clone());
    let others = scene.jhe.state().people.granted();
    assert_eq!(others.len(), 2, "an access token and a refresh token");
    let plain: Vec<&str> =
        [KEY_ID, SECRET, SEAL, PASSWORD, &totp, &jhe_code, &world_key, &forms, crate::support::fake_jhe::KEY]
            .into_iter()
            .chain(others.iter().chain(&hashed).chain(&recovery).map(String::as_str))
            .collect();
    let copy = world.directory.path().join("copy.sqlite3");
    assert_eq!(world.run(&["backup", copy.to_str().unwrap()]).code, 0);
    let (mut stores, mut found) = (files(&world.data_dir()), 0);
    assert!(stores.iter().any(|file| file.to_string_lossy().ends_with("-wal")), "{stores:?}");
    stores.push(copy.clone());
    for file in &stores {
        for secret in &plain {
            let written = [STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret), (*secret).to_owned()];
            // Even the first 20 characters of a token must not be stored in clear.
            let half = secret[..secret.len().min(20)].to_owned();
            for text in written.iter().chain([&half]) {
                assert!(!holds(file, text.as_bytes()), "{} contains {secret} as {text}", file.display());
            }
        }
        found += usize::from(holds(file, NAME.as_bytes()));
    }
    assert!(found >= 2, "precondition: a value that is not secret is found");
    for token in &hashed {
        assert!(holds(&copy, &Sha256::digest(token.as_bytes())), "only the token's hash is stored");
    }
    assert!(holds(&copy, b"$argon2id$") && holds(&copy, b"sealed:"));
    assert!(!holds(&copy, EMAIL.as_bytes()));
}

#[test]
fn sealed_secrets_open_with_their_own_key_only_and_a_wrong_key_is_reported() {
    let mut world = World::new();
    world.set("JHE_OW_SECRET_KEY", SEAL);
    world.patient();
    for (key, value) in [
        ("ow.ingest_mode", "raw"),
        ("ow.s3.endpoint_url", "http://127.0.0.1:9"),
        ("ow.s3.access_key_id", KEY_ID),
        ("ow.s3.secret_access_key", SECRET),
        ("ow.s3.bucket_name", BUCKET),
    ] {
        world.setting(key, value);
    }
    let opened = world.poll();
    assert!(opened.stderr.contains("cannot be reached"), "{opened:?}");
    world.set("JHE_OW_SECRET_KEY", "another-key-that-is-as-long-as-it-has-to-be");
    let other = world.poll();
    let says = "ow.s3.access_key_id cannot be opened: JHE_OW_SECRET_KEY is not the key it was set with";
    assert!(other.code == 1 && other.stderr.contains(says), "{other:?}");
    assert!(other.stderr.contains("jhe-ow settings set ow.s3.access_key_id VALUE"), "{other:?}");
    world.set("JHE_OW_SECRET_KEY", "");
    let none = world.poll();
    assert!(none.code == 1 && none.stderr.contains("no key is configured that opens it"), "{none:?}");
    let refused = world.run(&["settings", "set", "ow.s3.secret_access_key", "anything"]);
    assert!(refused.code == 2 && refused.stderr.contains("openssl rand -base64 32"), "{refused:?}");
    world.set("JHE_OW_SECRET_KEY", SEAL);
    for key in ["ow.s3.access_key_id", "ow.s3.secret_access_key"] {
        let shown = world.run(&["settings", "get", key, "--json"]).stdout;
        assert!(!shown.contains(KEY_ID) && !shown.contains(SECRET) && !shown.contains("sealed:"), "{shown}");
    }
}
