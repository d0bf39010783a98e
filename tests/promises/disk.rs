//! A disk that is full, or that refuses writes: a clear refusal, an intact file, and recovery. On small file
//! systems of the tests' own, where this machine allows such (`unshare`).

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::*;

/// Runs a script with the data directory on a file system of 800 KiB, and `jhe-ow` as a command.
fn on_a_small_disk(world: &World, script: &str) -> Option<String> {
    std::fs::create_dir_all(world.data_dir()).unwrap();
    let data = world.data_dir().display().to_string();
    let mount = format!("mount -t tmpfs -o size=1000k none {data}");
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
    let output = command.args(["-rm", "sh"]).arg(&path).output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_full_disk_is_told_of_loses_nothing_and_is_recovered_from() {
    let world = World::bare();
    world.sim.set_page_cap(1000);
    let user = world.sim.add_user();
    let minute = std::time::Duration::from_mins(1);
    let samples = world.sim.fill(&user, world.now.minus(DAY * 20), world.now, minute, 1);
    let script = format!(
        "jhe_ow seed; jhe_ow settings set module.ow true
         jhe_ow patient add --name A --ow-user {user} --consent {HEART_RATE}
         jhe_ow poll --window 20d
         mount -o remount,size=50m $DATA
         jhe_ow poll --window 20d
         jhe_ow observations --format csv | wc -l"
    );
    let Some(told) = on_a_small_disk(&world, &script) else { return };
    assert!(told.contains("the disk is full\n  make room"), "{told}");
    assert!(told.contains("OW poll complete"), "{told}");
    // The header, and how the command ended.
    assert!(told.ends_with(&format!("{}\n", samples + 2)), "{told}");
}

#[test]
fn a_disk_that_refuses_writes_is_told_of() {
    let world = World::bare();
    let script = "jhe_ow seed; mount -o remount,ro $DATA; jhe_ow poll; jhe_ow settings set module.ow true";
    let Some(told) = on_a_small_disk(&world, script) else { return };
    assert_eq!(told.matches("the data directory cannot be written").count(), 2, "{told}");
    assert_eq!(told.matches("exit 1").count(), 2, "{told}");
}
