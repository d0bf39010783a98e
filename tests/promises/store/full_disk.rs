//! A full or read-only disk: a clear error, an intact file, and recovery. The tests mount small file systems where the
//! machine allows it (`unshare`).

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::harness::*;

/// Returns a script with the data directory on a file system of 1600 KiB and `jhe_ow` as a command; `None` if the
/// machine does not allow mounts.
fn on_a_small_disk(world: &World, script: &str) -> Option<Command> {
    std::fs::create_dir_all(world.data_dir()).unwrap();
    let data = world.data_dir().display().to_string();
    let mount = format!("mount -t tmpfs -o size=1600k none {data}");
    let allowed = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("not tested: this machine allows no file systems of one's own");
        return None;
    }
    let path = world.directory.path().join("script");
    let binary = env!("CARGO_BIN_EXE_jhe-ow");
    let text = format!("{mount} || exit 9\njhe_ow() {{ {binary} \"$@\" 2>&1; echo \"exit $?\"; }}\n{script}");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new("unshare");
    let this = world.command(&[]);
    command.env_clear().envs(this.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("DATA", data);
    command.args(["-rm", "sh"]).arg(&path).stdin(Stdio::null());
    Some(command)
}

/// Returns the output of such a script.
fn run_on_a_small_disk(world: &World, script: &str) -> Option<String> {
    let output = on_a_small_disk(world, script)?.output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A daemon on a full or filling disk reports it, keeps running, and stores everything once there is space.
fn recovers_under_the_daemon(before: &str, mend: &str, told: &str) {
    let world = World::bare();
    let user = world.sim.add_user();
    let samples = world.sim.fill(&user, world.now.minus(DAY * 20), world.now, Duration::from_mins(1), 1);
    let (port, go) = (free_port(), world.directory.path().join("go"));
    let mended = world.directory.path().join("mended");
    let script = format!(
        "jhe_ow seed; jhe_ow settings set module.ow true; jhe_ow settings set ow.poll_interval 1s
         jhe_ow patient add --name A --ow-user {user} --consent {HEART_RATE} --reason paper
         {before}
         {binary} serve --bind 127.0.0.1:{port} &
         while [ ! -e {go} ]; do sleep 0.1; done
         {mend}
         : > {mended}
         while [ -e {go} ]; do sleep 0.1; done
         kill -TERM $!; wait $!; echo \"served $?\"
         jhe_ow poll --window 20d
         jhe_ow observations --format csv | wc -l",
        binary = env!("CARGO_BIN_EXE_jhe-ow"),
        go = go.display(),
        mended = mended.display(),
    );
    let Some(mut command) = on_a_small_disk(&world, &script) else { return };
    let running = Running::new(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let says = || get(port, "/readyz", &[]);
    until("the daemon reports the full disk", || {
        says().is_some_and(|(status, body)| status == 503 && body.contains(told))
    });
    std::fs::write(&go, "").unwrap();
    until("the disk has space again", || mended.exists());
    until("the daemon is ready again", || says().is_some_and(|(status, _)| status == 200));
    std::fs::remove_file(&go).unwrap();
    let ran = running.wait();
    assert!(ran.stdout.contains("served 0"), "{ran:?}");
    assert!(ran.stdout.ends_with(&format!("{}\n", samples + 2)), "{ran:?}");
}

#[test]
fn a_disk_that_is_full_when_the_daemon_starts_is_waited_for() {
    let full = "cp /dev/zero $DATA/fill 2>/dev/null";
    recovers_under_the_daemon(full, "rm $DATA/fill; mount -o remount,size=50m $DATA", "the disk is full");
}

#[test]
fn a_disk_that_is_read_only_when_the_daemon_starts_is_waited_for() {
    let mend = "mount -o remount,rw,size=50m $DATA";
    recovers_under_the_daemon("mount -o remount,ro $DATA", mend, "the data directory cannot be written");
}

#[test]
fn a_disk_that_fills_up_is_reported_until_there_is_room() {
    let much_to_read = "jhe_ow settings set ow.first_connect_window 20d";
    recovers_under_the_daemon(much_to_read, "mount -o remount,size=50m $DATA", "the disk is full");
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    let world = World::bare();
    world.sim.set_page_cap(1000);
    let user = world.sim.add_user();
    let minute = std::time::Duration::from_mins(1);
    let samples = world.sim.fill(&user, world.now.minus(DAY * 20), world.now, minute, 1);
    let script = format!(
        "jhe_ow seed; jhe_ow settings set module.ow true
         jhe_ow patient add --name A --ow-user {user} --consent {HEART_RATE} --reason paper
         jhe_ow poll --window 20d
         mount -o remount,size=50m $DATA
         jhe_ow poll --window 20d
         jhe_ow observations --format csv | wc -l"
    );
    let Some(told) = run_on_a_small_disk(&world, &script) else { return };
    assert!(told.contains("the disk is full\n  make room"), "{told}");
    assert!(told.contains("OW poll complete"), "{told}");
    // Last lines: the header and the exit code.
    assert!(told.ends_with(&format!("{}\n", samples + 2)), "{told}");
}

#[test]
fn a_disk_that_refuses_writes_is_reported() {
    let world = World::bare();
    let script = "jhe_ow seed; mount -o remount,ro $DATA; jhe_ow poll; jhe_ow settings set module.ow true";
    let Some(told) = run_on_a_small_disk(&world, script) else { return };
    assert_eq!(told.matches("the data directory cannot be written").count(), 2, "{told}");
    assert_eq!(told.matches("exit 1").count(), 2, "{told}");
}
