use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::app::session::Session;
use crate::cli::own_store::means_this_store;
use crate::cli::{
    adherence, admin, adopt, alerts, audit, backup, catalog, convert, doctor, export, help_examples, invite,
    man, observations, patient, poll, ready, rejected, seed_and_migrate, settings,
};
use crate::common::failure::Failure;
use crate::common::stdout;
use crate::config::environment::Environment;
use crate::config::flags::Flags;
use crate::daemon::run;
use crate::demo::demonstration;
use crate::telemetry::logging;

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
    Migrate(seed_and_migrate::Migrate),
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
    Demo(demonstration::Arguments),
}

/// Every command, with its help.
pub fn command() -> clap::Command {
    help_examples::add(Arguments::command())
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
    stdout::finish(std::io::Write::write_all(&mut std::io::stdout().lock(), &script))?;
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
    let logging = logging::start(&session.config)?;
    match command {
        Command::Serve => Box::pin(run::run(session, &logging)).await,
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
        Command::Seed => seed_and_migrate::seed(&session).await,
        Command::Migrate(command) => seed_and_migrate::migrate(&session, &command),
        Command::Backup(arguments) => backup::make(&session, arguments).await,
        Command::Restore(arguments) => backup::restore(&session, &arguments),
        Command::Alerts(command) => alerts::run(&session, &command).await,
        Command::Rejected(command) => rejected::run(&session, command).await,
        Command::Ready(arguments) => ready::run(&session, arguments).await,
        Command::Demo(arguments) => Box::pin(demonstration::run(session, arguments)).await,
    }
}

#[cfg(test)]
mod tests {

    use crate::cli::own_store::make_no_second_store;
    use crate::store::engine::data_directory::FILE_NAME;

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
