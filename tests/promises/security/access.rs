//! Every route refuses clients without the required access. The routes are those of the program's own table.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use jhe_ow::web::routes::{Access, Role, table};
use reqwest::Method;

use crate::support::clinic::{Clinic, MARY};
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// The open routes, with the status of a request without cookies and fields.
const OPEN: &[(&str, &str, u16)] = &[
    ("GET", "/", 200),
    ("GET", "/.well-known/security.txt", 404),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/style.css", 200),
    ("GET", "/icon.svg", 200),
    ("GET", "/ow", 400),
    ("GET", "/ow/reminders", 404),
    ("GET", "/clients/ow/launch", 400),
    ("GET", "/clients/ow/complete", 200),
    ("GET", "/clients/ow/new-link", 200),
    ("GET", "/admin/sign-in", 200),
    ("GET", "/admin/sign-in/code", 303),
    ("GET", "/admin/jhe", 404),
    ("GET", "/admin/jhe/again", 404),
    ("GET", "/admin/jhe/callback", 404),
    ("GET", "/api/v1/oauth/{provider}/callback", 400),
    ("GET", "/api/v1/openapi.json", 200),
    ("GET", "/FHIR/R5/metadata", 200),
    ("GET", "/FHIR/R5/vitals/metadata", 200),
    ("GET", "/FHIR/R4/metadata", 200),
    ("POST", "/ow/reminders", 404),
    ("POST", "/clients/ow/agree", 400),
    ("POST", "/clients/ow/redeem", 403),
    ("POST", "/clients/ow/continue", 400),
    ("POST", "/clients/ow/new-link", 403),
    ("POST", "/admin/sign-in", 403),
    ("POST", "/admin/sign-in/code", 403),
];
/// The name and a measurement of each patient.
const FIRST: [&str; 2] = ["Zebulon-Canary", "161.23"];
const SECOND: [&str; 2] = ["Wilhelmina-Canary", "163.77"];
const PROXY: &[(&str, &str)] = &[("JHE_OW_TRUSTED_PROXIES", "127.0.0.1")];

/// Fills in the parameters of a route pattern; patients, studies and accounts get this number.
pub(crate) fn path_of(pattern: &str, number: u32) -> String {
    let number = number.to_string();
    let values = [
        ("{patient}", number.as_str()),
        ("{study}", &number),
        ("{account}", &number),
        ("{provider}", "oura"),
        ("{series}", "heart-rate"),
        ("{hash}", "00"),
        ("{chapter}", "start"),
        ("{id}", &number),
        ("{group}", &number),
        ("{organization}", &number),
        ("{job}", "00"),
        ("{file}", "00"),
    ];
    let path = values.iter().fold(pattern.to_owned(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{pattern}: add a value for its parameter here");
    path
}

fn is_for_accounts(access: Access) -> bool {
    matches!(access, Access::Staff | Access::Coordinator | Access::Operator | Access::Confirmed(_))
}

/// Sends a request from a separate address, so that no rate limit answers instead of the route.
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
            "{what} reveals a patient: {canary}"
        );
    }
}

/// A daemon with a study and two signed-in patients, each with a measurement.
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
        let served = Served::with(&world, PROXY);
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
        until("the samples are stored", || {
            world.poll();
            [&one, &two].iter().all(|patient| !world.table(patient).is_empty())
        });
        Self { world, served, operator, first, second }
    }

    fn is_shut_to(&self, who: &str, visitor: &Visitor, is_shut: impl Fn(Access) -> bool) {
        for (number, (method, pattern, access)) in table().into_iter().enumerate() {
            if !is_shut(access) {
                continue;
            }
            let path = path_of(pattern, 1);
            let origin = self.served.url();
            let answer = send_from_new_address(visitor, number, &method, &path, &[("Origin", &origin)], &[]);
            let expected = match access {
                Access::Open => {
                    let open = OPEN.iter().find(|(verb, open, _)| method == *verb && pattern == *open);
                    open.unwrap_or_else(|| panic!("{method} {pattern} is open but not listed as such")).2
                }
                Access::OwSignature => 404,
                Access::Patient | Access::ApiClient | Access::StudyReader => 401,
                _ if method == Method::GET => 303,
                _ => 403,
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

fn copy_with(base: &Visitor, change: impl Fn(&str) -> String) -> Visitor {
    let copy = Visitor::new(&base.base);
    let cookies = base.cookies.lock().unwrap().clone();
    *copy.cookies.lock().unwrap() = cookies.into_iter().map(|(name, value)| (name, change(&value))).collect();
    copy
}

#[test]
fn a_refused_method_gets_the_methods_that_are_allowed() {
    let world = World::new();
    let served = Served::with(&world, PROXY);
    let stranger = served.visitor();
    let mut allowed = BTreeMap::<&str, Vec<&str>>::new();
    for (method, pattern, _) in table() {
        let names: &[_] = match method {
            Method::GET => &["GET", "HEAD"],
            Method::DELETE => &["DELETE"],
            _ => &["POST"],
        };
        allowed.entry(pattern).or_default().extend(names);
    }
    for (number, (pattern, methods)) in allowed.into_iter().enumerate() {
        let path = path_of(pattern, 1);
        for method in [Method::OPTIONS, Method::PATCH] {
            let answer = send_from_new_address(&stranger, number, &method, &path, &[], &[]);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.headers["allow"], methods.join(", "), "{method} {path}");
            has_its_headers(&path, &answer);
        }
    }
    let posted = stranger.post("/healthz", &[]);
    assert_eq!((posted.status, posted.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
}

#[test]
fn a_target_that_is_no_path_is_refused_and_breaks_nothing() {
    let world = World::new();
    let served = Served::start(&world);
    for line in ["CONNECT example.org:443", "OPTIONS *", "GET example.org:80"] {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
        let host = "Host: example.org\r\nConnection: close";
        write!(stream, "{line} HTTP/1.1\r\n{host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line}: {answer}");
        if !line.starts_with("GET") {
            assert!(answer.contains("content-security-policy: "), "{line}: {answer}");
        }
    }
    assert_eq!(served.visitor().get("/healthz").status, 200);
    let ran = served.stop("TERM");
    assert!(ran.code == 0 && !ran.stderr.contains("panicked"), "{ran:?}");
}

#[test]
fn every_route_refuses_requests_without_its_session() {
    let House { mut world, served, operator, first, second } = House::open();
    let house = House { world: World::bare(), served, operator, first, second };
    let everything = |_| true;
    house.is_shut_to("nobody", &house.served.visitor(), everything);
    let not_open = |access| access != Access::Open;
    let backwards = |value: &str| value.chars().rev().collect();
    for (who, session) in [("practitioner", &house.operator), ("patient", &house.first)] {
        house.is_shut_to(&format!("a forged {who}"), &copy_with(session, backwards), not_open);
        house.is_shut_to(&format!("a garbled {who}"), &copy_with(session, |_| "'%00--".to_owned()), not_open);
    }
    house.is_shut_to("a patient", &house.first, |access| {
        is_for_accounts(access) || access == Access::ApiClient
    });
    house.is_shut_to("a practitioner", &house.operator, |access| {
        matches!(access, Access::Patient | Access::ApiClient)
    });
    for (visitor, own, other) in [(&house.first, FIRST, SECOND), (&house.second, SECOND, FIRST)] {
        let is_page = |(method, _, access): &(Method, &str, Access)| {
            *method == Method::GET && *access == Access::Patient
        };
        for (number, (_, path, _)) in table().into_iter().filter(is_page).enumerate() {
            for query in ["", "?patient=1", "?patient=2", "?id=1&patient_id=2"] {
                let path = format!("{path}{query}");
                let answer = send_from_new_address(visitor, number, &Method::GET, &path, &[], &[]);
                assert!(answer.status != 401, "{path}: {}", answer.status);
                tells_nothing_of(other, &path, &answer);
                if path.contains("/data.") {
                    assert!(
                        answer.body.contains(own[1]),
                        "{path} must show the patient's own data: {}",
                        answer.body
                    );
                }
            }
        }
    }
    for (number, patient, own, other) in [(0, 1, FIRST, SECOND), (1, 2, SECOND, FIRST)] {
        let is_page = |(method, pattern, _): &(Method, &str, Access)| {
            *method == Method::GET && pattern.contains("{patient}")
        };
        for (_, pattern, _) in table().into_iter().filter(is_page) {
            let path = path_of(pattern, patient);
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
    let served = Served::on(&world, port, PROXY);
    let house = House { world, served, operator, first, second };
    house.is_shut_to("a session of last month", &house.operator, not_open);
    house.is_shut_to("a patient of last month", &house.first, not_open);
}

#[test]
fn every_answer_has_its_security_headers_errors_too() {
    let house = House::open();
    let (operator, stranger) = (&house.operator, house.served.visitor());
    let pages = table().into_iter().filter(|(method, ..)| *method == Method::GET);
    for (number, (_, pattern, access)) in pages.enumerate() {
        let path = path_of(pattern, 1);
        if is_for_accounts(access) {
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
    for (visitor, path) in [
        (operator, "/admin/studies/new"),
        (&house.first, "/clients/ow/grant"),
        (&stranger, "/clients/ow/agree"),
    ] {
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
    // A mail program stops reminders with only the token in the address (RFC 8058).
    let has_form = |(method, pattern, access): &(Method, &str, Access)| {
        let is_form = !matches!(access, Access::ApiClient | Access::StudyReader | Access::OwSignature)
            && *pattern != "/ow/reminders";
        *method == Method::POST && is_form
    };
    for (_, pattern, access) in table().into_iter().filter(has_form) {
        let (visitor, own) =
            if access == Access::Patient { (&house.first, &patient) } else { (&house.operator, &staff) };
        let path = path_of(pattern, 1);
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
    for (number, (method, pattern, access)) in table().into_iter().enumerate() {
        let is_theirs =
            is_for_accounts(access) && (pattern.contains("{patient}") || pattern.contains("{study}"));
        let path = path_of(pattern, 2);
        let expected = if matches!(access, Access::Operator | Access::Confirmed(Role::Operator)) {
            403
        } else if is_theirs {
            404
        } else {
            if method == Method::GET {
                let answer = send_from_new_address(&mary, number, &method, &path, &[], &[]);
                assert!(!answer.body.contains("40002"), "{path}");
            }
            continue;
        };
        let answer = send_from_new_address(&mary, number, &method, &path, &[], &[("form_token", &token)]);
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.body);
        assert!(!answer.body.contains("40002"), "{method} {path}");
    }
}
