use std::sync::Arc;

use maud::{Markup, html};
use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::config::settings::Snapshot;
use crate::web::layout::ago;

/// The backups that the daemon makes.
#[derive(Debug, Clone, Default)]
pub struct Backups(Arc<Mutex<BackupState>>);

/// The backups at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupState {
    /// When the newest was begun; none where there is none.
    pub newest: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    pub trouble: Option<String>,
}

impl Backups {
    /// Notes how it stands now.
    pub fn note(&self, state: BackupState) {
        *self.0.lock() = state;
    }

    /// How it stands.
    pub fn get(&self) -> BackupState {
        self.0.lock().clone()
    }

    /// A line of the overview.
    pub(crate) fn line(&self, now: Timestamp, settings: &Snapshot) -> Markup {
        let BackupState { newest, trouble } = self.get();
        html! {
            div.wide { dt { "Last backup" } dd {
                @match (newest, settings.backup_interval()) {
                    (Some(newest), _) => (ago(now, Some(newest))),
                    (None, Some(_)) => "none yet",
                    (None, None) => "none; the daemon makes none (backup.interval = off)",
                }
                @if let Some(trouble) = trouble { p.bad { (trouble) } }
            } }
        }
    }
}
