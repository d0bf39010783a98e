//! Charts of a patient's data, one per series type, each with a table of the same values. Instantaneous values are
//! drawn as a line with its range; quantities that add up, as bars; sleep, as stages.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod charted_series;
pub(crate) mod charts;
pub(crate) mod frame;
pub(crate) mod overview;
pub(crate) mod period;
pub(crate) mod ranges;
pub(crate) mod sleep;
pub(crate) mod sparkline;
pub(crate) mod study_totals;
pub(crate) mod totals;
pub(crate) mod words;
