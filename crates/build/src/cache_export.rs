//! Exports what a build made to a binary cache.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::builder::{BuilderImage, Containers, Export, Report};
use crate::cache_key::CacheKey;
use crate::clients;
use crate::container_images::provide_ours;
use crate::network_access::NetworkAccess;
use crate::output::CacheDir;
use crate::remote_builder::RemoteBuilder;
use crate::request::BuildRequest;
use crate::store_run::in_own_run;
use sdbuild_core::absolute_path::absolute;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::http_url;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::loopback::is_loopback;
use sdbuild_engine::oci::Definition;
use sdbuild_nix::nix_conf::NixSettings;

/// Chunks of the archive that wait for the disk.
const CHUNKS: usize = 16;

/// Destination of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A directory, absolute.
    Dir(PathBuf),
    /// A binary cache that takes HTTP PUT: its address, without a slash at its end.
    Http(String),
    /// The store of another machine.
    Store(Box<RemoteBuilder>),
}

impl Destination {
    /// What the user named, relative to `here`. A usage error for an address that Nix in the builder cannot write to.
    pub fn parse(text: &str, here: &Path) -> Result<Self, Failure> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        match scheme {
            "" => Ok(Self::Dir(absolute(Path::new(rest), here))),
            "file" if Path::new(rest).is_absolute() => Ok(Self::Dir(rest.into())),
            "file" => Err(Failure::usage(format!("{text} is not an absolute path")).hint("give file:///DIR, or only the directory")),
            "http" | "https" => {
                http_url::check(text)
                    .map_err(|why| Failure::usage(format!("the address of the binary cache {why}")).hint("put the login into --netrc-file FILE"))?;
                if is_loopback(text) {
                    return Err(Failure::usage(format!("{text} is only on this machine, and Nix runs in a container that \
                                        cannot reach it"))
                        .hint("name it by an address that containers reach, such as 172.17.0.1, or export to its directory"));
                }
                Ok(Self::Http(text.trim_end_matches('/').to_owned()))
            }
            // Which systems it builds for does not matter.
            "ssh-ng" | "ssh" => format!("{text} any").parse().map(|machine| Self::Store(Box::new(machine))).map_err(Failure::usage),
            _ => Err(Failure::usage(format!("sdbuild does not export to {scheme}://"))
                .hint("export to a directory, and upload it with the service's own program, such as cachix, attic or aws")),
        }
    }

    /// What Nix or curl in the container sends to.
    fn address(&self) -> Option<String> {
        match self {
            Self::Dir(_) => None,
            Self::Http(url) => Some(url.clone()),
            Self::Store(machine) => Some(machine.store()),
        }
    }
}

/// An export.
#[derive(Clone, Debug)]
pub struct CacheExport<'a> {
    /// The settings of builds.
    pub request: &'a BuildRequest,
    /// The store path of the build's result.
    pub result: &'a str,
    /// Destination of the export.
    pub destination: &'a Destination,
    /// The key that signs.
    pub key: &'a CacheKey,
    /// Whether what binary caches have is exported too.
    pub all: bool,
}

/// Summary of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Store paths.
    pub paths: u64,
    /// Bytes that they take in the store.
    pub bytes: u64,
}

impl CacheExport<'_> {
    /// Exports what the destination and the binary caches of the settings lack (`Phase::Export`).
    pub async fn run(&self, context: &Context) -> Result<Exported, Failure> {
        self.check()?;
        let cancel = &context.cancel;
        let common = &self.request.common;
        let engine = clients::connect(common, cancel).await?;
        let volumes = cancel.race(engine.our_volumes()).await??;
        if !volumes.iter().any(|volume| volume.name == common.store) {
            let text = format!("there is no store volume {} in the engine", common.store);
            return Err(Failure::environment(text).hint("build the image here first"));
        }
        let image = provide_ours(&engine, common, Definition::builder, context).await?;
        let image = BuilderImage::ours(image);
        let access = self.access()?;
        let cache = match self.destination {
            Destination::Dir(dir) => Some(CacheDir::open(dir)?),
            Destination::Http(_) | Destination::Store(_) => None,
        };
        let export = async |containers: Containers<'_>| {
            let export = self.export(containers, &access, cache, context);
            Box::pin(export).await
        };
        let exported = in_own_run(&engine, common, &image, cancel, export);
        context.phase(Phase::Export, Box::pin(exported)).await
    }

    /// Refuses what cannot work before anything is begun.
    fn check(&self) -> Result<(), Failure> {
        if self.request.resources.builder_image.is_some() {
            let text = "sdbuild can export only builds of its own builder image, not those of --builder-image";
            return Err(Failure::usage(text).hint("leave `builder-image` out of the settings"));
        }
        if !self.request.common.offline {
            return Ok(());
        }
        if !matches!(self.destination, Destination::Dir(_)) {
            return Err(Failure::usage(
                "--offline does not allow an export to another machine",
            ));
        }
        if !self.all && !self.request.caches.substituters.is_empty() {
            let text = "--offline does not allow asking the binary caches what they have";
            return Err(Failure::usage(text).hint("export everything with --all"));
        }
        Ok(())
    }

    /// The network of a build, with the login of the destination and the key.
    fn access(&self) -> Result<NetworkAccess, Failure> {
        let mut request = self.request.clone();
        request.resources.builders.machines = match self.destination {
            Destination::Store(machine) => vec![(**machine).clone()],
            Destination::Dir(_) | Destination::Http(_) => Vec::new(),
        };
        Ok(NetworkAccess {
            cache_key: Some(self.key.secret()),
            ..clients::network_access(&request)?
        })
    }

    async fn export(
        &self,
        containers: Containers<'_>,
        access: &NetworkAccess,
        cache: Option<CacheDir>,
        context: &Context,
    ) -> Result<Exported, Failure> {
        let caches = &self.request.caches;
        let nix = NixSettings {
            substituters: caches.substituters.clone(),
            keys: caches.trusted_public_keys.clone(),
            has_netrc: access.netrc.is_some(),
            stall_timeout: self.request.common.stall_timeout,
            offline: self.request.common.offline,
            ..NixSettings::default()
        };
        let exported = cache
            .as_ref()
            .map_or(Ok(Vec::new()), |cache| cache.exported(self.key.name()))?;
        let address = self.destination.address();
        let export = Export {
            containers,
            store: &self.request.common.store,
            access,
            nix: &nix,
            result: self.result,
            address: address.as_deref(),
            key: self.key.name(),
            caches: if self.all { &[] } else { &caches.substituters },
            exported: &exported,
        };
        let counts = Counts::default();
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let chunks = stream::unfold(receiver, |mut chunks: mpsc::Receiver<Bytes>| async move {
            let chunk = chunks.recv().await?;
            Some((Ok::<_, io::Error>(chunk), chunks))
        });
        let archive = StreamReader::new(Box::pin(chunks));
        let name = self.key.name().to_owned();
        let handle = tokio::runtime::Handle::current();
        // Ends with the sender, which the export owns.
        let take = tokio::task::spawn_blocking(move || match cache {
            None => Ok(()),
            Some(cache) => cache.take(SyncIoBridge::new_with_handle(archive, handle), &name),
        });
        let report = |report| counts.note(report, &context.events);
        let sent = export.run(sender, report, context).await;
        let taken = take.await.or_internal("write the binary cache")?;
        // What the archive's end means is known by the container's.
        match (sent, taken) {
            (Ok(()), Ok(())) => Ok(counts.exported()),
            (Err(failure), _) | (Ok(()), Err(failure)) => Err(failure),
        }
    }
}

/// Counters of a running export.
#[derive(Debug, Default)]
struct Counts {
    paths: AtomicU64,
    bytes: AtomicU64,
    done: AtomicU64,
}

impl Counts {
    fn note(&self, report: Report, events: &Events) {
        match report {
            Report::Paths { paths, bytes } => {
                self.paths.store(paths, Ordering::Relaxed);
                self.bytes.store(bytes, Ordering::Relaxed);
            }
            Report::Exported => {
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
        let Exported { paths, bytes } = self.exported();
        let done = self.done.load(Ordering::Relaxed);
        let text = format!("{done} of {paths} store paths ({})", human_bytes(bytes));
        events.detail(Phase::Export, text);
    }

    fn exported(&self) -> Exported {
        Exported {
            paths: self.paths.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_what_nix_can_write_to() {
        let parse = |text: &str| Destination::parse(text, Path::new("/here"));
        let dir = |path: &str| Destination::Dir(path.into());
        assert_eq!(parse("cache").unwrap(), dir("/here/cache"));
        assert_eq!(parse("file:///srv/cache").unwrap(), dir("/srv/cache"));
        let http = Destination::Http("https://c.example/x".to_owned());
        assert_eq!(parse("https://c.example/x/").unwrap(), http);
        let store = parse("ssh-ng://me@pi:2222").unwrap();
        assert_eq!(store.address().as_deref(), Some("ssh-ng://me@pi:2222"));
        for (text, why) in [
            ("file://srv", "not an absolute path"),
            ("https://me:secret@c.example", "user name or password"),
            ("http://127.0.0.1:8080", "only on this machine"),
            ("ssh-ng://pi", "the account is missing"),
            ("s3://bucket", "does not export to s3://"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
            assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
        }
    }
}
