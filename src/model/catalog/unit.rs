//! Exact conversion of units. A value without an exact conversion is refused.

/// mg/dL of glucose per mmol/L: a tenth of the molar mass of 180.156 g/mol.
const GLUCOSE: f64 = 18.0156;
/// Kilograms per pound, by definition.
const POUND: f64 = 0.453_592_37;
/// Centimetres per inch, by definition.
const INCH: f64 = 2.54;

/// Names of the found unit, OW's unit, and the conversion: (value + first number) * second number.
#[rustfmt::skip]
const CONVERSIONS: &[(&[&str], &str, f64, f64)] = &[
    (&["mmol_l", "mmol/L", "mmol/l"], "mg_dl", 0.0, GLUCOSE),
    (&["mg/dL", "mg/dl"], "mg_dl", 0.0, 1.0),
    (&["fahrenheit", "degF", "°F", "F"], "celsius", -32.0, 5.0 / 9.0),
    (&["degC", "°C", "C"], "celsius", 0.0, 1.0),
    (&["lb", "lbs", "pounds"], "kg", 0.0, POUND),
    (&["g", "grams"], "kg", 0.0, 0.001),
    (&["m", "meters"], "cm", 0.0, 100.0),
    (&["in", "inches"], "cm", 0.0, INCH),
    (&["s", "seconds"], "ms", 0.0, 1000.0),
    (&["ml", "milliliters"], "liters", 0.0, 0.001),
    (&["L", "l"], "liters", 0.0, 1.0),
    (&["%"], "percent", 0.0, 1.0),
    (&["beats/min", "count/min"], "bpm", 0.0, 1.0),
    (&["breaths/min", "count/min"], "brpm", 0.0, 1.0),
    (&["steps"], "count", 0.0, 1.0),
];

/// Converts a value from the unit `found` to OW's unit `expected`; none if there is no exact conversion.
pub fn convert(value: f64, found: &str, expected: &str) -> Option<f64> {
    if found == expected {
        return Some(value);
    }
    let (.., offset, factor) =
        CONVERSIONS.iter().find(|(from, to, ..)| *to == expected && from.contains(&found))?;
    Some((value + offset) * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_conversions_are_made() {
        let close = |found: Option<f64>, expected: f64| {
            let found = found.unwrap();
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        };
        close(convert(72.0, "bpm", "bpm"), 72.0);
        close(convert(5.5, "mmol/L", "mg_dl"), 99.0858);
        close(convert(98.6, "fahrenheit", "celsius"), 37.0);
        close(convert(150.0, "lb", "kg"), 68.038_855_5);
        close(convert(1.8, "m", "cm"), 180.0);
        for (found, expected) in [("count", "kg"), ("bpm", "brpm"), ("kg", "cm"), ("Hz", "bpm"), ("", "kg")] {
            assert_eq!(convert(1.0, found, expected), None, "{found}");
        }
    }
}
