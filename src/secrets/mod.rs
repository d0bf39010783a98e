//! Secrets: tokens that are handed out, passwords, values sealed in the database, and webhook signatures.

pub(crate) mod password;
pub(crate) mod sealing;
pub(crate) mod second_factor;
pub(crate) mod token;
pub mod webhook_signature;
