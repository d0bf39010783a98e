//! This machine's clock, beside those of the servers that it works with.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::doctor::finding::{Finding, length};

/// Clocks that are kept by NTP differ by less, and so do answers that travel for some seconds.
const APART: Duration = Duration::from_mins(1);

/// Compares what a server's clock read with ours.
pub(crate) fn compare(check: &'static str, who: &str, theirs: Option<Timestamp>, ours: Timestamp) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::skipped(check, format!("{who} does not say what its clock reads"));
    };
    let (apart, direction) =
        if ours >= theirs { (ours.since(theirs), "ahead of") } else { (theirs.since(ours), "behind") };
    if apart < APART {
        return Finding::ok(check, format!("{who}'s clock reads what this machine's does"));
    }
    Finding::warning(
        check,
        format!("this machine's clock is {} {direction} that of {who}", length(apart)),
        "set the clocks of both by NTP (timedatectl set-ntp true): windows, consents and tokens go by them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn clocks_that_are_apart_are_told_in_either_direction() {
        let noon = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let said = |theirs| compare("clock.ow", "OW", theirs, noon);
        assert_eq!(said(Some(noon.minus(Duration::from_secs(59)))).state, State::Ok);
        assert!(said(Some(noon.minus(APART * 5))).what.contains("5 minutes ahead of that of OW"));
        assert!(said(Some(noon.plus(APART * 5))).what.contains("5 minutes behind that of OW"));
        assert_eq!(said(None).state, State::Skipped);
    }
}
