//!

pub(crate) mod jhe_answers;
pub mod targets;
