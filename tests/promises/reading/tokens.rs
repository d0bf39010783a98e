//! Tokens for reading a study: made by a person, limited in time, and revoked.

use crate::dataset::tables::study_of;
use crate::support::doctor::sql;
use crate::support::harness::*;
use crate::support::notebook::*;
use crate::support::running_daemon::*;

const OBSERVATIONS: &str = "/FHIR/R5/Observation";

#[test]
fn a_token_of_the_data_page_works_until_it_is_revoked_and_only_its_hash_is_stored() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let page = "/admin/studies/1/data";
    let fields = [("name", "Ada's notebook"), ("days", "90"), ("names", "")];
    let made = operator.submit(page, "/admin/studies/1/tokens", &fields);
    let notebook = Notebook::with_token(&served, &made.secret());
    assert_eq!(notebook.get(OBSERVATIONS).status, 200);
    let shown = operator.get(page).body;
    assert!(shown.contains("Ada&#39;s notebook") || shown.contains("Ada's notebook"), "{shown}");
    assert!(!shown.contains(&notebook.token));
    until("the last use is written", || {
        world.run(&["token", "list", "--study", "1"]).stdout.contains("last used 2026-11-21T14:00:00Z")
    });
    let database = std::fs::read(world.database()).unwrap();
    let token = notebook.token.as_bytes();
    assert!(!database.windows(token.len()).any(|bytes| bytes == token), "the token itself is stored nowhere");
    operator.submit(page, "/admin/studies/1/revoke-token", &[]);
    assert_eq!(notebook.get(OBSERVATIONS).status, 401);
    let audit = world.run(&["audit", "list"]).stdout;
    for action in ["read-token.make", "read-token.revoke", "study.read"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
}

#[test]
fn a_token_expires_and_the_list_says_so() {
    let (mut world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &["--expires", "2d", "--name", "a dashboard"]);
    assert_eq!(notebook.get(OBSERVATIONS).status, 200);
    let listed = world.run(&["token", "list", "--study", "1"]).stdout;
    assert!(listed.contains("a dashboard, expires 2026-11-23T14:00:00Z"), "{listed}");
    served.stop("TERM");
    world.pass(DAY * 2);
    let served = Served::start(&world);
    let notebook = Notebook::with_token(&served, &notebook.token);
    assert_eq!(notebook.get(OBSERVATIONS).status, 401);
    for bad in ["0d", "400d", "soon"] {
        assert_eq!(world.run(&["token", "add", "--study", "1", "--expires", bad]).code, 2, "{bad}");
    }
    assert_eq!(world.run(&["token", "revoke", "--study", "1", "99"]).code, 2);
}

#[test]
fn a_token_ends_with_the_role_of_the_account_that_made_it() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let link = world.run(&["admin", "add", "ada"]);
    assert_eq!(link.code, 0, "{link:?}");
    let role = |role: &[&str]| {
        let ran = world.run(&[&["admin", "role", "ada", "--study", "1"], role].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    role(&["--role", "data-manager"]);
    set_password(&world, "ada", PASSWORD);
    let ada = served.visitor();
    assert_eq!(ada.sign_in("ada", PASSWORD).status, 303);
    let fields = [("name", "hers"), ("days", "30")];
    let made = ada.submit("/admin/studies/1/data", "/admin/studies/1/tokens", &fields);
    let notebook = Notebook::with_token(&served, &made.secret());
    assert_eq!(notebook.get(OBSERVATIONS).status, 200);
    role(&["--role", "coordinator"]);
    assert_eq!(notebook.get(OBSERVATIONS).status, 401);
    role(&["--role", "data-manager"]);
    assert_eq!(notebook.get(OBSERVATIONS).status, 200);
    sql(&world, "UPDATE accounts SET disabled = 1 WHERE name = 'ada'");
    assert_eq!(notebook.get(OBSERVATIONS).status, 401);
}

#[test]
fn a_token_without_names_shows_study_numbers_alone() {
    let world = World::new();
    let user = world.sim.add_user();
    let add =
        [linked_patient("Rosalind Marker", &user).as_slice(), &["--email", "rosa@example.org"]].concat();
    let patient = world.run(&add).stdout.trim().to_owned();
    study_of(&world, &[&patient], &[HEART_RATE]);
    let served = Served::start(&world);
    let plain = Notebook::new(&world, &served, &[]);
    let named = Notebook::new(&world, &served, &["--with-names"]);
    let paths = [
        "/api/v1/patients",
        "/api/v1/patients/1",
        "/api/v1/patients/1/consents",
        "/FHIR/R5/Patient",
        "/FHIR/R4/Patient/1",
    ];
    for path in paths {
        let body = plain.get(path).body;
        assert!(
            body.contains("P001") && !body.contains("Rosalind") && !body.contains("rosa@"),
            "{path}: {body}"
        );
        let body = named.get(path).body;
        assert!(body.contains("Marker") && body.contains("rosa@example.org"), "{path}: {body}");
    }
    let look_up = "/api/v1/patients/global_lookup?email=ROSA@example.org";
    assert_eq!(plain.get(look_up).status, 403);
    assert_eq!(named.json(look_up)[0]["nameGiven"], "Rosalind");
    assert_eq!(named.json("/api/v1/patients/global_lookup?email=nobody@example.org"), serde_json::json!([]));
}

#[test]
fn reads_are_in_the_audit_with_study_and_counts() {
    let (world, _) = study_world();
    let served = Served::start(&world);
    let notebook = Notebook::new(&world, &served, &[]);
    for _ in 0..3 {
        notebook.json(&format!("{OBSERVATIONS}?_count=5"));
    }
    served.stop("TERM");
    let audit = world.run(&["audit", "list"]).stdout;
    for detail in
        ["study 1 token 1 Observation resources 5", "study 1 token 1 Observation repeated 2 resources 10"]
    {
        assert!(audit.contains(detail), "{detail}: {audit}");
    }
}
