//!

pub(crate) mod erase_withdrawn;
pub(crate) mod refresh;
