//! A silent patient is reminded by mail: only after a tick, at most once per interval, until the patient stops it or
//! shares nothing any more.

use reqwest::Method;

use crate::support::alert_receivers::MailServer;
use crate::support::erasure::one;
use crate::support::harness::*;
use crate::support::running_daemon::*;
use crate::support::watched_patient::Watched;

/// Returns a world whose daemon sends mail through the returned server.
fn world_with_mail() -> (MailServer, World) {
    let (mail, mut world) = (MailServer::start(), World::new());
    for (name, value) in mail.variables() {
        world.set(name, &value);
    }
    (mail, world)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story")]
fn only_who_agreed_is_reminded_and_the_link_in_the_mail_stops_it() {
    let (mail, world) = world_with_mail();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let list = world.directory.path().join("people.csv");
    let people = "R-1,Ada,ada@people.example,,es\nR-2,Ben,ben@people.example\nR-3,Cleo,cleo@people.example\n";
    std::fs::write(&list, people).unwrap();
    let ran = world.run(&["invite", "--study", &study, "--from", &list.display().to_string()]);
    // The command does not know this daemon's port.
    let path = |line: &str| format!("/ow/{}", between(line, "/ow/", ",").unwrap());
    let links: Vec<String> = ran.stdout.lines().skip(1).map(path).collect();
    assert_eq!(links.len(), 3, "{ran:?}");
    let mut users = Vec::new();
    for (number, (link, ticks)) in links.iter().zip([true, false, true]).enumerate() {
        let (patient, scope) = (served.visitor(), format!("{study}:{HEART_RATE}"));
        let page = patient.get(link).body;
        let tick = between(&page, "<input type=\"checkbox\" id=\"reminders\"", ">").unwrap();
        assert!(!tick.contains("checked"), "no box is ticked in advance: {tick}");
        let mut fields = vec![("scope", scope.as_str()), ("answer", "agree")];
        fields.extend(ticks.then_some(("reminders", "yes")));
        assert_eq!(patient.submit(link, "/clients/ow/agree", &fields).status, 303);
        let user = world.sim.add_user();
        let id = (number + 1).to_string();
        assert_eq!(world.run(&["patient", "link", &id, "--ow-user", &user]).code, 0);
        world.sim.put(&user, world.now.minus(FIVE_MINUTES), 61.25);
        users.push(user);
    }
    let mails = format!("/admin/studies/{study}/mails");
    let rule = format!("/admin/studies/{study}/reminders");
    let wrong = operator.submit(&mails, &rule, &[("after", "0"), ("every", "7")]);
    assert!(wrong.status == 400 && wrong.body.contains("from 1 to 90"), "{}", wrong.body);
    assert_eq!(operator.submit(&mails, &rule, &[("after", "3"), ("every", "7")]).status, 303);
    assert_eq!(world.run(&["patient", "consent", "3", HEART_RATE, "--withdraw"]).code, 0);
    served.stop("TERM");

    let mut watched = Watched::over(world, users[0].clone(), "1".to_owned());
    let served = watched.serve(&[]);
    watched.ticks();
    watched.pass(DAY * 2);
    watched.ticks();
    assert!(mail.letters().is_empty(), "no reminder before three days of silence");
    watched.pass(DAY * 2);
    until("the reminder arrives", || mail.letters_to("ada@people.example").len() == 1);
    watched.ticks();
    assert_eq!(
        mail.letters().len(),
        1,
        "one reminder is sent, only to the patient who agreed and has not withdrawn"
    );
    let letter = mail.letters_to("ada@people.example").remove(0);
    let address = between(&letter, "List-Unsubscribe: <", ">").unwrap().to_owned();
    for part in [
        "Subject: Un recordatorio de Lifespan Lab",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        &address,
    ] {
        assert!(letter.contains(part), "{part}: {letter}");
    }
    for private in ["heart", "Sleep", "61.25", "coraz", "sueño"] {
        assert!(!letter.contains(private), "{private}: {letter}");
    }
    watched.pass(DAY * 5);
    watched.ticks();
    assert_eq!(mail.letters().len(), 1, "at most one reminder is sent in seven days");
    watched.pass(DAY * 3);
    until("the next reminder arrives", || mail.letters().len() == 2);

    // The button also sends a reminder, only to patients who agreed to reminders.
    let operator = served.visitor();
    operator.sign_in("operator", PASSWORD);
    let remind = |patient: &str| {
        let page = format!("/admin/patients/{patient}");
        let action = format!("{page}/mails");
        let hidden = operator.get(&page).hidden(&action);
        let token = hidden.iter().find(|(name, _)| name == "form_token").unwrap();
        operator.post(&action, &[("form_token", &token.1), ("kind", "reminder"), ("study", &study)])
    };
    assert_eq!(remind("1").status, 303);
    until("the reminder arrives", || mail.letters().len() == 3);
    for patient in ["2", "3"] {
        let refused = remind(patient);
        assert!(
            refused.status == 400 && refused.body.contains("did not agree to reminders"),
            "{}",
            refused.body
        );
    }

    // Opening the link changes nothing; a mail program's POST without a cookie stops the reminders.
    let stranger = served.visitor();
    assert_eq!(stranger.get(&address).heading(), "¿Detener los recordatorios?");
    assert_eq!(stranger.get(&format!("{}x", &address[..address.len() - 1])).status, 404);
    let agreed = "SELECT count(*) FROM enrolments WHERE patient_id = 1 AND reminders_agreed_at IS NOT NULL";
    assert_eq!(one::<i64>(&watched.world, agreed), 1);
    let one_click = Some([("List-Unsubscribe", "One-Click")]);
    let stopped =
        served.visitor().send(Method::POST, &address, &[], one_click.as_ref().map(|fields| &fields[..]));
    assert_eq!(
        (stopped.status, stopped.heading()),
        (200, "Ya no recibirá recordatorios"),
        "{}",
        stopped.body
    );
    assert_eq!(one::<i64>(&watched.world, agreed), 0);
    watched.pass(DAY * 8);
    watched.ticks();
    assert_eq!(mail.letters().len(), 3, "no reminder follows after the stop");
    let operator = served.visitor();
    operator.sign_in("operator", PASSWORD);
    let history = operator.get("/admin/patients/1").body;
    for words in [
        "Agreed to reminders by mail of Sleep",
        "Mail sent: reminder",
        "Stopped the reminders by mail of Sleep",
    ] {
        assert!(history.contains(words), "{words} is not in {history}");
    }
    let audit = watched.world.run(&["audit", "list", "--patient-id", "1"]).stdout;
    for action in ["reminders.agree", "mail.queue", "mail.sent", "reminders.stop"] {
        assert!(audit.contains(action), "{action} is not in {audit}");
    }
    served.stop("TERM");
}

#[test]
fn the_page_of_choices_shows_the_reminders_and_a_withdrawal_ends_them() {
    let (_mail, world) = world_with_mail();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let fields = [("name", "Ada"), ("tz", "UTC"), ("study", &study), ("email", "ada@people.example")];
    assert_eq!(operator.submit("/admin/patients/new", "/admin/patients/new", &fields).status, 303);
    let patient = one::<i64>(&world, "SELECT id FROM patients").to_string();
    let (browser, choices) = (served.visitor(), "/clients/ow/manage");
    assert_eq!(agree(&browser, &invite(&operator, &patient), &study).status, 303);
    let agreed =
        || one::<i64>(&world, "SELECT count(*) FROM enrolments WHERE reminders_agreed_at IS NOT NULL");
    let press = |action: &str| browser.submit(choices, action, &[]);
    assert!(browser.get(choices).body.contains("You get no reminders by e-mail."));
    assert_eq!(agreed(), 0, "opening the page changes nothing");
    for _ in 0..2 {
        let on = press("/clients/ow/reminders");
        assert!(
            browser.get(on.location()).body.contains("You get an e-mail when nothing arrives"),
            "{}",
            on.body
        );
        assert_eq!(agreed(), 1);
        let off = press("/clients/ow/reminders/stop");
        assert!(browser.get(off.location()).body.contains("You get no more reminders"), "{}", off.body);
        assert_eq!(agreed(), 0);
    }
    assert_eq!(press("/clients/ow/reminders").status, 303);
    assert_eq!(browser.submit(choices, "/clients/ow/withdraw", &[("sure", "yes")]).status, 303);
    let stopped = "SELECT count(*) FROM audit_entries WHERE action = 'reminders.stop' AND actor = 'daemon'";
    assert_eq!(one::<i64>(&world, stopped), 1);
    assert_eq!(agreed(), 0, "a new consent does not restore the agreement to reminders");
    assert!(
        !browser.get(choices).body.contains("/clients/ow/reminders"),
        "a patient who shares nothing is not asked about reminders"
    );
    served.stop("TERM");
}
