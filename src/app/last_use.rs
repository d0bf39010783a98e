//! The last use of sessions and API tokens: gathered in memory and written every few seconds, so that reading a page
//! does not wait for a commit.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::secrets::token::TokenHash;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::{api_token, session};

#[derive(Debug, Clone, Default)]
pub struct LastUse {
    pub(crate) sessions: UseTimes,
    pub(crate) api_tokens: UseTimes,
}

/// Times of use that are not written yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct UseTimes(Arc<Mutex<HashMap<TokenHash, Timestamp>>>);

impl UseTimes {
    pub(crate) fn record(&self, hash: TokenHash, now: Timestamp) {
        self.0.lock().insert(hash, now);
    }

    /// Returns a use that is later than the one in the database, if there is one.
    pub(crate) fn find(&self, hash: TokenHash) -> Option<Timestamp> {
        self.0.lock().get(&hash).copied()
    }

    fn list(&self) -> Vec<(TokenHash, Timestamp)> {
        self.0.lock().iter().map(|(hash, at)| (*hash, *at)).collect()
    }

    /// Forgets what was written, unless a later use has come since.
    fn forget(&self, written: &[(TokenHash, Timestamp)]) {
        let mut times = self.0.lock();
        for (hash, at) in written {
            if times.get(hash) == Some(at) {
                times.remove(hash);
            }
        }
    }
}

impl LastUse {
    /// Writes all uses in one transaction. After an error they wait for the next time.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let (sessions, api_tokens) = (self.sessions.list(), self.api_tokens.list());
        if sessions.is_empty() && api_tokens.is_empty() {
            return Ok(());
        }
        let written = store.write(move |db| {
            session::record_use(db, &sessions)?;
            api_token::record_use(db, &api_tokens)?;
            Ok((sessions, api_tokens))
        });
        let (sessions, api_tokens) = written.await?;
        self.sessions.forget(&sessions);
        self.api_tokens.forget(&api_tokens);
        Ok(())
    }
}
