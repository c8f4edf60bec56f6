//! `sdbuild try`: the miniature image through the whole pipeline, then booted. What it takes is in the program.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::commands;
use crate::commands::build::BuildOutput;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::output::Image;
use crate::settings::{self, Common, Environment};
use crate::template::{self, KeyPair, PublicKey, TemplateValues};
use crate::ui::Ui;

/// What the machine is called.
const NAME: &str = "sdbuild-try";
/// The options that the hints of a failed boot name are not those of `try`.
const KEEP: &str = "`sdbuild try --no-boot --output DIR` keeps the image and its key, and `sdbuild boot DIR/*.img \
    --until-ssh --ssh-key DIR/key` has --timeout, --memory and --firmware";

/// Builds and boots; leaves nothing that was not asked for.
pub async fn run(
    args: &cli::Try,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let common = Common::without_file(env)?;
    let temporary = temporary(&common)?;
    let kept = args.output.as_deref().map(there).transpose()?;
    let place = kept.as_deref().unwrap_or(temporary.path());
    let ground = TryWorkspace::create(place, temporary.path(), env)?;
    let settings = settings::Build::resolve(&ground.build(args), env)?;
    let tell = |image: &Image| match &kept {
        Some(_) => ui.result(&image.path.to_string_lossy()),
        None => Ok(()),
    };
    let asker = BuildOutput {
        report: &tell,
        keep_hint: kept.is_none().then_some(KEEP),
    };
    let built = Box::pin(commands::build::build(settings, env, (ui, context, &asker))).await;
    let hint = "`sdbuild doctor` looks at every condition; --no-boot leaves out what booting needs";
    built.map_err(|failure| failure.hint(hint))?;
    let did = if args.no_boot {
        "built an image"
    } else {
        "built an image, booted it and logged in"
    };
    context.events.notice(format!(
        "this machine can do it: {did}. Next: `sdbuild init` writes ./sd-card.nix, `sdbuild check` looks at it, \
         `sdbuild build` makes your own image"
    ));
    Ok(())
}

/// A directory that goes with this value.
fn temporary(common: &Common) -> Result<tempfile::TempDir, Failure> {
    let parent = &common.cache_dir;
    let make = || {
        fs::create_dir_all(parent)?;
        tempfile::Builder::new()
            .prefix(".tmp-try-")
            .tempdir_in(parent)
    };
    make().or_environment(format!("make a directory in {}", parent.display()))
}

/// The directory that is kept, absolute.
fn there(dir: &Path) -> Result<PathBuf, Failure> {
    let make = || {
        fs::create_dir_all(dir)?;
        dir.canonicalize()
    };
    make().or_usage(format!("make the directory {}", dir.display()))
}

/// What the build is made from.
struct TryWorkspace {
    config: PathBuf,
    key: PathBuf,
    nixpkgs: PathBuf,
    output: PathBuf,
}

impl TryWorkspace {
    /// Writes configuration and key into `place`, the miniature nixpkgs into `temporary`.
    fn create(place: &Path, temporary: &Path, env: &Environment) -> Result<Self, Failure> {
        let ground = Self {
            config: place.join("sd-card.nix"),
            key: place.join("key"),
            nixpkgs: env
                .mini_nixpkgs
                .clone()
                .unwrap_or_else(|| temporary.join("nixpkgs")),
            output: place.to_owned(),
        };
        let path = env.path.as_deref().unwrap_or(OsStr::new("/usr/bin:/bin"));
        let pair = KeyPair::generate(NAME, path, temporary)?;
        let blanks = TemplateValues {
            keys: vec![PublicKey { line: pair.public }],
            host_name: NAME.to_owned(),
            time_zone: None,
            locale: None,
            wifi: None,
        };
        let write = |path: &Path, text: &str| {
            let options = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            let written = options.and_then(|mut file| file.write_all(text.as_bytes()));
            written.or_usage(format!("write {}", path.display()))
        };
        write(&ground.key, &pair.private)?;
        write(&ground.config, &template::render(&blanks))?;
        if env.mini_nixpkgs.is_none() {
            let shown = ground.nixpkgs.display();
            template::unpack_miniature(&ground.nixpkgs).or_environment(format!("write {shown}"))?;
        }
        Ok(ground)
    }

    /// The build, as a user would have typed it.
    fn build(&self, args: &cli::Try) -> cli::Build {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        cli::Build {
            subject: cli::ConfigArgs {
                config: Some(self.config.clone()),
                nixpkgs: Some(text(&self.nixpkgs)),
                system: Some("aarch64-linux".to_owned()),
                ssh_key: (!args.no_boot).then(|| self.key.clone()),
                ..cli::ConfigArgs::default()
            },
            emulation: args.emulation,
            output: Some(self.output.clone()),
            // It is booted and goes again.
            compress: Some("none".to_owned()),
            boot_test: !args.no_boot,
            substituters: Some(String::new()),
            ..cli::Build::default()
        }
    }
}
