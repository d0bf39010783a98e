//! The second factor, recovery codes, and re-authentication.

use crate::support::authenticator::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

const ALERT: &str = "role=\"alert\"";

#[test]
fn a_password_alone_no_longer_signs_in() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let page = operator.get(SET_UP);
    assert!(page.body.contains("<svg") && page.body.contains("otpauth://totp/jhe"), "{}", page.body);
    assert!(!page.body.contains("<script"));
    let elsewhere = served.visitor();
    assert_eq!(elsewhere.sign_in("operator", PASSWORD).status, 303);
    assert_eq!(elsewhere.get("/admin/account").status, 200);
    let (app, recovery) = Authenticator::set_up(&operator, &world);
    assert_eq!(
        elsewhere.get("/admin/account").status,
        303,
        "a session signed in by password alone has ended"
    );
    assert_eq!(operator.get("/admin/account").status, 200);
    assert_eq!(recovery.len(), 10);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    assert_eq!(visitor.get("/admin").status, 303, "the password alone gives no access");
    let used = give_code(&visitor, &app.code(world.now));
    assert!(used.status == 403 && used.body.contains("was used already"), "{}", used.body);
    wait(&mut world, STEP * 3);
    let wrong = give_code(&visitor, "000000");
    assert!(wrong.status == 403 && wrong.body.contains("check the clock of your phone and of this server"));
    let late = give_code(&visitor, &app.code(world.now.minus(STEP * 2)));
    assert_eq!(late.status, 403, "a code two steps old is refused");
    let code = app.code(world.now.minus(STEP));
    assert_eq!(give_code(&visitor, &code).location(), "/admin", "a code one step old is accepted");
    assert_eq!(visitor.get("/admin").status, 200);
    let other = served.visitor();
    give_password(&other, "operator");
    assert!(give_code(&other, &code).body.contains("was used already"), "a code works once, in any browser");
    let again = app.code(world.now);
    let spaced = format!("{} {}", &again[..3], &again[3..]);
    assert_eq!(give_code(&other, &spaced).status, 303);
    assert!(operator.get("/admin/audit").body.contains("second-factor.set"));
}

#[test]
fn a_lost_device_is_replaced_by_a_recovery_code_then_an_operator_then_the_machine() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let (_, recovery) = Authenticator::set_up(&operator, &world);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    assert!(visitor.get(CODE).body.contains("jhe-ow admin reset-second-factor"));
    let typed = recovery[0].to_uppercase().replace('-', " ");
    assert_eq!(give_code(&visitor, &typed).location(), "/admin/account?done=recovery");
    assert!(visitor.get("/admin/account?done=recovery").body.contains("Recovery codes left: 9"));
    let other = served.visitor();
    give_password(&other, "operator");
    assert_eq!(give_code(&other, &recovery[0]).status, 403, "a recovery code works once");
    let renewed = visitor.submit("/admin/account", "/admin/account/recovery-codes", &[]).secret();
    assert_eq!(give_code(&other, &recovery[1]).status, 403, "new recovery codes replace the earlier ones");
    assert_eq!(give_code(&other, renewed.lines().next().unwrap()).status, 303);

    assert_eq!(world.run(&["admin", "add", "ada", "--role", "viewer"]).code, 0);
    set_password(&world, "ada", PASSWORD);
    let ada = served.visitor();
    assert_eq!(ada.sign_in("ada", PASSWORD).status, 303);
    Authenticator::set_up(&ada, &world);
    assert_eq!(ada.get("/admin").status, 200);
    wait(&mut world, FIVE_MINUTES);
    let reset = [("action", "reset-second-factor"), ("role", "viewer")];
    assert_eq!(operator.submit("/admin/accounts", "/admin/accounts/2", &reset).status, 303);
    assert_eq!(ada.get("/admin").status, 303, "the session is signed out");
    assert_eq!(ada.sign_in("ada", PASSWORD).location(), "/admin");

    assert_eq!(world.run(&["admin", "reset-second-factor", "operator"]).code, 0);
    assert_eq!(served.visitor().sign_in("operator", PASSWORD).location(), "/admin");
    assert!(world.run(&["admin", "reset-second-factor", "nobody"]).stderr.contains("there is no account"));
    let audit = world.run(&["audit", "list"]).stdout;
    assert!(audit.contains("second-factor.reset"), "{audit}");
}

#[test]
fn a_one_time_link_replaces_the_password_and_not_the_code() {
    let world = World::new();
    let served = serve(&world, &[]);
    Authenticator::set_up(&served.operator(&world), &world);
    let link = world.run(&["admin", "sign-in"]).stdout;
    let link = format!("/admin/sign-in?token={}", link.trim().split_once("token=").unwrap().1);
    let visitor = served.visitor();
    assert_eq!(
        visitor.submit(&link, "/admin/sign-in", &[]).location(),
        CODE,
        "a sign-in link replaces the password only"
    );
    assert!(visitor.get(&link).body.contains("signs you in once"), "the link is not used up yet");
    assert_eq!(give_code(&visitor, "000000").status, 403);
    assert!(world.run(&["admin", "list"]).stdout.contains("second factor"));
    assert!(visitor.get(&link).body.contains("signs you in once"));
}

#[test]
fn operators_need_a_second_factor_once_one_has_it_and_a_setting_asks_it_of_everybody() {
    let world = World::new();
    let served = serve(&world, &[]);
    let first = served.operator(&world);
    for (name, role) in [("second", "operator"), ("ada", "viewer")] {
        assert_eq!(world.run(&["admin", "add", name, "--role", role]).code, 0);
        set_password(&world, name, PASSWORD);
    }
    let (second, ada) = (served.visitor(), served.visitor());
    for (visitor, name) in [(&second, "second"), (&ada, "ada")] {
        assert_eq!(visitor.sign_in(name, PASSWORD).status, 303);
        assert_eq!(visitor.get("/admin").status, 200, "{name}");
    }
    Authenticator::set_up(&first, &world);
    assert_eq!(second.get("/admin/patients").location(), SET_UP, "the second factor must be set up first");
    assert_eq!(ada.get("/admin").status, 200);
    Authenticator::set_up(&second, &world);
    assert_eq!(second.get("/admin").status, 200);
    let everybody = [("value", "everybody")];
    let refused = world.run(&["settings", "set", "sign_in.second_factor", "everybody"]);
    assert!(refused.code == 2 && refused.stderr.contains("JHE_OW_SECRET_KEY"), "{refused:?}");
    let form = first.get("/admin/settings").hidden("/admin/settings");
    let token = form[0].1.clone();
    let fields = [("form_token", token.as_str()), ("key", "sign_in.second_factor"), everybody[0]];
    assert_eq!(first.post("/admin/settings", &fields).status, 303);
    assert_eq!(ada.get("/admin").location(), SET_UP);
    Authenticator::set_up(&ada, &world);
    assert_eq!(ada.get("/admin").status, 200);
}

#[test]
fn a_clock_that_is_off_and_a_lost_key_are_told_to_those_concerned_only() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let page = operator.get(SET_UP);
    let app = Authenticator::scan(&page);
    let hidden = page.hidden(SET_UP);
    let fields = |code: &str| -> Vec<(String, String)> {
        hidden.iter().cloned().chain([("code".to_owned(), code.to_owned())]).collect()
    };
    let post = |code: &str| {
        let fields = fields(code);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        operator.post(SET_UP, &fields)
    };
    let early = post(&app.code(world.now.plus(FIVE_MINUTES)));
    assert!(early.status == 400 && early.body.contains("about 5 min apart"), "{}", early.body);
    assert!(post("123").body.contains("Give the six digits"));
    let (app, recovery) = Authenticator::set_up(&operator, &world);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    let early = give_code(&visitor, &app.code(world.now.plus(FIVE_MINUTES)));
    let wrong = give_code(&visitor, "000000");
    let problem = |answer: &Answer| between(&answer.body, ALERT, "</div>").unwrap().to_owned();
    assert_eq!(problem(&early), problem(&wrong), "a future code and a wrong code give the same error");
    let port = served.port;
    served.stop("TERM");
    wait(&mut world, STEP * 2);
    let clock = world.clock_in_a_file();
    let lost = "another-key-".repeat(4);
    let served = Served::on(&world, port, &[("JHE_OW_CLOCK", &clock), ("JHE_OW_SECRET_KEY", &lost)]);
    let visitor = served.visitor();
    give_password(&visitor, "operator");
    let answer = give_code(&visitor, &app.code(world.now));
    assert!(answer.status == 403 && answer.body.contains("the log says why"), "{}", answer.body);
    assert!(
        !answer.body.contains("JHE_OW_SECRET_KEY"),
        "the error shows no configuration detail to a stranger"
    );
    assert_eq!(give_code(&visitor, &recovery[0]).status, 303, "a recovery code needs no key");
    let log = served.stop("TERM").stderr;
    assert!(
        log.contains("JHE_OW_SECRET_KEY is missing or another one") && log.contains("reset-second-factor")
    );
    let served = Served::on(&world, port, &[("JHE_OW_CLOCK", &clock)]);
    let other = served.visitor();
    give_password(&other, "operator");
    assert_eq!(give_code(&other, &recovery[1]).status, 303);
    let told = other.get(SET_UP).body;
    assert!(told.contains("openssl rand -base64 32") && told.contains("JHE_OW_SECRET_KEY"), "{told}");
}

#[test]
fn what_concerns_access_or_data_asks_for_the_password_again_after_ten_minutes() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, "P-1", &study);
    let page = format!("/admin/patients/{patient}");
    wait(&mut world, FIVE_MINUTES * 3);
    let token = operator.get("/admin").hidden("/admin/sign-out")[0].1.clone();
    let confirm = "/admin/confirm?next=%2Fadmin%2Fkept-form";
    let with = |fields: &[(&'static str, &'static str)]| {
        let token = token.clone();
        let mut all = vec![("form_token".to_owned(), token)];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all
    };
    let post = |path: &str, fields: &[(&'static str, &'static str)]| {
        let all = with(fields);
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        operator.post(path, &all)
    };
    for (path, fields) in [
        ("/admin/accounts/new", &[("name", "Eve"), ("role", "operator")][..]),
        ("/admin/accounts/1", &[("action", "link"), ("role", "operator")]),
        ("/admin/settings", &[("key", "module.ow"), ("value", "false")]),
        (&format!("{page}/api-token"), &[("label", "an app")]),
        (&format!("/admin/studies/{study}/data"), &[("format", "csv")]),
        ("/admin/account/email", &[("email", "eve@example.org")]),
    ] {
        assert_eq!(post(path, fields).location(), confirm, "{path}");
    }
    assert_eq!(operator.get(SET_UP).location(), "/admin/confirm?next=%2Fadmin%2Faccount%2Fsecond-factor");
    assert_eq!(post(&format!("{page}/revoke"), &[]).status, 303, "revoking access needs no confirmation");
    assert!(!world.run(&["admin", "list"]).stdout.contains("Eve"));
    let secret = [("key", "ow.s3.secret_access_key"), ("value", "canary-of-a-bucket")];
    assert_eq!(post("/admin/settings", &secret).location(), "/admin/confirm?next=%2Fadmin%2Fsettings");
    post("/admin/accounts/new", &[("name", "Grace"), ("role", "viewer")]);
    let refused = operator.submit(confirm, "/admin/confirm", &[("password", "wrong wrong wrong")]);
    assert!(refused.status == 403 && refused.body.contains("This is not your password"));
    let confirmed = operator.submit(confirm, "/admin/confirm", &[("password", PASSWORD)]);
    assert_eq!(confirmed.location(), "/admin/kept-form");
    let kept = operator.get("/admin/kept-form");
    assert!(kept.body.contains("Send it now?") && kept.body.contains("<dd>Grace</dd>"), "{}", kept.body);
    let sent = operator.submit("/admin/kept-form", "/admin/accounts/new", &[]);
    assert!(sent.status == 200 && sent.body.contains("token="), "{}", sent.body);
    assert!(world.run(&["admin", "list"]).stdout.contains("Grace"));
    assert_eq!(
        operator.get("/admin/kept-form").heading(),
        "There is no form to send",
        "a kept form is sent once"
    );
    let audit = operator.get("/admin/audit").body;
    assert!(audit.contains("sign-in.confirm"), "{audit}");
}

#[test]
fn with_a_second_factor_only_a_code_confirms_and_the_session_gets_a_new_token() {
    let mut world = World::new();
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let (app, _) = Authenticator::set_up(&operator, &world);
    wait(&mut world, FIVE_MINUTES * 3);
    let confirm = operator.get("/admin/account/second-factor").location().to_owned();
    assert!(confirm.starts_with("/admin/confirm"), "{confirm}");
    let wrong = operator.submit(&confirm, "/admin/confirm", &[("password", ""), ("code", "000000")]);
    assert!(wrong.status == 403 && wrong.body.contains("not valid now"), "{}", wrong.body);
    let alone = operator.submit(&confirm, "/admin/confirm", &[("password", PASSWORD), ("code", "")]);
    assert_eq!(alone.status, 403, "a new password does not remove the second factor");
    let change = [
        ("current", PASSWORD),
        ("password", "another quiet heron 4711"),
        ("again", "another quiet heron 4711"),
    ];
    assert_eq!(operator.submit("/admin/password", "/admin/password", &change).status, 303);
    let remove = operator.get("/admin/account/second-factor").location().to_owned();
    assert!(remove.starts_with("/admin/confirm"), "changing the password does not remove the second factor");
    let code = app.code(world.now);
    let before = operator.cookies.lock().unwrap().clone();
    let done = operator.submit(&confirm, "/admin/confirm", &[("code", &code)]);
    assert_eq!(done.location(), "/admin/account/second-factor");
    assert_ne!(*operator.cookies.lock().unwrap(), before);
    let stolen = Visitor::new(&operator.base);
    *stolen.cookies.lock().unwrap() = before;
    assert_eq!(stolen.get("/admin").status, 303, "the earlier session token is invalid");
    assert_eq!(operator.get("/admin/account/second-factor").status, 200);
}
