//! The drawing of a chart around its marks: unit, grid, labels, and the end without data.
//!
//! Text is placed in per cent and pixels, so that it keeps its size at every width. Shapes are in a nested drawing that
//! is stretched: 0 to 1000 from left to right, 0 to 252 (half pixels) from top to bottom.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, Render, html};

use crate::common::time::Timestamp;
use crate::i18n::texts::Texts;
use crate::model::consent_intervals::Interval;
use crate::web::chart::axis::Scale;
use crate::web::chart::period::TimeAxis;

const WIDTH: f64 = 1000.0;
pub(crate) const HEIGHT: i32 = 252;
/// Pixels above the nested drawing, for the unit.
const TOP: f64 = 24.0;
/// Letters of a label that have room to the left of the drawing; longer ones get more.
const SHORT_LABEL: usize = 7;
/// The share of the width that the words "no data" need on a phone.
const LABEL_SHARE: f64 = 0.22;

/// A chart without its marks.
pub(crate) struct Frame<'a> {
    pub(crate) texts: Texts,
    pub(crate) unit: &'a str,
    /// Labels of the vertical axis, each with its height from 0 to 1.
    pub(crate) rows: Vec<(f64, String)>,
    pub(crate) axis: &'a TimeAxis,
    pub(crate) missing: Option<Interval>,
    /// Describes the chart in a sentence, for those who do not see it.
    pub(crate) summary: &'a str,
}

/// One chart: a drawing with a sentence below it, and the same values as a table.
pub(crate) struct Drawing {
    pub(crate) title: String,
    pub(crate) svg: Markup,
    pub(crate) caption: Markup,
    /// The parts inside `table`.
    pub(crate) table: Markup,
}

impl Frame<'_> {
    pub(crate) fn render(&self, marks: &Markup) -> Markup {
        let lines: String =
            self.rows.iter().fold(String::new(), |path, (share, _)| format!("{path}M0 {}h1000", y(*share)));
        let times: String =
            self.axis.marks.iter().fold(String::new(), |path, at| format!("{path}M{} {HEIGHT}v8", to_x(*at)));
        let missing = self.missing.map(|gap| (self.axis.share(gap.from), self.axis.share(gap.until)));
        let is_wide = self.rows.iter().any(|(_, label)| label.chars().count() > SHORT_LABEL);
        html! {
            svg.plot .wide[is_wide] role="img" aria-label=(self.summary) {
                text.unit x=(if is_wide { "-80" } else { "-48" }) y="10" { (self.unit) }
                @for (share, label) in &self.rows {
                    text.v x="-8" y=(number(TOP + f64::from(y(*share)) / 2.0 + 4.0)) { (label) }
                }
                svg y=(TOP) width="100%" height="126" viewBox="0 0 1000 252" preserveAspectRatio="none" {
                    path.gl d=(lines) {}
                    path.ax d={ "M0 " (HEIGHT) "h1000" (times) } {}
                    @if let Some((from, until)) = missing { path.nd d=(rectangle(to_x(from), 0, to_x(until), HEIGHT)) {} }
                    (marks)
                }
                @if let Some((from, until)) = missing.filter(|(from, until)| until - from >= LABEL_SHARE) {
                    text.nd x=(percent(f64::midpoint(from, until))) y="91" { (self.texts.get("chart-no-data")) }
                }
                @for tick in &self.axis.ticks {
                    text x=(percent(tick.at)) y="170" { (tick.label) }
                }
            }
        }
    }

    pub(crate) fn x(&self, at: Timestamp) -> i32 {
        to_x(self.axis.share(at))
    }

    /// Returns both sides of a bar, which leaves a space to its neighbours.
    pub(crate) fn bar(&self, range: Interval) -> (i32, i32) {
        let (left, right) = (self.x(range.from), self.x(range.until));
        let inset = (right - left) / 8;
        (left + inset, right - inset)
    }
}

/// CSS classes that tell the parts of a chart apart, in the chart and in its legend.
pub(crate) const BAR_STYLES: [&str; 3] = ["b1", "b2", "b3"];

/// Renders the names of the parts, each with its class.
pub(crate) fn render_legend<'a>(parts: impl IntoIterator<Item = (&'a str, impl Render)>) -> Markup {
    html! { ul.keys { @for (look, name) in parts { li { i class=(look) {} (name) } } } }
}

/// Labels of a scale, for a frame.
pub(crate) fn rows_of(scale: Scale) -> Vec<(f64, String)> {
    scale.ticks().into_iter().map(|value| (scale.share(value), scale.format_label(value))).collect()
}

/// Returns the vertical place of a share of the height.
#[expect(clippy::cast_possible_truncation, reason = "from 0 to 252")]
pub(crate) fn y(share: f64) -> i32 {
    ((1.0 - share.clamp(0.0, 1.0)) * f64::from(HEIGHT)).round() as i32
}

#[expect(clippy::cast_possible_truncation, reason = "from 0 to 1000")]
fn to_x(share: f64) -> i32 {
    (share.clamp(0.0, 1.0) * WIDTH).round() as i32
}

fn percent(share: f64) -> String {
    format!("{}%", number(share * 100.0))
}

/// Formats a coordinate; finer digits than a tenth are invisible.
pub(crate) fn number(value: f64) -> String {
    ((value * 10.0).round() / 10.0).to_string()
}

/// Returns the path of a rectangle.
pub(crate) fn rectangle(left: i32, top: i32, right: i32, bottom: i32) -> String {
    let (width, height) = (right - left, bottom - top);
    format!("M{left} {top}h{width}v{height}h-{width}")
}

/// Returns the path of a line through points, in steps from point to point, which are shorter.
pub(crate) fn polyline(points: impl IntoIterator<Item = (i32, i32)>) -> String {
    let mut path = String::new();
    let mut before: Option<(i32, i32)> = None;
    for (x, y) in points {
        let _ = match before {
            None => write!(path, "M{x} {y}"),
            Some((from_x, from_y)) => {
                let letter = if path.contains('l') { " " } else { "l" };
                let (right, down) = (x - from_x, y - from_y);
                let space = if down < 0 { "" } else { " " };
                write!(path, "{letter}{right}{space}{down}")
            }
        };
        before = Some((x, y));
    }
    path
}

/// Renders a shape with the value that it shows when pointed at.
pub(crate) fn titled(path: &str, title: &str) -> Markup {
    html! { path d=(PreEscaped(path)) { title { (title) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_in_steps_that_add_up() {
        assert_eq!(polyline([(0, 100), (12, 94), (24, 94), (36, 110)]), "M0 100l12-6 12 0 12 16");
        assert_eq!(polyline([(5, 5)]), "M5 5");
        assert_eq!(rectangle(10, 20, 30, 252), "M10 20h20v232h-20");
    }
}
