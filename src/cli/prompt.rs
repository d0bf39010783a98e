//! Questions on the terminal.

use std::io::{BufRead, Write};

use crate::common::failure::Failure;

/// Prints a question and reads a line, on a thread of its own: reading blocks.
pub(crate) async fn ask(question: String, remedy: &'static str) -> Result<String, Failure> {
    let answer = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let mut output = std::io::stdout().lock();
        output.write_all(question.as_bytes()).and_then(|()| output.flush())?;
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = answer.await.map_err(std::io::Error::other).and_then(|line| line);
    line.map_err(|error| Failure::failed(format!("the answer cannot be read: {error}"), remedy))
}
