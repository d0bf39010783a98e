//! Invalid input gives an error message and never a partial data set.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

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
        ("1", &directory, &[][..], "exists already\n  give a new name"),
        ("1", &file, &[][..], "exists already"),
        ("1", &PathBuf::from("-"), &[][..], "- names no new directory"),
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

/// Writes both formats and the archive on a file system of 200 KiB.
#[test]
fn a_full_disk_is_reported_and_leaves_no_half_data_set() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE], "UTC");
    world.sim.fill(&user, world.now.minus(DAY * 20), world.now, Duration::from_mins(1), 1);
    assert_eq!(world.run(&["poll", "--window", "20d"]).code, 0);
    study_of(&world, &[&patient], &[HEART_RATE]);
    for (name, format) in [("set", "csv"), ("set", "parquet"), ("set.zip", "parquet")] {
        let small = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=200k none $SMALL || exit 9
             jhe_ow=$1; shift; \"$jhe_ow\" \"$@\" 2>&1; echo \"exit $? left $(ls -A $SMALL | wc -l)\"";
        let mut command = Command::new("unshare");
        let this = world.command(&[]);
        command.env_clear().envs(this.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("SMALL", small.path());
        command.args([
            "-rm",
            "sh",
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_jhe-ow"),
            "dataset",
            "--study",
            "1",
        ]);
        let output = command.arg("--format").arg(format).arg("--out").arg(small.path().join(name)).output();
        let Some(output) = output.ok().filter(|output| output.status.success()) else {
            println!("not tested: this machine allows no file systems of one's own");
            return;
        };
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            told.contains("No space left") && told.contains("free space on this disk"),
            "{format}: {told}"
        );
        assert!(told.ends_with("exit 1 left 0\n"), "{format}: {told}");
    }
}

#[test]
fn a_download_from_the_page_is_in_the_audit() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Hearts & minds");
    make_patient(&operator, "Rosalind Marker", &study);
    let page = format!("/admin/studies/{study}/data");
    let got = operator.submit(&page, &page, &[("format", "csv"), ("since", "")]);
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.body.contains("participants.csv") && got.body.contains("datapackage.json"));
    let refused = operator.submit(&page, &page, &[("format", "csv"), ("since", "soon")]);
    assert_eq!(refused.status, 400);
    let refused = operator.submit(&page, &page, &[("format", "csv"), ("since", "99999")]);
    assert_eq!(refused.status, 400, "{}", refused.body);
    served.stop("TERM");
    let audit = world.run(&["audit", "list"]).stdout;
    assert_eq!(audit.matches("study.download").count(), 1, "{audit}");
    assert!(!names(&world.data_dir()).iter().any(|name| name.starts_with(".jhe-ow")));
}
