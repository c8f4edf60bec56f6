//! The builder: an unprivileged container that runs Nix and nothing else.
//!
//! It has no capability, no path of the host and no engine socket; the store volume is its `/nix`.
//! Input goes in by upload before it starts, output stays on the volume when it has ended. Its
//! standard input is a leash: when the future that follows it is dropped, or this process dies, the
//! entry sees the end of it and stops Nix. Removing the container is the caller's, whose guard makes it.

use std::io::{self, Write};
use std::path::PathBuf;

use super::bundle::Bundle;
use super::command::{self, BuildRequest, Places};
use super::diagnosis::{Ending, diagnose};
use super::follow::{Followed, follow};
use super::journal::Journal;
use super::layout;
use super::nixpkgs::NixpkgsIn;
use super::pack::{Owner, Packer};
use super::source::Configuration;
use crate::cancel::Cancel;
use crate::engine::labels::labels;
use crate::engine::{
    Container, ContainerGuard, ContainerSpec, Engine, ImageInfo, Network, PathKind, Role, RunId,
};
use crate::event::{Event, Events, Phase};
use crate::failure::{Class, Failure};

/// The program that runs as PID 1.
const ENTRY: &str = include_str!("../../containers/builder/entry");
/// Every emulated process counts twice; a parallel build of something large needs thousands.
const PIDS: i64 = 16_384;
/// The user of our own container image.
const OURS: Owner = Owner {
    uid: 1000,
    gid: 1000,
};

/// The container image that Nix runs in, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderImage {
    reference: String,
    user: String,
    owner: Owner,
    foreign: bool,
}

impl BuilderImage {
    /// Our own: user 1000, to whom its `/nix` belongs.
    pub fn ours(reference: impl Into<String>) -> Self {
        let (reference, user) = (reference.into(), "1000:1000".to_owned());
        Self {
            reference,
            user,
            owner: OURS,
            foreign: false,
        }
    }

    /// Reference or id, by which the engine knows it.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Whether the person chose it.
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Any other (`--builder-image`): it runs as the user that it names, because its `/nix` belongs
    /// to that one. When that is root it is root without a single capability, in its container only;
    /// root of such a container may write what root owns and nothing else.
    pub fn foreign(info: &ImageInfo, events: &Events) -> Self {
        let user = info.user.clone().unwrap_or_default();
        let (name, group) = user.split_once(':').unwrap_or((&user, ""));
        let reference = info.id.clone();
        if matches!(name, "" | "0" | "root") {
            events.warn("the builder image runs as root: all its capabilities are dropped");
            let owner = Owner { uid: 0, gid: 0 };
            return Self {
                reference,
                user: "0:0".to_owned(),
                owner,
                foreign: true,
            };
        }
        // A name's number is known inside only. What is uploaded may be read by all, and the folders
        // that must be written to are open.
        let uid = name.parse().unwrap_or(OURS.uid);
        let owner = Owner {
            uid,
            gid: group.parse().unwrap_or(uid),
        };
        Self {
            reference,
            user,
            owner,
            foreign: true,
        }
    }
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Job {
    /// The person's file.
    pub configuration: Configuration,
    /// What goes along with it.
    pub bundle: Bundle,
    /// Which nixpkgs.
    pub nixpkgs: NixpkgsIn,
    /// The call of `nix-build`.
    pub request: BuildRequest,
    /// Bytes of memory at most.
    pub memory: Option<u64>,
    /// Where the whole log is kept.
    pub log: PathBuf,
}

/// Where a builder is made.
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Whose it is.
    pub run: &'a RunId,
    /// The container image.
    pub image: &'a BuilderImage,
    /// Name of the store volume; made when it is not there.
    pub store: &'a str,
}

/// A builder with everything in it, not started yet.
#[derive(Debug)]
pub struct Prepared {
    container: Container,
    job: Job,
    store: String,
    foreign: bool,
}

/// A build that went well.
#[derive(Debug)]
pub struct Built {
    /// The stopped container: the image is copied out of it.
    pub container: Container,
    /// The result, `/nix/store/…`.
    pub out_path: String,
}

impl Builder<'_> {
    /// Makes the container and uploads what it needs ([`Phase::Upload`]). The guard removes it.
    pub async fn prepare(
        &self,
        guard: &mut ContainerGuard,
        job: Job,
        (cancel, events): (&Cancel, &Events),
    ) -> Result<Prepared, Failure> {
        let prepared = async {
            let places = self.places(&job).await?;
            self.engine
                .ensure_volume(self.store, labels(Role::Store, self.run))
                .await?;
            let container = guard.create(&self.spec(&job, &places)?).await?;
            self.upload_configuration(&container, &job).await?;
            self.upload_nixpkgs(&container, &job, (cancel, events))
                .await?;
            let (store, foreign) = (self.store.to_owned(), self.image.foreign);
            Ok(Prepared {
                container,
                job,
                store,
                foreign,
            })
        };
        cancel.race(Box::pin(prepared)).await?
    }

    async fn places(&self, job: &Job) -> Result<Places, Failure> {
        // Whatever has a builder's container may have files on the volume, also before it runs.
        let containers = self.engine.our_containers().await?;
        let builders = containers
            .into_iter()
            .filter(|c| c.role.as_deref() == Some(Role::Builder.as_str()));
        Ok(Places {
            run: self.run.to_string(),
            nixpkgs: job.nixpkgs.name(),
            root: job.configuration.root_name(),
            live: builders.filter_map(|c| c.run).collect(),
        })
    }

    fn spec(&self, job: &Job, places: &Places) -> Result<ContainerSpec, Failure> {
        let arguments = job.request.arguments(places);
        let mut spec =
            ContainerSpec::new(Role::Builder, self.run, &self.image.reference, arguments);
        spec.environment = job.request.environment(places)?;
        spec.user = Some(self.image.user.clone());
        spec.working_dir = Some("/".to_owned());
        spec.stdin = true;
        spec.network = Network::Default;
        spec.volumes = vec![(self.store.to_owned(), "/nix".to_owned())];
        spec.pids_limit = Some(PIDS);
        spec.memory = job.memory;
        Ok(spec)
    }

    async fn upload_configuration(&self, container: &Container, job: &Job) -> Result<(), Failure> {
        let (bundle, owner) = (job.bundle.clone(), self.image.owner);
        let wrapper = command::wrapper(job.configuration.file());
        let pack = move |out: &mut dyn Write| {
            let mut packer = Packer::new(out, owner);
            for folder in ["build", "build/config", "build/sdbuild"] {
                packer.directory(folder)?;
            }
            packer.bytes(relative(layout::ENTRY), ENTRY.as_bytes())?;
            packer.bytes(relative(layout::WRAPPER), wrapper.as_bytes())?;
            bundle.pack(&mut packer, relative(layout::CONFIG))?;
            packer.finish()
        };
        container
            .upload("/", pack)
            .await
            .map_err(|e| Failure::from(e).context("upload the configuration"))
    }

    /// Uploads nixpkgs, unless the volume has it already.
    async fn upload_nixpkgs(
        &self,
        container: &Container,
        job: &Job,
        (cancel, events): (&Cancel, &Events),
    ) -> Result<(), Failure> {
        let place = layout::nixpkgs(&job.nixpkgs.name());
        if container
            .stat(&place)
            .await?
            .is_some_and(|s| s.kind == PathKind::Directory)
        {
            return Ok(());
        }
        let incoming = layout::incoming(self.run.as_str());
        let incoming = incoming
            .trim_start_matches(layout::UPLOAD_ROOT)
            .trim_matches('/')
            .to_owned();
        let (nixpkgs, owner, token) = (job.nixpkgs.clone(), self.image.owner, cancel.clone());
        let events = events.clone();
        let pack = move |out: &mut dyn Write| {
            let total = nixpkgs.size();
            let mut counting = Counting {
                out,
                events,
                done: 0,
                told: 0,
                total,
            };
            let mut packer = Packer::new(&mut counting, owner);
            packer.open_directory("sdbuild")?;
            packer.open_directory(&incoming)?;
            nixpkgs.pack(&mut packer, &incoming, &token)?;
            packer.finish()
        };
        container
            .upload(layout::UPLOAD_ROOT, pack)
            .await
            .map_err(|e| Failure::from(e).context("upload nixpkgs to the store volume"))
    }
}

impl Prepared {
    /// Starts it and follows it to its end ([`Phase::Build`]). Dropping the future lets go of the
    /// leash, and the builder stops by itself.
    pub async fn build(self, cancel: &Cancel, events: &Events) -> Result<Built, Failure> {
        let mut journal = Journal::create(&self.job.log)?;
        events.emit(Event::LogFile(self.job.log.clone()));
        let shown = self.job.configuration.shown_folder();
        let followed = async {
            let attached = self.container.attach().await?;
            self.container.start().await?;
            follow(
                &self.container,
                attached,
                &mut journal,
                &show(events, shown),
            )
            .await
        };
        let followed = cancel
            .race(Box::pin(followed))
            .await
            .and_then(|result| result);
        let (findings, trouble) = journal.finish();
        if let Some(error) = trouble {
            events.warn(format!(
                "the log {} is not whole: {error}",
                self.job.log.display()
            ));
        }
        let with_log = |failure: Failure| Failure {
            log: Some(self.job.log.clone()),
            ..failure
        };
        let Followed { exit, out } = followed.map_err(with_log)?;
        if exit.code != 0 {
            let ending = Ending {
                code: exit.code,
                oom_killed: exit.oom_killed,
                emulated: self.job.request.emulated,
                foreign: self.foreign,
                store: &self.store,
                shown_folder: shown,
                file: self.job.configuration.file(),
            };
            return Err(with_log(diagnose(&ending, &findings)));
        }
        let out_path = only_path(&out).map_err(with_log)?;
        Ok(Built {
            container: self.container,
            out_path,
        })
    }
}

/// Events whose messages name the person's own places.
fn show(events: &Events, shown: &str) -> Events {
    let (events, shown) = (events.clone(), shown.to_owned());
    Events::new(move |mut event| {
        use crate::event::NixEvent::Message;
        if let Event::Nix(Message { text, .. }) = &mut event {
            *text = text.replace("/build/config/", &shown);
        }
        events.emit(event);
    })
}

/// What `nix-build` printed: one store path, or something is very wrong.
fn only_path(lines: &[String]) -> Result<String, Failure> {
    match lines {
        [line] if is_store_path(line) => Ok(line.clone()),
        lines => Err(Failure::message(
            Class::Build,
            format!(
                "nix-build printed {} lines instead of one store path",
                lines.len()
            ),
        )
        .hint("the attribute must be a single derivation with a single output")),
    }
}

/// `/nix/store/`, 32 characters of hash, a dash, a name of at most 211 characters.
fn is_store_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("/nix/store/") else {
        return false;
    };
    let Some((hash, name)) = rest.split_once('-') else {
        return false;
    };
    let lower = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+._?=-".contains(&b);
    hash.len() == 32
        && hash.bytes().all(lower)
        && (1..=211).contains(&name.len())
        && name.bytes().all(plain)
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Tells how many bytes went through, every mebibyte.
struct Counting<'w> {
    out: &'w mut dyn Write,
    events: Events,
    done: u64,
    told: u64,
    total: u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.done += n as u64;
        if self.done - self.told >= 1 << 20 {
            self.told = self.done;
            // headers count as well, so it may be a little more than the files
            self.events
                .bytes(Phase::Upload, self.done.min(self.total), Some(self.total));
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_store_path_is_a_result() {
        let good = format!("/nix/store/{}-nixos.img", "a".repeat(32));
        assert_eq!(only_path(std::slice::from_ref(&good)).unwrap(), good);
        for lines in [
            vec![],
            vec![good.clone(), good.clone()],
            vec![format!("{good}/../x")],
        ] {
            assert_eq!(only_path(&lines).unwrap_err().class, Class::Build);
        }
        for bad in [
            "",
            "/nix/store/a-b",
            "/etc/passwd",
            &good.to_uppercase(),
            &format!("{good}\n"),
        ] {
            assert!(!is_store_path(bad), "{bad}");
        }
        assert!(!is_store_path(&format!(
            "/nix/store/{}-{}",
            "a".repeat(32),
            "x".repeat(212)
        )));
    }

    #[test]
    fn a_foreign_image_runs_as_its_own_user() {
        let image = |user: Option<&str>| {
            let info = ImageInfo {
                id: "sha256:1".into(),
                tags: vec![],
                layers: vec![],
                labels: std::collections::HashMap::new(),
                size: 0,
                user: user.map(str::to_owned),
                env: vec![],
            };
            let image = BuilderImage::foreign(&info, &Events::none());
            (image.user, image.owner.uid, image.owner.gid)
        };
        for root in [None, Some("root"), Some("0"), Some("0:0")] {
            assert_eq!(image(root), ("0:0".into(), 0, 0));
        }
        assert_eq!(image(Some("1001:100")), ("1001:100".into(), 1001, 100));
        assert_eq!(image(Some("nix")), ("nix".into(), 1000, 1000));
    }

    #[test]
    fn messages_name_the_persons_places() {
        let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = std::sync::Arc::clone(&heard);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        let text = "error at /build/config/sd-card.nix:1:1".to_owned();
        let message = |text: String| Event::Nix(crate::event::NixEvent::Message { level: 0, text });
        show(&events, "pi/").emit(message(text));
        assert_eq!(
            heard.lock().unwrap()[0],
            message("error at pi/sd-card.nix:1:1".into())
        );
    }
}
