//! Practitioners and patients of two JHE organizations.

use std::time::Duration;

use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

pub const MARY: i64 = 10002;
pub const VICTOR: i64 = 10004;
pub const PETER: i64 = 10006;
pub const EMAIL: &str = "mary@example.com";

/// Patient 1 belongs to organization 1, patient 2 to organization 2; patient 3 is not a JHE patient. Each has a
/// rejected sample.
pub struct Clinic {
    pub world: World,
    pub jhe: FakeJhe,
    pub served: Served,
}

impl Clinic {
    pub fn open() -> Self {
        let mut world = World::new();
        let jhe = FakeJhe::start();
        for (name, value) in
            [("JHE_BASE_URL", jhe.url().as_str()), ("JHE_CLIENT_KEY", KEY), ("JHE_SIGN_IN_CLIENT_ID", CLIENT)]
        {
            world.set(name, value);
        }
        for (jhe_id, organization) in [(40001, 1), (40002, 2)] {
            jhe.add_patient(jhe_id, jhe_id - 30000, world.now.minus(DAY));
            jhe.state().staff.belong(jhe_id, &[organization]);
            let user = world.sim.add_user();
            let add = ["patient", "add", "--jhe-patient", &jhe_id.to_string(), "--ow-user", &user];
            assert_eq!(world.run(&add).code, 0);
            world.sim.put_verbatim(&user, world.now.minus(HOUR), &format!("{{\"of\":{jhe_id}}}"));
        }
        let (user, _) = world.patient();
        world.sim.put_verbatim(&user, world.now.minus(HOUR), "{\"of\":\"local\"}");
        world.poll();
        let served = Served::start(&world);
        {
            let staff = &mut jhe.state().staff;
            staff.redirect_uri = format!("{}/admin/jhe/callback", served.url());
            staff.employ(MARY, EMAIL, &[(1, "manager"), (7, "member")]);
            staff.employ(VICTOR, "victor@example.com", &[(1, "viewer")]);
            staff.admit(PETER);
        }
        Self { world, jhe, served }
    }

    /// Starts a sign-in at JHE; returns the address to which JHE redirects the browser.
    pub fn until_back(&self, visitor: &Visitor, user: i64, path: &str) -> String {
        self.jhe.state().staff.here = Some(user);
        let off = visitor.get(path);
        assert_eq!(off.status, 303, "{}", off.body);
        visitor.get(off.location()).location().to_owned()
    }

    pub fn sign_in(&self, visitor: &Visitor, user: i64) -> Answer {
        visitor.get(&self.until_back(visitor, user, "/admin/jhe"))
    }

    /// Returns a browser in which this practitioner is signed in.
    pub fn practitioner(&self, user: i64) -> Visitor {
        let visitor = self.served.visitor();
        let signed = self.sign_in(&visitor, user);
        assert_eq!((signed.status, signed.location()), (303, "/admin"), "{}", signed.body);
        visitor
    }

    /// Restarts the daemon after `time` has passed.
    pub fn later(mut self, time: Duration) -> Self {
        let port = self.served.port;
        self.served.stop("TERM");
        self.world.pass(time);
        self.served = Served::on(&self.world, port, &[]);
        self
    }
}
