//! Every route refuses everybody who may not use it.

use reqwest::Method;

use crate::support::clinic::{Clinic, MARY};
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// The people a route is for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Access {
    /// Everybody, with this answer to who brings nothing.
    Open(u16),
    Patient,
    Staff,
    Operator,
    /// An API client with a patient's token.
    Bearer,
}
use Access::{Bearer, Open, Operator, Patient, Staff};

/// Everything that is answered at all. `N` is a patient, `S` a study.
const GET: &[(&str, Access)] = &[
    ("/", Open(200)),
    ("/healthz", Open(200)),
    ("/readyz", Open(200)),
    ("/style.css", Open(200)),
    ("/icon.svg", Open(200)),
    ("/nothing", Open(404)),
    ("/ow", Open(400)),
    ("/clients/ow/launch", Open(400)),
    ("/clients/ow/complete", Open(200)),
    ("/clients/ow/ask", Patient),
    ("/clients/ow/connect", Patient),
    ("/clients/ow/leave", Patient),
    ("/clients/ow/manage", Patient),
    ("/clients/ow/data", Patient),
    ("/clients/ow/data.ndjson", Patient),
    ("/clients/ow/data.csv", Patient),
    ("/admin/sign-in", Open(200)),
    ("/admin/jhe", Open(404)),
    ("/admin/jhe/callback", Open(404)),
    ("/admin", Staff),
    ("/admin/password", Staff),
    ("/admin/patients", Staff),
    ("/admin/patients/new", Staff),
    ("/admin/patients/N", Staff),
    ("/admin/patients/N/edit", Staff),
    ("/admin/patients/N/observations", Staff),
    ("/admin/patients/N/charts", Staff),
    ("/admin/patients/N/charts/heart-rate", Staff),
    ("/admin/patients/N/consents/00", Staff),
    ("/admin/studies", Staff),
    ("/admin/studies/new", Staff),
    ("/admin/studies/S", Staff),
    ("/admin/rejected", Staff),
    ("/admin/audit", Staff),
    ("/admin/help", Staff),
    ("/admin/help/start", Staff),
    ("/admin/settings", Operator),
    ("/admin/accounts", Operator),
    ("/api/v1/ow/oauth/oura/authorize", Bearer),
    ("/api/v1/oauth/oura/callback", Open(400)),
];
const POST: &[(&str, Access)] = &[
    ("/clients/ow/agree", Open(400)),
    ("/clients/ow/redeem", Open(403)),
    ("/clients/ow/answer", Patient),
    ("/clients/ow/connect", Patient),
    ("/clients/ow/grant", Patient),
    ("/clients/ow/withdraw", Patient),
    ("/clients/ow/disconnect", Patient),
    ("/clients/ow/sign-out", Patient),
    ("/admin/sign-in", Open(403)),
    ("/admin/password", Staff),
    ("/admin/sign-out", Staff),
    ("/admin/patients/new", Staff),
    ("/admin/patients/N/edit", Staff),
    ("/admin/patients/N/poll", Staff),
    ("/admin/patients/N/backfill", Staff),
    ("/admin/patients/N/invite", Staff),
    ("/admin/patients/N/revoke", Staff),
    ("/admin/patients/N/api-token", Staff),
    ("/admin/patients/N/revoke-api-token", Staff),
    ("/admin/patients/N/retry-export", Staff),
    ("/admin/patients/N/end-sessions", Staff),
    ("/admin/studies/new", Staff),
    ("/admin/studies/S", Staff),
    ("/admin/settings", Operator),
    ("/admin/accounts/new", Operator),
    ("/admin/accounts/1", Operator),
    ("/api/v1/ow/users", Bearer),
];
/// The sources in which the routes are matched.
const SOURCES: &[&str] = &[
    include_str!("../../../src/web/routes.rs"),
    include_str!("../../../src/web/api.rs"),
    include_str!("../../../src/web/patient/mod.rs"),
    include_str!("../../../src/web/admin/mod.rs"),
    include_str!("../../../src/web/admin/patient/mod.rs"),
];
/// The name and a measurement of the first patient, and of the second.
const FIRST: [&str; 2] = ["Zebulon-Canary", "161.23"];
const SECOND: [&str; 2] = ["Wilhelmina-Canary", "163.77"];
const PROXY: &[(&str, &str)] = &[("JHE_OW_TRUSTED_PROXIES", "127.0.0.1")];

fn table() -> impl Iterator<Item = (Method, &'static str, Access)> {
    let of = |method: Method, rows: &'static [(&str, Access)]| {
        rows.iter().map(move |(path, door)| (method.clone(), *path, *door))
    };
    of(Method::GET, GET).chain(of(Method::POST, POST))
}

/// Sends a request from an address of its own, so that no rate limit answers instead of the route.
fn send_from_new_address(
    visitor: &Visitor,
    number: usize,
    method: &Method,
    path: &str,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Answer {
    let address = format!("198.51.{}.{}", number / 200, number % 200 + 1);
    let headers = [&[("X-Forwarded-For", address.as_str())], headers].concat();
    visitor.send(method.clone(), path, &headers, (*method == Method::POST).then_some(fields))
}

fn tells_nothing_of(patient: [&str; 2], what: &str, answer: &Answer) {
    for canary in patient {
        let head = format!("{:?}", answer.headers);
        assert!(
            !answer.body.contains(canary) && !head.contains(canary),
            "{what} tells of a patient: {canary}"
        );
    }
}

/// A daemon with a study and two patients who are signed in, each of whom has measured something.
struct House {
    world: World,
    served: Served,
    operator: Visitor,
    first: Visitor,
    second: Visitor,
}

impl House {
    fn open() -> Self {
        let world = World::new();
        let served = Served::with(&world, &PROXY);
        let operator = served.operator(&world);
        let study = make_study(&operator, "Sleep");
        let make = |[name, _]: [&str; 2]| make_patient(&operator, name, &study);
        let (one, two) = (make(FIRST), make(SECOND));
        assert_eq!((study.as_str(), one.as_str(), two.as_str()), ("1", "1", "2"));
        let (first, second) = (served.visitor(), served.visitor());
        for (visitor, patient) in [(&first, &one), (&second, &two)] {
            assert_eq!(agree(visitor, &invite(&operator, patient), &study).status, 303);
        }
        for (patient, [_, value]) in [(&one, FIRST), (&two, SECOND)] {
            let user = world.sim.add_user();
            assert_eq!(world.run(&["patient", "link", patient, "--ow-user", &user]).code, 0);
            world.sim.put(&user, world.now.minus(HOUR), value.parse().unwrap());
            world.sim.put_verbatim(&user, world.now.minus(HOUR), &format!("{{\"of\":\"{value}\"}}"));
        }
        until("it is kept", || {
            world.poll();
            [&one, &two].iter().all(|patient| !world.table(patient).is_empty())
        });
        Self { world, served, operator, first, second }
    }

    fn is_shut_to(&self, who: &str, visitor: &Visitor, is_shut: impl Fn(Access) -> bool) {
        for (number, (method, path, door)) in table().enumerate() {
            if !is_shut(door) {
                continue;
            }
            let path = path.replace(['N', 'S'], "1");
            let answer = send_from_new_address(
                visitor,
                number,
                &method,
                &path,
                &[("Origin", &self.served.url())],
                &[],
            );
            let expected = match door {
                Open(status) => status,
                Patient | Bearer => 401,
                Staff | Operator if method == Method::GET => 303,
                Staff | Operator => 403,
            };
            assert_eq!(answer.status, expected, "{who}: {method} {path}: {}", answer.body);
            if answer.status == 303 {
                assert!(answer.location().starts_with("/admin/sign-in"), "{who}: {path}: {answer:?}");
            }
            for patient in [FIRST, SECOND] {
                tells_nothing_of(patient, &format!("{who}: {method} {path}"), &answer);
            }
            has_its_headers(&format!("{method} {path}"), &answer);
        }
    }
}

fn has_its_headers(what: &str, answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let policy = header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("referrer-policy"), "same-origin", "{what}");
    assert_eq!(header("cache-control"), "no-store", "{what}");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{what}");
    assert!(header("permissions-policy").contains("camera=()"), "{what}");
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).map(|text| text.trim_start_matches('/')).collect()
}

/// The paths that a pattern stands for, in parts: what may stand in each, or nothing where anything may.
fn lists(pattern: &str) -> Vec<Vec<Vec<&str>>> {
    match pattern.split_once('[') {
        _ if pattern.contains("..") => Vec::new(),
        Some((_, rest)) => {
            let lists = rest.split(']').filter_map(|list| list.rsplit('[').next());
            let lists = lists.map(|list| list.split(',').map(quoted).collect::<Vec<Vec<&str>>>());
            lists.filter(|list| list.iter().any(|part| !part.is_empty())).collect()
        }
        None => quoted(pattern).into_iter().map(|text| vec![vec![text]]).collect(),
    }
}

fn ends_with(path: &str, list: &[Vec<&str>]) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |(segment, part): (&&str, &Vec<&str>)| part.is_empty() || part.contains(segment);
    segments.len() >= list.len() && segments.iter().rev().zip(list.iter().rev()).all(fits)
}

fn copy_with(base: &Visitor, change: impl Fn(&str) -> String) -> Visitor {
    let copy = Visitor::new(&base.base);
    let cookies = base.cookies.lock().unwrap().clone();
    *copy.cookies.lock().unwrap() = cookies.into_iter().map(|(name, value)| (name, change(&value))).collect();
    copy
}

#[test]
fn no_route_is_missing_from_the_table() {
    let mut found = 0;
    for &source in SOURCES {
        for arm in source.lines().map(str::trim).filter(|line| line.starts_with(['(', '[', '"'])) {
            let Some((pattern, answer)) = arm.split_once("=>") else { continue };
            if answer.trim().starts_with('"') {
                continue;
            }
            for list in lists(pattern) {
                found += 1;
                let is_there = table().any(|(method, path, _)| {
                    let is_asked =
                        !pattern.contains("Method::") || pattern.contains(&format!("Method::{method}"));
                    is_asked && ends_with(path, &list)
                });
                assert!(is_there, "{list:?} in {arm}");
            }
        }
    }
    assert!(found > 60, "the routes are matched elsewhere by now: {found}");
}

#[test]
fn every_route_refuses_requests_without_its_session() {
    let House { mut world, served, operator, first, second } = House::open();
    let house = House { world: World::bare(), served, operator, first, second };
    let everything = |_| true;
    house.is_shut_to("nobody", &house.served.visitor(), everything);
    let not_open = |door| !matches!(door, Open(_));
    let backwards = |value: &str| value.chars().rev().collect();
    for (who, session) in [("practitioner", &house.operator), ("patient", &house.first)] {
        house.is_shut_to(&format!("a forged {who}"), &copy_with(session, backwards), not_open);
        house.is_shut_to(&format!("a garbled {who}"), &copy_with(session, |_| "'%00--".to_owned()), not_open);
    }
    house.is_shut_to("a patient", &house.first, |door| matches!(door, Staff | Operator | Bearer));
    house.is_shut_to("a practitioner", &house.operator, |door| matches!(door, Patient | Bearer));
    for (visitor, own, other) in [(&house.first, FIRST, SECOND), (&house.second, SECOND, FIRST)] {
        for (number, (path, _)) in GET.iter().filter(|(_, door)| *door == Patient).enumerate() {
            for query in ["", "?patient=1", "?patient=2", "?id=1&patient_id=2"] {
                let path = format!("{path}{query}");
                let answer = send_from_new_address(visitor, number, &Method::GET, &path, &[], &[]);
                assert!(answer.status != 401, "{path}: {}", answer.status);
                tells_nothing_of(other, &path, &answer);
                if path.contains("/data.") {
                    assert!(answer.body.contains(own[1]), "{path} is to tell of oneself: {}", answer.body);
                }
            }
        }
    }
    for (number, patient, own, other) in [(0, 1, FIRST, SECOND), (1, 2, SECOND, FIRST)] {
        for (path, _) in GET.iter().filter(|(path, _)| path.contains('N')) {
            let path = path.replace('N', &patient.to_string());
            let answer = send_from_new_address(&house.operator, number, &Method::GET, &path, &[], &[]);
            tells_nothing_of(other, &path, &answer);
            if path.ends_with("/observations") {
                assert!(answer.body.contains(own[1]), "{path}: {}", answer.body);
            }
        }
        let lists = ["rejected", "audit"].map(|list| format!("/admin/{list}?patient={patient}"));
        for path in &lists {
            tells_nothing_of(other, path, &house.operator.get(path));
        }
    }
    let House { served, operator, first, second, .. } = house;
    let port = served.port;
    served.stop("TERM");
    world.pass(DAY * 31);
    let served = Served::on(&world, port, &PROXY);
    let house = House { world, served, operator, first, second };
    house.is_shut_to("a session of last month", &house.operator, not_open);
    house.is_shut_to("a patient of last month", &house.first, not_open);
}

#[test]
fn every_answer_has_its_security_headers_errors_too() {
    let house = House::open();
    let (operator, stranger) = (&house.operator, house.served.visitor());
    for (number, (path, door)) in GET.iter().enumerate() {
        let path = path.replace(['N', 'S'], "1");
        if matches!(door, Staff | Operator) {
            let answer = operator.get(&path);
            assert!(matches!(answer.status, 200 | 404), "{path}: {}", answer.status);
            has_its_headers(&path, &answer);
        }
        let asked = send_from_new_address(&stranger, number, &Method::HEAD, &path, &[], &[]);
        has_its_headers(&format!("HEAD {path}"), &asked);
    }
    for (method, path) in [
        (Method::PUT, "/admin"),
        (Method::DELETE, "/admin/patients/1"),
        (Method::POST, "/"),
        (Method::PATCH, "/clients/ow/manage"),
        (Method::DELETE, "/api/v1/ow/users"),
        (Method::OPTIONS, "/clients/ow/agree"),
    ] {
        for visitor in [operator, &house.first, &stranger] {
            let answer = visitor.send(method.clone(), path, &[("Origin", &house.served.url())], None);
            assert!(matches!(answer.status, 401 | 403 | 405), "{method} {path}: {}", answer.status);
            has_its_headers(&format!("{method} {path}"), &answer);
        }
        let answer = if path.starts_with("/admin") { operator } else { &house.first }.send(
            method.clone(),
            path,
            &[],
            None,
        );
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.body);
    }
    let huge = "a".repeat(70_000);
    for (visitor, path) in
        [(operator, "/admin/studies/new"), (&stranger, "/clients/ow/agree"), (&stranger, "/api/v1/ow/users")]
    {
        let answer = visitor.post(path, &[("purpose", &huge)]);
        assert_eq!(answer.status, 413, "{path}");
        has_its_headers(&format!("too much for {path}"), &answer);
    }
    for path in [
        "//",
        "/%ff",
        "/%00",
        "/admin/%2e%2e/patients",
        "/admin/patients/%00",
        "/admin/patients/99999999999999999999",
        "/admin/patients/1;x=1",
        "/clients/ow/launch?code=%ff%00",
        "/api/v1/oauth/%2f/callback?state=%ff",
        "/?%zz=%",
    ] {
        for visitor in [operator, &stranger] {
            has_its_headers(path, &visitor.get(path));
        }
    }
}

#[test]
fn every_form_needs_its_token_and_its_origin() {
    let house = House::open();
    let token = |visitor: &Visitor, page: &str, form: &str| visitor.get(page).hidden(form)[0].1.clone();
    let staff = token(&house.operator, "/admin", "/admin/sign-out");
    let patient = token(&house.first, "/clients/ow/manage", "/clients/ow/sign-out");
    let other = token(&house.second, "/clients/ow/manage", "/clients/ow/sign-out");
    let here = house.served.url();
    let link = invite(&house.operator, "2");
    let (_, code) = link.split_once("code=").unwrap();
    let list = || {
        let run = |arguments: &[&str]| house.world.run(arguments).stdout;
        [run(&["patient", "list"]), run(&["admin", "list"]), run(&["settings", "get", "module.ow"])]
    };
    let before = list();
    let mut number = 0;
    for (path, door) in POST.iter().filter(|(_, door)| *door != Bearer) {
        let (visitor, own) =
            if *door == Patient { (&house.first, &patient) } else { (&house.operator, &staff) };
        let path = path.replace(['N', 'S'], "1");
        let tries: [(&str, &str, &str); 4] = [
            ("no token", &here, ""),
            ("another's token", &here, &other),
            ("a foreign origin", "https://evil.example.org", own),
            ("a hidden origin", "null", own),
        ];
        for (what, origin, token) in tries {
            let fields = [
                ("form_token", token),
                ("name", "Changed"),
                ("tz", "UTC"),
                ("key", "module.ow"),
                ("value", "false"),
                ("action", "disable"),
                ("role", "viewer"),
                ("study", "1"),
                ("scope", HEART_RATE),
                ("sure", "yes"),
                ("password", "another horse battery"),
                ("again", "another horse battery"),
                ("days", "1"),
                ("code", code),
            ];
            number += 1;
            let answer =
                send_from_new_address(visitor, number, &Method::POST, &path, &[("Origin", origin)], &fields);
            assert_eq!(answer.status, 403, "{path} with {what}: {}", answer.body);
            has_its_headers(&path, &answer);
        }
    }
    assert_eq!(list(), before, "nothing was changed");
    assert_eq!(
        (house.operator.get("/admin").status, house.first.get("/clients/ow/manage").status),
        (200, 200)
    );
}

#[test]
fn every_patient_route_refuses_practitioners_of_other_organizations() {
    let clinic = Clinic::open();
    let mary = clinic.practitioner(MARY);
    let token = mary.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    for (number, (method, path, door)) in table().enumerate() {
        let is_theirs = path.contains('N') || (path.contains("/S") && method == Method::GET);
        let expected = if door == Operator {
            403
        } else if is_theirs {
            404
        } else {
            if method == Method::GET {
                let answer = send_from_new_address(&mary, number, &method, path, &[], &[]);
                assert!(!answer.body.contains("40002"), "{path}");
            }
            continue;
        };
        let path = path.replace(['N', 'S'], "2");
        let answer = send_from_new_address(&mary, number, &method, &path, &[], &[("form_token", &token)]);
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.body);
        assert!(!answer.body.contains("40002"), "{method} {path}");
    }
}
