//! The daemon: its ticker, its pages and its shutdown.

use std::time::Duration;

use jhe_ow::simulator::fault::Fault;
use jhe_ow::simulator::samples_table::Row;

use crate::support::harness::*;
use crate::support::running_daemon::*;

#[test]
fn the_first_tick_runs_at_once_and_further_ones_at_the_interval() {
    let world = World::new();
    world.setting("ow.poll_interval", "1s");
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let served = Served::start(&world);
    until("the first sample is stored", || world.kept(&patient).len() == 1);
    world.sim.put(&user, world.now.minus(HOUR * 2), 61.0);
    until("the second sample is stored", || world.kept(&patient).len() == 2);
    assert_eq!(served.stop("TERM").code, 0);
}

#[test]
fn no_tick_overlaps_another_and_missed_ones_are_not_made_up() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "3s");
    world.setting("ow.poll_interval", "1s");
    let (user, _) = world.patient();
    world.sim.set_fault(&user, Some(Fault::FailFirst { times: 3, status: 503 }));
    world.sim.set_latency(Duration::from_millis(700));
    let served = Served::start(&world);
    until("some ticks have run", || world.pages_of(&user) >= 6);
    assert_eq!(world.sim.max_in_flight(), 1);
    served.stop("TERM");
}

#[test]
fn settings_take_effect_without_a_restart() {
    let world = World::new();
    world.setting("module.ow", "false");
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("a tick was skipped", || {
        operator.get("/admin/system").body.contains("OW poll skipped: module.ow=false")
    });
    world.setting("module.ow", "true");
    // This happens well before the next tick is due.
    until("the sample is stored", || world.kept(&patient).len() == 1);
    served.stop("INT");
}

#[test]
fn the_overview_shows_each_patients_state_and_remedy() {
    let world = World::new();
    let user = world.sim.add_user();
    world.run(&linked_patient("Rosalind", &user));
    let (troubled, _) = world.patient();
    world.run(&["patient", "add", "--name", "Unlinked"]);
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.sim.set_fault(&troubled, Some(Fault::Garbage));
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the tick has ended", || operator.get("/admin/system").body.contains("OW poll complete"));
    let page = operator.get("/admin/patients").body;
    for part in ["Rosalind", "connected", ">12</td>", "not a timeseries page", "Enrol the patient in a study"]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    served.stop("TERM");
}

#[test]
fn samples_that_ow_counts_and_the_store_lacks_are_on_the_page() {
    let mut world = World::new();
    let (user, _) = world.patient();
    world.created();
    world.pass(DAY * 2);
    let mut odd = Row::heart_rate(world.now.minus(DAY), 1.2);
    odd.series.unit = "Hz".into();
    world.sim.put_row(&user, odd);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let compared = || operator.get("/admin/patients").body.contains("OW counts 1 more than are stored here");
    until("the comparison is on the page", compared);
    served.stop("TERM");
    assert!(world.run(&["rejected", "list"]).stdout.contains("its unit is 'Hz', not 'bpm'"));
    world.sim.forget_requests();
    world.pass(DAY);
    world.created();
    let wide = world.sim.requests().iter().filter(|seen| seen.query.contains("start_time=2026-10-2")).count();
    assert_eq!(wide, 0, "ranges known to be missing are not requested every day");
}

#[test]
fn a_long_list_of_patients_is_shown_page_by_page() {
    let world = World::new();
    for _ in 0..51 {
        world.run(&["patient", "add", "--name", "A"]);
    }
    let served = Served::start(&world);
    let operator = served.operator(&world);
    {
        let path = "/admin/patients";
        let first = operator.get(path).body;
        let last = "/admin/patients/51\"";
        assert!(first.contains("/admin/patients/50\"") && !first.contains(last), "50 to a page");
        assert!(first.contains(&format!("{path}?after=50")), "{first}");
        let second = operator.get(&format!("{path}?after=50")).body;
        assert!(second.contains(last) && !second.contains("?after="), "{second}");
    }
    served.stop("TERM");
}

#[test]
fn unknown_paths_are_404_and_pages_load_nothing_external() {
    let world = World::new();
    let served = Served::start(&world);
    let (status, page) = get(served.port, "/nothing", &[]).unwrap();
    assert_eq!(status, 404);
    assert!(page.contains("There is no such page"), "{page}");
    let (status, style) = get(served.port, "/style.css", &[]).unwrap();
    assert_eq!(status, 200);
    assert!(!style.contains("http"), "the page loads no external font or image");
    served.stop("TERM");
}

#[test]
fn a_stranger_learns_nothing_about_anyone() {
    let world = World::new();
    let (user, _) = world.patient();
    let served = Served::start(&world);
    let stranger = served.visitor();
    let start = stranger.get("/");
    assert_eq!(start.status, 200);
    assert!(!start.body.contains(&user) && !start.body.contains("Patient"), "{}", start.body);
    for path in ["/admin", "/admin/patients/1", "/admin/patients/9", "/admin/settings", "/admin/audit"] {
        let answer = stranger.get(path);
        assert_eq!(answer.status, 303, "{path} answers the same whether it exists or not");
        assert!(answer.location().starts_with("/admin/sign-in?next="), "{answer:?}");
    }
    served.stop("TERM");
}

#[test]
fn readiness_gives_its_reason() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    world.setting("ow.poll_interval", "1s");
    let (user, _) = world.patient();
    let (clock, port) = (world.clock_in_a_file(), free_port());
    let bind = format!("127.0.0.1:{port}");
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &clock), ("JHE_OW_METRICS_BIND", &bind)]);
    until("the daemon is ready", || get(served.port, "/readyz", &[]).unwrap().0 == 200);
    world.sim.set_fault(&user, Some(Fault::Hang));
    world.sim.forget_requests();
    until("a tick hangs", || world.pages_of(&user) > 0);
    world.pass(FIVE_MINUTES * 4);
    world.clock_in_a_file();
    let (status, body) = get(served.port, "/readyz", &[]).unwrap();
    assert_eq!(status, 200, "a first tick may take hours: {body}");
    let is_at_work = |value: &str| {
        let (_, metrics) = get(port, "/metrics", &[]).unwrap();
        metrics.contains(&format!("jhe_ow_tick_under_way {value}\n"))
    };
    assert!(is_at_work("1"));
    world.pass(FIVE_MINUTES * 4);
    world.clock_in_a_file();
    until("the tick is overdue", || get(served.port, "/readyz", &[]).unwrap().0 == 503);
    let (_, body) = get(served.port, "/readyz", &[]).unwrap();
    assert!(body.contains("the last tick ended"), "{body}");
    until("the metrics show the overdue tick too", || is_at_work("0"));
    assert_eq!(get(served.port, "/healthz", &[]).unwrap(), (200, "ok\n".to_owned()));
    served.stop("TERM");
    assert_eq!(world.lock(), "", "the lock is released although OW still hangs");
}

#[test]
fn a_running_tick_of_a_command_counts_for_readiness() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    world.setting("ow.poll_interval", "1m");
    world.setting("ow.hints", "off");
    let (user, _) = world.patient();
    let clock = world.clock_in_a_file();
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &clock)]);
    until("a tick has ended", || world.pages_of(&user) > 0 && world.lock().is_empty());
    world.sim.set_fault(&user, Some(Fault::Hang));
    world.sim.forget_requests();
    let poll = world.start(&["poll"]);
    until("the tick has sent its request", || world.pages_of(&user) > 0);
    world.pass(FIVE_MINUTES * 4);
    world.clock_in_a_file();
    let (status, body) = get(served.port, "/readyz", &[]).unwrap();
    assert_eq!(status, 200, "{body}");
    poll.signal("KILL");
    poll.wait();
    let (status, body) = get(served.port, "/readyz", &[]).unwrap();
    assert!(status == 503 && body.contains("the last tick ended"), "{body}");
    served.stop("TERM");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    let (user, _) = world.patient();
    world.sim.set_fault(&user, Some(Fault::Hang));
    let running = world.start(&["poll"]);
    until("OW got the request", || world.pages_of(&user) > 0);
    running.signal("INT");
    running.signal("INT");
    assert_ne!(running.wait().code, 0);
}

#[test]
fn a_daemon_without_ow_ends_on_a_signal() {
    let mut world = World::new();
    world.set("OW_API_URL", "");
    world.set("OW_API_KEY", "");
    let served = Served::start(&world);
    let ran = served.stop("TERM");
    assert!(ran.code == 0 && ran.stderr.contains("stopped"), "{ran:?}");
}

#[test]
fn an_interrupted_poll_releases_its_lock() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    let (user, _) = world.patient();
    world.sim.set_fault(&user, Some(Fault::Hang));
    let running = world.start(&["poll"]);
    until("OW got the request", || world.pages_of(&user) > 0);
    running.signal("INT");
    let ran = running.wait();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("the tick was stopped"), "{ran:?}");
    world.sim.set_fault(&user, None);
    let served = Served::start(&world);
    let page = served.operator(&world).get("/admin/system").body;
    assert!(!page.contains("<p class=\"bad\">"), "a stopped tick is not the patient's fault");
    served.stop("TERM");
    assert_eq!(world.lock(), "");
}

#[test]
fn sighup_reloads_the_configuration() {
    let world = World::new();
    world.setting("ow.poll_interval", "1s");
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let file = world.directory.path().join("jhe-ow.toml");
    let write = |key: &str| std::fs::write(&file, format!("[ow]\napi_key = \"{key}\"\n")).unwrap();
    write("sk-wrong");
    let served = Served::with(&world, &[("OW_API_KEY", "")]);
    let operator = served.operator(&world);
    until("the key is refused", || {
        operator.get("/admin/system").body.contains("401 Invalid or missing API key")
    });
    write("two words");
    served.running.signal("HUP");
    write(&world.sim.key());
    served.running.signal("HUP");
    until("the sample is stored", || world.kept(&patient).len() == 1);
    served.stop("TERM");
}

#[test]
fn an_address_in_use_is_reported_with_a_remedy() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ran = world.run(&["serve", "--bind", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot listen on") && ran.stderr.contains("--bind"), "{ran:?}");
}

#[test]
fn systemd_is_notified_of_start_and_end() {
    let world = World::new();
    let path = world.directory.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let served = Served::with(&world, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    let told = || {
        let mut message = [0; 256];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert!(told().contains("READY=1"));
    served.stop("TERM");
    assert!(told().contains("STOPPING=1"));
}

#[test]
fn the_demonstration_refuses_a_store_with_real_patients() {
    let world = World::new();
    let (_, patient) = world.patient();
    let directory = world.data_dir();
    let ran = world.run(&["demo", "--data-dir", directory.to_str().unwrap()]);
    assert!(ran.code == 2 && ran.stderr.contains("has a store that no demonstration made"), "{ran:?}");
    let listed = world.run(&["patient", "list"]).stdout;
    assert_eq!(listed.lines().filter(|line| line.trim_start().starts_with(&patient)).count(), 1, "{listed}");
    assert!(!listed.contains("ring"), "{listed}");
}

#[test]
fn the_demonstration_needs_nothing_and_finds_a_port() {
    let world = World::bare();
    let demo = Demonstration::start(&world);
    let program = demo.list.split(' ').next().unwrap();
    assert_eq!(program, env!("CARGO_BIN_EXE_jhe-ow"), "a shell finds it: {}", demo.list);
    let sheet = std::fs::read_to_string(&demo.sheet).unwrap();
    assert!(sheet.contains("P009") && sheet.contains("<svg"), "{sheet}");
    let invited = Visitor::new(demo.base()).get(&demo.invitation).body;
    assert!(invited.contains("Lakemoor Sleep Lab"), "{invited}");
    let directory = std::path::Path::new(&demo.sheet).parent().unwrap();
    let doctor = world.run(&["doctor", "--data-dir", directory.to_str().unwrap()]);
    assert!(doctor.code == 0 && doctor.stdout.contains("All is well."), "{doctor:?}");
    let operator = Visitor::new(demo.base());
    assert_eq!(operator.submit(&demo.sign_in, "/admin/sign-in", &[]).status, 303);
    let password = [("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(operator.submit("/admin/password", "/admin/password", &password).status, 303);
    until("samples arrive", || {
        let page = operator.get("/admin/patients").body;
        page.contains("simulated") && page.contains("samples in the last hour")
    });
    demo.running.signal("INT");
    assert_eq!(demo.running.wait().code, 0);
}

#[test]
fn after_a_clean_end_the_database_is_one_file() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR * 20), world.now, FIVE_MINUTES, 1);
    let served = Served::start(&world);
    until("the samples are stored", || world.pages_of(&user) > 0 && world.kept(&patient).len() == 240);
    served.operator(&world).get("/admin");
    served.stop("TERM");
    let beside = names(&world.data_dir());
    assert!(!beside.iter().any(|name| name.ends_with("-wal") || name.ends_with("-shm")), "{beside:?}");
    let copy = world.directory.path().join("copy.sqlite3");
    std::fs::copy(world.database(), &copy).unwrap();
    let copy = rusqlite::Connection::open(&copy).unwrap();
    let kept: i64 = copy.query_row("SELECT count(*) FROM observations", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 240, "a copy of the file has every observation");
}
