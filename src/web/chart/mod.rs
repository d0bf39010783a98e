//! Charts of a patient's data, one per series type, each with a table of the same values. Instantaneous values are
//! drawn as a line with its range; quantities that add up, as bars.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod charts;
pub(crate) mod overview;
pub(crate) mod period;
pub(crate) mod ranges;
pub(crate) mod sparkline;
pub(crate) mod study_totals;
