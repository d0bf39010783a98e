//!

pub(crate) mod consented_series;
pub(crate) mod days;
pub(crate) mod listing;
pub(crate) mod patient_turn;
pub(crate) mod read_object;
pub(crate) mod reading;
pub(crate) mod turn_budget;
pub(crate) mod unread_objects;
