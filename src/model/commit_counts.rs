//! Counts of the samples of a commit, by result.

/// Samples by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitCounts {
    /// Stored as new observations.
    pub created: u64,
    /// Stored as revisions.
    pub revised: u64,
    pub unchanged: u64,
    /// Could not be converted, and were not rejected before.
    pub rejected: u64,
    /// Left out because no consent covers their time.
    pub withheld: u64,
}

impl std::ops::AddAssign for CommitCounts {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.revised += other.revised;
        self.unchanged += other.unchanged;
        self.rejected += other.rejected;
        self.withheld += other.withheld;
    }
}

/// The counts of a commit, in total and by series type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitCountsByType {
    pub total: CommitCounts,
    pub by_type: Vec<(&'static str, CommitCounts)>,
}

impl CommitCountsByType {
    pub(crate) fn add(&mut self, series_type: &'static str, counts: CommitCounts) {
        self.total += counts;
        match self.by_type.iter_mut().find(|(known, _)| *known == series_type) {
            Some((_, sum)) => *sum += counts,
            None => self.by_type.push((series_type, counts)),
        }
    }
}
