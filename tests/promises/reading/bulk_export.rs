//! Bulk export after SMART's Bulk Data Access 2.0.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use crate::support::doctor::sql;
use crate::support::harness::*;
use crate::support::notebook::*;
use crate::support::running_daemon::*;

const ASYNC: &[(&str, &str)] = &[("Prefer", "respond-async"), ("Accept", "application/fhir+json")];

/// Starts an export and returns the address of its status.
fn start(notebook: &Notebook, path: &str) -> String {
    let answer = notebook.send(Method::GET, path, ASYNC);
    assert_eq!(answer.status, 202, "{path}: {}", answer.body);
    answer.headers["content-location"].to_str().unwrap().to_owned()
}

fn manifest(notebook: &Notebook, status: &str) -> Value {
    let mut done = None;
    until("the export is finished", || {
        let answer = notebook.get(status);
        if answer.status == 202 {
            assert!(answer.headers.contains_key("retry-after") && answer.headers.contains_key("x-progress"));
        } else {
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(answer.headers.contains_key("expires"));
            done = Some(answer.json());
        }
        done.is_some()
    });
    done.unwrap()
}

/// Reads the files of a manifest: resources by type.
fn files(notebook: &Notebook, manifest: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::<String, Vec<Value>>::new();
    for file in manifest["output"].as_array().unwrap() {
        let answer = notebook.get(file["url"].as_str().unwrap());
        assert_eq!(answer.headers["content-type"], "application/fhir+ndjson");
        let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(file["count"], lines.len());
        let kind = file["type"].as_str().unwrap();
        assert!(lines.iter().all(|line| line["resourceType"] == kind));
        found.entry(kind.to_owned()).or_default().extend(lines);
    }
    found
}

#[test]
fn an_export_has_the_resources_of_the_study_and_is_deleted_on_request() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    for path in ["/FHIR/R4/Group/1/$export", "/FHIR/R5/Patient/$export", "/FHIR/R5/vitals/$export"] {
        let status = start(&notebook, path);
        let manifest = manifest(&notebook, &status);
        assert_eq!(manifest["transactionTime"], "2026-11-21T14:00:00Z");
        assert_eq!(
            (&manifest["requiresAccessToken"], &manifest["error"]),
            (&true.into(), &serde_json::json!([]))
        );
        assert!(manifest["request"].as_str().unwrap().ends_with(path), "{manifest}");
        let found = files(&notebook, &manifest);
        assert_eq!(identifiers(&found["Observation"]), expected(&world), "{path}");
        assert_eq!((found["Patient"].len(), found["Group"].len()), (2, 1));
        let file = manifest["output"][0]["url"].as_str().unwrap();
        assert_eq!(notebook.visitor.get(file).status, 401, "files need the token");
        let other = Notebook::new(&world, &served, &[]);
        assert_eq!(other.get(file).status, 404, "and it is the token that started the export");
        assert_eq!(notebook.send(Method::DELETE, &status, &[]).status, 202);
        for gone in [status.as_str(), file] {
            notebook.refusal(404, gone);
        }
    }
    let left = names(&world.data_dir()).into_iter().filter(|name| name.starts_with(".jhe-ow-dataset-"));
    assert_eq!(left.count(), 0, "no file is left");
}

#[test]
fn types_and_times_narrow_an_export() {
    let (mut world, [user, _]) = study_world();
    world.pass(HOUR * 2);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 77.0);
    assert_eq!(world.created(), 1);
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let export = |query: &str| {
        let status = start(&notebook, &format!("/FHIR/R4/Group/1/$export?{query}"));
        let found = files(&notebook, &manifest(&notebook, &status));
        notebook.send(Method::DELETE, &status, &[]);
        found
    };
    assert_eq!(export("_type=Patient,Device").into_keys().collect::<Vec<_>>(), ["Device", "Patient"]);
    assert_eq!(export("_type=Patient&_type=Group").len(), 2, "a repeated parameter adds");
    let since = export("_type=Observation&_since=2026-11-21T15:00:00%2B00:00");
    assert_eq!(since["Observation"].len(), 1, "what arrived before is left out");
    let filter = "_type=Observation&_typeFilter=Observation%3Fcategory%3Dvital-signs%252Cactivity";
    assert_eq!(export(filter)["Observation"].len(), 49);
    assert!(export("_type=Observation&_typeFilter=Observation%3Fcategory%3Dexam").is_empty());
    for filter in ["_id%3D1", "_source%3Dhere", "_count%3D1"] {
        let path = format!("/FHIR/R4/$export?_typeFilter=Observation%3F{filter}");
        assert_eq!(notebook.send(Method::GET, &path, ASYNC).status, 400, "{filter}");
    }
    let stranger = "/FHIR/R4/$export?_typeFilter=Observation%3Fpatient%3D99";
    assert_eq!(notebook.send(Method::GET, stranger, ASYNC).status, 403);
    // Whoever changes a consent comes whole.
    world.consent_to("2", STEPS, "--withdraw");
    let since = export("_type=Observation&_since=2026-11-21T15:59:00Z");
    assert_eq!(since["Observation"].len(), 1 + 24);
    for (query, named) in [
        ("_type=Medication", "_type"),
        ("_since=yesterday", "_since"),
        ("_outputFormat=parquet", "_outputFormat"),
        ("_typeFilter=Patient%3Factive%3Dtrue", "_typeFilter"),
        ("nonsense=1", "nonsense"),
    ] {
        let answer = notebook.send(Method::GET, &format!("/FHIR/R4/$export?{query}"), ASYNC);
        assert!(answer.status == 400 && answer.body.contains(named), "{query}: {}", answer.body);
    }
    assert!(notebook.refusal(400, "/FHIR/R4/$export").contains("respond-async"));
    assert_eq!(notebook.send(Method::GET, "/FHIR/R4/Group/2/$export", ASYNC).status, 403);
}

#[test]
fn files_are_removed_after_a_withdrawal_and_after_a_day() {
    let (mut world, _) = study_world();
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &world.clock_in_a_file())]);
    let notebook = Notebook::new(&world, &served, &[]);
    let old = start(&notebook, "/FHIR/R4/$export");
    manifest(&notebook, &old);
    world.pass(DAY);
    world.clock_in_a_file();
    notebook.refusal(404, &old);

    let status = start(&notebook, "/FHIR/R4/$export");
    let files = manifest(&notebook, &status);
    let file = files["output"][0]["url"].as_str().unwrap();
    sql(&world, "UPDATE patients SET time_zone = 'Asia/Tokyo' WHERE id = 1");
    assert_eq!(notebook.get(file).status, 200, "a time zone is no consent");
    world.consent("1", "--withdraw");
    let file = files["output"][0]["url"].as_str().unwrap();
    assert!(notebook.refusal(410, file).contains("Start a new one"));
    notebook.refusal(404, &status);
    let status = start(&notebook, "/FHIR/R4/$export?_type=Observation");
    let found = self::files(&notebook, &manifest(&notebook, &status));
    let of: BTreeSet<&str> =
        found["Observation"].iter().map(|one| one["subject"]["reference"].as_str().unwrap()).collect();
    assert_eq!(of, BTreeSet::from(["Patient/2"]));
}

#[test]
fn a_token_keeps_a_few_exports_at_most() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let mut kept = Vec::new();
    for _ in 0..4 {
        let status = start(&notebook, "/FHIR/R4/$export?_type=Device");
        manifest(&notebook, &status);
        kept.push(status);
    }
    let refused = notebook.send(Method::GET, "/FHIR/R4/$export", ASYNC);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(notebook.send(Method::DELETE, &kept[0], &[]).status, 202);
    start(&notebook, "/FHIR/R4/$export");
}
