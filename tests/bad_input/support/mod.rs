//! Random and large inputs.

pub mod large_inputs;
pub mod mutate;
