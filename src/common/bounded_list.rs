//! Bounded lists in remote answers. An entry of two bytes in JSON can take a hundred times as much memory, so
//! a body limit alone does not bound memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Start of the error about a list that is too long.
pub(crate) const TOO_MANY: &str = "a list of more than";

/// Deserializes a list of at most `MAX` entries; for serde's `deserialize_with`.
pub(crate) fn deserialize<'de, D, T, const MAX: usize>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    from.deserialize_seq(ListVisitor::<T, MAX>(PhantomData))
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == MAX {
                return Err(A::Error::custom(format!("{TOO_MANY} {MAX}")));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}
