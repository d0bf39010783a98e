//! A JHE patient who opens a JHE invitation.

use crate::support::erasure::one;
use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

pub const PATIENT: i64 = 40001;
/// The key that encrypts patients' tokens.
pub const SECRET: &str = "an-example-of-thirty-two-characters";

pub struct Scene {
    pub world: World,
    pub jhe: FakeJhe,
    pub served: Served,
    pub browser: Visitor,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(&[("JHE_OW_SECRET_KEY", SECRET)])
    }

    pub fn with(variables: &[(&str, &str)]) -> Self {
        let (mut world, jhe) = (World::new(), FakeJhe::start());
        world.set("JHE_BASE_URL", &jhe.url());
        world.set("JHE_CLIENT_KEY", KEY);
        for (name, value) in variables {
            world.set(name, value);
        }
        let served = Served::start(&world);
        world.set("JHE_OW_PUBLIC_URL", &served.url());
        world.sim.set_api_base(&served.url());
        jhe.add_undecided(PATIENT, 10006);
        jhe.state().people.invitation_url = Some(format!("{}/clients/ow/launch?code=CODE", served.url()));
        let browser = served.visitor();
        Self { world, jhe, served, browser }
    }

    pub fn link(&self, token: &str) -> String {
        format!("/clients/ow/launch?code={}", self.jhe.code(token))
    }

    /// Opens a link and presses "Continue".
    pub fn go_on(&self, token: &str) -> Answer {
        self.browser.submit(&self.link(token), "/clients/ow/redeem", &[])
    }

    /// Signs in with a new link; returns the consent form.
    pub fn come_in(&self) -> Answer {
        let token = self.jhe.make_invitation(PATIENT);
        let went = self.go_on(&token);
        assert_eq!((went.status, went.location()), (303, "/clients/ow/ask"), "{}", went.body);
        self.browser.get("/clients/ow/ask")
    }

    /// Agrees to exactly the displayed scopes.
    pub fn agree(&self) -> Answer {
        let study = between(&self.come_in().body, "value=\"", &format!(":{HEART_RATE}\""))
            .unwrap()
            .rsplit('"')
            .next()
            .unwrap()
            .to_owned();
        let scope = format!("{study}:{HEART_RATE}");
        self.browser.submit(
            "/clients/ow/ask",
            "/clients/ow/answer",
            &[("scope", &scope), ("answer", "agree")],
        )
    }

    pub fn saved(&self) -> Vec<(String, bool)> {
        let saved = self.jhe.state().people.saved.clone();
        saved.into_iter().map(|(method, _, consented)| (method, consented)).collect()
    }

    /// Presses a button of "Your choices".
    pub fn manage(&self, action: &str, more: &[(&str, &str)]) -> Answer {
        self.browser.submit("/clients/ow/manage", action, more)
    }

    /// Restarts the daemon at the time of the world and waits for its first tick.
    pub fn restart(self) -> Self {
        let Self { world, jhe, served, browser } = self;
        let port = served.port;
        served.stop("TERM");
        let ended = || one::<i64>(&world, "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL");
        let before = ended();
        let served = Served::on(&world, port, &[]);
        until("its first tick is over", || ended() > before);
        Self { world, jhe, served, browser }
    }

    pub fn users(&self) -> Vec<String> {
        let seen = self.world.sim.requests();
        let made = seen.iter().filter(|seen| seen.method == "POST" && seen.path == "/api/v1/users");
        made.map(|seen| seen.path.clone()).collect()
    }
}
