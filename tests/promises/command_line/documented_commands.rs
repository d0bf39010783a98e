//! Every command line in the documents parses, and commands without further requirements succeed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::error::ErrorKind;

use crate::support::command_lines::{calls, mentioned, shell_lines, shortest_calls, understand};
use crate::support::doctor::sql;
use crate::support::harness::*;

/// Lines of the README with requirements that the tests cannot meet, by a part of the line.
const NEEDS_MORE: &[(&str, &str)] = &[
    ("jhe-ow demo", "runs until a signal; its own tests walk it"),
    ("cargo run --release -- demo", "the same"),
    ("jhe-ow serve", "runs until a signal; nearly every test serves"),
    ("jhe-ow patient erase", "a terminal; see erasure.rs"),
    ("jhe-ow patient readmit", "somebody who was erased; see erasure.rs"),
    ("jhe-ow invite", "a study, which is made on the pages"),
    ("jhe-ow token", "a study; see reading/tokens.rs"),
    ("jhe-ow export", "JHE"),
    ("jhe-ow adopt", "JHE"),
    ("jhe-ow patient import", "JHE"),
    ("jhe-ow patient match", "JHE"),
    ("--jhe-patient", "JHE"),
    ("jhe-ow restore", "what the daemon before it has written; see backup.rs"),
    ("| age ", "age, which few machines have"),
    ("cargo build", "minutes"),
    ("cargo test", "itself"),
];

/// The README and its chapters.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "docs/laptop.md",
    "docs/patients.md",
    "docs/jhe.md",
    "docs/notebooks.md",
    "docs/data.md",
    "docs/raw-mode.md",
    "docs/production.md",
];

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn every_command_line_in_the_documents_is_understood() {
    let mut count = 0;
    for name in DOCUMENTS.iter().copied().chain(["packaging/README.md"]) {
        // `jhe-ow-ctl` of the package takes the same arguments.
        let text = document(name).replace("jhe-ow-ctl ", "jhe-ow ");
        let typed: Vec<_> = shell_lines(&text).iter().flat_map(|line| calls(line)).collect();
        for call in &typed {
            assert_eq!(understand(call), Ok(()), "{name}: {}", call.join(" "));
        }
        for call in mentioned(&text).iter().flat_map(|line| calls(line)) {
            // Prose may name a command without its required arguments.
            let is_well = match understand(&call) {
                Ok(()) | Err(ErrorKind::MissingRequiredArgument) => true,
                Err(ErrorKind::InvalidValue) => call.last().is_some_and(|last| last.starts_with("--")),
                Err(_) => false,
            };
            assert!(is_well, "{name}: {}", call.join(" "));
        }
        count += typed.len();
    }
    assert!(count > 60, "only {count} commands were found");
}

/// Replaces the placeholders of a line by existing users, numbers and paths. Each data set gets its own directory,
/// named by `call`.
fn with_local_values(line: &str, world: &World, linked: &str, unlinked: &str, call: usize) -> String {
    line.replace("009edd1e-49f6-4e35-a7b9-952f45e501e9", linked)
        .replace("UUID", unlinked)
        .replace("--patient-id 7", "--patient-id 2")
        .replace(" ID", " 1")
        .replace("--out sleep-and-heart", &format!("--out {}/set-{call}", world.directory.path().display()))
        .replace("/mnt/backup", &world.directory.path().display().to_string())
}

fn as_texts(call: &[String]) -> Vec<&str> {
    call.iter().map(String::as_str).collect()
}

/// Runs a command with a password or secret on its standard input.
fn succeeds(mut command: Command, typed: String) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Most commands exit without reading their input.
    let _ = child.stdin.take().unwrap().write_all(b"correct horse battery\n");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{typed}: {output:?}");
    typed
}

#[test]
fn the_readmes_self_contained_commands_succeed() {
    let mut world = World::bare();
    world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    let user = world.sim.add_user();
    let other = world.sim.add_user();
    // Number 1 is a patient without a link; the README's patient is number 2.
    assert_eq!(world.run(&["patient", "add", "--name", "B"]).code, 0);
    sql(
        &world,
        "INSERT INTO studies (name, organization, purpose, contact, created_at)
         VALUES ('Sleep and Heart', 'Lab', 'Why', 'Ada', 0)",
    );
    let mut ran = Vec::new();
    for line in DOCUMENTS.iter().flat_map(|name| shell_lines(&document(name))) {
        if NEEDS_MORE.iter().any(|(part, _)| line.contains(part)) {
            continue;
        }
        let here = with_local_values(&line, &world, &user, &other, ran.len());
        let shown = shortest_calls(&here);
        match shown.as_slice() {
            [] => {}
            [_] if !here.contains('[') => ran.push(succeeds(world.shell(&here), here)),
            ways => {
                ran.extend(
                    ways.iter().map(|call| succeeds(world.command(&as_texts(call)[1..]), call.join(" "))),
                );
            }
        }
    }
    assert!(ran.len() > 25, "{ran:#?}");
}
