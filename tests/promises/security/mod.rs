//! Access, sessions, the OAuth proxy, and secrets.

mod access;
mod leaks;
mod oauth_proxy;
mod rate_limits;
mod secrets_at_rest;
mod sessions_and_forms;
