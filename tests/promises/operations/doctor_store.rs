//! `jhe-ow doctor` on the store, the daemon that serves it, and unresponsive services.

use crate::support::doctor::*;
use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

#[test]
fn backups_that_are_old_or_missing_or_switched_off_are_reported() {
    let world = well();
    back_up(&world, world.now.minus(DAY * 9));
    examine(&world).warns("store.backup", "the newest backup is 9 days old", "jhe-ow backup FILE");
    // A backup is due each day; a machine that was off is allowed some delay.
    back_up(&world, world.now.minus(DAY + HOUR * 5));
    examine(&world).has("store.backup", "ok", "the newest backup is 29 hours old", "");
    back_up(&world, world.now.minus(DAY + HOUR * 7));
    examine(&world).warns("store.backup", "the newest backup is 31 hours old", "jhe-ow backup FILE");
    std::fs::remove_dir_all(world.data_dir().join("backups")).unwrap();
    examine(&world).warns("store.backup", "there is no backup in", "once it runs");
    world.setting("backup.interval", "off");
    examine(&world).warns("store.backup", "backup.interval = off", "settings set backup.interval 1d");
}

#[test]
fn a_directory_that_cannot_be_written_or_that_others_may_read_is_reported() {
    use std::os::unix::fs::PermissionsExt;
    let world = well();
    std::fs::set_permissions(world.data_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    examine(&world).warns("store.rights", "(mode 755)", "chmod 700");
    // Even root can neither create a path below a regular file nor write into /proc/self.
    let below = world.directory.path().join("file/below");
    std::fs::write(below.parent().unwrap(), "").unwrap();
    let found = examine_with(&world, &["--data-dir", below.to_str().unwrap()]);
    found.has("store.directory", "stops", "cannot be created", "set another directory with --data-dir");
    let found = examine_with(&world, &["--data-dir", "/proc/self"]);
    found.has(
        "store.directory",
        "stops",
        "/proc/self cannot be written",
        "set another directory with --data-dir",
    );
}

#[test]
fn a_damaged_file_is_found_and_every_other_check_still_runs() {
    use std::io::{Seek, SeekFrom, Write};
    let world = well();
    sql(&world, "SELECT 1");
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let page: i64 = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'rejected_samples'", [], |row| row.get(0))
        .unwrap();
    drop(db);
    let mut file = std::fs::File::options().write(true).open(world.database()).unwrap();
    file.seek(SeekFrom::Start(u64::try_from(page - 1).unwrap() * 4096)).unwrap();
    file.write_all(&[0xFF; 4096]).unwrap();
    let found = examine_with(&world, &["--deep"]);
    found.has("store.sound", "stops", "the file is damaged", "jhe-ow restore BACKUP");
    found.said("ow.key", "ok");
    found.said("data.audit", "ok");
    assert_eq!(found.code, 1);
    std::fs::write(world.database(), "no database at all, and long enough for a header").unwrap();
    examine(&world).stops("store.file", "is not a SQLite database", "");
}

#[test]
fn an_older_schema_is_reported_and_not_changed() {
    let world = well();
    let steps = "SELECT count(*) FROM refinery_schema_history";
    sql(
        &world,
        "DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)",
    );
    let count = || {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.query_row(steps, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = count();
    let found = examine(&world);
    found.has("store.schema", "warning", "the schema is older than this program's", "migrate the store");
    found.said("data.schema", "skipped");
    assert_eq!(count(), before);
}

#[test]
fn the_public_url_must_lead_to_this_daemon() {
    let mut world = well();
    let (served, other) = (Served::start(&world), Served::start(&well()));
    let bind = format!("127.0.0.1:{}", served.port);
    world.set("JHE_OW_BIND", &bind);
    let found = examine(&world);
    found.has("web.daemon", "ok", "the daemon of this data directory answers", "");
    found.has("web.public", "warning", "no public URL is set", "JHE_OW_PUBLIC_URL");
    let found = examine_with(&world, &["--bind", &format!("127.0.0.1:{}", other.port)]);
    found.has("web.daemon", "warning", "a daemon of another data directory answers", "--data-dir");
    world.set("JHE_OW_PUBLIC_URL", &served.url());
    examine(&world).has("web.public", "warning", "is a loopback address", "JHE_OW_PUBLIC_URL");
    let Some(host) = own_name() else { return };
    let at = |port: u16| format!("http://{host}:{port}");
    world.set("JHE_OW_PUBLIC_URL", &at(served.port));
    let found = examine(&world);
    found.has("web.public", "ok", "leads to this daemon", "");
    found.has("web.https", "warning", "is not https", "https address");
    found.has("web.proxies", "warning", "no proxy is trusted", "JHE_OW_TRUSTED_PROXIES");
    world.set("JHE_OW_TRUSTED_PROXIES", "127.0.0.1");
    examine(&world).has("web.proxies", "ok", "127.0.0.1", "");
    world.set("JHE_OW_PUBLIC_URL", &at(other.port));
    examine(&world).has("web.public", "warning", "leads to another jhe-ow", "forward to 127.0.0.1:");
    world.set("JHE_OW_PUBLIC_URL", &world.sim.url().replace("127.0.0.1", &host));
    examine(&world).has("web.public", "warning", "is not jhe-ow", "forward to 127.0.0.1:");
    world.set("JHE_OW_PUBLIC_URL", &at(free_port()));
    examine(&world).has("web.public", "warning", "cannot be reached from this machine", "on a phone");
}

/// Returns a name of this machine that resolves to a loopback address and is not `localhost`.
fn own_name() -> Option<String> {
    use std::net::ToSocketAddrs;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    let mut addresses = (name.as_str(), 1).to_socket_addrs().ok()?;
    let is_loopback = addresses.any(|one| one.ip() == std::net::Ipv4Addr::LOCALHOST);
    if !is_loopback || name == "localhost" {
        println!("not tested: this machine has no name for its loopback address");
        return None;
    }
    Some(name)
}

#[test]
fn an_unready_daemon_is_reported_with_its_reason() {
    let mut world = well();
    let served = Served::start(&world);
    world.set("JHE_OW_BIND", &format!("127.0.0.1:{}", served.port));
    until("the daemon is ready", || {
        examine(&world).findings.iter().any(|one| one["check"] == "web.ready" && one["state"] == "ok")
    });
    drop(served);
    world.set("OW_API_KEY", "sk-wrong");
    let served = Served::start(&world);
    world.set("JHE_OW_BIND", &format!("127.0.0.1:{}", served.port));
    until("the tick has failed", || {
        get(served.port, "/readyz", &[]).is_some_and(|(status, _)| status == 503)
    });
    examine(&world).has("web.ready", "stops", "the daemon is not ready: OW refuses the key", "see its log");
}

#[test]
fn an_unresponsive_service_does_not_prevent_the_other_checks() {
    let mut world = well();
    let jhe = connect(&mut world);
    jhe.state().trouble = Some(Box::new(|_| Some(Fault::Hang)));
    let ran = world.run(&["doctor"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("JHE gave no answer (not within 20 s)"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the key is accepted"), "{}", ran.stdout);
}

#[test]
fn a_wal_without_its_database_is_not_mistaken_for_a_new_store() {
    let world = well();
    let aside = world.directory.path().join("aside");
    std::fs::rename(world.database(), &aside).unwrap();
    std::fs::write(world.data_dir().join("jhe-ow.sqlite3-wal"), "what nothing else has").unwrap();
    let found = examine(&world);
    found.has("store.file", "stops", "is missing, and its log", "jhe-ow restore FILE");
    assert!(!found.text.contains("jhe-ow seed"), "{}", found.text);
    std::fs::remove_file(world.data_dir().join("jhe-ow.sqlite3-wal")).unwrap();
    examine(&world).has("store.file", "stops", "there is no store in", "jhe-ow seed");
}

#[test]
fn an_https_address_of_a_server_without_tls_is_reported() {
    let mut world = well();
    world.set("OW_API_URL", &world.sim.url().replace("http:", "https:"));
    examine(&world).has("ow.reachable", "stops", "the server there does not speak TLS", "OW_API_URL");
    world.now = world.now.plus(FIVE_MINUTES);
    let ran = world.poll();
    assert!(
        ran.stderr.contains("does not speak TLS") || ran.stdout.contains("does not speak TLS"),
        "{ran:?}"
    );
}

#[test]
fn unfinished_copies_and_files_of_another_user_are_named() {
    let world = well();
    let left = world.data_dir().join(".jhe-ow-unfinished-x");
    std::fs::create_dir(&left).unwrap();
    examine(&world).has(
        "store.unfinished",
        "warning",
        "a backup or restore that was cut off has left",
        "remove it",
    );
    std::fs::write(left.join("copy"), "growing").unwrap();
    let is_named =
        |world: &World| examine(world).findings.iter().any(|one| one["check"] == "store.unfinished");
    assert!(!is_named(&world), "a backup in progress is not reported");
    std::fs::remove_dir_all(&left).unwrap();
    // A lock file created by root while the daemon runs as another user.
    let nobody = 65534;
    let all = [world.directory.path().to_owned(), world.data_dir()];
    let files = names(&world.data_dir()).into_iter().map(|name| world.data_dir().join(name));
    for path in all.into_iter().chain(files) {
        std::os::unix::fs::chown(&path, Some(nobody), Some(nobody)).unwrap();
    }
    let lock = world.data_dir().join("serve.lock");
    std::fs::write(&lock, "").unwrap();
    std::fs::set_permissions(&lock, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // A directory without access: the binary is linked from a place that others cannot read.
    let binary = world.directory.path().join("jhe-ow");
    std::fs::copy(env!("CARGO_BIN_EXE_jhe-ow"), &binary).unwrap();
    let line =
        format!("setpriv --reuid={nobody} --regid={nobody} --clear-groups {} doctor", binary.display());
    let ran = world.shell(&line).output().unwrap();
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(shown.contains("serve.lock cannot be written: it belongs to user 0"), "{shown}");
}

#[test]
fn a_certificate_of_an_unknown_authority_gets_a_sentence() {
    let mut world = well();
    let directory = world.directory.path().to_owned();
    let port = free_port();
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=an-authority-of-our-own \
         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE 2>/dev/null";
    let Ok(made) = std::process::Command::new("bash").args(["-c", make]).current_dir(&directory).status()
    else {
        return;
    };
    assert!(made.success(), "openssl is missing; Debian installs it with ca-certificates");
    let mut server = std::process::Command::new("openssl");
    server.args([
        "s_server",
        "-quiet",
        "-www",
        "-key",
        "key.pem",
        "-cert",
        "cert.pem",
        "-accept",
        &port.to_string(),
    ]);
    server.current_dir(&directory).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let _server = Running::new(server.spawn().unwrap());
    until("the daemon is listening", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    world.set("OW_API_URL", &format!("https://localhost:{port}"));
    let reachable = |world: &World| {
        let all = examine(world).findings;
        all.iter().find(|one| one["check"] == "ow.reachable").unwrap().to_string()
    };
    let refused = reachable(&world);
    assert!(refused.contains("does not know") && refused.contains("SSL_CERT_FILE"), "{refused}");
    world.set("SSL_CERT_FILE", directory.join("cert.pem").to_str().unwrap());
    let trusted = reachable(&world);
    assert!(!trusted.contains("SSL_CERT_FILE") && trusted.contains("no OW"), "{trusted}");
}
