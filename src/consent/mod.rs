//! Keeps consents up to date: reads them from JHE, and erases data of which the consent was withdrawn.

pub(crate) mod erase_withdrawn;
pub(crate) mod refresh;
