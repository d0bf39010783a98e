//! Pairs a systolic with a diastolic sample of the same stream and instant: together they are one
//! observation.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::time::Timestamp;
use crate::model::sample::Sample;
use crate::model::sample_details::{Measure, SampleDetails};
use crate::omh::convert::ConvertedRecord;
use crate::store::samples::rejected;

/// Provider, source, device and instant, which both samples of a pair share.
type PairKey = (String, String, String, Timestamp);

#[derive(Debug)]
struct UnpairedSample {
    sample: Sample,
    is_systolic: bool,
    /// The record as OW sent it, shown if the partner never arrives.
    text: String,
}

/// The samples of a window that wait for their partner.
#[derive(Debug, Default)]
pub(crate) struct BloodPressurePairs(BTreeMap<PairKey, UnpairedSample>);

impl BloodPressurePairs {
    /// Adds a sample; returns the blood pressure if this completes it. A second sample of the same kind
    /// replaces the first.
    pub(crate) fn add(
        &mut self,
        point: &ConvertedRecord<'_>,
        is_systolic: bool,
        text: String,
    ) -> Option<Sample> {
        let ConvertedRecord { provider, source, device, sample, .. } = point;
        let key = ((*provider).to_owned(), (*source).to_owned(), (*device).to_owned(), sample.instant);
        let unpaired = UnpairedSample { sample: sample.clone(), is_systolic, text };
        match self.0.remove(&key) {
            Some(other) if other.is_systolic != is_systolic => {
                let (systolic, diastolic) = if is_systolic { (unpaired, other) } else { (other, unpaired) };
                Some(merge(&systolic.sample, &diastolic.sample))
            }
            _ => {
                self.0.insert(key, unpaired);
                None
            }
        }
    }

    /// Removes the samples without a partner; returns the reason and the text of each.
    pub(crate) fn take_unpaired(&mut self) -> impl Iterator<Item = (String, String)> + use<> {
        std::mem::take(&mut self.0).into_values().map(|unpaired| {
            let partner = if unpaired.is_systolic { "diastolic" } else { "systolic" };
            let reason =
                format!("it has no {partner} sample of the same instant; {}", rejected::UNPAIRED_REASON_END);
            (reason, unpaired.text)
        })
    }
}

fn merge(systolic: &Sample, diastolic: &Sample) -> Sample {
    let measures = BTreeMap::from([(Measure::Diastolic, diastolic.value)]);
    let details = SampleDetails { measures, ..SampleDetails::default() };
    let zone = systolic.zone.or(diastolic.zone);
    Sample { details: Some(Arc::new(details)), zone, ..systolic.clone() }
}
