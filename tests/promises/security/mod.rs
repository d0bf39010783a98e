//! Access, sessions, the OAuth proxy, and secrets.

mod access;
mod leaks;
mod oauth_proxy;
mod roles;
mod secrets_at_rest;
mod sessions_and_forms;
