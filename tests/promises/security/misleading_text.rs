//! Foreign text cannot forge a table row or a log line.

use crate::support::doctor::sql;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Control characters, line separators, changes of writing direction, and invisible characters.
const MISLEADING: [char; 7] = ['\u{1b}', '\u{7}', '\u{202e}', '\u{2028}', '\u{85}', '\u{feff}', '\u{200b}'];

#[test]
fn a_name_forges_no_row_and_moves_no_cursor() {
    let world = World::new();
    let (_, patient) = world.patient();
    // Stored as JHE or an earlier version could have done.
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
    assert_eq!(json["name"], "A\n     9  ow:0  Forged\u{1b}[2J\u{202e}", "JSON keeps the text unchanged");
}

#[test]
fn a_name_keeps_no_direction_marks() {
    let world = World::new();
    let ran = world.run(&["patient", "add", "--name", "Ms \u{202e}Jones\u{2069}"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(world.run(&["patient", "list"]).stdout.contains("  Ms Jones  ("));
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

#[test]
fn a_device_and_a_rejected_sample_mislead_no_reader() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.put_verbatim(&user, world.now.minus(HOUR), "{\"of\":\"\u{202e}\u{feff}\u{200b}\"}");
    world.poll();
    sql(
        &world,
        "UPDATE streams SET device = 'Ring' || char(27) || char(7) || char(8238) || char(8232) || char(133)",
    );
    let served = Served::start(&world);
    let operator = served.operator(&world);
    for (page, shown) in [
        (format!("/admin/patients/{patient}/observations"), r"Ring\u001b\u0007\u202e\u2028\u0085"),
        ("/admin/rejected".to_owned(), r"\u202e\ufeff\u200b"),
    ] {
        let body = operator.get(&page).body;
        assert!(body.contains(shown) && !body.contains(MISLEADING), "{page}: {body}");
    }
    let list = world.run(&["rejected", "list"]).stdout;
    assert!(list.contains(r"\u202e\ufeff\u200b") && !list.contains(MISLEADING), "{list}");
    let table = world.run(&["observations", "--format", "csv"]).stdout;
    assert!(
        table.contains("Ring\u{1b}\u{7}\u{202e}\u{2028}\u{85}"),
        "redirected output keeps the text unchanged: {table}"
    );
}

#[test]
fn a_log_line_in_json_keeps_a_text_and_misleads_no_reader() {
    let world = World::new();
    world.setting("ow.ingest_mode", "raw");
    sql(
        &world,
        "UPDATE settings SET value = 'x' || char(8238) || char(8232) || char(133) WHERE key = 'ow.ingest_mode'",
    );
    let served = Served::with(&world, &[("JHE_OW_LOG_FORMAT", "json")]);
    until("a tick has ended", || served.operator(&world).get("/admin/system").body.contains("aborted"));
    let log = served.stop("TERM").stderr;
    assert!(!log.contains(MISLEADING), "{log}");
    let line = log.lines().find(|line| line.contains("aborted")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert!(line.to_string().contains("x\u{202e}\u{2028}\u{85}"), "{line}");
}
