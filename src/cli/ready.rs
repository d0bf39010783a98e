//! `jhe-ow ready`: asks a daemon whether it does its work, for whoever has to know and has no browser (the health
//! check of a container).

use std::time::Duration;

use clap::Args;

use crate::app::session::Session;
use crate::common::failure::{EXIT_FAILED, Failure, deepest_cause};
use crate::common::stdout::say;
use crate::config::base_url::BaseUrl;
use crate::config::reachable::reachable;

/// How long the answer may take: less than the ten seconds after which others give up a check.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Ask the daemon there; without it, the one that listens where this configuration says
    #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
    url: Option<BaseUrl>,
    /// Print the daemon's answer as it is, in JSON
    #[arg(long)]
    json: bool,
}

/// What /readyz answers.
#[derive(serde::Deserialize)]
struct Answer {
    ready: bool,
    reasons: Vec<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let base = match &arguments.url {
        Some(url) => url.as_str().to_owned(),
        None => format!("http://{}", reachable(session.config.bind)),
    };
    let text = ask(&base).await.map_err(|error| {
        let what = format!("{base} does not answer: {}", deepest_cause(&error));
        Failure::failed(what, "start it with jhe-ow serve, or say with --bind or --url where it listens")
    })?;
    let answer: Answer = serde_json::from_str(&text).map_err(|_| {
        Failure::failed(
            format!("what answers at {base} is no jhe-ow"),
            "say with --bind or --url where it listens",
        )
    })?;
    if arguments.json {
        say(&text)?;
    } else {
        answer.reasons.iter().try_for_each(say)?;
        if answer.ready {
            say("ready")?;
        }
    }
    Ok(if answer.ready { 0 } else { EXIT_FAILED })
}

async fn ask(base: &str) -> reqwest::Result<String> {
    // A proxy of the environment is for others, and no redirect leads to ourselves.
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    client.get(format!("{base}/readyz")).send().await?.text().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_this_machine() {
        for (bind, asked) in [
            ("0.0.0.0:8002", "127.0.0.1:8002"),
            ("[::]:8002", "[::1]:8002"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("127.0.0.1:8002", "127.0.0.1:8002"),
        ] {
            assert_eq!(reachable(bind.parse().unwrap()).to_string(), asked);
        }
    }
}
