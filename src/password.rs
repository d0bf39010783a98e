//! Passwords: argon2id, a few at a time.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use tokio::sync::Semaphore;

use crate::failure::Failure;

/// The shortest password: what NIST SP 800-63B asks for where it is the only factor is 15; 12 is what
/// people in a study's office put up with.
pub const SHORTEST: usize = 12;
/// Longer ones only cost time.
const LONGEST: usize = 256;
/// Each takes 19 MiB and some ten milliseconds of a core: a flood of sign-ins must not take the poller's.
const AT_ONCE: usize = 2;

/// Of a password that nobody knows, with argon2's default parameters.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBvdGhlciBzYWx0$JNLk9zHxrdq3nSFDWLpKhGJMiz3gRyTA4f3tYFGHV5o";

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Whether a password may be set.
///
/// # Errors
/// A sentence that says what is asked for.
pub fn check(password: &str, account: &str) -> Result<(), String> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(format!("give at least {SHORTEST} characters; a few words in a row do well"));
    }
    if length > LONGEST {
        return Err(format!("give at most {LONGEST} characters"));
    }
    // A name of two letters is in many a good password.
    let is_telling = account.chars().count() >= 4;
    if is_telling && password.to_lowercase().contains(&account.to_lowercase()) {
        return Err("do not build it around the account's name".to_owned());
    }
    let first = password.chars().next();
    if password.chars().all(|character| Some(character) == first) {
        return Err("do not repeat a single character".to_owned());
    }
    Ok(())
}

/// The hash to keep of a password, as a PHC string.
///
/// # Errors
/// Where the system gives no randomness or no memory.
pub async fn hash(password: String) -> Result<String, Failure> {
    let failed =
        |why: String| Failure::failed(format!("the password could not be hashed: {why}"), "try again");
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| failed(error.to_string()))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| failed(error.to_string()))?;
    let hashed = blocking(move || {
        Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    match hashed.await {
        Some(hash) => hash.map_err(|error| failed(error.to_string())),
        None => Err(failed("the daemon is stopping".to_owned())),
    }
}

/// Whether `password` is the one of this hash. Without a hash it takes as long and says no, so that nobody
/// learns which accounts there are.
pub async fn verify(password: String, hash: Option<String>) -> bool {
    let known = hash.is_some();
    let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
    let verified = blocking(move || {
        let parsed = PasswordHash::new(&hash).ok()?;
        Argon2::default().verify_password(password.as_bytes(), &parsed).ok()
    });
    verified.await.flatten().is_some() && known
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _permit = PERMITS.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let kept = hash("correct horse battery".to_owned()).await.unwrap();
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        assert!(verify("correct horse battery".to_owned(), Some(kept.clone())).await);
        assert!(!verify("correct horse batterz".to_owned(), Some(kept)).await);
        assert!(PasswordHash::new(NOBODY).is_ok(), "an unknown account takes as long");
        assert!(!verify("correct horse battery".to_owned(), None).await);
    }

    #[test]
    fn weak_passwords_are_refused_with_a_reason() {
        for (password, reason) in
            [("short", "at least 12"), ("aaaaaaaaaaaaaa", "repeat"), ("my-operator-word", "account's name")]
        {
            let why = check(password, "operator").unwrap_err();
            assert!(why.contains(reason), "{why}");
        }
        assert_eq!(check("correct horse battery", "operator"), Ok(()));
        assert_eq!(check("correct horse battery", "Bo"), Ok(()));
    }
}
