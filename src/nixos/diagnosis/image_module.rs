//! A configuration without the module that defines the image.

use super::evidence::ExitContext;
use super::module_arguments::imports_line;
use super::scopes::with_argument;
use crate::nixos::layout::CONFIG_DIR;
use sdbuild_image::image_format::SD_CARD;

/// What gives the module's path, in a flake as well.
const ARGUMENT: &str = "modulesPath";

/// How to import the module, in the file of which the message `summary` speaks, or in the configuration itself: `imports`
/// may be defined only once in a file.
pub(super) fn import_hint(context: &ExitContext<'_>, summary: &str) -> String {
    let module = format!("({ARGUMENT} + \"{}\")", SD_CARD.module.unwrap_or_default());
    let text = file_of(context, summary).and_then(|file| context.files?.text(&file));
    let line = text.as_deref().and_then(imports_line);
    let import = match line {
        Some(line) => format!("add {module} to the imports of line {line}"),
        None => format!("add the line imports = [ {module} ]; to the configuration"),
    };
    match text {
        Some(text) => with_argument(&text, import, ARGUMENT),
        None => format!(
            "{import}, or the module to the imports that it has, with {ARGUMENT} in its {{ … }}:"
        ),
    }
}

/// The path in the builder of the file that defines an option of the image; else that of the configuration, unless it is
/// a flake.
fn file_of(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let defining = summary.split_once(&format!("- In `{CONFIG_DIR}"));
    let name = match defining {
        Some((_, rest)) => rest.split_once('\'')?.0,
        None => context.source.strip_prefix(context.shown_dir)?,
    };
    Some(format!("{CONFIG_DIR}{name}"))
}
