//! Lines of CSV that a spreadsheet opens without running a formula.

use std::borrow::Cow;

/// Characters at the start of a cell that make a spreadsheet take it for a formula (OWASP, CSV injection).
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Returns a line of CSV with its line feed. Text that a spreadsheet would run begins with an apostrophe;
/// numbers stay as they are.
pub(crate) fn csv_line<T: AsRef<str>>(record: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut line = csv::Writer::from_writer(Vec::new());
    for cell in record {
        // Writing to memory does not fail.
        let _ = line.write_field(neutralize(cell.as_ref()).as_bytes());
    }
    let _ = line.write_record(None::<&[u8]>);
    line.into_inner().unwrap_or_default()
}

/// Returns true for a text that a spreadsheet would run.
pub(crate) fn is_formula(text: &str) -> bool {
    text.starts_with(FORMULA_STARTS)
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
        assert_eq!(line(&["-0.5", "-300", "-1e5", "-1+1", "\tx"]), "-0.5,-300,-1e5,'-1+1,'\tx\n");
        assert_eq!(line(&["Ring = 4", "a-b", ""]), "Ring = 4,a-b,\n");
    }
}
