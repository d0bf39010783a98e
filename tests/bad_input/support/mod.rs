//! Inputs: made of seeds by chance, and large ones.

pub mod large_inputs;
pub mod mutate;
