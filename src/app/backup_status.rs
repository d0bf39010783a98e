use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::time::Timestamp;

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
}
