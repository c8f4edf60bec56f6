//! Images of packages that the tests make.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::Role;
use crate::artifact::Cache;
use crate::oci::assemble::Assembler;
use crate::oci::deb::tests::package;
use crate::oci::definition::Defaults;
use crate::oci::*;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::system::Architecture;

/// An entry of a package: path, type as in tar, content or target, mode.
pub(super) type Entry<'a> = (&'a str, u8, &'a str, u32);

pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) cache: Cache,
}

pub(super) struct Assembled {
    pub(super) archive: Vec<u8>,
    pub(super) size: u64,
    pub(super) diff_ids: Vec<String>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        Self { dir, cache }
    }

    pub(super) fn assemble(
        &self,
        packages: &[(&str, &[Entry<'_>])],
        contents: &str,
        extras: Vec<ExtraFile>,
    ) -> Result<Assembled, AssembleError> {
        let mut paths = Vec::new();
        let mut rows = Vec::new();
        for (name, entries) in packages {
            let path = self.dir.path().join(name);
            let bytes = package(entries);
            let (hash, size) = (Sha256Hash::of(&bytes), bytes.len());
            fs::write(&path, bytes).unwrap();
            paths.push(path);
            rows.push(format!(
                r#"{{"name":"{name}","version":"1","path":"{name}.deb","size":{size},"sha256":"{hash}"}}"#
            ));
        }
        let lock = format!(
            r#"{{"schema":1,"architecture":"amd64","snapshot":"x","packages":[{}],"contents":[{contents}]}}"#,
            rows.join(",")
        );
        self.assemble_lock(&lock, &paths, extras)
    }

    pub(super) fn assemble_lock(
        &self,
        lock: &str,
        packages: &[PathBuf],
        extras: Vec<ExtraFile>,
    ) -> Result<Assembled, AssembleError> {
        let defaults = Defaults {
            env: vec!["A=b".to_owned()],
            user: "1000:1000".to_owned(),
            working_dir: "/".to_owned(),
            entrypoint: Vec::new(),
            command: vec!["/bin/sh".to_owned()],
        };
        let definition =
            Definition::new(Role::Builder, Architecture::X86_64, lock, extras, defaults).unwrap();
        let assembler = Assembler {
            definition: &definition,
            packages,
            cache: &self.cache,
            progress: &drop,
        };
        let mut image = assembler.assemble(&CancellationToken::new())?;
        let mut archive = Vec::new();
        image.archive.read_to_end(&mut archive).unwrap();
        Ok(Assembled {
            archive,
            size: image.size,
            diff_ids: image.diff_ids,
        })
    }
}

pub(super) fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), bytes);
    }
    files
}

/// One line for each path: type, mode, owner, path, target.
pub(super) fn listing(layer: &[u8]) -> Vec<String> {
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), 1);
        assert_eq!(header.uid().unwrap(), header.gid().unwrap());
        let target = entry.link_name().unwrap();
        format!(
            "{} {:o} {} {}{}",
            header.entry_type().as_byte() as char,
            header.mode().unwrap(),
            header.uid().unwrap(),
            entry.path().unwrap().display(),
            target
                .map(|t| format!(" -> {}", t.display()))
                .unwrap_or_default()
        )
    };
    tar::Archive::new(layer)
        .entries()
        .unwrap()
        .map(|e| line(e.unwrap()))
        .collect()
}
