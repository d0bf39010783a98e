//! Malformed requests that the daemon refuses, and files and memory that it protects from other users of the machine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::support::doctor::{examine, well};
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Sends bytes and returns everything until the daemon closes the connection.
fn send_bytes(port: u16, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_request_that_a_proxy_may_read_in_another_way_is_refused() {
    let world = World::new();
    let metrics = free_port();
    let served = Served::with(&world, &[("JHE_OW_METRICS_BIND", &format!("127.0.0.1:{metrics}"))]);
    until("the metrics are served", || get(metrics, "/metrics", &[]).is_some());
    let close = "Connection: close\r\n\r\n";
    let post = "POST /admin/sign-in HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na\nb\n";
    let zeros = format!("{}4", "0".repeat(60));
    let lines = Some("do not end as HTTP wants it");
    for (request, refused) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{close}"), None),
        (format!("GET http://a/ HTTP/1.1\r\nHost: A\r\n{close}"), None),
        (format!("GET / HTTP/1.0\r\n{close}"), None),
        (format!("{post}GET / HTTP/1.1\r\nHost: a\r\n{close}"), None),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n{close}"), Some("names its host more than once")),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n{close}"), Some("names its host more than once")),
        (format!("GET / HTTP/1.1\r\n{close}"), Some("does not name its host")),
        (format!("GET / HTTP/1.1\r\nHost:\r\n{close}"), Some("is not a host")),
        (format!("GET / HTTP/1.1\r\nHost: a, b\r\n{close}"), Some("is not a host")),
        (format!("GET http://b/ HTTP/1.1\r\nHost: a\r\n{close}"), Some("name two hosts")),
        (format!("GET / HTTP/1.1\nHost: a\r\n{close}"), lines),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\n".to_owned(), lines),
        (format!("{post}GET / HTTP/1.1\r\nHost: a\n{close}"), lines),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {zeros}\r\n\r\na\nb\nGET / HTTP/1.1\nHost: a\r\n{close}"
            ),
            Some("is not a plain number"),
        ),
    ] {
        let answer = send_bytes(served.port, &request);
        let last = &answer[answer.rfind("HTTP/1.").unwrap()..];
        let status = if refused.is_some() { " 400 " } else { " 200 " };
        assert!(last[8..].starts_with(status), "{request:?}: {answer}");
        assert!(last.contains(refused.unwrap_or("Wearables for research")), "{request:?}: {answer}");
        let scraped = send_bytes(metrics, &request.replacen("GET / ", "GET /metrics ", 9));
        assert_eq!(scraped.contains(" 400 Bad Request\r\n"), refused.is_some(), "{request:?}: {scraped}");
    }
    // No further request is read after a chunked body: a proxy and the daemon may disagree on its end (request
    // smuggling).
    let chunked = "POST /admin/sign-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for port in [served.port, metrics] {
        let answer = send_bytes(port, &format!("{chunked}GET / HTTP/1.1\nHost: a\r\n\r\n"));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    // Conflicting lengths, and a length with chunked encoding: other forms of request smuggling.
    for head in ["Content-Length: 4\r\nContent-Length: 5", "Content-Length: 4\r\nTransfer-Encoding: chunked"]
    {
        let request = format!("POST /admin/sign-in HTTP/1.1\r\nHost: a\r\n{head}\r\n{close}0\r\n\r\n");
        let answer = send_bytes(served.port, &request);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{head}: {answer}");
    }
}

#[test]
fn backups_set_on_the_page_stay_inside_the_configured_directories() {
    let world = World::new();
    let root = world.directory.path().join("disk");
    std::fs::create_dir(&root).unwrap();
    symlink("/etc", root.join("link")).unwrap();
    let served = Served::with(&world, &[("JHE_OW_BACKUP_ROOTS", root.to_str().unwrap())]);
    let operator = served.operator(&world);
    let set = |directory: &str| {
        let (name, token) = operator.get("/admin/settings").hidden("/admin/settings")[0].clone();
        let fields = [(name.as_str(), token.as_str()), ("key", "backup.directory"), ("value", directory)];
        operator.post("/admin/settings", &fields)
    };
    let shown = || world.run(&["settings", "get", "backup.directory"]).stdout;
    let before = shown();
    let inside = |path: &str| root.join(path).to_str().unwrap().to_owned();
    for outside in ["/etc", "/etc/cron.d", &inside("link"), &inside("link/deeper"), &inside("../elsewhere")] {
        let answer = set(outside);
        assert_eq!(answer.status, 400, "{outside}: {}", answer.body);
        assert!(
            answer.body.contains("is outside the directories that are configured for backups"),
            "{outside}: {}",
            answer.body
        );
        assert!(answer.body.contains("JHE_OW_BACKUP_ROOTS"), "the error names the remedy: {outside}");
        assert_eq!(shown(), before, "{outside}");
    }
    for inside in [inside("backups"), world.data_dir().join("backups").to_str().unwrap().to_owned()] {
        assert_eq!(set(&inside).status, 303, "{inside}");
        assert!(shown().contains(&inside));
    }
    let database = world.database();
    for (wrong, why) in [
        (inside("a\nb"), "without control characters"),
        (inside("a\u{202e}b"), "without control characters"),
        (database.to_str().unwrap().to_owned(), "is no directory"),
    ] {
        let answer = set(&wrong);
        assert!(answer.status == 400 && answer.body.contains(why), "{wrong:?}: {}", answer.body);
    }
    assert_eq!(set("").status, 303);
    assert_eq!(shown(), before, "an empty value restores the default");
    assert_eq!(
        world.run(&["settings", "set", "backup.directory", "/srv/backups"]).code,
        0,
        "the command line may set any directory"
    );
}

#[test]
fn the_first_sign_in_link_is_in_a_file_of_the_owner_and_never_in_the_log() {
    let world = World::new();
    let file = world.data_dir().join("first-sign-in-link");
    let served = Served::start(&world);
    let link = first_link(&world);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ran = served.stop("TERM");
    let printed = format!("{}{}", ran.stdout, ran.stderr);
    assert!(printed.contains(&format!("the file {} has a link", file.display())), "{printed}");
    assert!(!printed.contains("token="), "{printed}");
    // The next start makes another link; the first no longer works.
    let served = Served::start(&world);
    until("the restart has made a new link", || first_link(&world) != link);
    let next = first_link(&world);
    assert_ne!(link, next);
    let path = |link: &str| format!("/admin/sign-in?token={}", link.trim().split_once("token=").unwrap().1);
    let visitor = served.visitor();
    assert_eq!(visitor.submit(&path(&next), "/admin/sign-in", &[]).status, 303);
    assert!(!file.exists(), "the file of a used link is removed");
    let late = served.visitor();
    assert_ne!(late.submit(&path(&link), "/admin/sign-in", &[]).status, 303);
    set_password(&world, "operator", PASSWORD);
    let served = {
        served.stop("TERM");
        Served::start(&world)
    };
    assert!(!file.exists(), "an operator has a password now");
    let ran = served.stop("TERM");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("nobody can sign in"), "{ran:?}");
}

#[test]
fn a_crash_writes_no_core_file() {
    let world = World::new();
    let served = Served::start(&world);
    let mut command = world.command(&["convert"]);
    let waits = Running::new(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    for id in [served.running.id(), waits.id()] {
        let is_forbidden = || {
            let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            // The soft and the hard limit.
            line.split_whitespace().skip(4).take(2).collect::<Vec<_>>() == ["0", "0"]
        };
        until("core dumps are disabled", is_forbidden);
    }
}

#[test]
fn the_doctor_names_secrets_that_others_can_read() {
    let mut world = well();
    let at = |name: &str| world.directory.path().join(name);
    let (key, toml, dotenv) = (at("key"), at("jhe-ow.toml"), at(".env"));
    let chmod = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    std::fs::write(&key, world.sim.key()).unwrap();
    std::fs::write(&toml, "[ow]\ntimeout = \"7s\"\n").unwrap();
    std::fs::write(&dotenv, "OW_API_KEY=sk-other\n").unwrap();
    chmod(&key, 0o640);
    chmod(&toml, 0o644);
    chmod(&dotenv, 0o644);
    world.set("OW_API_KEY", "");
    world.set("OW_API_KEY_FILE", key.to_str().unwrap());
    let found = examine(&world);
    let warned = |path: &std::path::Path| {
        found.findings.iter().find(|finding| {
            finding["check"] == "config.permissions"
                && finding["what"].as_str().unwrap().contains(path.to_str().unwrap())
        })
    };
    let reason = |path| warned(path).map(|finding| finding["what"].as_str().unwrap().to_owned());
    assert!(reason(&key).unwrap().starts_with("the group of the file can read"));
    assert!(reason(&dotenv).unwrap().starts_with("everybody on this machine can read"));
    assert_eq!(warned(&dotenv).unwrap()["next"], format!("chmod 600 '{}'", dotenv.display()));
    assert!(reason(&toml).is_none(), "a configuration without secrets may be readable by others");
    chmod(&key, 0o600);
    chmod(&dotenv, 0o600);
    chmod(world.directory.path(), 0o777);
    let found = examine(&world);
    let warning = found.findings.iter().find(|finding| finding["check"] == "config.permissions").unwrap();
    assert!(warning["what"].as_str().unwrap().contains("can replace the secrets"), "{warning}");
    chmod(world.directory.path(), 0o700);
    assert!(!examine(&world).checks("warning").contains(&"config.permissions"));
}

#[test]
fn a_configured_contact_is_where_finders_of_weaknesses_look() {
    let mut world = World::new();
    world.set("JHE_OW_PUBLIC_URL", "https://wearables.example.org");
    let served = Served::with(&world, &[("JHE_OW_SECURITY_CONTACT", "mailto:security@example.org")]);
    let answer = served.visitor().get("/.well-known/security.txt");
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let lines: Vec<&str> = answer.body.lines().collect();
    assert_eq!(lines[0], "Contact: mailto:security@example.org");
    assert_eq!(at(lines[1].strip_prefix("Expires: ").unwrap()), world.now.plus(DAY * 180));
    assert_eq!(lines[2], "Canonical: https://wearables.example.org/.well-known/security.txt");
    let refused = world.command(&["doctor"]).env("JHE_OW_SECURITY_CONTACT", "me").output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stdout).contains("mailto:security@example.org"), "{refused:?}");
}

#[test]
fn a_consent_with_a_new_patient_has_its_reason_in_the_audit() {
    let world = World::new();
    let add = ["patient", "add", "--name", "A", "--consent", HEART_RATE];
    let refused = world.run(&add);
    assert!(refused.code == 2 && refused.stderr.contains("--reason"), "{refused:?}");
    assert_eq!(world.run(&[add.as_slice(), &["--reason", "phone"]].concat()).code, 0);
    let log = world.run(&["audit", "list"]).stdout;
    let grants: Vec<&str> = log.lines().filter(|line| line.contains("consent.grant")).collect();
    assert!(grants.len() == 1 && grants[0].contains("reason phone"), "{log}");
}
