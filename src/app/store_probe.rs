//! The result of the daemon's own regular write to the store. `/readyz` and the metrics read it and write nothing.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::store::engine::store::Store;
use crate::store::operations::patient_status;
use crate::store::privacy::erasure;

#[derive(Debug, Clone, Default)]
pub struct StoreProbe(Arc<Mutex<Option<String>>>);

impl StoreProbe {
    /// Returns why the last write failed; none if it did not.
    pub(crate) fn error(&self) -> Option<String> {
        self.0.lock().clone()
    }

    /// Writes once and records the result.
    pub(crate) async fn check(&self, store: &Store) -> Option<String> {
        let error = store.write(patient_status::check_writable).await.err().map(|error| error.to_string());
        self.0.lock().clone_from(&error);
        error
    }

    /// Writes unless writes wait until the file is rewritten: each one would leave a job in the writer's queue.
    pub(crate) async fn check_unless_vacuuming(&self, store: &Store) {
        if !erasure::is_vacuuming(store.directory()) {
            self.check(store).await;
        }
    }
}
