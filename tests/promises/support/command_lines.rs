//! Finds command lines in help texts and documents and splits them into words.

use clap::error::ErrorKind;

/// Placeholders of the documents and their substitutes.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("ID", "7"),
    ("N", "7"),
    ("C", "omh:heart-rate:2.0"),
    ("T", "2026-01-01"),
    ("UUID", "009edd1e-49f6-4e35-a7b9-952f45e501e9"),
    ("HASH", "5f3a0c9be1d27846a4c55b0e9d8f71326a7be4c0d1f295836e0b4d7ac8f21953"),
    ("S", "7"),
    ("omh|fhir|fhir-vitals|csv", "fhir"),
    ("VALUE", "5m"),
];

/// Returns the lines of all shell blocks of a Markdown document, without comments and with continuation lines joined.
pub fn shell_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut in_shell, mut begun) = (false, String::new());
    for line in markdown.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            in_shell = !in_shell && language == "sh";
            continue;
        }
        if !in_shell {
            continue;
        }
        begun += without_comment(line).trim();
        if let Some(more) = begun.strip_suffix('\\') {
            begun = more.to_owned();
        } else if begun.ends_with('|') {
            begun.push(' ');
        } else if !begun.is_empty() {
            lines.push(std::mem::take(&mut begun));
        }
    }
    lines
}

/// Returns the command lines between backquotes in the prose of a Markdown document.
pub fn mentioned(markdown: &str) -> Vec<String> {
    let prose: String =
        markdown.split("```").step_by(2).map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join(" ");
    let spans = prose.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("jhe-ow ")).map(str::to_owned).collect()
}

fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return &line[..at],
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

/// Returns the `jhe-ow` commands in a line of shell: each alternative, with and without its optional parts.
pub fn calls(line: &str) -> Vec<Vec<String>> {
    let both = |call: Vec<String>| [without_brackets(&call), filled(&call)];
    let mut calls: Vec<Vec<String>> = alternatives(line).into_iter().flat_map(both).collect();
    calls.dedup();
    calls
}

/// Returns the same commands as [`calls`], without optional parts.
pub fn shortest_calls(line: &str) -> Vec<Vec<String>> {
    alternatives(line).iter().map(|call| without_brackets(call)).collect()
}

fn alternatives(line: &str) -> Vec<Vec<String>> {
    let line = line.replace("cargo run --release -- ", "jhe-ow ");
    let line = line.split([';', '>']).next().unwrap_or_default();
    let mut calls = Vec::new();
    let mut parts = line.split(" | ").map(words).peekable();
    while let Some(part) = parts.next() {
        if part.first().is_none_or(|first| first != "jhe-ow") {
            continue;
        }
        calls.push(part.clone());
        // "patient list | show ID" and "--grant | --withdraw" list alternatives; the bar is not a pipe.
        while let Some(other) = parts.next_if(|next| is_alternative(&part, next)) {
            let given = if other[0].starts_with("--") { part.len() - 1 } else { 2 };
            calls.push(part[..given].iter().chain(&other).cloned().collect());
        }
    }
    calls
}

fn is_alternative(first: &[String], next: &[String]) -> bool {
    let command = jhe_ow::cli::run::command();
    let siblings = first.get(1).and_then(|group| command.find_subcommand(group));
    let is_sibling = |word: &str| siblings.is_some_and(|group| group.find_subcommand(word).is_some());
    next.first().is_some_and(|word| word.starts_with("--") || is_sibling(word))
}

fn without_brackets(call: &[String]) -> Vec<String> {
    let mut depth = 0;
    let mut kept = Vec::new();
    for word in call {
        depth += i32::from(word.starts_with('['));
        if depth == 0 {
            kept.push(value(word));
        }
        depth -= i32::from(word.ends_with(']'));
    }
    kept
}

fn filled(call: &[String]) -> Vec<String> {
    call.iter().map(|word| value(word.trim_matches(['[', ']']))).collect()
}

/// Returns the substitute of a placeholder; other words are returned unchanged.
fn value(word: &str) -> String {
    let known = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
    known.map_or_else(|| word.to_owned(), |(_, value)| (*value).to_owned())
}

/// Splits a line into words and honours quotes as a shell does.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (Some(open), c) if open == c => quote = None,
            (None, c) if c.is_whitespace() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Parses a command line with the program's parser; returns the parser's error.
pub fn understand(call: &[String]) -> Result<(), ErrorKind> {
    match jhe_ow::cli::run::command().try_get_matches_from(call) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn command_lines_are_found_in_documents_as_people_read_them() {
    let document = "See `jhe-ow seed`.\n```sh\njhe-ow patient add --name \"A #1\" \\\n    --tz UTC   # a comment\n\
                    echo '{}' |\n    jhe-ow convert\n```\n```ini\njhe-ow nothing\n```\n";
    let lines = shell_lines(document);
    assert_eq!(lines, ["jhe-ow patient add --name \"A #1\" --tz UTC", "echo '{}' | jhe-ow convert"]);
    assert_eq!(mentioned(document), ["jhe-ow seed"]);
    let joined = |line: &str| calls(line).iter().map(|call| call.join(" ")).collect::<Vec<_>>();
    assert_eq!(calls(&lines[0])[0][4], "A #1");
    assert_eq!(joined(&lines[1]), ["jhe-ow convert"]);
    assert_eq!(joined("jhe-ow patient list | show ID"), ["jhe-ow patient list", "jhe-ow patient show 7"]);
    assert_eq!(
        joined("jhe-ow patient consent ID c --grant | --withdraw"),
        ["jhe-ow patient consent 7 c --grant", "jhe-ow patient consent 7 c --withdraw"]
    );
    assert_eq!(
        joined("jhe-ow audit list [--patient-id N] | head"),
        ["jhe-ow audit list", "jhe-ow audit list --patient-id 7"]
    );
    assert_eq!(joined("systemctl stop jhe-ow"), Vec::<String>::new());
}
