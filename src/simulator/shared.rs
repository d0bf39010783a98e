use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::clock::Clock;
use crate::simulator::state::State;

pub(crate) struct Shared {
    pub(crate) port: u16,
    pub(crate) state: Mutex<State>,
    pub(crate) clock: Clock,
    pub(crate) hook: Mutex<Option<Hook>>,
}

/// Called with the user and the count of page requests so far, before a page is answered.
pub(crate) type Hook = Arc<dyn Fn(&str, usize) + Send + Sync>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
