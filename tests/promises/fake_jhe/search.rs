//! Searches for observations.

use serde_json::json;
use warp::reply::Response;

use super::{FakeJhe, Kept, answer, fields, instant};
use crate::harness::at;

impl FakeJhe {
    pub(super) fn search(&self, query: &str) -> Response {
        let query = fields(query.as_bytes());
        let (patient, date) = (query["patient"].parse::<i64>().unwrap(), at(&query["date"]));
        let state = self.state();
        let is_it = |kept: &&Kept| kept.patient == patient && instant(&kept.document) == date;
        answer(
            200,
            &json!({ "resourceType": "Bundle", "type": "searchset", "total": state.kept.iter().filter(is_it).count() }),
        )
    }
}
