//! `jhe-ow admin`: manages the accounts that may sign in.

use std::io::{IsTerminal, Read};

use clap::Subcommand;
use serde_json::json;

use crate::app::{second_factor, session::Session, sign_in_link};
use crate::common::failure::Failure;
use crate::common::stdout::{print_json, print_line};
use crate::model::account::{Actor, Role};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::parse_name;
use crate::secrets::{password, token::Token};
use crate::store::people::account::{self, Account, LinkOrigin};
use crate::store::samples::dataset;
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
        /// The role of the account: operator in everything, another one in the study; a viewer if it is left out
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// The study, by number or name
        #[arg(long)]
        study: Option<String>,
    },
    /// Give an account a role in a study, or take it away
    Role {
        /// The name of the account
        #[arg(value_parser = parse_name)]
        name: String,
        /// The study, by number or name
        #[arg(long)]
        study: String,
        /// The role; leave it out to take the role away
        #[arg(long, value_enum)]
        role: Option<Role>,
    },
    /// Print a link that signs an account in once
    SignIn {
        /// The name of the account
        #[arg(long, default_value = "operator", value_parser = parse_name)]
        name: String,
    },
    /// Remove the second factor of an account whose holder has lost the device
    ResetSecondFactor {
        /// The name of the account
        #[arg(value_parser = parse_name)]
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
        Command::Add { name, role, study } => {
            let (now, is_operator) = (session.clock.now(), role == Some(Role::Operator));
            if let (Some(role @ (Role::Coordinator | Role::DataManager)), None) = (role, &study) {
                let message = format!("a {role} is one in a study, and none is given");
                return Err(Failure::usage(message, "give the study with --study, or leave --role out"));
            }
            if study.is_none() && !is_operator {
                eprintln!("{name} sees nothing yet: give a role in a study with `jhe-ow admin role`.");
            }
            let add = move |db: &rusqlite::Connection| {
                let id = account::insert(db, &name, is_operator, now)?;
                let detail = AuditDetail::from("account").with(id);
                let detail = if is_operator { detail.with(Role::Operator) } else { detail };
                audit::record(db, now, Actor::CommandLine, "account.add", None, detail)?;
                if let Some(study) = study {
                    let study = dataset::find_study(db, &study)?.0;
                    account::set_study_role(
                        db,
                        id,
                        study,
                        Some(role.unwrap_or(Role::Viewer)),
                        Actor::CommandLine,
                        now,
                    )?;
                }
                find_account(db, &name)
            };
            let account = store.write(add).await?;
            print_sign_in_link(session, &store, account).await?;
        }
        Command::Role { name, study, role } => {
            let now = session.clock.now();
            let set = move |db: &rusqlite::Connection| {
                let (account, study) = (find_account(db, &name)?.id, dataset::find_study(db, &study)?.0);
                account::set_study_role(db, account, study, role, Actor::CommandLine, now)
            };
            store.write(set).await?;
        }
        Command::SignIn { name } => {
            let account = store.read(move |db| find_account(db, &name)).await?;
            print_sign_in_link(session, &store, account).await?;
        }
        Command::ResetSecondFactor { name } => {
            let now = session.clock.now();
            let reset = move |db: &rusqlite::Connection| {
                let account = find_account(db, &name)?;
                second_factor::reset(db, account.id, Actor::CommandLine, now)?;
                Ok(account)
            };
            let account = store.write(reset).await?;
            print_line(format_args!(
                "{} signs in with its password alone until it sets up a second factor again; its other sign-ins have ended",
                account.name
            ))?;
        }
        Command::List { json } => {
            let read = |db: &rusqlite::Connection| {
                let with_roles = |one: Account| Ok((account::list_study_roles(db, one.id)?, one));
                account::list(db)?.into_iter().map(with_roles).collect::<Result<Vec<_>, StoreError>>()
            };
            for (roles, account) in store.read(read).await? {
                if json { print_json(&document(&account, &roles))? } else { print_line(line(&account))? }
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
    let factor = if account.has_second_factor() { "second factor" } else { "" };
    format!("{:>4}  {:<12}  {state:<15}  {factor:<13}  {}", account.id, account.role, account.name)
}

fn document(account: &Account, roles: &[(String, Role)]) -> serde_json::Value {
    let roles = roles.iter().map(|(study, role)| (study.clone(), role.as_str().into()));
    json!({
        "id": account.id.0,
        "name": account.name,
        "role": account.role.as_str(),
        "disabled": account.disabled,
        "has_password": account.has_password,
        "has_second_factor": account.has_second_factor(),
        "jhe_user": account.jhe_user,
        "studies": roles.collect::<serde_json::Map<_, _>>(),
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
                account::insert(db, &name, true, now)?;
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
