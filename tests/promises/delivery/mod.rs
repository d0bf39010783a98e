//! Delivery to JHE: each observation once, corrections, and set-up there.

mod corrections;
mod delivered_elsewhere;
mod exactly_once;
mod faults_of_the_path;
mod jhe_setup;
mod one_of_two_modes;
mod random_schedules;
