//! The sheet to print: a card for each person with a QR code, the study number, the language and the end of the link. No
//! names: cards lie about.

use maud::{DOCTYPE, Markup, html};

use crate::app::people_list::InvitationLink;
use crate::common::time::time_zone_or_utc;
use crate::i18n::texts::Texts;
use crate::model::study::Terms;
use crate::web::qr;

/// Renders a page of its own. `head` brings the styles: a link, or the styles themselves in a file.
pub(crate) fn render(terms: &Terms, links: &[InvitationLink], head: &Markup) -> Markup {
    let zone = time_zone_or_utc(&terms.time_zone);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Invitations · " (terms.name) }
                (head)
            }
            body.sheet {
                main {
                    h1 { "Invitations to " (terms.name) }
                    p.fine { "Print this page, and cut it into cards. Each link opens the pages of one person." }
                    ul.people { @for one in links { li {
                        (qr::render(&one.link, &format!("QR code of the link for {}", one.number)))
                        div {
                            h2 { (one.number) }
                            p lang=(one.language) { (Texts::of(one.language).own_name()) }
                            p lang=(one.language) { "→ " (Texts::of(one.language).date(&zone, one.expires)) }
                        }
                    } } }
                }
            }
        }
    }
}
