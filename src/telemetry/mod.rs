//! Log lines, and the metrics for Prometheus.

pub(crate) mod logging;
pub(crate) mod metrics;
