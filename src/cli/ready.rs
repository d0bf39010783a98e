//! `jhe-ow ready`: checks that a daemon works, for a container's health check and other callers without a
//! browser.

use std::time::Duration;

use clap::Args;

use crate::app::session::Session;
use crate::common::failure::{EXIT_FAILED, Failure, root_cause};
use crate::common::{http_client, stdout::print_line};
use crate::config::{base_url::BaseUrl, load::connect_address};

/// Below the ten seconds after which Docker and others give up a health check.
const TIMEOUT: Duration = Duration::from_secs(8);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The daemon's address [default: the address in this configuration]
    #[arg(long, value_name = "URL", value_parser = BaseUrl::parse)]
    url: Option<BaseUrl>,
    /// Print the daemon's JSON response
    #[arg(long)]
    json: bool,
}

#[derive(serde::Deserialize)]
struct ReadyzResponse {
    ready: bool,
    reasons: Vec<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let base = match &arguments.url {
        Some(url) => url.as_str().to_owned(),
        None => format!("http://{}", connect_address(session.config.bind)),
    };
    let text = fetch_readyz(&base).await.map_err(|error| {
        let message = format!("{base} does not answer: {}", root_cause(&error));
        Failure::failed(message, "start it with jhe-ow serve, or say with --bind or --url where it listens")
    })?;
    let response: ReadyzResponse = serde_json::from_str(&text).map_err(|_| {
        Failure::failed(
            format!("the program at {base} is no jhe-ow"),
            "say with --bind or --url where it listens",
        )
    })?;
    if arguments.json {
        print_line(text.trim_end())?;
    } else {
        response.reasons.iter().try_for_each(print_line)?;
        if response.ready {
            print_line("ready")?;
        }
    }
    Ok(if response.ready { 0 } else { EXIT_FAILED })
}

async fn fetch_readyz(base: &str) -> reqwest::Result<String> {
    // The daemon runs on this machine, so no proxy of the environment is used.
    let client = http_client::builder(base, TIMEOUT).no_proxy().build()?;
    client.get(format!("{base}/readyz")).send().await?.text().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_listens_everywhere_is_called_on_this_machine() {
        for (bind, asked) in [
            ("0.0.0.0:8002", "127.0.0.1:8002"),
            ("[::]:8002", "[::1]:8002"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("127.0.0.1:8002", "127.0.0.1:8002"),
        ] {
            assert_eq!(connect_address(bind.parse().unwrap()).to_string(), asked);
        }
    }
}
