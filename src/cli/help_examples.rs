//! What the help of each command ends with: lines to type. One table, so that a test can walk it.

use std::fmt::Write as _;

use clap::Command;

/// A line to type, and what it does.
type Example = (&'static str, &'static str);

/// The longest line beside which there is room for what it does.
const WIDEST: usize = 62;

/// What the help of `jhe-ow` itself ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0    done, also where there was nothing to do
  1    the work could not be done; what was committed stays
  2    what was typed, set or configured is wrong; nothing was written
  3    done, except for some patients or lines, each of which is told
  130  ended by a second signal, at once";

/// The examples of each command that does not bring its own, by the words after `jhe-ow`.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[("jhe-ow demo", "try it out"), ("jhe-ow serve", "run it"), ("jhe-ow help poll", "about a command")],
    ),
    (
        "serve",
        &[
            ("jhe-ow serve", "until SIGINT or SIGTERM; SIGHUP reads the configuration again"),
            ("jhe-ow serve --bind 127.0.0.1:8010 --log debug", ""),
        ],
    ),
    (
        "poll",
        &[
            ("jhe-ow poll", "one tick, everybody"),
            ("jhe-ow poll --window 90d --dry-run", "what 90 days would bring"),
            ("jhe-ow poll --patient-id 7 --since 2026-01-01 --until 2026-02-01", "one patient's January"),
        ],
    ),
    (
        "observations",
        &[
            ("jhe-ow observations | head -n 1", "one document"),
            ("jhe-ow observations --patient-id 7 --since 2026-01-01 --format csv", "a table"),
            ("jhe-ow observations --code omh:heart-rate:2.0 --format fhir", "as JHE gets them"),
        ],
    ),
    (
        "adherence",
        &[
            ("jhe-ow adherence --since 2026-01-01 --until 2026-02-01", "everybody's January"),
            ("jhe-ow adherence --study 1 --format json", "one study's last 30 days"),
        ],
    ),
    ("alerts", &[("jhe-ow alerts test", "")]),
    ("alerts test", &[("jhe-ow alerts test", "whether they arrive")]),
    (
        "export",
        &[
            ("jhe-ow export", "what waits"),
            (
                "jhe-ow export --patient-id jhe:40001 --retry-dead",
                "once more what JHE refused of one patient",
            ),
        ],
    ),
    (
        "adopt",
        &[
            ("jhe-ow adopt --dry-run", "what would be recognised"),
            ("jhe-ow adopt --patient-id 7 --wait 10m", ""),
        ],
    ),
    (
        "patient",
        &[("jhe-ow patient list", "who there is"), ("jhe-ow patient show 7", "link and consents of one")],
    ),
    (
        "patient add",
        &[
            ("jhe-ow patient add --name \"A. Patient\" --tz Europe/Berlin", "prints the number"),
            (
                "jhe-ow patient add --name Ada \\\n      --ow-user 009edd1e-49f6-4e35-a7b9-952f45e501e9 \\\n      \
                 --consent omh:heart-rate:2.0",
                "linked, and with a consent",
            ),
            ("jhe-ow patient add --jhe-patient 40001", "one of JHE's"),
        ],
    ),
    ("patient export", &[("jhe-ow patient export 7 --output patient-7.zip", "everything about one patient")]),
    (
        "patient erase",
        &[("jhe-ow patient erase 7", "asks first"), ("jhe-ow patient erase jhe:40001 --yes", "asks nothing")],
    ),
    ("patient readmit", &[("jhe-ow patient readmit 7", "whoever was erased may come in again")]),
    ("patient import", &[("jhe-ow patient import --tz Europe/Berlin", "")]),
    (
        "patient match",
        &[
            ("jhe-ow patient match", "proposals for everybody"),
            ("jhe-ow patient match 7 --jhe-patient 40001", "this is who it is"),
        ],
    ),
    (
        "patient list",
        &[("jhe-ow patient list", "a line each"), ("jhe-ow patient list --json | jq .name", "for programs")],
    ),
    (
        "patient show",
        &[("jhe-ow patient show 7", ""), ("jhe-ow patient show jhe:40001 --json", "for programs")],
    ),
    (
        "patient link",
        &[
            ("jhe-ow patient link 7 --ow-user 009edd1e-49f6-4e35-a7b9-952f45e501e9", ""),
            (
                "jhe-ow patient link 7 --same-person \\\n      --ow-user 009edd1e-49f6-4e35-a7b9-952f45e501e9",
                "after an earlier link",
            ),
        ],
    ),
    ("patient unlink", &[("jhe-ow patient unlink 7", "")]),
    (
        "patient consent",
        &[
            ("jhe-ow patient consent 7 omh:heart-rate:2.0 --grant", ""),
            ("jhe-ow patient consent 7 omh:heart-rate:2.0 --withdraw", ""),
        ],
    ),
    (
        "invite",
        &[
            ("jhe-ow invite --patient-id 7 --study 1", "to one study"),
            ("jhe-ow invite --patient-id jhe:40001", "through JHE"),
        ],
    ),
    (
        "admin",
        &[("jhe-ow admin list", "who may sign in"), ("jhe-ow admin sign-in", "a link for the operator")],
    ),
    (
        "admin set-password",
        &[
            ("jhe-ow admin set-password", "the operator's; asked for on a terminal"),
            ("jhe-ow admin set-password --name ada < password.txt", ""),
        ],
    ),
    ("admin add", &[("jhe-ow admin add ada --role manager", "prints a link that signs in once")]),
    ("admin sign-in", &[("jhe-ow admin sign-in --name ada", "")]),
    ("admin list", &[("jhe-ow admin list", "a line each"), ("jhe-ow admin list --json", "for programs")]),
    (
        "audit",
        &[("jhe-ow audit list --limit 20", "the last 20"), ("jhe-ow audit verify", "whether it is whole")],
    ),
    (
        "audit list",
        &[
            ("jhe-ow audit list --patient-id 7", "of one patient"),
            ("jhe-ow audit list --json", "for programs"),
        ],
    ),
    (
        "audit verify",
        &[
            ("jhe-ow audit verify", "prints a hash: note it somewhere else"),
            (
                "jhe-ow audit verify --noted \\\n      5f3a0c9be1d27846a4c55b0e9d8f71326a7be4c0d1f295836e0b4d7ac8f21953",
                "with one that was noted",
            ),
        ],
    ),
    (
        "settings",
        &[("jhe-ow settings list", "all"), ("jhe-ow settings set module.ow true", "the master switch")],
    ),
    ("settings list", &[("jhe-ow settings list", ""), ("jhe-ow settings list --json", "for programs")]),
    (
        "settings get",
        &[
            ("jhe-ow settings get ow.poll_interval", ""),
            ("jhe-ow settings get module.ow --json", "for programs"),
        ],
    ),
    (
        "settings set",
        &[
            ("jhe-ow settings set ow.poll_interval 5m", ""),
            ("jhe-ow settings set ow.s3.secret_access_key - < secret.txt", "stands in no history"),
        ],
    ),
    ("settings unset", &[("jhe-ow settings unset ow.poll_interval", "")]),
    ("seed", &[("jhe-ow seed", "")]),
    ("migrate", &[("jhe-ow migrate status", "")]),
    ("migrate status", &[("jhe-ow migrate status", ""), ("jhe-ow migrate status --json", "for programs")]),
    ("backup", &[("jhe-ow backup /mnt/backup/jhe-ow.sqlite3", "while the daemon runs")]),
    ("restore", &[("jhe-ow restore /mnt/backup/jhe-ow.sqlite3", "while it does not")]),
    ("rejected", &[("jhe-ow rejected list", "")]),
    (
        "rejected list",
        &[
            ("jhe-ow rejected list --patient-id 7", "of one patient"),
            ("jhe-ow rejected list --limit 1000 --json", "for programs"),
        ],
    ),
    ("demo", &[("jhe-ow demo", "five patients"), ("jhe-ow demo --patients 20 --bind 127.0.0.1:8010", "")]),
    (
        "doctor",
        &[
            ("jhe-ow doctor", "what is well, and what to do about what is not"),
            ("jhe-ow doctor --json | jq '.[] | select(.state == \"stops\")'", ""),
        ],
    ),
    (
        "ready",
        &[
            ("jhe-ow ready", "the daemon of this configuration"),
            ("jhe-ow ready --url http://127.0.0.1:8002 --json", "another one, for programs"),
        ],
    ),
    (
        "completions",
        &[
            ("jhe-ow completions bash > /usr/share/bash-completion/completions/jhe-ow", ""),
            ("jhe-ow completions fish > ~/.config/fish/completions/jhe-ow.fish", ""),
        ],
    ),
    (
        "man",
        &[
            ("jhe-ow man | man -l -", "read it"),
            ("jhe-ow man --output /usr/share/man/man1", "a page for each command"),
        ],
    ),
];

/// The help of every command with its examples at the end.
pub(crate) fn add(command: Command) -> Command {
    let command = below(command, "");
    let help =
        format!("{}\n\n{EXIT_CODES}", command.get_after_help().map(ToString::to_string).unwrap_or_default());
    command.after_help(help)
}

fn below(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let command = match EXAMPLES.iter().find(|(of, _)| *of == path) {
        Some((_, examples)) => command.after_help(text(examples)),
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |one| below(one, path.trim_start()))
    })
}

fn text(examples: &[Example]) -> String {
    let mut text = if examples.len() == 1 { "Example:" } else { "Examples:" }.to_owned();
    let width =
        examples.iter().map(|(line, _)| line.len()).filter(|width| *width <= WIDEST).max().unwrap_or(0);
    for (line, what) in examples {
        // Writing to memory does not fail.
        let _ = match *what {
            "" => write!(text, "\n  {line}"),
            what if line.len() > WIDEST => write!(text, "\n  {line}\n      {what}"),
            what => write!(text, "\n  {line:<width$}  {what}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_belongs_to_a_command() {
        let whole = crate::cli::run::command();
        for (path, _) in EXAMPLES {
            let found =
                path.split_whitespace().try_fold(&whole, |command, name| command.find_subcommand(name));
            assert!(found.is_some(), "there is no command '{path}'");
        }
    }
}
