//! The list of all routes, and the answers to a path or method that none of them has.

use std::collections::BTreeMap;

use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::i18n::phrase::Phrase;
pub use crate::model::account::Role;
pub use crate::web::access::Access;
use crate::web::admin::{
    account, accounts, audit, confirm, export, help, home, jhe_sign_in, observations, password,
    patient as admin_patient, patient_list, patients, rejected, restored, second_factor, settings, sign_in,
    studies, study, system,
};
use crate::web::gate::{self, Gate};
use crate::web::patient::{
    choices_actions, choices_page, connect, connected, data, invitation, jhe_consent_page, jhe_invitation,
    new_link, reminders, stop_sharing, take_over, time_zone,
};
use crate::web::request::Request;
use crate::web::response::{Refusal, json as json_response};
use crate::web::route::{Route, path};
use crate::web::{api, fhir, health, jhe_api, ow_webhook, start_page};

/// Lists all routes. If two patterns match one path, the first one answers: `/admin/studies/new` before
/// `/admin/studies/{study}`.
fn all() -> Vec<Route> {
    let routes = [
        start_page::routes(),
        health::routes(),
        ow_webhook::routes(),
        api::routes(),
        fhir::routes::routes(),
        jhe_api::routes::routes(),
        // Patients.
        invitation::routes(),
        jhe_invitation::routes(),
        take_over::routes(),
        new_link::routes(),
        jhe_consent_page::routes(),
        connect::routes(),
        connected::routes(),
        choices_page::routes(),
        choices_actions::routes(),
        stop_sharing::routes(),
        time_zone::routes(),
        reminders::routes(),
        data::routes(),
        // Practitioners and operators.
        sign_in::routes(),
        jhe_sign_in::routes(),
        confirm::routes(),
        password::routes(),
        account::routes(),
        second_factor::routes(),
        home::routes(),
        system::routes(),
        patient_list::routes(),
        patients::routes(),
        admin_patient::show::routes(),
        admin_patient::polling::routes(),
        admin_patient::access::routes(),
        admin_patient::charts::routes(),
        admin_patient::mails::routes(),
        admin_patient::time_zone::routes(),
        admin_patient::collection::routes(),
        observations::routes(),
        export::routes(),
        studies::routes(),
        study::participants::routes(),
        study::adherence::routes(),
        study::data::routes(),
        study::tokens::routes(),
        study::consent_text::routes(),
        study::invite::list::routes(),
        study::invite::links::routes(),
        study::mails::routes(),
        rejected::routes(),
        audit::routes(),
        restored::routes(),
        settings::routes(),
        accounts::routes(),
        help::routes(),
    ];
    routes.into_iter().flatten().collect()
}

/// Returns method, pattern and access of every route.
pub fn table() -> Vec<(Method, &'static str, Access)> {
    all().into_iter().map(|route| (route.method, route.pattern, route.access)).collect()
}

/// Returns one filter of all routes.
pub(crate) fn filter() -> BoxedFilter<(Response,)> {
    let routes = all();
    // Sorted, a literal segment comes before a parameter: `{` is greater than every letter.
    let mut methods = BTreeMap::<&'static str, Vec<&'static str>>::new();
    for route in &routes {
        methods.entry(route.pattern).or_default().extend(names_of(&route.method));
    }
    let refusals = methods.into_iter().map(|(pattern, methods)| {
        let allow = methods.join(", ");
        let refuse = move |_, request: Request| method_not_allowed(&request, &allow);
        path(pattern).and(warp::ext::get::<Request>()).map(refuse).boxed()
    });
    let filters: Vec<_> = routes.into_iter().map(|route| route.filter).chain(refusals).collect();
    let not_found = |request: Request, gate: Gate| not_found(&request, &gate);
    let last = warp::ext::get::<Request>().and(warp::ext::get::<Gate>()).map(not_found).boxed();
    filters.into_iter().rfold(last, |rest, filter| filter.or(rest).unify().boxed())
}

/// Returns the methods that a route of this method answers.
fn names_of(method: &Method) -> &'static [&'static str] {
    match *method {
        Method::GET => &["GET", "HEAD"],
        Method::DELETE => &["DELETE"],
        _ => &["POST"],
    }
}

fn method_not_allowed(request: &Request, allow: &str) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = if is_api(&request.path) {
        json_response(status, &json!({ "error": "Method not allowed", "detail": "Method not allowed." }))
    } else {
        let refusal = Refusal::of_key(status, "error-method", "error-method-text");
        request.refusal_response(refusal.link("/", Phrase::key("error-to-start")))
    };
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn not_found(request: &Request, gate: &Gate) -> Response {
    match gate.app() {
        Err(failure) => gate::unavailable(request, &failure),
        Ok(_) if is_api(&request.path) => {
            json_response(StatusCode::NOT_FOUND, &json!({ "error": "Not found", "detail": "Not found." }))
        }
        Ok(_) if request.path.starts_with("/FHIR/") => {
            let text =
                "There is nothing at this address. The types that this server has are in its metadata.";
            request.refusal_response(Refusal::new(StatusCode::NOT_FOUND, "Not found", text))
        }
        Ok(_) => request.refusal_response(Refusal::not_found()),
    }
}

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}
