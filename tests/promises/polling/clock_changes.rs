//! Clock steps, daylight saving time and travel lose nothing, duplicate nothing, and trigger no burst of ticks.

use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::event::{Event, SleepStage};
use jhe_ow::simulator::samples_table::Row;

use crate::support::connected_world::Scene;
use crate::support::harness::*;
use crate::support::hints::*;
use crate::support::running_daemon::*;

const CLOCK: &str = "JHE_OW_CLOCK";
const STEPS: &str = "omh:step-count:3.0";
const EPISODE: &str = "omh:sleep-episode:1.1";
const MINUTE: Duration = Duration::from_mins(1);
const QUARTER: Duration = Duration::from_mins(15);

/// A step of the system clock: its size, and whether it goes ahead of the real time.
#[derive(Debug, Clone, Copy)]
struct Step(Duration, bool);

const ALL: &[Step] = &[Step(HOUR, true), Step(HOUR, false), Step(DAY, true), Step(DAY, false)];

impl Step {
    fn of(self, now: Timestamp) -> Timestamp {
        if self.1 { now.plus(self.0) } else { now.minus(self.0) }
    }
}

/// Runs a command whose clock shows another time.
fn run_at(world: &World, arguments: &[&str], clock: Timestamp) -> Ran {
    let output = world.command(arguments).env(CLOCK, clock.to_string()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    let ran = Ran { code, stdout: text(&output.stdout), stderr: text(&output.stderr) };
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

/// Advances a quarter of an hour with three new samples and a late one of four hours ago.
fn measure_a_quarter_hour(world: &mut World, user: &str, beat: &mut f64) {
    world.pass(QUARTER);
    for minutes in [12, 7, 2, 60 * 4 + 1] {
        *beat += 0.25;
        world.sim.put(user, world.now.minus(MINUTE * minutes), *beat);
    }
}

#[test]
fn a_clock_step_neither_loses_nor_duplicates_samples() {
    for &step in ALL {
        let mut scene = Scene::new();
        let (user, patient) = scene.patient(40001);
        let mut beat = 40.0;
        for _ in 0..4 {
            measure_a_quarter_hour(&mut scene.world, &user, &mut beat);
            assert_eq!(scene.world.poll().code, 0);
            scene.export();
        }
        // A lost answer leaves a lease.
        scene.jhe.state().faults.extend([crate::support::fake_jhe::Fault::Lost]);
        for _ in 0..6 {
            measure_a_quarter_hour(&mut scene.world, &user, &mut beat);
            let clock = step.of(scene.world.now);
            let ran = run_at(&scene.world, &["poll"], clock);
            assert!(!ran.stdout.contains("skipped"), "{step:?}: {ran:?}");
            scene.world.command(&["export"]).env(CLOCK, clock.to_string()).output().unwrap();
        }
        // The clock is corrected.
        for _ in 0..4 {
            measure_a_quarter_hour(&mut scene.world, &user, &mut beat);
            assert!(!scene.world.poll().stdout.contains("skipped"), "{step:?}");
            scene.export();
        }
        assert_eq!(scene.world.kept(&patient), scene.world.sim.heart_rates(&user), "{step:?}");
        scene.world.pass(DAY + HOUR);
        assert_eq!(scene.world.created(), 0, "{step:?}");
        scene.export();
        assert!(scene.is_delivered(40001, &patient), "{step:?}");
        let state = scene.jhe.state();
        let names: std::collections::BTreeSet<_> = state.kept.iter().map(|kept| &kept.identifier).collect();
        assert_eq!(names.len(), state.kept.len(), "{step:?}");
    }
}

#[test]
fn a_clock_that_ran_years_ahead_delays_nothing_afterwards() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    assert_eq!(scene.world.created(), 12);
    measure_a_quarter_hour(&mut scene.world, &user, &mut 40.0);
    let ran = run_at(&scene.world, &["poll"], scene.world.now.plus(DAY * 900));
    assert_eq!(ran.created(), 4);
    scene.world.pass(QUARTER);
    let ran = scene.export();
    assert!(
        ran.stdout.contains("Delivered 16"),
        "a due time beyond the longest back-off counts as due: {ran:?}"
    );
    assert!(scene.is_delivered(40001, &patient));
    // The daily sweep does not wait until then.
    let late = scene.world.now.minus(DAY * 5);
    scene.world.sim.put(&user, late, 61.0);
    for _ in 0..25 {
        scene.world.pass(HOUR);
        scene.world.created();
    }
    assert!(scene.world.kept(&patient).contains(&(late, 61.0)));
}

#[test]
fn the_daemon_keeps_ticking_across_clock_steps() {
    let world = World::new();
    world.setting("ow.poll_interval", "1s");
    let (user, patient) = world.patient();
    let clock = world.directory.path().join("clock");
    let set = |at: Timestamp| std::fs::write(&clock, at.to_string()).unwrap();
    set(world.now);
    let served = Served::with(&world, &[(CLOCK, &format!("@{}", clock.display()))]);
    let ticks = || -> i64 {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).unwrap()
    };
    until("the first tick has run", || ticks() > 0);
    let mut beat = 60.0;
    for step in ALL.iter().copied().chain([Step(DAY * 400, true), Step(DAY * 400, false)]) {
        for at in [step.of(world.now), world.now] {
            set(at);
            let before = ticks();
            beat += 1.0;
            world.sim.put(&user, world.now.minus(MINUTE * u32::try_from(before % 60).unwrap()), beat);
            until("two ticks have run with the new time", || ticks() >= before + 2);
        }
    }
    until("all samples are stored", || world.kept(&patient) == world.sim.heart_rates(&user));
    // Stop the daemon first: a tick may hold the lock at any moment.
    served.stop("TERM");
    assert_eq!(world.lock(), "");
}

#[test]
fn a_clock_step_triggers_no_early_tick() {
    let world = World::new();
    let (user, _) = world.patient();
    let clock = Hands::new(&world);
    let served = served(&world, "1s", &user, &[(CLOCK, &clock.variable())]);
    let read = world.pages_of(&user);
    for step in ALL.iter().copied().chain([Step(DAY * 400, true), Step(DAY * 400, false)]) {
        for at in [step.of(world.now), world.now] {
            clock.set(at);
            // OW's list is read each second, so this shows that the daemon continues with the new time.
            let before = lists(&world);
            until("the daemon continues with the new time", || lists(&world) >= before + 2);
            assert_eq!(world.pages_of(&user), read, "the next tick stays an hour away, also after {step:?}");
        }
    }
    served.stop("TERM");
}

#[test]
fn a_tick_during_which_the_clock_steps_back_keeps_its_lock() {
    for (back, held) in [(HOUR, true), (DAY, true)] {
        let world = World::new();
        let (user, patient) = world.patient();
        world.sim.set_page_cap(100);
        world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
        let clock = world.directory.path().join("clock");
        std::fs::write(&clock, world.now.to_string()).unwrap();
        let (moved, to) = (clock.clone(), world.now.minus(back).to_string());
        world.sim.on_page(move |_, page| {
            if page > 1 {
                std::fs::write(&moved, &to).unwrap();
            }
        });
        let ran = world.command(&["poll"]).env(CLOCK, format!("@{}", clock.display())).output().unwrap();
        assert_eq!(ran.status.success(), held, "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!((world.kept(&patient), world.lock()), (world.sim.heart_rates(&user), String::new()));
    }
}

/// A zone, the date of its clock change, the offsets before and after, and the hours of that day.
const CHANGES: &[(&str, &str, &str, &str, u64)] = &[
    ("Europe/Berlin", "2026-03-29", "+01:00", "+02:00", 23),
    ("Europe/Berlin", "2026-10-25", "+02:00", "+01:00", 25),
    ("America/New_York", "2026-03-08", "-05:00", "-04:00", 23),
    ("America/New_York", "2026-11-01", "-04:00", "-05:00", 25),
];

#[test]
fn the_day_and_night_of_a_dst_change_are_complete() {
    for &(zone, date, before, after, hours) in CHANGES {
        let world = World::new();
        let (user, patient) = world.patient_of(&[HEART_RATE, STEPS, EPISODE], zone);
        let midnight = at(&format!("{date}T00:00:00{before}"));
        let end = midnight.plus(HOUR * u32::try_from(hours).unwrap());
        // A sample every half an hour with its offset at that time. In autumn, both occurrences of the repeated hour.
        let change =
            at(&format!("{date}T02:00:00{before}")).plus(if hours == 25 { HOUR } else { Duration::ZERO });
        let change = if zone == "America/New_York" && hours == 25 { change.minus(HOUR) } else { change };
        let mut sent = Vec::new();
        let mut stamp = midnight;
        while stamp < end {
            let offset = if stamp < change { before } else { after };
            let value = 60.0 + f64::from(u32::try_from(sent.len()).unwrap()) / 4.0;
            world.sim.put_row(&user, Row::heart_rate(stamp, value).with_zone(offset));
            sent.push((stamp, value));
            stamp = stamp.plus(HOUR / 2);
        }
        // The day's total as Oura stamps it, in the morning, and the preceding night.
        let morning = at(&format!("{date}T04:00:00{after}"));
        world.sim.put_row(&user, Row::of("steps", morning, 5000.0).with_zone(after).with_daily_total(true));
        let (asleep, awake) = (midnight.minus(HOUR), midnight.plus(HOUR * 7));
        let stages = vec![SleepStage { stage: "light".to_owned(), start: asleep, end: awake }];
        world.sim.put_event(&user, Event::night(asleep, awake, stages).with_zone(Some(before)));
        let read = || world.run(&["poll", "--since", "2026-03-01"]);
        let all = sent.len() as u64 + 2;
        assert_eq!((read().created(), read().created()), (all, 0), "{zone} {date}");
        let beats: Vec<(Timestamp, f64)> =
            world.lines(&patient, "heart_rate").iter().map(|line| (line.start, line.value)).collect();
        assert_eq!(beats, sent, "{zone} {date}");
        let total = world.lines(&patient, "steps").remove(0);
        assert_eq!((total.start, total.end), (midnight, Some(end)), "{zone} {date}");
        let night = world.lines(&patient, "sleep_episode").remove(0);
        assert_eq!(
            (night.start, night.end, night.value),
            (asleep, Some(awake), 8.0 * 3600.0),
            "{zone} {date}"
        );
        let locals: std::collections::BTreeSet<String> =
            world.lines(&patient, "heart_rate").into_iter().map(|line| line.local).collect();
        assert_eq!(locals.len(), sent.len(), "each sample has a different local time");
        assert!(locals.iter().all(|local| local.starts_with(date)), "{locals:?}");
    }
}

#[test]
fn a_travellers_samples_are_stored_once_in_local_time() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    // Berlin, Los Angeles, Auckland: noon occurs three times, and the morning once more in Los Angeles.
    let flight = [
        ("2026-11-21T12:00:00+02:00", 60.0),
        ("2026-11-21T12:05:00+02:00", 61.0),
        ("2026-11-21T04:10:00-07:00", 62.0),
        ("2026-11-21T12:00:00-07:00", 63.0),
        ("2026-11-21T12:05:00-07:00", 64.0),
        ("2026-11-22T12:00:00+13:00", 65.0),
        ("2026-11-22T12:05:00+13:00", 66.0),
    ];
    world.pass(DAY);
    for (local, beats) in flight {
        let offset = &local[19..];
        world.sim.put_row(&user, Row::heart_rate(at(local), beats).with_zone(offset));
        world.created();
    }
    assert_eq!(world.run(&["poll", "--window", "7d"]).created(), 0);
    let lines = world.lines(&patient, "heart_rate");
    let kept: Vec<(&str, f64, u64)> =
        lines.iter().map(|line| (line.local.as_str(), line.value, line.revision)).collect();
    assert_eq!(kept, flight.map(|(local, beats)| (local, beats, 0)));
}
