//! Files of other formats in lists of modules, which Nix reads as Nix.

use rnix::SyntaxKind::NODE_LIST;

use super::evidence::ExitContext;
use super::option_names::NETWORK;
use super::syntax_at::{node_at, whole_path};
use super::syntax_error::is_json;
use super::undefined_variable::FILE_TYPES;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};
use crate::nixos::user_files::WrittenPath;

/// What to do about the file in which Nix found `error`, if a list of modules names it and its ending is that of another format.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let file = error.position.as_ref()?.file.as_str();
    let name = file.strip_prefix(CONFIG_DIR)?.rsplit('/').next()?;
    let (_, ending) = name.rsplit_once('.')?;
    if ending == "nix" || !FILE_TYPES.contains(&ending) {
        return None;
    }
    let files = context.files?;
    let named = files.naming(file)?;
    let (list, written) = element(&named)?;
    let (module, line) = named.place.rsplit_once(':')?;
    let place = format!("line {line} of {}{module}", context.shown_dir);
    let is_set = |text: &String| text.trim_start().starts_with('{') && is_json(text);
    let text = files.text(file);
    // As wpa_supplicant.conf has them.
    let has_networks = text.as_ref().is_some_and(|text| text.contains("network={"));
    Some(if text.as_ref().is_some_and(is_set) {
        format!(
            "{name} is JSON, not Nix. In {place} write (builtins.fromJSON (builtins.readFile {written})) instead of \
             {written}"
        )
    } else {
        let instead = if has_networks {
            NETWORK
        } else {
            "write its settings as options"
        };
        format!("{name} is not a Nix file. Remove it from {list} in {place}, and {instead}")
    })
}

/// The name of the list of modules that has the path `named` as an element, and the path as it is written.
fn element(named: &WrittenPath) -> Option<(String, String)> {
    let line = named.text.lines().nth(named.line.checked_sub(1)?)?;
    let before: String = line.chars().take(named.column).collect();
    let position = Position {
        file: String::new(),
        line: u64::try_from(named.line).ok()?,
        column: u64::try_from(before.len() + 1).ok()?,
    };
    let path = node_at(&named.text, &position)?;
    let is_element = path.parent()?.kind() == NODE_LIST;
    let defined = whole_path(&named.text, &position)?;
    let list = defined.rsplit('.').next()?;
    (is_element && ["imports", "modules"].contains(&list))
        .then(|| (list.to_owned(), path.text().to_string()))
}
