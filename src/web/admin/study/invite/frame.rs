//! The parts that the three steps share: the studies that take them, and the list of steps.

use maud::{Markup, html};

use crate::web::access::VisibleStudy;
use crate::web::admin::staff::PATIENTS_ARE_JHES;
use crate::web::response::Refusal;

/// Refuses a study whose participants are added at JHE.
pub(crate) fn require_local(visible: &VisibleStudy) -> Result<(), Refusal> {
    visible.staff().require_local(PATIENTS_ARE_JHES)?;
    if visible.study().is_of_jhe {
        return Err(Refusal::bad("This is a study of JHE: add and invite its participants there."));
    }
    Ok(())
}

pub(crate) fn render_steps(here: usize) -> Markup {
    let steps = ["Paste the list", "Check it", "Hand out the links"];
    html! {
        ol.steps aria-label="Steps" { @for (place, step) in steps.iter().enumerate() {
            li aria-current=[(place + 1 == here).then_some("step")] { (step) }
        } }
    }
}
