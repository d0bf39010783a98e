//! The strength of passwords, waits after wrong ones, and alerts about guessing.

use std::time::Duration;

use reqwest::Method;

use crate::support::alert_receivers::{MailServer, Posted, Webhook};
use crate::support::authenticator::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

const PROXY: (&str, &str) = ("JHE_OW_TRUSTED_PROXIES", "127.0.0.1");

/// Signs in from a separate address, so that the limit by address does not apply.
fn sign_in_from(visitor: &Visitor, number: usize, name: &str, password: &str) -> Answer {
    let token = visitor.get("/admin/sign-in").hidden("/admin/sign-in")[0].1.clone();
    let address = format!("198.51.100.{number}");
    let headers = [("Origin", visitor.base.as_str()), ("X-Forwarded-For", &address)];
    let fields = [("form_token", token.as_str()), ("name", name), ("password", password)];
    visitor.send(Method::POST, "/admin/sign-in", &headers, Some(&fields))
}

#[test]
fn a_password_that_is_easy_to_guess_is_refused_with_the_reason() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    for (weak, told) in [
        ("password1234", "easy to guess"),
        ("jhe-ow-jhe-ow1", "or jhe-ow"),
        ("qwertyuiop123456", "easy to guess"),
        ("abcabcabcabcabc", "Repeats like"),
        ("short", "at least 12 characters"),
    ] {
        let fields = [("current", PASSWORD), ("password", weak), ("again", weak)];
        let answer = operator.submit("/admin/password", "/admin/password", &fields);
        assert!(answer.status == 400 && answer.body.contains(told), "{weak}: {}", answer.body);
        let ran = with_input(&world, &["admin", "set-password"], weak);
        assert!(ran.code == 2 && ran.stderr.contains(told), "{ran:?}");
    }
}

#[test]
fn guessing_waits_for_a_minute_at_most_and_never_locks_out_a_known_browser() {
    let mut world = World::new();
    let served = serve(&world, &[PROXY]);
    let owner = served.operator(&world);
    let stranger = served.visitor();
    let guess = |number: usize, name: &str| sign_in_from(&stranger, number, name, "wrong wrong wrong");
    let statuses = |name: &str| -> Vec<u16> { (1..8).map(|number| guess(number, name).status).collect() };
    let guessed = statuses("operator");
    assert_eq!(
        guessed,
        [403, 403, 403, 403, 403, 429, 429],
        "the limit holds although each attempt has another address"
    );
    assert_eq!(statuses("nobody"), guessed, "unknown names are limited in the same way");
    assert_eq!(
        sign_in_from(&stranger, 9, "operator", PASSWORD).status,
        429,
        "the right password must wait too"
    );
    owner.submit("/admin", "/admin/sign-out", &[]);
    assert_eq!(
        sign_in_from(&owner, 10, "operator", PASSWORD).status,
        303,
        "the owner's known browser is not limited"
    );
    for number in 0..12 {
        wait(&mut world, Duration::from_mins(1));
        let answer = sign_in_from(&stranger, 20 + number, "operator", "wrong wrong wrong");
        assert_eq!(answer.status, 403, "attempt {number}: a wait of one minute is enough");
    }
    wait(&mut world, Duration::from_mins(1));
    assert_eq!(sign_in_from(&served.visitor(), 40, "operator", PASSWORD).status, 303);
}

#[test]
fn codes_cannot_be_guessed_with_the_password() {
    let mut world = World::new();
    let served = serve(&world, &[PROXY]);
    let operator = served.operator(&world);
    Authenticator::set_up(&operator, &world);
    wait(&mut world, STEP);
    let stranger = served.visitor();
    let mut refused = 0;
    for number in 1..10 {
        match sign_in_from(&stranger, number, "operator", PASSWORD).status {
            303 => assert_eq!(give_code(&stranger, "000000").status / 100, 4),
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(refused >= 5, "a right password must not test a code during the wait: {refused}");
}

#[test]
fn many_wrong_passwords_raise_one_alert() {
    let mut world = World::new();
    let webhook = Webhook::start();
    world.set("JHE_OW_ALERTS_WEBHOOK", &webhook.url());
    world.setting("module.ow", "false");
    let served = serve(&world, &[PROXY]);
    set_password(&world, "operator", PASSWORD);
    let stranger = served.visitor();
    for number in 1..=25 {
        wait(&mut world, Duration::from_mins(1));
        assert_eq!(sign_in_from(&stranger, number, "operator", "wrong wrong wrong").status, 403);
    }
    until("the alert is sent", || webhook.kinds().contains(&"many-sign-ins".to_owned()));
    let posted = webhook.posted();
    let told: Vec<_> = posted.iter().map(Posted::json).filter(|one| one["kind"] == "many-sign-ins").collect();
    assert_eq!(told.len(), 1);
    let text = told[0]["text"].as_str().unwrap();
    assert!(text.contains("20 failed sign-ins of one account") && !text.contains("operator"), "{text}");
}

#[test]
fn a_sign_in_from_a_new_browser_is_told_to_the_account_by_mail() {
    let mut world = World::new();
    let mail = MailServer::start();
    world.set("JHE_OW_ALERTS_SMTP_URL", &format!("smtp://127.0.0.1:{}", mail.port));
    world.set("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org");
    world.set("JHE_OW_ALERTS_MAIL_TO", "ops@example.org");
    let served = serve(&world, &[]);
    let operator = served.operator(&world);
    let form = "/admin/account/email";
    let wrong = operator.submit("/admin/account", form, &[("email", "no address")]);
    assert!(wrong.status == 400 && wrong.body.contains("Give an address such as"), "{}", wrong.body);
    let set = operator.submit("/admin/account", form, &[("email", "ada@example.org")]);
    assert_eq!(set.status, 303, "{}", set.body);
    assert_eq!(
        operator.sign_in("operator", PASSWORD).status,
        303,
        "a sign-in from a known browser sends no mail"
    );
    assert_eq!(served.visitor().sign_in("operator", PASSWORD).status, 303);
    until("the mail about the new browser is sent", || !mail.letters().is_empty());
    served.stop("TERM");
    let letters = mail.letters();
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = letters[0].replace("=\r\n", "");
    assert!(letter.contains("ada@example.org") && !letter.contains("ops@example.org"), "{letter}");
    assert!(letter.contains("from a new browser") && letter.contains("/admin/account"), "{letter}");
}
