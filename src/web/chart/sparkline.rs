//! Small bar charts in the height of a line of text.

use maud::{Markup, html};

use crate::web::chart::axis::to_f64;
use crate::web::chart::frame::number;

/// Renders the samples per hour as small bars, with a description for screen readers.
pub(crate) fn render_sparkline(hours: &[i64]) -> Markup {
    let most = to_f64(hours.iter().copied().max().unwrap_or(0).max(1));
    let empty = hours.iter().rev().take_while(|&&samples| samples == 0).count();
    let description = match empty {
        0 => "samples in the last hour".to_owned(),
        _ if empty == hours.len() => format!("no samples in {empty} hours"),
        _ => format!("no samples for {empty} hours"),
    };
    html! {
        svg.spark viewBox={ "0 0 " (hours.len() * 4) " 20" } role="img" aria-label=(description) {
            line.grid x1="0" x2=(hours.len() * 4) y1="19.5" y2="19.5" {}
            @for (place, &samples) in hours.iter().enumerate().filter(|(_, samples)| **samples > 0) {
                @let height = (to_f64(samples) / most * 18.0).max(2.0);
                rect x=(place * 4) y=(number(19.0 - height)) width="3" height=(number(height)) {}
            }
        }
    }
}
