//! Each route of a study's data refuses every other caller, and shows what consents allow at that moment.

use jhe_ow::web::routes::{Access, table};
use reqwest::Method;

use crate::dataset::tables::study_of;
use crate::security::access::path_of;
use crate::support::doctor::sql;
use crate::support::harness::*;
use crate::support::notebook::*;
use crate::support::running_daemon::*;

const PROXY: &[(&str, &str)] = &[("JHE_OW_TRUSTED_PROXIES", "127.0.0.1")];

/// Returns method and path of every route for readers, for patient 1 and study 1.
fn routes() -> Vec<(Method, String)> {
    let readers = table().into_iter().filter(|(.., access)| *access == Access::StudyReader);
    readers.map(|(method, pattern, _)| (method, path_of(pattern, 1))).collect()
}

#[test]
fn every_route_refuses_callers_without_a_valid_token_of_the_study() {
    let (mut world, _) = study_world();
    sql(
        &world,
        "INSERT INTO studies (id, name, organization, purpose, contact, created_at)
         VALUES (2, 'Another', 'Lab', 'Why', 'Ada', 0)",
    );
    let served = Served::with(&world, PROXY);
    let operator = served.operator(&world);
    let page = "/admin/patients/1";
    let label = [("label", "an app")];
    let of_patient = operator.submit(page, &format!("{page}/api-token"), &label).secret();
    let revoked = Notebook::new(&world, &served, &[]);
    assert_eq!(world.run(&["token", "revoke", "--study", "1", "2"]).code, 0);
    let expired = Notebook::new(&world, &served, &["--expires", "1h"]);
    served.stop("TERM");
    world.pass(HOUR);
    let served = Served::with(&world, PROXY);
    let operator = served.operator(&world);
    let other = world.run(&["token", "add", "--study", "2"]).stdout.trim().to_owned();
    let mut address = 0_u16;
    let mut refused = |who: &str, visitor: &Visitor, token: Option<&str>| {
        for (method, path) in routes() {
            address += 1;
            let from = format!("203.0.{}.{}", address / 200, address % 200 + 1);
            let bearer = token.map(|token| format!("Bearer {token}"));
            let mut headers = vec![("X-Forwarded-For", from.as_str())];
            headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
            let answer = visitor.send(method.clone(), &path, &headers, None);
            assert_eq!(answer.status, 401, "{who}: {method} {path}: {}", answer.body);
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{who}: {path}");
            let is_outcome = answer.body.contains("OperationOutcome");
            assert_eq!(is_outcome, path.starts_with("/FHIR/"), "{who}: {path}: {}", answer.body);
        }
    };
    let nobody = served.visitor();
    refused("nobody", &nobody, None);
    refused("a staff cookie", &operator, None);
    refused("a made-up token", &nobody, Some(&"x".repeat(43)));
    refused("an expired token", &nobody, Some(&expired.token));
    refused("a revoked token", &nobody, Some(&revoked.token));
    refused("a patient's token", &nobody, Some(&of_patient));
    // The token of another study reads that study, which has nobody.
    let other = Notebook::with_token(&served, &other);
    for (method, path) in
        routes().into_iter().filter(|(method, path)| *method == Method::GET && !path.contains('$'))
    {
        let answer = other.send(method, &path, &[]);
        assert!(
            !answer.body.contains("P001") && !answer.body.contains("Patient/1\""),
            "{path}: {}",
            answer.body
        );
        // Data sources are everybody's.
        if !path.contains("/Device/") && (path.ends_with("/1") || path.contains("/1/")) {
            assert!(matches!(answer.status, 403 | 404), "{path}: {}: {}", answer.status, answer.body);
        }
    }
    for path in ["/FHIR/R5/Observation?patient=1", "/FHIR/R4/Observation?patient._has:Group:member:_id=1"] {
        assert!(other.refusal(403, path).contains("does not read"), "{path}");
    }
    assert_eq!(other.get("/api/v1/studies/1").status, 403);
    // A token for reading acts for no patient.
    let reader = Notebook::new(&world, &served, &[]);
    assert_eq!(reader.send(Method::POST, "/api/v1/ow/users", &[]).status, 401);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = reader.send(method, "/FHIR/R5/Observation", &[]);
        assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
        assert!(answer.body.contains("OperationOutcome"), "{}", answer.body);
    }
}

#[test]
fn a_withdrawal_takes_effect_with_the_next_request() {
    let (mut world, [user, _]) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let of_first = "/FHIR/R4/Observation?patient=1";
    let id = resources(&notebook.json(of_first))[0]["id"].as_str().unwrap().to_owned();
    let one = format!("/FHIR/R4/Observation/{id}");
    assert_eq!(notebook.get(&one).status, 200);
    assert_eq!(notebook.json("/api/v1/patients")["count"], 2);

    world.consent("1", "--withdraw");
    assert_eq!(notebook.get(&one).status, 404, "one type is withdrawn");
    assert_eq!(resources(&notebook.json(of_first)), [] as [serde_json::Value; 0], "steps are still shared");
    world.consent_to("1", STEPS, "--withdraw");
    assert_eq!(notebook.json("/api/v1/patients")["count"], 1);
    for path in ["/api/v1/patients/1", "/api/v1/patients/1/consents", "/FHIR/R5/Patient/1", &one] {
        assert_eq!(notebook.get(path).status, 404, "{path}");
    }
    notebook.refusal(403, of_first);
    assert!(identifiers(&notebook.crawl("/FHIR/R4/Observation")).len() == 24, "the second patient's stay");

    // What is measured between the withdrawal and a new consent stays out.
    let port = served.port;
    served.stop("TERM");
    world.pass(HOUR);
    world.consent("1", "--grant");
    world.pass(HOUR);
    world.sim.fill(&user, world.now.minus(HOUR * 2), world.now, FIVE_MINUTES, 2);
    world.created();
    let served = Served::on(&world, port, &[]);
    let notebook = Notebook::with_token(&served, &notebook.token);
    let shown = notebook.crawl(of_first);
    let gap = |one: &serde_json::Value| {
        let measured = at(one["effectiveDateTime"].as_str().unwrap());
        (at("2026-11-21T14:00:00Z")..at("2026-11-21T15:00:00Z")).contains(&measured)
    };
    assert!(shown.len() > 24 && !shown.iter().any(gap), "{}", shown.len());
}

#[test]
fn nothing_of_an_erased_patient_is_shown() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let before = notebook.crawl("/FHIR/R5/Observation");
    assert_eq!(before.len(), 48);
    assert_eq!(world.run(&["patient", "erase", "1", "--yes", "--without-ow"]).code, 0);
    let after = notebook.crawl("/FHIR/R5/Observation");
    assert!(after.iter().all(|one| one["subject"]["reference"] == "Patient/2"));
    assert_eq!(after.len(), 24);
    for one in &before {
        let id = one["id"].as_str().unwrap();
        let expected = if one["subject"]["reference"] == "Patient/1" { 404 } else { 200 };
        assert_eq!(notebook.get(&format!("/FHIR/R5/Observation/{id}")).status, expected, "{id}");
    }
    assert_eq!(notebook.get("/FHIR/R5/Patient/1").status, 404);
    assert_eq!(notebook.json("/api/v1/patients")["count"], 1);
}

#[test]
fn a_study_shows_only_its_codes_and_data_sources() {
    let (world, _) = study_world();
    sql(&world, "DELETE FROM study_codes");
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    assert_eq!(notebook.json("/api/v1/patients")["count"], 0);
    study_of_sources(&world);
    assert_eq!(notebook.json("/FHIR/R5/Observation?_summary=count")["total"], 0, "another device");
    let sources = notebook.json("/api/v1/data_sources");
    assert_eq!((&sources["count"], &sources["results"][0]["name"]), (&1.into(), &"Garmin".into()));
}

/// Lets study 1 ask for heart rates of one device that nobody has.
fn study_of_sources(world: &World) {
    sql(world, &format!("INSERT INTO study_codes SELECT 1, id FROM codes WHERE code = '{HEART_RATE}'"));
    sql(world, "INSERT INTO study_data_sources SELECT 1, id FROM data_sources WHERE name = 'Garmin'");
}

#[test]
fn a_study_without_participants_is_empty_and_not_an_error() {
    let world = World::new();
    study_of(&world, &[], &[HEART_RATE]);
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let page = notebook.json("/FHIR/R5/Observation");
    assert_eq!(page["entry"], serde_json::json!([]), "JHE's client expects the list");
    assert!(notebook.json("/FHIR/R4/Observation").get("entry").is_none(), "FHIR has no empty lists");
}
