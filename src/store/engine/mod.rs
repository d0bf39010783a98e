//! The database file itself: opening and migrating it, the writer thread, the readers, settings, backup and
//! restore.
//!
//! Start with `store`, the handle that the rest of the program uses.

pub(crate) mod backup;
pub(crate) mod data_directory;
pub(crate) mod directory_lock;
pub(crate) mod file_identity;
pub(crate) mod inspect;
pub(crate) mod open;
pub(crate) mod restore;
pub(crate) mod restore_guard;
pub mod setting;
pub(crate) mod sql_types;
pub mod store;
pub(crate) mod writer;
