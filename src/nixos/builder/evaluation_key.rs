//! The key that identifies an evaluation. Pure.

use std::io;

use super::container::BuildJob;
use super::own_texts;
use crate::nixos::command::{BuildRequest, StorePaths, Task};
use crate::nixos::tar_writer::{Owner, TarWriter};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_nix::nix_conf::NixSettings;

/// The hash of everything that the evaluation of a job depends on, except the files of its source: sdbuild's own texts and
/// settings, the builder's container image, nixpkgs by its content, and how the source is named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings(Sha256Hash);

impl Surroundings {
    /// Those of `job` in the container image `image`, a reference that names its content.
    pub(super) fn of(job: &BuildJob, image: &str) -> Result<Self, Failure> {
        let request = with_same_result(&job.request);
        let paths = StorePaths {
            run: String::new(),
            configuration: job.configuration.clone(),
            live: Vec::new(),
        };
        let mut hash = Fields(Hasher::new());
        hash.add(env!("CARGO_PKG_VERSION"));
        hash.add(image);
        for text in own_texts::all() {
            hash.add(text);
        }
        for word in request.arguments(&paths) {
            hash.add(&word);
        }
        for (name, value) in request.environment(&paths)? {
            hash.add(&name);
            hash.add(&value);
        }
        for (name, value) in job.source.environment(&request.task) {
            hash.add(name);
            hash.add(&value);
        }
        for (path, text) in job.source.own_files(&request) {
            hash.add(&path);
            hash.add(&text);
        }
        Ok(Self(hash.0.finish().sha256))
    }

    /// The key of the evaluation when the builder sees the source `files`.
    pub(super) fn with_files(self, files: Sha256Hash) -> Sha256Hash {
        Sha256Hash::of(format!("{} {files}", self.0).as_bytes())
    }
}

/// A request with the same evaluation as `request`, and equal for all requests that differ only in what cannot change its result: a
/// forecast evaluates the same as a build, and how much is done at once decides only how fast it is.
fn with_same_result(request: &BuildRequest) -> BuildRequest {
    let NixSettings {
        cores,
        jobs,
        connections,
        heap,
        ..
    } = NixSettings::default();
    BuildRequest {
        task: Task::Build,
        nix: NixSettings {
            cores,
            jobs,
            connections,
            heap,
            ..request.nix.clone()
        },
        ..request.clone()
    }
}

impl BuildJob {
    /// The key of the job's evaluation in the container image `image`, a reference that names its content; it reads all files
    /// of the source. `None` if something else decides as well what is evaluated: a flake that is fetched.
    pub fn evaluation_key(&self, image: &str) -> Result<Option<Sha256Hash>, Failure> {
        if !self.source.is_uploaded() {
            return Ok(None);
        }
        let mut sink = io::sink();
        let mut tar = TarWriter::new(&mut sink, Owner { uid: 0, gid: 0 });
        let hashes: io::Result<Vec<_>> = self
            .source
            .files
            .iter()
            .map(|dir| Ok(dir.files.pack(&mut tar, "files")?.sha256))
            .collect();
        let hashes = hashes.or_usage("read the configuration")?;
        let files = self.source.sha256(&hashes);
        Ok(Some(Surroundings::of(self, image)?.with_files(files)))
    }
}

/// Hashes texts so that their borders matter.
struct Fields(Hasher);

impl Fields {
    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::build_mode::Glue;
    use sdbuild_core::system::System;
    use sdbuild_image::image_format::Format;

    fn request(task: Task, nix: NixSettings) -> BuildRequest {
        BuildRequest {
            task,
            system: System::Aarch64Linux,
            format: Format::default(),
            emulated: true,
            glue: Glue::default(),
            nix,
            debian_mirror: None,
        }
    }

    /// What Nix is given.
    fn given(request: &BuildRequest) -> (Vec<String>, Vec<(String, String)>) {
        let paths = StorePaths {
            run: String::new(),
            configuration: "abc".into(),
            live: Vec::new(),
        };
        let request = with_same_result(request);
        (
            request.arguments(&paths),
            request.environment(&paths).unwrap(),
        )
    }

    #[test]
    fn how_much_is_done_at_once_changes_no_result() {
        let one = given(&request(Task::Build, NixSettings::default()));
        let more = NixSettings {
            cores: 3,
            jobs: Some(4),
            connections: Some(5),
            heap: Some(1 << 30),
            ..NixSettings::default()
        };
        assert_eq!(given(&request(Task::Forecast, more)), one);
        let cached = NixSettings {
            substituters: vec!["https://cache.example".into()],
            ..NixSettings::default()
        };
        assert_ne!(given(&request(Task::Build, cached)), one);
    }
}
