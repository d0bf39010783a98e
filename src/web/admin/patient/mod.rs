//! The pages about one patient: state, data, history, invitations and syncs.

pub(crate) mod access;
pub(crate) mod band;
pub(crate) mod charts;
pub(crate) mod collection;
pub(crate) mod history;
pub(crate) mod mails;
pub(crate) mod polling;
pub(crate) mod show;
pub(crate) mod time_zone;
pub(crate) mod view;
