//! Signals: the first SIGINT or SIGTERM asks for an orderly end, the second one ends at once.

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;

/// Exit code of a process that was ended by its second signal, as shells count SIGINT.
const EXIT_SIGNAL: i32 = 130;

/// Cancels `cancel` at the first signal to end.
pub(crate) fn cancel_on_signal(cancel: &CancellationToken) -> Result<(), Failure> {
    listen(cancel, &[SIGINT, SIGTERM]).map(drop)
}

/// As [`cancel_on_signal`], and passes each SIGHUP on.
pub(crate) fn cancel_and_reload(cancel: &CancellationToken) -> Result<mpsc::Receiver<()>, Failure> {
    listen(cancel, &[SIGINT, SIGTERM, SIGHUP])
}

fn listen(cancel: &CancellationToken, which: &[i32]) -> Result<mpsc::Receiver<()>, Failure> {
    let mut signals = Signals::new(which).map_err(|error| {
        Failure::failed(format!("signals cannot be listened to: {error}"), "report it with this text")
    })?;
    let (reload, reloads) = mpsc::channel(1);
    let cancel = cancel.clone();
    tokio::spawn(async move {
        while let Some(signal) = signals.next().await {
            match signal {
                // One reload that waits is as good as two.
                SIGHUP => drop(reload.try_send(())),
                _ if cancel.is_cancelled() => std::process::exit(EXIT_SIGNAL),
                _ => {
                    tracing::info!("stopping; a second signal ends it at once");
                    cancel.cancel();
                }
            }
        }
    });
    Ok(reloads)
}
