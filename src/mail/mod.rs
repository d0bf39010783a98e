//! Mail: the connection to the mail server, and the mails to patients.

pub(crate) mod outbox;
pub(crate) mod reminders;
pub(crate) mod smtp;
pub(crate) mod texts;
