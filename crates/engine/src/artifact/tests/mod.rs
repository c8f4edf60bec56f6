//! Downloads from mirrors that answer, fail, stall or lie, and the cache.

mod cached;
mod fetching;
mod server;
mod unpinned;

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::Failure;
use sdbuild_core::hash::Sha256Hash;
use server::Server;

impl Fetcher {
    /// The same with a client that cannot be made.
    fn with_broken_client(mut self) -> Self {
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        self.client.network.authorities = broken.to_vec();
        self
    }

    /// Whether anything has been asked of a server.
    fn has_client(&self) -> bool {
        self.client.made.get().is_some()
    }
}

fn short_timeouts() -> Network {
    Network {
        offline: false,
        connect_timeout: Duration::from_millis(500),
        read_timeout: Duration::from_secs(10),
        tries: 3,
        pause: Duration::from_millis(1),
        parallel: 4,
        authorities: Vec::new(),
    }
}

fn body() -> Vec<u8> {
    (0..300_000_u32)
        .map(|i| ((i * 7919) >> 5).to_le_bytes()[0])
        .collect()
}

fn pin(name: &str, bytes: &[u8]) -> Pin {
    Pin {
        name: name.to_owned(),
        version: "1".to_owned(),
        path: format!("pool/{name}.deb"),
        size: bytes.len() as u64,
        sha256: Sha256Hash::of(bytes),
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    network: Network,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            network: short_timeouts(),
            events: Arc::default(),
        }
    }

    fn cache(&self) -> Cache {
        Cache::open(self.dir.path()).unwrap()
    }

    fn fetcher(&self) -> Fetcher {
        let events = self.events.clone();
        let events = Events::new(move |event| events.lock().unwrap().push(event));
        Fetcher::new(self.cache(), self.network.clone(), events).unwrap()
    }

    async fn fetch(&self, pin: &Pin, servers: &[&Server]) -> Result<Vec<u8>, Failure> {
        let mirrors: Vec<_> = servers.iter().map(|s| s.base.clone()).collect();
        let paths = self
            .fetcher()
            .pins(&[pin], &mirrors, &Cancel::new())
            .await?;
        assert_eq!(paths.len(), 1);
        Ok(fs::read(&paths[0]).unwrap())
    }

    fn objects(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path().join("sha256")).unwrap();
        let mut names: Vec<_> = names
            .map(|n| n.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn object(&self, pin: &Pin) -> std::path::PathBuf {
        self.dir.path().join("sha256").join(pin.sha256.to_string())
    }
}
