//! Messages to systemd's notification socket.

use sd_notify::NotifyState;

/// Sends states to systemd; does nothing where systemd did not start the process.
pub(crate) fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be notified: {error}");
    }
}
