//! The words of charts in the reader's language: names of data types and units, days and months.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::Timestamp;
use crate::i18n::texts::Texts;
use crate::model::catalog::series_type::SeriesType;
use crate::omh::show::format_quantity;

/// Returns the name of a series type. In English it is the catalogue's, which says more than the name of the data type.
pub(crate) fn name_series(texts: Texts, series: &SeriesType) -> String {
    if texts == Texts::ENGLISH {
        return series.name.to_owned();
    }
    let own = texts.get_or(&format!("series-{}", series.series_type), "");
    if own.is_empty() { texts.data_type(series.code, series.name) } else { own }
}

/// Returns the unit of a series type; symbols are the same in every language.
pub(crate) fn name_unit(texts: Texts, series: &SeriesType) -> String {
    let unit = series.display.unit;
    texts.get_or(&format!("unit-{}", unit.replace('/', "-")), unit)
}

/// Formats a stored value with its unit.
pub(crate) fn quantity(texts: Texts, value: f64, series: &SeriesType) -> String {
    translate_unit(texts, &format_quantity(value, series.display), series)
}

/// Replaces the unit at the end of a value.
pub(crate) fn translate_unit(texts: Texts, value: &str, series: &SeriesType) -> String {
    let number = value.strip_suffix(series.display.unit).filter(|number| number.ends_with('\u{a0}'));
    match number.filter(|_| series.display.unit != "h") {
        Some(number) => number.to_owned() + &name_unit(texts, series),
        None => value.to_owned(),
    }
}

/// Returns "60 to 70".
pub(crate) fn name_range(texts: Texts, first: &str, last: &str) -> String {
    texts.get_with("range", &[("first", first.into()), ("last", last.into())])
}

/// Formats a time by a `strftime` format.
pub(crate) fn format_time(texts: Texts, zone: &TimeZone, at: Timestamp, format: &str) -> String {
    let Some(instant) = at.to_jiff() else { return at.to_string() };
    let local = instant.to_zoned_datetime(zone.clone());
    local.strftime(&name_days(texts, local.date(), format)).to_string()
}

/// Formats a day by a `strftime` format.
pub(crate) fn format_date(texts: Texts, date: Date, format: &str) -> String {
    date.strftime(&name_days(texts, date, format)).to_string()
}

/// Puts the names of the day and its month into a format.
fn name_days(texts: Texts, date: Date, format: &str) -> String {
    let (weekday, month) = (date.weekday().to_monday_one_offset(), date.month());
    let names = [
        ("%A", format!("weekday-{weekday}")),
        ("%a", format!("weekday-short-{weekday}")),
        ("%B", format!("month-{month}")),
        ("%b", format!("month-short-{month}")),
    ];
    let name = |format: String, (mark, key): &(&str, String)| {
        if format.contains(mark) { format.replace(mark, &texts.get(key)) } else { format }
    };
    names.iter().fold(format.to_owned(), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::language::Language;
    use crate::model::catalog::series;

    #[test]
    fn a_spanish_chart_names_data_units_and_days() {
        let spanish = Texts::of(Language::find("es").unwrap());
        let steps = series::find("steps").unwrap();
        assert_eq!(
            (name_series(spanish, steps), quantity(spanish, 12.0, steps)),
            ("Pasos".into(), "12\u{a0}pasos".into())
        );
        let resting = series::find("resting_heart_rate").unwrap();
        assert_eq!(name_series(spanish, resting), "Frecuencia cardíaca en reposo");
        let night = series::find("sleep_duration").unwrap();
        assert_eq!(quantity(spanish, 7200.0, night), "2\u{a0}h");
        let day = jiff::civil::date(2026, 11, 21);
        assert_eq!(format_date(spanish, day, &spanish.get("day-long")), "sábado 21 de noviembre");
        assert_eq!(format_date(Texts::ENGLISH, day, "%a %-d %b"), "Sat 21 Nov");
    }
}
