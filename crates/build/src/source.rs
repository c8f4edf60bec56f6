//! What the user wants built: the configuration or flake, what the command line adds to it, and nixpkgs. Looked at
//! without Nix, before anything is fetched.

use std::path::{Path, PathBuf};

use crate::build_source::{BuildSource, ResolvedNixpkgs, Source};
use crate::clients;
use crate::config_dir::UploadDir;
use crate::configuration::Configuration;
use crate::flake;
use crate::flake::{Flake, FlakeSearch, Override};
use crate::lock;
use crate::lock::{Download, Downloaded, Locked, Requested, Resolve};
use crate::nixpkgs;
use crate::nixpkgs::{LocalNixpkgs, Nixpkgs};
use crate::plan::nixpkgs_of_flake;
use crate::plan::{Plan, Problems};
use crate::request::{BuildRequest, SourceChoice};
use crate::run_context::RunContext;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;
use sdbuild_engine::artifact::cache::CacheLookup;
use sdbuild_engine::artifact::{Cache, Fetcher, MIRROR_PROBE, Remote};
use sdbuild_nix::cli_module::CliModule;
use sdbuild_nix::flake_ref::FlakeRef;

/// The words in the example's key that the user has to replace.
const PLACEHOLDER: &str = "ssh-ed25519 REPLACE-ME";
/// Far above what anybody writes by hand.
const MAX_CONFIGURATION_BYTES: u64 = 16 << 20;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose<'a> {
    /// To build an image.
    Image,
    /// To build a system for a machine that runs: no image is written.
    System,
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
        matches!(self, Self::Image | Self::System | Self::Shell)
    }
}

/// What is built; the steps of a run only ever see the `BuildSource` that they
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
            SourceChoice::Config(config) => {
                let configuration = problems.keep(configuration(config, request, purpose));
                let nixpkgs = problems.keep(nixpkgs(request));
                let (configuration, nixpkgs) = (configuration?, nixpkgs?);
                let plan = problems.keep(NixpkgsPlan::new(&configuration, nixpkgs))?;
                (Source::Module(configuration), Some(plan))
            }
            SourceChoice::Flake { reference, .. } => {
                let mut flake = problems.keep(flake(reference, request, context).await)?;
                let hashes = nixpkgs::hashes_file(&request.common.state_dir);
                let search = search(request, &hashes, context);
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
    if matches!(purpose, Purpose::Image | Purpose::System) && key.is_none() {
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
    let hashes = nixpkgs::hashes_file(&request.common.state_dir);
    let search = search(request, &hashes, context);
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

fn search<'a>(
    request: &'a BuildRequest,
    hashes: &'a Path,
    context: &'a Context,
) -> FlakeSearch<'a> {
    FlakeSearch {
        path: &request.source.path,
        home: request.common.home.as_deref(),
        cache: &request.common.cache_dir,
        hashes,
        git_inputs: &request.source.git_inputs,
        names_git_inputs: request.source.names_git_inputs,
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
        module.set(text)?;
    }
    Ok(module)
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
        .or_usage(format!("read the configuration {name}"))?;
    let text = String::from_utf8_lossy(&text);
    let Some(line) = placeholder(&text) else {
        return Ok(());
    };
    let text = format!("line {line} of {name} still has the placeholder for your SSH key");
    Err(Failure::usage(text).hint(
        "put the line of your ~/.ssh/id_ed25519.pub there (`ssh-keygen -t ed25519` makes one), or let `sdbuild init` do that",
    ))
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

/// A release's archive is some 30 MB, a checkout's 60 MB; anything above this is something else.
const MAX_ARCHIVE_BYTES: u64 = 512 << 20;

/// The configuration, what the command line adds to it, and nixpkgs.
pub(super) fn describe_source(plan: &Plan) -> Vec<(&'static str, String)> {
    let SourcePlan {
        source,
        cli_module,
        nixpkgs,
        files: _,
    } = &plan.source;
    let configuration = match source {
        Source::Module(file) => file.path().display().to_string(),
        Source::Flake(flake) => flake.describe(),
    };
    let added = cli_module.shown();
    let added = added.map(|code| ("overrides it", code.to_owned()));
    let mut lines = vec![("configuration", configuration)];
    lines.extend(added);
    let nixpkgs = nixpkgs.as_ref();
    let nixpkgs = nixpkgs.map(|nixpkgs| describe_nixpkgs(nixpkgs, &plan.request));
    lines.push((
        "nixpkgs",
        nixpkgs.unwrap_or_else(|| nixpkgs_of_flake(&plan.request.source.override_inputs)),
    ));
    lines
}

fn describe_nixpkgs(plan: &NixpkgsPlan, request: &BuildRequest) -> String {
    match (&plan.nixpkgs, &plan.locked) {
        (Nixpkgs::Dir(dir), _) => format!("{}, uploaded", dir.display()),
        (Nixpkgs::Remote(_), Some(locked)) => format!(
            "{}: {} (sha256 {}, by sdbuild.lock)",
            request.source.nixpkgs, locked.url, locked.sha256
        ),
        (Nixpkgs::Remote(Requested::Url(url)), None) => format!("{url}, to be fetched and locked"),
        (Nixpkgs::Remote(Requested::Release(release)), None) => {
            let channels = &request.common.channels;
            format!("{release}, to be looked up at {channels} and locked")
        }
    }
}

/// Resolves and fetches nixpkgs, if the source does not name its own: a local directory as it is, anything else by its lock
/// entry.
pub(crate) async fn provide_nixpkgs(
    run: &RunContext<'_>,
) -> Result<Option<ResolvedNixpkgs>, Failure> {
    let cancel = &run.context.cancel;
    let Some(plan) = &run.plan.source.nixpkgs else {
        return Ok(None);
    };
    let requested = match &plan.nixpkgs {
        Nixpkgs::Dir(dir) => {
            let hashes = nixpkgs::hashes_file(&run.plan.request.common.state_dir);
            return Ok(Some(ResolvedNixpkgs {
                nixpkgs: LocalNixpkgs::dir(dir, hashes, cancel).await?,
                locked: None,
            }));
        }
        Nixpkgs::Remote(requested) => requested,
    };
    let how = Resolve {
        requested,
        lock: &plan.lock,
        channels: &run.plan.request.common.channels,
        write_lock: run.plan.request.source.writes_lock,
        renew: false,
    };
    let (locked, archive) = resolve(&how, &run.fetcher, run.context).await?;
    Ok(Some(ResolvedNixpkgs {
        nixpkgs: LocalNixpkgs::archive(archive.path, archive.sha256)?,
        locked: Some(locked),
    }))
}

/// The local directory of nixpkgs as it was when it was read last: what [`nixpkgs`] resolves it to, unless it has changed. `None` for
/// anything else, and for a directory that is not remembered.
pub(crate) fn remembered_nixpkgs(run: &RunContext<'_>) -> Option<ResolvedNixpkgs> {
    let Nixpkgs::Dir(dir) = &run.plan.source.nixpkgs.as_ref()?.nixpkgs else {
        return None;
    };
    let hashes = nixpkgs::hashes_file(&run.plan.request.common.state_dir);
    Some(ResolvedNixpkgs {
        nixpkgs: LocalNixpkgs::remembered_dir(dir, hashes)?,
        locked: None,
    })
}

/// Resolves nixpkgs and fetches it (`Phase::Nixpkgs`).
pub(crate) async fn resolve(
    how: &Resolve<'_>,
    fetcher: &Fetcher,
    context: &Context,
) -> Result<(Locked, Downloaded), Failure> {
    let fetch = |download| fetch(download, fetcher, context);
    let resolve = lock::resolve(how, &context.events, fetch);
    context.phase(Phase::Nixpkgs, resolve).await
}

async fn fetch(
    download: Download,
    fetcher: &Fetcher,
    context: &Context,
) -> Result<Downloaded, Failure> {
    let remote = Remote {
        url: &download.url,
        sha256: download.sha256,
        max_bytes: MAX_ARCHIVE_BYTES,
        phase: Phase::Nixpkgs,
    };
    let file = fetcher.url(remote, &context.cancel).await;
    let file = file.map_err(|failure| {
        if failure.class == Class::Environment {
            failure.hint(NAME_ANOTHER)
        } else {
            failure
        }
    })?;
    Ok(Downloaded {
        path: file.path,
        sha256: file.sha256,
        final_url: file.final_url,
    })
}

/// The source with its nixpkgs.
pub(super) fn with_nixpkgs(plan: &Plan, nixpkgs: Option<ResolvedNixpkgs>) -> BuildSource {
    let SourcePlan {
        source,
        cli_module,
        files,
        ..
    } = plan.source.clone();
    BuildSource::new(source, cli_module, nixpkgs, files)
}

/// The Debian mirror that the miniature nixpkgs fetches from: the first that answers. Where it is not known whether that
/// nixpkgs is used (in a flake, in an archive), the first is taken unasked; any other directory needs none.
pub(super) async fn debian_mirror(run: &RunContext<'_>) -> Result<Option<String>, Failure> {
    let mirrors = &run.plan.request.common.mirrors;
    let nixpkgs = run.plan.source.nixpkgs.as_ref();
    let reachable = match nixpkgs.map(|plan| &plan.nixpkgs) {
        Some(nixpkgs @ Nixpkgs::Dir(_)) if nixpkgs.is_miniature() => {
            let cancel = &run.context.cancel;
            let probe = run.fetcher.first_reachable(mirrors, MIRROR_PROBE, cancel);
            probe.await?
        }
        Some(Nixpkgs::Dir(_)) => return Ok(None),
        Some(Nixpkgs::Remote(_)) | None => None,
    };
    Ok(reachable.or_else(|| mirrors.first().cloned()))
}

/// What helps, besides a look at the network, where no server has it.
pub(crate) const NAME_ANOTHER: &str = "or name a checkout or an archive that this machine reaches: --nixpkgs DIR|URL, or nixpkgs in your own ~/.config/sdbuild/sdbuild.toml";

/// An archive of nixpkgs that a build needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NixpkgsArchive {
    /// For messages: `release 26.05`, or its URL.
    pub(crate) name: String,
    /// Where a build would fetch it from.
    pub(crate) url: String,
    /// Whether `sdbuild.lock` names its hash and the cache has it: then no server is asked.
    pub(crate) is_held: bool,
}

impl NixpkgsArchive {
    /// The archive that a build with `request` needs; `None` for a local directory, and for a flake.
    pub(crate) async fn of(request: &BuildRequest) -> Option<Self> {
        let SourceChoice::Config(config) = &request.source.choice else {
            return None;
        };
        // The plan of a build reports what is wrong with the setting or with the lock.
        let Nixpkgs::Remote(requested) = request.source.nixpkgs.parse().ok()? else {
            return None;
        };
        let dir = config.parent().unwrap_or(Path::new("."));
        let locked = lock::find(&dir.join(lock::NAME), &requested).ok().flatten();
        let is_held = match locked.as_ref().and_then(Locked::hash) {
            Some(hash) => is_cached(hash, &request.common.cache_dir).await,
            None => false,
        };
        let url = locked.map_or_else(
            || requested.url(&request.common.channels),
            |locked| locked.url,
        );
        Some(Self {
            name: requested.to_string(),
            url,
            is_held,
        })
    }
}

async fn is_cached(hash: Sha256Hash, cache_dir: &Path) -> bool {
    let Ok(Some(cache)) = Cache::open_existing(cache_dir) else {
        return false;
    };
    matches!(cache.find(hash).await, Ok(CacheLookup::Valid { .. }))
}

/// Resolves the nixpkgs of the configuration `config` anew, and writes it to the `sdbuild.lock` beside it. A usage error for a
/// directory, which nothing pins.
pub async fn lock_nixpkgs(
    config: &Path,
    request: &BuildRequest,
    context: &Context,
) -> Result<(), Failure> {
    let (root, home) = (
        request.source.root.as_deref(),
        request.common.home.as_deref(),
    );
    let configuration = Configuration::open_below(config, root, home)?;
    let requested = match request.source.nixpkgs.parse()? {
        Nixpkgs::Remote(requested) => requested,
        Nixpkgs::Dir(dir) => {
            let text = format!(
                "there is nothing to update, because nixpkgs is the directory {}",
                dir.display()
            );
            return Err(Failure::usage(text).hint("update that directory yourself"));
        }
    };
    let lock = configuration.dir().join(lock::NAME);
    let how = Resolve {
        requested: &requested,
        lock: &lock,
        channels: &request.common.channels,
        write_lock: true,
        renew: true,
    };
    let fetcher = clients::fetcher(&request.common, &context.events)?;
    let (locked, _) = resolve(&how, &fetcher, context).await?;
    // The build goes on without a lock that cannot be written, and has said why.
    if lock::find(&lock, &requested)? == Some(locked) {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "{} is not written",
        lock.display()
    )))
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
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sd-card.nix");
        let failure = refuse_placeholder(&example).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
    }
}
