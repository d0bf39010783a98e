//! `jhe-ow alerts test`: sends a test message to each channel.

use clap::Subcommand;

use crate::alerts::dispatch;
use crate::app::session::Session;
use crate::common::{failure::Failure, stdout::print_line};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a test message to each configured channel, and print the result of each
    Test,
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<u8, Failure> {
    let Command::Test = command;
    let sent = dispatch::send_test(&session.config, session.clock.now()).await;
    if sent.is_empty() {
        return Err(Failure::usage(
            "no alerts are configured",
            "set alerts.webhook, or alerts.smtp_url, alerts.mail_from and alerts.mail_to, in jhe-ow.toml",
        ));
    }
    let mut failed = Vec::new();
    for (channel, sent) in sent {
        match sent {
            Ok(()) => print_line(format_args!("{}: sent", channel.as_str()))?,
            Err(why) => failed.push(format!("{}: {why}", channel.as_str())),
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Failure::failed(failed.join("; "), "check the address, the server and the password"))
}
