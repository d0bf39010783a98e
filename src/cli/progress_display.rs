//! A progress bar on a terminal; elsewhere it draws nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// A bar that is redrawn until it is dropped.
pub(crate) struct ProgressDisplay {
    bar: ProgressBar,
    redraw: JoinHandle<()>,
}

impl ProgressDisplay {
    pub(crate) fn start(
        bar: ProgressBar,
        template: &str,
        update: impl Fn(&ProgressBar) + Send + 'static,
    ) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let drawn = bar.clone();
        let redraw = tokio::spawn(async move {
            loop {
                update(&drawn);
                tokio::time::sleep(REDRAW_EVERY).await;
            }
        });
        Self { bar, redraw }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.redraw.abort();
        self.bar.finish_and_clear();
    }
}
