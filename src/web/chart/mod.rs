//! A patient's data as drawings, each with its twin as a table: one for each row of the catalogue that there is
//! anything of. What is measured at instants is drawn as it lies; what adds up, as bars.

pub(crate) mod axis;
pub(crate) mod bars;
pub(crate) mod charts;
pub(crate) mod overview;
pub(crate) mod period;
pub(crate) mod ranges;
pub(crate) mod sparkline;
pub(crate) mod study_totals;
