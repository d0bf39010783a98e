//! JHE's patients and practitioners in a real browser on a phone: from the link to the choices, and the sign-in.

use crate::support::browser::*;
use crate::support::fake_jhe::*;
use crate::support::jhe_patient::{PATIENT, Scene};

/// The narrowest phone for which the browser opens a window.
const PHONE: (u32, u32) = (360, 740);

/// Asserts that the page fits a phone and axe-core has no findings.
fn is_fine(browser: &Browser, page: &str) {
    assert!(!browser.overflows(), "{page} is wider than a phone");
    browser.is_accessible(page);
}

#[test]
fn from_jhes_link_to_a_connected_device_and_back_out() {
    if !is_there_a_browser() {
        return;
    }
    let scene = Scene::with(&[]);
    scene.jhe.state().people.asks.push("omh:blood-pressure:4.0".to_owned());
    let at = |path: &str| format!("{}{path}", scene.served.url());
    let patient = Browser::open(scene.served.port);
    patient.resize(PHONE.0, PHONE.1);
    patient.go(&at(&scene.link(&scene.jhe.make_invitation(PATIENT))));
    patient.see("Your study invites you");
    is_fine(&patient, "the link of JHE's");
    patient.press("Go on");
    patient.see("Would you like to share your data?");
    patient.read("no device here delivers: Blood pressure");
    is_fine(&patient, "what JHE's studies ask");
    patient.press("I agree");
    patient.read("Nothing is ticked");
    is_fine(&patient, "what JHE's studies ask, with an error");
    patient.click_css("input[type=checkbox]");
    patient.run("const yes = document.querySelector('[value=agree]'); yes.click(); yes.click();");
    patient.see("Simulated provider");
    assert_eq!(scene.jhe.state().people.saved.len(), 1, "a form sent twice is saved once");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
    scene.jhe.answer_there(PATIENT, "omh:blood-pressure:4.0", true);
    patient.go(&at("/clients/ow/manage"));
    patient.see("Your choices");
    is_fine(&patient, "the choices of a patient of JHE's");
    patient.press("Stop sharing");
    patient.see("Stop sharing heart rate?");
    patient.press("Stop sharing and disconnect");
    patient.read("No device is connected.");
    patient.go(&at(&scene.link("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")));
    patient.press("Go on");
    patient.see("We do not know this link");
    is_fine(&patient, "a link that JHE does not know");
}

#[test]
fn signing_in_through_jhe_works_on_a_phone() {
    if !is_there_a_browser() {
        return;
    }
    let scene = Scene::with(&[("JHE_SIGN_IN_CLIENT_ID", CLIENT)]);
    {
        let staff = &mut scene.jhe.state().staff;
        staff.redirect_uri = format!("{}/admin/jhe/callback", scene.served.url());
        staff.employ(10002, "mary@example.com", &[(1, "manager")]);
        staff.admit(10006);
    }
    let browser = Browser::open(scene.served.port);
    browser.resize(PHONE.0, PHONE.1);
    for (user, heading) in [(10006, "This is not for patients"), (10002, "Home")] {
        scene.jhe.state().staff.here = Some(user);
        browser.go(&format!("{}/admin/sign-in", scene.served.url()));
        is_fine(&browser, "the sign-in");
        browser.press("Sign in with JHE");
        browser.see(heading);
        is_fine(&browser, heading);
    }
}
