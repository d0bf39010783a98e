//! The command line explains itself: examples, completions, a manual, and JSON for programs.

use std::process::{Command, Stdio};

use clap::Command as Definition;

use crate::support::command_lines::{understand, words};
use crate::support::harness::*;
use crate::support::running_daemon::Served;

/// Every reading command with its arguments; `ready` and `patient match` are interactive.
const READING: &[&str] = &[
    "admin list",
    "audit list",
    "audit verify",
    "catalog",
    "migrate status",
    "patient list",
    "patient show 1",
    "rejected list",
    "settings list",
    "study list",
    "study show 1",
    "token list --study 1",
];

/// Calls `seen` with each public command and its path.
fn each(definition: &Definition, path: &str, seen: &mut impl FnMut(&str, &Definition)) {
    seen(path, definition);
    for one in definition.get_subcommands() {
        each(one, format!("{path} {}", one.get_name()).trim_start(), seen);
    }
}

#[test]
fn the_help_of_every_command_has_an_example_that_is_understood() {
    each(&jhe_ow::cli::run::command(), "", &mut |path, definition| {
        let help = definition.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = format!("  jhe-ow {path}");
        assert!(help.contains("Example") && help.contains(&own), "jhe-ow {path} has no example:\n{help}");
        for line in help.replace(" \\\n     ", "").lines().filter(|line| line.starts_with("  jhe-ow")) {
            // The explanation of an example follows two or more spaces; other programs follow a pipe.
            let typed = line.trim().split("  ").next().unwrap();
            let typed = typed.split([';', '|', '>', '<']).next().unwrap();
            assert_eq!(understand(&words(typed)), Ok(()), "{typed}");
        }
    });
}

#[test]
fn help_and_manual_say_what_each_exit_code_means() {
    let world = World::bare();
    let help = world.run(&["--help"]).stdout;
    let manual = world.run(&["man"]).stdout;
    for text in [help, manual] {
        assert!(text.contains("Exit codes") || text.contains(".SH \"EXIT STATUS\""), "{text}");
        for (code, meaning) in [(1, "could not be done"), (2, "nothing was written"), (3, "except for some")]
        {
            let says = |line: &str| line.trim().starts_with(&code.to_string()) && line.contains(meaning);
            assert!(text.lines().any(says), "exit code {code} is not explained in {text}");
        }
    }
}

#[test]
fn completions_know_every_command_in_each_shell() {
    let world = World::bare();
    for shell in ["bash", "zsh", "fish"] {
        let ran = world.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        each(&jhe_ow::cli::run::command(), "", &mut |_, definition| {
            assert!(ran.stdout.contains(definition.get_name()), "{shell}: {}", definition.get_name());
        });
        let script = world.directory.path().join(shell);
        std::fs::write(&script, ran.stdout).unwrap();
        match Command::new(shell).arg("-n").arg(&script).output() {
            Ok(read) => assert!(read.status.success(), "{read:?}"),
            Err(_) => eprintln!("{shell} is not here to read its completions"),
        }
    }
    assert_eq!(world.run(&["completions", "tcsh"]).code, 2);
    assert!(!world.data_dir().exists(), "the command must not create a store");
}

#[test]
fn every_command_has_a_page_in_the_manual() {
    let world = World::bare();
    let pages = world.directory.path().join("pages");
    std::fs::create_dir(&pages).unwrap();
    let written = world.run(&["man", "--output", pages.to_str().unwrap()]);
    assert_eq!((written.code, written.stdout.as_str()), (0, ""), "{written:?}");
    let mut count = 0;
    each(&jhe_ow::cli::run::command(), "", &mut |path, _| {
        let name = format!("jhe-ow {path}").trim().replace(' ', "-");
        let page =
            std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_else(|_| panic!("{name}"));
        assert!(page.contains(".SH EXAMPLES") && page.contains(".TH"), "{name}: {page}");
        let words: Vec<&str> = path.split_whitespace().collect();
        assert_eq!(world.run(&[&["man"], words.as_slice()].concat()).stdout, page);
        count += 1;
    });
    assert_eq!(names(&pages).len(), count);
    let nobody = world.run(&["man", "patient", "nobody"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("there is no command 'nobody'"), "{nobody:?}");
    let shown =
        Command::new("man").args(["--warnings", "-Tutf8", "-l"]).arg(pages.join("jhe-ow-poll.1")).output();
    match shown {
        Ok(shown) => assert!(shown.status.success() && shown.stderr.is_empty(), "{shown:?}"),
        Err(_) => eprintln!("man is not here to show a page"),
    }
}

#[test]
fn every_command_that_reads_speaks_json_to_programs() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put_verbatim(&user, world.now.minus(HOUR), r#"{"timestamp":"noon","value":60.0}"#);
    world.created();
    assert_eq!(world.run(&["admin", "add", "ada"]).code, 0);
    let add = ["study", "add", "Sleep", "--organization", "Lab", "--purpose", "Why", "--contact", "Ada"];
    assert_eq!(world.run(&[&add[..], &["--scope", HEART_RATE]].concat()).code, 0);
    assert_eq!(world.run(&["token", "add", "--study", "1"]).code, 0);
    for &typed in READING {
        let words: Vec<&str> = typed.split(' ').chain(["--json"]).collect();
        let ran = world.run(&words);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{typed}");
        let documents: Vec<serde_json::Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .collect();
        let people = world.run(&words[..words.len() - 1]).stdout;
        assert!(
            !documents.is_empty() && documents.iter().all(serde_json::Value::is_object),
            "{typed}: {people}"
        );
    }
    let shown: serde_json::Value =
        serde_json::from_str(&world.run(&["patient", "show", "1", "--json"]).stdout).unwrap();
    assert_eq!(shown["link"]["ow_user"], format!("ow:{user}"));
    assert_eq!(shown["consents"][0]["code"], HEART_RATE);
    let setting = world.run(&["settings", "get", "module.ow", "--json"]).stdout;
    let setting: serde_json::Value = serde_json::from_str(&setting).unwrap();
    assert_eq!((setting["value"].as_str(), setting["set"].as_bool()), (Some("true"), Some(true)));
    each(&jhe_ow::cli::run::command(), "", &mut |path, definition| {
        let takes_json = definition.get_arguments().any(|one| one.get_id() == "json");
        let name = path.split(' ').next_back().unwrap();
        let reads = ["list", "show", "get", "status", "verify", "match", "catalog", "ready", "doctor"]
            .contains(&name);
        // `export --json` reports what is pending.
        assert_eq!(takes_json, reads || path == "export", "jhe-ow {path}");
        let elsewhere = ["settings get", "patient match", "ready", "doctor"].contains(&path);
        assert!(
            !reads || elsewhere || READING.iter().any(|typed| typed.starts_with(path)),
            "{path} is not tested"
        );
    });
}

#[test]
fn json_output_shows_no_secret() {
    let mut world = World::new();
    world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    world.setting("ow.s3.secret_access_key", "hunter2hunter2");
    for words in
        [&["settings", "list", "--json"][..], &["settings", "get", "ow.s3.secret_access_key", "--json"]]
    {
        let said = world.run(words).stdout;
        assert!(said.contains("(set)") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn colour_and_progress_are_for_terminals_only() {
    let mut world = World::new();
    world.set("JHE_OW_LOG_FORMAT", "pretty");
    let (user, _) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY * 20), world.now, HOUR, 1);
    for words in [&["--help"][..], &["poll", "--window", "30d"], &["nonsense"], &["--log", "debug", "poll"]] {
        let ran = world.run(words);
        let said = ran.stdout + &ran.stderr;
        assert!(
            !said.is_empty() && !said.contains('\u{1b}') && !said.contains("slices "),
            "{words:?}: {said}"
        );
    }
    let binary = env!("CARGO_BIN_EXE_jhe-ow");
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{binary} poll --window 31d"), "/dev/null"]);
    let here = world.command(&[]);
    terminal.env_clear().envs(here.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").stdin(Stdio::null());
    match terminal.output() {
        Ok(shown) => assert!(String::from_utf8_lossy(&shown.stdout).contains('\u{1b}'), "{shown:?}"),
        Err(_) => eprintln!("script is not here to be a terminal"),
    }
}

#[test]
fn ready_asks_the_daemon_and_prints_why_it_is_not_ready() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    world.set("JHE_OW_BIND", "0.0.0.0:1");
    let ran = world.run(&["ready"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("http://127.0.0.1:1 does not answer"), "{ran:?}");
    world.setting("ow.poll_interval", "1s");
    let (user, _) = world.patient();
    let clock = world.clock_in_a_file();
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &clock)]);
    let (bind, url) = (format!("127.0.0.1:{}", served.port), served.url());
    until("the daemon is ready", || world.run(&["ready", "--bind", &bind]).code == 0);
    assert_eq!(world.run(&["ready", "--bind", &bind]).stdout, "ready\n");
    let json = world.run(&["ready", "--url", &url, "--json"]).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["ready"], true);
    world.sim.set_fault(&user, Some(jhe_ow::simulator::fault::Fault::Hang));
    world.sim.forget_requests();
    until("a tick hangs", || world.pages_of(&user) > 0);
    world.pass(HOUR);
    world.clock_in_a_file();
    until("the tick is overdue", || world.run(&["ready", "--url", &url]).code == 1);
    let ran = world.run(&["ready", "--url", &url]);
    assert!(ran.stdout.contains("the last tick ended"), "{ran:?}");
    let wrong = world.run(&["ready", "--url", &world.sim.url()]);
    assert!(wrong.code == 1 && wrong.stderr.contains("is no jhe-ow"), "{wrong:?}");
    served.stop("TERM");
}
