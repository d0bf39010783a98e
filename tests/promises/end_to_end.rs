//! The way that the operators' own end-to-end table describes, in its steps 3 to 9, in two browsers.

use jhe_ow::clock::Clock;
use jhe_ow::time::Timestamp;

use crate::browser::*;
use crate::harness::*;
use crate::served::*;

/// A daemon under its public name, by the machine's own clock: people take their time.
pub struct Stage {
    pub world: World,
    pub served: Served,
    pub base: String,
}

impl Stage {
    pub fn new() -> Self {
        let mut world = World::new();
        let base = format!("http://{PUBLIC_HOST}");
        world.set("JHE_OW_PUBLIC_URL", &base);
        world.sim.set_api_base(&base);
        set_password(&world, "operator", PASSWORD);
        let served = Served::with(&world, &[("JHE_OW_CLOCK", "")]);
        Self { world, served, base }
    }

    pub fn browser(&self) -> Browser {
        Browser::open(self.served.port)
    }

    /// A browser in which the operator is signed in.
    pub fn operator(&self) -> Browser {
        let operator = self.browser();
        operator.go(&format!("{}/admin", self.base));
        operator.see("Sign in");
        operator.fill("name", "operator");
        operator.fill("password", PASSWORD);
        operator.click_css("main button");
        operator.see("Overview");
        operator
    }

    /// Fills the forms for a study and a patient; answers with the link that invites.
    pub fn invite(&self, operator: &Browser, patient: &str) -> String {
        operator.go(&format!("{}/admin/studies/new", self.base));
        operator.fill("name", &format!("Sleep of {patient}"));
        operator.fill("organization", "Lifespan Lab");
        operator.fill("purpose", "To learn how hearts behave at night.");
        operator.fill("contact", "Ada Example, ada@example.org");
        operator.click_css(&format!("[value='{HEART_RATE}']"));
        operator.click_css("[value=Oura]");
        operator.press("Save");
        operator.see("Change a study");
        operator.go(&format!("{}/admin/patients/new", self.base));
        operator.fill("name", patient);
        operator.press(&format!("Sleep of {patient}"));
        operator.press("Save");
        operator.see(patient);
        operator.press("Make a link");
        operator.see("The invitation");
        operator.run("return document.querySelector('#secret').value").as_str().unwrap().to_owned()
    }

    /// A heart rate that is measured now.
    pub fn measure(&self, value: f64) -> Timestamp {
        let user = self.world.sim.connected("oura").pop().unwrap();
        let now = Clock::System.now();
        self.world.sim.put(&user, now, value);
        now
    }

    /// Polls by the machine's clock; answers how many observations were created.
    pub fn poll(&self) -> u64 {
        let child = self.world.command(&["poll"]).env_remove("JHE_OW_CLOCK").output().unwrap();
        let stdout = String::from_utf8(child.stdout).unwrap();
        let ran = Ran { code: child.status.code().unwrap(), stdout, stderr: String::new() };
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.created()
    }
}

/// Opens a link, ticks the box, agrees, and agrees at the provider.
pub fn connect(patient: &Browser, link: &str) {
    patient.go(link);
    patient.see("Would you like to share your data?");
    patient.click_css("input[type=checkbox]");
    patient.press("I agree to what is ticked");
    patient.see("Simulated provider");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
}

#[test]
fn steps_3_to_9() {
    if !is_there_a_browser() {
        return;
    }
    let stage = Stage::new();
    let (operator, patient) = (stage.operator(), stage.browser());

    // 3: the study has Oura attached; the link has a code, and the real host.
    let link = stage.invite(&operator, "P-017");
    assert!(link.starts_with(&format!("http://{PUBLIC_HOST}/ow/?code=")), "{link}");

    // 4: in a private window, agree with heart rate ticked, and authorize.
    connect(&patient, &link);
    assert!(patient.text().contains("Oura is connected"), "{}", patient.text());

    // 5: the patient is linked to an OW user.
    let user = stage.world.sim.connected("oura").pop().unwrap();
    operator.go(&format!("{}/admin/patients/1", stage.base));
    operator.read(&format!("ow:{user}"));
    stage.measure(61.0);
    assert_eq!(stage.poll(), 1);

    // 6: withdrawn, nothing is ingested.
    patient.press("Your choices");
    patient.see("Your choices");
    patient.press("Stop sharing");
    patient.see("Stop sharing Heart Rate?");
    patient.press("Stop sharing and disconnect");
    patient.read("You do not share this.");
    assert_eq!(stage.world.sim.connected("oura"), Vec::<String>::new());
    stage.world.sim.put(&user, Clock::System.now(), 62.0);
    assert_eq!(stage.poll(), 0);

    // 7: granted and connected again, a new sample is.
    patient.press("Agree to share");
    patient.read("You share this since");
    patient.press("Connect a device");
    patient.see("Simulated provider");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
    stage.measure(63.0);
    assert_eq!(stage.poll(), 1, "and what was measured in between stays out");

    // 8: at once again, nothing is created.
    assert_eq!(stage.poll(), 0);

    // 9: where it came from.
    operator.reload();
    for words in ["Oura", "omh:heart-rate:2.0", "ow:normalized", "63", "bpm"] {
        operator.read(words);
    }
    let documents = stage.world.documents("1");
    let uuid = documents.last().unwrap()["header"]["uuid"].as_str().unwrap();
    operator.read(uuid);
}
