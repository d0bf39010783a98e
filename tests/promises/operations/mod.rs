//! Operating the daemon: doctor, alerts, metrics, log, lock, load.

mod daemon;
mod daemon_alerts;
mod doctor;
mod doctor_store;
mod doctor_work;
mod load;
mod lock;
mod log;
mod metrics;
mod silence;
mod silence_alerts;
mod watchdog;
