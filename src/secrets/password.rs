//! Passwords, hashed with argon2id: one at a time, in memory that is reused.

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::common::failure::Failure;

/// The shortest password in characters. NIST SP 800-63B recommends 15 for a single factor; 12 is what people
/// in a study's office accept.
pub(crate) const MIN_LENGTH: usize = 12;
/// A longer password adds no security and costs time.
const MAX_LENGTH: usize = 256;
/// The least strength that zxcvbn estimates: some hundred million guesses.
const MIN_SCORE: zxcvbn::Score = zxcvbn::Score::Three;
/// The program's name, which everybody knows who sees the page.
const OWN_NAME: &str = "jhe-ow";
/// A hash takes some ten milliseconds of a core: a flood of sign-ins must not take the poller's core.
const CONCURRENT_HASHES: usize = 1;

/// The hash of an unknown password, with argon2's default parameters.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBvdGhlciBzYWx0$JNLk9zHxrdq3nSFDWLpKhGJMiz3gRyTA4f3tYFGHV5o";

static PERMITS: Semaphore = Semaphore::const_new(CONCURRENT_HASHES);
/// The working memory of a hash: 19 MiB, allocated at the first sign-in. The C library does not reuse freed
/// blocks of this size, so a new allocation per sign-in would grow the daemon.
static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Refuses a weak password, with a sentence that says what to give instead.
pub(crate) fn check_strength(password: &str, account: &str) -> Result<(), String> {
    let length = password.chars().count();
    if length < MIN_LENGTH {
        return Err(format!("give at least {MIN_LENGTH} characters; a few words in a row do well"));
    }
    if length > MAX_LENGTH {
        return Err(format!("give at most {MAX_LENGTH} characters"));
    }
    // A name of two or three letters occurs in many good passwords.
    let account = if account.chars().count() >= 4 { account } else { OWN_NAME };
    let is_in_it = |word: &str| password.to_lowercase().contains(&word.to_lowercase());
    if is_in_it(account) || is_in_it(OWN_NAME) {
        return Err(format!("do not build it around the account's name or {OWN_NAME}"));
    }
    let estimate = zxcvbn::zxcvbn(password, &[account, OWN_NAME]);
    if estimate.score() >= MIN_SCORE {
        return Ok(());
    }
    let warning = estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning);
    let warning = warning
        .map_or_else(String::new, |warning| format!(". {}", warning.to_string().trim_end_matches('.')));
    Err(format!("it is easy to guess{warning}. A few words in a row that do not belong together do well"))
}

/// Returns the hash of a password as a PHC string.
pub(crate) async fn hash(password: String) -> Result<String, Failure> {
    let failed =
        |why: String| Failure::failed(format!("the password could not be hashed: {why}"), "try again");
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| failed(error.to_string()))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| failed(error.to_string()))?;
    match run_blocking(move || hash_with(&password, &salt)).await {
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

/// Checks a password against a hash. Without a hash, takes as long and returns false, so that the time does
/// not tell which accounts exist.
pub(crate) async fn verify(password: String, hash: Option<String>) -> bool {
    let has_hash = hash.is_some();
    let hash = hash.unwrap_or_else(|| DUMMY_HASH.to_owned());
    run_blocking(move || matches_hash(&password, &hash)).await.flatten() == Some(true) && has_hash
}

/// Checks a password against a PHC string; none if the string is no hash.
fn matches_hash(password: &str, hash: &str) -> Option<bool> {
    let parsed = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (parsed.salt?, parsed.hash?);
    let algorithm = Algorithm::try_from(parsed.algorithm).ok()?;
    let version = Version::try_from(parsed.version?).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    let output = compute(algorithm, version, params, password, salt, expected.len()).ok()?;
    // `Output` compares in constant time.
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

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _permit = PERMITS.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_matches_its_hash() {
        let stored = hash("correct horse battery".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        assert!(verify("correct horse battery".to_owned(), Some(stored.clone())).await);
        assert!(!verify("correct horse batterz".to_owned(), Some(stored)).await);
        assert!(PasswordHash::new(DUMMY_HASH).is_ok(), "a check of an unknown account takes as long");
        assert!(!verify("correct horse battery".to_owned(), None).await);
    }

    #[test]
    fn weak_passwords_are_refused_with_a_reason() {
        for (password, reason) in [
            ("short", "at least 12"),
            ("aaaaaaaaaaaaaa", "Repeats like"),
            ("password1234", "easy to guess"),
            ("qwertyuiop123456", "easy to guess"),
            ("my-operator-word", "account's name"),
            ("jhe-ow-jhe-ow1", "or jhe-ow"),
        ] {
            let why = check_strength(password, "operator").unwrap_err();
            assert!(why.contains(reason), "{why}");
        }
        assert_eq!(check_strength("correct horse battery", "operator"), Ok(()));
        assert_eq!(check_strength("correct horse battery", "Bo"), Ok(()));
    }
}
