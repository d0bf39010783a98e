//! Patients as JHE knows them.
