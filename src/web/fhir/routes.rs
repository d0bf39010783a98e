//! The routes of each base address, and its `CapabilityStatement`.

use crate::app::state::App;
use crate::fhir::base::Base;
use crate::fhir::capability;
use crate::web::fhir::answer::{base_url, check_accept};
use crate::web::fhir::outcome::FHIR_JSON;
use crate::web::fhir::{bulk, observations, patient_device_group};
use crate::web::patient_access::{Anyone, RATE_LIMITED};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, with_type};
use crate::web::route::{Route, delete, get, post};
use crate::web::study_reader::STUDY_READER;

macro_rules! routes_of_base {
    ($base:literal) => {
        [
            get(concat!($base, "/metadata"), RATE_LIMITED, metadata),
            get(concat!($base, "/$export"), STUDY_READER, bulk::export_study),
            get(concat!($base, "/Observation"), STUDY_READER, observations::search),
            post(concat!($base, "/Observation/_search"), STUDY_READER, observations::search),
            get(concat!($base, "/Observation/{id}"), STUDY_READER, observations::read),
            get(concat!($base, "/Patient"), STUDY_READER, patient_device_group::search_patients),
            get(concat!($base, "/Patient/$export"), STUDY_READER, bulk::export_study),
            post(concat!($base, "/Patient/_search"), STUDY_READER, patient_device_group::search_patients),
            get(concat!($base, "/Patient/{id}"), STUDY_READER, patient_device_group::read_patient),
            get(concat!($base, "/Device"), STUDY_READER, patient_device_group::search_devices),
            post(concat!($base, "/Device/_search"), STUDY_READER, patient_device_group::search_devices),
            get(concat!($base, "/Device/{id}"), STUDY_READER, patient_device_group::read_device),
            get(concat!($base, "/Group"), STUDY_READER, patient_device_group::search_groups),
            post(concat!($base, "/Group/_search"), STUDY_READER, patient_device_group::search_groups),
            get(concat!($base, "/Group/{id}"), STUDY_READER, patient_device_group::read_group),
            get(concat!($base, "/Group/{group}/$export"), STUDY_READER, bulk::export_group),
            get(concat!($base, "/bulk/{job}"), STUDY_READER, bulk::status),
            get(concat!($base, "/bulk/{job}/{file}"), STUDY_READER, bulk::file),
            delete(concat!($base, "/bulk/{job}"), STUDY_READER, bulk::delete),
        ]
    };
}

pub(crate) fn routes() -> Vec<Route> {
    // The patterns are literals: the paths of [`Base`].
    let all = [routes_of_base!("/FHIR/R5"), routes_of_base!("/FHIR/R5/vitals"), routes_of_base!("/FHIR/R4")];
    all.into_iter().flatten().collect()
}

async fn metadata(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let base = Base::of(request.pattern);
    check_accept(request)?;
    let statement = capability::statement(base, &base_url(app, request, base));
    Ok(with_type(FHIR_JSON, statement.to_string()))
}
