//! The HTTP server: health, readiness and the status page.

mod page;
mod routes;
mod server;
mod status;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::store::Store;
use crate::time::Timestamp;

pub use server::serve;

/// What the pages are made from.
#[derive(Debug, Clone)]
pub struct App {
    /// Where everything is kept.
    pub store: Store,
    /// Where "now" comes from.
    pub clock: Clock,
    /// Where the server listens: only on loopback may the status page say anything about patients.
    pub bind: SocketAddr,
    /// How the ticker is doing.
    pub ticks: Ticks,
    /// Set by the demonstration: what is shown is simulated.
    pub simulated: bool,
}

/// How the ticker is doing, shared between it and the pages.
#[derive(Debug, Clone)]
pub struct Ticks(Arc<Mutex<TickState>>);

/// The ticker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickState {
    /// When the last tick ended, or when the daemon started where none has.
    pub last: Timestamp,
    /// How the last tick ended.
    pub outcome: Option<String>,
    /// Time from one tick to the next.
    pub interval: Duration,
}

impl Ticks {
    /// A ticker that starts at `now`.
    pub fn new(now: Timestamp, interval: Duration) -> Self {
        Self(Arc::new(Mutex::new(TickState { last: now, outcome: None, interval })))
    }

    /// Notes that a tick ended.
    pub fn note(&self, now: Timestamp, outcome: String, interval: Duration) {
        let state = TickState { last: now, outcome: Some(outcome), interval };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The ticker at this moment.
    pub fn get(&self) -> TickState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
