//! Icons beside words: a state is never shown by its colour alone.

use maud::{Markup, html};

/// A shape of 24 by 24, drawn with lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icon {
    /// All is well.
    Tick,
    /// Something is wrong.
    Cross,
    /// Something needs somebody.
    Triangle,
    /// No data come in.
    Flat,
    /// It waits.
    Clock,
    Letter,
    Pen,
    /// It has ended by a decision.
    Stop,
    /// It has ended as planned.
    Flag,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Tick => "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M8 12l3 3 5-6",
            Self::Cross => "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M9 9l6 6M15 9l-6 6",
            Self::Triangle => "M12 4L3 20h18zM12 10v5M12 17.5v.1",
            Self::Flat => "M3 13h4l3-8 3 11M15 16l5 5M20 16l-5 5",
            Self::Clock => "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M12 7v5l3 2",
            Self::Letter => "M3 6h18v12H3zM3 7l9 6 9-6",
            Self::Pen => "M4 20h4L20 8l-4-4L4 16z",
            Self::Stop => "M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0M6 6l12 12",
            Self::Flag => "M6 21V4h12l-3 4 3 4H6",
        }
    }
}

/// Renders an icon that screen readers skip: a word stands beside it.
pub(crate) fn icon(icon: Icon) -> Markup {
    html! { svg.icon viewBox="0 0 24 24" aria-hidden="true" { path d=(icon.path()) {} } }
}

/// Renders an icon in the colour of a state.
pub(crate) fn coloured(shape: Icon, kind: &str) -> Markup {
    html! { span class=(kind) { (icon(shape)) } }
}

/// Renders a state: a shape and a word. `kind` is its colour: good, warn, bad, info or idle.
pub(crate) fn state(kind: &str, shape: Icon, word: &str) -> Markup {
    html! { span class={ "state " (kind) } { (icon(shape)) (word) } }
}
