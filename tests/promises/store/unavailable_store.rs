//! A store that cannot be opened or disappears: the daemon keeps running, names the cause, loses nothing, and recovers
//! by itself.

use std::fs;
use std::os::unix::fs::chown;
use std::process::{Command, Stdio};

use crate::support::harness::*;
use crate::support::running_daemon::Served;

/// Returns the status of /readyz and its reasons.
fn ready(port: u16) -> (u16, String) {
    let (status, body) = get(port, "/readyz", &[]).unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], status == 200, "{body}");
    (status, body["reasons"].to_string())
}

fn until_ready(served: &mut Served) {
    until("the daemon is ready", || ready(served.port).0 == 200);
    assert!(!served.running.has_ended());
}

/// The daemon stays one process, serves its health checks, and works once the store is repaired.
fn waits_for(world: &World, told: &str, mend: impl FnOnce()) {
    let mut served = Served::start(world);
    let port = served.port;
    let (status, reasons) = ready(port);
    assert!(status == 503 && reasons.contains(told), "{reasons}");
    assert_eq!(
        get(port, "/healthz", &[]),
        Some((200, "ok\n".to_owned())),
        "the health check must not cause a restart"
    );
    let visitor = served.visitor();
    for path in ["/", "/admin", "/clients/ow/manage?x=1"] {
        let page = visitor.get(path);
        assert_eq!((page.status, page.heading()), (503, "This service is interrupted"));
        assert!(page.body.contains(told), "{}", page.body);
        assert!(
            page.headers.contains_key("content-security-policy") && page.headers.contains_key("retry-after")
        );
    }
    assert!(visitor.get("/api/v1/oauth/oura/authorize").json()["detail"].is_string());
    assert_eq!(visitor.post("/admin/sign-in", &[("name", "operator"), ("password", "x")]).status, 503);
    mend();
    until_ready(&mut served);
    assert_eq!(served.visitor().get("/").status, 200);
    let ran = served.stop("TERM");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.stderr.matches("waiting for the store").count(),
        1,
        "the fault is logged once: {}",
        ran.stderr
    );
}

#[test]
fn readiness_is_answered_without_a_write() {
    let world = World::new();
    let mut served = Served::start(&world);
    until_ready(&mut served);
    let other = lock(&world);
    // A probe that wrote would wait for the lock and fail after ten seconds.
    for _ in 0..20 {
        assert_eq!(ready(served.port), (200, "[]".to_owned()));
    }
    drop(other);
    served.stop("TERM");
}

#[test]
fn a_foreign_file_is_reported_until_it_is_removed() {
    let world = World::bare();
    fs::create_dir(world.data_dir()).unwrap();
    let diary = "my diary, not a database, and longer than a header";
    fs::write(world.database(), diary).unwrap();
    let aside = world.directory.path().join("diary");
    waits_for(&world, "is not a SQLite database", || fs::rename(world.database(), &aside).unwrap());
    assert_eq!(fs::read_to_string(aside).unwrap(), diary);
}

#[test]
fn a_store_of_a_newer_program_is_left_alone_until_that_is_back() {
    let world = World::new();
    let schema = |change: &str| {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.execute_batch(change).unwrap();
    };
    schema("INSERT INTO refinery_schema_history VALUES (9999, 'later', '2027-01-01T00:00:00Z', '1')");
    waits_for(&world, "was written by a newer jhe-ow", || {
        schema("DELETE FROM refinery_schema_history WHERE version = 9999");
    });
}

#[test]
fn a_damaged_file_is_reported_until_a_backup_is_restored() {
    let world = World::new();
    let (user, patient) = world.patient();
    let backup = world.directory.path().join("backup");
    assert_eq!(world.run(&["backup", backup.to_str().unwrap()]).code, 0);
    let whole = fs::read(world.database()).unwrap();
    fs::write(world.database(), &whole[..whole.len() / 2]).unwrap();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    waits_for(&world, "damaged", || {
        let ran = world.run(&["restore", backup.to_str().unwrap(), "--force", "--confirm-consents"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    });
    world.poll();
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn a_wal_without_its_database_is_kept_until_the_database_returns() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    // Killed, so that the last commits are in the write-ahead log only.
    let served = Served::start(&world);
    until("the tick has ended", || world.kept(&patient).len() == world.sim.heart_rates(&user).len());
    served.running.signal("KILL");
    served.running.wait();
    let aside = world.directory.path().join("aside");
    fs::rename(world.database(), &aside).unwrap();
    world.sim.set_fault(&user, Some(jhe_ow::simulator::fault::Fault::Status(500)));
    waits_for(&world, "is missing, and its log", || fs::rename(&aside, world.database()).unwrap());
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn a_data_directory_that_cannot_be_made_is_waited_for() {
    let world = World::bare();
    fs::write(world.data_dir(), "in the way").unwrap();
    waits_for(&world, "cannot be made", || fs::remove_file(world.data_dir()).unwrap());
}

#[test]
fn nothing_is_written_to_a_database_moved_away() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.setting("ow.poll_interval", "1s");
    let mut served = Served::start(&world);
    until_ready(&mut served);
    let aside = world.directory.path().join("aside");
    fs::rename(world.database(), &aside).unwrap();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    until("the readiness check has noticed the fault", || {
        let (status, reasons) = ready(served.port);
        status == 503 && reasons.contains("was taken away or replaced")
    });
    until("a tick has failed and reported it", || ready(served.port).1.contains("could not run"));
    fs::rename(&aside, world.database()).unwrap();
    until_ready(&mut served);
    until("all samples are stored", || world.kept(&patient) == world.sim.heart_rates(&user));
}

#[test]
fn a_lost_and_restored_file_permission_loses_nothing() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.setting("ow.poll_interval", "1s");
    // Root can open everything: the daemon runs as nobody if the test may change owners.
    let nobody = 65534;
    let theirs = |path: &std::path::Path| chown(path, Some(nobody), Some(nobody)).is_ok();
    let parent = world.directory.path();
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    let all = names(&world.data_dir()).into_iter().map(|name| world.data_dir().join(name));
    if !theirs(&world.data_dir()) || !all.into_iter().all(|file| theirs(&file)) {
        println!("not tested: this user may not give files away");
        return;
    }
    mode(parent, 0o755);
    let port = free_port();
    let command = world.command(&["serve", "--bind", &format!("127.0.0.1:{port}")]);
    let binary = parent.join("jhe-ow");
    fs::copy(env!("CARGO_BIN_EXE_jhe-ow"), &binary).unwrap();
    let mut as_nobody = Command::new("setpriv");
    as_nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary).args(command.get_args());
    as_nobody.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    as_nobody.env("PATH", std::env::var_os("PATH").unwrap()).current_dir(parent);
    let child = as_nobody.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut served = Served { running: Running::new(child), port };
    until("the daemon is listening", || served.running.has_ended() || get(port, "/healthz", &[]).is_some());
    until_ready(&mut served);
    mode(&world.data_dir(), 0o000);
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    until("the daemon reports that it is not ready", || {
        !served.running.has_ended() && ready(port).1.contains("tick could not run")
    });
    mode(&world.data_dir(), 0o700);
    until_ready(&mut served);
    until("all samples are stored", || world.kept(&patient) == world.sim.heart_rates(&user));
}

#[test]
fn a_second_daemon_on_the_same_directory_is_refused() {
    let world = World::new();
    let mut first = Served::start(&world);
    let mut other = world.start(&["serve", "--bind", "127.0.0.1:0"]);
    until("the second daemon has ended", || other.has_ended());
    let ran = other.wait();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("another daemon serves the data directory"), "{ran:?}");
    until_ready(&mut first);
    assert_eq!(world.poll().code, 0, "commands may run beside a daemon");
    first.running.signal("KILL");
    first.running.wait();
    let mut second = Served::start(&world);
    until_ready(&mut second);
}

/// Locks the database until it is dropped.
fn lock(world: &World) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(world.database()).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

#[test]
fn a_database_that_another_program_has_locked_is_waited_for_at_the_start() {
    let world = World::new();
    let other = lock(&world);
    waits_for(&world, "busy", || drop(other));
}

#[test]
fn a_process_that_stopped_while_it_opened_the_store_hangs_no_command() {
    let world = World::new();
    let file = fs::File::options().write(true).open(world.data_dir().join("migrate.lock")).unwrap();
    file.lock().unwrap();
    let (user, _) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 61.0);
    assert_eq!(world.created(), 1, "a store of the current schema needs no exclusive lock");
    fs::remove_file(world.database()).unwrap();
    let ran = world.run(&["seed"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("another process has been creating or upgrading"),
        "{ran:?}"
    );
    drop(file);
    assert_eq!(world.run(&["seed"]).code, 0);
}

#[test]
fn the_daemon_waits_while_the_file_is_rewritten_after_an_erasure() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.setting("ow.poll_interval", "1s");
    world.sim.put(&user, world.now.minus(HOUR), 61.0);
    let served = Served::start(&world);
    until("OW gets the tick's request", || world.kept(&patient).len() == 1);
    let other = lock(&world);
    let vacuum = fs::File::create(world.data_dir().join("vacuum.lock")).unwrap();
    vacuum.lock().unwrap();
    world.sim.put(&user, world.now.minus(HOUR * 2), 62.0);
    let waits = || get(served.port, "/readyz", &[]).unwrap().1.contains("being rewritten after an erasure");
    until("the log reports the locked store", waits);
    assert_eq!(ready(served.port).0, 200);
    // Longer than the ten seconds that SQLite waits for a lock.
    std::thread::sleep(std::time::Duration::from_secs(11));
    assert_eq!(ready(served.port).0, 200);
    drop((other, vacuum));
    until("the tick continues", || world.kept(&patient).len() == 2);
    let ran = served.stop("TERM");
    assert!(ran.stderr.contains("writes wait until that has ended"), "{ran:?}");
    assert!(!ran.stderr.contains("ERROR"), "{ran:?}");
}
