//! Pages in a real browser: refusals, back and reload, double clicks, small windows, accessibility.

use jhe_ow::common::clock::Clock;

use crate::support::authenticator::Authenticator;
use crate::support::browser::*;
use crate::support::browser_stage::{Stage, connect};
use crate::support::harness::*;
use crate::support::running_daemon::*;

const PHONE: (u32, u32) = (360, 740);
const DESK: (u32, u32) = (1280, 900);
/// Windows in which each page has to fit: the narrowest that WCAG 2.2 (1.4.10) asks for, a phone, and a desk.
const WINDOWS: [(u32, u32); 3] = [(320, 640), PHONE, DESK];

#[test]
fn a_patient_who_refuses_at_the_provider_can_try_again() {
    if !is_there_a_browser() {
        return;
    }
    let stage = Stage::new();
    let (operator, patient) = (stage.operator(), stage.browser());
    patient.go(&stage.invite(&operator, "P-1"));
    patient.click_css("input[type=checkbox]");
    patient.press("I agree");
    patient.see("Simulated provider");
    patient.click_css("#refuse");
    patient.see("You did not agree");
    patient.press("Try again");
    patient.see("Simulated provider");
    patient.click_css("#fail");
    patient.see("That did not work");
    patient.press("Try again");
    patient.see("Simulated provider");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
    operator.go(&format!("{}/admin/patients", stage.base));
    operator.read("connected");
}

#[test]
fn double_clicks_back_and_reload_do_no_harm() {
    if !is_there_a_browser() {
        return;
    }
    let stage = Stage::new();
    let operator = stage.operator();
    let link = stage.invite(&operator, "P-1");
    let patient = stage.browser();
    patient.resize(PHONE.0, PHONE.1);
    patient.go(&link);
    patient.press("I agree");
    patient.read("Nothing is ticked");
    patient.click_css("input[type=checkbox]");
    patient.run("const yes = document.querySelector('[value=agree]'); yes.click(); yes.click();");
    patient.see("Simulated provider");
    patient.back();
    until("the browser is back on a page of the daemon", || patient.url().starts_with(&stage.base));
    patient.go(&link);
    patient.see("Your choices");
    let shown = stage.world.run(&["patient", "show", "1"]).stdout;
    assert_eq!(shown.matches("granted").count(), 1, "a double click records one consent: {shown}");
    patient.press("Connect a device");
    patient.see("Simulated provider");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
    patient.back();
    patient.go(&format!("{}/clients/ow/complete?provider=oura", stage.base));
    patient.see("Successfully Connected");
    let other = stage.browser();
    other.go(&link);
    other.see("Your device is connected already");
    other.read("ask for a new link");
}

/// Opens every page as the user who sees it.
fn all_pages(stage: &Stage, operator: &Browser, patient: &Browser, mut look: impl FnMut(&Browser, &str)) {
    let at = |path: &str| format!("{}{path}", stage.base);
    let stranger = stage.browser();
    for path in
        ["/", "/admin/sign-in", "/nothing", "/clients/ow/manage", "/ow/?code=x", "/clients/ow/complete"]
    {
        stranger.go(&at(path));
        look(&stranger, path);
    }
    let link = stage.invite(operator, "P-2");
    look(operator, "the invitation");
    patient.go(&link);
    look(patient, "the launch page");
    patient.press("I agree");
    patient.read("Nothing is ticked");
    look(patient, "the launch page with an error");
    connect(patient, &link);
    look(patient, "complete");
    stage.measure(60.0);
    stage.poll();
    for path in ["/clients/ow/manage", "/clients/ow/data", "/clients/ow/complete?result=refused"] {
        patient.go(&at(path));
        look(patient, path);
    }
    patient.go(&at("/clients/ow/manage"));
    patient.press("Stop sharing");
    patient.see("Stop sharing heart rate?");
    look(patient, "withdraw");
    for path in [
        "/admin",
        "/admin/patients",
        "/admin/patients/new",
        "/admin/patients/1",
        "/admin/patients/1/charts",
        "/admin/patients/1/charts/heart_rate?period=week",
        "/admin/patients/1/charts/heart_rate?period=4weeks",
        "/admin/patients/1/edit",
        "/admin/patients/1/observations",
        "/admin/studies",
        "/admin/studies/new",
        "/admin/studies/1",
        "/admin/studies/1/adherence",
        "/admin/studies/1/invite",
        "/admin/studies/1/mails",
        "/admin/studies/1/data",
        "/admin/studies/1/consent-text",
        "/admin/studies/1/consent-text?language=es",
        "/admin/studies/1/settings",
        "/admin/system",
        "/admin/rejected",
        "/admin/audit",
        "/admin/settings",
        "/admin/accounts",
        "/admin/restored",
        "/admin/password",
        "/admin/account",
        "/admin/account/second-factor",
        "/admin/confirm",
        "/admin/kept-form",
    ] {
        operator.go(&at(path));
        look(operator, path);
    }
    operator.go(&at("/admin/studies/new"));
    operator.press("Save");
    operator.read("Please correct this");
    look(operator, "a form with errors");
    second_factor_pages(stage, &mut look);
}

/// Opens the pages of the second factor with a separate account.
fn second_factor_pages(stage: &Stage, look: &mut impl FnMut(&Browser, &str)) {
    assert_eq!(stage.world.run(&["admin", "add", "ada"]).code, 0);
    set_password(&stage.world, "ada", PASSWORD);
    let sign_in = |browser: &Browser| {
        browser.go(&format!("{}/admin/sign-in", stage.base));
        browser.fill("name", "ada");
        browser.fill("password", PASSWORD);
        browser.click_css("main button");
    };
    let ada = stage.browser();
    sign_in(&ada);
    ada.see("Home");
    ada.go(&format!("{}/admin/account/second-factor", stage.base));
    ada.fill("code", "12345");
    ada.press("Set it up");
    ada.read("Give the six digits");
    look(&ada, "a second factor with an error");
    let secret =
        ada.run("return new URL(document.querySelector('a[href^=otpauth]').href).searchParams.get('secret')");
    let app = Authenticator::with_secret(secret.as_str().unwrap());
    ada.fill("code", &app.code(Clock::System.now()));
    ada.press("Set it up");
    ada.see("Your recovery codes");
    look(&ada, "recovery codes");
    let other = stage.browser();
    sign_in(&other);
    other.see("Your code");
    look(&other, "the code");
    other.fill("code", "000000");
    other.press("Sign in");
    other.read("check the clock");
    look(&other, "a wrong code");
}

/// Looks at every page in windows of all widths.
fn check_all_pages(theme: &'static [&'static str], is_dark: bool) {
    if !is_there_a_browser() {
        return;
    }
    let stage = Stage { flags: theme, ..Stage::new() };
    let (operator, patient) = (stage.operator(), stage.browser());
    for browser in [&operator, &patient] {
        browser.go(&stage.base);
        assert_eq!(browser.run("return matchMedia('(prefers-color-scheme: dark)').matches"), is_dark);
    }
    all_pages(&stage, &operator, &patient, |browser, page| {
        for (width, height) in WINDOWS {
            browser.resize(width, height);
            assert!(!browser.overflows(), "{page} is wider than {width} pixels");
            browser.is_accessible(page);
        }
    });
}

#[test]
fn every_page_fits_and_has_no_violation_that_axe_knows_in_light_colours() {
    check_all_pages(&["--blink-settings=preferredColorScheme=1"], false);
}

#[test]
fn every_page_fits_and_has_no_violation_that_axe_knows_in_dark_colours() {
    check_all_pages(&["--blink-settings=preferredColorScheme=0"], true);
}
