//! A silence is alerted once, to each configured channel, without names or measurements.

use jhe_ow::common::time::Timestamp;
use jhe_ow::secrets::webhook_signature::WebhookSecret;
use jhe_ow::simulator::fault::Fault;

use crate::support::alert_receivers::*;
use crate::support::harness::*;
use crate::support::watched_patient::*;

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn is_signed(posted: &Posted, now: Timestamp) -> bool {
    let header = |name: &str| posted.headers[name].as_str();
    let secret = WebhookSecret::parse(&SIGNING.to_owned().into()).unwrap();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    secret.verify(id, at, posted.body.as_bytes(), header("webhook-signature"), now).is_ok()
}

#[test]
fn each_silence_is_alerted_once_across_restarts() {
    let mut watched = Watched::new();
    let webhook = Webhook::start();
    let url = webhook.url();
    let variables = [
        ("JHE_OW_ALERTS_WEBHOOK", url.as_str()),
        ("JHE_OW_ALERTS_WEBHOOK_SECRET", SIGNING),
        ("JHE_OW_PUBLIC_URL", "https://ow.example.org"),
    ];
    let served = watched.serve(&variables);
    watched.ticks();
    assert!(webhook.posted().is_empty(), "no patient is silent yet");
    let since = watched.world.now.minus(FIVE_MINUTES);
    watched.pass(DAY * 2);
    until("the alert is sent", || !webhook.posted().is_empty());
    watched.ticks();
    served.stop("TERM");
    let served = watched.serve(&variables);
    watched.ticks();
    assert_eq!(webhook.kinds(), ["silent"]);
    let told = &webhook.posted()[0];
    assert!(is_signed(told, watched.world.now), "{told:?}");
    let body = told.json();
    assert_eq!(body["patient"].to_string(), watched.patient);
    assert_eq!(
        (body["since"].as_str(), body["cause"].as_str()),
        (Some(since.to_string().as_str()), Some("not_worn"))
    );
    assert_eq!(body["link"], format!("https://ow.example.org/admin/patients/{}", watched.patient));
    watched.measure(62.5);
    until("the end of the silence is alerted", || webhook.kinds() == ["silent", "back"]);
    watched.pass(DAY * 2);
    until("the next silence is alerted", || webhook.kinds() == ["silent", "back", "silent"]);
    watched.ticks();
    assert_eq!(webhook.posted().len(), 3);
    for Posted { body, .. } in webhook.posted() {
        for private in ["Rosalind", "Marker", "61.25", "62.5", &watched.user] {
            assert!(!body.contains(private), "{private} is in {body}");
        }
    }
    served.stop("TERM");
}

#[test]
fn an_alert_refused_by_its_receiver_is_retried_and_shown_on_the_page() {
    let mut watched = Watched::new();
    let webhook = Webhook::start();
    webhook.answer_with(500);
    let served = watched.serve(&[("JHE_OW_ALERTS_WEBHOOK", &webhook.url())]);
    watched.ticks();
    watched.pass(DAY * 2);
    until("the first attempt was made", || !webhook.posted().is_empty());
    watched.ticks();
    assert_eq!(webhook.posted().len(), 1, "the retry waits a minute");
    let operator = served.operator(&watched.world);
    let says = "could not be sent yet (webhook): the webhook answered 500";
    until("the overview shows the failed alert", || operator.get("/admin/system").body.contains(says));
    webhook.answer_with(204);
    watched.pass(FIVE_MINUTES);
    until("the alert is sent again", || webhook.posted().len() == 2);
    watched.pass(HOUR);
    watched.ticks();
    assert_eq!(webhook.posted().len(), 2);
    let ids: Vec<_> = webhook.posted().iter().map(|one| one.headers["webhook-id"].clone()).collect();
    assert_eq!(ids[0], ids[1], "a retry has the same message id");
    assert!(!operator.get("/admin/system").body.contains("could not be sent"));
    let ended = served.stop("TERM");
    assert!(!ended.stderr.contains("hidden-part") && !ended.stdout.contains("hidden-part"), "{ended:?}");
}

/// Returns the configuration of alerts by mail through the server of this port.
fn by_mail(port: u16) -> [(&'static str, String); 3] {
    [
        ("JHE_OW_ALERTS_SMTP_URL", format!("smtp://127.0.0.1:{port}")),
        ("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org".to_owned()),
        ("JHE_OW_ALERTS_MAIL_TO", "ada@example.org".to_owned()),
    ]
}

/// Checks that a silence and its end are alerted while the other of the two channels never answers.
fn alerts_despite_an_unresponsive_channel(webhook: &str, mail: u16, told: impl Fn() -> usize) {
    let mut watched = Watched::new();
    let mail = by_mail(mail);
    let mail = mail.iter().map(|(name, value)| (*name, value.as_str()));
    let served = watched.serve(&mail.chain([("JHE_OW_ALERTS_WEBHOOK", webhook)]).collect::<Vec<_>>());
    watched.ticks();
    watched.pass(DAY * 2);
    until("the silence is alerted", || told() == 1);
    watched.measure(62.5);
    until("the end of the silence is alerted", || told() == 2);
    served.stop("TERM");
}

#[test]
fn an_unresponsive_mail_server_does_not_delay_the_webhook() {
    let webhook = Webhook::start();
    alerts_despite_an_unresponsive_channel(&webhook.url(), mute(), || webhook.posted().len());
}

#[test]
fn an_unresponsive_webhook_does_not_delay_the_mail() {
    let mail = MailServer::start();
    alerts_despite_an_unresponsive_channel(&format!("http://127.0.0.1:{}/", mute()), mail.port, || {
        mail.letters().len()
    });
}

#[test]
fn alerts_follow_no_redirect() {
    let mut world = World::bare();
    let (webhook, elsewhere) = (Webhook::start(), Webhook::start());
    webhook.move_to(&elsewhere.url());
    world.set("JHE_OW_ALERTS_WEBHOOK", &webhook.url());
    let ran = world.run(&["alerts", "test"]);
    assert!(ran.code == 1 && ran.stderr.contains("the webhook answered 307"), "{ran:?}");
    assert!(elsewhere.posted().is_empty());
}

#[test]
fn alerts_wait_for_the_first_tick_after_a_restart() {
    let mut watched = Watched::new();
    let webhook = Webhook::start();
    let served = watched.serve(&[]);
    watched.ticks();
    served.stop("TERM");
    watched.pass(DAY * 2);
    watched.measure(62.5);
    watched.world.sim.set_latency(std::time::Duration::from_millis(300));
    let served = watched.serve(&[("JHE_OW_ALERTS_WEBHOOK", &webhook.url())]);
    watched.ticks();
    assert!(
        webhook.posted().is_empty(),
        "samples of the downtime were at OW, so no alert is sent: {:?}",
        webhook.kinds()
    );
    served.stop("TERM");
}

#[test]
fn a_silence_is_alerted_by_mail() {
    let mut watched = Watched::new();
    let mail = MailServer::start();
    let url = format!("smtp://127.0.0.1:{}", mail.port);
    let served = watched.serve(&[
        ("JHE_OW_ALERTS_SMTP_URL", &url),
        ("JHE_OW_ALERTS_SMTP_USER", "jhe-ow"),
        ("JHE_OW_ALERTS_SMTP_PASSWORD", "not-to-be-seen"),
        ("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org"),
        ("JHE_OW_ALERTS_MAIL_TO", "ada@example.org, grace@example.org"),
    ]);
    watched.ticks();
    watched.pass(DAY * 2);
    until("the alert is sent", || !mail.letters().is_empty());
    watched.ticks();
    let letters = mail.letters();
    assert_eq!(letters.len(), 1);
    for part in
        ["From: jhe-ow@example.org", "ada@example.org", "grace@example.org", "Subject: jhe-ow: patient"]
    {
        assert!(letters[0].contains(part), "{part}: {}", letters[0]);
    }
    for private in ["Rosalind", "61.25", &watched.user] {
        assert!(!letters[0].contains(private), "{}", letters[0]);
    }
    let ended = served.stop("TERM");
    assert!(!ended.stderr.contains("not-to-be-seen"), "{ended:?}");
}

#[test]
fn one_alert_covers_many_silences_and_a_stopped_poll_comes_first() {
    let mut watched = Watched::new();
    let others: Vec<String> = (0..6).map(|_| watched.world.patient().0).collect();
    for user in &others {
        watched.world.sim.put(user, watched.world.now.minus(HOUR), 60.0);
    }
    let webhook = Webhook::start();
    let served = watched.serve(&[("JHE_OW_ALERTS_WEBHOOK", &webhook.url())]);
    watched.ticks();
    for user in others.iter().chain([&watched.user]) {
        watched.world.sim.set_fault(user, Some(Fault::Garbage));
    }
    watched.ticks();
    watched.pass(HOUR * 3);
    until("the failed polling is alerted", || webhook.kinds() == ["stuck"]);
    watched.pass(DAY * 2);
    until("the silences are alerted", || webhook.kinds() == ["stuck", "several"]);
    watched.ticks();
    assert_eq!(webhook.posted().len(), 2);
    let body = webhook.posted()[1].json();
    let alerts = body["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 7);
    assert!(alerts.iter().all(|alert| alert["cause"] == "ow_down"), "{body}");
    served.stop("TERM");
}

#[test]
fn a_test_message_goes_to_everything_that_is_configured() {
    let mut world = World::bare();
    let ran = world.run(&["alerts", "test"]);
    assert!(ran.code == 2 && ran.stderr.contains("no alerts are configured"), "{ran:?}");
    let (webhook, mail) = (Webhook::start(), MailServer::start());
    world.set("JHE_OW_ALERTS_WEBHOOK", &webhook.url());
    world.set("JHE_OW_ALERTS_SMTP_URL", &format!("smtp://127.0.0.1:{}", mail.port));
    world.set("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org");
    world.set("JHE_OW_ALERTS_MAIL_TO", "ada@example.org");
    let ran = world.run(&["alerts", "test"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "webhook: sent\nmail: sent\n"), "{ran:?}");
    assert_eq!((webhook.kinds(), mail.letters().len()), (vec!["test".to_owned()], 1));
    webhook.answer_with(410);
    let ran = world.run(&["alerts", "test"]);
    assert!(ran.code == 1 && ran.stderr.contains("the webhook answered 410"), "{ran:?}");
    assert!(!ran.stderr.contains("hidden-part"), "{ran:?}");
}
