//! Practitioners sign in through JHE and see the patients of their organizations only.

use std::time::Duration;

use crate::support::clinic::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

const MINUTE: Duration = Duration::from_mins(1);

fn post(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> Answer {
    let token = visitor.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    visitor.post(path, &[&[("form_token", token.as_str())], fields].concat())
}

#[test]
fn a_practitioner_signs_in_through_jhe_and_the_token_is_not_stored() {
    let clinic = Clinic::open();
    let visitor = clinic.served.visitor();
    let sent = visitor.get("/admin/patients/1");
    let page = visitor.get(sent.location());
    let link = between(&page.body, "href=\"/admin/jhe", "\"").expect("a link to the sign-in at JHE");
    assert_eq!(link, "?next=/admin/patients/1");
    let back = clinic.until_back(&visitor, MARY, &format!("/admin/jhe{link}"));
    let signed = visitor.get(&back);
    assert_eq!((signed.status, signed.location()), (303, "/admin/patients/1"), "{}", signed.body);
    assert!(!clinic.jhe.state().staff.has_tokens(), "the practitioner's token is revoked at JHE");
    let page = visitor.get("/admin/patients/1");
    assert!(
        page.status == 200 && page.body.contains("mary@example.com (data manager, through JHE)"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("/admin/password"), "the account page offers no password change");
    let password = visitor.get("/admin/password");
    assert_eq!((password.status, password.body.contains("changed there")), (403, true));
    let operator = clinic.served.operator(&clinic.world);
    let audit = operator.get("/admin/audit").body;
    assert!(audit.contains("sign-in") && audit.contains("<span>jhe</span>"), "{audit}");
    assert!(clinic.world.run(&["admin", "list"]).stdout.contains("through JHE"));
    post(&visitor, "/admin/sign-out", &[]);
    assert_eq!(visitor.get("/admin").status, 303);
}

#[test]
fn a_practitioner_confirms_at_jhe_and_the_form_is_kept_meanwhile() {
    let clinic = Clinic::open();
    let mary = clinic.practitioner(MARY);
    // Right after the sign-in: JHE may have recognised the browser and asked for no password.
    let sent = post(&mary, "/admin/studies/1/data", &[("format", "csv")]);
    assert_eq!(sent.location(), "/admin/confirm?next=%2Fadmin%2Fkept-form", "{}", sent.body);
    let page = mary.get(sent.location()).body;
    assert!(page.contains("Sign in with JHE again") && !page.contains("type=\"password\""), "{page}");
    let link = format!("/admin/jhe/again{}", between(&page, "href=\"/admin/jhe/again", "\"").unwrap());
    assert!(mary.get(&link).location().contains("prompt=login"), "JHE asks for the password");
    let back = clinic.until_back(&mary, MARY, &link);
    assert_eq!(mary.get(&back).location(), "/admin/kept-form");
    assert_eq!(mary.get("/admin/kept-form").heading(), "Send it now?");
    let answer = mary.submit("/admin/kept-form", "/admin/studies/1/data", &[]);
    assert_ne!(answer.status, 303, "the kept form continues to the download: {}", answer.body);
    let own = mary.get("/admin/account").body;
    assert!(own.contains("Where you are signed in") && !own.contains("/admin/password"), "{own}");
}

#[test]
fn signing_in_through_jhe_is_off_unless_configured() {
    let world = World::new();
    let served = Served::start(&world);
    let visitor = served.visitor();
    assert!(!visitor.get("/admin/sign-in").body.contains("JHE"));
    for path in ["/admin/jhe", "/admin/jhe/callback?code=x&state=y"] {
        assert_eq!(visitor.get(path).status, 404, "{path}");
    }
}

#[test]
fn a_patient_of_another_organization_looks_nonexistent() {
    let clinic = Clinic::open();
    let (mary, victor) = (clinic.practitioner(MARY), clinic.practitioner(VICTOR));
    let pages = [
        "/admin/patients/N",
        "/admin/patients/N?period=month",
        "/admin/patients/N/edit",
        "/admin/patients/N/observations",
        "/admin/patients/N/consents/00",
        "/admin/rejected?patient=N",
        "/admin/audit?patient=N",
    ];
    for path in pages {
        let of = |visitor: &Visitor, patient: &str| visitor.get(&path.replace('N', patient));
        let nobody = of(&mary, "999");
        assert_eq!(nobody.status, 404, "{path}");
        for hidden in ["2", "3"] {
            let answer = of(&mary, hidden);
            assert_eq!((answer.status, &answer.body), (404, &nobody.body), "{path} of {hidden}");
            // A viewer may not read audit entries or rejected samples of any patient.
            let refused = if path.contains("?patient") { 403 } else { 404 };
            assert_eq!(of(&victor, hidden).status, refused, "{path} of {hidden}");
        }
        // JHE patients agreed to no local consent text.
        let is_there = if path.contains("consents") { 404 } else { 200 };
        assert_eq!(of(&mary, "1").status, is_there, "{path}");
    }
    let actions: [(&str, &[(&str, &str)]); 10] = [
        ("edit", &[("name", "Changed"), ("tz", "UTC")]),
        ("poll", &[]),
        ("backfill", &[("days", "1")]),
        ("invite", &[]),
        ("revoke", &[]),
        ("api-token", &[("label", "x")]),
        ("revoke-api-token", &[("token", "1")]),
        ("retry-export", &[]),
        ("end-sessions", &[]),
        ("no-such-action", &[]),
    ];
    for (action, fields) in actions {
        let of = |visitor: &Visitor, patient: &str| {
            post(visitor, &format!("/admin/patients/{patient}/{action}"), fields)
        };
        let nobody = of(&mary, "999");
        assert_eq!(nobody.status, 404, "{action}");
        for hidden in ["2", "3"] {
            let answer = of(&mary, hidden);
            assert_eq!((answer.status, &answer.body), (404, &nobody.body), "{action} of {hidden}");
            assert_eq!(of(&victor, hidden).status, 404, "{action} of {hidden}");
        }
        let (hers, his) = (of(&mary, "1"), of(&victor, "1").status);
        let (status, to) = (hers.status, hers.location());
        assert_eq!(to.starts_with("/admin/confirm"), action == "api-token", "{action}: {status} {to}");
        assert_eq!(status == 404, action == "no-such-action", "{action}: {status}");
        // A path without a route is unknown to everyone.
        assert_eq!(his, if action == "no-such-action" { 404 } else { 403 }, "{action}");
    }
    let operator = clinic.served.operator(&clinic.world);
    for hidden in ["2", "3"] {
        let audit = operator.get(&format!("/admin/audit?patient={hidden}")).body;
        assert!(!audit.contains("account "), "no audit entry exists for {hidden}: {audit}");
    }
}

#[test]
fn lists_and_counts_cover_only_ones_own_organizations() {
    let clinic = Clinic::open();
    let (mary, operator) = (clinic.practitioner(MARY), clinic.served.operator(&clinic.world));
    // Creates an audit entry for each patient.
    for patient in ["1", "2", "3"] {
        operator.get(&format!("/admin/patients/{patient}"));
    }
    let (own, others) =
        ("P40001 Doe", ["P40002 Doe", ">3 A<", "/admin/patients/3", "Study of organization 2"]);
    for path in ["/admin/patients?search=Doe", "/admin/patients"] {
        let page = mary.get(path).body;
        assert!(page.contains(own), "{path}: {page}");
        for other in others {
            assert!(!page.contains(other), "{path} mentions {other}: {page}");
        }
        let all = operator.get(path).body;
        assert!(all.contains(own) && all.contains("P40002 Doe"), "{path}: the operator sees every patient");
    }
    assert!(
        mary.get("/admin/patients?search=2").body.contains("Show all"),
        "a search by number does not find foreign patients"
    );
    let home = mary.get("/admin").body;
    assert!(!home.contains("Doe") || home.contains(own), "{home}");
    assert!(!home.contains("Study of organization 2"), "{home}");
    assert_eq!(mary.get("/admin/system").status, 403);
    let studies = mary.get("/admin/studies").body;
    assert!(studies.contains("Lifespan") && !studies.contains("Study of organization 2"), "{studies}");
    assert!(!studies.contains("Add a study"));
    let study = mary.get("/admin/studies/1/settings");
    assert!(
        study.status == 200
            && !study.body.contains("<form method=\"post\" action=\"/admin/studies/1/settings\"")
    );
    assert_eq!((mary.get("/admin/studies/2").status, mary.get("/admin/studies/999").status), (404, 404));
    assert_eq!(operator.get("/admin/studies/2").status, 200);
    let rejected = mary.get("/admin/rejected").body;
    assert!(
        rejected.contains("40001") && !rejected.contains("40002") && !rejected.contains("local"),
        "{rejected}"
    );
    let audit = mary.get("/admin/audit").body;
    assert!(audit.contains("/admin/patients/1\""), "{audit}");
    assert!(!audit.contains("/admin/patients/2\"") && !audit.contains("/admin/patients/3\""), "{audit}");
    assert!(!audit.contains(">sign-in"), "a practitioner must not see others' sign-ins: {audit}");
    for path in ["/admin/settings", "/admin/accounts"] {
        assert_eq!(mary.get(path).status, 403, "{path}");
    }
    for path in ["/admin/patients/new", "/admin/studies/new"] {
        let answer = mary.get(path);
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
        assert_eq!(post(&mary, path, &[("name", "X"), ("tz", "UTC")]).status, 403, "{path}");
    }
    assert_eq!(post(&mary, "/admin/studies/1/settings", &[("name", "X")]).status, 403);
    let enrol = [("name", "P-1"), ("tz", "UTC"), ("study", "2")];
    assert_eq!(
        post(&mary, "/admin/patients/1/edit", &enrol).status,
        403,
        "JHE alone decides who takes part in its studies"
    );
    for path in ["/admin/settings", "/admin/accounts/new", "/admin/accounts/1"] {
        assert_eq!(post(&mary, path, &[]).status, 403, "{path}");
    }
}

#[test]
fn a_sign_in_is_bound_to_its_browser_and_single_use() {
    let clinic = Clinic::open();
    let (mary, other) = (clinic.served.visitor(), clinic.served.visitor());
    let back = clinic.until_back(&mary, MARY, "/admin/jhe?next=//evil.example.org");
    let refused = |answer: Answer| {
        assert!(answer.status == 400 && answer.body.contains("begun in another browser"), "{answer:?}");
        assert!(answer.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"), "{answer:?}");
    };
    refused(other.get(&back));
    clinic.until_back(&other, VICTOR, "/admin/jhe");
    refused(other.get(&back));
    let stateless = clinic.until_back(&other, VICTOR, "/admin/jhe");
    refused(other.get(stateless.split("&state=").next().unwrap()));
    let signed = mary.get(&back);
    assert_eq!(
        (signed.status, signed.location()),
        (303, "/admin"),
        "a foreign address is not used as the next page"
    );
    refused(mary.get(&back));
    // An attacker's code in a browser that has started a sign-in.
    let code = |back: &str| between(back, "code=", "&").unwrap().to_owned();
    let (theirs, own) = (clinic.until_back(&other, VICTOR, "/admin/jhe"), clinic.served.visitor());
    let back = clinic.until_back(&own, MARY, "/admin/jhe");
    let slipped = own.get(&back.replace(&code(&back), &code(&theirs)));
    assert!(slipped.status == 400 && slipped.body.contains("no longer takes"), "{}", slipped.body);
    assert_eq!(own.get("/admin").status, 303, "nobody is signed in");
}

#[test]
fn a_refused_sign_in_explains_why_and_what_to_do() {
    let clinic = Clinic::open();
    clinic.jhe.state().staff.crown(10001, "admin@example.com");
    let visitor = clinic.served.visitor();
    let told = |user: i64, status: u16, words: &str| {
        let answer = clinic.sign_in(&visitor, user);
        assert!(answer.status == status && answer.body.contains(words), "{words}: {}", answer.body);
        assert!(
            answer.body.contains("class=\"button\" href=\"/"),
            "the page links to another way to sign in: {}",
            answer.body
        );
        assert_eq!(visitor.get("/admin").status, 303);
    };
    told(PETER, 403, "Patients use the link of their study");
    told(10001, 403, "You belong to no organization");
    clinic.jhe.state().staff.says_no = true;
    told(MARY, 403, "refused or broken off");
    clinic.jhe.state().staff.says_no = false;
    clinic.jhe.state().staff.is_down = true;
    told(MARY, 503, "try again in a few minutes");
    clinic.jhe.state().staff.is_down = false;
    clinic.jhe.state().staff.here = Some(MARY);
    let off = visitor.get("/admin/jhe");
    let back = visitor.get(&off.location().replace("openid", "bogus"));
    let refused = visitor.get(back.location());
    assert!(refused.status == 502 && refused.body.contains("(invalid_scope)"), "{}", refused.body);
    assert!(!clinic.world.run(&["admin", "list"]).stdout.contains("JHE"), "no account was created");
    for _ in 0..12 {
        clinic.sign_in(&visitor, PETER);
    }
    let much = clinic.sign_in(&visitor, MARY);
    assert!(much.status == 429 && much.headers.contains_key("retry-after"), "{}", much.body);
}

#[test]
fn a_sign_in_never_takes_over_a_local_account() {
    let clinic = Clinic::open();
    assert_eq!(clinic.world.run(&["admin", "add", EMAIL, "--role", "operator"]).code, 0);
    set_password(&clinic.world, EMAIL, PASSWORD);
    let mary = clinic.practitioner(MARY);
    assert!(mary.get("/admin").body.contains("mary@example.com (JHE) (data manager, through JHE)"));
    assert_eq!(mary.get("/admin/settings").status, 403);
    let local = clinic.served.visitor();
    assert_eq!(local.sign_in(EMAIL, PASSWORD).status, 303);
    assert_eq!(local.get("/admin/settings").status, 200);
    let again = clinic.practitioner(MARY);
    assert!(again.get("/admin").body.contains("(JHE) (data manager"), "each sign-in uses the same account");
    assert_eq!(clinic.world.run(&["admin", "list"]).stdout.matches("through JHE").count(), 1);
    for arguments in [
        ["admin", "set-password", "--name", "mary@example.com (JHE)"],
        ["admin", "sign-in", "--name", "mary@example.com (JHE)"],
    ] {
        let ran = with_input(&clinic.world, &arguments, PASSWORD);
        assert!(ran.code != 0 && ran.stderr.contains("signs in through JHE"), "{ran:?}");
    }
}

#[test]
fn roles_and_organizations_are_refreshed_at_each_sign_in() {
    let clinic = Clinic::open();
    let visitor = clinic.practitioner(MARY);
    assert_eq!((visitor.get("/admin/audit").status, visitor.get("/admin/patients/1").status), (200, 200));
    // The role in each organization applies to its patients, and the earlier organization no longer counts.
    clinic.jhe.state().staff.employ(MARY, "mary.m@example.com", &[(2, "viewer"), (7, "member")]);
    let again = clinic.practitioner(MARY);
    assert!(again.get("/admin").body.contains("mary.m@example.com (coordinator, through JHE)"));
    assert_eq!((again.get("/admin/patients/1").status, again.get("/admin/patients/2").status), (404, 200));
    assert_eq!(
        visitor.get("/admin/patients/1").status,
        404,
        "the new role applies in every browser of the user"
    );
    assert_eq!(post(&again, "/admin/patients/2/poll", &[]).status, 403);
    clinic.jhe.state().staff.employ(MARY, EMAIL, &[]);
    let refused = clinic.sign_in(&clinic.served.visitor(), MARY);
    assert!(
        refused.status == 403 && refused.body.contains("You belong to no organization"),
        "{}",
        refused.body
    );
    assert_eq!(again.get("/admin").status, 303, "a practitioner without an organization is signed out");
}

#[test]
fn a_patient_who_moves_to_another_organization_is_seen_there_only() {
    let clinic = Clinic::open();
    let (mary, operator) = (clinic.practitioner(MARY), clinic.served.operator(&clinic.world));
    let listed = |visitor: &Visitor, patient: &str| {
        let number = format!("P00{patient}");
        ["", "/adherence", "/adherence.csv", "?sort=hours"].map(|page| {
            let answer = visitor.get(&format!("/admin/studies/1{page}"));
            assert_eq!(answer.status, 200, "{page}: {}", answer.body);
            answer.body.contains(&number)
        })
    };
    assert_eq!((mary.get("/admin/patients/1").status, mary.get("/admin/patients/2").status), (200, 404));
    assert_eq!((listed(&mary, "1"), listed(&mary, "2")), ([true; 4], [false; 4]));
    assert_eq!((listed(&operator, "1"), listed(&operator, "2")), ([true; 4], [false; 4]));
    clinic.jhe.state().staff.belong(40001, &[2]);
    clinic.jhe.state().staff.belong(40002, &[2, 7]);
    let clinic = clinic.later(MINUTE * 2);
    clinic.world.poll();
    until("the patients' new organizations are stored", || {
        (mary.get("/admin/patients/1").status, mary.get("/admin/patients/2").status) == (404, 200)
    });
    assert_eq!(listed(&mary, "1"), [false; 4]);
    clinic.jhe.hide(40002, true);
    let clinic = clinic.later(MINUTE * 2);
    // This poll is skipped if the daemon's first tick is running.
    clinic.world.poll();
    until("the patient hidden at JHE has no organization", || mary.get("/admin/patients/2").status == 404);
    assert_eq!(operator.get("/admin/patients/2").status, 200);
}

#[test]
fn a_patient_without_a_link_who_moves_is_seen_there_only() {
    let clinic = Clinic::open();
    assert_eq!(clinic.world.run(&["patient", "unlink", "1"]).code, 0);
    clinic.jhe.state().staff.belong(40001, &[2]);
    let clinic = clinic.later(HOUR + MINUTE * 2);
    let mary = clinic.practitioner(MARY);
    until("the new organization is stored although no tick reads the patient", || {
        mary.get("/admin/patients/1").status == 404
    });
}

#[test]
fn a_locally_disabled_account_cannot_sign_in() {
    let clinic = Clinic::open();
    let (mary, operator) = (clinic.practitioner(MARY), clinic.served.operator(&clinic.world));
    let page = operator.get("/admin/accounts").body;
    let card = between(&page, "<h2>mary@example.com</h2>", "</section>").unwrap();
    assert!(
        card.contains("signs in through JHE") && card.contains("JHE’s user 10002, data manager"),
        "{card}"
    );
    for offered in ["Make a one-time link", "Save the role", "<select"] {
        assert!(!card.contains(offered), "{offered}: {card}");
    }
    let account = between(card, "action=\"", "\"").unwrap();
    for action in ["role", "link"] {
        let refused = post(&operator, account, &[("action", action), ("role", "operator")]);
        assert!(
            refused.status == 400 && refused.body.contains("JHE manages this account"),
            "{}",
            refused.body
        );
    }
    assert_eq!(post(&operator, account, &[("action", "disable")]).status, 303);
    assert_eq!(mary.get("/admin").status, 303);
    let refused = clinic.sign_in(&mary, MARY);
    assert!(refused.status == 403 && refused.body.contains("account is shut here"), "{}", refused.body);
    assert_eq!(post(&operator, account, &[("action", "enable")]).status, 303);
    assert_eq!(clinic.sign_in(&mary, MARY).status, 303);
}

#[test]
fn a_session_from_jhe_ends_after_an_hour() {
    let clinic = Clinic::open();
    clinic.world.setting("sign_in.idle_end", "2h");
    let mary = clinic.practitioner(MARY);
    let clinic = clinic.later(MINUTE * 59);
    assert_eq!(mary.get("/admin").status, 200);
    let _clinic = clinic.later(MINUTE);
    assert_eq!(mary.get("/admin").status, 303);
}
