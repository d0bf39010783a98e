//! The requests that real clients make, as they were recorded: `jupyterhealth-client` 0.5.0, `fhir-pyrate` 0.2.6, `fhirclient`
//! 4.4.0, `fhirpy` 2.3.1 and `smart-fetch` 1.0.3. `tests/clients` runs the clients themselves.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jhe_ow::web::routes::{Access, table};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::notebook::*;
use crate::support::running_daemon::*;

/// The `Accept` of each client, and its requests.
const RECORDED: &[(&str, Option<&str>, &[&str])] = &[
    (
        "jupyterhealth-client",
        None,
        &[
            "/api/v1/users/profile",
            "/api/v1/organizations",
            "/api/v1/organizations/1",
            "/api/v1/studies",
            "/api/v1/studies?organization_id=1",
            "/api/v1/studies/1",
            "/api/v1/patients?study_id=1",
            "/api/v1/patients?organization_id=1&study_id=1",
            "/api/v1/patients/1",
            "/api/v1/patients/1/consents",
            "/api/v1/patients/global_lookup?email=p1%40example.edu",
            "/api/v1/data_sources",
            "/FHIR/R5/metadata",
            "/FHIR/R5/Patient?_count=1000",
            "/FHIR/R5/Patient/1",
            "/FHIR/R5/Observation?patient._has%3AGroup%3Amember%3A_id=1&patient=1&code=https%3A%2F%2Fw3id.org%2Fopenmhealth%7Comh%3Aheart-rate%3A2.0&_count=1000",
            "/FHIR/R5/Observation?_source%3Abelow=https%3A%2F%2Fjupyterhealth.org%2Ffhir%2Ffhir-source%2F&_count=1000",
        ],
    ),
    (
        "fhir-pyrate",
        Some("*/*"),
        &[
            "/FHIR/R5/Observation?_count=1000&patient._has:Group:member:_id=1",
            "/FHIR/R5/Observation?_count=1000&_sort=_id&patient._has:Group:member:_id=1",
            "/FHIR/R5/Observation?_count=1000&_sort=_id&patient._has:Group:member:_id=1&date=ge1900-01-01T00:00&date=lt2100-01-01T00:00",
            "/FHIR/R5/Observation?_count=1000&patient._has:Group:member:_id=1&patient=Patient/2",
        ],
    ),
    (
        "fhirclient",
        Some("application/fhir+json"),
        &[
            "/FHIR/R4/metadata",
            "/FHIR/R4/Patient",
            "/FHIR/R4/Device",
            "/FHIR/R4/Group",
            "/FHIR/R4/Observation?patient._has:Group:member:_id=1&_count=1000",
        ],
    ),
    (
        "fhirpy",
        Some("application/fhir+json"),
        &[
            "/FHIR/R5/Observation?patient._has:Group:member:_id=1&_count=1000",
            "/FHIR/R5/Observation?patient._has:Group:member:_id=1&_count=0&_totalMethod=count",
            "/FHIR/R5/Observation?patient._has:Group:member:_id=1&_sort=_id&_count=1",
            "/FHIR/R5/Patient/2",
        ],
    ),
    (
        "smart-fetch",
        Some("application/json"),
        &[
            "/FHIR/R4/metadata",
            "/FHIR/R4/Observation?patient=1",
            "/FHIR/R4/Observation?patient=2&_lastUpdated=gt2025-01-01T00:00:00%2B00:00",
            "/FHIR/R4/Observation?patient=1&category=social-history,vital-signs,imaging,laboratory,survey,exam,procedure,therapy,activity",
            "/FHIR/R4/Device?patient=1",
            "/FHIR/R4/Patient?_id=1",
            "/FHIR/R4/Patient?identifier=ow:study:1:participant|P001",
        ],
    ),
];

#[test]
fn the_requests_of_real_clients_are_answered() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &["--with-names"]);
    for (client, accept, paths) in RECORDED {
        for path in *paths {
            let headers: Vec<_> = accept.iter().map(|accept| ("Accept", *accept)).collect();
            let answer = notebook.send(Method::GET, path, &headers);
            assert_eq!(answer.status, 200, "{client}: {path}: {}", answer.body);
            let body = answer.json();
            if body["resourceType"] == "Bundle" {
                // The clients compare the address, and follow no other.
                let own = link(&body, "self").unwrap();
                assert!(
                    own.starts_with(&format!("{}{}", served.url(), path.split('?').next().unwrap())),
                    "{own}"
                );
            }
        }
    }
    let count = notebook.json("/FHIR/R5/Observation?_count=0&_totalMethod=count");
    assert_eq!(count["total"], 48);
}

#[test]
fn a_client_that_knows_the_host_by_another_name_gets_links_to_that_name() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let local = served.url().replace("127.0.0.1", "localhost");
    let host = local.trim_start_matches("http://");
    let answer = notebook.send(Method::GET, "/FHIR/R5/Observation?_count=1", &[("Host", host)]);
    assert!(link(&answer.json(), "next").unwrap().starts_with(&local), "{}", answer.body);
    let list = notebook.send(Method::GET, "/api/v1/patients?page_size=1", &[("Host", host)]).json();
    assert!(list["next"].as_str().unwrap().starts_with(&local), "{list}");
}

/// Compares the keys of an object and of the objects in it with those of JHE's recorded answer. An empty list of either
/// is not compared.
fn has_the_fields_of(ours: &Value, jhe: &Value, path: &str) {
    match (ours, jhe) {
        (Value::Object(ours), Value::Object(jhe)) => {
            let keys =
                |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(ours), keys(jhe), "{path}");
            for (key, value) in ours {
                has_the_fields_of(value, &jhe[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(jhe)) => {
            if let (Some(ours), Some(jhe)) = (ours.first(), jhe.first()) {
                has_the_fields_of(ours, jhe, &format!("{path}[0]"));
            }
        }
        _ => {}
    }
}

fn captured(name: &str) -> Value {
    let path = format!("{}/tests/captures/jhe/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn answers_have_the_fields_of_jhe() {
    let (world, _) = study_world();
    world.consent_to("1", STEPS, "--withdraw");
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &["--with-names"]);
    for (path, name) in [
        ("/api/v1/users/profile", "profile.json"),
        ("/api/v1/patients", "patients.json"),
        ("/api/v1/patients/1", "patient.json"),
        ("/api/v1/patients/1/consents", "consents.json"),
        ("/api/v1/studies", "studies.json"),
        ("/api/v1/studies/1", "study.json"),
        ("/api/v1/organizations", "organizations.json"),
        ("/api/v1/organizations/1", "organization.json"),
        ("/api/v1/data_sources", "data-sources.json"),
    ] {
        has_the_fields_of(&notebook.json(path), &captured(name), path);
    }
    let ours = &resources(&notebook.json("/FHIR/R5/Observation?_count=1"))[0];
    has_the_fields_of(ours, &captured("observation.json"), "Observation");
}

#[test]
fn an_observation_carries_the_document_that_jhe_would_get() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let found = notebook.crawl("/FHIR/R5/Observation?patient=1");
    let mut documents: Vec<Value> = found
        .iter()
        .map(|one| {
            let data = STANDARD.decode(one["valueAttachment"]["data"].as_str().unwrap()).unwrap();
            serde_json::from_slice(&data).unwrap()
        })
        .collect();
    documents.reverse();
    assert_eq!(documents, world.documents("1"));
}

#[test]
fn patients_are_listed_page_by_page() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let first = notebook.json("/api/v1/patients?page_size=1");
    assert_eq!((&first["count"], &first["results"][0]["id"]), (&2.into(), &1.into()));
    let second = notebook.json(first["next"].as_str().unwrap());
    assert_eq!((&second["next"], &second["results"][0]["id"]), (&Value::Null, &2.into()));
    assert_eq!(notebook.json("/api/v1/patients?study_id=2")["results"], json!([]));
    for bad in ["cursor=x", "page=2"] {
        let answer = notebook.get(&format!("/api/v1/patients?{bad}"));
        assert!(answer.status == 404 && answer.body.contains("Invalid page"), "{answer:?}");
    }
    for bad in ["page_size=x", "page_size=-1", "study_id=x"] {
        let answer = notebook.get(&format!("/api/v1/patients?{bad}"));
        let name = bad.split('=').next().unwrap();
        assert!(
            answer.status == 400 && answer.json()["detail"].as_str().unwrap().contains(name),
            "{answer:?}"
        );
    }
}

#[test]
fn the_openapi_description_lists_every_route_of_the_api() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let description = served.visitor().get("/api/v1/openapi.json").json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."), "{description}");
    for (method, pattern, access) in table() {
        // A browser that returns from a provider is no client of the API.
        if !pattern.starts_with("/api/v1/") || pattern.ends_with("/callback") {
            continue;
        }
        let operation = &description["paths"][pattern][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{method} {pattern} is not described");
        let is_open = operation["security"] == json!([{}]);
        assert_eq!(is_open, access == Access::Open, "{method} {pattern}: {}", operation["security"]);
    }
}
