//! Text of others for a terminal or a log line: what would move the cursor, begin a line or turn the direction of
//! writing is shown as an escape.

use std::fmt::{self, Display, Write};

/// Characters that change the direction of the text around them (Unicode UAX 9), and separators of lines.
const MISLEADING: [char; 14] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// One line whose control characters and direction marks are written as `\u202e`, which JSON reads as the same text.
pub(crate) struct VisibleLine<T>(pub(crate) T);

impl<T: Display> Display for VisibleLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

/// Removes control characters and direction marks from a name. On a page they would change the text around it.
pub(crate) fn strip_misleading(text: &str) -> String {
    text.replace(is_misleading, "")
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_misleading) {
            let plain = part.trim_end_matches(is_misleading);
            self.0.write_str(plain)?;
            for character in part[plain.len()..].chars() {
                write!(self.0, "\\u{:04x}", u32::from(character))?;
            }
        }
        Ok(())
    }
}

fn is_misleading(character: char) -> bool {
    character.is_control() || MISLEADING.contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_shown() {
        let text = VisibleLine("Ms\u{1b}[2J\r\n7\tJones\u{202e}é").to_string();
        assert_eq!(text, "Ms\\u001b[2J\\u000d\\u000a7\\u0009Jones\\u202eé");
    }
}
