//! Checks of one-time codes and recovery codes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;
use secrecy::ExposeSecret;

use crate::app::state::App;
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Actor};
use crate::model::audit_detail::AuditDetail;
use crate::secrets::sealing::{self, SealingKey, second_factor_context};
use crate::secrets::second_factor::{CodeCheck, TotpSecret, hash_recovery_code, parse_code};
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::second_factor::{self, SealedTotp};
use crate::store::people::{known_browser, session};
use crate::store::privacy::audit;

/// The verdict on a code that a person gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeVerdict {
    Valid,
    /// A recovery code, which is used up now.
    ValidRecoveryCode,
    Used,
    Wrong,
    /// The secret was encrypted with another key than the configured one.
    Unreadable,
}

impl CodeVerdict {
    pub(crate) fn is_valid(self) -> bool {
        matches!(self, Self::Valid | Self::ValidRecoveryCode)
    }

    /// Returns the sentence for the person. It says nothing about codes of other times, which would help a guesser.
    pub(crate) fn problem(self) -> &'static str {
        match self {
            Self::Valid | Self::ValidRecoveryCode => "",
            Self::Used => "This code was used already. Wait for the next one; it comes within 30 seconds.",
            Self::Wrong => {
                "This code is not valid now. Give the one that your app shows at this moment. If it is refused again, \
                 check the clock of your phone and of this server."
            }
            Self::Unreadable => {
                "Codes cannot be checked at the moment. Use a recovery code, or ask an operator: the log says why."
            }
        }
    }
}

/// Returns the configured key for second factors; the error says what to set.
pub(crate) fn sealing_key(app: &App) -> Result<SealingKey, Failure> {
    app.live.config().secret_key.ok_or_else(|| {
        Failure::usage(
            "the secret of a second factor is stored encrypted, and no key is configured for that",
            sealing::MAKE_A_KEY,
        )
    })
}

/// Encrypts a secret for its account; `last_step` is that of the code that proved it.
pub(crate) fn seal(
    app: &App,
    account: AccountId,
    secret: &TotpSecret,
    last_step: u64,
) -> Result<SealedTotp, Failure> {
    let secret = sealing_key(app)?.seal(&second_factor_context(account), &secret.expose())?;
    Ok(SealedTotp { secret, last_step })
}

/// Encrypts the secret of a set-up in progress for the form, so that the sender cannot choose it.
pub(crate) fn seal_for_form(app: &App, account: AccountId, secret: &TotpSecret) -> Result<String, Failure> {
    Ok(URL_SAFE_NO_PAD.encode(sealing_key(app)?.seal(&set_up_context(account), &secret.expose())?))
}

/// Opens the text of [`seal_for_form`]; none if it is not one of this account's.
pub(crate) fn open_from_form(app: &App, account: AccountId, text: &str) -> Option<TotpSecret> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let opened = sealing_key(app).ok()?.open(&set_up_context(account), &sealed)?;
    TotpSecret::parse(opened.expose_secret())
}

fn set_up_context(account: AccountId) -> String {
    format!("set-up of the {}", second_factor_context(account))
}

/// Checks a one-time code or a recovery code and uses it up.
pub(crate) async fn check(
    app: &App,
    account: AccountId,
    text: &str,
    now: Timestamp,
) -> Result<CodeVerdict, StoreError> {
    let Some(code) = parse_code(text) else {
        let hash = hash_recovery_code(text);
        let is_taken =
            app.store.write(move |db| second_factor::take_recovery_code(db, account, hash)).await?;
        return Ok(if is_taken { CodeVerdict::ValidRecoveryCode } else { CodeVerdict::Wrong });
    };
    let Some(sealed) = app.store.read(move |db| second_factor::find(db, account)).await? else {
        return Ok(CodeVerdict::Wrong);
    };
    let key = app.live.config().secret_key;
    let opened = key.and_then(|key| key.open(&second_factor_context(account), &sealed.secret));
    let Some(secret) = opened.and_then(|opened| TotpSecret::parse(opened.expose_secret())) else {
        tracing::error!(
            next = "configure the key with which it was set up as JHE_OW_SECRET_KEY_PREVIOUS, or run jhe-ow admin reset-second-factor NAME",
            "the second factor of account {account} cannot be read: JHE_OW_SECRET_KEY is missing or another one"
        );
        return Ok(CodeVerdict::Unreadable);
    };
    match secret.check(&code, now, sealed.last_step) {
        // Taken in a transaction: a second request with the same code comes too late.
        CodeCheck::Valid(step) => {
            let is_taken = app.store.write(move |db| second_factor::take_step(db, account, step)).await?;
            Ok(if is_taken { CodeVerdict::Valid } else { CodeVerdict::Used })
        }
        CodeCheck::Used => Ok(CodeVerdict::Used),
        CodeCheck::Wrong => Ok(CodeVerdict::Wrong),
    }
}

/// Removes the second factor of an account whose holder has lost the device, and ends its sessions.
pub(crate) fn reset(db: &Connection, account: AccountId, who: Actor, now: Timestamp) -> StoreResult<()> {
    second_factor::remove(db, account)?;
    session::delete_others(db, account, None)?;
    known_browser::forget(db, account)?;
    audit::record(db, now, who, "second-factor.reset", None, AuditDetail::from("account").with(account))
}
