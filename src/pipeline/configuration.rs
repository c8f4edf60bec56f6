//! What can be said about the configuration without Nix: it is there, it can be read, and its key is
//! the person's own.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, OrFail as _};

/// The words in the example's key that a person is to replace.
const PLACEHOLDER: &str = "ssh-ed25519 REPLACE-ME";

/// Checks the configuration file before anything is fetched.
pub(super) fn check(config: &Path) -> Result<(), Failure> {
    let name = config.display();
    let metadata = fs::metadata(config).map_err(|e| unreadable(config, e))?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("the configuration {name} is a folder"))
            .hint(format!("name the file in it, for instance --config {name}/sd-card.nix")));
    }
    if !metadata.is_file() {
        return Err(Failure::usage(format!("the configuration {name} is not a file")));
    }
    let text = fs::read(config).or_usage(format!("read the configuration {name}"))?;
    match placeholder(&String::from_utf8_lossy(&text)) {
        None => Ok(()),
        Some(line) => Err(Failure::usage(format!(
            "line {line} of {name} still has the placeholder instead of your SSH key"
        ))
        .hint("put the text of your ~/.ssh/id_ed25519.pub there (make one with `ssh-keygen -t ed25519`)")),
    }
}

fn unreadable(config: &Path, error: std::io::Error) -> Failure {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let failure = Failure::new(crate::failure::Class::Usage, error)
        .context(format!("read the configuration {}", config.display()));
    if missing {
        failure.hint("name another file with --config, or start from the example sd-card.nix")
    } else {
        failure
    }
}

/// The number of the first line, counted from 1, that uses the placeholder outside a comment.
fn placeholder(text: &str) -> Option<usize> {
    text.lines()
        .position(|line| {
            let code = line.split('#').next().unwrap_or(line);
            code.contains(PLACEHOLDER)
        })
        .map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_is_found_by_line_unless_commented_out() {
        let text = "{\n  # \"ssh-ed25519 REPLACE-ME\"\n  keys = [ \"ssh-ed25519 REPLACE-ME-x\" ];\n}";
        assert_eq!(placeholder(text), Some(3));
        assert_eq!(placeholder("keys = [ \"ssh-ed25519 AAAA me\" ];"), None);
    }

    #[test]
    fn the_shipped_example_stops_at_its_placeholder() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("sd-card.nix");
        let failure = check(&example).unwrap_err();
        assert!(failure.to_string().contains("placeholder"), "{failure}");
    }

    #[test]
    fn a_folder_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path()).unwrap_err().to_string().contains("is a folder"));
        let missing = check(&folder.path().join("none.nix")).unwrap_err();
        assert!(missing.to_string().contains("none.nix"), "{missing}");
        assert_eq!(missing.hints.len(), 1);
    }
}
