//! Patients read every page in their language. A study's text is in the study's own words, and a consent keeps the
//! displayed text.

use std::collections::BTreeSet;

use jhe_ow::i18n::language::Language;
use jhe_ow::model::catalog::series::SERIES;
use jhe_ow::simulator::vitals::compute_vitals;

use crate::support::harness::*;
use crate::support::jhe_patient;
use crate::support::page_texts::*;
use crate::support::running_daemon::*;

/// Names of the study, people and devices, which are not translated.
const NAMES: &[&str] = &[
    "Sleep",
    "Lifespan Lab",
    "Ada Example, ada@example.org.",
    "To learn how hearts behave at night.",
    "Oura",
    "Garmin",
    "jhe-ow",
];
const SPANISH: [(&str, &str); 4] = [
    ("title", "Sueño"),
    ("organization", "Laboratorio Lifespan"),
    ("purpose", "Para saber cómo late el corazón de noche."),
    ("contact", "Ada Example, ada@example.org"),
];

/// Symbols and brand names, in lower case, that are the same in every language.
const SYMBOLS: &[&str] = &["cet", "garmin", "h", "kcal", "kg", "min", "ml", "mmhg", "ms", "oura", "utc"];

/// Checks pages in one language.
struct Reading<'a> {
    language: &'a str,
    bundle: Bundle,
    more: &'a [&'a str],
}

impl<'a> Reading<'a> {
    fn new(language: &'a str, more: &'a [&'a str]) -> Self {
        Self { language, bundle: Bundle::read(language), more }
    }

    fn look(&self, what: &str, answer: &Answer) {
        let page = &answer.body;
        assert!(page.contains(&format!("<html lang=\"{}\"", self.language)), "{what}: {page}");
        assert!(!page.contains(['\u{2068}', '\u{2069}']), "{what} has isolation marks");
        for text in texts_of(page, self.language) {
            let known = |text: &str| {
                NAMES.contains(&text)
                    || self.more.contains(&text)
                    || self.bundle.has(text)
                    || text.split_once(": ").is_some_and(|(name, covers)| {
                        self.bundle.has(name) && self.bundle.has(&capital(covers))
                    })
            };
            assert!(
                text.split(" · ").all(known),
                "{what} in {}: “{text}” is not in the language's bundle",
                self.language
            );
        }
    }

    /// Checks each word of a page, including drawings, to catch concatenated texts. Returns the main content.
    fn look_at_words<'b>(&self, what: &str, page: &'b str) -> &'b str {
        let main = between(page, "<main", "</main>").unwrap_or_else(|| panic!("{what}: {page}"));
        let known = self.bundle.words();
        let labels = main.split("aria-label=\"").skip(1).map(|label| label.split('"').next().unwrap());
        let texts = main.split('>').skip(1).map(|text| text.split('<').next().unwrap());
        for text in texts.chain(labels) {
            for word in text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.len() > 1) {
                let word = word.to_lowercase();
                assert!(known.contains(&word) || SYMBOLS.contains(&&*word), "{what}: “{word}” in “{text}”");
            }
        }
        main
    }

    /// Opens a page and checks it.
    fn open(&self, visitor: &Visitor, path: &str) -> Answer {
        let answer = visitor.get(path);
        self.look(path, &answer);
        answer
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[test]
fn every_page_of_a_patient_is_in_every_language() {
    for language in Language::all().map(Language::tag) {
        let world = World::new();
        world.sim.set_configured(&["oura", "garmin"]);
        let served = Served::start(&world);
        world.sim.set_api_base(&served.url());
        let operator = served.operator(&world);
        let study = make_study(&operator, "Sleep");
        let patient = make_patient(&operator, "P-1", &study);
        let more: Vec<&str> =
            SPANISH.iter().map(|(_, text)| *text).chain(["Ada Example, ada@example.org."]).collect();
        let reading = Reading::new(language, &more);
        if language == "es" {
            let page = format!("/admin/studies/{study}/consent-text");
            let asked = format!("{page}?language=es");
            assert_eq!(operator.submit(&asked, &page, &SPANISH).status, 303);
        }
        // If the study has no data sources, the patient chooses the device.
        let settings = format!("/admin/studies/{study}/settings");
        let terms = [("name", NAMES[0]), ("organization", NAMES[1]), ("purpose", NAMES[3])];
        let fields = [terms.as_slice(), &[("contact", SPANISH[3].1), ("scope", HEART_RATE)]].concat();
        assert_eq!(operator.submit(&settings, &settings, &fields).status, 303);
        let (visitor, other) = (served.visitor(), served.visitor());
        for one in [&visitor, &other] {
            one.get(&format!("/?lang={language}"));
        }
        let unknown = format!("/ow/?code={}", "A".repeat(43));
        for path in [
            "/",
            "/nothing",
            "/ow/?code=x",
            "/ow/",
            &unknown,
            "/clients/ow/manage",
            "/clients/ow/complete",
            "/clients/ow/new-link",
        ] {
            reading.open(&visitor, path);
        }
        let link = invite(&operator, &patient);
        reading.open(&visitor, &link);
        for answer in ["agree", "decline"] {
            reading.look(answer, &visitor.submit(&link, "/clients/ow/agree", &[("answer", answer)]));
        }
        assert_eq!(agree(&visitor, &link, &study).status, 303);
        reading.open(&other, &link);
        for path in [
            "connect",
            "leave?provider=oura",
            "manage",
            "complete",
            "complete?result=refused&provider=oura",
            "complete?result=stale",
            "complete?result=failed",
            "complete?provider=oura",
        ] {
            reading.open(&visitor, &format!("/clients/ow/{path}"));
        }
        let buttons = provider_buttons(&visitor);
        let back = visitor.get(&buttons["agree"]);
        reading.open(&visitor, back.location());
        reading.open(&other, &link);
        reading.look_at_words("data", &visitor.get("/clients/ow/data").body);
        for done in [
            "granted",
            "changed",
            "time-zone",
            "disconnected",
            "disconnecting",
            "reminders-on",
            "reminders-stopped",
        ] {
            reading.open(&visitor, &format!("/clients/ow/manage?done={done}"));
        }
        let shown = reading.open(&visitor, "/clients/ow/manage").body;
        let month = if language == "es" { "21 de noviembre de 2026" } else { "21 November 2026" };
        assert!(shown.contains(month), "dates are in the patient's language: {shown}");
        reading.look("stop", &visitor.submit("/clients/ow/manage", "/clients/ow/withdraw", &[]));
        let stopped = visitor.submit("/clients/ow/manage", "/clients/ow/withdraw", &[("sure", "yes")]);
        let named = reading.open(&visitor, stopped.location()).body;
        let notice = between(&named, "role=\"status\">", "<").unwrap();
        assert!(
            notice.contains(if language == "es" { "frecuencia cardíaca" } else { "heart rate" }),
            "{notice}"
        );
        reading.open(&visitor, "/clients/ow/complete");
        reading.open(&visitor, "/clients/ow/leave?provider=oura");
        let forged = visitor.post("/clients/ow/grant", &[("form_token", "x")]);
        reading.look("a forged form", &forged);
        reading.look("sign-out", &visitor.submit("/clients/ow/manage", "/clients/ow/sign-out", &[]));
        reading.open(&visitor, &link);
    }
}

#[test]
fn charts_and_their_tables_are_in_spanish() {
    let world = World::new();
    let served = Served::start(&world);
    let study = make_study(&served.operator(&world), "Sleep");
    served.stop("TERM");
    let user = world.sim.add_user();
    let add =
        ["patient", "add", "--name", "A", "--tz", "Europe/Berlin", "--study", &study, "--ow-user", &user];
    let consents = SERIES.iter().map(|series| series.code).collect::<BTreeSet<_>>();
    let consents = consents.into_iter().flat_map(|code| ["--consent", code]).chain(["--reason", "paper"]);
    let ran = world.run(&add.into_iter().chain(consents).collect::<Vec<_>>());
    assert_eq!(ran.code, 0, "{ran:?}");
    let patient = ran.stdout.trim().to_owned();
    let vitals = compute_vitals(1, true, world.now.minus(DAY * 6), world.now);
    vitals.rows.into_iter().for_each(|row| world.sim.put_row(&user, row));
    for event in vitals.events {
        world.sim.put_event(&user, event);
    }
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.run(&["poll", "--window", "7d"]).code, 0);
    let served = Served::start(&world);
    let visitor = served.visitor();
    let link = invite(&served.operator(&world), &patient);
    visitor.get("/?lang=es");
    assert_eq!(agree(&visitor, &link, &study).status, 303);
    let reading = Reading::new("es", &[]);
    for query in ["", "?period=day", "?period=12weeks", "?until=2026-11-01"] {
        let page = visitor.get(&format!("/clients/ow/data{query}")).body;
        let main = reading.look_at_words(query, &page);
        assert!(!main.contains("lang=\"en\""), "{main}");
        if query.is_empty() {
            for words in [
                "<text class=\"unit\" x=\"-48\" y=\"10\">lpm</text>",
                "Noche al sábado 21 de noviembre",
                "en 24 h",
            ] {
                assert!(main.contains(words), "{words}: {main}");
            }
        }
    }
}

#[test]
fn the_pages_of_a_patient_of_jhe_are_in_spanish() {
    let scene = jhe_patient::Scene::new();
    let reading = Reading::new("es", &["Lifespan", "Lab", "Lab.", "Oura"]);
    let token = scene.jhe.make_invitation(jhe_patient::PATIENT);
    let link = format!("{}&lang=es", scene.link(&token));
    reading.open(&scene.browser, &link);
    assert_eq!(scene.go_on(&token).location(), "/clients/ow/ask");
    let asks = reading.open(&scene.browser, "/clients/ow/ask").body;
    assert!(asks.contains("Este estudio aún no tiene un texto en español"), "{asks}");
    for answer in ["agree", "decline"] {
        let answered = scene.browser.submit("/clients/ow/ask", "/clients/ow/answer", &[("answer", answer)]);
        reading.look(answer, &answered);
    }
    scene.jhe.state().consents_broken = true;
    reading.open(&scene.browser, "/clients/ow/ask");
}

#[test]
fn a_consent_keeps_the_language_that_was_read_and_the_study_wrote() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Sleep");
    let patient = make_patient(&operator, "P-1", &study);
    let link = invite(&operator, &patient);
    let spanish = |path: &str| {
        let accepts = [("Accept-Language", "es-MX,es;q=0.9,en;q=0.8")];
        served.visitor().send(reqwest::Method::GET, path, &accepts, None).body
    };
    let page = spanish(&link);
    assert!(page.contains("<html lang=\"es\"") && page.contains("¿Quiere compartir sus datos?"), "{page}");
    assert!(page.contains("aún no tiene un texto en español. Su texto está en inglés"), "{page}");
    let own = between(&page, "<dl class=\"terms\" lang=\"en\">", "</dl>")
        .expect("the study's own words, in their language");
    assert!(own.contains("To learn how hearts behave at night.") && own.contains("How to stop"), "{own}");
    // The study saves a Spanish text twice.
    let edit = format!("/admin/studies/{study}/consent-text");
    let asked = format!("{edit}?language=es");
    let bad = operator.submit(&asked, &edit, &[("title", ""), ("purpose", "x")]);
    assert!(bad.status == 400 && bad.body.contains("Name: give a name"), "{}", bad.body);
    let mut first = SPANISH;
    first[2].1 = "Para aprender.";
    for text in [first, SPANISH] {
        assert_eq!(operator.submit(&asked, &edit, &text).status, 303);
    }
    let listed = operator.get(&asked).body;
    assert!(
        listed.contains("Version 2") && listed.contains("late el corazón") && listed.contains("Cómo dejarlo"),
        "{listed}"
    );
    assert!(operator.get(&format!("{asked}&version=1")).body.contains("Para aprender."));
    // The patient switches the language, reads and agrees; the record has the displayed language.
    let browser = served.visitor();
    let english = browser.get(&link).body;
    let switch = between(&english, "hreflang=\"es\" href=\"", "\"").unwrap().replace("&amp;", "&");
    let read = browser.get(&switch).body;
    assert!(
        read.contains("Para saber cómo late el corazón de noche.") && !read.contains("hearts behave"),
        "{read}"
    );
    assert!(read.contains("<title>Compartir sus datos · Laboratorio Lifespan</title>"), "{read}");
    assert_eq!(agree(&browser, &link, &study).status, 303);
    let shown = operator.get(&format!("/admin/patients/{patient}")).body;
    let wording = between(&shown, "/consents/", "\"").unwrap();
    let kept = operator.get(&format!("/admin/patients/{patient}/consents/{wording}")).body;
    assert!(
        kept.contains("language es") && kept.contains("late el corazón") && kept.contains("2026-12-01.2"),
        "{kept}"
    );
    // The choice of language persists and can be changed on every page.
    let stays =
        browser.send(reqwest::Method::GET, "/clients/ow/manage", &[("Accept-Language", "en")], None).body;
    assert!(stays.contains("Sus opciones"), "{stays}");
    assert!(browser.get("/clients/ow/manage?lang=en").body.contains("Your choices"));
    assert!(
        browser.get("/clients/ow/manage?lang=tlh").body.contains("Your choices"),
        "an unknown language changes nothing"
    );
    let choices = browser.get("/clients/ow/manage").body;
    assert!(
        choices.contains("<pre lang=\"es\">") && choices.contains("late el corazón"),
        "the displayed consent text keeps its language: {choices}"
    );
}
