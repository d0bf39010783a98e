//! The examples at the end of each command's help. They are one table, so that a test can run them all.

use std::fmt::Write as _;

use clap::Command;

/// The longest command line, after `jhe-ow`, that leaves room for an explanation beside it.
const MAX_LINE_WIDTH: usize = 55;

const EXIT_CODES: &str = "\
Exit codes:
  0    success, also if there was nothing to do
  1    the work could not be done; committed data stay
  2    an argument, setting or configuration value is wrong; nothing was written
  3    done, except for some patients or lines, which are listed
  130  ended at once by a second signal";

/// The examples of each command without its own help text: the words after `jhe-ow` in brackets, then the
/// command lines, each with an explanation after two spaces and `#`.
const EXAMPLES: &str = r#"
[]
jhe-ow demo  # try it out
jhe-ow serve  # run it
jhe-ow help poll  # about a command
[serve]
jhe-ow serve  # until SIGINT or SIGTERM; SIGHUP reads the configuration again
jhe-ow serve --bind 127.0.0.1:8010 --log debug
[poll]
jhe-ow poll  # one tick for all patients
jhe-ow poll --window 90d --dry-run  # what 90 days would add
jhe-ow poll --patient-id 7 --since 2026-01-01 --until 2026-02-01  # one patient's January
[observations]
jhe-ow observations | head -n 1  # one document
jhe-ow observations --patient-id 7 --since 2026-01-01 --format csv  # a table
jhe-ow observations --code omh:heart-rate:2.0 --format fhir  # as JHE gets them
jhe-ow observations --study 1 --format fhir-vitals  # for any FHIR server
[dataset]
jhe-ow dataset --study 1 --out sleep-study  # everything, as CSV
jhe-ow dataset --study 1 --out new.zip --format parquet --since 1204  # what came since commit 1204
[adherence]
jhe-ow adherence --since 2026-01-01 --until 2026-02-01  # all patients' January
jhe-ow adherence --study 1 --names  # one study, with names
[alerts]
jhe-ow alerts test
[alerts test]
jhe-ow alerts test  # sends a test message
[export]
jhe-ow export  # the waiting observations
jhe-ow export --patient-id jhe:40001 --retry-dead  # one patient's rejected observations again
[adopt]
jhe-ow adopt --dry-run  # what would be found
jhe-ow adopt --patient-id 7 --wait 10m
[patient]
jhe-ow patient list  # all patients
jhe-ow patient show 7  # link and consents of one
[patient add]
jhe-ow patient add --name "A. Patient" --tz Europe/Berlin  # prints the number
jhe-ow patient add --name Ada \
      --ow-user 009edd1e-49f6-4e35-a7b9-952f45e501e9 \
      --consent omh:heart-rate:2.0 --reason paper  # linked, and with a consent
jhe-ow patient add --jhe-patient 40001  # a patient of JHE
[patient export]
jhe-ow patient export 7 --output patient-7.zip  # everything about one patient
[patient erase]
jhe-ow patient erase 7  # asks first
jhe-ow patient erase jhe:40001 --yes  # asks nothing
[patient readmit]
jhe-ow patient readmit 7  # the person may be added again
[patient import]
jhe-ow patient import --tz Europe/Berlin
[patient match]
jhe-ow patient match  # proposals for all local patients
jhe-ow patient match 7 --jhe-patient 40001  # confirms a match
[patient list]
jhe-ow patient list  # a line each
jhe-ow patient list --study 1 --state silent  # whom to ask
jhe-ow patient list --json | jq .name  # for programs
[patient set]
jhe-ow patient set 7 --tz Europe/Berlin
[patient show]
jhe-ow patient show 7
jhe-ow patient show jhe:40001 --json  # for programs
[patient link]
jhe-ow patient link 7 --ow-user 009edd1e-49f6-4e35-a7b9-952f45e501e9
jhe-ow patient link 7 --same-person \
      --ow-user 009edd1e-49f6-4e35-a7b9-952f45e501e9  # after an earlier link
[patient unlink]
jhe-ow patient unlink 7
[patient consent]
jhe-ow patient consent 7 omh:heart-rate:2.0 --grant --reason paper  # signed on paper
jhe-ow patient consent 7 omh:heart-rate:2.0 --withdraw
[study]
jhe-ow study list  # all studies
jhe-ow study show 1  # everything about one
[study add]
jhe-ow study add "Sleep and Heart" --organization "Lifespan Lab" \
      --purpose "To learn how hearts behave at night." \
      --contact "Ada Example, ada@example.org" \
      --scope omh:heart-rate:2.0 --days 14  # prints the number
[study list]
jhe-ow study list  # a line each
jhe-ow study list --json | jq .name  # for programs
[study show]
jhe-ow study show 1
jhe-ow study show "Sleep and Heart" --json  # for programs
[study edit]
jhe-ow study edit 1 --from 2026-01-01 --until 2026-03-31  # collects for three months
jhe-ow study edit 1 --no-window  # collects without end
[study enrol]
jhe-ow study enrol 1 7 8 9
jhe-ow study enrol 1 7 --until 2026-04-30  # another last day for one
[token]
jhe-ow token add --study 1  # for a notebook
jhe-ow token list --study 1  # with their last use
[token add]
jhe-ow token add --study "Sleep and Heart" --expires 90d --name "Ada's notebook"
jhe-ow token add --study 1 --with-names  # names and addresses too
[token list]
jhe-ow token list --study 1
[token revoke]
jhe-ow token revoke --study 1 3
[invite]
jhe-ow invite --patient-id 7 --study 1  # to one study
jhe-ow invite --patient-id jhe:40001  # through JHE
jhe-ow invite --study 1 --from people.csv --mail  # a list of people
jhe-ow invite --study 1 --from people.csv --csv links.csv --sheet sheet.html
[admin]
jhe-ow admin list  # who may sign in
jhe-ow admin sign-in  # a link for the operator
[admin set-password]
jhe-ow admin set-password  # the operator's; asked for on a terminal
jhe-ow admin set-password --name ada < password.txt
[admin add]
jhe-ow admin add ada  # prints a link that signs in once
[admin role]
jhe-ow admin role ada --study "Sleep and Heart" --role coordinator
jhe-ow admin role ada --study "Sleep and Heart"  # takes the role away
[admin sign-in]
jhe-ow admin sign-in --name ada
[admin reset-second-factor]
jhe-ow admin reset-second-factor ada  # ada lost the phone
[admin list]
jhe-ow admin list  # a line each
jhe-ow admin list --json  # for programs
[audit]
jhe-ow audit list --limit 20  # the last 20
jhe-ow audit verify  # is it unchanged?
[audit list]
jhe-ow audit list --patient-id 7  # of one patient
jhe-ow audit list --json  # for programs
[audit verify]
jhe-ow audit verify  # prints a hash: write it down elsewhere
jhe-ow audit verify --noted \
      5f3a0c9be1d27846a4c55b0e9d8f71326a7be4c0d1f295836e0b4d7ac8f21953  # checks a hash from earlier
[settings]
jhe-ow settings list  # all
jhe-ow settings set module.ow true  # starts the polls
[settings list]
jhe-ow settings list
jhe-ow settings list --json  # for programs
[settings get]
jhe-ow settings get ow.poll_interval
jhe-ow settings get module.ow --json  # for programs
[settings set]
jhe-ow settings set ow.poll_interval 5m
jhe-ow settings set ow.s3.secret_access_key - < secret.txt  # stays out of the history
[settings unset]
jhe-ow settings unset ow.poll_interval
[secrets]
jhe-ow secrets rotate
[secrets rotate]
jhe-ow secrets rotate  # with the former key as JHE_OW_SECRET_KEY_PREVIOUS
[seed]
jhe-ow seed
[migrate]
jhe-ow migrate status
[migrate status]
jhe-ow migrate status
jhe-ow migrate status --json  # for programs
[backup]
jhe-ow backup /mnt/backup/jhe-ow.sqlite3  # while the daemon runs
jhe-ow backup - > jhe-ow.sqlite3  # to a pipe or a file of the shell
[restore]
jhe-ow restore /mnt/backup/jhe-ow.sqlite3  # while it is stopped
jhe-ow restore --confirm-consents  # after a restore that suspended consents
[rejected]
jhe-ow rejected list
[rejected list]
jhe-ow rejected list --patient-id 7  # of one patient
jhe-ow rejected list --limit 1000 --json  # for programs
[demo]
jhe-ow demo  # five patients
jhe-ow demo --patients 20 --bind 127.0.0.1:8010
[doctor]
jhe-ow doctor  # all findings, with remedies
jhe-ow doctor --json | jq '.[] | select(.state == "stops")'
[ready]
jhe-ow ready  # the daemon of this configuration
jhe-ow ready --url http://127.0.0.1:8002 --json  # another one, for programs
[completions]
jhe-ow completions bash > /usr/share/bash-completion/completions/jhe-ow
jhe-ow completions fish > ~/.config/fish/completions/jhe-ow.fish
[man]
jhe-ow man | man -l -  # read it
jhe-ow man --output /usr/share/man/man1  # a page for each command
"#;

/// Adds the examples to the help of every command.
pub(crate) fn add(command: Command) -> Command {
    let command = add_below(command, "");
    let help =
        format!("{}\n\n{EXIT_CODES}", command.get_after_help().map(ToString::to_string).unwrap_or_default());
    command.after_help(help)
}

fn add_below(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    let header = format!("\n[{path}]\n");
    let command = match EXAMPLES.split_once(header.as_str()) {
        Some((_, rest)) => command.after_help(render(rest.split("\n[").next().unwrap_or(rest))),
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |one| add_below(one, path.trim_start()))
    })
}

/// Aligns the explanations of a command's examples.
fn render(section: &str) -> String {
    // An example may go on in an indented line.
    let examples: Vec<(&str, &str)> = section
        .split("jhe-ow ")
        .skip(1)
        .map(|example| example.trim_end().split_once("  # ").unwrap_or((example.trim_end(), "")))
        .collect();
    let mut text = if examples.len() == 1 { "Example:" } else { "Examples:" }.to_owned();
    let lengths = examples.iter().map(|(line, _)| line.len());
    let width = lengths.filter(|length| *length <= MAX_LINE_WIDTH).max().unwrap_or(0);
    for (line, explanation) in examples {
        // Writing to memory does not fail.
        let _ = match explanation {
            "" => write!(text, "\n  jhe-ow {line}"),
            _ if line.len() > MAX_LINE_WIDTH => write!(text, "\n  jhe-ow {line}\n      {explanation}"),
            _ => write!(text, "\n  jhe-ow {line:<width$}  {explanation}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_belongs_to_a_command() {
        let root = crate::cli::run::command();
        for path in EXAMPLES.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')) {
            let found =
                path.split_whitespace().try_fold(&root, |command, name| command.find_subcommand(name));
            assert!(found.is_some(), "there is no command '{path}'");
        }
    }
}
