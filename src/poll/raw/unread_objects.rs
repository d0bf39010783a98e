//! Counts the objects that a turn could not read, and names the first few of them in a sentence.

/// Objects that the sentence names; the patient's page shows more.
const NAMED: usize = 3;

#[derive(Debug, Default)]
pub(crate) struct UnreadObjects {
    /// Objects that will be tried again.
    pub(crate) failed: ObjectList,
    /// Objects that failed and have left the bucket since.
    pub(crate) lost: ObjectList,
}

#[derive(Debug, Default)]
pub(crate) struct ObjectList {
    count: usize,
    first: Vec<String>,
}

impl UnreadObjects {
    pub(crate) fn extend(&mut self, other: Self) {
        self.failed.extend(other.failed);
        self.lost.extend(other.lost);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.failed.count + self.lost.count == 0
    }

    pub(crate) fn sentence(&self) -> Option<String> {
        // Lost objects come first, since only this one turn reports them.
        let lost = self.lost.names().map(|names| match self.lost.count {
            1 => format!("1 object is lost: {names}"),
            count => format!("{count} objects are lost: {names}"),
        });
        let failed = self.failed.names().map(|names| match self.failed.count {
            1 => format!("1 object was not read: {names}; it is tried again, by and by less often"),
            count => {
                format!("{count} objects were not read: {names}; they are tried again, by and by less often")
            }
        });
        let sentences: Vec<String> = lost.into_iter().chain(failed).collect();
        (!sentences.is_empty()).then(|| sentences.join(". "))
    }
}

impl ObjectList {
    pub(crate) fn add(&mut self, key: &str, error: &str) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("{key}: {error}"));
        }
    }

    fn extend(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED);
    }

    fn names(&self) -> Option<String> {
        let names = self.first.join("; ");
        match (self.count, self.count - self.first.len()) {
            (0, _) => None,
            (_, 0) => Some(names),
            (_, more) => Some(format!("{names}; and {more} more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_object_is_not_said_to_be_tried_again() {
        let mut unread = UnreadObjects::default();
        assert_eq!((unread.is_empty(), unread.sentence()), (true, None));
        unread.lost.add("a", "gone");
        assert_eq!(unread.sentence().unwrap(), "1 object is lost: a: gone");
        unread.failed.add("b", "no JSON");
        let sentence = unread.sentence().unwrap();
        assert!(
            sentence.starts_with("1 object is lost: a: gone. 1 object was not read: b: no JSON; it is tried")
        );
    }

    #[test]
    fn a_sentence_names_a_few_of_many_objects() {
        let (mut unread, mut more) = (UnreadObjects::default(), UnreadObjects::default());
        for number in 0..100 {
            unread.failed.add(&number.to_string(), "x");
            more.failed.add("more", "x");
        }
        unread.extend(more);
        assert_eq!(unread.failed.first.len(), 3);
        assert!(
            unread
                .sentence()
                .unwrap()
                .starts_with("200 objects were not read: 0: x; 1: x; 2: x; and 197 more; they")
        );
    }
}
