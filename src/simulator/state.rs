//! What the simulated OW knows.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::simulator::oauth_state::OAuth;
use crate::simulator::requests_seen::Seen;
use crate::simulator::run::Run;
use crate::simulator::user::User;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) key: String,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) page_cap: usize,
    pub(crate) latency: Duration,
    pub(crate) queue_broken: bool,
    pub(crate) oauth: OAuth,
    /// Makes every call about users, other than their pages, fail with this status.
    pub(crate) users_broken: Option<u16>,
    /// When OW last fetched from the providers, where that is not just now.
    pub(crate) pulled: Option<Timestamp>,
    /// What OW lists as fetched, by the id of the run.
    pub(crate) runs: Vec<(String, Run)>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) pages: usize,
    pub(crate) in_flight: usize,
    pub(crate) most_in_flight: usize,
    nobody: User,
}

impl Default for State {
    fn default() -> Self {
        Self {
            key: new_key(),
            users: BTreeMap::new(),
            page_cap: 100,
            latency: Duration::ZERO,
            queue_broken: false,
            oauth: OAuth::default(),
            users_broken: None,
            pulled: None,
            runs: Vec::new(),
            seen: Vec::new(),
            pages: 0,
            in_flight: 0,
            most_in_flight: 0,
            nobody: User::default(),
        }
    }
}

impl State {
    pub(crate) fn rotate_key(&mut self) -> String {
        self.key = new_key();
        self.key.clone()
    }

    /// An external id that is known answers with the user who has it.
    pub(crate) fn add_user(&mut self, external_id: Option<String>, now: Timestamp) -> String {
        let known =
            self.users.iter().find(|(_, user)| external_id.is_some() && user.external_id == external_id);
        if let Some((id, _)) = known {
            return id.clone();
        }
        let id = random().to_string();
        self.users.insert(id.clone(), User { external_id, created: Some(now), ..User::default() });
        id
    }

    /// The user of this id; an unknown one has nothing and keeps nothing.
    pub(crate) fn user(&mut self, id: &str) -> &mut User {
        self.nobody = User::default();
        self.users.get_mut(id).unwrap_or(&mut self.nobody)
    }
}

fn new_key() -> String {
    format!("sk-{}", random().simple())
}

pub(crate) fn random() -> Uuid {
    let mut bytes = [0; 16];
    // Without randomness every uuid is the same one, which a simulation notices at once.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
