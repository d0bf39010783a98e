//! Reading OW: windows, pages, backfills, hints, faults and clock changes.

mod backfill;
mod clock_changes;
mod fault_isolation;
mod hints;
mod hints_and_ticks;
mod historical_reads;
mod late_data;
mod ow_poll_compatibility;
mod windows_and_pages;
