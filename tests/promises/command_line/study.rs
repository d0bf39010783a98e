//! Studies and their participants on the command line.

use crate::support::harness::*;

#[test]
fn a_study_is_added_shown_changed_and_filled_on_the_command_line() {
    let world = World::new();
    let run = |words: &[&str]| world.run(words);
    let text = world.directory.path().join("why.txt");
    std::fs::write(&text, "To learn how hearts behave at night.\n").unwrap();
    let terms = ["--organization", "Lab", "--contact", "Ada", "--consent-text", text.to_str().unwrap()];
    let add = |more: &[&str]| run(&[&["study", "add", "Sleep"], &terms[..], more].concat());
    for (more, why) in [
        (&[][..], "needs --scope"),
        (&["--scope", "omh:heart-rate:9"], "did you mean omh:heart-rate:2.0?"),
        (&["--scope", HEART_RATE, "--source", "Ourra"], "did you mean Oura?"),
        (&["--scope", HEART_RATE, "--from", "2026-11-21", "--until", "2026-11-20"], "before the first"),
        (&["--scope", HEART_RATE, "--days", "0"], "1 to 3660 days"),
    ] {
        let ran = add(more);
        assert!(ran.code != 0 && ran.stderr.contains(why), "{more:?}: {ran:?}");
    }
    assert_eq!(run(&["study", "list"]).stdout, "", "nothing was written");
    let added = add(&["--scope", HEART_RATE, "--source", "oura", "--tz", "Europe/Berlin", "--days", "14"]);
    assert_eq!((added.code, added.stdout.as_str()), (0, "1\n"), "{added:?}");
    assert!(run(&["study", "list"]).stdout.contains("14 days from connecting"));
    let shown: serde_json::Value =
        serde_json::from_str(&run(&["study", "show", "Sleep", "--json"]).stdout).unwrap();
    assert_eq!(shown["purpose"], "To learn how hearts behave at night.");
    assert_eq!((&shown["collection"]["days"], &shown["data_sources"][0]), (&14.into(), &"Oura".into()));

    let changed = run(&["study", "edit", "1", "--until", "2026-12-24", "--name", "Night"]);
    assert!(changed.stdout.contains("until 2026-12-24"), "{changed:?}");
    let changed = run(&["study", "edit", "Night", "--from", "2026-12-01"]);
    assert!(changed.stdout.contains("2026-12-01 to 2026-12-24"), "{changed:?}");
    assert!(run(&["study", "show", "1"]).stdout.contains("Europe/Berlin"), "the other fields are unchanged");

    assert_eq!(run(&["patient", "add", "--name", "A", "--study", "Night"]).code, 0);
    assert_eq!(run(&["patient", "add", "--name", "B"]).code, 0);
    assert_eq!(run(&["patient", "list", "--study", "Night"]).stdout.lines().count(), 1);
    let enrolled = run(&["study", "enrol", "1", "1", "2", "--until", "2026-12-31"]);
    assert_eq!((enrolled.code, enrolled.stdout.lines().count()), (0, 2), "{enrolled:?}");
    assert_ne!(run(&["study", "enrol", "1", "2", "99"]).code, 0);
    assert_eq!(run(&["invite", "--patient-id", "2"]).code, 0);
    let invited = run(&["patient", "list", "--study", "1", "--state", "invited", "--json"]).stdout;
    let invited: serde_json::Value = serde_json::from_str(&invited).unwrap();
    assert_eq!((&invited["name"], &invited["silent"]), (&"B".into(), &false.into()));
    let wrong = run(&["patient", "list", "--state", "gone"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("not-invited"), "{wrong:?}");
    let audit = run(&["audit", "list"]).stdout;
    for action in ["study.add", "study.change", "study.enrol", "collection.change"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
}
