//! What the builder runs: arguments and environment, as data.
//!
//! Pure. Nothing in it ever passes through a shell.

use super::nix_conf::NixSettings;
use super::shell_session::ShellSession;
use super::{check, layout};
use crate::common::build_mode::Glue;
use crate::common::failure::Failure;
use crate::common::image_format::ImageFormat;
use crate::common::nix_string::nix_string;
use crate::common::system::System;

/// What Nix is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// To build the attribute.
    #[default]
    Build,
    /// To say what the configuration sets; nothing is built.
    Check,
    /// To say what a build would fetch and build.
    Forecast,
    /// A shell for a user.
    Shell(ShellSession),
}

impl Task {
    /// Whether it builds nothing, nor has what that takes.
    pub(super) fn only_evaluates(&self) -> bool {
        matches!(self, Self::Check | Self::Forecast)
    }

    /// The shell, when it is one.
    pub(super) fn session(&self) -> Option<&ShellSession> {
        match self {
            Self::Shell(session) => Some(session),
            Self::Build | Self::Check | Self::Forecast => None,
        }
    }
}

/// One call of Nix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildRequest {
    /// What is asked for.
    pub task: Task,
    /// The system that the configuration is built for.
    pub system: System,
    /// What to build.
    pub format: &'static ImageFormat,
    /// Whether that platform's programs run under emulation here.
    pub emulated: bool,
    /// Whose tools make the glue, when programs are emulated.
    pub glue: Glue,
    /// How Nix is to work.
    pub nix: NixSettings,
    /// Mirror that the miniature nixpkgs fetches from (`SDBUILD_DEBIAN_MIRROR`).
    pub debian_mirror: Option<String>,
}

/// Where this run finds and leaves things in the builder.
#[derive(Clone, Debug)]
pub(super) struct StorePaths {
    /// The run.
    pub(super) run: String,
    /// Name of nixpkgs' copy on the volume.
    pub(super) nixpkgs: String,
    /// Name of the root that keeps the result.
    pub(super) root: String,
    /// Runs that may have files on the volume: the entry leaves those alone.
    pub(super) live: Vec<String>,
}

impl StorePaths {
    /// The link that keeps the result.
    fn result(&self) -> String {
        format!("{}/{}", layout::ROOTS, self.root)
    }
}

impl BuildRequest {
    /// The program and its arguments; the first one is the entry that leads the rest.
    pub(super) fn arguments(&self, places: &StorePaths) -> Vec<String> {
        match &self.task {
            Task::Build => self.build(places),
            Task::Check => self.check(),
            Task::Forecast => self.instantiate(),
            Task::Shell(session) => session.arguments(),
        }
    }

    fn check(&self) -> Vec<String> {
        let mut words = vec!["/bin/sh", layout::ENTRY, "nix-instantiate", "--eval"];
        // A configuration may import what has to be fetched, or even built.
        words.extend(["--strict", "--json", "--read-write-mode", layout::FACTS]);
        for attribute in &check::ATTRIBUTES {
            words.extend(["-A", attribute]);
        }
        words.extend(["--arg", "configuration", layout::WRAPPER]);
        let system = self.system.to_string();
        words.extend(["--argstr", "system", &system]);
        words.extend(["--log-format", "internal-json"]);
        words.into_iter().map(str::to_owned).collect()
    }

    fn build(&self, places: &StorePaths) -> Vec<String> {
        let mut words = self.call(&["nix-build"], self.format.attribute);
        words.extend(["--out-link".to_owned(), places.result()]);
        words
    }

    /// As a build would, and no root is left behind.
    fn instantiate(&self) -> Vec<String> {
        let program = ["nix-instantiate", "--eval", "--read-write-mode"];
        self.call(&program, &format!("{}.drvPath", self.format.attribute))
    }

    /// A program of Nix's that evaluates an attribute of the configured system.
    fn call(&self, program: &[&str], attribute: &str) -> Vec<String> {
        let configuration = format!("nixos-config={}", layout::WRAPPER);
        let mut words = vec!["/bin/sh", layout::ENTRY];
        words.extend(program);
        words.extend(["<nixpkgs/nixos>", "-A", attribute, "-I", &configuration]);
        let system = self.system.to_string();
        words.extend(["--argstr", "system", &system]);
        words.extend(["--log-format", "internal-json"]);
        words.into_iter().map(str::to_owned).collect()
    }

    /// The entry's word for native glue, when it is to be tried: where nothing is emulated there is nothing
    /// to gain, and another thing than the image has no parts that we know.
    fn uses_native_glue(&self) -> Option<&'static str> {
        let possible = matches!(self.task, Task::Build | Task::Forecast)
            && self.emulated
            && self.format.has_native_glue
            && self.system == System::Aarch64Linux;
        match self.glue {
            Glue::Auto if possible => Some("auto"),
            Glue::Native if possible => Some("native"),
            Glue::Auto | Glue::Native | Glue::Emulated => None,
        }
    }

    /// The entry's word for a forecast: whether it shall count what is emulated.
    fn forecast(&self) -> &'static str {
        if self.emulated { "emulated" } else { "native" }
    }

    /// The environment on top of the container image's own.
    pub(super) fn environment(
        &self,
        places: &StorePaths,
    ) -> Result<Vec<(String, String)>, Failure> {
        let build_dir = layout::build_dir(&places.run);
        let mut environment = vec![
            ("NIX_PATH", self.nix_path(places)),
            ("NIX_CONFIG", self.nix.text(self.platform(), &build_dir)?),
            // never a daemon, and never Nix's silent fall-back to a store below $HOME
            ("NIX_REMOTE", "local".to_owned()),
            ("HOME", format!("{}/home", layout::HOME)),
            ("USER", "sdbuild".to_owned()),
            ("TMPDIR", build_dir),
            ("LANG", "C.UTF-8".to_owned()),
            ("SDBUILD_RUN", places.run.clone()),
            ("SDBUILD_LIVE", places.live.join(" ")),
            ("SDBUILD_NIXPKGS", places.nixpkgs.clone()),
            ("SDBUILD_SYSTEM", self.system.to_string()),
        ];
        match self.task {
            Task::Build => environment.push(("SDBUILD_RESULT", places.result())),
            Task::Forecast => environment.push(("SDBUILD_FORECAST", self.forecast().to_owned())),
            Task::Check | Task::Shell(_) => {}
        }
        // Of the garbage collector that Nix is linked with. A user's Nix in a shell evaluates and builds in one process,
        // and would hold all of it until the end.
        if let Some(heap) = self.nix.heap.filter(|_| self.task.session().is_none()) {
            environment.push(("GC_INITIAL_HEAP_SIZE", heap.to_string()));
        }
        if let Some(mirror) = &self.debian_mirror {
            environment.push(("SDBUILD_DEBIAN_MIRROR", mirror.clone()));
        }
        let session = self.task.session().map(ShellSession::environment);
        let session = session.transpose()?.unwrap_or_default();
        if let Some(word) = self.uses_native_glue() {
            environment.extend([
                ("SDBUILD_GLUE", word.to_owned()),
                (
                    "SDBUILD_GLUE_EXPRESSION",
                    layout::GLUE_EXPRESSION.to_owned(),
                ),
                ("SDBUILD_WRAPPER", layout::WRAPPER.to_owned()),
            ]);
        }
        Ok(environment
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .chain(session)
            .collect())
    }

    /// The platform that Nix is to take for one of its own: where nothing is built there is no handler either.
    fn platform(&self) -> Option<System> {
        (self.emulated && !self.task.only_evaluates()).then_some(self.system)
    }

    /// A shell finds the configuration there too, where a build is told of it.
    fn nix_path(&self, places: &StorePaths) -> String {
        let nixpkgs = format!("nixpkgs={}", layout::nixpkgs(&places.nixpkgs));
        match self.task.session() {
            Some(_) => format!("{nixpkgs}:nixos-config={}", layout::WRAPPER),
            None => nixpkgs,
        }
    }
}

/// The module handed to NixOS: it imports the user's file by path, so that errors name it.
///
/// It also asks for an image that Nix does not compress, because we do that ourselves and not under
/// emulation. Whatever the configuration says wins: 1400 is weaker than any definition in a module and
/// stronger than an option's own default (1500).
pub(super) fn wrapper(file: &str) -> String {
    let path = nix_string(&format!("/{file}"));
    let (dir, overlay) = (layout::CONFIG, layout::CLI_MODULE);
    format!(
        "{{ options, lib, ... }}: {{\n  imports = [ ({dir} + {path}) {overlay} ];\n  \
         config = lib.optionalAttrs (options ? sdImage && options.sdImage ? compressImage) \
         {{ sdImage.compressImage = lib.mkOverride 1400 false; }};\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::image_format::SD_IMAGE;

    /// A build of an SD card image for `aarch64-linux`.
    fn request(emulated: bool, nix: NixSettings) -> BuildRequest {
        BuildRequest {
            task: Task::Build,
            system: System::Aarch64Linux,
            format: &SD_IMAGE,
            emulated,
            glue: Glue::default(),
            nix,
            debian_mirror: None,
        }
    }

    fn store_paths() -> StorePaths {
        StorePaths {
            run: "0123456789ab".into(),
            nixpkgs: "tree-1".into(),
            root: "abc".into(),
            live: vec!["0123456789ab".into(), "ba9876543210".into()],
        }
    }

    fn value(environment: &[(String, String)], name: &str) -> String {
        environment
            .iter()
            .find(|(key, _)| key == name)
            .unwrap()
            .1
            .clone()
    }

    #[test]
    fn the_command_is_the_documented_one() {
        let request = request(true, NixSettings::default());
        assert_eq!(
            request.arguments(&store_paths()).join(" "),
            "/bin/sh /build/sdbuild/entry nix-build <nixpkgs/nixos> -A config.system.build.sdImage \
             -I nixos-config=/build/sdbuild/wrapper.nix --argstr system aarch64-linux \
             --log-format internal-json --out-link /nix/var/nix/gcroots/sdbuild/abc"
        );
    }

    #[test]
    fn a_check_evaluates_and_leaves_no_result() {
        let request = BuildRequest {
            task: Task::Check,
            ..request(true, NixSettings::default())
        };
        assert_eq!(
            request.arguments(&store_paths()).join(" "),
            "/bin/sh /build/sdbuild/entry nix-instantiate --eval --strict --json --read-write-mode \
             /build/sdbuild/facts.nix -A facts -A whole --arg configuration /build/sdbuild/wrapper.nix \
             --argstr system aarch64-linux --log-format internal-json"
        );
        let environment = request.environment(&store_paths()).unwrap();
        let names: Vec<&str> = environment.iter().map(|(name, _)| name.as_str()).collect();
        assert!(!names.contains(&"SDBUILD_RESULT") && !names.contains(&"SDBUILD_GLUE"));
    }

    #[test]
    fn a_forecast_evaluates_as_a_build_would_and_leaves_no_result() {
        let request = BuildRequest {
            task: Task::Forecast,
            ..request(true, NixSettings::default())
        };
        assert_eq!(
            request.arguments(&store_paths()).join(" "),
            "/bin/sh /build/sdbuild/entry nix-instantiate --eval --read-write-mode <nixpkgs/nixos> \
             -A config.system.build.sdImage.drvPath -I nixos-config=/build/sdbuild/wrapper.nix \
             --argstr system aarch64-linux --log-format internal-json"
        );
        let environment = request.environment(&store_paths()).unwrap();
        assert_eq!(value(&environment, "SDBUILD_FORECAST"), "emulated");
        assert_eq!(value(&environment, "SDBUILD_GLUE"), "auto");
        assert!(!environment.iter().any(|(name, _)| name == "SDBUILD_RESULT"));
    }

    #[test]
    fn nothing_lies_on_a_tmpfs() {
        let request = request(false, NixSettings::default());
        let environment = request.environment(&store_paths()).unwrap();
        for name in ["HOME", "TMPDIR"] {
            assert!(
                value(&environment, name).starts_with("/nix/var/sdbuild/"),
                "{name}"
            );
        }
        let config = value(&environment, "NIX_CONFIG");
        assert!(config.contains("\nbuild-dir = /nix/var/sdbuild/build/0123456789ab\n"));
        assert!(!config.contains("extra-platforms"));
        assert!(config.contains("cores = 0\nmax-jobs = auto"));
        assert_eq!(
            value(&environment, "NIX_PATH"),
            "nixpkgs=/nix/var/sdbuild/nixpkgs/tree-1"
        );
        assert_eq!(
            value(&environment, "SDBUILD_LIVE"),
            "0123456789ab ba9876543210"
        );
    }

    #[test]
    fn the_evaluator_is_given_its_heap_when_that_is_known_and_a_shell_none() {
        let heap = |heap, task| {
            let nix = NixSettings {
                heap,
                ..NixSettings::default()
            };
            let request = BuildRequest {
                task,
                ..request(true, nix)
            };
            let mut environment = request.environment(&store_paths()).unwrap().into_iter();
            environment.find(|(name, _)| name == "GC_INITIAL_HEAP_SIZE")
        };
        for task in [Task::Build, Task::Forecast, Task::Check] {
            assert_eq!(heap(Some(4096), task.clone()).unwrap().1, "4096");
            assert_eq!(heap(None, task), None);
        }
        assert_eq!(heap(Some(4096), Task::Shell(ShellSession::default())), None);
    }

    #[test]
    fn the_wrapper_imports_the_users_file() {
        let text = wrapper("my \"pi\".nix");
        assert!(
            text.contains(
                "imports = [ (/build/config + \"/my \\\"pi\\\".nix\") /build/sdbuild/overlay.nix ];\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn glue_is_native_only_where_something_is_emulated() {
        static ISO: ImageFormat = ImageFormat {
            attribute: "config.system.build.isoImage",
            has_native_glue: false,
            ..SD_IMAGE
        };
        let word = |emulated: bool, glue: Glue, format: &'static ImageFormat| {
            let request = BuildRequest {
                format,
                glue,
                ..request(emulated, NixSettings::default())
            };
            let environment = request.environment(&store_paths()).unwrap();
            let found = environment
                .into_iter()
                .find(|(name, _)| name == "SDBUILD_GLUE");
            found.map(|(_, value)| value)
        };
        assert_eq!(word(true, Glue::Auto, &SD_IMAGE).as_deref(), Some("auto"));
        assert_eq!(
            word(true, Glue::Native, &SD_IMAGE).as_deref(),
            Some("native")
        );
        assert_eq!(word(true, Glue::Emulated, &SD_IMAGE), None);
        assert_eq!(word(false, Glue::Native, &SD_IMAGE), None);
        assert_eq!(word(true, Glue::Auto, &ISO), None);
    }
}
