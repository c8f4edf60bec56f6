//! `sdbuild seed`: writes the disk from which cloud-init configures a machine.

use std::path::Path;

use serde_json::json;

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::ui;
use crate::ui::Ui;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::host_name;
use sdbuild_core::new_file;
use sdbuild_core::new_file::Access;
use sdbuild_core::plain_file;
use sdbuild_image::seed::{Seed, SeedPaths};

/// Checks the files, writes the disk unless it is there already, and prints its path.
pub fn run(args: &cli::Seed, ui: &Ui) -> Result<(), Failure> {
    if let Some(name) = &args.hostname {
        host_name::check(name)?;
    }
    let seed = Seed::make(&SeedPaths {
        user_data: &args.user_data,
        meta_data: args.meta_data.as_deref(),
        network_config: args.network_config.as_deref(),
        vendor_data: args.vendor_data.as_deref(),
        host_name: args.hostname.as_deref(),
    })?;
    for text in &seed.not_followed {
        ui.events().warn(text);
    }
    if args.output == Path::new("-") {
        return Err(
            Failure::usage("--output -: a seed is not written to standard output")
                .hint("name a file: --output seed.img"),
        );
    }
    let path = std::path::absolute(&args.output).or_usage("find the current directory")?;
    write(&path, &seed.volume)?;
    let shown = ui::sanitize_line(&path.to_string_lossy());
    if !args.json {
        return ui.result(&shown);
    }
    let files = seed.files.iter();
    let files: Vec<_> = files
        .map(|(name, size)| json!({ "name": name, "size": size }))
        .collect();
    let users: Vec<&String> = seed.logins.iter().map(|login| &login.user).collect();
    let report = json!({
        "version": VERSION, "seed": path.to_string_lossy(), "size": seed.volume.len(), "sha256": Sha256Hash::of(&seed.volume),
        "instance_id": seed.instance_id, "files": files, "users_with_keys": users,
    });
    print_json(&report, ui)
}

/// Writes `volume` to `path`, which may have it already. Only this user may read it: user-data often have secrets.
fn write(path: &Path, volume: &[u8]) -> Result<(), Failure> {
    let present = plain_file::read(path, volume.len() as u64);
    if present.is_ok_and(|present| present == volume) {
        let shown = path.display();
        return new_file::restrict(path, Access::Owner)
            .or_environment(format!("make {shown} private"));
    }
    let other = "name another file with --output, or move this file away";
    new_file::is_free(path).map_err(|failure| failure.hint(other))?;
    new_file::write(path, volume, Access::Owner, None)
}
