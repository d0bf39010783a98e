//! What a commit came to. Pure.

/// What became of the samples of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Kept as new observations.
    pub created: u64,
    /// Kept as revisions of observations.
    pub revised: u64,
    /// Known already.
    pub unchanged: u64,
    /// Could not be converted, and had not been met before.
    pub rejected: u64,
    /// Left out, since consent does not cover their time.
    pub withheld: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.revised += other.revised;
        self.unchanged += other.unchanged;
        self.rejected += other.rejected;
        self.withheld += other.withheld;
    }
}

/// What a commit kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// Of everything.
    pub tally: Tally,
    /// Of each series type.
    pub by_type: Vec<(&'static str, Tally)>,
}

impl Committed {
    pub(crate) fn add(&mut self, series_type: &'static str, tally: Tally) {
        self.tally += tally;
        match self.by_type.iter_mut().find(|(known, _)| *known == series_type) {
            Some((_, sum)) => *sum += tally,
            None => self.by_type.push((series_type, tally)),
        }
    }
}
