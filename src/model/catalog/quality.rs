//! The quality of a value, by the limits in the catalogue. It is not stored.

use crate::model::catalog::{method::Method, series_type::SeriesType};

impl SeriesType {
    /// Fails with a reason for a value that cannot be measured, such as a heart rate of 0. `value` is in the unit of the
    /// store.
    pub fn check(&self, value: f64) -> Result<(), String> {
        let (least, most) = self.limits.possible;
        if (least..=most).contains(&value) {
            return Ok(());
        }
        let range = match (least > f64::MIN, most < f64::MAX) {
            (true, true) => format!("not from {least} to {most}"),
            (true, false) => format!("below {least}"),
            _ => format!("above {most}"),
        };
        // A huge number is not written out.
        let shown = if value.abs() < 1e15 { value.to_string() } else { format!("{value:e}") };
        Err(format!("its value {shown} {} cannot be measured: it is {range}", self.unit))
    }

    /// Returns true for a value that is outside of what is plausible.
    pub fn is_suspect(&self, value: f64) -> bool {
        let (least, most) = self.limits.plausible;
        !(least..=most).contains(&value)
    }

    /// Returns the word for the quality of an observation with these values.
    pub fn quality(&self, method: Method, values: impl IntoIterator<Item = f64>) -> &'static str {
        match () {
            () if values.into_iter().any(|value| self.is_suspect(value)) => "suspect",
            () if method.self_reported => "self-reported",
            () => "ok",
        }
    }
}
