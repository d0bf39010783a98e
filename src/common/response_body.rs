//! Bodies of HTTP responses, read up to a limit.

use reqwest::Response;

/// Reads a body of at most `most` bytes; returns none for a larger one.
pub(crate) async fn read(response: &mut Response, most: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
