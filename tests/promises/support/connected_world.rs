//! A simulated OW and a fake JHE.

use crate::support::fake_jhe::*;
use crate::support::harness::*;

/// A world connected to a JHE.
pub struct Scene {
    pub world: World,
    pub jhe: FakeJhe,
}

impl Scene {
    pub fn new() -> Self {
        let mut world = World::new();
        let jhe = FakeJhe::start();
        world.set("JHE_BASE_URL", &jhe.url());
        world.set("JHE_CLIENT_KEY", KEY);
        Self { world, jhe }
    }

    /// Adds, imports and links a JHE patient who consents; returns the OW user and our patient number.
    pub fn patient(&self, jhe_id: i64) -> (String, String) {
        self.jhe.add_patient(jhe_id, jhe_id - 30000, self.world.now.minus(DAY));
        let user = self.world.sim.add_user();
        let add = ["patient", "add", "--jhe-patient", &jhe_id.to_string(), "--ow-user", &user];
        let ran = self.world.run(&add);
        assert_eq!(ran.code, 0, "{ran:?}");
        (user, ran.stdout.trim().to_owned())
    }

    pub fn fill(&self, user: &str, hours: u32) {
        self.world.sim.fill(user, self.world.now.minus(HOUR * hours), self.world.now, FIVE_MINUTES, 1);
    }

    pub fn export(&self) -> Ran {
        self.world.run(&["export"])
    }

    /// Returns true if JHE has exactly the stored observations of a patient.
    pub fn is_delivered(&self, jhe_id: i64, patient: &str) -> bool {
        let ours: Vec<_> = self.world.kept(patient).into_iter().map(|(at, _)| at).collect();
        !ours.is_empty() && self.jhe.instants(jhe_id) == ours
    }
}
