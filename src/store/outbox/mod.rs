//!

pub(crate) mod adopt;
pub(crate) mod delivered_elsewhere;
pub mod enqueue;
pub(crate) mod one_of_two_modes;
pub mod outbox;
