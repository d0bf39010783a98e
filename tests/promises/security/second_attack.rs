//! Regression tests for the findings of a security review.

use std::sync::{Arc, OnceLock};

use jhe_ow::model::catalog::code::STEP_COUNT;
use jhe_ow::simulator::samples_table::Row;

use crate::support::authenticator;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Creates a study that asks for steps; returns its number.
fn make_step_study(operator: &Visitor, name: &str) -> String {
    let fields = [
        ("name", name),
        ("organization", "Lifespan Lab"),
        ("purpose", "Steps"),
        ("contact", "Ada"),
        ("scope", STEP_COUNT),
    ];
    let made = operator.submit("/admin/studies/new", "/admin/studies/new", &fields);
    made.location().strip_prefix("/admin/studies/").unwrap_or_else(|| panic!("{}", made.body)).to_owned()
}

#[test]
fn staff_of_a_study_see_nothing_that_a_shared_patient_gave_to_another() {
    let world = World::new();
    let user = world.sim.add_user();
    assert_eq!(world.run(&["patient", "add", "--name", "Shared", "--ow-user", &user]).code, 0);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    make_study(&operator, "Hearts");
    make_step_study(&operator, "Walkers-Canary");
    let fields = [("name", "Shared"), ("tz", "UTC"), ("study", "1"), ("study", "2")];
    assert_eq!(operator.submit("/admin/patients/1/edit", "/admin/patients/1/edit", &fields).status, 303);
    let (patient, link) = (served.visitor(), invite(&operator, "1"));
    let (hearts, steps) = (format!("1:{HEART_RATE}"), format!("2:{STEP_COUNT}"));
    let fields = [("scope", hearts.as_str()), ("scope", &steps), ("answer", "agree")];
    assert_eq!(patient.submit(&link, "/clients/ow/agree", &fields).status, 303);
    let hour_ago = world.now.minus(HOUR);
    world.sim.put(&user, hour_ago, 61.0);
    world
        .sim
        .put_row(&user, Row::of("steps", world.now.minus(FIVE_MINUTES), 4321.0).with_device("Walk-Canary"));
    world.sim.put_row(&user, Row::of("steps", hour_ago, -7.0).with_device("Rejected-Canary"));
    world.poll();
    let lists = ["/admin/patients", "/admin/rejected", "/admin/rejected?patient=1", "/admin/audit?patient=1"];
    let pages = ["", "/charts", "/charts/steps", "/charts/heart_rate", "/observations"];
    let pages = pages.map(|page| format!("/admin/patients/1{page}"));
    let pages: Vec<&str> = pages.iter().map(String::as_str).chain(lists).collect();
    let others =
        ["Walkers-Canary", "4321", "4,321", "Walk-Canary", "Rejected-Canary", STEP_COUNT, "Step", "study 2"];
    let shown = |visitor: &Visitor| -> String { pages.iter().map(|page| visitor.get(page).body).collect() };
    let all = shown(&operator);
    for other in ["Walkers-Canary", "Walk-Canary", "Rejected-Canary", STEP_COUNT, "study 2"] {
        assert!(all.contains(other), "the operator sees {other}");
    }
    let sign_in = |name: &str, study: &str, role: &str| {
        assert_eq!(world.run(&["admin", "add", name, "--study", study, "--role", role]).code, 0);
        set_password(&world, name, PASSWORD);
        let visitor = served.visitor();
        assert_eq!(visitor.sign_in(name, PASSWORD).status, 303);
        visitor
    };
    for role in ["viewer", "coordinator", "data-manager"] {
        let visitor = sign_in(role, "Hearts", role);
        for page in &pages {
            let body = visitor.get(page).body;
            for other in others {
                assert!(!body.contains(other), "{role}: {page} shows {other}: {body}");
            }
        }
        assert_eq!(visitor.get("/admin/patients/1/charts/steps").status, 404);
        let own = shown(&visitor);
        assert!(
            own.contains(HEART_RATE) && own.contains("61\u{a0}bpm") && own.contains("Samples in 24\u{a0}h"),
            "{own}"
        );
        assert_eq!(own.contains("consent.grant"), role != "viewer", "{role}: {own}");
    }
    // A larger request in one's own study does not include data shared with another study.
    let coordinator = sign_in("other", "Hearts", "coordinator");
    let fields = [
        ("name", "Hearts"),
        ("organization", "L"),
        ("purpose", "p"),
        ("contact", "c"),
        ("scope", HEART_RATE),
        ("scope", STEP_COUNT),
    ];
    let settings = "/admin/studies/1/settings";
    assert_eq!(coordinator.submit(settings, settings, &fields).status, 303);
    assert!(!shown(&coordinator).contains("Walk-Canary"));
}

#[test]
fn a_withdrawal_while_ow_connects_the_device_disconnects_it() {
    let world = World::new();
    let served = Served::start(&world);
    world.sim.set_api_base(&served.url());
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let id = make_patient(&operator, "P-1", &study);
    let patient = Arc::new(served.visitor());
    assert_eq!(agree(&patient, &invite(&operator, &id), &study).status, 303);
    let buttons = provider_buttons(&patient);
    let withdrawn = Arc::new(OnceLock::new());
    let (other, told) = (Arc::clone(&patient), Arc::clone(&withdrawn));
    // The withdrawal happens while OW handles the callback.
    world.sim.on_page(move |_, _| {
        let sent = other.submit("/clients/ow/manage", "/clients/ow/withdraw", &[("sure", "yes")]);
        let _ = told.set(sent.location().to_owned());
    });
    let back = patient.get(&buttons["agree"]);
    assert!(
        withdrawn.get().is_some_and(|to| to.starts_with("/clients/ow/manage?done=withdrawn")),
        "{withdrawn:?}"
    );
    let page = patient.get(back.location()).body;
    assert!(page.contains("it was disconnected again"), "{} {page}", back.location());
    assert_eq!(world.sim.connected("oura").len(), 0);
    let audit = world.run(&["audit", "list"]).stdout;
    assert_eq!(audit.matches("consent.withdraw").count(), 1, "{audit}");
    assert!(audit.contains("device.disconnect") && !audit.contains("device.connected"), "{audit}");
    // OW names a different callback address: the browser is not redirected.
    assert_eq!(agree(&patient, &invite(&operator, &id), &study).status, 303);
    for base in ["https://evil.example.org", "https://ow.example.org/&state=other"] {
        world.sim.set_api_base(base);
        let refused = patient.get("/clients/ow/leave?provider=oura");
        assert_eq!(refused.status, 502, "{}", refused.body);
        assert!(
            refused.body.contains("gave a wrong answer")
                && !refused.body.contains("evil.")
                && !refused.body.contains("state=")
        );
    }
}

#[test]
fn forms_take_offered_values_only_and_say_no_more_than_was_done() {
    let world = World::new();
    let served = authenticator::serve(&world, &[]);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let id = make_patient(&operator, "P-1", &study);
    let page = format!("/admin/patients/{id}");
    let token = |days| {
        operator.submit(&page, &format!("{page}/api-token"), &[("label", "App"), ("days", days)]).status
    };
    for days in ["0", "-5", "99999999999999999999", "91", "x"] {
        assert_eq!(token(days), 400, "{days}");
    }
    assert_eq!((token("90"), token("")), (200, 200));

    let action = format!("{page}/invite");
    let hidden = operator.get(&page).hidden(&action);
    let chosen = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
    let mut fields: Vec<(&str, &str)> =
        hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.extend([("study", study.as_str()), ("token", chosen)]);
    let (first, again) = (operator.post(&action, &fields).secret(), operator.post(&action, &fields).secret());
    assert_eq!(first, again, "a form sent twice makes one link");
    let sent = fields.iter().filter(|(name, _)| *name != "form_token" && *name != "study");
    for (name, value) in sent {
        assert!(!first.contains(value), "the client chooses no part of the link: {name}");
    }

    let patient = served.visitor();
    assert_eq!(agree(&patient, &first, &study).status, 303);
    let manage = "/clients/ow/manage";
    for zone in ["../../etc/passwd", "+99:99", ""] {
        let answer = patient.submit(manage, "/clients/ow/time-zone", &[("tz", zone)]);
        assert_eq!((answer.status, answer.body.contains("Nothing was saved")), (400, true), "{zone}");
    }
    let form_token = patient.get(manage).hidden("/clients/ow/time-zone")[0].1.clone();
    for (study, scope) in [("99", HEART_RATE), ("1", "omh:none:1.0"), ("", HEART_RATE)] {
        let fields =
            [("form_token", form_token.as_str()), ("study", study), ("scope", scope), ("sure", "yes")];
        let answer = patient.post("/clients/ow/withdraw", &fields);
        assert_eq!(
            (answer.status, answer.body.contains("Nothing was changed")),
            (400, true),
            "{study} {scope}"
        );
    }

    let data = format!("/admin/studies/{study}/data");
    assert_eq!(operator.submit(&data, &data, &[("format", "../../x")]).status, 400);
    let settings = format!("/admin/studies/{study}/settings");
    let save = |purpose: &str, name: &str, source: &str| {
        let fields = [
            ("name", name),
            ("organization", "Lab"),
            ("purpose", purpose),
            ("contact", "Ada\u{202e}"),
            ("scope", HEART_RATE),
            ("source", source),
        ];
        operator.submit(&settings, &settings, &fields)
    };
    for (purpose, source) in [("a\0b", "Oura"), ("\u{1b}[2J", "Oura"), ("Why", "Nothing")] {
        assert_eq!(save(purpose, "Sleep", source).status, 400, "{purpose:?} {source}");
    }
    assert_eq!(save("One\r\ntwo \u{202e}", "<img src=x> [a](b)\u{202e}", "Oura").status, 303);
    let terms = operator.get(&settings).body;
    assert!(terms.contains("One\ntwo</textarea>") && !terms.contains('\u{202e}'), "{terms}");
    let out = world.data_dir().join("set");
    assert_eq!(world.run(&["dataset", "--study", &study, "--out", out.to_str().unwrap()]).code, 0);
    let readme = std::fs::read_to_string(out.join("README.md")).unwrap();
    assert!(readme.starts_with("# \\<img src=x\\> \\[a\\](b)\n"), "{readme}");

    let form_token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let headers = [("Sec-Fetch-Site", "cross-site")];
    let fields = [("form_token", form_token.as_str()), ("study", study.as_str())];
    let forged = operator.send(reqwest::Method::POST, &action, &headers, Some(&fields));
    assert_eq!(forged.status, 403, "a request without an Origin header is refused too");
    for address in ["http://169.254.169.254/", "http://[fe80::1]:9000", "http://2852039166"] {
        let fields = [("form_token", form_token.as_str()), ("key", "ow.s3.endpoint_url"), ("value", address)];
        let set = operator.post("/admin/settings", &fields);
        assert!(set.status == 400 && set.body.contains("link-local"), "{address}: {}", set.body);
    }
    let app = authenticator::Authenticator::scan(&operator.get(authenticator::SET_UP));
    let code = app.code(world.now);
    let secret = app.secret();
    let fields = [("form_token", form_token.as_str()), ("secret", &secret), ("code", &code)];
    let refused = operator.post(authenticator::SET_UP, &fields);
    assert!(refused.status == 400 && refused.body.contains("Begin again"), "{}", refused.body);

    let accounts = operator.get("/admin/accounts").body;
    assert!(accounts.contains("2 API tokens made by this account"), "{accounts}");
    let revoke = [("action", "revoke-tokens")];
    assert_eq!(operator.submit("/admin/accounts", "/admin/accounts/1", &revoke).status, 303);
    assert!(!operator.get("/admin/accounts").body.contains("made by this account"));
    assert_eq!(operator.get(&page).body.matches(", revoked ").count(), 2);
}

#[test]
fn a_name_of_a_megabyte_is_rejected_with_a_reason() {
    let world = World::new();
    let (user, patient) = world.patient();
    let long = Row::of("heart_rate", world.now.minus(HOUR), 61.0).with_device(&"x".repeat(1_000_000));
    world.sim.put_row(&user, long);
    world
        .sim
        .put_row(&user, Row::of("heart_rate", world.now.minus(FIVE_MINUTES), 62.0).with_device("Ring 4"));
    world.poll();
    assert_eq!(world.kept(&patient), [(world.now.minus(FIVE_MINUTES), 62.0)]);
    let rejected = world.rejected().concat();
    assert!(rejected.contains("its device is longer than 200 characters") && rejected.len() < 10_000);
}
