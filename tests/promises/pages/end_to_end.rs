//! Steps 3 to 9 of the operators' end-to-end check, in two browsers.

use jhe_ow::common::clock::Clock;

use crate::support::browser::*;
use crate::support::browser_stage::*;

#[test]
fn a_patient_is_invited_connects_and_withdraws_in_two_browsers() {
    if !is_there_a_browser() {
        return;
    }
    let stage = Stage::new();
    let (operator, patient) = (stage.operator(), stage.browser());

    // 3: the study has Oura attached; the link contains a code and the public host.
    let link = stage.invite(&operator, "P-017");
    assert!(link.starts_with(&format!("http://{PUBLIC_HOST}/ow/?code=")), "{link}");

    // 4: in a private window, agree with heart rate ticked, and authorize.
    connect(&patient, &link);
    assert!(patient.text().contains("Oura is connected"), "{}", patient.text());

    // 5: the patient is linked to an OW user.
    let user = stage.world.sim.connected("oura").pop().unwrap();
    operator.go(&format!("{}/admin/patients/1", stage.base));
    operator.click_css("#identifiers > summary");
    operator.read(&format!("ow:{user}"));
    stage.measure(61.0);
    assert_eq!(stage.poll(), 1);

    // 6: after the withdrawal, nothing is stored.
    patient.press("See your choices");
    patient.see("Your choices");
    patient.press("Stop sharing");
    patient.see("Stop sharing heart rate?");
    patient.press("Stop sharing and disconnect");
    patient.read("You do not share this.");
    assert_eq!(stage.world.sim.connected("oura"), Vec::<String>::new());
    stage.world.sim.put(&user, Clock::System.now(), 62.0);
    assert_eq!(stage.poll(), 0);

    // 7: after a new grant and connection, a new sample is stored.
    patient.press("Agree to share");
    patient.read("You have shared this since");
    patient.press("Connect a device");
    patient.see("Simulated provider");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
    stage.measure(63.0);
    assert_eq!(stage.poll(), 1, "samples measured during the withdrawal are not stored");

    // 8: an immediate second poll creates nothing.
    assert_eq!(stage.poll(), 0);

    // 9: the page shows the origin of the sample.
    operator.go(&format!("{}/admin/patients/1/observations", stage.base));
    for words in ["Oura", "omh:heart-rate:2.0", "ow:normalized", "63", "bpm"] {
        operator.read(words);
    }
    let documents = stage.world.documents("1");
    let uuid = documents.last().unwrap()["header"]["uuid"].as_str().unwrap();
    operator.read(uuid);
}
