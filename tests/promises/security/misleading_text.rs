//! Text of others forges no row of a table and no log line.

use crate::support::doctor::sql;
use crate::support::harness::*;
use crate::support::running_daemon::*;

#[test]
fn a_name_forges_no_row_and_moves_no_cursor() {
    let world = World::new();
    let (_, patient) = world.patient();
    // As JHE or an earlier version could have stored it.
    sql(
        &world,
        "UPDATE patients SET name = 'A' || char(10) || '     9  ow:0  Forged' || char(27) || '[2J' || char(8238)",
    );
    let list = world.run(&["patient", "list"]);
    assert_eq!(list.stdout.lines().count(), 1, "{list:?}");
    let shown = world.run(&["patient", "show", &patient]);
    for ran in [&list, &shown] {
        assert!(!ran.stdout.contains(['\u{1b}', '\u{202e}']), "{ran:?}");
        assert!(ran.stdout.contains(r"A\u000a     9  ow:0  Forged\u001b[2J\u202e"), "{ran:?}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&world.run(&["patient", "show", &patient, "--json"]).stdout).unwrap();
    assert_eq!(json["name"], "A\n     9  ow:0  Forged\u{1b}[2J\u{202e}", "JSON keeps the text");
}

#[test]
fn a_name_keeps_no_direction_marks() {
    let world = World::new();
    let ran = world.run(&["patient", "add", "--name", "Ms \u{202e}Jones\u{2069}"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(world.run(&["patient", "list"]).stdout.ends_with("Ms Jones\n"));
}

#[test]
fn a_stored_text_forges_no_log_line() {
    let world = World::new();
    world.setting("ow.ingest_mode", "raw");
    sql(&world, "UPDATE settings SET value = 'x' || char(10) || 'FORGED line' WHERE key = 'ow.ingest_mode'");
    let served = Served::with(&world, &[("JHE_OW_LOG_FORMAT", "pretty")]);
    until("a tick has ended", || served.operator(&world).get("/admin/system").body.contains("aborted"));
    let ran = served.stop("TERM");
    assert!(ran.stderr.contains("FORGED line"), "{}", ran.stderr);
    assert!(!ran.stderr.lines().any(|line| line.starts_with("FORGED")), "{}", ran.stderr);
}
