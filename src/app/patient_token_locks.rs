use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::common::time::Timestamp;
use crate::jhe::invitation::PersonGrant;
use crate::model::patient::PatientId;

/// The tokens of patients that this process knows.
#[derive(Debug, Clone, Default)]
pub struct PatientTokens {
    pub(crate) known: Arc<Mutex<BTreeMap<i64, Token>>>,
    /// Held while a patient's token is renewed: what it is renewed with is good once.
    renewing: Arc<Mutex<BTreeMap<i64, Lock>>>,
}

pub(crate) type Lock = Arc<tokio::sync::Mutex<()>>;

impl PatientTokens {
    pub(crate) fn lock(&self, patient: PatientId) -> Lock {
        let mut locks = self.renewing.lock();
        locks.entry(patient.get()).or_default().clone()
    }
}

/// A patient's tokens.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    /// Microseconds since the Unix epoch.
    pub(crate) renew_at: i64,
    pub(crate) client_id: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(… of {})", self.client_id)
    }
}

impl Token {
    pub(crate) fn new(grant: &PersonGrant, now: Timestamp) -> Self {
        Self {
            access: grant.access.expose_secret().to_owned(),
            refresh: grant.refresh.as_ref().map(|refresh| refresh.expose_secret().to_owned()),
            renew_at: now.plus(grant.life * (LEFT - 1) / LEFT).micros(),
            client_id: grant.client_id.clone(),
        }
    }
}

/// A token is renewed when less than this part of its life is left: JHE's lives two weeks.
pub(crate) const LEFT: u32 = 10;
