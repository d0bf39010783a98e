//! Invites a list of people: parses the list, checks each line, and adds and invites those without trouble.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::app::invite;
use crate::common::csv_line::csv_line;
use crate::common::suggest::nearest;
use crate::common::time::Timestamp;
use crate::i18n::{language::Language, texts::Texts};
use crate::mail::{reminders, smtp};
use crate::model::account::{Actor, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::mail::MailKind;
use crate::model::patient::{normalize_time_zone, parse_email, parse_name};
use crate::model::study::StudyId;
use crate::model::time_zones;
use crate::secrets::token::Token;
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::invitation::{self, OpenInvitation};
use crate::store::people::patient::{self, NewPatient};
use crate::store::people::{patient_language, study};
use crate::store::privacy::audit;

/// People in one list.
pub(crate) const MAX_LINES: usize = 1000;
/// Bytes of a list: a thousand long lines.
pub(crate) const MAX_BYTES: usize = 512 * 1024;
/// Characters of a study number.
const MAX_NUMBER: usize = 40;

/// The columns, each with the words that a heading may have for it, in the order of a list without headings.
const COLUMNS: [&[&str]; 5] = [
    &[
        "study number",
        "number",
        "no",
        "nr",
        "id",
        "study id",
        "participant",
        "participant id",
        "subject",
        "número",
    ],
    &["name", "full name", "patient", "nombre"],
    &["e-mail", "email", "mail", "e-mail address", "email address", "correo", "correo electrónico"],
    &["zone", "time zone", "timezone", "tz", "zona", "zona horaria"],
    &["language", "lang", "idioma", "lengua"],
];

/// A line as it was given: study number, name, e-mail address, time zone, language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GivenLine {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) cells: [String; 5],
}

/// A person whom a line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedPerson {
    /// The study number.
    pub(crate) number: String,
    pub(crate) patient: NewPatient,
    pub(crate) language: Language,
}

/// A line with what is wrong or strange about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedLine {
    pub(crate) given: GivenLine,
    /// None if the line has an error.
    pub(crate) person: Option<ListedPerson>,
    pub(crate) errors: Vec<String>,
    pub(crate) notes: Vec<String>,
    /// The zone that was probably meant.
    pub(crate) suggested_zone: Option<String>,
}

/// The characters of Windows-1252 from 0x80 to 0x9F. The others are those of Latin-1.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Decodes a file: UTF-8, UTF-16 with a mark or a plain first character, or else the Windows-1252 of older spreadsheets.
pub(crate) fn decode(bytes: &[u8]) -> String {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.as_chunks().0.iter().copied().map(unit).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [_, 0, ..] => wide(bytes, u16::from_le_bytes),
        [0, _, ..] => wide(bytes, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| {
            let one = |byte: u8| match byte {
                0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
                byte => char::from(byte),
            };
            bytes.iter().copied().map(one).collect()
        }),
    }
}

/// Parses a list with commas, semicolons or tabs, with or without headings.
pub(crate) fn parse(text: &str) -> Result<Vec<GivenLine>, String> {
    let text = text.trim_start_matches('\u{feff}');
    if text.len() > MAX_BYTES {
        return Err(format!("the list has more than {} kilobytes; divide it", MAX_BYTES / 1024));
    }
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |mark| first.matches(mark).count();
    let delimiter = if first.contains('\t') {
        b'\t'
    } else if count(';') > count(',') {
        b';'
    } else {
        b','
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut order: Option<[Option<usize>; 5]> = None;
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("the list cannot be read: {error}"))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        if order.is_none() {
            let headings = find_headings(&record);
            order = Some(headings.unwrap_or_else(|| std::array::from_fn(Some)));
            if headings.is_some() {
                continue;
            }
        }
        if lines.len() == MAX_LINES {
            return Err(format!("the list has more than {MAX_LINES} people; divide it"));
        }
        let places = order.unwrap_or_default();
        let cell =
            |place: Option<usize>| place.and_then(|place| record.get(place)).unwrap_or_default().to_owned();
        lines.push(GivenLine { line: line_of(text, &record), cells: places.map(cell) });
    }
    if lines.is_empty() { Err("the list is empty".to_owned()) } else { Ok(lines) }
}

/// Returns the number of a record's line, from 1. The record begins with the empty lines before it.
fn line_of(text: &str, record: &csv::StringRecord) -> u64 {
    let begin = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or_default();
    let (before, rest) = text.split_at_checked(begin).unwrap_or((text, ""));
    let empty = &rest[..rest.len() - rest.trim_start_matches(['\r', '\n']).len()];
    let ends = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    ends(before) + ends(empty) + 1
}

/// Returns the place of each column, if the record is a line of headings.
fn find_headings(record: &csv::StringRecord) -> Option<[Option<usize>; 5]> {
    let words: Vec<String> = record.iter().map(|cell| cell.to_lowercase().replace('_', " ")).collect();
    let places = COLUMNS.map(|names| words.iter().position(|word| names.contains(&word.as_str())));
    let found = places.iter().flatten().count();
    (places[0].is_some() && (found > 1 || words.len() == 1)).then_some(places)
}

/// Writes lines as a list that [`parse`] reads, with the suggested zones in place of unknown ones.
pub(crate) fn render<'a>(lines: impl IntoIterator<Item = &'a CheckedLine>) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    for line in lines {
        let mut cells = line.given.cells.clone();
        if let Some(zone) = &line.suggested_zone {
            cells[3].clone_from(zone);
        }
        // Writing to memory does not fail.
        let _ = table.write_record(&cells);
    }
    String::from_utf8(table.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// Checks each line against the others, and against the study and the patients whom the viewer knows by name.
pub(crate) fn check(
    db: &Connection,
    study: StudyId,
    viewer: VisibleTo,
    lines: Vec<GivenLine>,
    default_language: Language,
) -> StoreResult<Vec<CheckedLine>> {
    let taken = study::list_participants(db, study)?;
    let mut names = patient::list_names(db, viewer)?;
    let zones: Vec<String> = time_zones::list_by_area().into_iter().flat_map(|(_, names)| names).collect();
    let mut seen = BTreeSet::new();
    let mut checked = Vec::with_capacity(lines.len());
    for given in lines {
        let line = check_line(given, &zones, default_language);
        checked.push(compare(line, &taken, &mut seen, &mut names));
    }
    Ok(checked)
}

/// Checks a line by itself.
fn check_line(given: GivenLine, zones: &[String], default_language: Language) -> CheckedLine {
    let [number, name, email, zone, language] = &given.cells;
    let (mut errors, mut notes, mut suggested_zone) = (Vec::new(), Vec::new(), None);
    if let Err(why) = check_number(number) {
        errors.push(why);
    }
    let name = parse_name(if name.is_empty() { number } else { name });
    let name = name.map_err(|why| errors.push(format!("name: {why}"))).unwrap_or_default();
    if email.is_empty() {
        notes.push("no e-mail address: hand out the link on paper".to_owned());
    } else if smtp::parse_recipient(email).is_none() || parse_email(email).is_err() {
        errors.push(format!("“{email}” is no e-mail address"));
    }
    let time_zone = (!zone.is_empty()).then(|| normalize_time_zone(zone)).transpose().unwrap_or_else(|_| {
        let wanted = zone.replace(' ', "_");
        suggested_zone = nearest(&wanted, zones.iter().map(String::as_str)).map(str::to_owned);
        let hint = suggested_zone.as_ref().map(|near| format!("; is it {near}?")).unwrap_or_default();
        errors.push(format!("there is no time zone “{zone}”{hint}"));
        None
    });
    let spoken = Language::find(language).unwrap_or_else(|| {
        if !language.is_empty() {
            let used = Texts::ENGLISH.language_name(default_language);
            notes.push(format!("“{language}” is no language of the mails and pages: {used} is used"));
        }
        default_language
    });
    let email = Some(email.clone()).filter(|email| !email.is_empty());
    let person = ListedPerson {
        number: number.clone(),
        patient: NewPatient { name, email, time_zone },
        language: spoken,
    };
    let person = errors.is_empty().then_some(person);
    CheckedLine { given, person, errors, notes, suggested_zone }
}

fn check_number(number: &str) -> Result<(), String> {
    if number.is_empty() {
        return Err("the study number is missing".to_owned());
    }
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./".contains(letter);
    if number.chars().count() > MAX_NUMBER
        || !number.starts_with(char::is_alphanumeric)
        || !number.chars().all(is_plain)
    {
        let form = "begins with a letter or a digit, and has letters, digits, hyphens, dots and slashes only";
        return Err(format!("a study number {form}, at most {MAX_NUMBER}"));
    }
    Ok(())
}

/// Compares a line with the earlier ones, the participants of the study and the known names.
fn compare(
    mut line: CheckedLine,
    taken: &BTreeSet<String>,
    seen: &mut BTreeSet<String>,
    names: &mut BTreeSet<String>,
) -> CheckedLine {
    let number = line.given.cells[0].clone();
    if taken.contains(&number) {
        line.errors.push(format!("{number} is a participant of the study already"));
    } else if !number.is_empty() && !seen.insert(number.clone()) {
        line.errors.push(format!("{number} is on an earlier line too"));
    }
    if !line.errors.is_empty() {
        line.person = None;
    }
    if let Some(person) = &line.person
        && !names.insert(person.patient.name.to_lowercase())
    {
        line.notes.push(format!("there is another patient of the name “{}”", person.patient.name));
    }
    line
}

/// The number of people who were added, and of the mails to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Invited {
    pub(crate) added: usize,
    pub(crate) mailed: usize,
}

/// Adds and invites the people on lines without an error. The links of those who get no mail are derived from `batch`,
/// so that a form that is sent twice shows the same links.
pub(crate) fn invite_all(
    db: &Connection,
    study: StudyId,
    lines: Vec<CheckedLine>,
    batch: &Token,
    by_mail: bool,
    actor: Actor,
    now: Timestamp,
) -> Result<Invited, StoreError> {
    let mut invited = Invited::default();
    for person in lines.into_iter().filter_map(|line| line.person) {
        let id = patient::insert(db, &person.patient, now)?;
        patient_language::set(db, id, person.language)?;
        audit::record(db, now, actor, "patient.add", Some(id), "")?;
        study::enrol_as(db, study, id, &person.number, now)?;
        audit::record(db, now, actor, "study.enrol", Some(id), AuditDetail::from("study").with(study))?;
        if by_mail && person.patient.email.is_some() {
            reminders::enqueue(db, id, study, MailKind::Invitation, actor, now)?;
            invited.mailed += 1;
        } else {
            invite::invite(db, batch.for_patient(id).hash(), id, Some(study), actor, now)?;
        }
        invited.added += 1;
    }
    Ok(invited)
}

/// An open invitation with its link.
#[derive(Debug)]
pub(crate) struct InvitationLink {
    pub(crate) number: String,
    pub(crate) name: String,
    pub(crate) language: Language,
    pub(crate) expires: Timestamp,
    pub(crate) link: String,
}

/// Lists the open invitations to a study that were made with `batch`, with their links.
pub(crate) fn list_links(
    db: &Connection,
    study: StudyId,
    batch: &Token,
    base: &str,
    now: Timestamp,
) -> StoreResult<Vec<InvitationLink>> {
    let open = invitation::list_open(db, study, now)?.into_iter();
    let of_batch = open.filter_map(|one| {
        let token = batch.for_patient(one.patient);
        let OpenInvitation { number, name, language, expires, .. } = one;
        let link = (token.hash() == one.hash).then(|| invitation::link(base, &token))?;
        Some(InvitationLink { number, name, language, expires, link })
    });
    Ok(of_batch.collect())
}

/// Renders links as CSV.
pub(crate) fn render_csv(links: &[InvitationLink]) -> Vec<u8> {
    let mut csv = csv_line(["study number", "name", "language", "link", "works until"]);
    for one in links {
        let until = one.expires.to_string();
        csv.extend(csv_line([&one.number, &one.name, one.language.tag(), &one.link, &until]));
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<[String; 5]> {
        parse(text).unwrap().into_iter().map(|line| line.cells).collect()
    }

    #[test]
    fn a_list_is_read_with_any_mark_between_cells_and_with_or_without_headings() {
        let expected = cells("S-1,Ada,ada@x.org,Europe/Berlin,en\nS-2,,,,\n");
        assert_eq!((expected.len(), expected[0][3].as_str()), (2, "Europe/Berlin"));
        for text in [
            "\u{feff}S-1;Ada;ada@x.org;Europe/Berlin;en\r\n\r\nS-2\r\n",
            "S-1\tAda\tada@x.org\tEurope/Berlin\ten\nS-2\n",
            "Study_Number,Name,E-Mail,Time zone,Language\nS-1, Ada ,ada@x.org,Europe/Berlin,en\nS-2\n",
            "name;language;number;email;tz\nAda;en;S-1;ada@x.org;Europe/Berlin\n;;S-2;;\n",
        ] {
            assert_eq!(cells(text), expected, "{text}");
        }
        assert_eq!(parse("name,email\n1,2").unwrap()[0].line, 1, "headings have a study number");
        assert_eq!(parse("\n\nS-1\n").unwrap()[0].line, 3);
        assert_eq!(cells("S-1,\"Lovelace, Ada\"\n")[0][1], "Lovelace, Ada");
        assert!(parse(" \n\n").is_err() && parse(&"S-1\n".repeat(MAX_LINES + 1)).is_err());
        assert_eq!(parse(&"S-1\n".repeat(MAX_LINES)).unwrap().len(), MAX_LINES);
    }

    #[test]
    fn files_of_spreadsheets_are_decoded() {
        let wide: Vec<u8> =
            [0xFEFF].into_iter().chain("Lucía".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode("Lucía".as_bytes()), "Lucía");
        assert_eq!(decode(&wide), "Lucía");
        assert_eq!(decode(&wide[2..]), "Lucía", "without a mark");
        let big: Vec<u8> = "Lucía".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&big), "Lucía");
        assert_eq!(decode(b"Luc\xeda"), "Lucía");
        assert_eq!(decode(b"\x8a\xe1ra O\x92Neill \x80"), "Šára O’Neill €");
    }

    #[test]
    fn each_line_says_what_is_wrong_with_it() {
        let zones = ["America/Denver".to_owned(), "Europe/Berlin".to_owned()];
        let check = |text: &str| {
            let given = parse(text).unwrap().remove(0);
            let line = check_line(given, &zones, Language::ENGLISH);
            compare(line, &BTreeSet::from(["S-9".to_owned()]), &mut BTreeSet::new(), &mut BTreeSet::new())
        };
        let good = check("S-1,Ada,ada@x.org,europe/berlin,Spanish");
        let person = good.person.unwrap();
        assert_eq!(
            (person.patient.time_zone.as_deref(), person.language.tag()),
            (Some("Europe/Berlin"), "es")
        );
        assert_eq!((person.patient.name.as_str(), good.notes.len()), ("Ada", 0));
        assert_eq!(check("S-1").person.unwrap().patient.name, "S-1");
        let note = check("S-1,Ada,ada@x.org,,Klingon");
        assert!(note.person.is_some() && note.notes[0].contains("English is used"), "{note:?}");
        let zone = check("S-1,Ada,ada@x.org,Amercia/Denver,en");
        assert_eq!(zone.suggested_zone.as_deref(), Some("America/Denver"));
        assert_eq!(render([&zone]), "S-1,Ada,ada@x.org,America/Denver,en\n");
        for (text, why) in [
            ("S-1,Ada,ada@x.org,Amercia/Denver,en", "is it America/Denver?"),
            ("S-1,Ada,ada at x.org", "no e-mail address"),
            (",Ada", "number is missing"),
            ("=1+1,Ada", "a study number begins"),
            ("S-9,Ada", "participant of the study already"),
            ("S-1,\"Ada\nBcc: x\"", "on one line"),
        ] {
            let line = check(text);
            assert!(line.person.is_none() && line.errors.iter().any(|error| error.contains(why)), "{line:?}");
        }
    }
}
