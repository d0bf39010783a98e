//!

pub(crate) mod password;
pub(crate) mod sealing;
pub(crate) mod token;
pub mod webhook_signature;
