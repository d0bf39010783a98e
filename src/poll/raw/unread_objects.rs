//! The objects that were not read, as far as a sentence names them: however many there are, a few are held.

/// Objects that are named in the sentence of a turn; the page of the patient shows more.
const NAMED: usize = 3;

/// What a turn has to tell of objects.
#[derive(Debug, Default)]
pub(crate) struct Told {
    failed: Named,
    lost: Named,
}

/// How many, and the first of them.
#[derive(Debug, Default)]
struct Named {
    count: usize,
    first: Vec<String>,
}

impl Told {
    /// An object could not be read.
    pub(crate) fn failed(&mut self, key: &str, why: &str) {
        self.failed.add(format!("{key}: {why}"));
    }

    /// An object could not be read, and cannot any more.
    pub(crate) fn lost(&mut self, key: &str, why: &str) {
        self.lost.add(format!("{key}: {why}"));
    }

    /// Takes over what a further read of the same turn has to tell.
    pub(crate) fn extend(&mut self, other: Self) {
        self.failed.extend(other.failed);
        self.lost.extend(other.lost);
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.failed.count + self.lost.count == 0
    }

    /// All of it, in one sentence.
    pub(crate) fn sentence(&self) -> Option<String> {
        // What is lost comes first: it is told once only.
        let lost = self.lost.list().map(|named| match self.lost.count {
            1 => format!("1 object is lost: {named}"),
            count => format!("{count} objects are lost: {named}"),
        });
        let failed = self.failed.list().map(|named| match self.failed.count {
            1 => format!("1 object was not read: {named}; it is tried again, by and by less often"),
            count => {
                format!("{count} objects were not read: {named}; they are tried again, by and by less often")
            }
        });
        let told: Vec<String> = lost.into_iter().chain(failed).collect();
        (!told.is_empty()).then(|| told.join(". "))
    }
}

impl Named {
    fn add(&mut self, what: String) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(what);
        }
    }

    fn extend(&mut self, other: Self) {
        self.count += other.count;
        let room = NAMED.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }

    fn list(&self) -> Option<String> {
        let more = self.count - self.first.len();
        let all = self.first.join("; ");
        match (self.count, more) {
            (0, _) => None,
            (_, 0) => Some(all),
            _ => Some(format!("{all}; and {more} more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_not_said_to_be_tried_again() {
        let mut told = Told::default();
        assert_eq!((told.is_empty(), told.sentence()), (true, None));
        told.lost("a", "gone");
        assert_eq!(told.sentence().unwrap(), "1 object is lost: a: gone");
        told.failed("b", "no JSON");
        let sentence = told.sentence().unwrap();
        assert!(
            sentence.starts_with("1 object is lost: a: gone. 1 object was not read: b: no JSON; it is tried")
        );
    }

    #[test]
    fn however_many_there_are_a_few_are_named() {
        let (mut told, mut more) = (Told::default(), Told::default());
        for number in 0..100 {
            told.failed(&number.to_string(), "x");
            more.failed("more", "x");
        }
        told.extend(more);
        assert_eq!(told.failed.first.len(), 3);
        assert!(
            told.sentence()
                .unwrap()
                .starts_with("200 objects were not read: 0: x; 1: x; 2: x; and 197 more; they")
        );
    }
}
