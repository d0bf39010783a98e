//! The OAuth proxy answers API clients with the statuses and messages of JHE's views (I1 to I16), with two exceptions:
//! OW needs no e-mail address (I3), and the caller cannot choose the redirect address (I12).

use reqwest::Method;

use crate::support::harness::*;
use crate::support::running_daemon::*;

const USERS: &str = "/api/v1/ow/users";
const AUTHORIZE: &str = "/api/v1/ow/oauth/oura/authorize";

struct Scene {
    world: World,
    served: Served,
    token: String,
    patient: String,
}

impl Scene {
    fn new() -> Self {
        Self::with(World::new(), &[])
    }

    fn with(world: World, variables: &[(&str, &str)]) -> Self {
        let served = Served::with(&world, variables);
        let operator = served.operator(&world);
        let patient = make_patient(&operator, "P-1", &make_study(&operator, "Sleep"));
        let page = format!("/admin/patients/{patient}");
        let made = operator.submit(&page, &format!("{page}/api-token"), &[("label", "an app")]);
        let token = made.secret();
        world.consent(&patient, "--grant");
        world.sim.forget_requests();
        Self { world, served, token, patient }
    }

    fn call(&self, method: Method, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        self.served.visitor().send(method, path, &[("Authorization", &bearer)], None)
    }

    fn create(&self) -> Answer {
        self.call(Method::POST, USERS)
    }

    fn authorize(&self) -> Answer {
        self.call(Method::GET, AUTHORIZE)
    }

    fn asked(&self, method: &str, path: &str) -> usize {
        self.world.sim.requests().iter().filter(|seen| seen.method == method && seen.path == path).count()
    }
}

#[test]
fn i1_i8_requests_without_credentials_get_401() {
    let scene = Scene::new();
    let visitor = scene.served.visitor();
    for (method, path) in [(Method::POST, USERS), (Method::GET, AUTHORIZE)] {
        let answer = visitor.send(method.clone(), path, &[], None);
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let wrong = [("Authorization", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
        assert_eq!(visitor.send(method, path, &wrong, None).status, 401);
    }
}

#[test]
fn cookies_and_revoked_tokens_are_no_credentials() {
    let scene = Scene::new();
    let operator = scene.served.operator(&scene.world);
    let link = invite(&operator, &scene.patient);
    let browser = scene.served.visitor();
    assert_eq!(agree(&browser, &link, "1").status, 303);
    assert_eq!(
        browser.send(Method::POST, USERS, &[], None).status,
        401,
        "a cookie alone must not authorize, because foreign pages send cookies too"
    );
    assert_eq!(scene.create().status, 200);
    let page = format!("/admin/patients/{}", scene.patient);
    operator.submit(&page, &format!("{page}/revoke-api-token"), &[]);
    assert_eq!(scene.create().status, 401);
}

#[test]
fn i2_i10_i15_i16_without_settings_it_says_not_configured() {
    for missing in
        [[("OW_API_URL", ""), ("OW_API_KEY", "")], [("OW_API_URL", "http://127.0.0.1:9"), ("OW_API_KEY", "")]]
    {
        let scene = Scene::with(World::new(), &missing);
        for answer in [scene.create(), scene.authorize()] {
            assert_eq!(answer.status, 500);
            assert_eq!(answer.json()["error"], "OW integration not configured");
        }
    }
}

#[test]
fn without_a_consent_the_api_makes_no_user_and_no_authorization() {
    let scene = Scene::new();
    assert_eq!(scene.create().status, 200);
    let never = make_patient(&scene.served.operator(&scene.world), "P-2", "1");
    let operator = scene.served.operator(&scene.world);
    let page = format!("/admin/patients/{never}");
    let token = operator.submit(&page, &format!("{page}/api-token"), &[("label", "an app")]).secret();
    scene.world.consent(&scene.patient, "--withdraw");
    scene.world.sim.forget_requests();
    let reasons = [
        (&scene.token, "has withdrawn or declined every consent"),
        (&token, "has not been asked, or has not"),
    ];
    for (token, reason) in reasons {
        let bearer = format!("Bearer {token}");
        for (method, path) in [(Method::POST, USERS), (Method::GET, AUTHORIZE)] {
            let answer = scene.served.visitor().send(method, path, &[("Authorization", &bearer)], None);
            assert_eq!(answer.status, 403, "{answer:?}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(reason), "{error}");
        }
    }
    assert!(scene.world.sim.requests().is_empty(), "{:?}", scene.world.sim.requests());
}

#[test]
fn i3_i4_a_user_is_created_once_and_linked() {
    let scene = Scene::new();
    let made = scene.create();
    assert_eq!(made.status, 200, "{made:?}");
    let user = made.json()["owUserId"].as_str().unwrap().to_owned();
    let shown = scene.world.run(&["patient", "show", &scene.patient]).stdout;
    assert!(shown.contains(&format!("ow:{user}")), "{shown}");
    assert_eq!(scene.create().json()["owUserId"], user.as_str());
    assert_eq!(scene.asked("POST", "/api/v1/users"), 1, "OW gets no further request");
    let body = scene.world.sim.requests().into_iter().find(|seen| seen.method == "POST").unwrap().body;
    assert!(body.contains("external_user_id") && !body.contains("email"), "{body}");
}

#[test]
fn an_existing_ow_user_is_found_and_not_created() {
    let scene = Scene::new();
    let first = scene.create().json()["owUserId"].clone();
    scene.world.run(&["patient", "unlink", &scene.patient]);
    scene.world.sim.forget_requests();
    assert_eq!(scene.create().json()["owUserId"], first);
    assert_eq!((scene.asked("GET", "/api/v1/users"), scene.asked("POST", "/api/v1/users")), (1, 0));
}

#[test]
fn i5_i6_ows_errors_are_passed_on() {
    let scene = Scene::new();
    for status in [409, 500] {
        scene.world.sim.set_users_broken(Some(status));
        let answer = scene.create();
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["error"], "OW API error");
    }
    scene.world.sim.set_users_broken(None);
    assert_eq!(scene.create().status, 200, "nothing was saved partially");
}

#[test]
fn a_refused_ow_key_is_no_error_of_the_caller() {
    let scene = Scene::new();
    scene.world.sim.rotate_key();
    assert_eq!(scene.create().status, 502);
}

#[test]
fn i7_i14_an_ow_that_does_not_answer_is_502() {
    let scene = Scene::new();
    assert_eq!(scene.create().status, 200);
    let token = scene.token.clone();
    let mut world = scene.world;
    scene.served.stop("TERM");
    world.set("OW_API_URL", "http://127.0.0.1:9");
    let served = Served::start(&world);
    let patient = scene.patient.clone();
    world.run(&["patient", "unlink", &patient]);
    let scene = Scene { world, served, token, patient };
    let answer = scene.create();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (502, Some("Failed to reach OW API")));
    let user = "47641b04-208a-4a85-a944-9e7e3f09947d";
    scene.world.run(&["patient", "link", &scene.patient, "--ow-user", user, "--same-person"]);
    let answer = scene.authorize();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (502, Some("Failed to reach OW API")));
}

#[test]
fn i9_without_a_user_there_is_nothing_to_authorize() {
    let scene = Scene::new();
    let answer = scene.authorize();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"], "User does not have an OW user_id");
}

#[test]
fn i11_i12_i13_authorize_sends_the_bare_uuid_and_our_own_redirect() {
    let scene = Scene::new();
    let user = scene.create().json()["owUserId"].as_str().unwrap().to_owned();
    scene.world.sim.set_oauth_broken(Some(500));
    let broken = scene.authorize();
    assert_eq!((broken.status, broken.json()["error"].as_str()), (500, Some("OW OAuth error")));
    scene.world.sim.set_oauth_broken(None);
    let answer = scene.authorize();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["authorizationUrl"].as_str().unwrap().contains("ouraring.com"));
    assert!(
        answer.json()["authorizationUrl"]
            .as_str()
            .unwrap()
            .contains(answer.json()["state"].as_str().unwrap())
    );
    let seen = scene.world.sim.requests();
    let asked = seen.iter().find(|seen| seen.path == "/api/v1/oauth/oura/authorize").unwrap();
    let ours = format!("{}/clients/ow/complete?provider=oura", scene.served.url());
    let query = form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect::<Vec<_>>();
    assert_eq!(query, [("user_id".to_owned(), user), ("redirect_uri".to_owned(), ours.clone())]);
    let other = scene.call(Method::GET, &format!("{AUTHORIZE}?redirect_uri=https://evil.example.org/"));
    assert_eq!(other.status, 400, "{other:?}");
    let same: String = form_urlencoded::byte_serialize(ours.as_bytes()).collect();
    let again = scene.call(Method::GET, &format!("{AUTHORIZE}?redirect_uri={same}"));
    assert_eq!(again.json(), answer.json(), "the same state is reused");
}

#[test]
fn an_unknown_provider_or_path_gives_a_json_error() {
    let scene = Scene::new();
    scene.create();
    let apple = scene.call(Method::GET, "/api/v1/ow/oauth/apple/authorize");
    assert_eq!(apple.status, 400);
    assert_eq!(apple.json()["detail"], "Provider 'apple' does not support OAuth");
    let garmin = scene.call(Method::GET, "/api/v1/ow/oauth/garmin/authorize");
    assert_eq!(
        (garmin.status, garmin.json()["error"].as_str()),
        (400, Some("OW OAuth error")),
        "the provider has no credentials"
    );
    for path in
        ["/api/v1/ow/oauth/..%2fusers/authorize", "/api/v1/ow/oauth/Oura/authorize", "/api/v1/nothing"]
    {
        assert_eq!(scene.call(Method::GET, path).status, 404, "{path}");
    }
    assert_eq!(scene.call(Method::GET, USERS).status, 405);
}
