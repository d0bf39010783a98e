//! The pages of one study.

pub(crate) mod adherence;
pub(crate) mod consent_text;
pub(crate) mod data;
pub(crate) mod frame;
pub(crate) mod invite;
pub(crate) mod mails;
pub(crate) mod participants;
pub(crate) mod tokens;
