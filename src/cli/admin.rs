//! `jhe-ow admin`: who may sign in.

use std::io::{IsTerminal, Read};

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::app::sign_in_link;
use crate::common::failure::Failure;
use crate::common::stdout::{say, say_json};
use crate::model::account::{Actor, Role};
use crate::model::patient::parse_name;
use crate::secrets::password;
use crate::secrets::token::Token;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::account;
use crate::store::people::account::{Account, LinkOrigin};
use crate::store::privacy::audit;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set an account's password: asked for on a terminal, else the first line of standard input
    SetPassword {
        /// The account; `operator` is made where it is not there
        #[arg(long, default_value = "operator", value_parser = parse_name)]
        name: String,
    },
    /// Make an account, and a link that signs it in once
    Add {
        /// The name to sign in with
        #[arg(value_parser = parse_name)]
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
    },
    /// A link that signs an account in once
    SignIn {
        /// The account
        #[arg(long, default_value = "operator", value_parser = parse_name)]
        name: String,
    },
    /// Every account
    List {
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    let store = session.store()?;
    match command {
        Command::SetPassword { name } => set_password(session, &store, name).await?,
        Command::Add { name, role } => {
            let now = session.clock.now();
            let add = move |db: &rusqlite::Connection| {
                let id = account::add(db, &name, role, now)?;
                audit::record(
                    db,
                    now,
                    Actor::CommandLine,
                    "account.add",
                    None,
                    &format!("account {id} {role}"),
                )?;
                required(db, &name)
            };
            let account = store.write(add).await?;
            say_link(session, &store, account).await?;
        }
        Command::SignIn { name } => {
            let account = store.read(move |db| required(db, &name)).await?;
            say_link(session, &store, account).await?;
        }
        Command::List { json } => {
            for one in store.read(account::list).await? {
                if json { say_json(&document(&one))? } else { say(line(&one))? }
            }
        }
    }
    Ok(0)
}

fn line(one: &Account) -> String {
    let state = match (one.disabled, one.has_password) {
        (true, _) => "may not sign in",
        (false, _) if one.is_of_jhe() => "through JHE",
        (false, true) => "has a password",
        (false, false) => "no password yet",
    };
    format!("{:>4}  {:<8}  {state:<15}  {}", one.id, one.role, one.name)
}

fn document(one: &Account) -> serde_json::Value {
    json!({
        "id": one.id.0,
        "name": one.name,
        "role": one.role.as_str(),
        "disabled": one.disabled,
        "has_password": one.has_password,
        "jhe_user": one.jhe_user,
    })
}

fn required(db: &rusqlite::Connection, name: &str) -> Result<Account, StoreError> {
    account::find_name(db, name)?.ok_or_else(|| {
        StoreError::Refused(format!("there is no account '{name}'; `jhe-ow admin list` shows all"))
    })
}

async fn set_password(session: &Session, store: &Store, name: String) -> Result<(), Failure> {
    let given = read_password(&name)?;
    password::check(&given, &name)
        .map_err(|why| Failure::usage("this cannot be the password".to_owned(), why))?;
    let hash = password::hash(given).await?;
    let now = session.clock.now();
    let write = move |db: &rusqlite::Connection| {
        let account = match account::find_name(db, &name)? {
            None if name == account::FIRST => {
                account::add(db, &name, Role::Operator, now)?;
                required(db, &name)?
            }
            _ => required(db, &name)?,
        };
        account::set_password(db, account.id, &hash, None)?;
        let detail = format!("account {}", account.id);
        audit::record(db, now, Actor::CommandLine, "password.set", None, &detail)?;
        Ok(account)
    };
    let account = store.write(write).await?;
    say(format_args!(
        "{} ({}) can sign in with the new password; other sign-ins of it have ended",
        account.name, account.role
    ))
}

/// Twice from a terminal, without an echo; once from a pipe.
fn read_password(name: &str) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!("no password could be read: {error}"), "type it, or give it on standard input")
    };
    if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password(format!("New password of {name}: ")).map_err(unreadable)?;
        let again = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
        if first != again {
            return Err(Failure::usage(
                "the two passwords differ",
                "run the command again; nothing was changed",
            ));
        }
        return Ok(first);
    }
    let mut given = String::new();
    std::io::stdin().read_to_string(&mut given).map_err(unreadable)?;
    Ok(given.lines().next().unwrap_or_default().to_owned())
}

async fn say_link(session: &Session, store: &Store, account: Account) -> Result<(), Failure> {
    let token = Token::draw()?;
    let (hash, now) = (token.hash(), session.clock.now());
    let keep = move |db: &rusqlite::Connection| {
        account::keep_link(db, account.id, hash, LinkOrigin::Person, now.plus(sign_in_link::LINK_AGE))?;
        let detail = format!("account {}", account.id);
        audit::record(db, now, Actor::CommandLine, "account.link", None, &detail)
    };
    store.write(keep).await?;
    say(sign_in_link::sign_in_link(&session.config.public_base(), &token))?;
    if session.config.public_url.is_none() {
        eprintln!("If the daemon listens elsewhere, give the same --bind here, or set JHE_OW_PUBLIC_URL.");
    }
    Ok(())
}
