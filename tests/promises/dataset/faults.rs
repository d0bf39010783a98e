//! Bad input gets a sentence, and never half a data set.

use std::fs;

use super::tables::{study_of, write};
use crate::support::harness::*;
use crate::support::running_daemon::*;

#[test]
fn a_wrong_study_directory_or_commit_is_refused_and_nothing_is_written() {
    let world = World::new();
    let (_, patient) = world.patient_of(&[HEART_RATE], "UTC");
    study_of(&world, &[&patient], &[HEART_RATE]);
    let (directory, _) = write(&world, "set", &[]);
    let file = world.directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    let new = world.directory.path().join("new");
    let missing = world.directory.path().join("missing/set");
    for (study, out, options, reason) in [
        ("Nothing", &new, &[][..], "there is no study 'Nothing'"),
        ("1", &directory, &[][..], "is not empty"),
        ("1", &file, &[][..], "exists already"),
        ("1", &missing, &[][..], "create the directory above it"),
        ("1", &new, &["--since", "999"][..], "the store has no commit 999"),
        ("1", &new, &["--format", "xml"][..], "csv, parquet"),
    ] {
        let path = out.display().to_string();
        let arguments = ["dataset", "--study", study, "--out", &path];
        let ran = world.run(&arguments.into_iter().chain(options.iter().copied()).collect::<Vec<_>>());
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(ran.stderr.contains(reason), "{reason}: {ran:?}");
    }
    assert!(!new.exists() && !missing.exists());
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
    let left: Vec<String> =
        names(world.directory.path()).into_iter().filter(|name| name.starts_with(".jhe-ow")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_viewer_downloads_the_data_set_and_the_audit_says_so() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Hearts & minds");
    make_patient(&operator, "Rosalind Marker", &study);
    let page = format!("/admin/studies/{study}");
    let got = operator.submit(&page, &format!("{page}/data"), &[("format", "csv"), ("since", "")]);
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.body.contains("participants.csv") && got.body.contains("datapackage.json"));
    let refused = operator.submit(&page, &format!("{page}/data"), &[("format", "csv"), ("since", "soon")]);
    assert_eq!(refused.status, 400);
    let refused = operator.submit(&page, &format!("{page}/data"), &[("format", "csv"), ("since", "99999")]);
    assert_eq!(refused.status, 400, "{}", refused.body);
    served.stop("TERM");
    let audit = world.run(&["audit", "list"]).stdout;
    assert_eq!(audit.matches("study.download").count(), 1, "{audit}");
    assert!(!names(&world.data_dir()).iter().any(|name| name.starts_with(".jhe-ow")));
}
