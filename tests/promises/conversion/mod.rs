//! Samples become data points: units, days, nights, pairs, and the formats they are written in.

mod blood_pressure;
mod convert;
mod daily_totals;
mod nights;
mod output_formats;
mod studies_and_fhir;
mod vital_signs;
