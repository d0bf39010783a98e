//! The `CapabilityStatement` of a base address, from the lists that the searches themselves use.

use serde_json::{Value, json};

use crate::fhir::base::Base;
use crate::fhir::observation_query;

/// A parameter's name and FHIR's type of it.
type Parameter = (&'static str, &'static str);

/// The parameters with which patients are searched.
pub const PATIENT_PARAMETERS: &[Parameter] =
    &[("_id", "token"), ("identifier", "token"), ("_lastUpdated", "date"), ("_source", "uri")];
/// The parameters with which devices and groups are searched.
pub const OTHER_PARAMETERS: &[Parameter] = &[("_id", "token"), ("_source", "uri")];

/// The types, with their parameters and the definition of their bulk export.
pub const TYPES: &[(&str, &[Parameter], Option<&str>)] = &[
    ("Observation", observation_query::PARAMETERS, None),
    ("Patient", PATIENT_PARAMETERS, Some("patient-export")),
    ("Device", OTHER_PARAMETERS, None),
    ("Group", OTHER_PARAMETERS, Some("group-export")),
];

/// Builds the statement. `url` is the base address as clients reach it, `date` an ISO 8601 date.
pub fn statement(base: Base, url: &str, date: &str) -> Value {
    let resource = |(kind, parameters, export): &(&str, &[Parameter], Option<&str>)| {
        let parameters: Vec<Value> =
            parameters.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
        let mut resource = json!({
            "type": kind,
            "interaction": [{ "code": "read" }, { "code": "search-type" }],
            "versioning": "versioned",
            "readHistory": false,
            "conditionalRead": "not-match",
            "searchParam": parameters,
        });
        if let Some(name) = export {
            resource["operation"] = json!([{
                "name": "export",
                "definition": format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{name}"),
            }]);
        }
        resource
    };
    let security = json!({ "description": "A study's read token: Authorization: Bearer …" });
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": { "name": "jhe-ow", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Observations of wearables, of one study", "url": url },
        "fhirVersion": base.version(),
        "format": ["application/fhir+json", "json"],
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "rest": [{
            "mode": "server",
            "documentation": "Searches also take _count, _sort (date, -date), _summary=count, _total, _format and _pretty. \
                              Pages are linked by 'next'. patient._has:Group:member:_id names a study.",
            "security": security,
            "operation": [{
                "name": "export",
                "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
            }],
            "resource": TYPES.iter().map(resource).collect::<Vec<_>>(),
        }],
    })
}
