//! The command line: what there is to say, and who does it.

mod adherence;
pub(crate) mod admin;
mod adopt;
mod alerts;
mod audit;
mod backup;
mod catalog;
mod convert;
mod doctor;
mod dossier;
mod erase;
mod examples;
mod export;
mod front;
mod hints;
mod invite;
mod jhe_match;
mod jhe_patient;
mod man;
mod observations;
pub(crate) mod out;
mod owed;
mod patient;
mod poll;
pub(crate) mod ready;
mod rejected;
pub(crate) mod serve;
mod settings;
pub(crate) mod signals;
mod store;
mod watchdog;

use std::path::Path;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::clock::{CLOCK_ENV, Clock};
use crate::config::{self, Config, Environment, Flags};
use crate::demo;
use crate::failure::Failure;
use crate::log;
use crate::store::{FILE_NAME, Store};
use crate::time::Timestamp;

/// Where the Debian package's service has its data.
const SERVICE_DATA: &str = "/var/lib/jhe-ow";

/// Keeps patients' wearable samples exactly once: polls Open Wearables, stores them as Open mHealth
/// observations.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    #[command(flatten)]
    Configured(Command),
    /// Convert records of OW or Oura as the daemon would: JSON lines in, JSON lines out
    #[command(after_help = convert::HELP)]
    Convert(convert::Arguments),
    /// What becomes what: OW's types, their schemas, and JHE's codes
    #[command(after_help = catalog::HELP)]
    Catalog(catalog::Arguments),
    /// Whether everything is there: each service asked as it is used, a line each, and what to do where it is not
    ///
    /// Nothing is changed, and no secret, name or measurement is printed. Exit code 1 where something stops data of
    /// somebody; warnings alone end with 0.
    Doctor(doctor::Arguments),
    /// What a shell needs to complete commands and options
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// The manual
    Man(man::Arguments),
}

/// What needs a configuration.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: poll at every interval, and serve the pages
    Serve,
    /// Run one tick, and say how it ended
    Poll(poll::Arguments),
    /// Write observations to standard output
    Observations(observations::Arguments),
    /// The days with data, by patient, study and scope
    Adherence(adherence::Arguments),
    /// Send what waits for JHE
    Export(export::Arguments),
    /// Recognise what another client has delivered to JHE, so that it is not sent again
    Adopt(adopt::Arguments),
    /// Patients, their links to OW users and their consents
    #[command(subcommand)]
    Patient(patient::Command),
    /// Invite a patient: prints the link to send
    Invite(invite::Arguments),
    /// Accounts of practitioners and operators
    #[command(subcommand)]
    Admin(admin::Command),
    /// Who did what, and whether the record of it is whole
    #[command(subcommand)]
    Audit(audit::Command),
    /// Settings that take effect at the next tick
    #[command(subcommand)]
    Settings(settings::Command),
    /// Make the codes and data sources that JHE seeds; does no harm twice
    Seed,
    /// The schema of the database
    #[command(subcommand)]
    Migrate(store::Migrate),
    /// Copy the store to a file, while the daemon runs
    Backup(backup::Backup),
    /// Put a backup in the place of the store; the daemon has to be stopped
    Restore(backup::Restore),
    /// Who is told of silent patients
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Samples that could not be converted
    #[command(subcommand)]
    Rejected(rejected::Command),
    /// Ask a daemon whether it does its work: exit code 0 where it does, 1 where not
    Ready(ready::Arguments),
    /// Try it out: a simulated OW, a few patients, and the daemon, in a directory of its own
    Demo(demo::Arguments),
}

/// Where a command finds what it works with.
pub(crate) struct Session {
    pub(crate) flags: Flags,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
}

impl Session {
    fn new(flags: Flags) -> Result<Self, Failure> {
        let environment = Environment::from_process()?;
        let config = config::load(&flags, &environment)?;
        let clock = clock(&environment)?;
        Ok(Self { flags, config, clock })
    }

    pub(crate) fn store(&self) -> Result<Store, Failure> {
        Store::open(&self.config.data_dir)
    }
}

/// Every command, with its help.
pub fn command() -> clap::Command {
    examples::add(Arguments::command())
}

impl Arguments {
    /// Reads the command line of this process; where it is wrong, or asks for help, that is said and the process ends.
    pub fn of_process() -> Self {
        // What the same definition has read, it also takes.
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "jhe-ow", &mut script);
    out::finish(std::io::Write::write_all(&mut std::io::stdout().lock(), &script))?;
    Ok(0)
}

/// Does what the command line says; answers with the exit code.
///
/// # Errors
/// What ends the command, with its own exit code.
pub async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let command = match arguments.command {
        // A filter: a configuration that is broken or missing is nothing to it.
        Asked::Convert(arguments) => return convert::run(arguments),
        Asked::Catalog(arguments) => return catalog::run(&arguments),
        Asked::Doctor(asked) => return Box::pin(doctor::run(&arguments.flags, &asked)).await,
        Asked::Completions { shell } => return completions(shell),
        Asked::Man(arguments) => return man::run(&arguments, command()),
        Asked::Configured(command) => command,
    };
    let session = Session::new(arguments.flags)?;
    if !matches!(command, Command::Ready(_) | Command::Demo(_)) {
        means_this_store(&session.flags, &Environment::from_process()?, &session.config)?;
    }
    let logging = log::start(&session.config)?;
    match command {
        Command::Serve => Box::pin(serve::run(session, &logging)).await,
        Command::Poll(arguments) => poll::run(&session, arguments).await,
        Command::Observations(arguments) => observations::run(&session, arguments).await,
        Command::Adherence(arguments) => adherence::run(&session, arguments).await,
        Command::Export(arguments) => export::run(&session, arguments).await,
        Command::Adopt(arguments) => adopt::run(&session, arguments).await,
        Command::Patient(command) => patient::run(&session, command).await,
        Command::Invite(arguments) => invite::run(&session, arguments).await,
        Command::Admin(command) => admin::run(&session, command).await,
        Command::Audit(command) => audit::run(&session, command).await,
        Command::Settings(command) => settings::run(&session, command).await,
        Command::Seed => store::seed(&session).await,
        Command::Migrate(command) => store::migrate(&session, &command),
        Command::Backup(arguments) => backup::make(&session, arguments).await,
        Command::Restore(arguments) => backup::restore(&session, &arguments),
        Command::Alerts(command) => alerts::run(&session, &command).await,
        Command::Rejected(command) => rejected::run(&session, command).await,
        Command::Ready(arguments) => ready::run(&session, arguments).await,
        Command::Demo(arguments) => Box::pin(demo::run(session, arguments)).await,
    }
}

/// Whether the store that a command would use is one that somebody meant.
fn means_this_store(flags: &Flags, environment: &Environment, config: &Config) -> Result<(), Failure> {
    let named = config::names_data_dir(flags, environment)?;
    make_no_second_store(named, &config.data_dir, Path::new(SERVICE_DATA))
}

/// Refuses to begin a store in somebody's home that nobody asked for, where a service has the real one: a password that is
/// set there lets nobody in.
fn make_no_second_store(named: bool, own: &Path, service: &Path) -> Result<(), Failure> {
    if named || own.join(FILE_NAME).exists() || service.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::usage(
        format!(
            "no data directory is named, and this machine's service has its data in {}",
            service.display()
        ),
        "sudo jhe-ow-ctl, in the place of jhe-ow, works on the service's; --data-dir names another",
    ))
}

/// The machine's clock, or the one that stands where a drill put it.
fn clock(environment: &Environment) -> Result<Clock, Failure> {
    let Some(instant) = environment.get(CLOCK_ENV) else { return Ok(Clock::System) };
    #[cfg(debug_assertions)]
    if let Some(path) = instant.strip_prefix('@') {
        return Ok(Clock::File(std::path::PathBuf::from(path).into()));
    }
    Timestamp::parse(&instant).map(Clock::fixed).map_err(|why| {
        Failure::usage(
            format!("{CLOCK_ENV} = '{instant}' is wrong: {why}"),
            "write 2026-11-21T08:00:00Z, or unset it",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_begins_no_second_store_beside_the_service_of_the_machine() {
        let directory = tempfile::tempdir().unwrap();
        let (home, service) = (directory.path().join("home"), directory.path().join("service"));
        assert_eq!(make_no_second_store(false, &home, &service), Ok(()), "there is no service");
        // As systemd leaves it: a link into what only root may look at.
        std::os::unix::fs::symlink("private/jhe-ow", &service).unwrap();
        let refused = make_no_second_store(false, &home, &service).unwrap_err();
        assert!(refused.to_string().contains("jhe-ow-ctl"), "{refused}");
        assert_eq!(make_no_second_store(true, &home, &service), Ok(()), "it was asked for");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join(FILE_NAME), "").unwrap();
        assert_eq!(make_no_second_store(false, &home, &service), Ok(()), "it is there already");
    }
}
