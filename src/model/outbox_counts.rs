/// How many observations are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be sent.
    pub pending: i64,
    /// Waiting for consent.
    pub consent: i64,
    /// Waiting for somebody to mend something.
    pub configuration: i64,
    /// Refused.
    pub dead: i64,
}
