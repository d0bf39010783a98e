//! The fields of a study's collection window.

use jiff::civil::Date;
use maud::{Markup, html};

use crate::model::collection_window::{CollectionWindow, WindowError};
use crate::web::layout::FormErrors;
use crate::web::request::FormFields;

const HELP: &str = "Only measurements from the first to the last day count, on the participant’s calendar. They are read \
                    until 7 days after the last day; then the device is disconnected. Leave all empty to collect without \
                    end.";
const DAYS_HELP: &str = "Instead of dates: the day of connecting the device, and this many days after it.";

/// Renders the fields, with the window as it is.
pub(crate) fn render(window: CollectionWindow, errors: &FormErrors) -> Markup {
    let (from, until, days) = window.parts();
    let [from, until] = [from, until].map(text);
    let days = days.map(|days| days.to_string()).unwrap_or_default();
    html! {
        fieldset {
            legend { "Collection window (optional)" }
            p.help { (HELP) }
            (errors.field("collection_from", "First day", "", &from, "date"))
            (errors.field("collection_until", "Last day", "", &until, "date"))
            (errors.field("collection_days", "Days from connecting", DAYS_HELP, &days, "number"))
        }
    }
}

/// Returns the day as a date field has it.
pub(crate) fn text(day: Option<Date>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// Parses a date field; an empty one is no day.
pub(crate) fn parse_day(label: &str, text: &str) -> Result<Option<Date>, String> {
    let parse =
        |text: &str| text.parse().map_err(|_| format!("{label}: '{text}' is not a date; write 2026-11-21"));
    Some(text).filter(|text| !text.is_empty()).map(parse).transpose()
}

/// Reads the fields, and adds an error to each wrong one.
pub(crate) fn parse(fields: &FormFields, errors: &mut FormErrors) -> CollectionWindow {
    let from = errors.take("collection_from", parse_day("First day", fields.get("collection_from")));
    let until = errors.take("collection_until", parse_day("Last day", fields.get("collection_until")));
    let days = Some(fields.get("collection_days")).filter(|text| !text.is_empty());
    let days = days.map(|text| {
        text.parse().map_err(|_| format!("Days from connecting: {}", WindowError::DaysOutOfRange))
    });
    let days = errors.take("collection_days", days.transpose());
    let (Some(from), Some(until), Some(days)) = (from, until, days) else {
        return CollectionWindow::default();
    };
    let window = CollectionWindow::new(from, until, days).map_err(|error| match error {
        WindowError::Reversed => ("collection_until", format!("Last day: {error}")),
        _ => ("collection_days", format!("Days from connecting: {error}")),
    });
    window.unwrap_or_else(|(field, text)| {
        errors.add(field, text);
        CollectionWindow::default()
    })
}
