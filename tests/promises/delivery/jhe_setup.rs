//! Configuration that JHE lacks is reported at start and on the page, while polling goes on.

use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Starts a daemon, waits until its overview contains `what`, and returns the overview and the log.
fn overview_and_log(world: &World, what: &str) -> (String, String) {
    let served = Served::start(world);
    let operator = served.operator(world);
    let mut page = String::new();
    until(what, || {
        page = operator.get("/admin/system").body;
        page.contains(what)
    });
    let user = world.sim.add_user();
    let add = linked_patient("A", &user);
    assert_eq!(world.run(&add).code, 0);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    assert_eq!(world.created(), 1, "polling into the local store continues");
    let ran = served.stop("TERM");
    (page, format!("{}{}", ran.stdout, ran.stderr))
}

fn connected(jhe: &FakeJhe) -> World {
    let mut world = World::new();
    world.set("JHE_BASE_URL", &jhe.url());
    world.set("JHE_CLIENT_KEY", KEY);
    world
}

#[test]
fn missing_configuration_is_shown_with_its_remedy_at_start_and_on_the_page() {
    let jhe = FakeJhe::start();
    jhe.state().has_oura = false;
    jhe.state().people.codes_known.clear();
    let (page, log) = overview_and_log(&connected(&jhe), "none of the data sources");
    for sentence in [
        "shares no organization with any patient",
        "JHE has none of the data sources that OW knows",
        "JHE has no code 'omh:heart-rate:2.0'",
        "JHE has no client whose invitations open this daemon",
    ] {
        assert!(log.contains(sentence), "{sentence}: {log}");
        assert!(page.contains(sentence), "{sentence}: {page}");
    }
}

#[test]
fn a_complete_jhe_causes_no_warning() {
    let jhe = FakeJhe::start();
    jhe.add_undecided(40001, 10006);
    let world = connected(&jhe);
    let served = Served::start(&world);
    jhe.state().people.invitation_url = Some(format!("{}/clients/ow/launch?code=CODE", served.url()));
    let port = served.port;
    served.stop("TERM");
    let before = jhe.state().logins;
    let served = Served::on(&world, port, &[]);
    until("the daemon has checked JHE's set-up", || jhe.state().logins > before);
    let operator = served.operator(&world);
    until("the daemon has exported", || operator.get("/admin/system").body.contains("Last export"));
    let page = operator.get("/admin/system").body;
    assert!(
        !page.contains("JHE has no") && !page.contains("have its seed run") && !page.contains("organization"),
        "{page}"
    );
}

#[test]
fn an_address_that_is_no_jhe_is_recognised() {
    let mut world = World::new();
    world.set("JHE_BASE_URL", &world.sim.url());
    world.set("JHE_CLIENT_KEY", KEY);
    let (page, log) = overview_and_log(&world, "JHE_BASE_URL");
    assert!(page.contains("see that JHE_BASE_URL is JHE"), "{page}");
    assert!(log.contains("see that JHE_BASE_URL is JHE"), "{log}");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    world.set("JHE_BASE_URL", &nobody);
    let (page, log) = overview_and_log(&world, "cannot be reached");
    assert!(page.contains("see that JHE runs") && log.contains("see that JHE runs"), "{page} {log}");
}

#[test]
fn a_key_that_jhe_does_not_accept_is_reported() {
    let jhe = FakeJhe::start();
    let mut world = connected(&jhe);
    world.set("JHE_CLIENT_KEY", "d3Jvbmc6a2V5");
    let (page, log) = overview_and_log(&world, "does not accept the client key");
    assert!(page.contains("JHE_CLIENT_KEY") && log.contains("JHE_CLIENT_KEY"), "{page} {log}");
}
