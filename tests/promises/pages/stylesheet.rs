//! The stylesheet uses only features that browsers of 2021 support.

use std::path::Path;
use std::process::Command;

/// The linter with browser data that `tests/prepare` installs.
const LINTER: &str = "target/stylesheet/node_modules/.bin/stylelint";

fn lint(root: &Path, stylesheet: &Path) -> (bool, String) {
    let output = Command::new(root.join(LINTER))
        .arg("--config")
        .arg(root.join("tests/stylesheet/package.json"))
        .arg("--config-basedir")
        .arg(root.join("target/stylesheet"))
        .arg(stylesheet)
        .current_dir(root)
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[test]
fn a_phone_of_2021_knows_every_rule_of_the_stylesheet() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join(LINTER).exists() {
        let is_required = std::env::var("JHE_OW_BROWSER").is_ok_and(|value| value == "required");
        assert!(!is_required, "stylelint is missing: run tests/prepare");
        eprintln!("left out: there is no stylelint; tests/prepare installs it");
        return;
    }
    let (is_clean, said) = lint(root, &root.join("assets/style.css"));
    assert!(is_clean, "{said}");
    let directory = tempfile::tempdir().unwrap();
    let newer = directory.path().join("newer.css");
    std::fs::write(&newer, "a { color: light-dark(#fff, #000); }\n.b:has(a) { color: red; }\n").unwrap();
    let (is_clean, said) = lint(root, &newer);
    assert!(!is_clean && said.contains("light-dark") && said.contains("css-has"), "{said}");
}
