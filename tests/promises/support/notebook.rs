//! A program that reads a study with a token, and a world with something to read.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::dataset::tables::study_of;
use crate::support::harness::*;
use crate::support::running_daemon::*;

pub const STEPS: &str = "omh:step-count:3.0";

/// A client of the API with one token.
pub struct Notebook {
    pub visitor: Visitor,
    pub token: String,
}

impl Notebook {
    /// Makes a token for study 1 on the command line.
    pub fn new(world: &World, served: &Served, options: &[&str]) -> Self {
        let made = world.run(&[&["token", "add", "--study", "1"], options].concat());
        assert_eq!(made.code, 0, "{made:?}");
        Self::with_token(served, made.stdout.trim())
    }

    pub fn with_token(served: &Served, token: &str) -> Self {
        Self { visitor: served.visitor(), token: token.to_owned() }
    }

    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [&[("Authorization", bearer.as_str())], headers].concat();
        self.visitor.send(method, path, &headers, None)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[])
    }

    /// Returns the JSON of an answer that must succeed.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Returns the diagnostics of an answer that must fail with this status.
    pub fn refusal(&self, status: u16, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let outcome = answer.json();
        assert_eq!(outcome["resourceType"], "OperationOutcome", "{path}");
        outcome["issue"][0]["diagnostics"].as_str().unwrap().to_owned()
    }

    /// Follows the pages of a search and returns their resources.
    pub fn crawl(&self, path: &str) -> Vec<Value> {
        let (mut next, mut found) = (Some(path.to_owned()), Vec::new());
        while let Some(path) = next {
            let page = self.json(&path);
            found.extend(resources(&page));
            next = link(&page, "next");
        }
        let ids: BTreeSet<&str> = found.iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), found.len(), "no resource comes twice");
        found
    }
}

pub fn resources(page: &Value) -> Vec<Value> {
    page["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone()).collect()
}

pub fn link(page: &Value, relation: &str) -> Option<String> {
    let links = page["link"].as_array().unwrap();
    let found = links.iter().find(|link| link["relation"] == relation)?;
    Some(found["url"].as_str().unwrap().to_owned())
}

/// Returns the identifiers of observations.
pub fn identifiers(found: &[Value]) -> BTreeSet<String> {
    found.iter().map(|one| one["identifier"][0]["value"].as_str().unwrap().to_owned()).collect()
}

/// Creates study 1 with patients 1 and 2, who share heart rates and steps, and two hours of data of each. Returns their OW
/// users.
pub fn study_world() -> (World, [String; 2]) {
    let mut world = World::new();
    let codes = [HEART_RATE, STEPS];
    let (first, one) = world.patient_of(&codes, "Europe/Berlin");
    let (second, two) = world.patient_of(&codes, "UTC");
    study_of(&world, &[&one, &two], &codes);
    world.pass(HOUR * 2);
    for user in [&first, &second] {
        world.sim.fill(user, world.now.minus(HOUR * 2), world.now, FIVE_MINUTES, 1);
    }
    world.created();
    (world, [first, second])
}

/// Returns the identifiers that `observations` prints for study 1.
pub fn expected(world: &World) -> BTreeSet<String> {
    let ran = world.run(&["observations", "--study", "1", "--format", "csv"]);
    let mut table = csv::Reader::from_reader(ran.stdout.as_bytes());
    let column = table.headers().unwrap().iter().position(|name| name == "identifier").unwrap();
    table.records().map(|record| record.unwrap()[column].to_owned()).collect()
}
