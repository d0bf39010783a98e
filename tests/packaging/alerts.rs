//! Tests the alert rules with promtool.

use std::fmt::Write;

use crate::{asked, root};

/// The samples that Prometheus scrapes from three daemons every five minutes, and the daemons that must be alerted.
struct Watched {
    alert: &'static str,
    /// Metric name, additional labels, and the values of each daemon in promtool's notation.
    series: &'static [(&'static str, &'static str, [&'static str; 3])],
    after: &'static str,
    about: &'static [&'static str],
}

const WATCHED: &[Watched] = &[
    Watched {
        alert: "JheOwBackupOld",
        series: &[
            // Three days before the start of the test.
            ("jhe_ow_backup_last_timestamp_seconds", "", ["-259200x60"; 3]),
            ("jhe_ow_backup_interval_seconds", "", ["31536000x60", "86400x60", "0x60"]),
        ],
        after: "3h",
        about: &["b"],
    },
    Watched {
        alert: "JheOwTickOverdue",
        series: &[
            ("jhe_ow_tick_last_end_timestamp_seconds", "", ["0x60"; 3]),
            ("jhe_ow_tick_interval_seconds", "", ["60x60", "60x60", "7200x60"]),
            ("jhe_ow_tick_under_way", "", ["1x60", "0x60", "0x60"]),
        ],
        after: "3h",
        about: &["b"],
    },
    Watched {
        alert: "JheOwTicksFail",
        series: &[
            // Failed ticks: all, half of them, and both of two.
            (
                "jhe_ow_ticks_total",
                ",outcome=\"failed\"",
                ["0x11 1x11 2x11 3x11 4x11 5x11", "0x5 1x5 2x5 3x5 4x5 5x40", "0x23 1x23 2x23"],
            ),
            ("jhe_ow_tick_interval_seconds", "", ["3600x72", "900x72", "7200x72"]),
        ],
        after: "5h",
        about: &["a"],
    },
    Watched {
        alert: "JheOwTicksFail",
        series: &[
            (
                "jhe_ow_ticks_total",
                ",outcome=\"failed\"",
                ["0x287 1x287 2x287 3x287 4x287", "0x287 1x287 2x287 3x287 4x287", "0x1500"],
            ),
            ("jhe_ow_tick_interval_seconds", "", ["86400x1500", "900x1500", "86400x1500"]),
        ],
        after: "4d",
        about: &["a"],
    },
    Watched {
        alert: "JheOwPatientsSilent",
        series: &[
            ("jhe_ow_silent_patients", ",cause=\"consent_withdrawn\"", ["9x100", "0x100", "0x100"]),
            ("jhe_ow_silent_patients", ",cause=\"not_worn\"", ["0x100", "2x100", "4x100"]),
            ("jhe_ow_silent_patients", ",cause=\"user_gone\"", ["0x100", "2x100", "0x100"]),
            ("jhe_ow_links", ",state=\"active\"", ["10x100", "8x100", "10x100"]),
            ("jhe_ow_links", ",state=\"needs_relink\"", ["0x100", "2x100", "10x100"]),
        ],
        after: "7h",
        about: &["b"],
    },
];

#[test]
fn alerts_tell_what_they_are_there_for_and_nothing_else() {
    let mut test = format!(
        "rule_files: [{}]\nevaluation_interval: 5m\ntests:\n",
        root().join("packaging/alerts.yaml").display()
    );
    for Watched { alert, series, after, about } in WATCHED {
        test += "  - interval: 5m\n    input_series:\n";
        for (name, labels, values) in *series {
            for (daemon, values) in ["a", "b", "c"].into_iter().zip(values) {
                let series = format!("{name}{{job=\"jhe-ow\",instance=\"{daemon}\"{labels}}}");
                writeln!(test, "      - {{ series: '{series}', values: '{values}' }}").unwrap();
            }
        }
        let samples: Vec<String> = about
            .iter()
            .map(|daemon| format!("{{ labels: '{{instance=\"{daemon}\"}}', value: 1 }}"))
            .collect();
        let firing = format!("count by (instance) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
        let samples = samples.join(", ");
        test += "    promql_expr_test:\n";
        writeln!(test, "      - {{ expr: '{firing}', eval_time: {after}, exp_samples: [{samples}] }}")
            .unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alerts.yaml");
    std::fs::write(&file, &test).unwrap();
    for arguments in [["check", "rules", "packaging/alerts.yaml"], ["test", "rules", file.to_str().unwrap()]]
    {
        let Some(said) = asked("promtool", &arguments) else { return };
        assert!(said.status.success(), "{said:?}\n{test}");
    }
}
