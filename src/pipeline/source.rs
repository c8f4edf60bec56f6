//! What the user wants built: the configuration, what the command line adds to it, and nixpkgs. Looked at
//! without Nix, before anything is fetched.

use std::path::Path;

use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::nixos::cli_module::CliModule;
use crate::nixos::lock::{self, Locked, Requested};
use crate::nixos::nixpkgs::Nixpkgs;
use crate::nixos::source::{ConfigDir, Configuration};
use crate::pipeline::problems::Problems;
use crate::settings::{self, SshKey};

/// The words in the example's key that the user has to replace.
const PLACEHOLDER: &str = "ssh-ed25519 REPLACE-ME";
/// Far above what anybody writes by hand.
const MAX_CONFIGURATION_BYTES: u64 = 16 << 20;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To build an image.
    Image,
    /// To read what the configuration sets: nothing is built, emulated or written.
    Check,
}

/// What is built. A flake would be another way to fill this value; the steps of a run only ever see the
/// [`BuildSource`](crate::nixos::build_source::BuildSource) that they read it into.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The user's file.
    pub configuration: Configuration,
    /// What the command line adds to it.
    pub cli_module: CliModule,
    /// The nixpkgs that the user named.
    pub nixpkgs: Nixpkgs,
    /// What an earlier run resolved it to, by the lock file beside the configuration.
    pub locked: Option<Locked>,
    /// The directory that is uploaded with the configuration.
    pub files: ConfigDir,
}

impl SourcePlan {
    /// Opens what the settings name, and lists the configuration's directory; every problem is kept in `problems`.
    pub(super) async fn open(
        settings: &settings::Build,
        purpose: Purpose,
        problems: &mut Problems,
        context: &Context,
    ) -> Option<Self> {
        let configuration = problems.keep(configuration(settings, purpose));
        let cli_module = problems.keep(cli_module(settings));
        let nixpkgs = problems.keep(nixpkgs(settings));
        let Context { cancel, events } = context;
        let files = match &configuration {
            Some(configuration) => problems.keep(configuration.collect(cancel, events).await),
            None => None,
        };
        let (configuration, nixpkgs) = (configuration?, nixpkgs?);
        let locked = problems.keep(locked(&configuration, &nixpkgs));
        Some(Self {
            configuration,
            cli_module: cli_module?,
            nixpkgs,
            locked: locked?,
            files: files?,
        })
    }
}

fn configuration(settings: &settings::Build, purpose: Purpose) -> Result<Configuration, Failure> {
    let configuration = Configuration::open(&settings.config, settings.common.home.as_deref())?;
    let key = settings.ssh_key.as_ref().and_then(SshKey::public);
    // A check reports a missing key among its findings.
    if purpose == Purpose::Image && key.is_none() {
        refuse_placeholder(&settings.config)?;
    }
    Ok(configuration)
}

fn cli_module(settings: &settings::Build) -> Result<CliModule, Failure> {
    let mut module = CliModule::default();
    if let Some(key) = settings.ssh_key.as_ref().and_then(SshKey::public) {
        module.key(key);
    }
    if let Some(name) = &settings.host_name {
        module.host_name(name);
    }
    for text in &settings.set {
        module.set(text)?;
    }
    Ok(module)
}

fn nixpkgs(settings: &settings::Build) -> Result<Nixpkgs, Failure> {
    let nixpkgs: Nixpkgs = settings.nixpkgs.parse()?;
    nixpkgs.check()?;
    Ok(nixpkgs)
}

/// The entry for this nixpkgs in the lock file beside the configuration.
fn locked(configuration: &Configuration, nixpkgs: &Nixpkgs) -> Result<Option<Locked>, Failure> {
    let requested = match nixpkgs {
        Nixpkgs::Dir(_) => return Ok(None),
        Nixpkgs::Url(url) => Requested::Url(url.clone()),
        Nixpkgs::Release(release) => Requested::Release(release.clone()),
    };
    let locked = lock::read(&configuration.root().join(lock::NAME))?;
    Ok(locked.into_iter().find(|locked| locked.is_for(&requested)))
}

/// Fails when the only SSH key of the configuration is the placeholder of the example: nobody could log in.
fn refuse_placeholder(config: &Path) -> Result<(), Failure> {
    let name = config.display();
    let text = plain_file::read(config, MAX_CONFIGURATION_BYTES)
        .or_usage(format!("read the configuration {name}"))?;
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
    fn placeholder_is_found_by_line_unless_commented_out() {
        let text =
            "{\n  # \"ssh-ed25519 REPLACE-ME\"\n  keys = [ \"ssh-ed25519 REPLACE-ME-x\" ];\n}";
        assert_eq!(placeholder(text), Some(3));
        assert_eq!(placeholder("keys = [ \"ssh-ed25519 AAAA me\" ];"), None);
    }

    #[test]
    fn refuses_endless_configuration() {
        for endless in ["/dev/zero", "/proc/self/fd"] {
            let failure = refuse_placeholder(Path::new(endless)).unwrap_err();
            assert!(
                failure.to_string().contains("not a plain file"),
                "{failure}"
            );
        }
    }

    #[test]
    fn refuses_placeholder_of_shipped_example() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("sd-card.nix");
        let failure = refuse_placeholder(&example).unwrap_err();
        assert!(failure.to_string().contains("placeholder"), "{failure}");
    }
}
