//! The end of sessions, forms sent after it, the list of one's own sessions, and API tokens.

use std::time::Duration;

use crate::support::authenticator::{serve, wait};
use crate::support::harness::*;
use crate::support::running_daemon::*;

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn an_unused_session_ends_after_half_an_hour() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    for _ in 0..3 {
        wait(&mut world, MINUTE * 29);
        assert_eq!(operator.get("/admin").status, 200, "the session is active");
    }
    wait(&mut world, MINUTE * 31);
    assert_eq!(operator.get("/admin").status, 303, "nobody has looked for 31 minutes");
    world.setting("sign_in.idle_end", "2h");
    assert_eq!(operator.get("/admin").status, 303, "an ended session stays ended");
    operator.sign_in("operator", PASSWORD);
    wait(&mut world, MINUTE * 119);
    assert_eq!(operator.get("/admin").status, 200, "the setting changes the idle time");
    wait(&mut world, MINUTE * 119);
    let port = served.port;
    assert_eq!(operator.get("/admin/patients").status, 200);
    served.stop("TERM");
    wait(&mut world, MINUTE * 100);
    let clock = world.clock_in_a_file();
    let served = Served::on(&world, port, &[("JHE_OW_CLOCK", &clock)]);
    assert_eq!(operator.get("/admin").status, 200, "the last use was saved when the daemon stopped");
    for _ in 0..6 {
        wait(&mut world, HOUR);
        operator.get("/admin");
    }
    wait(&mut world, HOUR);
    assert_eq!(operator.get("/admin").status, 303, "a session ends after twelve hours even if it is in use");
    served.stop("TERM");
}

#[test]
fn reading_a_page_writes_nothing_by_itself() {
    let world = World::new();
    world.setting("module.ow", "false");
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let commits = || {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
        db.query_row("SELECT last_active_at FROM sessions", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = commits();
    operator.get("/admin/help");
    assert_eq!(commits(), before, "the last use is in memory only");
    served.stop("TERM");
}

#[test]
fn a_form_sent_after_the_end_is_kept_through_sign_in() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let page = operator.get("/admin/patients/new").hidden("/admin/patients/new");
    let token = page[0].1.clone();
    let study = make_study(&operator, "Sleep");
    let fields =
        [("form_token", token.as_str()), ("name", "P-1"), ("tz", "Europe/Berlin"), ("study", study.as_str())];
    let listed = |world: &World| world.run(&["patient", "list"]).stdout;
    wait(&mut world, MINUTE * 31);
    let forged = [("form_token", "x"), ("name", "P-1")];
    assert_eq!(
        operator.post("/admin/patients/new", &forged).status,
        403,
        "the form of another origin is not kept"
    );
    let sent = operator.post("/admin/patients/new", &fields);
    assert_eq!((sent.status, sent.location()), (303, "/admin/sign-in?next=%2Fadmin%2Fkept-form"));
    let told = operator.get(sent.location());
    assert!(told.body.contains("It is kept for ten minutes"), "{}", told.body);
    let sign_in = [("name", "operator"), ("password", PASSWORD)];
    let back = operator.submit(sent.location(), "/admin/sign-in", &sign_in);
    assert_eq!(back.location(), "/admin/kept-form");
    assert!(!listed(&world).contains("P-1"), "a kept form is not sent without a click");
    assert_eq!(operator.get("/admin/kept-form").heading(), "Send it now?");
    let done = operator.submit("/admin/kept-form", "/admin/patients/new", &[]);
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(listed(&world).contains("P-1"));

    let password = [("form_token", token.as_str()), ("current", PASSWORD), ("password", "x"), ("again", "x")];
    wait(&mut world, MINUTE * 31);
    assert_eq!(
        operator.post("/admin/password", &password).status,
        403,
        "the form token belongs to the ended session"
    );
    assert_eq!(world.run(&["admin", "add", "ada"]).code, 0);
    set_password(&world, "ada", PASSWORD);
    operator.sign_in("operator", PASSWORD);
    let token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let fields = [("form_token", token.as_str()), ("name", "P-2"), ("tz", "UTC"), ("study", study.as_str())];
    wait(&mut world, MINUTE * 31);
    let secrets = [("form_token", token.as_str()), ("current", PASSWORD), ("password", "x"), ("again", "x")];
    let refused = operator.post("/admin/password", &secrets);
    assert!(
        refused.status == 403 && refused.body.contains("nothing was changed"),
        "forms with passwords are not kept"
    );
    assert_eq!(operator.post("/admin/patients/new", &fields).status, 303);
    operator.sign_in("ada", PASSWORD);
    assert_eq!(
        operator.get("/admin/kept-form").heading(),
        "There is no form to send",
        "another account does not see the kept form"
    );
    operator.sign_in("operator", PASSWORD);
    assert_eq!(
        operator.get("/admin/kept-form").heading(),
        "There is no form to send",
        "the kept form is deleted"
    );
    let token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let fields = [("form_token", token.as_str()), ("name", "P-2"), ("tz", "UTC"), ("study", study.as_str())];
    wait(&mut world, MINUTE * 31);
    operator.post("/admin/patients/new", &fields);
    wait(&mut world, MINUTE * 10);
    operator.sign_in("operator", PASSWORD);
    assert_eq!(
        operator.get("/admin/kept-form").heading(),
        "There is no form to send",
        "a kept form expires after ten minutes"
    );
}

#[test]
fn one_sees_where_one_is_signed_in_and_ends_what_one_does_not_know() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let phone = served.visitor();
    let agent = "Mozilla/5.0 (Android 15; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0";
    let token = phone.get("/admin/sign-in").hidden("/admin/sign-in")[0].1.clone();
    let fields = [("form_token", token.as_str()), ("name", "operator"), ("password", PASSWORD)];
    let headers = [("Origin", phone.base.as_str()), ("User-Agent", agent)];
    phone.send(reqwest::Method::POST, "/admin/sign-in", &headers, Some(&fields));
    let other = served.visitor();
    other.sign_in("operator", PASSWORD);
    assert_eq!(world.run(&["admin", "add", "ada", "--role", "viewer"]).code, 0);
    set_password(&world, "ada", PASSWORD);
    let ada = served.visitor();
    ada.sign_in("ada", PASSWORD);
    wait(&mut world, MINUTE * 5);
    phone.get("/admin/help");
    wait(&mut world, MINUTE * 2);
    let page = operator.get("/admin/account").body;
    for told in ["Firefox on Android", "127.0.0.1", "2\u{a0}min ago", "7\u{a0}min ago", "(this one)"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert_eq!(page.matches("<tr>").count(), 1 + 3, "an account sees its own sessions only: {page}");
    let id = |page: &str| between(page, "name=\"session\" value=\"", "\"").unwrap().to_owned();
    let theirs = operator.get("/admin/account").body;
    let (first, form) = (id(&theirs), operator.get("/admin/account").hidden("/admin/account/sessions"));
    let end = |visitor: &Visitor, session: &str| {
        let token = visitor.get("/admin").hidden("/admin/sign-out")[0].1.clone();
        visitor.post("/admin/account/sessions", &[("form_token", &token), ("session", session)]).status
    };
    assert!(!form.is_empty());
    assert_eq!(end(&ada, &first), 303);
    assert_eq!(other.get("/admin").status, 200, "an account cannot end a session of another account");
    assert_eq!(end(&operator, &first), 303);
    assert_eq!((other.get("/admin").status, phone.get("/admin").status), (303, 200));
    assert_eq!(end(&operator, "others"), 303);
    assert_eq!((phone.get("/admin").status, operator.get("/admin").status), (303, 200));
    assert_eq!(ada.get("/admin").status, 200);
}

#[test]
fn a_sign_in_replaces_the_session_that_the_browser_had() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let planted = operator.cookies.lock().unwrap()["jhe_ow_session"].clone();
    assert_eq!(operator.sign_in("operator", PASSWORD).status, 303);
    assert_ne!(operator.cookies.lock().unwrap()["jhe_ow_session"], planted);
    let thief = served.visitor();
    thief.cookies.lock().unwrap().insert("jhe_ow_session".to_owned(), planted);
    assert_eq!(thief.get("/admin").status, 303, "the earlier token is invalid");
}

#[test]
fn on_https_no_other_host_of_the_domain_can_plant_a_cookie() {
    let world = World::new();
    let served = Served::with(&world, &[("JHE_OW_PUBLIC_URL", "https://jhe-ow.example.org")]);
    let browser = || {
        let mut browser = served.visitor();
        browser.origin = "https://jhe-ow.example.org".to_owned();
        browser
    };
    set_password(&world, "operator", PASSWORD);
    let operator = browser();
    assert_eq!(operator.sign_in("operator", PASSWORD).status, 303);
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, "P-1", &study);
    let link = invite(&operator, &patient).replace("https://jhe-ow.example.org", &served.url());
    let person = browser();
    assert_eq!(agree(&person, &link, &study).status, 303);
    for visitor in [&operator, &person] {
        let cookies = visitor.cookies.lock().unwrap().clone();
        assert!(cookies.keys().all(|name| name.starts_with("__Host-")), "{cookies:?}");
        let plain = cookies.iter().map(|(name, value)| (name.replace("__Host-", ""), value.clone()));
        let copy = served.visitor();
        *copy.cookies.lock().unwrap() = plain.collect();
        assert_ne!(copy.get("/admin").status, 200, "a cookie with another name is ignored");
        assert_eq!(copy.get("/clients/ow/manage").status, 401);
    }
    let set = served.visitor().get("/admin/sign-in").headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.contains("Path=/;") && set.contains("Secure") && !set.contains("Domain"), "{set}");
}

#[test]
fn a_token_of_a_program_shows_its_last_use_and_expires() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let patient = make_patient(&operator, "P-1", &make_study(&operator, "Sleep"));
    let page = format!("/admin/patients/{patient}");
    let make = |days: &str| {
        let fields = [("label", "an app"), ("days", days)];
        operator.submit(&page, &format!("{page}/api-token"), &fields).secret()
    };
    let (short, lasting) = (make("90"), make(""));
    let call = |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str())];
        served.visitor().send(reqwest::Method::POST, "/api/v1/ow/users", &headers, None).status
    };
    assert!(operator.get(&page).body.contains("never used"));
    assert_ne!(call(&short), 401);
    assert_ne!(call(&lasting), 401);
    wait(&mut world, DAY * 91);
    assert_eq!(call(&short), 401, "the token has expired");
    assert_ne!(call(&lasting), 401);
    operator.sign_in("operator", PASSWORD);
    let shown = operator.get(&page).body;
    let time = |what: &str, day: &str| shown.contains(&format!("{what} <time datetime=\"{day}T12:00:00Z\">"));
    assert!(time("last used", "2027-02-20") && time("expires", "2027-02-19"), "{shown}");
    served.stop("TERM");
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let written: i64 =
        db.query_row("SELECT max(last_used_at) FROM api_tokens", [], |row| row.get(0)).unwrap();
    assert_eq!(written, world.now.micros(), "the last use was saved when the daemon stopped");
}
