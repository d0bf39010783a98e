//! The command line: help, arguments, and the commands that the documents show.

mod adherence;
mod documented_commands;
mod help_and_json;
mod invalid_input;
mod study;
