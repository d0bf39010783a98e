//! The pages, over HTTP and in a real browser.

mod admin_pages;
mod browser_checks;
mod charts;
mod demonstration;
mod end_to_end;
mod jhe_browser_checks;
mod study_pages;
mod stylesheet;
