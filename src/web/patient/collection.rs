//! Tells a patient until when a study collects data, or that it has ended.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::common::time::Timestamp;
use crate::store::people::collection_window::StudyPart;
use crate::web::reader::Reader;

/// Renders the sentence about a study; nothing for one without a last day.
pub(crate) fn render(reader: &Reader, part: &StudyPart, zone: &TimeZone, now: Timestamp) -> Markup {
    let Some((until, late)) = Option::zip(part.limits.1, part.reads_until()) else { return html! {} };
    // The limits are the midnights after the last days.
    let day = |end: Timestamp| reader.texts.date(zone, end.minus(Duration::from_micros(1)));
    let (study, last, late_day) = (part.name.as_str(), day(until), day(late));
    let values = [("study", study), ("day", last.as_str()), ("late", late_day.as_str())];
    html! {
        @if late <= now { p.notice { (reader.get_with("part-over", &values)) } }
        @else if until <= now { p.notice { (reader.get_with("part-late-data", &values)) } }
        @else { p { (reader.get_with("part-ends", &values)) } }
    }
}
