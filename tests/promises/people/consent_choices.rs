//! The consent form asks for what the devices measure, in plain words, and for nothing else.

use crate::support::harness::*;
use crate::support::running_daemon::*;

const PRESSURE: &str = "omh:blood-pressure:4.0";
const WEIGHT: &str = "omh:body-weight:3.0";

struct Scene {
    world: World,
    /// Keeps the daemon running.
    served: Served,
    operator: Visitor,
    study: String,
    patient: String,
    browser: Visitor,
}

impl Scene {
    /// Creates a study with these scopes and devices; OW has credentials of Oura and Garmin.
    fn new(scopes: &[&str], sources: &[&str]) -> Self {
        let world = World::new();
        world.sim.set_configured(&["oura", "garmin"]);
        let served = Served::start(&world);
        world.sim.set_api_base(&served.url());
        let operator = served.operator(&world);
        let mut fields = vec![
            ("name", "Hearts"),
            ("organization", "Lifespan Lab"),
            ("purpose", "To learn."),
            ("contact", "Ada Example"),
        ];
        fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
        fields.extend(sources.iter().map(|source| ("source", *source)));
        let made = operator.submit("/admin/studies/new", "/admin/studies/new", &fields);
        assert_eq!(made.status, 303, "{}", made.body);
        let study = made.location().strip_prefix("/admin/studies/").unwrap().to_owned();
        let patient = make_patient(&operator, "P-1", &study);
        let browser = served.visitor();
        Self { world, served, operator, study, patient, browser }
    }

    /// Ticks these scopes and agrees.
    fn agree(&self, link: &str, scopes: &[&str]) -> Answer {
        let values: Vec<String> = scopes.iter().map(|scope| format!("{}:{scope}", self.study)).collect();
        let mut fields: Vec<(&str, &str)> = values.iter().map(|value| ("scope", value.as_str())).collect();
        fields.push(("answer", "agree"));
        self.browser.submit(link, "/clients/ow/agree", &fields)
    }

    /// Opens the provider's page and authorizes.
    fn connect(&self) {
        let buttons = provider_buttons(&self.browser);
        let back = self.browser.get(&buttons["agree"]);
        assert_eq!(self.browser.get(back.location()).heading(), "Successfully Connected");
    }

    fn consents(&self) -> String {
        self.world.run(&["patient", "show", &self.patient]).stdout
    }

    fn is_asked(&self, page: &str, scope: &str) -> bool {
        page.contains(&format!("value=\"{}:{scope}\"", self.study))
    }
}

#[test]
fn scopes_no_device_of_the_study_delivers_are_not_asked() {
    let scene = Scene::new(&[HEART_RATE, PRESSURE], &["Oura"]);
    let link = invite(&scene.operator, &scene.patient);
    let page = scene.browser.get(&link).body;
    assert!(scene.is_asked(&page, HEART_RATE) && !scene.is_asked(&page, PRESSURE), "{page}");
    assert!(page.contains("no device here delivers: Blood pressure"), "{page}");
    assert!(page.contains("Heart rate through day and night, and your resting heart rate."), "{page}");
    let agreed = scene.agree(&link, &[HEART_RATE, PRESSURE]);
    assert_eq!(agreed.status, 303, "{}", agreed.body);
    assert!(
        !scene.consents().contains(PRESSURE),
        "a scope that was not in the form is not granted: {}",
        scene.consents()
    );
}

#[test]
fn the_patient_chooses_a_device_first_where_devices_differ() {
    let scene = Scene::new(&[HEART_RATE, PRESSURE], &[]);
    let link = invite(&scene.operator, &scene.patient);
    let choice = scene.browser.get(&link);
    assert_eq!(choice.heading(), "Which device do you wear?", "{}", choice.body);
    let ways: Vec<String> = choice
        .body
        .split("href=\"/clients/ow/launch")
        .skip(1)
        .map(|rest| format!("/clients/ow/launch{}", rest.split('"').next().unwrap().replace("&amp;", "&")))
        .collect();
    let way = |device: &str| ways.iter().find(|way| way.ends_with(&format!("device={device}"))).unwrap();
    let oura = scene.browser.get(way("oura")).body;
    assert!(scene.is_asked(&oura, HEART_RATE) && !scene.is_asked(&oura, PRESSURE), "{oura}");
    assert!(
        oura.contains("We do not ask for what your device does not measure (Oura): Blood pressure."),
        "{oura}"
    );
    let garmin = scene.browser.get(way("garmin")).body;
    assert!(scene.is_asked(&garmin, HEART_RATE) && scene.is_asked(&garmin, PRESSURE), "{garmin}");
    let agreed = scene.agree(way("oura"), &[HEART_RATE, PRESSURE]);
    assert_eq!(
        agreed.location(),
        "/clients/ow/leave?provider=oura",
        "the device chosen on the form is used: {}",
        agreed.body
    );
    assert!(scene.consents().contains(HEART_RATE) && !scene.consents().contains(PRESSURE));
    scene.connect();
    let manage = scene.browser.get("/clients/ow/manage").body;
    assert!(manage.contains("Not measured by your device (Oura)"), "{manage}");
    assert!(!manage.contains(&format!("name=\"scope\" value=\"{PRESSURE}\"")), "{manage}");
    assert!(
        manage.contains("/clients/ow/manage?device=garmin"),
        "the page offers to ask with another device: {manage}"
    );
    let forged = scene.browser.get("/clients/ow/manage").hidden("/clients/ow/sign-out")[0].1.clone();
    let wish = [("form_token", forged.as_str()), ("study", scene.study.as_str()), ("scope", PRESSURE)];
    assert_eq!(scene.browser.post("/clients/ow/grant", &wish).status, 400);
    assert!(!scene.consents().contains(PRESSURE));
}

#[test]
fn a_device_connected_later_adds_its_scopes_to_the_form() {
    let scene = Scene::new(&[HEART_RATE, PRESSURE], &[]);
    let link = invite(&scene.operator, &scene.patient);
    let way = format!("{}&device=oura", link.replace("/ow/?", "/clients/ow/launch?"));
    assert_eq!(scene.agree(&way, &[HEART_RATE]).status, 303);
    scene.connect();
    let user = scene.world.sim.connected("oura").pop().unwrap();
    scene.world.sim.connect(&user, "garmin");
    let manage = scene.browser.get("/clients/ow/manage");
    assert!(manage.body.contains(&format!("name=\"scope\" value=\"{PRESSURE}\"")), "{}", manage.body);
    let complete = scene.browser.get("/clients/ow/complete?provider=garmin").body;
    assert!(complete.contains("asks for something that you have not agreed to"), "{complete}");
    let granted = scene.browser.submit("/clients/ow/manage", "/clients/ow/grant", &[]);
    assert_eq!(granted.location(), "/clients/ow/manage?done=granted", "{}", granted.body);
    assert!(scene.consents().contains(PRESSURE));
}

#[test]
fn no_device_is_chosen_where_all_deliver_the_same() {
    let scene = Scene::new(&[HEART_RATE, WEIGHT, "omh:blood-glucose:4.0"], &[]);
    let link = invite(&scene.operator, &scene.patient);
    let page = scene.browser.get(&link).body;
    assert!(scene.is_asked(&page, HEART_RATE) && scene.is_asked(&page, WEIGHT), "{page}");
    assert!(!scene.is_asked(&page, "omh:blood-glucose:4.0"), "no device measures this scope: {page}");
    assert_eq!(scene.agree(&link, &[HEART_RATE]).location(), "/clients/ow/connect");
}

#[test]
fn consent_is_possible_while_ow_does_not_list_its_providers() {
    let scene = Scene::new(&[HEART_RATE, PRESSURE], &[]);
    scene.world.sim.set_oauth_broken(Some(500));
    let link = invite(&scene.operator, &scene.patient);
    let page = scene.browser.get(&link).body;
    assert!(scene.is_asked(&page, HEART_RATE) && scene.is_asked(&page, PRESSURE), "{page}");
    assert_eq!(scene.agree(&link, &[HEART_RATE]).status, 303);
    assert!(scene.served.port > 0);
}

#[test]
fn a_connected_daemon_offers_no_code_that_jhe_does_not_have() {
    let jhe = crate::support::fake_jhe::FakeJhe::start();
    let mut world = World::new();
    let local = "local:heart_rate_variability_sdnn:1.0";
    let form = |world: &World| {
        let served = Served::start(world);
        served.operator(world).get("/admin/studies/new").body
    };
    assert!(form(&world).contains(local));
    world.set("JHE_BASE_URL", &jhe.url());
    world.set("JHE_CLIENT_KEY", crate::support::fake_jhe::KEY);
    let page = form(&world);
    assert!(page.contains(HEART_RATE) && !page.contains(local), "{page}");
}
