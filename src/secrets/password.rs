//! Passwords: argon2id, one at a time, always in the same memory.

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::common::failure::Failure;

/// The shortest password: what NIST SP 800-63B asks for where it is the only factor is 15; 12 is what
/// people in a study's office put up with.
pub const SHORTEST: usize = 12;
/// Longer ones only cost time.
const LONGEST: usize = 256;
/// Each takes some ten milliseconds of a core: a flood of sign-ins must not take the poller's.
const AT_ONCE: usize = 1;

/// Of a password that nobody knows, with argon2's default parameters.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBvdGhlciBzYWx0$JNLk9zHxrdq3nSFDWLpKhGJMiz3gRyTA4f3tYFGHV5o";

static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);
/// What is hashed in: 19 MiB, from the first sign-in on. The C library does not find room again that it has given for
/// such blocks: with memory of its own each sign-in would add as much to the daemon's.
static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());

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
    match blocking(move || hash_with(&password, &salt)).await {
        Some(hash) => hash.map_err(|error| failed(error.to_string())),
        None => Err(failed("the daemon is stopping".to_owned())),
    }
}

fn hash_with(password: &str, salt: &SaltString) -> Result<String, argon2::password_hash::Error> {
    let salt = salt.as_salt();
    let (algorithm, version, params) = (Algorithm::default(), Version::default(), Params::default());
    let output = compute(algorithm, version, params.clone(), password, salt, Params::DEFAULT_OUTPUT_LEN)?;
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Whether `password` is the one of this hash. Without a hash it takes as long and says no, so that nobody
/// learns which accounts there are.
pub async fn verify(password: String, hash: Option<String>) -> bool {
    let known = hash.is_some();
    let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
    blocking(move || is_of(&password, &hash)).await.flatten() == Some(true) && known
}

/// Whether `password` is the one of this PHC string; none where that is no hash.
fn is_of(password: &str, hash: &str) -> Option<bool> {
    let parsed = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (parsed.salt?, parsed.hash?);
    let algorithm = Algorithm::try_from(parsed.algorithm).ok()?;
    let version = Version::try_from(parsed.version?).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    let output = compute(algorithm, version, params, password, salt, expected.len()).ok()?;
    // Compared in constant time.
    Some(output == expected)
}

fn compute(
    algorithm: Algorithm,
    version: Version,
    params: Params,
    password: &str,
    salt: Salt<'_>,
    length: usize,
) -> Result<Output, argon2::password_hash::Error> {
    let (mut bytes, blocks) = ([0; Salt::MAX_LENGTH], params.block_count());
    let salt = salt.decode_b64(&mut bytes)?;
    let argon2 = Argon2::new(algorithm, version, params);
    let mut memory = MEMORY.lock();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut memory[..blocks])?)
    })
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
