//! The options of a list of time zones. The list works without script.

use std::sync::LazyLock;

use maud::{Markup, html};

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::i18n::texts::Texts;
use crate::model::time_zones;
use crate::web::layout::format_local;

/// All time zones by area: 15 kilobytes, the same on each page.
static ALL: LazyLock<Markup> = LazyLock::new(|| {
    html! {
        @for (area, names) in time_zones::list_by_area() {
            optgroup label=(area) { @for name in names { option { (name) } } }
        }
    }
});

/// Renders the options: `chosen`, others in use and common ones with the time there, then all zones.
pub(crate) fn render_options<'a>(
    texts: Texts,
    chosen: &'a str,
    in_use: impl IntoIterator<Item = &'a str>,
    now: Timestamp,
) -> Markup {
    let likely = time_zones::list_likely([chosen].into_iter().chain(in_use));
    html! {
        optgroup label=(texts.get("zone-likely")) {
            @for zone in likely {
                option value=(zone) selected[zone == chosen] {
                    @let time = format_local(&time_zone_or_utc(zone), now, "%H:%M");
                    (texts.get_with("zone-now", &[("zone", zone.into()), ("time", time.into())]))
                }
            }
        }
        (*ALL)
    }
}
