//! A link opens again in another browser until a device is connected; the second browser cannot grant consent. A new
//! link is sent only to the address on file, and the page does not reveal who is known.

use std::time::Duration;

use crate::support::alert_receivers::MailServer;
use crate::support::erasure::one;
use crate::support::harness::*;
use crate::support::jhe_patient;
use crate::support::running_daemon::*;

const CONTINUE: &str = "/clients/ow/continue";

#[test]
fn a_link_goes_on_in_another_browser_until_a_device_is_connected() {
    let world = World::new();
    let served = Served::start(&world);
    world.sim.set_api_base(&served.url());
    let operator = served.operator(&world);
    let (study, second) = (make_study(&operator, "Sleep"), make_study(&operator, "Sport"));
    let patient = make_patient(&operator, "Zebulon", &study);
    let page = format!("/admin/patients/{patient}/edit");
    let both = [("name", "Zebulon"), ("tz", "UTC"), ("study", study.as_str()), ("study", second.as_str())];
    assert_eq!(operator.submit(&page, &page, &both).status, 303);
    let link = invite(&operator, &patient);
    let (first, phone) = (served.visitor(), served.visitor());
    assert_eq!(agree(&first, &link, &study).status, 303);
    // Mail scanners open links: that changes nothing and shows only the study and the patient's number.
    for _ in 0..3 {
        let opened = served.visitor().get(&link);
        assert_eq!((opened.status, opened.heading()), (200, "Continue here?"));
        assert!(opened.body.contains("Sleep") && opened.body.contains("P001"), "{}", opened.body);
        assert!(!opened.body.contains("Zebulon") && !opened.body.contains("eart rate"), "{}", opened.body);
    }
    assert_eq!(first.get("/clients/ow/manage").status, 200, "the first browser stays signed in");
    let went = phone.submit(&link, CONTINUE, &[]);
    assert_eq!((went.status, went.location()), (303, "/clients/ow/connect"), "{}", went.body);
    assert_eq!(first.get("/clients/ow/manage").status, 401, "Continue signs the first browser out");
    let audit = world.run(&["audit", "list"]).stdout;
    assert!(audit.contains("invitation.reopen") && audit.contains("browsers signed out 1"), "{audit}");
    // The second browser cannot grant anything, whatever form it sends.
    let manage = phone.get("/clients/ow/manage");
    assert!(manage.body.contains("Sport") && !manage.body.contains("/clients/ow/grant"), "{}", manage.body);
    let token = manage.hidden("/clients/ow/sign-out")[0].1.clone();
    let wish = [("form_token", token.as_str()), ("study", &second), ("scope", HEART_RATE)];
    let refused = phone.post("/clients/ow/grant", &wish);
    assert_eq!((refused.status, refused.heading()), (403, "Ask for a new link first"));
    let shown = world.run(&["patient", "show", &patient]).stdout;
    assert_eq!(shown.matches("granted").count(), 1, "nothing was granted: {shown}");
    // It can connect a device and withdraw.
    let buttons = provider_buttons(&phone);
    let back = phone.get(&buttons["agree"]);
    assert_eq!(phone.get(back.location()).heading(), "Successfully Connected");
    let closed = served.visitor().get(&link);
    assert_eq!((closed.status, closed.heading()), (409, "Your device is connected already"));
    assert!(closed.body.contains("/clients/ow/new-link"), "the page names the remedy: {}", closed.body);
    assert_eq!(phone.submit("/clients/ow/manage", "/clients/ow/disconnect", &[]).status, 303);
    assert_eq!(served.visitor().get(&link).status, 409, "the link stays closed after a disconnection");
    let asked = phone.submit("/clients/ow/manage", "/clients/ow/withdraw", &[]);
    assert!(asked.body.contains("never reaches the study"), "{}", asked.body);
    let stopped = phone.submit("/clients/ow/manage", "/clients/ow/withdraw", &[("sure", "yes")]);
    let notice = phone.get(stopped.location()).body;
    assert!(notice.contains("You have stopped sharing heart rate."), "{notice}");
    // A new link revokes the reopenable one and signs nobody out.
    let newer = invite(&operator, &patient);
    assert_eq!(served.visitor().get(&newer).heading(), "Would you like to share your data?");
    assert_eq!(phone.get("/clients/ow/manage").status, 200);
}

#[test]
fn what_comes_first_and_how_long_a_link_lives() {
    let mut world = World::new();
    world.sim.set_configured(&["oura", "garmin"]);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let page = format!("/admin/studies/{study}/settings");
    let fields = [
        ("name", "Sleep"),
        ("organization", "L"),
        ("purpose", "To learn."),
        ("contact", "C"),
        ("scope", HEART_RATE),
    ];
    assert_eq!(operator.submit(&page, &page, &fields).status, 303);
    let patient = make_patient(&operator, "P-1", &study);
    let (link, browser) = (invite(&operator, &patient), served.visitor());
    let form = browser.get(&link).body;
    assert!(form.contains(">I agree</button>") && form.contains(">I do not agree</button>"), "{form}");
    assert_eq!(agree(&browser, &link, &study).status, 303);
    let choose = browser.get("/clients/ow/connect").body;
    assert!(choose.contains("opens again until 28 November 2026"), "{choose}");
    let manage = browser.get("/clients/ow/manage").body;
    let place = |text: &str| manage.find(text).unwrap_or_else(|| panic!("{text}: {manage}"));
    assert!(
        place("Connect a device") < place("You have shared this since"),
        "without a device, Connect a device comes first"
    );
    // The link expires after seven days; the patient asks for a new one.
    let port = served.port;
    served.stop("TERM");
    world.pass(DAY * 8);
    let served = Served::on(&world, port, &[]);
    assert_eq!(served.visitor().get(&link).status, 409, "the link is used and too old to open again");
}

#[test]
fn a_patient_gets_a_new_link_by_mail_and_nobody_learns_who_is_known() {
    let mail = MailServer::start();
    let mut world = World::new();
    world.set("JHE_OW_ALERTS_SMTP_URL", &format!("smtp://127.0.0.1:{}", mail.port));
    world.set("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org");
    world.set("JHE_OW_ALERTS_MAIL_TO", "operators@example.org");
    let clock = world.clock_in_a_file();
    let served = Served::with(&world, &[("JHE_OW_CLOCK", clock.as_str())]);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let fields =
        [("name", "P-1"), ("tz", "UTC"), ("study", study.as_str()), ("email", "Zebulon@example.org")];
    assert_eq!(operator.submit("/admin/patients/new", "/admin/patients/new", &fields).status, 303);
    let ask = |address: &str| {
        let visitor = served.visitor();
        visitor.submit("/clients/ow/new-link", "/clients/ow/new-link", &[("email", address)])
    };
    let (known, unknown) = (ask("zebulon@example.org"), ask("nobody@example.org"));
    assert_eq!(
        (known.status, &known.body),
        (200, &unknown.body),
        "known and unknown addresses get the same page"
    );
    assert_eq!(ask("no address").status, 400);
    until("the mail has arrived", || !mail.letters().is_empty());
    let letters = mail.letters();
    assert!(letters.len() == 1 && letters[0].contains("Your new link"), "{letters:?}");
    let letter = letters[0].replace('\r', "").replace("=\n", "").replace("=3D", "=");
    assert!(
        !letter.contains("eart rate") && !letter.contains("P-1"),
        "the mail contains no measurement and no name: {letter}"
    );
    let is_code = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let code: String = letter.split_once("/ow/?code=").unwrap().1.chars().take_while(is_code).collect();
    assert_eq!(
        served.visitor().get(&format!("/ow/?code={code}")).heading(),
        "Would you like to share your data?"
    );
    world.pass(Duration::from_mins(2));
    world.clock_in_a_file();
    // The page shows the mail server's answer, and the mail is retried. One address gets at most three mails an hour.
    let page = format!("/admin/patients/{}", one::<i64>(&world, "SELECT id FROM patients"));
    mail.answer("Zebulon@example.org", "550 no such user here");
    ask("zebulon@example.org");
    let count =
        |state: &str| one::<i64>(&world, &format!("SELECT count(*) FROM mails WHERE state = '{state}'"));
    until("the mail server has refused the mail", || count("refused") == 1);
    let shown = operator.get(&page).body;
    for words in ["New link, which the patient asked for", "550 no such user here"] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    assert_eq!(served.visitor().get(&format!("/ow/?code={code}")).status, 200, "the older link still works");
    mail.answer("Zebulon@example.org", "");
    ask("zebulon@example.org");
    until("another mail is sent", || count("sent") == 2);
    assert_eq!(mail.letters().len(), 2);
    assert_eq!(served.visitor().get(&format!("/ow/?code={code}")).status, 403, "the older link is revoked");
    ask("zebulon@example.org");
    served.stop("TERM");
    assert_eq!(one::<i64>(&world, "SELECT count(*) FROM mails"), 3, "the rate limit of mails applies");
}

#[test]
fn a_link_of_jhe_that_another_browser_uses_signs_the_first_one_out_and_grants_nothing() {
    let scene = jhe_patient::Scene::new();
    let token = scene.jhe.make_invitation(jhe_patient::PATIENT);
    let opened = scene.browser.get(&scene.link(&token)).body;
    assert!(opened.contains("for 12 hours after you last went on with it"), "{opened}");
    assert_eq!(scene.go_on(&token).status, 303);
    let other = scene.served.visitor();
    let went = other.submit(&scene.link(&token), "/clients/ow/redeem", &[]);
    assert_eq!(went.status, 303, "{}", went.body);
    assert_eq!(scene.browser.get("/clients/ow/manage").status, 401, "the first browser is signed out");
    let asks = other.get("/clients/ow/ask");
    assert_eq!(asks.status, 200, "nothing was granted yet, so the form asks: {}", asks.body);
    let scope = format!("{}:{HEART_RATE}", between(&asks.body, "name=\"wording\" value=\"", ":").unwrap());
    let agreed =
        other.submit("/clients/ow/ask", "/clients/ow/answer", &[("scope", &scope), ("answer", "agree")]);
    assert_eq!(agreed.status, 303, "{}", agreed.body);
    assert_eq!(scene.go_on(&token).status, 303);
    assert_eq!(
        scene.browser.get("/clients/ow/ask").location(),
        "/clients/ow/connect",
        "the page has no consent question"
    );
    scene.jhe.state().people.second = true;
    let manage = scene.browser.get("/clients/ow/manage").body;
    assert!(!manage.contains("/clients/ow/grant"), "{manage}");
}

#[test]
fn a_new_link_for_a_patient_of_jhe_is_made_by_jhe_and_its_refusal_is_shown() {
    let mail = MailServer::start();
    let smtp = format!("smtp://127.0.0.1:{}", mail.port);
    let variables = [
        ("JHE_OW_SECRET_KEY", jhe_patient::SECRET),
        ("JHE_OW_ALERTS_SMTP_URL", &smtp),
        ("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org"),
    ];
    let scene = jhe_patient::Scene::with(&variables);
    assert_eq!(scene.agree().status, 303);
    let address: String = one(&scene.world, "SELECT email FROM patients");
    let ask = || {
        let fields = [("email", address.as_str())];
        scene.served.visitor().submit("/clients/ow/new-link", "/clients/ow/new-link", &fields)
    };
    assert_eq!(ask().status, 200);
    let count = |what: &str| one::<i64>(&scene.world, &format!("SELECT count(*) FROM mails WHERE {what}"));
    until("the mail is sent", || count("state = 'sent'") == 1);
    let letter = mail.letters_to(&address).remove(0);
    let link = letter.split_whitespace().find(|word| word.contains("/clients/ow/launch?code=")).unwrap();
    assert_eq!(scene.served.visitor().get(link).heading(), "Your study invites you");
    // JHE ends a link when it makes the next one, so a repeated attempt sends the same link.
    mail.answer(&address, "451 come back later");
    ask();
    until("the mail server defers the mail", || count("state = 'waiting' AND attempts = 1") == 1);
    let made = scene.jhe.count_invitations();
    mail.answer(&address, "");
    let database = rusqlite::Connection::open(scene.world.database()).unwrap();
    database.execute("UPDATE mails SET due_at = queued_at WHERE state = 'waiting'", []).unwrap();
    until("the mail is sent", || count("state = 'sent'") == 2);
    assert_eq!(scene.jhe.count_invitations(), made);
    scene.jhe.state().people.invitation_url = None;
    ask();
    until("the mail waits after JHE's refusal", || count("state = 'waiting' AND attempts = 1") == 1);
    let operator = scene.served.operator(&scene.world);
    let page = operator.get("/admin/patients/1").body;
    assert!(page.contains("JHE has no client whose invitations open this daemon"), "{page}");
    scene.served.stop("TERM");
}
