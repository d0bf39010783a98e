//! Death between any two steps of the lock, the commit and the export.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use jhe_ow::clock::CLOCK_ENV;
use jhe_ow::demo::sim::Row;
use jhe_ow::failpoint::{ERASURE, FAILPOINT_ENV, NAMES};

use crate::fake_jhe::Fault;
use crate::wards::*;

const MINUTE: Duration = Duration::from_mins(1);
/// The signal of a process that aborts.
const ABORTED: i32 = 6;

#[test]
fn death_between_any_two_steps_loses_nothing_and_doubles_nothing() {
    let (mut wards, mut dice) = (Wards::new(1), Dice::new(1));
    let mut unmet = BTreeSet::new();
    for name in NAMES {
        // Corrections, a night and its second part come as chance has it.
        let mut died = false;
        for _ in 0..4 {
            wards.settle();
            wards.world.pass(MINUTE * 125);
            if name == "commit.stream" {
                wards.admit(40002);
                wards.world.pass(MINUTE * 7);
            }
            wards.live(&mut dice);
            wards.spoil();
            if name == "outbox.again" {
                wards.jhe.state().faults.push_back(Fault::Busy(90));
            }
            // Time goes on while OW is asked: a lock is renewed after a minute.
            let clock = wards.world.directory.path().join("clock");
            std::fs::write(&clock, wards.world.now.to_string()).unwrap();
            let (moved, later) = (clock.clone(), wards.world.now.plus(MINUTE * 2).to_string());
            wards.world.sim.on_page(move |_, _| std::fs::write(&moved, &later).unwrap());
            for command in ["poll", "export"] {
                let mut command = wards.world.command(&[command]);
                if name.starts_with("lock.renewed") {
                    command.env(CLOCK_ENV, format!("@{}", clock.display()));
                }
                let ended = command.env(FAILPOINT_ENV, name).output().unwrap().status;
                died |= ended.signal() == Some(ABORTED);
                wards.check_file();
            }
            wards.jhe.state().faults.clear();
            wards.recover();
            if died {
                break;
            }
        }
        if !died {
            unmet.insert(name);
        }
    }
    wards.deliver();
    assert!(unmet.is_empty(), "never reached: {unmet:?}");
}

fn count(wards: &Wards, query: &str) -> i64 {
    let db = rusqlite::Connection::open(wards.world.database()).unwrap();
    db.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_erasure_that_dies_between_any_two_steps_is_finished_by_the_next() {
    for name in ERASURE {
        let (mut wards, mut dice) = (Wards::new(2), Dice::new(2));
        wards.world.pass(MINUTE * 125);
        wards.live(&mut dice);
        wards
            .world
            .sim
            .put_row(&wards.all[0].user, Row::heart_rate(wards.world.now.minus(MINUTE), 61.735_19));
        assert_eq!(wards.world.poll().code, 0);
        let erase = ["patient", "erase", "jhe:40001", "--yes"];
        let ended = wards.world.command(&erase).env(FAILPOINT_ENV, name).output().unwrap().status;
        assert_eq!(ended.signal(), Some(ABORTED), "{name} is never reached");
        // Whatever runs in between brings nothing of the patient back, and sends nothing.
        let sent = wards.jhe.instants(40001).len();
        let others = wards.jhe.instants(40002).len();
        let kept =
            "SELECT count(*) FROM observations JOIN streams ON streams.id = stream_id WHERE patient_id = 1";
        let before = count(&wards, kept);
        wards.world.sim.put(&wards.all[0].user, wards.world.now.minus(MINUTE * 3), 63.0);
        assert_eq!(wards.world.poll().code, 0, "{name}");
        assert_eq!(wards.world.run(&["export"]).code, 0, "{name}");
        if name != "erase.begun" {
            assert_eq!(count(&wards, kept), before, "{name}");
            assert_eq!(wards.jhe.instants(40001).len(), sent, "{name}");
        }
        assert!(wards.jhe.instants(40002).len() > others, "{name}");
        let ran = wards.world.run(&erase);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert_eq!(count(&wards, "SELECT count(*) FROM patients"), 1, "{name}");
        assert_eq!(
            count(&wards, "SELECT count(*) FROM audit_entries WHERE action = 'patient.erase'"),
            1,
            "{name}"
        );
        assert_eq!(count(&wards, "SELECT count(*) FROM pragma_foreign_key_check"), 0, "{name}");
        assert_eq!(count(&wards, "SELECT count(*) FROM erasures WHERE vacuumed_at IS NULL"), 0, "{name}");
        for file in ["jhe-ow.sqlite3", "jhe-ow.sqlite3-wal"] {
            let bytes = std::fs::read(wards.world.data_dir().join(file)).unwrap_or_default();
            let value = 61.735_19_f64.to_be_bytes();
            assert!(!bytes.windows(8).any(|one| one == value), "{name}: {file} has what was measured");
        }
    }
}

#[test]
fn death_after_any_transaction_loses_nothing_however_long_the_outage_was() {
    let (mut wards, mut dice) = (Wards::new(1), Dice::new(2));
    // A quarter past three: what is due once a day was due twenty minutes ago, and is done.
    wards.world.pass(MINUTE * 180);
    wards.recover();
    for at_export in [false, true] {
        for transaction in 1.. {
            // Until just before it is due again: the outage is longer than a tick looks back by itself, also for the
            // total of the day, which is read together with what is measured by the minute.
            wards.settle();
            wards.world.pass(MINUTE * 60 * 23);
            wards.live(&mut dice);
            if at_export {
                wards.recover();
            }
            let mut command = wards.world.command(&[if at_export { "export" } else { "poll" }]);
            let ended =
                command.env(FAILPOINT_ENV, format!("writer.committed:{transaction}")).output().unwrap();
            wards.check_file();
            wards.recover();
            if ended.status.signal() != Some(ABORTED) {
                assert!(
                    transaction > if at_export { 2 } else { 4 },
                    "no more than {transaction} transactions"
                );
                break;
            }
            wards.settle();
            wards.world.pass(MINUTE * 60);
            wards.recover();
        }
    }
    wards.deliver();
}
