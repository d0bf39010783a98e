use std::collections::{BTreeMap, BTreeSet};

use crate::common::time::Timestamp;

/// Whatever belongs to authorizations.
#[derive(Debug)]
pub(crate) struct OAuth {
    /// Where the providers send browsers back to; none is OW itself.
    pub(crate) api_base: Option<String>,
    /// Providers whose credentials OW has.
    pub(crate) configured: BTreeSet<String>,
    /// Makes every call that a connection needs fail with this status.
    pub(crate) broken: Option<u16>,
    pub(crate) states: BTreeMap<String, Begun>,
}

#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) provider: String,
    pub(crate) user: String,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) expires: Timestamp,
}

impl Default for OAuth {
    fn default() -> Self {
        let configured = BTreeSet::from(["oura".to_owned()]);
        Self { api_base: None, configured, broken: None, states: BTreeMap::new() }
    }
}

/// A user's connection to a provider.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) is_active: bool,
    pub(crate) since: Timestamp,
}
