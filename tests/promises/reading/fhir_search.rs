//! FHIR search: parameters, pages, revisions and errors.

use std::collections::BTreeSet;

use jhe_ow::simulator::event::Event;
use jhe_ow::simulator::samples_table::Row;
use reqwest::Method;
use serde_json::{Value, json};

use crate::dataset::tables::study_of;
use crate::support::harness::*;
use crate::support::notebook::*;
use crate::support::running_daemon::*;

const BASES: [&str; 3] = ["/FHIR/R5", "/FHIR/R5/vitals", "/FHIR/R4"];

fn total(notebook: &Notebook, query: &str) -> u64 {
    notebook.json(&format!("/FHIR/R4/Observation?{query}&_summary=count"))["total"].as_u64().unwrap()
}

#[test]
fn the_pages_of_each_base_and_order_have_every_observation_once() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let expected = expected(&world);
    assert_eq!(expected.len(), 48);
    for base in BASES {
        for order in ["", "&_sort=date", "&_sort=-date", "&_sort=_id"] {
            for count in [1, 7, 1000] {
                let found = notebook.crawl(&format!("{base}/Observation?_count={count}{order}"));
                assert_eq!(identifiers(&found), expected, "{base} {order} {count}");
                let times: Vec<_> =
                    found.iter().map(|one| at(one["effectiveDateTime"].as_str().unwrap())).collect();
                assert!(order != "&_sort=date" || times.is_sorted(), "{times:?}");
                assert!(order != "&_sort=-date" || times.iter().rev().is_sorted(), "{times:?}");
            }
        }
    }
    let page = notebook.json("/FHIR/R5/Observation?_count=1000000");
    assert!(link(&page, "next").is_none() && page.get("total").is_none());
    let newest = notebook.json("/FHIR/R5/Observation?patient=2&_count=1");
    assert_eq!(resources(&newest)[0]["effectiveDateTime"], "2026-11-21T13:55:00Z", "the newest comes first");
}

#[test]
fn rows_that_arrive_meanwhile_move_no_page() {
    let (mut world, [user, _]) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    for order in ["", "&_sort=date", "&_sort=-date"] {
        let before = identifiers(&notebook.crawl("/FHIR/R5/Observation?_count=1000"));
        let first = notebook.json(&format!("/FHIR/R5/Observation?_count=10{order}"));
        // Before, after and between the rows that were read.
        world.pass(HOUR);
        for ago in [1, 61, 121, 250] {
            world.sim.put(&user, world.now.minus(std::time::Duration::from_secs(ago * 59)), 70.0);
        }
        assert!(world.created() > 0);
        let mut found = resources(&first);
        found.extend(notebook.crawl(&link(&first, "next").unwrap()));
        let ids: BTreeSet<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), found.len(), "{order}: no row comes twice");
        assert!(identifiers(&found).is_superset(&before), "{order}: no row is left out");
    }
}

#[test]
fn parameters_narrow_the_search() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    for (query, expected) in [
        ("", 48),
        ("patient=1", 24),
        ("patient=Patient/1,2", 48),
        ("subject=Patient/2", 24),
        ("patient._has:Group:member:_id=1", 48),
        ("patient._has%3AGroup%3Amember%3A_id=1&patient=1", 24),
        ("code=omh:heart-rate:2.0", 48),
        ("code=http://loinc.org|8867-4", 48),
        ("code=http://loinc.org%7C8867-4,9279-1", 48),
        ("code=9279-1", 0),
        ("category=vital-signs", 48),
        ("category=laboratory", 0),
        ("date=ge2026-11-21T13:00:00Z", 24),
        ("date=ge2026-11-21T13:00&date=lt2026-11-21T13:30", 12),
        ("date=2026-11-21", 48),
        ("date=ge2026&date=le9999-12-31", 48),
        ("patient:Patient=1", 24),
        ("patient=http://127.0.0.1/FHIR/R4/Patient/1", 24),
        ("date=gt2026-11-21", 0),
        ("_lastUpdated=ge2026-11-21T14:00:00Z", 48),
        ("_lastUpdated=gt2026-11-21T14:00:00Z", 0),
        ("_source=https://jupyterhealth.org/jhe", 48),
        ("_source:below=https://jupyterhealth.org/fhir/fhir-source/", 0),
        ("_format=json&_pretty=true&_total=accurate", 48),
    ] {
        assert_eq!(total(&notebook, query), expected, "{query}");
    }
    let all = notebook.json("/FHIR/R4/Observation?_total=accurate&_count=2");
    assert_eq!((&all["total"], resources(&all).len()), (&48.into(), 2));
    let ids: Vec<String> = resources(&all).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(total(&notebook, &format!("_id={0},none,{0}", ids.join(","))), 2, "an id counts once");
    assert_eq!(total(&notebook, &format!("_id={}&_id={}", ids[0], ids[1])), 0, "both have to match");
    let one_by_one = format!("/FHIR/R5/Observation?_id={}&_count=1", ids.join(","));
    assert_eq!(notebook.crawl(&one_by_one).len(), 2);
    let headers = [("Authorization", format!("Bearer {}", notebook.token))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let form: &[(&str, &str)] = &[("patient", "1"), ("_count", "3")];
    let posted = notebook.visitor.send(Method::POST, "/FHIR/R4/Observation/_search", &headers, Some(form));
    assert_eq!((posted.status, resources(&posted.json()).len()), (200, 3), "{}", posted.body);
    for (query, expected) in [
        ("", 2),
        ("_id=1", 1),
        ("identifier=P002", 1),
        ("identifier=ow:study:1:participant|P002", 1),
        ("identifier=another|P002", 0),
        ("_has:Group:member:_id=1", 2),
        ("patient._has:Group:member:_id=1&patient=2", 1),
        ("_lastUpdated=lt1969", 0),
    ] {
        for base in BASES {
            let page = notebook.json(&format!("{base}/Patient?{query}"));
            assert_eq!(
                (resources(&page).len(), &page["total"]),
                (expected, &json!(expected)),
                "{base} {query}"
            );
        }
    }
    assert_eq!(notebook.crawl("/FHIR/R4/Patient?_count=1").len(), 2);
    assert_eq!(notebook.crawl("/FHIR/R4/Device?patient=1&_count=1").len(), 1);
    assert_eq!(resources(&notebook.json("/FHIR/R5/Group"))[0]["quantity"], 2);
}

#[test]
fn each_delivered_revision_is_a_resource_as_at_jhe_and_elsewhere_one_resource_has_the_newest_value() {
    let (mut world, [user, _]) = study_world();
    let instant = world.now.minus(FIVE_MINUTES);
    for value in [77.0, 78.0] {
        world.pass(HOUR * 7);
        world.sim.put_row(&user, Row::heart_rate(instant, value));
        assert_eq!(world.poll().code, 0);
    }
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let at_instant = format!("Observation?patient=1&date={instant}");
    let as_at_jhe = resources(&notebook.json(&format!("/FHIR/R5/{at_instant}")));
    let statuses: Vec<&Value> = as_at_jhe.iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["final"; 3], "JHE answers so");
    let numbers: Vec<&str> = as_at_jhe
        .iter()
        .map(|one| {
            one["identifier"][0]["value"].as_str().unwrap().split_once('#').map_or("", |(_, number)| number)
        })
        .collect();
    assert_eq!(numbers, ["", "r1", "r2"]);
    let page = notebook.json(&format!("/FHIR/R5/{at_instant}&_count=2"));
    let rest = notebook.crawl(&link(&page, "next").unwrap());
    assert_eq!((resources(&page).len(), rest.len()), (2, 1), "a page may end between two revisions");
    for one in &as_at_jhe {
        let read = notebook.json(&format!("/FHIR/R5/Observation/{}", one["id"].as_str().unwrap()));
        assert_eq!(&read, one);
    }
    for base in ["/FHIR/R4", "/FHIR/R5/vitals"] {
        let found = resources(&notebook.json(&format!("{base}/{at_instant}")));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (&found[0]["status"], &found[0]["valueQuantity"]["value"]),
            (&"corrected".into(), &78.into())
        );
        assert_eq!(found[0]["meta"]["versionId"], "3");
    }
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_began() {
    let mut world = World::new();
    let codes = ["omh:sleep-episode:1.1"];
    let (user, patient) = world.patient_of(&codes, "UTC");
    study_of(&world, &[&patient], &codes);
    world.pass(DAY * 2);
    let bed = world.now.minus(DAY).midnight().plus(HOUR * 23);
    world.sim.put_event(&user, Event::night(bed, bed.plus(HOUR * 7), Vec::new()));
    assert_eq!(world.created(), 1);
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    assert_eq!(total(&notebook, "date=2026-11-22"), 1);
    assert_eq!(total(&notebook, "date=2026-11-23"), 0);
    let night = &resources(&notebook.json("/FHIR/R5/Observation?date=2026-11-22"))[0];
    let id = night["id"].as_str().unwrap();
    assert_eq!(&notebook.json(&format!("/FHIR/R5/Observation/{id}")), night);
}

#[test]
fn a_resource_has_an_etag_and_is_not_sent_again() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    let id = resources(&notebook.json("/FHIR/R4/Observation?_count=1"))[0]["id"].as_str().unwrap().to_owned();
    for path in [format!("/FHIR/R4/Observation/{id}"), "/FHIR/R5/Patient/1".into(), "/FHIR/R4/Group/1".into()]
    {
        let answer = notebook.get(&path);
        assert_eq!(answer.headers["content-type"], "application/fhir+json", "{path}");
        let etag = answer.headers["etag"].to_str().unwrap().to_owned();
        assert!(etag.starts_with("W/\""), "{path}: {etag}");
        let again = notebook.send(Method::GET, &path, &[("If-None-Match", &etag)]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(notebook.send(Method::GET, &path, &[("If-None-Match", "W/\"0\"")]).status, 200, "{path}");
    }
}

#[test]
fn bad_input_gets_an_outcome_that_names_it() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    for base in BASES {
        for (query, named) in [
            ("nonsense=1", "nonsense"),
            ("date=tomorrow", "date"),
            ("date=2026-02-31", "date"),
            ("code=a|b|c", "code"),
            ("patient=ada", "patient"),
            ("_cursor=stale", "_cursor"),
            ("_count=some", "_count"),
            ("_sort=value", "_sort"),
            ("_page=2", "_page"),
        ] {
            let text = notebook.refusal(400, &format!("{base}/Observation?{query}"));
            assert!(text.starts_with(named), "{query}: {text}");
        }
        assert!(notebook.refusal(400, &format!("{base}/Patient?email=a")).starts_with("email"));
        for path in
            ["Observation/none", "Observation/1-2", "Patient/99", "Patient/ada", "Device/99", "Medication"]
        {
            notebook.refusal(404, &format!("{base}/{path}"));
        }
        notebook.refusal(403, &format!("{base}/Observation?patient=99"));
        notebook.refusal(403, &format!("{base}/Patient?_has:Group:member:_id=2"));
    }
    let lenient = notebook.send(
        Method::GET,
        "/FHIR/R4/Observation?nonsense=1&_count=2",
        &[("Prefer", "handling=lenient")],
    );
    assert_eq!(lenient.status, 200);
    assert!(!lenient.body.contains("nonsense"), "the link shows what was used");
    assert_eq!(notebook.get("/FHIR/R4/Patient/1?_format=xml").status, 406);
    let html = notebook.send(Method::GET, "/FHIR/R4/Patient", &[("Accept", "text/html")]);
    assert_eq!(html.status, 406);
}

#[test]
fn the_capability_statement_lists_what_the_searches_accept() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    for (base, version) in BASES.iter().zip(["5.0.0", "5.0.0", "4.0.1"]) {
        let statement = served.visitor().get(&format!("{base}/metadata")).json();
        assert_eq!(statement["fhirVersion"], version);
        for resource in statement["rest"][0]["resource"].as_array().unwrap() {
            let kind = resource["type"].as_str().unwrap();
            assert_eq!(notebook.get(&format!("{base}/{kind}")).status, 200);
            for parameter in resource["searchParam"].as_array().unwrap() {
                let value = match parameter["type"].as_str().unwrap() {
                    "date" => "2026-11-21",
                    _ => "1",
                };
                let path = format!("{base}/{kind}?{}={value}", parameter["name"].as_str().unwrap());
                assert_eq!(notebook.get(&path).status, 200, "{path}");
            }
        }
    }
}
