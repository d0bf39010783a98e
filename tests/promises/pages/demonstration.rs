//! The demonstration in a browser. Its pages are also the pictures of `docs/pictures`.

use std::path::Path;

use crate::support::browser::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// With this variable the pictures are written:
/// `JHE_OW_PICTURES=1 cargo test --test promises the_demonstration_tells_its_story`.
const PICTURES: &str = "JHE_OW_PICTURES";
const PHONE: (u32, u32) = (360, 740);
const DESK: (u32, u32) = (1280, 900);
/// Study numbers, names, addresses, time zones and languages.
const PEOPLE: &str =
    "S101,Ines Example,ines@example.org,Europe/Madrid,es\nS102,John Example,,Europe/Nowhere,en";

/// Shows a page, checks that it fits, and draws it if pictures are wanted.
fn show(browser: &Browser, (width, height): (u32, u32), picture: &str) {
    browser.resize(width, height);
    assert!(!browser.overflows(), "{picture} is wider than the window");
    browser.is_accessible(picture);
    if std::env::var_os(PICTURES).is_some() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
        browser.draw(&directory.join(picture).with_extension("png"));
    }
}

#[test]
fn the_demonstration_tells_its_story() {
    if !is_there_a_browser() {
        return;
    }
    let world = World::bare();
    let demo = Demonstration::start(&world);
    let operator = Browser::open(80);
    operator.go(&demo.sign_in);
    operator.press("Sign in");
    operator.see("Home");
    let at = |path: &str| format!("{}{path}", demo.base());
    until("one patient has withdrawn, and one is silent", || {
        operator.go(&at("/admin/studies/1"));
        let text = operator.text().split_whitespace().collect::<Vec<_>>().join(" ");
        ["Withdrawn 1", "Silent 1", "Invited 1"].iter().all(|part| text.contains(part))
    });
    show(&operator, DESK, "participants");
    for (path, words, picture) in [
        ("/admin", "Needs attention", "home"),
        ("/admin/studies/1/adherence", "withdrawn", "adherence"),
        ("/admin/studies/1/data", "CSV", "data"),
        ("/admin/studies/1/consent-text", "Versions", "consent-text"),
        ("/admin/patients/1", "Ines Quintero", "patient"),
        ("/admin/patients/1/charts?period=week", "Deep", "charts"),
        ("/admin/system", "Last backup", "system"),
    ] {
        operator.go(&at(path));
        operator.read(words);
        show(&operator, DESK, picture);
    }
    operator.go(&at("/admin/studies/1/invite"));
    operator.fill("people", PEOPLE);
    operator.press("Check the list");
    operator.read("Europe/Nowhere");
    show(&operator, DESK, "invite");
    operator.go(&at("/admin/rejected"));
    operator.read("412 bpm");
    let patient = Browser::with(80, &["--lang=es", "--accept-lang=es"]);
    patient.go(&demo.invitation);
    patient.read("Sueño y corazón");
    show(&patient, PHONE, "consent");
    patient.go(&format!("file://{}", demo.sheet));
    assert!(patient.text().contains("Invitations to Sleep and Heart"), "{}", patient.text());
    demo.running.signal("INT");
    assert_eq!(demo.running.wait().code, 0);
    assert!(!Path::new(&demo.sheet).exists(), "the data directory is removed");
}
