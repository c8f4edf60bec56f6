//! What can be said about the configuration without Nix: it is there, it can be read, and its key is
//! the user's own.

use std::path::Path;

use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::nixos::cli_module::CliModule;
use crate::nixos::source::Configuration;
use crate::pipeline::plan::Purpose;
use crate::settings::{self, SshKey};

/// The words in the example's key that a user is to replace.
const PLACEHOLDER: &str = "ssh-ed25519 REPLACE-ME";
/// Nobody writes more by hand.
const LONGEST: u64 = 16 << 20;

/// Opens the configuration and looks at it before anything is fetched.
pub(super) fn open(settings: &settings::Build, aim: Purpose) -> Result<Configuration, Failure> {
    let configuration = Configuration::open(&settings.config, settings.common.home.as_deref())?;
    let key = settings.ssh_key.as_ref().and_then(SshKey::public);
    // A check tells it among the other traps.
    if aim == Purpose::Image && key.is_none() {
        has_a_key(&settings.config)?;
    }
    Ok(configuration)
}

/// What the command line lays over it.
pub(super) fn overlay(settings: &settings::Build) -> Result<CliModule, Failure> {
    let mut overlay = CliModule::default();
    if let Some(key) = settings.ssh_key.as_ref().and_then(SshKey::public) {
        overlay.key(key);
    }
    if let Some(name) = &settings.host_name {
        overlay.host_name(name);
    }
    for text in &settings.set {
        overlay.set(text)?;
    }
    Ok(overlay)
}

fn has_a_key(config: &Path) -> Result<(), Failure> {
    let name = config.display();
    let text =
        plain_file::read(config, LONGEST).or_usage(format!("read the configuration {name}"))?;
    match placeholder(&String::from_utf8_lossy(&text)) {
        None => Ok(()),
        Some(line) => Err(Failure::usage(format!(
            "line {line} of {name} still has the placeholder instead of your SSH key"
        ))
        .hint(
            "put the text of your ~/.ssh/id_ed25519.pub there (`ssh-keygen -t ed25519` makes one)",
        )),
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
        let text =
            "{\n  # \"ssh-ed25519 REPLACE-ME\"\n  keys = [ \"ssh-ed25519 REPLACE-ME-x\" ];\n}";
        assert_eq!(placeholder(text), Some(3));
        assert_eq!(placeholder("keys = [ \"ssh-ed25519 AAAA me\" ];"), None);
    }

    #[test]
    fn a_configuration_that_never_ends_is_refused() {
        for endless in ["/dev/zero", "/proc/self/fd"] {
            let failure = has_a_key(Path::new(endless)).unwrap_err();
            assert!(
                failure.to_string().contains("not a plain file"),
                "{failure}"
            );
        }
    }

    #[test]
    fn the_shipped_example_stops_at_its_placeholder() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("sd-card.nix");
        let failure = has_a_key(&example).unwrap_err();
        assert!(failure.to_string().contains("placeholder"), "{failure}");
    }
}
