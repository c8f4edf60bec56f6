//! What Nix evaluated for `check`, in a file that may be removed at any time. The evaluation of a flake is pure: with the same key
//! (`BuildJob::evaluation_key`) it gives the same again, so neither Nix nor a container is needed.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use sdbuild_core::atomic_file;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::plain_file;
use sdbuild_core::private_dir;
use sdbuild_core::untrusted;

/// In the state directory.
const FILE: &str = "checks.json";
/// Evaluations that are remembered, the newest first.
const MAX_EVALUATIONS: usize = 20;
/// Bytes of the file that are read: an evaluation has some 10,000.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What Nix evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Evaluated {
    /// The key of the evaluation.
    pub(crate) key: Sha256Hash,
    /// The lines of Nix's output.
    pub(crate) out: Vec<String>,
    /// The warnings of the evaluation.
    pub(crate) warnings: Vec<String>,
}

/// The file in `state_dir`.
pub(crate) fn file(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// The evaluation with this `key`, if the `file` has it.
pub(crate) fn recall(file: &Path, key: Sha256Hash) -> Option<Evaluated> {
    all(file).into_iter().find(|known| known.key == key)
}

/// Remembers a `new` evaluation; without the `file` the next check evaluates again.
pub(crate) fn remember(file: &Path, new: Evaluated) {
    let mut known = all(file);
    known.retain(|known| known.key != new.key);
    known.truncate(MAX_EVALUATIONS - 1);
    known.insert(0, new);
    let text = serde_json::to_string(&known).ok();
    let fits = text.filter(|text| text.len() as u64 <= MAX_FILE_BYTES);
    if let Some(text) = fits
        && private_dir::create(parent_dir(file)).is_ok()
    {
        atomic_file::replace(file, &text, 0o600).ok();
    }
}

/// A damaged file counts as empty.
fn all(file: &Path) -> Vec<Evaluated> {
    let text = plain_file::read_text(file, MAX_FILE_BYTES).unwrap_or_default();
    untrusted::json(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(name: usize) -> Evaluated {
        let key = Sha256Hash::of(name.to_string().as_bytes());
        Evaluated {
            key,
            out: vec![format!("{{\"n\":{name}}}")],
            warnings: vec!["w".into()],
        }
    }

    #[test]
    fn the_last_evaluations_are_remembered_by_their_keys() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(&dir.path().join("state"));
        assert_eq!(recall(&file, evaluated(0).key), None);
        (0..=MAX_EVALUATIONS).for_each(|n| remember(&file, evaluated(n)));
        assert_eq!(recall(&file, evaluated(0).key), None);
        assert_eq!(recall(&file, evaluated(1).key), Some(evaluated(1)));
        std::fs::write(&file, "[").unwrap();
        assert_eq!(recall(&file, evaluated(1).key), None);
        remember(&file, evaluated(1));
        assert_eq!(recall(&file, evaluated(1).key), Some(evaluated(1)));
    }
}
