//! `jhe-ow admin`: manages the accounts that may sign in.

use std::io::{IsTerminal, Read};

use clap::Subcommand;
use serde_json::json;

use crate::app::{session::Session, sign_in_link};
use crate::common::failure::Failure;
use crate::common::stdout::{print_json, print_line};
use crate::model::account::{Actor, Role};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::parse_name;
use crate::secrets::{password, token::Token};
use crate::store::people::account::{self, Account, LinkOrigin};
use crate::store::{engine::store::Store, error::StoreError, privacy::audit};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set an account's password: read from the terminal, or from the first line of standard input
    SetPassword {
        /// The account; `operator` is created if it does not exist
        #[arg(long, default_value = "operator", value_parser = parse_name)]
        name: String,
    },
    /// Create an account, and print a link that signs it in once
    Add {
        /// The name to sign in with
        #[arg(value_parser = parse_name)]
        name: String,
        /// The role of the account
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
    },
    /// Print a link that signs an account in once
    SignIn {
        /// The name of the account
        #[arg(long, default_value = "operator", value_parser = parse_name)]
        name: String,
    },
    /// List all accounts
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
                let id = account::insert(db, &name, role, now)?;
                let detail = AuditDetail::from("account").with(id).with(role);
                audit::record(db, now, Actor::CommandLine, "account.add", None, detail)?;
                find_account(db, &name)
            };
            let account = store.write(add).await?;
            print_sign_in_link(session, &store, account).await?;
        }
        Command::SignIn { name } => {
            let account = store.read(move |db| find_account(db, &name)).await?;
            print_sign_in_link(session, &store, account).await?;
        }
        Command::List { json } => {
            for account in store.read(account::list).await? {
                if json { print_json(&document(&account))? } else { print_line(line(&account))? }
            }
        }
    }
    Ok(0)
}

fn line(account: &Account) -> String {
    let state = match (account.disabled, account.has_password) {
        (true, _) => "may not sign in",
        (false, _) if account.is_of_jhe() => "through JHE",
        (false, true) => "has a password",
        (false, false) => "no password yet",
    };
    format!("{:>4}  {:<8}  {state:<15}  {}", account.id, account.role, account.name)
}

fn document(account: &Account) -> serde_json::Value {
    json!({
        "id": account.id.0,
        "name": account.name,
        "role": account.role.as_str(),
        "disabled": account.disabled,
        "has_password": account.has_password,
        "jhe_user": account.jhe_user,
    })
}

fn find_account(db: &rusqlite::Connection, name: &str) -> Result<Account, StoreError> {
    account::find_by_name(db, name)?.ok_or_else(|| {
        StoreError::Refused(format!("there is no account '{name}'; `jhe-ow admin list` shows all"))
    })
}

async fn set_password(session: &Session, store: &Store, name: String) -> Result<(), Failure> {
    let given = read_password(&name)?;
    password::check_strength(&given, &name)
        .map_err(|why| Failure::usage("this cannot be the password".to_owned(), why))?;
    let hash = password::hash(given).await?;
    let now = session.clock.now();
    let write = move |db: &rusqlite::Connection| {
        let account = match account::find_by_name(db, &name)? {
            None if name == account::FIRST_OPERATOR_NAME => {
                account::insert(db, &name, Role::Operator, now)?;
                find_account(db, &name)?
            }
            _ => find_account(db, &name)?,
        };
        account::set_password(db, account.id, &hash, None)?;
        let detail = AuditDetail::from("account").with(account.id);
        audit::record(db, now, Actor::CommandLine, "password.set", None, detail)?;
        Ok(account)
    };
    let account = store.write(write).await?;
    print_line(format_args!(
        "{} ({}) can sign in with the new password; other sign-ins of it have ended",
        account.name, account.role
    ))
}

/// Reads a password: twice from a terminal, without an echo; once from a pipe.
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

async fn print_sign_in_link(session: &Session, store: &Store, account: Account) -> Result<(), Failure> {
    let token = Token::generate()?;
    let (hash, now) = (token.hash(), session.clock.now());
    let write = move |db: &rusqlite::Connection| {
        account::insert_sign_in_link(
            db,
            account.id,
            hash,
            LinkOrigin::Person,
            now.plus(sign_in_link::LINK_LIFETIME),
        )?;
        let detail = AuditDetail::from("account").with(account.id);
        audit::record(db, now, Actor::CommandLine, "account.link", None, detail)
    };
    store.write(write).await?;
    print_line(sign_in_link::sign_in_url(&session.config.public_base(), &token))?;
    if session.config.public_url.is_none() {
        eprintln!("If the daemon listens elsewhere, give the same --bind here, or set JHE_OW_PUBLIC_URL.");
    }
    Ok(())
}
