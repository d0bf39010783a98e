//! Invalid input never makes the program panic or use memory out of proportion.
//!
//! Runs the targets of `fuzz/` on stable Rust with their seeds and random mutations. `JHE_OW_FUZZ_INPUTS=1000000
//! JHE_OW_FUZZ_SEED=7 cargo test --test bad_input` runs more of them.

mod support;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use jhe_ow::fuzz::targets::TARGETS;
use support::large_inputs;
use support::mutate::Mutator;

/// Default number of random inputs per target.
const INPUTS: u64 = 2_000;
/// An arbitrary default seed.
const SEED: u64 = 20_261_121;
/// Maximum length of a random input in bytes.
const LONGEST: usize = 64 * 1024;
/// Permitted memory per kilobyte of input, in kilobytes: a JSON value of two bytes takes 32 bytes while it is parsed.
const WORTH: u64 = 24;
/// Permitted constant memory in kilobytes: the allocator's reserve and the largest record of a payload.
const APART: u64 = 48 * 1024;

/// Set for a child process that tries one input.
const ONE_TARGET: &str = "JHE_OW_FUZZ_TARGET";
const ONE_INPUT: &str = "JHE_OW_FUZZ_INPUT";

/// Memory is measured per process, so targets run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Reads a line of `/proc/self/status`, in kilobytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap()
}

/// Tries one input in a child process, which may crash; returns the memory used, in kilobytes.
fn taken_by(name: &str, what: &str, input: &[u8]) -> u64 {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(input).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", "one_input", "--nocapture"])
        .env(ONE_TARGET, name)
        .env(ONE_INPUT, file.path());
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what} breaks {name}: {}", String::from_utf8_lossy(&output.stderr));
    between(&told, "taken ", " kB").parse().unwrap()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

/// Tries one input and prints how much memory it took.
#[test]
#[ignore = "a process that taken_by starts"]
fn one_input() {
    let (Ok(name), Ok(path)) = (std::env::var(ONE_TARGET), std::env::var(ONE_INPUT)) else { return };
    let input = std::fs::read(path).unwrap();
    let before = memory("VmHWM");
    target(&name)(&input);
    println!("taken {} kB", memory("VmHWM") - before);
}

fn target(name: &str) -> fn(&[u8]) {
    TARGETS.iter().copied().find(|(known, _)| *known == name).unwrap().1
}

/// Returns the seeds of a target, one per file.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no seeds in fuzz/seeds");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Tries one input and saves it to a file if it breaks the target.
fn try_one(name: &str, target: fn(&[u8]), input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bad-input-{name}"));
        std::fs::write(&kept, input).unwrap();
        panic!(
            "{} breaks {name}: {}",
            kept.display(),
            String::from_utf8_lossy(&input[..input.len().min(2000)])
        );
    }
}

/// Tries a target with its seeds, with large and unusual inputs, and with random mutations of both.
fn check_target(name: &str) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = target(name);
    let seeds = seeds(name);
    for seed in &seeds {
        try_one(name, target, seed);
    }
    for (what, input) in large_inputs::of(name) {
        let kilobytes = input.len() as u64 / 1024;
        let taken = taken_by(name, what, &input);
        assert!(
            taken <= kilobytes * WORTH + APART,
            "{name}: {what} of {kilobytes} kB needs {taken} kB of memory"
        );
    }
    let (inputs, seed) = (number("JHE_OW_FUZZ_INPUTS", INPUTS), number("JHE_OW_FUZZ_SEED", SEED));
    let mut mutator = Mutator::new(seed, seeds);
    // Resets the peak memory.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmHWM");
    for _ in 0..inputs {
        let input = mutator.next(LONGEST, name == "raw_payload");
        try_one(name, target, &input);
    }
    let taken = memory("VmHWM").saturating_sub(before);
    eprintln!("{name}: {inputs} inputs of seed {seed}, {taken} kB");
    assert!(taken <= APART, "{taken} kB of memory for inputs of at most {LONGEST} bytes");
}

#[test]
fn no_page_of_ow_panics_or_takes_much_memory() {
    check_target("ow_page");
}

#[test]
fn no_raw_payload_panics_or_takes_much_memory() {
    check_target("raw_payload");
}

#[test]
fn no_configuration_panics_or_takes_much_memory() {
    check_target("config");
}

#[test]
fn no_invitation_code_panics_or_takes_much_memory() {
    check_target("invitation_code");
}

#[test]
fn no_cursor_panics_or_takes_much_memory() {
    check_target("cursor");
}

#[test]
fn no_answer_of_jhe_panics_or_takes_much_memory() {
    check_target("jhe_answer");
}

#[test]
fn every_target_is_a_fuzz_target_with_seeds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let names = |below: &str| {
        let entries = std::fs::read_dir(directory.join(below)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
            .collect();
        names.sort();
        names
    };
    let mut known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(names("fuzz_targets"), known);
    assert_eq!(names("seeds"), known);
}
