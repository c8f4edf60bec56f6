//! Symbolic links of a configuration's directory, which are uploaded as links.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::nixos::ignore_rules::IGNORE_HINT;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file::is_gone;

/// The target of the link `path`, wherever it is; `None` when the link is gone by now.
pub(super) fn any_target(path: &Path, name: &str) -> Result<Option<String>, Failure> {
    let Some(target) = read(path, name)? else {
        return Ok(None);
    };
    let target = target.into_os_string().into_string();
    target
        .map(Some)
        .map_err(|_| Failure::usage(format!("the target of the link {name} is not plain UTF-8")))
}

/// The target of the link `path` if it stays inside the directory; `None` for a link into the Nix store, as `nix-build`
/// creates them, and for one that is gone by now. A usage error for any other link.
pub(super) fn inner_target(path: &Path, name: &str) -> Result<Option<String>, Failure> {
    let Some(target) = read(path, name)? else {
        return Ok(None);
    };
    if target.starts_with("/nix/store") {
        return Ok(None);
    }
    let depth = Path::new(name).components().count().saturating_sub(1);
    match target.to_str() {
        Some(text) if stays_inside(&target, depth) => Ok(Some(text.to_owned())),
        _ => Err(Failure::usage(format!(
            "the link `{name}` leads out of the configuration's directory, to {}",
            target.display()
        ))
        .hint("replace it with a copy, because only the directory itself is uploaded")
        .hint(IGNORE_HINT)),
    }
}

fn read(path: &Path, name: &str) -> Result<Option<PathBuf>, Failure> {
    let target = fs::read_link(path);
    if is_gone(&target) {
        return Ok(None);
    }
    target.or_usage(format!("read the link {name}")).map(Some)
}

/// Whether `target`, the target of a link `depth` directories below the root, is relative and never leads above the
/// root.
fn stays_inside(target: &Path, depth: usize) -> bool {
    let mut depth = depth;
    target.components().all(|part| match part {
        Component::ParentDir => depth
            .checked_sub(1)
            .inspect(|parent| depth = *parent)
            .is_some(),
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::RootDir | Component::Prefix(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_by_depth() {
        for (target, depth, inside) in [
            ("x", 0, true),
            ("../x", 1, true),
            ("../x", 0, false),
            ("a/../b", 0, true),
            ("a/../../b", 0, false),
            ("/x", 3, false),
        ] {
            assert_eq!(
                stays_inside(Path::new(target), depth),
                inside,
                "{target} at {depth}"
            );
        }
    }
}
