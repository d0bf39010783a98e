//! Checks that the configured keys open what is sealed in the store.

use crate::common::counted::counted;
use crate::doctor::{finding::Finding, store::OpenStore};
use crate::secrets::sealing::SealingKey;
use crate::store::operations::sealed;

const CHECK: &str = "store.sealed";

pub(crate) fn check(opened: &OpenStore, key: Option<&SealingKey>) -> Option<Finding> {
    if !opened.is_current {
        return None;
    }
    let found = match sealed::inspect(&opened.db, key) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("the sealed values could not be read: {error}");
            return Some(Finding::stops(CHECK, message, "see the findings about the store"));
        }
    };
    if let Some(failure) = found.failure(key) {
        return Some(Finding::failed(CHECK, failure));
    }
    if let Some(left) = found.left_to_rotate() {
        return Some(Finding::warning(CHECK, left, sealed::ROTATE));
    }
    if key.is_some_and(SealingKey::has_previous) {
        let message = "JHE_OW_SECRET_KEY_PREVIOUS is configured, and nothing is sealed with it any more";
        return Some(Finding::warning(CHECK, message, "take it out of the configuration"));
    }
    let values = found.count(|counts| counts.current);
    let message = || format!("JHE_OW_SECRET_KEY opens all of {}", counted(values, "sealed value"));
    (values > 0).then(|| Finding::ok(CHECK, message()))
}
