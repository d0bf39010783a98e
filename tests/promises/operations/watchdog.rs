//! systemd gets keep-alives from a working daemon and none from one that hangs.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use jhe_ow::simulator::fault::Fault;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// The watchdog interval of this test: a keep-alive is due every 200 ms and sent every 100 ms.
const ASKED_MICROS: &str = "200000";
/// No keep-alive within this time means that none is sent.
const SILENCE: Duration = Duration::from_secs(2);

/// Returns the next notification to systemd; `None` if none arrives.
fn hear(systemd: &UnixDatagram) -> Option<String> {
    let mut told = [0; 4096];
    let length = systemd.recv(&mut told).ok()?;
    Some(String::from_utf8_lossy(&told[..length]).into_owned())
}

#[test]
fn systemd_is_notified_of_start_reload_watchdog_and_stop() {
    let mut world = World::new();
    world.setting("ow.poll_interval", "1s");
    world.set("JHE_OW_OW_TIMEOUT", "4m");
    let (user, _) = world.patient();
    let socket = world.directory.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(SILENCE)).unwrap();
    let clock = world.directory.path().join("clock");
    std::fs::write(&clock, world.now.to_string()).unwrap();
    let clock_variable = format!("@{}", clock.display());
    let served = Served::with(
        &world,
        &[
            ("NOTIFY_SOCKET", socket.to_str().unwrap()),
            ("WATCHDOG_USEC", ASKED_MICROS),
            ("JHE_OW_CLOCK", &clock_variable),
        ],
    );
    let next = |what: &str| until(what, || hear(&systemd).is_some_and(|told| told.contains(what)));
    next("READY=1");
    next("WATCHDOG=1");
    served.running.signal("HUP");
    next("RELOADING=1");
    next("READY=1");
    world.sim.set_fault(&user, Some(Fault::Hang));
    // A request that OW logs from now on gets no answer. One that OW logged before may end well.
    let asked = world.pages_of(&user);
    until("a tick hangs", || world.pages_of(&user) > asked);
    next("WATCHDOG=1");
    std::fs::write(&clock, world.now.plus(HOUR).to_string()).unwrap();
    until("keep-alives stop", || hear(&systemd).is_none());
    std::fs::write(&clock, world.now.to_string()).unwrap();
    next("WATCHDOG=1");
    served.running.signal("TERM");
    next("STOPPING=1");
    let ended = served.running.wait();
    assert!(ended.stderr.contains("nothing was heard of the ticker since"), "{ended:?}");
}

#[test]
fn without_a_watchdog_no_keep_alive_is_sent() {
    let world = World::new();
    let socket = world.directory.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(SILENCE)).unwrap();
    let served = Served::with(&world, &[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
    assert!(hear(&systemd).is_some_and(|told| told.contains("READY=1")));
    served.stop("TERM");
    assert!(
        hear(&systemd).is_some_and(|told| told.contains("STOPPING=1")),
        "no keep-alive between ready and stopping"
    );
}

#[test]
fn a_daemon_that_waits_for_its_store_is_not_restarted() {
    let world = World::bare();
    std::fs::write(world.data_dir(), "in the way").unwrap();
    let socket = world.directory.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(SILENCE)).unwrap();
    let variables = [("NOTIFY_SOCKET", socket.to_str().unwrap()), ("WATCHDOG_USEC", ASKED_MICROS)];
    let served = Served::with(&world, &variables);
    let mut told = Vec::new();
    until("the daemon reports ready, names the cause of its wait, and sends keep-alives", || {
        told.push(hear(&systemd).expect("a further notification"));
        let told = told.concat();
        told.contains("READY=1") && told.contains("STATUS=") && told.matches("WATCHDOG=1").count() > 20
    });
    served.stop("TERM");
}
