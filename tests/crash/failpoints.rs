//! A kill between any two steps of the lock, the commit and the export.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use jhe_ow::common::clock::CLOCK_ENV;
use jhe_ow::common::failpoint::{ERASURE, FAILPOINT_ENV, NAMES};
use jhe_ow::simulator::samples_table::Row;

use crate::support::fake_jhe::Fault;
use crate::support::patients::*;

const MINUTE: Duration = Duration::from_mins(1);
/// The signal of a process that aborts.
const ABORTED: i32 = 6;

#[test]
fn a_kill_between_any_two_steps_loses_and_duplicates_nothing() {
    let (mut cohort, mut dice) = (Cohort::new(1), Dice::new(1));
    let mut unmet = BTreeSet::new();
    for &name in NAMES {
        // Corrections, nights and their second parts occur at random.
        let mut died = false;
        for _ in 0..4 {
            cohort.wait_until_idle();
            cohort.world.pass(MINUTE * 125);
            if name == "commit.stream" {
                cohort.admit(40002);
                cohort.world.pass(MINUTE * 7);
            }
            cohort.live(&mut dice);
            cohort.spoil();
            if name == "outbox.again" {
                cohort.jhe.state().faults.push_back(Fault::Busy("90"));
            }
            // The clock advances during OW's answer: a lock is renewed after a minute.
            let clock = cohort.world.directory.path().join("clock");
            std::fs::write(&clock, cohort.world.now.to_string()).unwrap();
            let (moved, later) = (clock.clone(), cohort.world.now.plus(MINUTE * 2).to_string());
            cohort.world.sim.on_page(move |_, _| std::fs::write(&moved, &later).unwrap());
            for command in ["poll", "export"] {
                let mut command = cohort.world.command(&[command]);
                if name.starts_with("lock.renewed") {
                    command.env(CLOCK_ENV, format!("@{}", clock.display()));
                }
                let ended = command.env(FAILPOINT_ENV, name).output().unwrap().status;
                died |= ended.signal() == Some(ABORTED);
                cohort.check_file();
            }
            cohort.jhe.state().faults.clear();
            cohort.recover();
            if died {
                break;
            }
        }
        if !died {
            unmet.insert(name);
        }
    }
    cohort.deliver();
    assert!(unmet.is_empty(), "failpoints that were never reached: {unmet:?}");
}

fn count(cohort: &Cohort, query: &str) -> i64 {
    let db = rusqlite::Connection::open(cohort.world.database()).unwrap();
    db.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_erasure_killed_between_any_two_steps_is_finished_by_the_next() {
    for &name in ERASURE {
        let (mut cohort, mut dice) = (Cohort::new(2), Dice::new(2));
        cohort.world.pass(MINUTE * 125);
        cohort.live(&mut dice);
        cohort
            .world
            .sim
            .put_row(&cohort.all[0].user, Row::heart_rate(cohort.world.now.minus(MINUTE), 61.735_19));
        assert_eq!(cohort.world.poll().code, 0);
        let erase = ["patient", "erase", "jhe:40001", "--yes"];
        let ended = cohort.world.command(&erase).env(FAILPOINT_ENV, name).output().unwrap().status;
        assert_eq!(ended.signal(), Some(ABORTED), "failpoint {name} was never reached");
        // Commands that run meanwhile restore no data of the patient and send nothing.
        let sent = cohort.jhe.instants(40001).len();
        let others = cohort.jhe.instants(40002).len();
        let kept =
            "SELECT count(*) FROM observations JOIN streams ON streams.id = stream_id WHERE patient_id = 1";
        let before = count(&cohort, kept);
        cohort.world.sim.put(&cohort.all[0].user, cohort.world.now.minus(MINUTE * 3), 63.0);
        assert_eq!(cohort.world.poll().code, 0, "{name}");
        assert_eq!(cohort.world.run(&["export"]).code, 0, "{name}");
        if name != "erase.begun" {
            assert_eq!(count(&cohort, kept), before, "{name}");
            assert_eq!(cohort.jhe.instants(40001).len(), sent, "{name}");
        }
        assert!(cohort.jhe.instants(40002).len() > others, "{name}");
        let ran = cohort.world.run(&erase);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert_eq!(count(&cohort, "SELECT count(*) FROM patients"), 1, "{name}");
        assert_eq!(
            count(&cohort, "SELECT count(*) FROM audit_entries WHERE action = 'patient.erase'"),
            1,
            "{name}"
        );
        assert_eq!(count(&cohort, "SELECT count(*) FROM pragma_foreign_key_check"), 0, "{name}");
        assert_eq!(count(&cohort, "SELECT count(*) FROM erasures WHERE vacuumed_at IS NULL"), 0, "{name}");
        for file in ["jhe-ow.sqlite3", "jhe-ow.sqlite3-wal"] {
            let bytes = std::fs::read(cohort.world.data_dir().join(file)).unwrap_or_default();
            let value = 61.735_19_f64.to_be_bytes();
            assert!(
                !bytes.windows(8).any(|one| one == value),
                "{name}: {file} still contains the measurement"
            );
        }
    }
}

#[test]
fn a_kill_after_any_transaction_loses_nothing_however_long_the_outage() {
    let (mut cohort, mut dice) = (Cohort::new(1), Dice::new(2));
    // 3:15: the daily tasks became due twenty minutes ago and are done.
    cohort.world.pass(MINUTE * 180);
    cohort.recover();
    for at_export in [false, true] {
        for transaction in 1.. {
            // Stop just before the daily tasks are due again. The outage is longer than a tick's look-back, also for
            // the daily total, which is read together with the samples.
            cohort.wait_until_idle();
            cohort.world.pass(MINUTE * 60 * 23);
            cohort.live(&mut dice);
            if at_export {
                cohort.recover();
            }
            let mut command = cohort.world.command(&[if at_export { "export" } else { "poll" }]);
            let ended =
                command.env(FAILPOINT_ENV, format!("writer.committed:{transaction}")).output().unwrap();
            cohort.check_file();
            cohort.recover();
            if ended.status.signal() != Some(ABORTED) {
                assert!(transaction > if at_export { 2 } else { 4 }, "only {transaction} transactions");
                break;
            }
            cohort.wait_until_idle();
            cohort.world.pass(MINUTE * 60);
            cohort.recover();
        }
    }
    cohort.deliver();
}
