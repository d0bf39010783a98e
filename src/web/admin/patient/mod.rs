//! One patient: how things stand, what arrived, and what can be done.

pub(crate) mod access;
pub(crate) mod charts;
pub(crate) mod polling;
pub(crate) mod show;
pub(crate) mod view;
