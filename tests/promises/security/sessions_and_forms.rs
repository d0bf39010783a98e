//! Sign-in, sessions, roles, cross-site forms and rate limits.

use std::time::Duration;

use reqwest::Method;

use crate::support::authenticator::{serve, wait};
use crate::support::harness::*;
use crate::support::running_daemon::*;

#[test]
fn the_first_start_makes_an_address_that_signs_in_once() {
    let world = World::new();
    let served = Served::start(&world);
    let old = first_link(&world);
    let port = served.port;
    served.stop("TERM");
    let served = Served::on(&world, port, &[]);
    until("the restart has made a new link", || first_link(&world) != old);
    let visitor = served.visitor();
    assert!(visitor.get(&old).body.contains("used already, or has expired"), "each start makes a new link");
    let other = world.run(&["admin", "sign-in"]).stdout;
    let link = format!("/admin/sign-in?token={}", other.trim().split_once("token=").unwrap().1);
    for _ in 0..2 {
        assert!(visitor.get(&link).body.contains("signs you in once"), "opening the link does not use it up");
    }
    assert_eq!(visitor.submit(&link, "/admin/sign-in", &[]).status, 303);
    assert_eq!(
        visitor.get("/admin").location(),
        "/admin/password",
        "the operator must choose a password first"
    );
    assert!(served.visitor().get(&link).body.contains("used already"));
    let weak =
        visitor.submit("/admin/password", "/admin/password", &[("password", "short"), ("again", "short")]);
    assert_eq!(weak.status, 400);
    assert!(weak.body.contains("at least 12 characters"), "{}", weak.body);
    let set = [("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(visitor.submit("/admin/password", "/admin/password", &set).status, 303);
    assert_eq!(visitor.get("/admin").status, 200);
    let ran = served.stop("TERM");
    assert!(!ran.stderr.contains("token="), "the log has no token: {}", ran.stderr);
    let served = Served::start(&world);
    assert!(
        !served.stop("TERM").stdout.contains("token="),
        "no further sign-in link after an operator can sign in"
    );
}

#[test]
fn a_wrong_password_reveals_nothing_and_guessing_is_slowed() {
    let world = World::new();
    let served = Served::start(&world);
    set_password(&world, "operator", PASSWORD);
    let visitor = served.visitor();
    let (wrong, nobody) =
        (visitor.sign_in("operator", "wrong wrong wrong"), visitor.sign_in("nobody", PASSWORD));
    assert_eq!((wrong.status, nobody.status), (403, 403));
    let problem = |answer: &Answer| between(&answer.body, "role=\"alert\">", "</div>").unwrap().to_owned();
    assert_eq!(problem(&wrong), problem(&nobody), "the error does not reveal which accounts exist");
    let statuses: Vec<u16> =
        (0..10).map(|_| visitor.sign_in("operator", "wrong wrong wrong").status).collect();
    assert!(statuses.ends_with(&[429]), "{statuses:?}");
    let blocked = visitor.sign_in("operator", PASSWORD);
    assert!(blocked.headers.contains_key("retry-after") && blocked.body.contains("Please wait"));
}

#[test]
fn sessions_can_be_ended_and_expire() {
    let mut world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let other = served.visitor();
    other.sign_in("operator", PASSWORD);
    other.submit("/admin", "/admin/sign-out", &[]);
    assert_eq!((other.get("/admin").status, operator.get("/admin").status), (303, 200));
    let made =
        operator.submit("/admin/accounts", "/admin/accounts/new", &[("name", "Ada"), ("role", "viewer")]);
    let ada = served.visitor();
    assert_eq!(ada.submit(&made.secret(), "/admin/sign-in", &[]).status, 303);
    let set = [("password", PASSWORD), ("again", PASSWORD)];
    ada.submit("/admin/password", "/admin/password", &set);
    assert_eq!(ada.get("/admin").status, 200);
    operator.submit("/admin/accounts", "/admin/accounts/2", &[("action", "end-sessions")]);
    assert_eq!(ada.get("/admin").status, 303);
    assert_eq!(ada.sign_in("Ada", PASSWORD).status, 303);
    operator.submit("/admin/accounts", "/admin/accounts/2", &[("action", "disable"), ("role", "viewer")]);
    assert_eq!((ada.get("/admin").status, ada.sign_in("Ada", PASSWORD).status), (303, 403));
    let last =
        operator.submit("/admin/accounts", "/admin/accounts/1", &[("action", "disable"), ("role", "viewer")]);
    assert_eq!(last.status, 400);
    assert!(last.body.contains("one operator has to stay"), "{}", last.body);
    let port = served.port;
    served.stop("TERM");
    world.pass(HOUR * 13);
    let served = Served::on(&world, port, &[]);
    assert_eq!(operator.get("/admin").status, 303, "the session cookie lasts twelve hours");
    served.stop("TERM");
}

#[test]
fn cross_site_forms_are_refused_and_logged() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let fields = [("key", "module.ow"), ("value", "false"), ("form_token", token.as_str())];
    let send = |origin: &str, fields: &[(&str, &str)]| {
        operator.send(Method::POST, "/admin/settings", &[("Origin", origin)], Some(fields)).status
    };
    assert_eq!(send("https://evil.example.org", &fields), 403, "a foreign origin is refused");
    assert_eq!(send("null", &fields), 403, "an opaque origin is refused");
    assert_eq!(send(&operator.base, &fields[..2]), 403, "a missing form token is refused");
    let other = served.visitor().get("/admin/sign-in").hidden("/admin/sign-in")[0].1.clone();
    assert_eq!(
        send(&operator.base, &[fields[0], fields[1], ("form_token", &other)]),
        403,
        "another session's form token is refused"
    );
    assert_eq!(world.run(&["settings", "get", "module.ow"]).stdout, "true\n", "nothing was changed");
    let audit = operator.get("/admin/audit").body;
    assert!(
        audit.contains("foreign origin") && !audit.contains("origin: /admin"),
        "the audit has no path of a request: {audit}"
    );
    assert_eq!(send(&operator.base, &fields), 303);
    assert_eq!(world.run(&["settings", "get", "module.ow"]).stdout, "false\n");
}

#[test]
fn a_form_comes_from_the_public_address_where_one_is_configured() {
    let world = World::new();
    let served = Served::with(&world, &[("JHE_OW_PUBLIC_URL", "https://jhe-ow.example.org")]);
    let visitor = served.visitor();
    let token = visitor.get("/admin/sign-in").hidden("/admin/sign-in")[0].1.clone();
    let fields = [("form_token", token.as_str()), ("name", "nobody"), ("password", "wrong wrong wrong")];
    let refused = |origin: &str| {
        let answer = visitor.send(Method::POST, "/admin/sign-in", &[("Origin", origin)], Some(&fields));
        answer.heading() == "This form was not accepted"
    };
    assert!(refused("http://jhe-ow.example.org"), "an origin without TLS is refused");
    assert!(refused(&visitor.base), "the host header is not trusted as the origin");
    assert!(!refused("https://jhe-ow.example.org"));
}

#[test]
fn every_answer_carries_its_headers_and_cookies_are_for_this_site_only() {
    let world = World::new();
    let served = Served::with(&world, &[("JHE_OW_PUBLIC_URL", "https://jhe-ow.example.org")]);
    let visitor = served.visitor();
    for path in
        ["/", "/admin", "/admin/sign-in", "/ow/?code=x", "/clients/ow/manage", "/nothing", "/api/v1/nothing"]
    {
        let headers = visitor.get(path).headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(policy.contains("form-action 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(headers.contains_key("strict-transport-security"), "{path}");
    }
    let cookie = served.visitor().get("/admin/sign-in").headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Secure"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[test]
fn oversized_and_malformed_bodies_are_refused() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let huge = "a".repeat(70_000);
    let answer = operator.post("/admin/studies/new", &[("form_token", token.as_str()), ("purpose", &huge)]);
    assert_eq!((answer.status, answer.heading()), (413, "Too large"));
    assert_eq!(operator.send(Method::PUT, "/admin", &[], None).status, 405);
    assert_eq!(operator.send(Method::DELETE, "/admin/patients/1", &[], None).status, 405);
    assert_eq!(operator.post("/", &[]).status, 405);
}

#[test]
fn parameters_given_twice_are_refused_and_lists_are_not() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    for path in ["/ow/?code=a&code=b", "/admin/patients?after=1&after=2", "/admin?search=a&search=b"] {
        let refused = operator.get(path);
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.body.contains("more than once"), "{}", refused.body);
    }
    let token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let fields =
        [("key", "module.ow"), ("value", "true"), ("value", "false"), ("form_token", token.as_str())];
    assert_eq!(operator.post("/admin/settings", &fields).status, 400);
    assert_eq!(world.run(&["settings", "get", "module.ow"]).stdout, "true\n");
    let fields = [
        ("name", "Sleep"),
        ("organization", "Lab"),
        ("purpose", "To learn."),
        ("contact", "Ada"),
        ("scope", HEART_RATE),
        ("scope", "omh:step-count:3.0"),
        ("form_token", token.as_str()),
    ];
    assert_eq!(operator.post("/admin/studies/new", &fields).status, 303);
}

#[test]
fn a_patients_session_reaches_that_patient_only() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let (one, two) = (make_patient(&operator, "P-1", &study), make_patient(&operator, "P-2", &study));
    let (first, second) = (served.visitor(), served.visitor());
    assert_eq!(agree(&first, &invite(&operator, &one), &study).status, 303);
    assert_eq!(agree(&second, &invite(&operator, &two), &study).status, 303);
    assert_eq!(
        first.get("/admin").status,
        303,
        "a patient's session gives no access to the practitioners' pages"
    );
    assert_eq!(
        operator.get("/clients/ow/manage").status,
        401,
        "a practitioner's session gives no access to a patient's pages"
    );
    let token = second.get("/clients/ow/manage").hidden("/clients/ow/withdraw")[0].1.clone();
    let stolen = [("form_token", token.as_str()), ("study", &study), ("scope", HEART_RATE), ("sure", "yes")];
    assert_eq!(first.post("/clients/ow/withdraw", &stolen).status, 403, "another patient's form is refused");
    for path in ["/clients/ow/manage/2", "/clients/ow/data/2", "/clients/ow/patients/2"] {
        assert_eq!(first.get(path).status, 404, "{path}");
    }
    operator.submit(&format!("/admin/patients/{one}"), &format!("/admin/patients/{one}/end-sessions"), &[]);
    assert_eq!((first.get("/clients/ow/manage").status, second.get("/clients/ow/manage").status), (401, 200));
    for path in
        [format!("/admin/patients/{one}99"), "/admin/patients/x".to_owned(), "/admin/patients/0".to_owned()]
    {
        assert_eq!(operator.get(&path).status, 404, "{path}");
    }
    assert!(
        operator.get("/admin/audit").body.contains("patient.view"),
        "each view of a patient is in the audit"
    );
}

#[test]
fn a_one_time_link_resets_a_forgotten_password() {
    let world = World::new();
    let served = Served::start(&world);
    let before = served.operator(&world);
    let link = world.run(&["admin", "sign-in"]).stdout;
    let link = format!("/admin/sign-in?token={}", link.trim().split_once("token=").unwrap().1);
    let visitor = served.visitor();
    assert_eq!(visitor.submit(&link, "/admin/sign-in", &[]).status, 303);
    assert_eq!(visitor.get("/admin").location(), "/admin/password");
    assert_eq!(before.get("/admin").status, 303, "the earlier session has ended");
    let set = [("password", " another horse battery "), ("again", " another horse battery ")];
    assert_eq!(visitor.submit("/admin/password", "/admin/password", &set).status, 303);
    let other = served.visitor();
    assert_eq!(other.sign_in("operator", PASSWORD).status, 403);
    assert_eq!(
        other.sign_in("operator", " another horse battery ").status,
        303,
        "spaces are part of the password"
    );
}

#[test]
fn a_viewer_named_operator_does_not_block_the_first_sign_in() {
    let world = World::new();
    assert_eq!(world.run(&["admin", "add", "operator"]).code, 0);
    let served = Served::start(&world);
    assert!(first_link(&world).contains("token="));
    served.stop("TERM");
    assert!(world.run(&["admin", "list"]).stdout.contains("operator-2"));
}

#[test]
fn guessing_from_one_address_locks_nobody_else_out() {
    let mut world = World::new();
    let served = serve(&world, &[("JHE_OW_TRUSTED_PROXIES", "127.0.0.1")]);
    set_password(&world, "operator", PASSWORD);
    let visitor = served.visitor();
    let page = visitor.get("/admin/sign-in");
    let token = page.hidden("/admin/sign-in")[0].1.clone();
    let try_from = |address: &str, password: &str| {
        let headers = [("Origin", visitor.base.as_str()), ("X-Forwarded-For", address)];
        let fields = [("form_token", token.as_str()), ("name", "operator"), ("password", password)];
        visitor.send(Method::POST, "/admin/sign-in", &headers, Some(&fields)).status
    };
    let guesses: Vec<u16> = (0..12).map(|_| try_from("198.51.100.1", "wrong wrong wrong")).collect();
    assert!(guesses.ends_with(&[429]), "{guesses:?}");
    wait(&mut world, Duration::from_mins(1));
    assert_eq!(try_from("203.0.113.7", PASSWORD), 303);
}

#[test]
fn public_pages_are_rate_limited_by_address() {
    let world = World::new();
    let served = Served::start(&world);
    let visitor = served.visitor();
    let statuses: Vec<u16> = (0..200).map(|_| visitor.get("/ow/?code=x").status).collect();
    assert_eq!((statuses[0], statuses.contains(&429)), (400, true));
    assert_eq!(visitor.get("/healthz").status, 200, "the health check has no rate limit");
}
