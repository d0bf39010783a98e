//! The sources keep the layout and the style that `docs/ARCHITECTURE.md` and `docs/CONTRIBUTING.md` describe.
//!
//! `cargo test --test architecture -- --nocapture` prints the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The folders of `src` from top to bottom. A file imports from its own folder and from lower lines only.
const ORDER: &[&[&str]] = &[
    &["fuzz"],
    &["cli"],
    &["demo"],
    &["doctor"],
    &["daemon"],
    &["web"],
    &["app"],
    &["poll", "export", "alerts", "dataset", "fhir"],
    &["consent", "mail"],
    &["store"],
    &["omh"],
    &["ow", "jhe", "raw"],
    &["telemetry"],
    &["config"],
    &["secrets"],
    &["model", "simulator"],
    &["i18n"],
    &["common"],
];
/// Folders and files that may call another machine.
const REMOTE: &[&str] =
    &["ow/", "jhe/", "raw/", "alerts/", "mail/", "doctor/", "cli/ready.rs", "demo/", "common/http_client.rs"];
/// Substrings that together identify a line that opens a connection.
const REMOTE_CALLS: &[&[&str]] =
    &[&["reqwest", "Client"], &["http_client::build"], &["TcpStream::connect"], &["SmtpTransport"]];
/// Beginnings of SQL statements.
const SQL: &[&str] = &["\"SELECT ", "\"INSERT ", "\"DELETE FROM ", "\"UPDATE ", "\"CREATE ", "\"WITH "];
const MOST_LINES: usize = 500;
/// First words of a doc comment that begins with a question word.
const QUESTIONS: &[&str] = &["What", "Whether", "Who", "Whom", "Whose", "How", "That", "Where", "Which"];
/// Names that clap's derive gives to the parts of each command.
const CLAP: &[&str] = &["Arguments", "Command"];

/// Files that are compiled for tests only.
const TEST_ONLY: &[&str] = &["config/tests.rs", "simulator/captures.rs", "simulator/strictness.rs"];

/// One file of `src`, without its unit tests.
struct Source {
    /// The path below `src`, such as `store/engine/open.rs`.
    path: String,
    text: String,
    lines: usize,
}

impl Source {
    fn folder(&self) -> &str {
        self.path.split_once('/').map_or("", |(folder, _)| folder)
    }

    /// The module path, such as `["store", "engine", "open"]`.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').collect()
    }

    /// Returns the lines without comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let whole = fs::read_to_string(&path).unwrap();
                let text = whole.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text, lines: whole.lines().count() });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    // Test-only files are not part of the program.
    found.retain(|source| !TEST_ONLY.contains(&source.path.as_str()));
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Expands a `use` tree into its paths: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, character) in tree.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((head, inside)) = part.split_once('{') {
            expand(inside.trim_end().trim_end_matches('}'), &format!("{prefix}{}", head.trim()), paths);
        } else {
            paths.push(format!("{prefix}{}", part.split(" as ").next().unwrap()));
        }
    }
}

/// Returns the paths into this crate that a file names, each with its line.
fn imports(source: &Source) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    let mut pending: Option<String> = None;
    for (number, line) in source.code() {
        let shown = || format!("src/{}:{}: {}", source.path, number + 1, line.trim());
        if let Some(tree) = pending.as_mut() {
            tree.push_str(line.trim());
        } else if let Some(at) = line.find("use crate::") {
            pending = Some(line[at + "use ".len()..].to_owned());
        } else {
            let mut rest = line;
            while let Some(at) = rest.find("crate::") {
                let path: String = rest[at..]
                    .chars()
                    .take_while(|character| character.is_alphanumeric() || "_:".contains(*character))
                    .collect();
                rest = &rest[at + path.len()..];
                found.push((path, shown()));
            }
        }
        if let Some(tree) = pending.take_if(|tree| tree.ends_with(';')) {
            let mut paths = Vec::new();
            expand(tree.trim_end_matches(';'), "", &mut paths);
            found.extend(paths.into_iter().map(|path| (path, shown())));
        }
    }
    let split = |path: String| path.split("::").skip(1).map(str::to_owned).collect();
    found.into_iter().map(|(path, line)| (split(path), line)).collect()
}

/// Returns the files that each file imports, with the importing line.
fn graph(sources: &[Source]) -> BTreeMap<&str, BTreeMap<&str, String>> {
    let by_module: BTreeMap<Vec<&str>, &str> =
        sources.iter().map(|source| (source.module(), source.path.as_str())).collect();
    let mut edges: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for source in sources {
        for (path, line) in imports(source) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let file = (1..=path.len()).rev().find_map(|length| by_module.get(&path[..length]));
            if let Some(file) = file.filter(|file| **file != source.path && !file.ends_with("mod.rs")) {
                edges.entry(&source.path).or_default().entry(file).or_insert(line);
            }
        }
    }
    edges
}

fn rank(folder: &str) -> Option<usize> {
    ORDER.iter().position(|level| level.contains(&folder))
}

fn folder_of(path: &str) -> &str {
    path.split('/').next().unwrap()
}

/// Returns true if a file of `from` may import one of `to`.
fn may_import(from: &str, to: &str) -> bool {
    match (from, to) {
        _ if from == to => true,
        ("simulator" | "model", _) => to == "common",
        // Only the demonstration and the tests use the simulated OW.
        (_, "simulator") => from == "demo" || from == "fuzz",
        ("omh", "store") => false,
        _ => rank(from).zip(rank(to)).is_some_and(|(from, to)| from < to),
    }
}

/// Returns the import cycles: groups of nodes that reach each other.
fn cycles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<BTreeSet<&'a str>> {
    let reach = |start: &'a str| {
        let mut seen = BTreeSet::new();
        let mut stack = vec![start];
        while let Some(node) = stack.pop() {
            for next in edges.get(node).into_iter().flatten() {
                if seen.insert(*next) {
                    stack.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|node| (*node, reach(node))).collect();
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    for (node, seen) in reached.iter().filter(|(node, seen)| seen.contains(*node)) {
        let group: BTreeSet<&str> = seen
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|seen| seen.contains(node)))
            .copied()
            .collect();
        if !found.contains(&group) {
            found.push(group);
        }
    }
    found
}

fn assert_none(promise: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{promise}:\n{}", offenders.join("\n"));
}

#[test]
fn only_main_and_lib_are_directly_under_src() {
    let flat: Vec<String> =
        sources().iter().map(|source| source.path.clone()).filter(|path| !path.contains('/')).collect();
    assert_eq!(flat, ["lib.rs", "main.rs"]);
}

#[test]
fn no_import_runs_upward() {
    let sources = sources();
    let mut upward = Vec::new();
    for (file, imports) in graph(&sources).iter().filter(|(file, _)| file.contains('/')) {
        for (target, line) in imports.iter().filter(|(target, _)| target.contains('/')) {
            if !may_import(folder_of(file), folder_of(target)) {
                upward.push(line.clone());
            }
        }
    }
    println!("upward imports: {}", upward.len());
    assert_none("a folder imports only from lower ones", &upward);
    let unknown: Vec<String> = sources
        .iter()
        .filter(|source| !source.folder().is_empty() && rank(source.folder()).is_none())
        .map(|source| source.path.clone())
        .collect();
    assert_none("each folder has its place in the order", &unknown);
}

#[test]
fn no_files_and_no_folders_import_each_other() {
    let sources = sources();
    let graph = graph(&sources);
    let files = graph.iter().map(|(file, imports)| (*file, imports.keys().copied().collect())).collect();
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, imports) in &graph {
        let others =
            imports.keys().map(|target| folder_of(target)).filter(|folder| *folder != folder_of(file));
        folders.entry(folder_of(file)).or_default().extend(others);
    }
    let mut shown = Vec::new();
    for group in cycles(&files) {
        for file in &group {
            let lines = graph[file].iter().filter(|(target, _)| group.contains(*target));
            shown.extend(lines.map(|(_, line)| line.clone()));
        }
    }
    shown.extend(cycles(&folders).iter().map(|group| format!("folders: {group:?}")));
    println!("import cycles: {}", shown.len());
    assert_none("imports form no cycle", &shown);
}

#[test]
fn sql_stays_in_the_store() {
    let sources = sources();
    let outside = sources.iter().filter(|source| source.folder() != "store");
    let offenders: Vec<String> = outside
        .flat_map(|source| source.code().map(move |line| (source, line)))
        .filter(|(_, (_, line))| SQL.iter().any(|sql| line.contains(sql)))
        .map(|(source, (number, line))| format!("src/{}:{}: {}", source.path, number + 1, line.trim()))
        .collect();
    assert_none("SQL is written in src/store only", &offenders);
}

#[test]
fn only_the_clients_call_other_machines() {
    let sources = sources();
    let outside = sources.iter().filter(|source| !REMOTE.iter().any(|place| source.path.starts_with(place)));
    let offenders: Vec<String> = outside
        .flat_map(|source| source.code().map(move |line| (source, line)))
        .filter(|(_, (_, line))| {
            REMOTE_CALLS.iter().any(|words| words.iter().all(|word| line.contains(word)))
        })
        .map(|(source, (number, line))| format!("src/{}:{}: {}", source.path, number + 1, line.trim()))
        .collect();
    assert_none("other machines are called from the clients' folders only", &offenders);
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > MOST_LINES)
        .map(|source| format!("src/{}: {} lines", source.path, source.lines))
        .collect();
    assert_none("a file has at most 500 lines", &long);
}

#[test]
fn a_mod_rs_holds_declarations_only() {
    let sources = sources();
    let mut offenders = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with("mod.rs")) {
        for (number, line) in source.code() {
            let line = line.trim();
            let is_declaration = line.is_empty()
                || line.starts_with("#[")
                || (line.ends_with(';') && line.contains("mod "))
                || line.starts_with("pub use ")
                || line.starts_with("pub(crate) use ");
            if !is_declaration {
                offenders.push(format!("src/{}:{}: {line}", source.path, number + 1));
            }
        }
    }
    assert_none("a mod.rs declares modules and nothing else", &offenders);
}

#[test]
fn a_doc_comment_names_the_thing() {
    let (mut blocks, mut questions) = (0_usize, Vec::new());
    for source in sources() {
        let mut before = "";
        for (number, line) in source.text.lines().enumerate() {
            let line = line.trim_start();
            let is_doc = |line: &str| line.starts_with("///") || line.starts_with("//!");
            if is_doc(line) && !is_doc(before) {
                blocks += 1;
                let first = line[3..].split_whitespace().next().unwrap_or_default();
                if QUESTIONS.contains(&first.trim_end_matches(|last: char| !last.is_alphanumeric())) {
                    questions.push(format!("src/{}:{}: {line}", source.path, number + 1));
                }
            }
            before = line;
        }
    }
    println!("doc comments: {blocks}, of which begin with a question word: {}", questions.len());
    assert!(
        questions.len() * 50 < blocks,
        "too many doc comments begin with a question word:\n{}",
        questions.join("\n")
    );
}

#[test]
fn a_type_name_has_at_most_two_meanings() {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for (number, line) in source.code() {
            let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            let kinds = ["struct ", "enum ", "trait ", "type "];
            if let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) {
                let name: String =
                    rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                if !CLAP.contains(&name.as_str()) {
                    names.entry(name).or_default().push(format!("src/{}:{}", source.path, number + 1));
                }
            }
        }
    }
    let most = names.values().map(Vec::len).max().unwrap_or_default();
    println!("type names: {}, most meanings of one: {most}", names.len());
    let offenders: Vec<String> = names
        .iter()
        .filter(|(_, places)| places.len() > 2)
        .map(|(name, places)| format!("{name}: {}", places.join(" ")))
        .collect();
    assert_none("a type name has at most two meanings", &offenders);
}
