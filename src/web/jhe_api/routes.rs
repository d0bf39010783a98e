//! The routes of JHE's read API.

use crate::web::jhe_api::{openapi, patients, studies};
use crate::web::patient_access::RATE_LIMITED;
use crate::web::route::{Route, get};
use crate::web::study_reader::STUDY_READER;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/api/v1/openapi.json", RATE_LIMITED, openapi::show),
        get("/api/v1/users/profile", STUDY_READER, studies::profile),
        get("/api/v1/patients", STUDY_READER, patients::list),
        get("/api/v1/patients/global_lookup", STUDY_READER, patients::look_up),
        get("/api/v1/patients/{patient}", STUDY_READER, patients::show),
        get("/api/v1/patients/{patient}/consents", STUDY_READER, patients::consents),
        get("/api/v1/studies", STUDY_READER, studies::list_studies),
        get("/api/v1/studies/{study}", STUDY_READER, studies::show_study),
        get("/api/v1/organizations", STUDY_READER, studies::list_organizations),
        get("/api/v1/organizations/{organization}", STUDY_READER, studies::show_organization),
        get("/api/v1/data_sources", STUDY_READER, studies::list_data_sources),
    ]
}
