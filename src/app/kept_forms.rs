//! Forms that were sent after a session had ended, or before a re-authentication. They are in memory for ten minutes,
//! for one browser and one account, until the person says to send them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::account::AccountId;
use crate::secrets::token::TokenHash;

const KEPT_FOR: Duration = Duration::from_mins(10);
/// Bytes of names and values: the longest form has some thousand.
const LARGEST: usize = 16 * 1024;
/// Forms in memory: 2 MB. Only holders of an account's session can leave one.
const MAX_FORMS: usize = 128;
/// Forms of one account: nobody sends more from as many browsers in ten minutes.
const MAX_OF_ACCOUNT: usize = 4;

/// A form without its token and without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptForm {
    pub(crate) account: AccountId,
    /// The address that it goes to.
    pub(crate) path: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) sent: Timestamp,
}

/// The kept forms, by the token of the browser that sent them.
#[derive(Debug, Clone, Default)]
pub struct KeptForms(Arc<Mutex<HashMap<TokenHash, KeptForm>>>);

impl KeptForms {
    /// Keeps a form in place of an earlier one of the same browser. Returns false if it is too large.
    pub(crate) fn keep(&self, browser: TokenHash, form: KeptForm) -> bool {
        let size: usize = form.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > LARGEST {
            return false;
        }
        let mut forms = self.0.lock();
        forms.retain(|_, kept| form.sent.since(kept.sent) < KEPT_FOR);
        forms.remove(&browser);
        let is_own = |kept: &KeptForm| kept.account == form.account;
        let has_many = forms.values().filter(|kept| is_own(kept)).count() >= MAX_OF_ACCOUNT;
        if has_many || forms.len() >= MAX_FORMS {
            let replaceable = forms.iter().filter(|(_, kept)| !has_many || is_own(kept));
            let oldest = replaceable.min_by_key(|(_, kept)| kept.sent).map(|(browser, _)| *browser);
            oldest.map(|oldest| forms.remove(&oldest));
        }
        forms.insert(browser, form);
        true
    }

    /// Returns the form of a browser if this account sent it; another account's form is forgotten.
    pub(crate) fn find(&self, browser: TokenHash, account: AccountId, now: Timestamp) -> Option<KeptForm> {
        let mut forms = self.0.lock();
        let is_usable = |kept: &KeptForm| kept.account == account && now.since(kept.sent) < KEPT_FOR;
        let kept = forms.get(&browser).filter(|kept| is_usable(kept)).cloned();
        if kept.is_none() {
            forms.remove(&browser);
        }
        kept
    }

    pub(crate) fn forget(&self, browser: TokenHash) {
        self.0.lock().remove(&browser);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_takes_no_place_of_another() {
        let (forms, now) = (KeptForms::default(), Timestamp::from_micros(0));
        let browser = |number: usize| TokenHash::of(&number.to_be_bytes());
        let keep = |number: usize, account: i64| {
            let sent = now.plus(Duration::from_micros(number as u64));
            let form =
                KeptForm { account: AccountId(account), path: String::new(), fields: Vec::new(), sent };
            assert!(forms.keep(browser(number), form));
        };
        let is_kept = |number, account| forms.find(browser(number), AccountId(account), now).is_some();
        keep(0, 1);
        (1..=MAX_FORMS).for_each(|number| keep(number, 2));
        assert!(is_kept(0, 1));
        let kept: Vec<usize> = (1..=MAX_FORMS).filter(|number| is_kept(*number, 2)).collect();
        assert_eq!(kept, (MAX_FORMS - MAX_OF_ACCOUNT + 1..=MAX_FORMS).collect::<Vec<_>>());
    }
}
