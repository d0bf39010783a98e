//! Compares this machine's clock with those of the servers.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::doctor::finding::{Finding, render_length};

/// Clocks with NTP differ by less, even when an answer takes some seconds.
const TOLERANCE: Duration = Duration::from_mins(1);

pub(crate) fn compare(
    check: &'static str,
    server: &str,
    theirs: Option<Timestamp>,
    ours: Timestamp,
) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::skipped(check, format!("{server} does not report its time"));
    };
    let (difference, direction) =
        if ours >= theirs { (ours.since(theirs), "ahead of") } else { (theirs.since(ours), "behind") };
    if difference < TOLERANCE {
        return Finding::ok(check, format!("the clocks of {server} and this machine agree"));
    }
    Finding::warning(
        check,
        format!("this machine's clock is {} {direction} that of {server}", render_length(difference)),
        "synchronize both clocks by NTP (timedatectl set-ntp true): windows, consents and tokens depend on \
         them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity;

    #[test]
    fn a_difference_of_clocks_is_reported_in_either_direction() {
        let noon = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let compared = |theirs| compare("clock.ow", "OW", theirs, noon);
        assert_eq!(compared(Some(noon.minus(Duration::from_secs(59)))).severity, Severity::Ok);
        assert!(compared(Some(noon.minus(TOLERANCE * 5))).message.contains("5 minutes ahead of that of OW"));
        assert!(compared(Some(noon.plus(TOLERANCE * 5))).message.contains("5 minutes behind that of OW"));
        assert_eq!(compared(None).severity, Severity::Skipped);
    }
}
