//! The languages of patients' pages: Fluent bundles, the choice of a language, and dates as each language writes them.
//!
//! A further language is one file in `assets/languages` and its line in [`language::LANGUAGES`].

pub mod language;
pub mod phrase;
pub mod texts;
