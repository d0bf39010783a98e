//! The limits of one client never block another client, and no limit blocks a withdrawal.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Method;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Uses up the limit of anonymous requests from this address.
fn flood(served: &Served) {
    let stranger = served.visitor();
    assert!((0..200).any(|_| stranger.get("/ow/?code=x").status == 429));
}

/// Returns a patient who has agreed, and the browser.
fn consenting(served: &Served, operator: &Visitor) -> (String, Visitor) {
    let study = make_study(operator, "Sleep");
    let patient = make_patient(operator, "P-1", &study);
    let browser = served.visitor();
    assert_eq!(agree(&browser, &invite(operator, &patient), &study).status, 303);
    (patient, browser)
}

#[test]
fn neither_neighbours_nor_haste_keep_a_patient_from_withdrawing() {
    let world = World::new();
    let served = Served::start(&world);
    let (patient, browser) = consenting(&served, &served.operator(&world));
    flood(&served);
    let page = browser.get("/clients/ow/manage");
    assert_eq!(page.status, 200, "requests of strangers at the same address do not limit the patient");
    let mut fields = page.hidden("/clients/ow/withdraw");
    fields.push(("sure".to_owned(), "yes".to_owned()));
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(
        (0..400).any(|_| browser.get("/clients/ow/complete?result=stale").status == 429),
        "each session has a separate limit"
    );
    let withdrawn = browser.post("/clients/ow/withdraw", &fields);
    assert_eq!(
        (withdrawn.status, withdrawn.location()),
        (303, "/clients/ow/manage?done=withdrawn&what=omh%3Aheart-rate%3A2.0")
    );
    assert!(world.run(&["patient", "show", &patient]).stdout.contains("withdrawn"));
}

#[test]
fn a_stranger_who_uses_up_the_sign_ins_of_an_address_stops_nobody_who_is_known_there() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let stranger = served.visitor();
    assert!((0..40).any(|_| stranger.sign_in("nobody", "wrong wrong wrong").status == 429));
    let confirmed = operator.submit("/admin/confirm", "/admin/confirm", &[("password", PASSWORD)]);
    assert_eq!((confirmed.status, confirmed.location()), (303, "/admin"), "{}", confirmed.body);
    assert_eq!(operator.sign_in("operator", PASSWORD).status, 303);
}

#[test]
fn each_api_token_has_a_limit_of_its_own() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let token = |name: &str| {
        let page = format!("/admin/patients/{}", make_patient(&operator, name, &study));
        let made = operator.submit(&page, &format!("{page}/api-token"), &[("label", "an app")]);
        format!("Bearer {}", made.secret())
    };
    let (one, other) = (token("P-1"), token("P-2"));
    let visitor = served.visitor();
    let call =
        |bearer: &str| visitor.send(Method::POST, "/api/v1/ow/users", &[("Authorization", bearer)], None);
    flood(&served);
    assert_eq!(call(&one).status, 403, "the token's own limit applies, and no patient has consented");
    let limited = (0..400).map(|_| call(&one)).find(|answer| answer.status == 429).unwrap();
    assert!(
        limited.json()["error"].is_string() && limited.headers.contains_key("retry-after"),
        "{limited:?}"
    );
    assert_eq!(call(&other).status, 403);
    assert!(
        (0..400).any(|_| call("Bearer x").status == 429),
        "a request without a valid token is counted by address"
    );
}

/// Sends the start of a request and keeps the connection open.
fn hold(port: u16, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Returns the cookie header of this visitor.
fn cookie(browser: &Visitor) -> String {
    let cookies = browser.cookies.lock().unwrap();
    let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    cookies.join("; ")
}

/// Waits until the daemon has closed the connection.
fn is_closed(mut held: TcpStream) -> bool {
    matches!(held.read(&mut [0; 1024]), Ok(0) | Err(_))
}

#[test]
fn a_neighbour_who_holds_connections_makes_room_for_a_withdrawal() {
    let world = World::new();
    let served = Served::start(&world);
    let (patient, browser) = consenting(&served, &served.operator(&world));
    let slow = |number: usize| match number % 2 {
        0 => hold(served.port, "GET / HTTP/1.1\r\n"),
        _ => hold(served.port, "POST /clients/ow/agree HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"),
    };
    let mut held: Vec<_> = (0..40).map(slow).collect();
    let known = [("Cookie", cookie(&browser))];
    let known: Vec<(&str, &str)> = known.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (status, page) = get(served.port, "/clients/ow/manage", &known).expect("a new connection");
    assert_eq!(status, 200, "{page}");
    assert!(is_closed(held.remove(0)), "the connection that waited longest is closed");
    let sure = browser.submit("/clients/ow/manage", "/clients/ow/withdraw", &[("sure", "yes")]);
    assert!(sure.location().starts_with("/clients/ow/manage?done=withdrawn"), "{}", sure.body);
    assert!(world.run(&["patient", "show", &patient]).stdout.contains("withdrawn"));
}

#[test]
fn behind_a_trusted_proxy_each_client_has_few_requests_in_progress() {
    let world = World::new();
    let served = Served::with(&world, &[("JHE_OW_TRUSTED_PROXIES", "127.0.0.1")]);
    let (_, browser) = consenting(&served, &served.operator(&world));
    let cookie = cookie(&browser);
    let post = |path: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\nCookie: {cookie}\r\n\
             Content-Length: 9\r\n\r\n"
        );
        hold(served.port, &head)
    };
    // A question may have the last place when a request arrives. Then the next request is held in its stead.
    let mut held: Vec<_> = (0..32).map(|_| post("/clients/ow/agree")).collect();
    let status = |path: &str, client: &str| {
        let headers = [("X-Forwarded-For", client), ("Cookie", cookie.as_str())];
        get(served.port, path, &headers).map(|(status, _)| status)
    };
    until("the client has enough in progress", || {
        held.push(post("/clients/ow/agree"));
        status("/", "198.51.100.1") == Some(429)
    });
    assert_eq!(status("/", "198.51.100.2"), Some(200), "another client of the same proxy");
    assert_eq!(status("/clients/ow/manage", "198.51.100.1"), Some(200), "the page that withdraws");
    assert_eq!(
        status("/clients/ow/withdraw", "198.51.100.1"),
        Some(405),
        "the withdrawal has reserved slots"
    );
    let mut withdrawing: Vec<_> = (0..8).map(|_| post("/clients/ow/withdraw")).collect();
    until("the places for withdrawals are taken", || {
        withdrawing.push(post("/clients/ow/withdraw"));
        status("/clients/ow/withdraw", "198.51.100.1") == Some(429)
    });
    assert_eq!(status("/clients/ow/withdraw", "198.51.100.2"), Some(405));
    drop((held, withdrawing));
    until("the client is served again", || status("/", "198.51.100.1") == Some(200));
}
