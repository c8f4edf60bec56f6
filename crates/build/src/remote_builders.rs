//! Nix's remote builders: what it takes to log in there, and whether they answer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::builder::{BuilderImage, Containers, Trial, TrialRun};
use crate::checks::Check;
use crate::clients;
use crate::emulation::Emulation;
use crate::known_hosts;
use crate::network_access::{BuilderLogin, SshAccess};
use crate::plan::{BuilderPlan, EnginePlan, Plan};
use crate::remote_builder::RemoteBuilder;
use crate::request::BuildRequest;
use crate::run_context::RunContext;
use crate::run_lock::RunLocks;
use sdbuild_core::atomic_file;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::ssh_key;
use sdbuild_engine::{Engine, RunId};

/// Free disk space of a builder below which a warning is given: the closure of a system with a desktop, twice.
const LITTLE_SPACE: u64 = 10 << 30;

/// The remote builders, and what goes there.
pub(super) fn describe_builders(plan: &Plan) -> Vec<(&'static str, String)> {
    let request = &plan.request;
    if request.resources.builders.machines.is_empty() {
        return Vec::new();
    }
    let machines: Vec<_> = request
        .resources
        .builders
        .machines
        .iter()
        .map(ToString::to_string)
        .collect();
    let system = request.target.system;
    let share = match plan.engine_plan.emulation {
        Emulation::Builders => format!("{system} is built there only"),
        Emulation::Native => "when no builder is free, on the engine's machine".to_owned(),
        Emulation::Register | Emulation::Private | Emulation::Host => {
            format!("{system} is emulated when no builder is free or has the features")
        }
    };
    vec![(
        "remote builders",
        format!("{}; {share}", machines.join(", ")),
    )]
}

/// Tries every builder of the run (`Phase::Builders`). Fails if one cannot be used, and warns of little disk space.
pub(crate) async fn try_all(run: &RunContext<'_>, image: &BuilderImage) -> Result<(), Failure> {
    let (plan, Context { cancel, events }) = (run.plan, run.context);
    if plan.request.resources.builders.machines.is_empty() {
        return Ok(());
    }
    let access = clients::network_access(&plan.request)?;
    let trial = TrialRun {
        containers: Containers {
            engine: plan.engine(),
            run: &plan.run,
            image,
        },
        access: &access,
    };
    let work = async {
        let trials = trial.try_all(cancel).await?;
        let mut failures = trials.iter().filter_map(Trial::failure);
        if let Some(mut first) = failures.next() {
            first.others.extend(failures);
            return Err(first);
        }
        trials
            .iter()
            .filter_map(little_space)
            .for_each(|text| events.warn(text));
        let names: Vec<_> = trials.iter().map(|trial| trial.builder.address()).collect();
        events.detail(Phase::Builders, names.join(", "));
        Ok(())
    };
    run.context.phase(Phase::Builders, work).await
}

/// The warning for a builder with little free disk space.
pub(crate) fn little_space(trial: &Trial) -> Option<String> {
    let free = trial.free.filter(|free| *free < LITTLE_SPACE)?;
    let (address, free) = (trial.builder.address(), human_bytes(free));
    Some(format!(
        "{address} has only {free} of free disk space, and the image's closure is copied there"
    ))
}

/// Bytes that are read of a key.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Bytes that are read of a list of host keys; one has a line of some hundred bytes for each server.
const MAX_KNOWN_HOSTS_BYTES: u64 = 4 << 20;

/// Why a handler is added although there are builders for the system; `None` if there are none, or they cover everything.
pub(crate) fn not_covered(request: &BuildRequest, emulation: Emulation) -> Option<String> {
    let system = request.target.system.to_string();
    let mut machines = request.resources.builders.machines.iter();
    let of_system = |one: &&RemoteBuilder| one.systems.contains(&system);
    let builder = machines
        .find(of_system)
        .filter(|_| emulation.uses_handler())?;
    (!builder.compiles_kernels()).then(|| {
        format!(
            "{} does not offer the feature big-parallel, so kernels are built here under emulation. If it may build them, \
             put big-parallel into the sixth field of its line",
            builder.address()
        )
    })
}

/// Reads the keys and host keys of the builders that the settings name. A usage error if one is missing or cannot be used.
pub(crate) fn logins(request: &BuildRequest) -> Result<SshAccess, Failure> {
    let builders = &request.resources.builders;
    let logins = builders.machines.iter().map(|builder| {
        let named = builder.key.as_deref().or(builders.key.as_deref());
        let default = builders.default_key.as_deref();
        let key = match named.or_else(|| default.filter(|key| key.exists())) {
            Some(key) => read_key(key)?,
            None => return Err(no_key(builder, default)),
        };
        Ok(BuilderLogin {
            builder: builder.clone(),
            key,
            host_keys: host_keys(builder, &builders.known_hosts)?,
        })
    });
    Ok(SshAccess::new(logins.collect::<Result<_, _>>()?))
}

fn no_key(builder: &RemoteBuilder, default: Option<&Path>) -> Failure {
    let failure = Failure::usage(format!(
        "there is no key to log in to {} with",
        builder.address()
    ))
    .hint("name a private key without a passphrase with --builder-key");
    if default.is_none() {
        return failure;
    }
    failure.hint("or run `sdbuild build` with this builder; it makes a key and prints the line for authorized_keys there")
}

/// Makes the default key if a builder of the settings has no other one and it is missing; that is a usage error that says which
/// accounts have to accept it.
pub(crate) fn make_missing_key(request: &BuildRequest) -> Result<(), Failure> {
    let builders = &request.resources.builders;
    let without_key = builders
        .machines
        .iter()
        .filter(|one| one.key.is_none() && builders.key.is_none());
    let accounts: Vec<_> = without_key.map(RemoteBuilder::address).collect();
    match builders.default_key.as_deref().filter(|key| !key.exists()) {
        Some(path) if !accounts.is_empty() && !request.common.offline => {
            Err(new_key(path, &accounts)?)
        }
        _ => Ok(()),
    }
}

/// Writes a new key pair to `path`, and the public key beside it, as ssh-keygen does; returns what has to be done with it.
fn new_key(path: &Path, accounts: &[String]) -> Result<Failure, Failure> {
    let pair = KeyPair::generate("sdbuild")?;
    let shown = path.display();
    let made = atomic_file::create_secret(path, &pair.private).and_then(|()| {
        let public = path.with_extension("pub");
        fs::write(public, format!("{}\n", pair.public.trim()))
    });
    made.or_environment(format!("make a key for remote builders, {shown}"))?;
    let text = format!(
        "created the key {shown} for remote builders; {} must accept it first",
        accounts.join(", ")
    );
    Ok(Failure::usage(text)
        .hint(format!(
            "add this line to the authorized_keys there: {}",
            pair.public.trim()
        ))
        .hint("then run it again"))
}

/// The text of a private key that ssh in the builder can use: a passphrase cannot be entered there, and no agent is available.
fn read_key(path: &Path) -> Result<String, Failure> {
    let (shown, word) = (path.display(), quoted(&path.to_string_lossy()));
    let file = plain_file::open(path).or_usage(format!("read the key {shown}"))?;
    let mode = file
        .metadata()
        .or_usage(format!("read the key {shown}"))?
        .permissions()
        .mode();
    let text =
        plain_file::read_text(path, MAX_KEY_BYTES).or_usage(format!("read the key {shown}"))?;
    if !ssh_key::is_private(&text) {
        let failure = Failure::usage(format!("{shown} is not a private SSH key"));
        return Err(failure.hint("--builder-key takes the file without .pub"));
    }
    if mode & 0o077 != 0 {
        return Err(
            Failure::usage(format!("other users can read the private key {shown}"))
                .hint(format!("make it private: chmod 600 {word}")),
        );
    }
    if ssh_key::has_passphrase(&text) {
        return Err(Failure::usage(format!("the private key {shown} has a passphrase"))
            .hint("nobody can enter it in the builder's container; create a key without one: ssh-keygen -t ed25519 -N '' \
                   -f FILE"));
    }
    Ok(text)
}

/// The keys that the builder's server may have.
fn host_keys(builder: &RemoteBuilder, files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    if let Some(key) = &builder.host_key {
        return Ok(vec![key.clone()]);
    }
    let name = known_hosts::name(&builder.host, builder.port);
    let read = |file: &PathBuf| {
        let text = plain_file::read(file, MAX_KNOWN_HOSTS_BYTES).unwrap_or_default();
        known_hosts::keys_of(&String::from_utf8_lossy(&text), &name)
    };
    let keys: Vec<String> = files.iter().flat_map(read).collect();
    if !keys.is_empty() {
        return Ok(keys);
    }
    let port = builder
        .port
        .map(|port| format!("-p {port} "))
        .unwrap_or_default();
    let host = &builder.host;
    Err(Failure::usage(format!("the host key of {} is not known", builder.address()))
        .hint(format!("add it to your known hosts, and compare its fingerprint: `ssh-keyscan -t ed25519 {port}{host} >>~/.ssh/known_hosts`"))
        .hint("or give it in the eighth field of the builder's line: on the builder, `base64 -w0 /etc/ssh/ssh_host_ed25519_key.pub` prints it"))
}

const TOPIC: &str = "builder";

/// Tries every builder of the settings, as a build does before it begins. Nothing if there is none. Fails only when it is
/// interrupted.
pub(super) async fn try_builders(
    engine: &Engine,
    request: &BuildRequest,
    context: &Context,
) -> Result<Vec<Check>, Failure> {
    if request.resources.builders.machines.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match trials(engine, request, context).await {
        Ok(Some(trials)) => trials.iter().map(check).collect(),
        Ok(None) => {
            let text =
                "not tested, because the engine does not have the builder's container image yet";
            vec![Check::good(TOPIC, text)]
        }
        Err(failure) if failure.class == Class::Interrupted => return Err(failure),
        Err(failure) => vec![Check::failed(TOPIC, &failure)],
    })
}

/// The trials; `None` if the image that they need is not there.
async fn trials(
    engine: &Engine,
    request: &BuildRequest,
    context: &Context,
) -> Result<Option<Vec<Trial>>, Failure> {
    let access = clients::network_access(request)?;
    let plan = EnginePlan::new(engine.clone(), Emulation::Native, request).await?;
    let image = match &plan.builder {
        BuilderPlan::Own(definition) if engine.image(&definition.reference()).await?.is_some() => {
            BuilderImage::ours(definition.reference())
        }
        BuilderPlan::Own(_) => return Ok(None),
        BuilderPlan::Foreign { reference, .. } => match engine.image(reference).await? {
            Some(info) => BuilderImage::foreign(&info, &context.events),
            None => return Ok(None),
        },
    };
    let run = RunId::random()?;
    // Without it another run would take the container for one that was left.
    let lock = RunLocks::new(&request.common.state_dir, engine.endpoint()).acquire(&run)?;
    let trial = TrialRun {
        containers: Containers {
            engine,
            run: &run,
            image: &image,
        },
        access: &access,
    };
    let tried = trial.try_all(&context.cancel).await;
    lock.end(&tried);
    tried.map(Some)
}

fn check(trial: &Trial) -> Check {
    if let Some(failure) = trial.failure() {
        return Check::failed(TOPIC, &failure);
    }
    if let Some(text) = little_space(trial) {
        return Check::warning(TOPIC, text).remedy("collect garbage there: nix-collect-garbage");
    }
    let free = trial
        .free
        .map_or("free disk space not known".to_owned(), |free| {
            format!("{} free", human_bytes(free))
        });
    let text = format!("{} builds; {free}", trial.builder);
    Check::good(TOPIC, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

    fn pem(cipher: &str) -> String {
        use base64::Engine as _;
        let length = u32::try_from(cipher.len()).unwrap().to_be_bytes();
        let blob = [b"openssh-key-v1\0", &length[..], cipher.as_bytes(), &[0; 9]].concat();
        let text = base64::prelude::BASE64_STANDARD.encode(blob);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n")
    }

    #[test]
    fn only_a_private_key_of_ones_own_without_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read_key(&path).map_err(|failure| failure.to_string())
        };
        assert_eq!(read(&pem("none"), 0o600), Ok(pem("none")));
        for (text, mode, message) in [
            (pem("aes256-ctr"), 0o600, "has a passphrase"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\n".into(),
                0o600,
                "has a passphrase",
            ),
            (pem("none"), 0o640, "other users can read"),
            (KEY.to_owned(), 0o600, "is not a private SSH key"),
        ] {
            let error = read(&text, mode).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert!(read_key(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_new_key_is_reported_with_its_line_and_accepted_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sdbuild/builder-key");
        let told = new_key(&path, &["ssh-ng://root@pi".to_owned()]).unwrap();
        assert!(
            told.to_string()
                .contains("ssh-ng://root@pi must accept it first"),
            "{told}"
        );
        let line = fs::read_to_string(dir.path().join("sdbuild/builder-key.pub")).unwrap();
        assert!(ssh_key::contains_key(&line), "{line}");
        assert!(told.hints[0].ends_with(line.trim()), "{told:?}");
        let private = read_key(&path).unwrap();
        let secret = private.lines().nth(2).unwrap();
        assert!(!format!("{told:?}").contains(secret), "{told:?}");
        let refused = new_key(&path, &[]).unwrap_err();
        assert!(refused.to_string().contains("builder-key"), "{refused}");
        assert_eq!(read_key(&path).unwrap(), private);
    }

    #[test]
    fn the_host_key_is_the_lines_or_a_known_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = [dir.path().join("missing"), dir.path().join("known_hosts")];
        fs::write(&files[1], format!("[pi]:2222 {KEY}\n")).unwrap();
        let keys = |line: &str| host_keys(&line.parse().unwrap(), &files);
        assert_eq!(keys("ssh://me@pi:2222 aarch64-linux").unwrap(), [KEY]);
        let failure = keys("ssh://me@pi aarch64-linux").unwrap_err();
        assert!(
            failure.hints[0].contains("ssh-keyscan -t ed25519 pi >>"),
            "{failure:?}"
        );
        let failure = keys("ssh://me@other:22 aarch64-linux").unwrap_err();
        assert!(
            failure.to_string().contains("ssh://me@other:22"),
            "{failure}"
        );
    }
}
