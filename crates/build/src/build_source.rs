//! What a build starts from, read whole: the one place that knows whether it is a module file or a flake.

use std::ffi::OsString;

use super::build_mode::Product;
use super::command::{NixCommand, Task};
use super::config_dir::UploadDir;
use super::configuration::Configuration;
use super::flake::Flake;
use super::lock::Locked;
use super::nixpkgs::LocalNixpkgs;
use super::stored_tree::InputTree;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::nix_string::nix_string;
use sdbuild_image::image_format::{Format, Maker};
use sdbuild_nix::cli_module::CliModule;
use sdbuild_nix::known_repository::release_in;
use sdbuild_nix::layout;
use sdbuild_nix::user_files::UserFiles;

/// The source of a build: a module file or a flake.
#[derive(Clone, Debug)]
pub enum Source {
    /// A module file, which is evaluated with a nixpkgs.
    Module(Configuration),
    /// A flake, which names its own.
    Flake(Box<Flake>),
}

/// A nixpkgs that can be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedNixpkgs {
    /// The files of nixpkgs.
    pub nixpkgs: LocalNixpkgs,
    /// Its lock entry; `None` for a local directory, which only its content identifies.
    pub locked: Option<Locked>,
}

/// A source ready to be built: what is uploaded, what is evaluated and what pins it. Everything after it takes this value,
/// and does not ask what the source is.
#[derive(Clone, Debug)]
pub(crate) struct BuildSource {
    /// The source.
    pub(super) source: Source,
    /// What the command line adds to it.
    cli_module: CliModule,
    /// The nixpkgs of `<nixpkgs>`; `None` if the source names its own.
    pub nixpkgs: Option<ResolvedNixpkgs>,
    /// The directories that are uploaded.
    pub(super) files: Vec<UploadDir>,
}

impl Source {
    /// The source as the user named it: `pi/sd-card.nix`, `.#pi`.
    pub fn shown(&self) -> String {
        match self {
            Self::Module(file) => format!("{}{}", file.shown_dir(), file.file()),
            Self::Flake(flake) => flake.reference().to_string(),
        }
    }

    /// The source as messages name it: `the configuration pi/sd-card.nix`, `the flake ../pi`.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Module(file) => file.in_words(),
            Self::Flake(flake) => flake.reference().in_words(),
        }
    }

    /// The source without any path of this machine, for the manifest.
    pub(crate) fn public_name(&self) -> String {
        match self {
            Self::Module(file) => file.file().to_owned(),
            Self::Flake(flake) => flake.public_name(),
        }
    }

    /// Identifies the source among all sources of this machine.
    pub fn identity(&self) -> OsString {
        match self {
            Self::Module(file) => file.path().into_os_string(),
            Self::Flake(flake) => flake.identity().into(),
        }
    }

    /// The flake, if it is one.
    pub(super) fn flake(&self) -> Option<&Flake> {
        match self {
            Self::Module(_) => None,
            Self::Flake(flake) => Some(flake),
        }
    }

    /// What replaces the directory of the source in messages: empty or with a slash at the end.
    pub(super) fn shown_dir(&self) -> String {
        match self {
            Self::Module(file) => file.shown_dir().to_owned(),
            Self::Flake(flake) => flake.shown_dir(),
        }
    }

    /// Lists what is uploaded, and warns of what is not.
    pub async fn collect(&self, context: &Context) -> Result<Vec<UploadDir>, Failure> {
        let (source, Context { cancel, events }) = (self.clone(), context.clone());
        let token = cancel.clone();
        let list = move || match source {
            Self::Module(file) => {
                let place = layout::CONFIG.to_owned();
                let files = file.collect(&token, &events)?;
                Ok(vec![UploadDir { place, files }])
            }
            Self::Flake(flake) => flake.collect(&token, &events),
        };
        let list = tokio::task::spawn_blocking(list);
        let listed = cancel.race(list).await?;
        listed.or_internal("list the configuration's files")?
    }
}

impl BuildSource {
    /// `source` with what the command line adds, its nixpkgs and its listed files.
    pub(crate) fn new(
        source: Source,
        cli_module: CliModule,
        nixpkgs: Option<ResolvedNixpkgs>,
        files: Vec<UploadDir>,
    ) -> Self {
        Self {
            source,
            cli_module,
            nixpkgs,
            files,
        }
    }

    /// Another configuration of the same flake; `None` for a module file.
    pub(super) fn with_attribute(&self, attribute: &[String]) -> Option<Self> {
        let flake = self.flake()?.with_attribute(attribute);
        Some(Self {
            source: Source::Flake(Box::new(flake)),
            ..self.clone()
        })
    }

    /// SHA-256 of everything that the builder sees of the source, without nixpkgs; `files` are those of the uploaded
    /// directories.
    pub(super) fn sha256(&self, files: &[Sha256Hash]) -> Sha256Hash {
        let inputs = self.input_trees().iter().map(InputTree::digest).collect();
        combined(&[files.to_vec(), inputs].concat(), &self.cli_module)
    }

    /// What is in the place of inputs of the flake and stays on the store volume.
    pub(super) fn input_trees(&self) -> Vec<InputTree> {
        self.flake().map(Flake::input_trees).unwrap_or_default()
    }

    /// The flake, if the source is one.
    pub(super) fn flake(&self) -> Option<&Flake> {
        self.source.flake()
    }

    /// Whether what is uploaded decides what is evaluated: all but a flake that the builder fetches, or that has inputs in the
    /// place of others.
    pub(super) fn is_uploaded(&self) -> bool {
        self.flake().is_none_or(Flake::is_uploaded)
    }

    /// The release of the nixpkgs of `<nixpkgs>`, such as `26.05` or `unstable`, as far as its lock entry tells it.
    pub(super) fn release(&self) -> Option<&str> {
        let locked = self.nixpkgs.as_ref()?.locked.as_ref()?;
        let requested = locked.release.as_deref().or(locked.requested.as_deref());
        requested
            .and_then(release_in)
            .or_else(|| release_in(&locked.url))
    }

    /// The size of the source's own files that are uploaded, in bytes.
    pub(super) fn uploaded_bytes(&self) -> u64 {
        self.files.iter().map(|dir| dir.files.bytes).sum()
    }

    /// The user's files, where they can be looked at.
    pub(super) fn user_files(&self) -> Option<UserFiles> {
        match &self.source {
            Source::Module(file) => Some(UserFiles::new(file.root()).beginning_with(file.file())),
            Source::Flake(flake) => flake.user_files(),
        }
    }

    /// The definitions of the command line.
    pub(super) fn cli_module(&self) -> &CliModule {
        &self.cli_module
    }

    /// References that the builder uses for the source, and how the user wrote them.
    pub(super) fn shown_references(&self) -> Vec<(String, String)> {
        let reference = |flake: &Flake| (flake.url(), flake.reference().text.clone());
        self.flake().map(reference).into_iter().collect()
    }

    /// Environment variables of the builder that belong to the source: name and value. In a shell, `NIX_PATH` includes the
    /// configuration, for `<nixpkgs/nixos>`.
    pub(super) fn environment(&self, task: &Task) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        if let Some(nixpkgs) = &self.nixpkgs {
            let name = nixpkgs.nixpkgs.name();
            let nixpkgs = format!("nixpkgs={}", layout::nixpkgs(&name));
            let path = match task.session() {
                Some(_) => format!("{nixpkgs}:nixos-config={}", layout::WRAPPER),
                None => nixpkgs,
            };
            all.extend([("NIX_PATH", path), ("SDBUILD_NIXPKGS", name)]);
        }
        if let Source::Flake(flake) = &self.source {
            all.push(("SDBUILD_FLAKE", flake.url()));
            let inputs: Vec<_> = self.input_trees().iter().map(InputTree::name).collect();
            if !inputs.is_empty() {
                all.push(("SDBUILD_INPUTS", inputs.join(" ")));
            }
            if flake.overriding_flake().is_some() {
                all.push(("SDBUILD_FLAKE_OVERRIDDEN", layout::OVERRIDDEN.to_owned()));
                all.push(("SDBUILD_FLAKE_OVERRIDES", flake.override_lines()));
            }
            if flake.is_locked_by_overrides() {
                all.push(("SDBUILD_FLAKE_UNLOCKED", "yes".to_owned()));
            }
        }
        all
    }

    /// The files of sdbuild's that depend on this source: path in the builder and content.
    pub(super) fn own_files(&self, request: &NixCommand) -> Vec<(String, String)> {
        let system = request.system.to_string();
        let expression = |name: &str| format!("{}/{name}", layout::EXPRESSIONS);
        let mut all = vec![
            (
                expression("format.nix"),
                format_expression(&request.format, request.is_default_format, request.product),
            ),
            (expression("command-line.nix"), self.cli_module.module()),
        ];
        let mirror = request.debian_mirror.iter();
        all.extend(mirror.map(|mirror| (layout::DEBIAN_MIRROR.to_owned(), mirror.clone())));
        match &self.source {
            Source::Module(file) => {
                let source = nix_string(&system);
                let source = format!("import ./module.nix {{ system = {source}; }}\n");
                all.push((layout::SOURCE.to_owned(), source));
                all.push((layout::WRAPPER.to_owned(), wrapper(file.file())));
            }
            Source::Flake(flake) => {
                let changed = !self.cli_module.is_empty();
                let source = flake.expression(&system, changed);
                all.push((layout::SOURCE.to_owned(), source));
                let overriding = flake.overriding_flake();
                let path = format!("{}/flake.nix", layout::OVERRIDDEN);
                all.extend(overriding.map(|text| (path, text)));
            }
        }
        all
    }
}

/// The module that imports the user's file by its path, so that errors name it, and the module that sdbuild adds.
fn wrapper(file: &str) -> String {
    let path = nix_string(&format!("/{file}"));
    let (dir, expressions) = (layout::CONFIG, layout::EXPRESSIONS);
    format!("{{ imports = [ ({dir} + {path}) {expressions}/additions.nix ]; }}\n")
}

/// What the expressions know of the format, and whether the system is built in place of the image.
fn format_expression(format: &Format, is_default: bool, product: Product) -> String {
    let is_system = product == Product::System;
    let list = |names: &[&str]| {
        let names: String = names.iter().map(|name| nix_string(name) + " ").collect();
        format!("[ {names}]")
    };
    let candidates = format.candidates();
    let candidates: String = candidates.iter().map(|one| list(one) + " ").collect();
    let maker = format.row().maker;
    let or_null = |text: Option<&str>| text.map_or("null".to_owned(), nix_string);
    let members = or_null(Some(format.row().name).filter(|_| maker == Maker::Archive));
    let module = or_null(match maker {
        Maker::Nixpkgs | Maker::Archive => None,
        Maker::Disk => Some("disk.nix"),
        Maker::Iso => Some("iso.nix"),
        Maker::Container => Some("container.nix"),
    });
    let variant = or_null(format.variant());
    format!(
        "{{\n  name = {};\n  isDefault = {is_default};\n  isSystem = {is_system};\n  candidates = [ {candidates}];\n  variant = {variant};\n  members = {members};\n  module = {module};\n  foreignModules = {};\n}}\n",
        nix_string(&format.to_string()),
        list(format.foreign_modules()),
    )
}

/// The hash of a single directory, or of all and of the command line's definitions when there are any.
fn combined(files: &[Sha256Hash], cli_module: &CliModule) -> Sha256Hash {
    if let [only] = files
        && cli_module.is_empty()
    {
        return *only;
    }
    let mut hash = Hasher::new();
    for digest in files {
        hash.update(<[u8; 32]>::from(*digest));
    }
    hash.update(cli_module.definitions().collect::<Vec<_>>().join("\n"));
    hash.finish().sha256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapper_imports_the_users_file() {
        let text = wrapper("my \"pi\".nix");
        assert_eq!(
            text,
            "{ imports = [ (/build/config + \"/my \\\"pi\\\".nix\") /build/sdbuild/expressions/additions.nix ]; }\n"
        );
    }

    #[test]
    fn the_formats_attributes_are_lists_of_names() {
        assert_eq!(
            format_expression(&Format::default(), true, Product::Image),
            "{\n  name = \"sd-card\";\n  isDefault = true;\n  isSystem = false;\n  candidates = [ [ \"sdImage\" ] [ \"images\" \"sd-card\" ] ];\n  \
             variant = null;\n  members = null;\n  module = null;\n  foreignModules = [ ];\n}\n"
        );
        let lxc = format_expression(&"nixpkgs:lxc".parse().unwrap(), false, Product::System);
        assert!(
            lxc.contains("candidates = [ [ \"images\" \"lxc\" ] ];\n  variant = \"lxc\";"),
            "{lxc}"
        );
        assert!(
            lxc.contains("\"installer/sd-card/sd-image-aarch64.nix\""),
            "{lxc}"
        );
    }
}
