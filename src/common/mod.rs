//!

pub(crate) mod backoff;
pub(crate) mod bounded_list;
pub mod clock;
pub mod failpoint;
pub(crate) mod failure;
pub(crate) mod redact;
pub(crate) mod stdout;
pub(crate) mod suggest;
pub mod time;
