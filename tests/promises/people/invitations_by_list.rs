//! A list of people is invited at once. Each line's error is shown, nothing is sent for an invalid line, and the links
//! are sent by mail or handed out as CSV or on a sheet.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use qrcode::{Color, QrCode};

use crate::support::alert_receivers::MailServer;
use crate::support::erasure::one;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Returns 40 valid lines; the last one has no address.
fn forty() -> String {
    let line = |n: usize| {
        let (email, language) = (format!("p{n}@people.example"), if n == 2 { "es" } else { "en" });
        let email = if n == 40 { "" } else { &email };
        format!("SH-{n:03},Person {n},{email},America/Chicago,{language}\n")
    };
    (1..=40).map(line).collect::<Vec<_>>().concat()
}

const BAD: &str = "SH-001,Again,again@people.example,,en\n\
                   SH-041,Typo,typo@people.example,Amercia/Denver,en\n\
                   SH-042,Address,nobody at home,,en\n\
                   SH-043,Tongue,tongue@people.example,,Klingon\n";

/// Returns the dark modules that a page's QR code draws.
fn modules(svg: &str) -> BTreeSet<(usize, usize)> {
    let path = between(svg, " d=\"", "\"").unwrap();
    let run = |run: &str| {
        let (place, length) = run.split_once('h').unwrap();
        let (column, row) = place.split_once(' ').unwrap();
        let (column, row): (usize, usize) =
            (column.parse().unwrap(), row.trim_end_matches(".5").parse().unwrap());
        (column..column + length.parse::<usize>().unwrap())
            .map(|column| (column - 4, row - 4))
            .collect::<Vec<_>>()
    };
    path.split('M').skip(1).flat_map(run).collect()
}

/// Returns the dark modules of a text's QR code.
fn modules_of(text: &str) -> BTreeSet<(usize, usize)> {
    let code = QrCode::new(text).unwrap();
    let (width, colors) = (code.width(), code.to_colors());
    (0..colors.len()).filter(|at| colors[*at] == Color::Dark).map(|at| (at % width, at / width)).collect()
}

fn links(page: &str) -> Vec<String> {
    let values = page.split("readonly value=\"").skip(1);
    values.map(|value| value.split('"').next().unwrap().to_owned()).collect()
}

fn find_link(letter: &str) -> String {
    letter
        .split_whitespace()
        .find(|word| word.contains("/ow/?code="))
        .unwrap_or_else(|| panic!("{letter}"))
        .to_owned()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story")]
fn forty_people_are_invited_by_mail_and_a_refused_mail_can_be_corrected() {
    let mut world = World::new();
    let mail = MailServer::start();
    mail.answer("p3@people.example", "550 no such user here");
    mail.answer("p4@people.example", "451 come back later");
    let clock = world.clock_in_a_file();
    let variables = mail.variables();
    let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    variables.push(("JHE_OW_CLOCK", &clock));
    let served = Served::with(&world, &variables);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let page = format!("/admin/studies/{study}/invite");

    let file = [b"\xef\xbb\xbf", format!("{}{BAD}", forty()).as_bytes()].concat();
    let preview = operator.upload(&page, &page, &[("people", ""), ("language", "en")], &file);
    assert!(preview.body.contains("41 of 44 lines are ready"), "{}", preview.body);
    for words in [
        "SH-001 is on an earlier line too",
        "is it America/Denver?",
        "“nobody at home” is no e-mail address",
        "“Klingon” is no language of the mails and pages: English is used",
        "no e-mail address: hand out the link on paper",
        "SH-041,Typo,typo@people.example,America/Denver,en",
    ] {
        assert!(preview.body.contains(words), "{words} is not in {}", preview.body);
    }
    assert!(
        operator.get("/admin/patients").body.contains("There are no patients yet"),
        "a preview saves nothing"
    );

    let make = format!("{page}/make");
    let hidden = preview.hidden(&make);
    let mut fields: Vec<_> = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("how", "mail"));
    let made = operator.post(&make, &fields);
    assert!(made.body.contains("41 participants added. 40 mails on the way"), "{}", made.body);
    assert_eq!(links(&made.body).len(), 1, "the page shows the link of the patient without an address");
    let again = operator.post(&make, &fields);
    assert!(again.body.contains("Nobody was added"), "{}", again.body);
    assert_eq!(links(&again.body), links(&made.body), "sending the same form again shows the same links");

    until("the mails have arrived", || mail.letters().len() == 38);
    assert_eq!(one::<i64>(&world, "SELECT count(*) FROM patients"), 41);
    for address in ["again@people.example", "typo@people.example"] {
        assert!(mail.letters_to(address).is_empty(), "no mail is sent for an invalid line");
    }
    let letter = mail.letters_to("p1@people.example").remove(0);
    for part in [
        "From: \"Study Team\" <study@example.org>",
        "Subject: Your invitation from Lifespan Lab\n",
        "MIME-Version: 1.0",
        "Message-ID: <mail-",
        "@example.org>",
        "Date: Sat, 21 Nov 2026",
        "Auto-Submitted: auto-generated",
        "Hello Person 1,",
        "until 28 November 2026",
    ] {
        assert!(letter.contains(part), "{part}: {letter}");
    }
    assert!(!letter.to_lowercase().contains("heart") && !letter.contains("Sleep"), "{letter}");
    let spanish = mail.letters_to("p2@people.example").remove(0);
    assert!(spanish.contains("Hola, Person 2:") && spanish.contains("28 de noviembre de 2026"), "{spanish}");
    let link = find_link(&letter);
    assert_ne!(link, find_link(&spanish));
    assert_eq!(served.visitor().get(&link).heading(), "Would you like to share your data?");
    let code = link.split_once("code=").unwrap().1;
    let stored = ["", "-wal"]
        .map(|end| std::fs::read(format!("{}{end}", world.database().display())).unwrap_or_default());
    assert!(
        !stored.concat().windows(code.len()).any(|window| window == code.as_bytes()),
        "the store has no link"
    );

    // The page shows the refusal. After the address is corrected, the mail is sent; the deferred mail is sent without
    // action.
    let open = operator.get(&page).body;
    assert!(open.contains("mail refused") && open.contains("550 no such user here"), "{open}");
    assert!(open.contains("mail waits") && open.contains("451 come back later"), "{open}");
    let refused = one::<i64>(&world, "SELECT patient_id FROM mails WHERE state = 'refused'");
    let person = format!("/admin/patients/{refused}");
    assert!(operator.get(&person).body.contains("550 no such user here"));
    let home = operator.get("/admin").body;
    assert!(home.contains("mail not sent") && home.contains(&format!("{person}?open=mails#mails")), "{home}");
    let fields =
        [("name", "Person 3"), ("email", "right@people.example"), ("tz", "UTC"), ("study", study.as_str())];
    assert_eq!(operator.submit(&format!("{person}/edit"), &format!("{person}/edit"), &fields).status, 303);
    let sent = operator.submit(&person, &format!("{person}/mails"), &[]);
    assert_eq!(sent.location(), format!("{person}?done=mail#mails"), "{}", sent.body);
    until("the mail to the corrected address arrives", || mail.letters_to("right@people.example").len() == 1);
    assert!(!operator.get("/admin").body.contains("mail not sent"));
    mail.answer("p4@people.example", "");
    world.pass(Duration::from_mins(2));
    world.clock_in_a_file();
    until("the deferred mail arrives", || mail.letters_to("p4@people.example").len() == 1);

    // "Send again" creates a new link and revokes the old one.
    let first = one::<i64>(&world, "SELECT id FROM patients WHERE email = 'p1@people.example'");
    let person = format!("/admin/patients/{first}");
    operator.submit(&person, &format!("{person}/mails"), &[]);
    until("a mail with a new link arrives", || mail.letters_to("p1@people.example").len() == 2);
    let newer = find_link(&mail.letters_to("p1@people.example")[1]);
    until("the old link is revoked", || served.visitor().get(&link).status == 403);
    assert_eq!(served.visitor().get(&newer).status, 200);
    let audit = world.run(&["audit", "list", "--json", "--limit", "1000"]).stdout;
    for action in ["mail.queue", "mail.sent", "mail.refused"] {
        assert!(audit.contains(action), "{action} is not in {audit}");
    }
    assert!(
        !audit.contains("people.example") && !audit.contains("no such user"),
        "the audit has no text of the mail server"
    );
    let erased = world.run(&["patient", "erase", &first.to_string(), "--yes"]);
    assert_eq!(erased.code, 0, "{erased:?}");
    assert_eq!(one::<i64>(&world, &format!("SELECT count(*) FROM mails WHERE patient_id = {first}")), 0);
    served.stop("TERM");
}

#[test]
fn links_are_handed_out_as_csv_and_on_a_sheet_without_names() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let page = format!("/admin/studies/{study}/invite");
    let list = (1..=12).map(|n| format!("T{n}\t=Canary{n}")).collect::<Vec<_>>().join("\n");
    let too_many = "X-1\n".repeat(1001);
    let refused = operator.submit(&page, &page.clone(), &[("people", &too_many)]);
    assert!(refused.status == 400 && refused.body.contains("more than 1000 people"), "{}", refused.status);

    let preview = operator.submit(&page, &page.clone(), &[("people", &list)]);
    let made = operator.post(
        &format!("{page}/make"),
        &preview
            .hidden(&format!("{page}/make"))
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect::<Vec<_>>(),
    );
    let shown = links(&made.body);
    assert_eq!(shown.len(), 10, "the sheet has ten links on a page");
    let first = between(&made.body, "<svg", "</svg>").unwrap();
    assert_eq!(modules(first), modules_of(&shown[0]), "the QR code encodes the link");
    assert_eq!(served.visitor().get(&shown[0]).heading(), "Would you like to share your data?");

    let send = |what: &str| {
        let action = format!("{page}/{what}");
        let fields = made.hidden(&action);
        operator.post(&action, &fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>())
    };
    assert_eq!(links(&send("links").body).len(), 2, "the sheet's next page follows");
    let csv = send("csv");
    let mut table = csv::Reader::from_reader(csv.body.as_bytes());
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[0][0], &rows[0][1]), (12, "T1", "'=Canary1"), "{}", csv.body);
    assert_eq!(&rows[0][3], shown[0]);
    let sheet = send("sheet").body;
    assert_eq!((sheet.matches("<svg").count(), sheet.contains("Canary")), (12, false), "{sheet}");
    assert!(sheet.contains("width=\"40mm\"") && sheet.contains("28 November 2026"), "{sheet}");
    let audit = world.run(&["audit", "list", "--json", "--limit", "1000"]).stdout;
    assert!(audit.contains("csv study 1 12") && audit.contains("sheet study 1 12"), "{audit}");

    // The invitation page has the link, a QR code and a prepared mail.
    let patient = one::<i64>(&world, "SELECT min(id) FROM patients").to_string();
    let person = format!("/admin/patients/{patient}");
    let single = operator.submit(&person, &format!("{person}/invite"), &[("study", &study)]);
    let (link, svg) = (single.secret(), between(&single.body, "<svg", "</svg>").unwrap());
    assert_eq!(modules(svg), modules_of(&link));
    assert!(single.body.contains("href=\"mailto:?subject=Your%20invitation"), "{}", single.body);
    assert_eq!(served.visitor().get(&shown[0]).status, 403, "the earlier link is revoked");

    // The study's own mail text is validated on saving.
    let (mails, text) = (format!("/admin/studies/{study}/mails"), ("subject-invitation-en", "For {name}"));
    let save = |body: &str| {
        let fields = [("kind", "invitation"), ("language", "en"), text, ("body-invitation-en", body)];
        let hidden = operator.get(&mails).hidden(&mails);
        let token = hidden.iter().find(|(name, _)| name == "form_token").unwrap();
        operator.post(&mails, &[&[("form_token", token.1.as_str())], fields.as_slice()].concat())
    };
    let wrong = save("Dear {nome}, {link}");
    assert!(wrong.status == 400 && wrong.body.contains("is no placeholder"), "{}", wrong.body);
    assert!(save("Your heart rate: {link}").body.contains("names no measurement"));
    assert_eq!(save("Dear {name}, {link}").status, 303);
    let single = operator.submit(&person, &format!("{person}/invite"), &[("study", &study)]);
    assert!(
        single.body.contains("href=\"mailto:?subject=For%20%3DCanary1&amp;body=Dear%20"),
        "{}",
        single.body
    );
}

#[test]
fn the_command_line_invites_a_list_and_reports_each_bad_line() {
    let mut world = World::new();
    let served = Served::start(&world);
    make_study(&served.operator(&world), "Sleep");
    served.stop("TERM");
    let path = |name: &str| world.directory.path().join(name).display().to_string();
    let (list, csv, sheet) = (path("people.csv"), path("links.csv"), path("sheet.html"));
    std::fs::write(&list, format!("number;name;email;tz;language\n{}", forty().replace(',', ";"))).unwrap();
    let invite = ["invite", "--study", "1", "--from", &list];
    let ran = world.run(&[&invite[..], &["--mail"]].concat());
    assert!(ran.code == 2 && ran.stderr.contains("no mail server is configured"), "{ran:?}");
    let ran = world.run(&[&invite[..], &["--csv", &csv, "--sheet", &sheet]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("40 participants added, 0 mails queued"), "{ran:?}");
    for file in [&csv, &sheet] {
        assert_eq!(
            std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600,
            "the file contains links and must be private"
        );
    }
    let sheet = std::fs::read_to_string(&sheet).unwrap();
    assert_eq!((sheet.matches("<svg").count(), sheet.contains("Person 1")), (40, false));
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), 41);

    std::fs::write(&list, format!("SH-050,Late,late@people.example\n{BAD}")).unwrap();
    let mail = MailServer::start();
    for (name, value) in mail.variables() {
        world.set(name, &value);
    }
    let ran = world.run(&[&invite[..], &["--mail", "--csv", &csv]].concat());
    assert!(
        ran.code == 2 && ran.stderr.contains("does not exist yet"),
        "an existing file is not replaced: {ran:?}"
    );
    let ran = world.run(&[&invite[..], &["--mail"]].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    for line in [
        "line 2: left out: SH-001 is a participant of the study already",
        "line 3: left out: there is no time zone “Amercia/Denver”; is it America/Denver?",
        "line 4: left out: “nobody at home” is no e-mail address",
        "line 5: note: “Klingon” is no language",
        "2 participants added, 2 mails queued for the running daemon, 3 left out",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {ran:?}");
    }
    let served = Served::start(&world);
    until("the daemon sends the mails", || mail.letters().len() == 2);
    assert_eq!(served.visitor().get(&find_link(&mail.letters_to("late@people.example")[0])).status, 200);
    served.stop("TERM");
}
