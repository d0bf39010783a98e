//! Black-box tests: the real binary, on the command line and over HTTP, against a strict simulated OW.
//! Each file is named for the promise that it keeps.

mod harness;

mod adoption;
mod bad_input;
mod browser;
mod bucket;
mod consent;
mod corrections;
mod daemon;
mod devices;
mod disk;
mod documents;
mod end_to_end;
mod export;
mod fake_jhe;
mod faults;
mod invitation;
mod jhe_invitation;
mod jhe_screens;
mod jhe_setup;
mod jhe_truth;
mod late_data;
mod lock;
mod matching;
mod never_twice;
mod pages;
mod past;
mod practitioners;
mod predecessor;
mod proxy;
mod raw;
mod raw_export;
mod raw_trouble;
mod raw_turn;
mod raw_vitals;
mod schedules;
mod screens;
mod security;
mod served;
mod store_file;
mod whole_days;
