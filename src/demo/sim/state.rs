//! What the simulated OW knows.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::oauth::OAuth;
use super::rows::User;
use super::runs::Run;
use crate::time::Timestamp;

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, as it was sent.
    pub query: String,
    /// Its body, as it was sent.
    pub body: String,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) key: String,
    pub(super) users: BTreeMap<String, User>,
    pub(super) page_cap: usize,
    pub(super) latency: Duration,
    pub(super) queue_broken: bool,
    pub(super) oauth: OAuth,
    /// Makes every call about users, other than their pages, fail with this status.
    pub(super) users_broken: Option<u16>,
    /// When OW last fetched from the providers, where that is not just now.
    pub(super) pulled: Option<Timestamp>,
    /// What OW lists as fetched, by the id of the run.
    pub(super) runs: Vec<(String, Run)>,
    pub(super) seen: Vec<Seen>,
    pub(super) pages: usize,
    pub(super) in_flight: usize,
    pub(super) most_in_flight: usize,
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
    pub(super) fn rotate_key(&mut self) -> String {
        self.key = new_key();
        self.key.clone()
    }

    /// An external id that is known answers with the user who has it.
    pub(super) fn add_user(&mut self, external_id: Option<String>, now: Timestamp) -> String {
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
    pub(super) fn user(&mut self, id: &str) -> &mut User {
        self.nobody = User::default();
        self.users.get_mut(id).unwrap_or(&mut self.nobody)
    }
}

fn new_key() -> String {
    format!("sk-{}", random().simple())
}

pub(super) fn random() -> Uuid {
    let mut bytes = [0; 16];
    // Without randomness every uuid is the same one, which a simulation notices at once.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
