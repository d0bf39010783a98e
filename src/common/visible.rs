//! Text of others for a terminal, a log line or a page: what would move the cursor, begin a line or turn the direction of
//! writing is shown as an escape.

use std::fmt::{self, Display, Write};

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

/// Returns true for controls, separators of lines, marks that change the direction of the text around them (Unicode
/// UAX 9), and characters that nobody sees. The joiners of scripts and emoji stay.
pub(crate) fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_shown() {
        let text = VisibleLine("Ms\u{1b}[2J\r\n7\tJones\u{202e}é\u{85}\u{feff}\u{200b}").to_string();
        assert_eq!(text, "Ms\\u001b[2J\\u000d\\u000a7\\u0009Jones\\u202eé\\u0085\\ufeff\\u200b");
        assert_eq!(strip_misleading("\u{200b}می\u{200c}خواهم\u{feff}"), "می\u{200c}خواهم");
    }
}
