//! What the user wants built: the configuration or flake, what the command line adds to it, and nixpkgs. Looked at
//! without Nix, before anything is fetched.

use std::path::{Path, PathBuf};

use crate::common::configuration_file::CONFIG_NAME;
use crate::nixos::build_source::Source;
use crate::nixos::cli_module::CliModule;
use crate::nixos::config_dir::{UploadDir, configuration_not_readable};
use crate::nixos::configuration::Configuration;
use crate::nixos::flake;
use crate::nixos::flake::{Flake, FlakeSearch, Override};
use crate::nixos::lock;
use crate::nixos::lock::Locked;
use crate::nixos::nixpkgs::Nixpkgs;
use crate::pipeline::problems::Problems;
use crate::pipeline::request::{BuildRequest, SourceChoice};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_nix::flake_ref::FlakeRef;

/// The words in the example's key that the user has to replace.
const PLACEHOLDER: &str = "ssh-ed25519 REPLACE-ME";
/// The line that `init` writes where it finds no key, and replaces by a key later.
const LINE_OF_INIT: &str = "    \"ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY\"\n";
/// Far above what anybody writes by hand.
const MAX_CONFIGURATION_BYTES: u64 = 16 << 20;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// To build an image.
    Image,
    /// To start a shell in the builder, where derivations can be built: no image is written.
    Shell,
    /// To read what the configuration sets: nothing is built, emulated or written.
    Check,
    /// To complete the lock of a flake, or to update these inputs in it: as little is done.
    Lock(&'a [String]),
}

impl Purpose<'_> {
    /// Whether derivations are built.
    pub(super) fn builds(self) -> bool {
        matches!(self, Self::Image | Self::Shell)
    }
}

/// What is built; the steps of a run only ever see the [`BuildSource`](crate::nixos::build_source::BuildSource) that they
/// read it into.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The user's file or flake.
    pub source: Source,
    /// What the command line adds to it.
    pub cli_module: CliModule,
    /// The nixpkgs for a file; a flake names its own.
    pub nixpkgs: Option<NixpkgsPlan>,
    /// The directories that are uploaded.
    pub files: Vec<UploadDir>,
}

/// The nixpkgs that a file is evaluated with.
#[derive(Clone, Debug)]
pub struct NixpkgsPlan {
    /// As the user named it.
    pub nixpkgs: Nixpkgs,
    /// The lock file beside the configuration.
    pub lock: PathBuf,
    /// What an earlier run resolved it to, by that file.
    pub locked: Option<Locked>,
}

impl SourcePlan {
    /// Opens what the settings name, and lists the configuration's directory; every problem is kept in `problems`.
    pub(super) async fn open(
        request: &BuildRequest,
        purpose: Purpose<'_>,
        problems: &mut Problems,
        context: &Context,
    ) -> Option<Self> {
        let cli_module = problems.keep(cli_module(request));
        let (source, nixpkgs) = match &request.source.choice {
            // Of `--set OPTION VALUE`, of which a problem tells already.
            SourceChoice::Config(config) if is_value_of_set(config, request) => return None,
            SourceChoice::Config(config) => {
                let configuration = problems.keep(configuration(config, request, purpose));
                let nixpkgs = problems.keep(nixpkgs(request));
                let (configuration, nixpkgs) = (configuration?, nixpkgs?);
                let plan = problems.keep(NixpkgsPlan::new(&configuration, nixpkgs))?;
                (Source::Module(configuration), Some(plan))
            }
            SourceChoice::Flake { reference, .. } => {
                let mut flake = problems.keep(flake(reference, request, context).await)?;
                let search = search(request, context);
                if let Purpose::Lock(updated) = purpose {
                    problems.keep(flake.resolve_inputs(updated, search).await)?;
                } else if problems.keep(flake.check_lock()).is_some() {
                    problems.keep(flake.fetch_inputs(search).await)?;
                }
                (Source::Flake(Box::new(flake)), None)
            }
        };
        let files = problems.keep(source.collect(context).await);
        Some(Self {
            source,
            cli_module: cli_module?,
            nixpkgs,
            files: files?,
        })
    }
}

impl NixpkgsPlan {
    fn new(configuration: &Configuration, nixpkgs: Nixpkgs) -> Result<Self, Failure> {
        let lock = configuration.dir().join(lock::NAME);
        let locked = match &nixpkgs {
            Nixpkgs::Dir(_) => None,
            Nixpkgs::Remote(requested) => lock::find(&lock, requested)?,
        };
        Ok(Self {
            nixpkgs,
            lock,
            locked,
        })
    }
}

fn configuration(
    config: &Path,
    request: &BuildRequest,
    purpose: Purpose<'_>,
) -> Result<Configuration, Failure> {
    let (root, home) = (
        request.source.root.as_deref(),
        request.common.home.as_deref(),
    );
    let configuration = Configuration::open_below(config, root, home)?;
    let key = request.source.ssh_key.as_deref();
    // A check reports a missing key among its findings.
    if purpose == Purpose::Image && key.is_none() {
        refuse_placeholder(config)?;
    }
    Ok(configuration)
}

/// The flake of `reference` with the inputs that the settings override. Git looks at their trees; a signal ends that.
async fn flake(
    reference: &FlakeRef,
    request: &BuildRequest,
    context: &Context,
) -> Result<Flake, Failure> {
    let search = search(request, context);
    let reference = reached(reference, flake::SELF, request)?;
    let flake = Flake::open(reference, Vec::new(), search).await?;
    // A name that no input has is the mistake, whatever the flake for it lacks.
    let names = request
        .source
        .override_inputs
        .iter()
        .map(|(input, _)| input);
    flake.check_overridden(names.map(String::as_str))?;
    let mut overrides = Vec::new();
    for (input, reference) in &request.source.override_inputs {
        let reference = reached(reference, input, request)?;
        let replacement = Override::new(&flake, input, reference, search).await;
        let with_hint = |failure: Failure| {
            failure.hint(format!("this is the flake of --override-input {input}"))
        };
        overrides.push(replacement.map_err(with_hint)?);
    }
    Ok(flake.with_overrides(overrides))
}

/// The reference of the input `name`, which the user's git fetches if the settings say so.
fn reached(reference: &FlakeRef, name: &str, request: &BuildRequest) -> Result<FlakeRef, Failure> {
    let reference = reference.clone();
    if request.source.git_inputs.iter().any(|input| input == name) {
        return reference.by_git().map_err(Failure::usage);
    }
    Ok(reference)
}

fn search<'a>(request: &'a BuildRequest, context: &'a Context) -> FlakeSearch<'a> {
    FlakeSearch {
        path: &request.source.path,
        home: request.common.home.as_deref(),
        cache: &request.common.cache_dir,
        git_inputs: &request.source.git_inputs,
        offline: request.common.offline,
        cancel: &context.cancel,
        events: &context.events,
    }
}

/// The directory with the flake's `flake.nix`; `None` for a flake elsewhere.
pub async fn flake_directory(
    reference: &FlakeRef,
    request: &BuildRequest,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    Ok(flake(reference, request, context).await?.directory())
}

fn cli_module(request: &BuildRequest) -> Result<CliModule, Failure> {
    let mut module = CliModule::default();
    if let Some(key) = request.source.ssh_key.as_deref() {
        module.key(key);
    }
    if let Some(name) = &request.source.host_name {
        module.host_name(name);
    }
    for text in &request.source.set {
        // Of `--set OPTION VALUE`, the value was taken as the configuration.
        match &request.source.choice {
            SourceChoice::Config(path) if is_value(path) && !text.contains('=') => {
                module.set(&format!("{text} {}", shown_path(path)))?;
            }
            SourceChoice::Config(_) | SourceChoice::Flake { .. } => module.set(text)?,
        }
    }
    Ok(module)
}

/// Whether `path` is the value of an option that `--set` names without one.
fn is_value_of_set(path: &Path, request: &BuildRequest) -> bool {
    is_value(path) && request.source.set.iter().any(|text| !text.contains('='))
}

/// Whether `path` may be the value of an option, and not a configuration.
fn is_value(path: &Path) -> bool {
    !path.exists() && path.extension().is_none_or(|end| end != "nix")
}

fn nixpkgs(request: &BuildRequest) -> Result<Nixpkgs, Failure> {
    let nixpkgs: Result<Nixpkgs, Failure> = request.source.nixpkgs.parse();
    nixpkgs
        .and_then(|nixpkgs| nixpkgs.check().map(|()| nixpkgs))
        .map_err(|failure| match &request.source.nixpkgs_origin {
            Some(origin) => failure.hint(origin),
            None => failure,
        })
}

/// Fails when the only SSH key of the configuration is the placeholder of the example: no login would be possible.
fn refuse_placeholder(config: &Path) -> Result<(), Failure> {
    let name = config.display();
    let text = plain_file::read(config, MAX_CONFIGURATION_BYTES)
        .map_err(|error| configuration_not_readable(config, error))?;
    let text = String::from_utf8_lossy(&text);
    let Some(line) = placeholder(&text) else {
        return Ok(());
    };
    let failure = Failure::usage(format!(
        "line {line} of {name} still has the placeholder for your SSH key"
    ));
    let make = "(`ssh-keygen -t ed25519` makes one)";
    Err(failure.hint(if text.contains(LINE_OF_INIT) {
        format!("put your key there {make}: {}", init_again(config))
    } else {
        format!("put the line of your ~/.ssh/id_ed25519.pub there {make}")
    }))
}

/// The command that puts the user's key in place of the placeholder in `config`.
fn init_again(config: &Path) -> String {
    match shown_path(config).as_str() {
        CONFIG_NAME => "sdbuild init".to_owned(),
        other => format!("sdbuild init --config {}", quoted(other)),
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
        let fills = |failure: Failure| failure.hints[0].contains(": sdbuild init");
        assert!(fills(failure), "`init` finds its own line");
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("pi.nix");
        std::fs::write(
            &other,
            "[ \"ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY\" ]",
        )
        .unwrap();
        assert!(!fills(refuse_placeholder(&other).unwrap_err()));
    }
}
