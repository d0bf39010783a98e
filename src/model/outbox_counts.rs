//! Counts of the outbox.

/// Observations by delivery state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    pub pending: i64,
    /// Parked until a consent allows the delivery.
    pub consent: i64,
    /// Parked until somebody completes the configuration of JHE.
    pub configuration: i64,
    /// Refused by JHE for a day, for an unknown reason, while it took others.
    pub suspect: i64,
    /// Rejected by JHE.
    pub dead: i64,
}
