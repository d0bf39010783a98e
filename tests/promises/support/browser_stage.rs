//! A daemon under its public name, with browsers for practitioners and patients.

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;

use crate::support::browser::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;
use crate::support::secrets::SEAL;

/// A daemon under its public name. It uses the real clock, because browsers do.
pub struct Stage {
    pub world: World,
    pub served: Served,
    pub base: String,
    /// Further flags of the browsers.
    pub flags: &'static [&'static str],
}

impl Stage {
    pub fn new() -> Self {
        let mut world = World::new();
        let base = format!("http://{PUBLIC_HOST}");
        world.set("JHE_OW_PUBLIC_URL", &base);
        world.sim.set_api_base(&base);
        set_password(&world, "operator", PASSWORD);
        let served = Served::with(&world, &[("JHE_OW_CLOCK", ""), ("JHE_OW_SECRET_KEY", SEAL)]);
        Self { world, served, base, flags: &[] }
    }

    pub fn browser(&self) -> Browser {
        Browser::with(self.served.port, self.flags)
    }

    /// Opens a browser and signs in the operator.
    pub fn operator(&self) -> Browser {
        let operator = self.browser();
        operator.go(&format!("{}/admin", self.base));
        operator.see("Sign in");
        operator.fill("name", "operator");
        operator.fill("password", PASSWORD);
        operator.click_css("main button");
        operator.see("Home");
        operator
    }

    /// Creates a study and a patient with the forms; returns the invitation link.
    pub fn invite(&self, operator: &Browser, patient: &str) -> String {
        operator.go(&format!("{}/admin/studies/new", self.base));
        operator.fill("name", &format!("Sleep of {patient}"));
        operator.fill("organization", "Lifespan Lab");
        operator.fill("purpose", "To learn how hearts behave at night.");
        operator.fill("contact", "Ada Example, ada@example.org");
        operator.click_css(&format!("[value='{HEART_RATE}']"));
        operator.click_css("[value=Oura]");
        operator.press("Save");
        operator.see(&format!("Sleep of {patient}"));
        operator.go(&format!("{}/admin/patients/new", self.base));
        operator.fill("name", patient);
        operator.press(&format!("Sleep of {patient}"));
        operator.press("Save");
        operator.see(patient);
        operator.press("Make a link");
        operator.see("The invitation");
        operator.run("return document.querySelector('#secret').value").as_str().unwrap().to_owned()
    }

    /// Adds a heart rate measured now.
    pub fn measure(&self, value: f64) -> Timestamp {
        let user = self.world.sim.connected("oura").pop().unwrap();
        let now = Clock::System.now();
        self.world.sim.put(&user, now, value);
        now
    }

    /// Polls with the real clock; returns the number of created observations.
    pub fn poll(&self) -> u64 {
        let child = self.world.command(&["poll"]).env_remove("JHE_OW_CLOCK").output().unwrap();
        let stdout = String::from_utf8(child.stdout).unwrap();
        let ran = Ran { code: child.status.code().unwrap(), stdout, stderr: String::new() };
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.created()
    }
}

/// Opens a link, ticks the box, agrees, and authorizes at the provider.
pub fn connect(patient: &Browser, link: &str) {
    patient.go(link);
    patient.see("Would you like to share your data?");
    patient.click_css("input[type=checkbox]");
    patient.press("I agree");
    patient.see("Simulated provider");
    patient.click_css("#agree");
    patient.see("Successfully Connected");
}
