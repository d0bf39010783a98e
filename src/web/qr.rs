//! QR codes as SVG inside the page: no other file holds what they say.

use std::fmt::Write as _;

use maud::{Markup, html};
use qrcode::{Color, QrCode};

/// Modules of empty ground on each side, which cameras need.
const QUIET: usize = 4;

/// Draws a text; nothing if it is too long for a QR code. The code is one path of horizontal runs, black on white also
/// in dark mode.
pub(crate) fn render(text: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::new(text) else { return html! {} };
    let side = code.width() + 2 * QUIET;
    let path = path(&code.to_colors(), code.width());
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width="40mm" height="40mm" viewBox={ "0 0 " (side) " " (side) }
            shape-rendering="crispEdges" role="img" aria-label=(label) {
            rect width=(side) height=(side) fill="#fff" {}
            path stroke="#000" d=(path) {}
        }
    }
}

/// Returns the dark modules as runs: `M4 4.5h7` is seven of them.
fn path(modules: &[Color], width: usize) -> String {
    let mut path = String::new();
    for (row, line) in modules.chunks(width.max(1)).enumerate() {
        let mut column = 0;
        for run in line.chunk_by(|one, other| one == other) {
            if run[0] == Color::Dark {
                // Writing to memory does not fail.
                let _ = write!(path, "M{} {}.5h{}", column + QUIET, row + QUIET, run.len());
            }
            column += run.len();
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_draws_exactly_the_modules_of_the_code() {
        let code = QrCode::new("https://ow.example.org/ow/?code=AAAA").unwrap();
        let mut drawn = vec![Color::Light; code.width() * code.width()];
        for run in path(&code.to_colors(), code.width()).split('M').skip(1) {
            let (place, length) = run.split_once('h').unwrap();
            let (column, row) = place.split_once(' ').unwrap();
            let row: usize = row.trim_end_matches(".5").parse().unwrap();
            let start = (row - QUIET) * code.width() + column.parse::<usize>().unwrap() - QUIET;
            drawn[start..start + length.parse::<usize>().unwrap()].fill(Color::Dark);
        }
        assert!(drawn == code.to_colors());
        assert!(render("x", "a code").into_string().contains("aria-label=\"a code\""));
    }
}
