//! Lines of CSV that a spreadsheet opens without running a formula.

use std::borrow::Cow;

/// Characters that begin a formula (OWASP, CSV injection), with their full-width forms.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Returns a line of CSV with its line feed. Text that a spreadsheet would run begins with an apostrophe;
/// numbers stay as they are.
pub(crate) fn csv_line<T: AsRef<str>>(record: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut line = Vec::new();
    for (index, cell) in record.into_iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        let cell = neutralize(cell.as_ref());
        if needs_quotes(&cell) {
            line.extend_from_slice(format!("\"{}\"", cell.replace('"', "\"\"")).as_bytes());
        } else {
            line.extend_from_slice(cell.as_bytes());
        }
    }
    line.push(b'\n');
    line
}

/// Returns true for a text that a spreadsheet would run. Some skip what is invisible before a formula.
pub(crate) fn is_formula(text: &str) -> bool {
    let is_skipped = |character: char| character.is_whitespace() || character.is_control();
    text.starts_with(['\t', '\r', '\n']) || text.trim_start_matches(is_skipped).starts_with(FORMULA_STARTS)
}

/// Returns true for a text with a character that separates cells in some spreadsheet's reading, or ends one.
pub(crate) fn needs_quotes(text: &str) -> bool {
    text.contains([',', ';', '\t', '"', '\r', '\n'])
}

fn neutralize(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) && cell.parse::<f64>().is_err() { format!("'{cell}").into() } else { cell.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cells: &[&str]) -> String {
        String::from_utf8(csv_line(cells)).unwrap()
    }

    #[test]
    fn a_formula_becomes_text_and_a_number_stays_a_number() {
        assert_eq!(
            line(&["=HYPERLINK(\"x\")", "@SUM(1)", "+1+1"]),
            "\"'=HYPERLINK(\"\"x\"\")\",'@SUM(1),'+1+1\n"
        );
        assert_eq!(line(&["-0.5", "-300", "-1e5", "-1+1", "\tx"]), "-0.5,-300,-1e5,'-1+1,\"'\tx\"\n");
        assert_eq!(line(&["Ring = 4", "a-b", ""]), "Ring = 4,a-b,\n");
        assert_eq!(line(&["  =1", "\0=1", "＝1", "\u{a0}－1"]), "'  =1,'\0=1,'＝1,'\u{a0}－1\n");
        assert_eq!(line(&["a;=1", "b\t=1"]), "\"a;=1\",\"b\t=1\"\n", "no cell begins inside of another");
    }
}
