//! Entry points for fuzzing, used by the crate in `fuzz/` and by `tests/bad_input/`. Nothing here runs in the
//! daemon.

pub(crate) mod jhe_answers;
pub mod targets;
