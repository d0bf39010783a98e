//! Helpers without domain knowledge: time, the clock, back-off, CSV, redaction, errors, HTTP clients, JSON fields,
//! response bodies, standard output. Every other folder may import this one.

pub(crate) mod backoff;
pub(crate) mod bounded_list;
pub mod clock;
pub(crate) mod core_dumps;
pub(crate) mod counted;
pub(crate) mod csv_line;
pub mod failpoint;
pub(crate) mod failure;
pub(crate) mod http_client;
pub(crate) mod json_fields;
pub(crate) mod redact;
pub(crate) mod response_body;
pub(crate) mod stdout;
pub(crate) mod suggest;
pub mod time;
pub(crate) mod visible;
