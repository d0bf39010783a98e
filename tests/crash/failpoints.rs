//! Death between any two steps of the lock, the commit and the export.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use jhe_ow::clock::CLOCK_ENV;
use jhe_ow::failpoint::{FAILPOINT_ENV, NAMES};

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
