//! An authenticator app, and a daemon with a clock that tests can move.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use totp_lite::{Sha1, totp_custom};

use crate::support::harness::*;
use crate::support::running_daemon::*;
use crate::support::secrets::SEAL;

pub const SET_UP: &str = "/admin/account/second-factor";
pub const CODE: &str = "/admin/sign-in/code";
/// The period of one code.
pub const STEP: Duration = Duration::from_secs(30);

/// Starts a daemon that can store second factors and uses the world's clock.
pub fn serve(world: &World, more: &[(&str, &str)]) -> Served {
    let clock = world.clock_in_a_file();
    let own = [("JHE_OW_CLOCK", clock.as_str()), ("JHE_OW_SECRET_KEY", SEAL)];
    Served::with(world, &[&own, more].concat())
}

/// Advances the clock of the world and the daemon.
pub fn wait(world: &mut World, time: Duration) {
    world.pass(time);
    world.clock_in_a_file();
}

/// An authenticator app with the secret of one account.
pub struct Authenticator(Vec<u8>);

impl Authenticator {
    /// Reads the secret from the page, as a phone does from the QR code.
    pub fn scan(page: &Answer) -> Self {
        Self::with_secret(between(&page.body, "?secret=", "&amp;").expect("a secret in the address for apps"))
    }

    /// Decodes the base32 secret of an `otpauth` address.
    pub fn with_secret(secret: &str) -> Self {
        let digit =
            |letter| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == letter).unwrap();
        let bits = secret.bytes().map(|letter| format!("{:05b}", digit(letter))).collect::<Vec<_>>().concat();
        let bytes = bits.as_bytes().chunks_exact(8).map(|byte| std::str::from_utf8(byte).unwrap());
        Self(bytes.map(|byte| u8::from_str_radix(byte, 2).unwrap()).collect())
    }

    /// Returns the secret in the encoding of the form.
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Returns the code at a given time.
    pub fn code(&self, now: jhe_ow::common::time::Timestamp) -> String {
        totp_custom::<Sha1>(30, 6, &self.0, u64::try_from(now.micros() / 1_000_000).unwrap())
    }

    /// Sets up the second factor of the signed-in account; returns the recovery codes.
    pub fn set_up(visitor: &Visitor, world: &World) -> (Self, Vec<String>) {
        let page = visitor.get(SET_UP);
        let app = Self::scan(&page);
        let hidden = page.hidden(SET_UP);
        let mut fields: Vec<(&str, &str)> =
            hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let code = app.code(world.now);
        fields.push(("code", &code));
        let done = visitor.post(SET_UP, &fields);
        assert_eq!((done.status, done.heading()), (200, "Your recovery codes"), "{}", done.body);
        (app, done.secret().lines().map(str::to_owned).collect())
    }
}

/// Submits the password; the next page asks for the code.
pub fn give_password(visitor: &Visitor, name: &str) {
    let answer = visitor.sign_in(name, PASSWORD);
    assert_eq!((answer.status, answer.location()), (303, CODE), "{}", answer.body);
}

/// Submits the code after the password.
pub fn give_code(visitor: &Visitor, code: &str) -> Answer {
    visitor.submit(CODE, CODE, &[("code", code)])
}
