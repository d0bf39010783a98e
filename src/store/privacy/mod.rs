//! Privacy: the audit with its chain of hashes, a patient's own data, erasure of a patient or of withdrawn
//! data, and what a restore must not undo.

pub(crate) mod audit;
pub(crate) mod audit_chain;
pub(crate) mod audit_entry;
pub(crate) mod carry_over;
pub(crate) mod erased_identifiers;
pub(crate) mod erasure;
pub(crate) mod patient_export;
pub(crate) mod patient_tables;
pub(crate) mod restored;
pub(crate) mod withdrawal;
