//! Access, sessions, the OAuth proxy, and secrets.

pub(crate) mod access;
mod audit_entries;
mod hardening;
mod key_rotation;
mod leaks;
mod misleading_text;
mod oauth_proxy;
mod passwords;
mod rate_limits;
mod roles;
mod second_attack;
mod second_factor;
mod secrets_at_rest;
mod sessions;
mod sessions_and_forms;
