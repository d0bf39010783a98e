//! The page that invites a list of people to a study, in three steps: the list, its check, and the links.

pub(crate) mod frame;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod sheet;
