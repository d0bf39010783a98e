//! Raw mode: provider payloads read from an S3 bucket.

mod bucket_faults;
mod ingest;
mod patient_turn;
mod vital_signs;
