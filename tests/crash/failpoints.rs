//! Death between any two steps of the lock, the commit and the export.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

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
        // A new patient, so that streams begin; a correction, a night and its second part, as chance has it.
        let mut died = false;
        for _ in 0..4 {
            wards.settle();
            wards.world.pass(MINUTE * 125);
            wards.live(&mut dice);
            wards.spoil();
            if name == "outbox.again" {
                wards.jhe.state().faults.push_back(Fault::Busy(90));
            }
            for command in ["poll", "export"] {
                let mut command = wards.world.command(&[command]);
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
    assert_eq!(
        unmet,
        BTreeSet::from(["lock.renewed", "lock.renewed-setting"]),
        "never reached: time stood still"
    );
}
