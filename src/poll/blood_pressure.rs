//! Blood pressures: a systolic and a diastolic sample of one stream and instant make one observation, whichever of them
//! comes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::time::Timestamp;
use crate::model::sample::Sample;
use crate::model::sample_details::{Measure, Particulars};
use crate::omh::convert::Point;
use crate::store::samples::rejected;

/// What the two halves have in common: provider, source, device, and the instant.
type Key = (String, String, String, Timestamp);

/// One half that waits for the other.
#[derive(Debug)]
struct Half {
    sample: Sample,
    is_systolic: bool,
    text: String,
}

/// The halves of a window that wait for their other half.
#[derive(Debug, Default)]
pub(crate) struct Pairs(BTreeMap<Key, Half>);

impl Pairs {
    /// Takes one half; answers the whole where it is one now. `text` is the record, to be looked at where the other
    /// half never comes. Of two of the same kind the last one counts.
    pub(crate) fn add(&mut self, point: &Point<'_>, is_systolic: bool, text: String) -> Option<Sample> {
        let key = (
            point.provider.to_owned(),
            point.source.to_owned(),
            point.device.to_owned(),
            point.sample.instant,
        );
        let half = Half { sample: point.sample.clone(), is_systolic, text };
        match self.0.remove(&key) {
            Some(other) if other.is_systolic != is_systolic => {
                let (systolic, diastolic) = if is_systolic { (half, other) } else { (other, half) };
                Some(whole(&systolic.sample, &diastolic.sample))
            }
            _ => {
                self.0.insert(key, half);
                None
            }
        }
    }

    /// Takes out the halves that stayed alone, each with its reason and its text.
    pub(crate) fn alone(&mut self) -> impl Iterator<Item = (String, String)> + use<> {
        std::mem::take(&mut self.0).into_values().map(|half| {
            let other = if half.is_systolic { "diastolic" } else { "systolic" };
            (format!("it has no {other} sample of the same instant; {}", rejected::WAITS), half.text)
        })
    }
}

fn whole(systolic: &Sample, diastolic: &Sample) -> Sample {
    let measures = BTreeMap::from([(Measure::Diastolic, diastolic.value)]);
    let particulars = Particulars { measures, ..Particulars::default() };
    Sample {
        particulars: Some(Arc::new(particulars)),
        zone: systolic.zone.or(diastolic.zone),
        ..systolic.clone()
    }
}
