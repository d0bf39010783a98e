//! JHE's read API, as its client calls it, for programs with a study's token. The study is the only one that such a
//! program sees, and its organization too.

pub(crate) mod openapi;
pub(crate) mod patients;
pub(crate) mod routes;
pub(crate) mod studies;
pub(crate) mod types;
