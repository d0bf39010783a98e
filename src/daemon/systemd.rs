use sd_notify::NotifyState;

/// Tells systemd, where there is one.
pub(crate) fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd could not be told: {error}");
    }
}
