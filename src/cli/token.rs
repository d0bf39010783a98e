//! `jhe-ow token`: makes, lists and revokes the tokens with which a program reads a study.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::read_token::{self, ReadToken};
use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::{print_json, print_line};
use crate::common::time::{Timestamp, parse_duration};
use crate::model::account::Actor;
use crate::model::patient::parse_name;
use crate::store::people::api_token;
use crate::store::samples::dataset;

const ACTOR: Actor = Actor::CommandLine;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token for reading a study, and print it; it is shown only now
    Add(TokenArguments),
    /// List the tokens of a study
    List {
        /// The study, by number or name
        #[arg(long)]
        study: String,
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token
    Revoke {
        /// The study, by number or name
        #[arg(long)]
        study: String,
        /// The token's number, as the list shows it
        token: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    /// The study, by number or name
    #[arg(long)]
    study: String,
    /// The program or person that it is for
    #[arg(long, value_parser = parse_name, default_value = "notebook")]
    name: String,
    /// The time for which it works, such as 90d; at most 366d
    #[arg(long, value_name = "TIME", value_parser = parse_life, default_value = "90d")]
    expires: Duration,
    /// Show names and mail addresses too; without it, participants have their study numbers alone
    #[arg(long)]
    with_names: bool,
}

fn parse_life(text: &str) -> Result<Duration, String> {
    let life = parse_duration(text)?;
    if life.is_zero() || life > read_token::LONGEST_LIFE {
        return Err("give a time of at most 366d".to_owned());
    }
    Ok(life)
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    match command {
        Command::Add(TokenArguments { study, name, expires, with_names }) => {
            let (study, _) = store.read(move |db| dataset::find_study(db, &study)).await?;
            let wanted = ReadToken { study, name, life: expires, shows_names: with_names };
            let (token, _) = read_token::make(&store, wanted, ACTOR, now).await?;
            print_line(token.expose())?;
        }
        Command::List { study, json } => {
            let find = move |db: &_| api_token::list_of_study(db, dataset::find_study(db, &study)?.0);
            for token in store.read(find).await? {
                let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
                if json {
                    print_json(&json!({
                        "token": token.id, "name": token.name, "created": text(Some(token.created)),
                        "expires": text(token.expires), "last_used": text(token.last_used),
                        "revoked": text(token.revoked), "shows_names": token.shows_names,
                    }))?;
                } else {
                    let state = match (token.revoked, token.expires) {
                        (Some(at), _) => format!("revoked {at}"),
                        (None, Some(at)) => format!("expires {at}"),
                        (None, None) => "does not expire".to_owned(),
                    };
                    let used =
                        text(token.last_used).map_or("never used".to_owned(), |at| format!("last used {at}"));
                    let names = if token.shows_names { "with names" } else { "without names" };
                    print_line(format_args!("{}  {}, {state}, {used}, {names}", token.id, token.name))?;
                }
            }
        }
        Command::Revoke { study, token } => {
            let write = move |db: &_| {
                let (study, _) = dataset::find_study(db, &study)?;
                read_token::revoke(db, study, token, ACTOR, now)
            };
            if !store.write(write).await? {
                let text = format!("the study has no token {token} that works");
                return Err(Failure::usage(text, "see `jhe-ow token list --study …`"));
            }
        }
    }
    Ok(0)
}
