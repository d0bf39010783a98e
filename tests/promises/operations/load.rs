//! With many clients, slow clients, password guessing and endless bodies, ticks continue, legitimate clients are
//! served, and memory stays small.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::harness::*;
use crate::support::running_daemon::{Served, spawn, wait_for};

/// Minimum and maximum number of legitimate requests during the attack.
const HONEST: std::ops::Range<u64> = 40..400;
/// Minimum number of ticks during the attack.
const TICKS: i64 = 4;
/// The daemon's maximum peak memory, in KiB.
const MEMORY: u64 = 128 * 1024;
/// A request without an answer after this time counts as hung.
const PATIENCE: Duration = Duration::from_mins(1);
/// Number of sign-in attempts.
const ATTEMPTS: u64 = 10_000;
/// The proxy that the daemon trusts.
const PROXY: &str = "127.0.0.1";

/// Set when the attack ends.
type Over = Arc<AtomicBool>;

fn is_over(over: &Over) -> bool {
    over.load(Ordering::Relaxed)
}

/// Connects from one of the machine's loopback addresses; `None` if the connection is refused or cut off.
async fn connect(from: &str, port: u16) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).ok()?;
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.ok()
}

/// Sends one request and reads the whole answer; returns its status.
async fn ask(from: &str, port: u16, request: &str) -> Option<u16> {
    let mut stream = connect(from, port).await?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

fn get_request(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: jhe-ow\r\nConnection: close\r\n{more}\r\n")
}

/// Sends a request head byte by byte and starts again after each cut; counts the cuts.
async fn dribble_head(port: u16, over: Over, cut: Arc<AtomicU64>) {
    while !is_over(&over) {
        let Some(mut stream) = connect("127.0.0.3", port).await else { continue };
        if stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.is_ok() {
            while !is_over(&over) {
                tokio::time::sleep(Duration::from_millis(250)).await;
                if stream.write_all(b"x").await.is_err() {
                    cut.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Requests much and reads nothing.
async fn never_read(port: u16, over: Over) {
    let request = "GET /style.css HTTP/1.1\r\nHost: jhe-ow\r\n\r\n".repeat(200);
    let Some(mut stream) = connect("127.0.0.4", port).await else { return };
    while !is_over(&over) {
        let write = stream.write_all(request.as_bytes());
        if !matches!(tokio::time::timeout(Duration::from_secs(1), write).await, Ok(Ok(())) | Err(_)) {
            return;
        }
    }
}

/// Sends a body of a gigabyte or without an end; counts the accepted bytes.
async fn endless_body(port: u16, over: Over, head: &str, taken: Arc<AtomicU64>) {
    while !is_over(&over) {
        let Some(mut stream) = connect("127.0.0.5", port).await else { continue };
        let start = format!("POST /admin/sign-in HTTP/1.1\r\nHost: jhe-ow\r\n{head}\r\n\r\n");
        let piece = format!("{:x}\r\n{}\r\n", 65_536, "a".repeat(65_536));
        if stream.write_all(start.as_bytes()).await.is_ok() {
            while !is_over(&over) {
                let write = stream.write_all(piece.as_bytes());
                match tokio::time::timeout(Duration::from_secs(2), write).await {
                    Ok(Ok(())) => taken.fetch_add(piece.len() as u64, Ordering::Relaxed),
                    _ => break,
                };
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Guesses passwords from twenty addresses; counts the answers by status.
async fn guess(port: u16, left: Arc<AtomicU64>, answers: Arc<[AtomicU64; 2]>, form: String) {
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let number = left.load(Ordering::Relaxed) % 20;
        let request = form.replace("{ADDRESS}", &format!("198.51.100.{number}"));
        match ask(PROXY, port, &request).await {
            Some(429) => answers[1].fetch_add(1, Ordering::Relaxed),
            Some(401 | 403) => answers[0].fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// Returns the sign-in form with a wrong password and a placeholder for the client address.
fn filled_form(served: &Served) -> String {
    let visitor = served.visitor();
    let hidden = visitor.get("/admin/sign-in").hidden("/admin/sign-in");
    let cookies = visitor.cookies.lock().unwrap().clone();
    let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let fields = fields.chain([("name", "operator"), ("password", "not the password")]);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!(
        "POST /admin/sign-in HTTP/1.1\r\nHost: jhe-ow\r\nConnection: close\r\nX-Forwarded-For: {{ADDRESS}}\r\n\
         Cookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        cookies.join("; "),
        body.len()
    )
}

fn most_memory(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.running.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn abusive_clients_stop_no_tick_exclude_no_client_and_take_little_memory() {
    let mut world = World::new();
    world.set("JHE_OW_TRUSTED_PROXIES", PROXY);
    let (user, patient) = world.patient();
    world.setting("ow.poll_interval", "1s");
    let served = Served::start(&world);
    // An operator exists, so that passwords can be guessed.
    served.operator(&world);
    let (port, over) = (served.port, Over::default());
    let (cut, taken, crowd) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let (left, answers) = (Arc::new(AtomicU64::new(ATTEMPTS)), Arc::<[AtomicU64; 2]>::default());
    for _ in 0..200 {
        spawn(dribble_head(port, Arc::clone(&over), Arc::clone(&cut)));
    }
    for _ in 0..50 {
        spawn(never_read(port, Arc::clone(&over)));
    }
    for head in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"].into_iter().cycle().take(20) {
        let (over, taken) = (Arc::clone(&over), Arc::clone(&taken));
        spawn(async move { endless_body(port, over, head, taken).await });
    }
    let form = filled_form(&served);
    for _ in 0..40 {
        spawn(guess(port, Arc::clone(&left), Arc::clone(&answers), form.clone()));
    }
    for number in 0..200 {
        let (over, crowd) = (Arc::clone(&over), Arc::clone(&crowd));
        spawn(async move {
            let paths = ["/", "/clients/ow/launch?code=none", "/admin/sign-in", "/style.css"];
            for path in paths.iter().cycle().take_while(|_| !is_over(&over)) {
                let from = format!("X-Forwarded-For: 203.0.113.{number}\r\n");
                crowd.fetch_add(
                    u64::from(ask(PROXY, port, &get_request(path, &from)).await.is_some()),
                    Ordering::Relaxed,
                );
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        });
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let ticks = || -> i64 {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).unwrap()
    };
    // Meanwhile a legitimate client requests a page, and samples arrive.
    let mut honest = 0;
    while honest < HONEST.start || count(&cut) == 0 || ticks() < TICKS {
        assert!(honest < HONEST.end, "{} heads cut off, {} ticks", count(&cut), ticks());
        let request = get_request("/admin/sign-in", "");
        let asked =
            wait_for(async { tokio::time::timeout(PATIENCE, ask("127.0.0.2", port, &request)).await });
        assert_eq!(asked, Ok(Some(200)), "request {honest} failed");
        honest += 1;
        world.sim.put(&user, world.now.minus(Duration::from_mins(honest)), 60.0);
        std::thread::sleep(Duration::from_millis(300));
    }
    over.store(true, Ordering::Relaxed);
    until("every sign-in attempt is answered", || left.load(Ordering::Relaxed) == 0);
    until("every sample is stored", || world.kept(&patient).len() == world.sim.heart_rates(&user).len());
    let memory = most_memory(&served);
    let ran = served.stop("TERM");
    let complete = ran.stderr.matches("OW poll complete").count();
    println!(
        "{honest} honest requests; {} of a crowd of 200; {} heads cut off; {} MiB of bodies taken; \
         {} guesses looked at, {} put off; {complete} ticks; {memory} KiB at most",
        count(&crowd),
        count(&cut),
        count(&taken) / 1_048_576,
        count(&answers[0]),
        count(&answers[1]),
    );
    assert!(memory < MEMORY, "{memory} KiB are too much");
    assert!(complete >= 4, "{complete} complete ticks are too few: {}", ran.stderr);
    assert!(count(&answers[0]) <= 20 * 10 * 2, "at most ten attempts a minute from one address are checked");
    assert!(count(&answers[1]) > ATTEMPTS / 2 && count(&crowd) > 200);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}
