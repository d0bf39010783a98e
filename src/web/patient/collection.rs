//! Tells a patient until when a study collects data, or that it has ended.

use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::common::time::Timestamp;
use crate::model::collection_window::last_day;
use crate::store::people::collection_window::StudyPart;

/// Renders the sentence about a study; nothing for one without a last day.
pub(crate) fn render(part: &StudyPart, zone: &TimeZone, now: Timestamp) -> Markup {
    let day = |at: Timestamp| {
        let day = last_day(at, zone).map(|day| day.strftime("%-d %B %Y").to_string()).unwrap_or_default();
        html! { time { (day) } }
    };
    let Some((until, late)) = Option::zip(part.limits.1, part.reads_until()) else { return html! {} };
    html! {
        @if late <= now {
            p.notice { "Your part in " (part.name) " ended on " (day(until)) ". Nothing more is fetched for it." }
        } @else if until <= now {
            p.notice {
                "Your part in " (part.name) " ended on " (day(until)) ". Nothing that you measure from now on is fetched "
                "for it. Until " (day(late)) ", your device may still send what it measured before."
            }
        } @else {
            p { "Your part in " (part.name) " ends on " (day(until)) "." }
        }
    }
}
