//! Writes the container image of sdbuild, as `docker load` takes it:
//!
//! ```text
//! cargo run --example tool-image -- PROGRAM amd64|arm64 ARCHIVE
//! ```
//!
//! `PROGRAM` is the static program for that architecture, see `scripts/release`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

use sdbuild::settings::{Environment, common_without_file};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::system::Architecture;
use sdbuild_engine::artifact::{Cache, Fetcher, Network};
use sdbuild_engine::oci::{Definition, Images};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [program, architecture, archive] = &words[..] else {
        return Err(Failure::usage("give PROGRAM ARCHITECTURE ARCHIVE"));
    };
    let named = |known: &Architecture| architecture == known.debian_name();
    let architecture = [Architecture::X86_64, Architecture::Aarch64]
        .into_iter()
        .find(named)
        .ok_or_else(|| Failure::usage("the architecture is amd64 or arm64"))?;
    let (program, archive) = (Path::new(program), Path::new(archive));
    let bytes = std::fs::read(program).or_usage(format!("read {}", program.display()))?;
    let settings = common_without_file(&Environment::read())?;
    let locks = settings.locks.as_deref();
    let tool = Definition::tool(architecture, bytes, env!("CARGO_PKG_VERSION"), locks)?;
    let cache = Cache::open(&settings.cache_dir).or_environment("open the cache directory")?;
    let fetcher = Fetcher::new(cache, Network::default(), Events::none())?;
    let images = Images::new(fetcher, settings.mirrors, Events::none());
    let mut image = images.assemble(&tool, &Cancel::new()).await?;
    let mut write = || io::copy(&mut image.archive, &mut File::create(archive)?);
    write()
        .or_environment(format!("write {}", archive.display()))
        .map(drop)
}
