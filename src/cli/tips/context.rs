//! What clap's errors say, and the tips in them.

use clap::error::{ContextKind, ContextValue};

/// The text of a `kind` in `error`.
pub(super) fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    let Some(ContextValue::String(text)) = error.get(kind) else {
        return None;
    };
    Some(text.clone())
}

/// Makes `tip` the only one of `error`.
pub(super) fn set_tip(error: &mut clap::Error, tip: String) {
    set_tips(error, vec![tip]);
}

/// Makes `tips` those of `error`.
pub(super) fn set_tips(error: &mut clap::Error, tips: Vec<String>) {
    let tips = tips.into_iter().map(Into::into).collect();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
}
