//! `jhe-ow alerts`: whether they arrive.

use clap::Subcommand;

use crate::alerts::dispatch;
use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::say;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a test message to everything that is configured; says how each went
    Test,
}

pub(crate) async fn run(session: &Session, command: &Command) -> Result<u8, Failure> {
    let Command::Test = command;
    let sent = dispatch::test(&session.config, session.clock.now()).await;
    if sent.is_empty() {
        return Err(Failure::usage(
            "no alerts are configured",
            "set alerts.webhook, or alerts.smtp_url, alerts.mail_from and alerts.mail_to, in jhe-ow.toml",
        ));
    }
    let mut failed = Vec::new();
    for (channel, sent) in sent {
        match sent {
            Ok(()) => say(format_args!("{}: sent", channel.as_str()))?,
            Err(why) => failed.push(format!("{}: {why}", channel.as_str())),
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Failure::failed(failed.join("; "), "see that the address, the server and the password are right"))
}
