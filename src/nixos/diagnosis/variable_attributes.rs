//! Attributes of sets that are written with the name of a variable, of which the value is meant. Pure.

use super::evidence::ExitContext;
use super::names::quoted_after;
use super::scopes::binds_anywhere;
use super::syntax_at::NameAt;
use crate::nixos::log::NixError;

/// How to select the attribute that the variable names, in place of the missing one that is called like the variable: `pkgs.x` where
/// `x` is the argument of a function. `None` if no variable has the name.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let missing = quoted_after(&error.summary, "attribute")?;
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let written = NameAt::find(&text, position)?.written;
    let set = written.strip_suffix(missing)?.strip_suffix('.')?;
    binds_anywhere(&text, missing).then(|| {
        format!(
            "{written} is the attribute with the name {missing}. For the one that the variable {missing} names, write {set}.${{{missing}}}"
        )
    })
}
