//! The state of the simulated OW, which its server and its owner share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::common::{clock::Clock, time::Timestamp};
use crate::simulator::{request_log::ReceivedRequest, sync_run::SimulatedRun, user::SimulatedUser};

pub(crate) struct SharedState {
    pub(crate) port: u16,
    pub(crate) state: Mutex<OwState>,
    pub(crate) clock: Clock,
    pub(crate) page_hook: Mutex<Option<PageHook>>,
}

/// A function that runs before a page is answered, with the user and the count of page requests so far.
pub(crate) type PageHook = Arc<dyn Fn(&str, usize) + Send + Sync>;

impl std::fmt::Debug for SharedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedState").finish_non_exhaustive()
    }
}

impl SharedState {
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

#[derive(Debug, Default)]
pub(crate) struct OwState {
    pub(crate) key: String,
    pub(crate) users: BTreeMap<String, SimulatedUser>,
    pub(crate) page_cap: usize,
    /// Series types that this version does not know.
    pub(crate) missing_types: Vec<String>,
    pub(crate) latency: Duration,
    /// OW's queue of tasks is in Redis; without it OW neither starts a sync nor lists runs.
    pub(crate) is_queue_broken: bool,
    pub(crate) oauth: OAuthState,
    /// Two users: the connections of the first are answered with those of the second.
    pub(crate) mixed_up: Option<(String, String)>,
    /// A status for all requests about users, except their pages.
    pub(crate) users_fault: Option<u16>,
    /// The time of the last pull from the providers; by default it is always now.
    pub(crate) last_pull: Option<Timestamp>,
    /// By the id of the run.
    pub(crate) sync_runs: Vec<(String, SimulatedRun)>,
    pub(crate) requests: Vec<ReceivedRequest>,
    pub(crate) page_requests: usize,
    pub(crate) in_flight: usize,
    pub(crate) max_in_flight: usize,
    unknown_user: SimulatedUser,
}

impl OwState {
    pub(crate) fn new() -> Self {
        let configured = BTreeSet::from(["oura".to_owned()]);
        let oauth = OAuthState { configured, ..OAuthState::default() };
        Self { key: random_key(), page_cap: 100, oauth, ..Self::default() }
    }

    pub(crate) fn rotate_key(&mut self) -> String {
        self.key = random_key();
        self.key.clone()
    }

    /// Adds a user; a known external id returns the user that has it.
    pub(crate) fn add_user(&mut self, external_id: Option<String>, now: Timestamp) -> String {
        let known =
            self.users.iter().find(|(_, user)| external_id.is_some() && user.external_id == external_id);
        if let Some((id, _)) = known {
            return id.clone();
        }
        let id = random_uuid().to_string();
        let user = SimulatedUser { external_id, created: Some(now), ..SimulatedUser::default() };
        self.users.insert(id.clone(), user);
        id
    }

    /// Returns the user of this id. A real OW answers for an unknown one as for one without data.
    pub(crate) fn user(&mut self, id: &str) -> &mut SimulatedUser {
        self.unknown_user = SimulatedUser::default();
        self.users.get_mut(id).unwrap_or(&mut self.unknown_user)
    }
}

/// The state of OW's OAuth clients.
#[derive(Debug, Default)]
pub(crate) struct OAuthState {
    /// OW's `API_BASE_URL`, to which providers redirect browsers; by default the server's own address.
    pub(crate) api_base: Option<String>,
    /// Providers whose credentials OW has.
    pub(crate) configured: BTreeSet<String>,
    /// A status for all OAuth requests.
    pub(crate) fault: Option<u16>,
    /// By the value of `state`.
    pub(crate) pending: BTreeMap<String, PendingAuthorization>,
}

#[derive(Debug)]
pub(crate) struct PendingAuthorization {
    pub(crate) provider: String,
    pub(crate) user: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) expires: Timestamp,
}

fn random_key() -> String {
    format!("sk-{}", random_uuid().simple())
}

pub(crate) fn random_uuid() -> Uuid {
    let mut bytes = [0; 16];
    // Without randomness every uuid is the same one, which a simulation notices at once.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
