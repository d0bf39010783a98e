//! The database file: deduplication, backups, full disks and failed writes.

mod audit_chain;
mod backup_and_restore;
mod commit_numbers;
mod database_file;
mod deduplication;
mod failed_writes;
mod full_disk;
mod released_schemas;
mod restores;
mod unavailable_store;
