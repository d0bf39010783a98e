//! Forms with a file (`multipart/form-data`).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;

use crate::app::people_list::decode;
use crate::i18n::phrase::Phrase;
use crate::web::request::FormFields;
use crate::web::response::Refusal;

/// Parses the fields of a form; a file is one of them, decoded as text. None if the content type is another one.
pub(crate) async fn parse(content_type: &str, body: &[u8]) -> Result<Option<FormFields>, Refusal> {
    let Ok(boundary) = multer::parse_boundary(content_type) else { return Ok(None) };
    let whole = stream::iter([Ok::<_, Infallible>(Bytes::copy_from_slice(body))]);
    let mut parts = Multipart::new(whole, boundary);
    let mut fields = Vec::new();
    let broken = |_| Refusal::bad(Phrase::key("error-cut-form"));
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        fields.push((name, decode(&part.bytes().await.map_err(broken)?)));
    }
    Ok(Some(FormFields::from(fields)))
}
