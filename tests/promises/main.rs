//! Black-box tests: the real binary, on the command line and over HTTP, against a strict simulated OW.
//! Each test is named for the promise that it keeps.

mod command_line;
mod conversion;
mod dataset;
mod delivery;
mod operations;
mod pages;
mod people;
mod polling;
mod raw;
mod reading;
mod security;
mod store;
mod support;
