//! Refuses settings that their types allow and that cannot work.

use super::Build;
use super::project_policy;
use crate::settings::DEFAULT_RELEASE;
use crate::settings::resolver::{Origin, Setting};
use sdbuild_build::SourceChoice;
use sdbuild_build::output::ImagerUrl;
use sdbuild_core::failure::Failure;
use sdbuild_core::host_name;
use sdbuild_core::http_url;
use sdbuild_core::http_url::HttpUrlError;
use sdbuild_image::board::BoardName;
use sdbuild_nix::flake_ref::FlakeLocation;

impl Build {
    /// Refuses values that their types allow and that would fail later, and combinations that cannot work.
    pub(super) fn check(&self) -> Result<(), Failure> {
        check_addresses(self)?;
        self.request
            .source
            .host_name
            .as_deref()
            .map_or(Ok(()), host_name::check)?;
        self.check_source()?;
        self.check_format()?;
        self.check_board()?;
        self.ssh_key
            .as_ref()
            .map_or(Ok(()), |key| key.check_use(self.request.output.is_booted))?;
        project_policy::check(self)
    }

    /// Refuses `--board` with a board that starts no image of the system. That of a file may be for other builds.
    fn check_board(&self) -> Result<(), Failure> {
        let is_flag = |setting: &Setting| setting.key == "board" && setting.origin == Origin::Flag;
        let board = self
            .request
            .target
            .board
            .filter(|_| self.settings.iter().any(is_flag));
        match board {
            Some(BoardName(board)) if board.system != self.request.target.system => {
                let (name, wanted, system) = (board.name, board.system, self.request.target.system);
                let text = format!(
                    "the board {name} starts images for {wanted}, but this one is for {system}"
                );
                Err(Failure::usage(text).hint(format!(
                    "--system {wanted}, or another board: `sdbuild boards` lists them"
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses what the format cannot have.
    fn check_format(&self) -> Result<(), Failure> {
        let format = &self.request.target.format;
        if self.request.output.is_booted && !format.row().boots {
            return Err(Failure::usage(format!(
                "--boot-test: sdbuild cannot boot the format {format}"
            ))
            .hint("leave out --boot-test, and test the image on its own platform; see `sdbuild formats`"));
        }
        if self.request.output.imager.is_some() && !format.row().is_disk {
            return Err(Failure::usage(format!(
                "--rpi-imager: Raspberry Pi Imager writes disk images, and {format} is not one"
            ))
            .hint("leave --rpi-imager out, or build the format sd-card"));
        }
        Ok(())
    }

    /// Refuses flags that are not for the kind of source.
    fn check_source(&self) -> Result<(), Failure> {
        let is_flag =
            |setting: &&Setting| setting.key == "nixpkgs" && setting.origin == Origin::Flag;
        let nixpkgs = self.settings.iter().find(is_flag);
        match &self.request.source.choice {
            SourceChoice::Flake { .. } if nixpkgs.is_some() => Err(Failure::usage(
                "--nixpkgs is for a file with a NixOS configuration, but a flake names its own nixpkgs",
            )
            .hint("--override-input nixpkgs REF replaces the flake's input of that name")),
            SourceChoice::Flake { .. } if self.request.source.root.is_some() => Err(Failure::usage(
                "--root is for a file with a NixOS configuration, but a flake is uploaded with its whole git tree",
            )),
            // The name of a configuration of a flake may be meant by a file that does not exist, which is reported with it.
            SourceChoice::Config(file) if !self.request.source.override_inputs.is_empty() && file.exists() => Err(Failure::usage(
                "--override-input is for flakes; a file with a NixOS configuration has no inputs",
            )
            .hint(format!(
                "--nixpkgs takes a directory, the URL of an archive, or a release: --nixpkgs {DEFAULT_RELEASE}"
            ))),
            SourceChoice::Flake { .. } | SourceChoice::Config(_) => Ok(()),
        }
    }
}

/// Refuses addresses with a secret in them: sdbuild writes them to the lock, to the terminal and beside the image.
fn check_addresses(settings: &Build) -> Result<(), Failure> {
    let published = match &settings.request.output.imager {
        Some(ImagerUrl::Below(url)) => Some(url.as_str()),
        Some(ImagerUrl::OutputDir) | None => None,
    };
    let unpacked = "download the archive yourself, and give the directory that you unpacked it to with --nixpkgs";
    for (of, address, hint) in [
        (
            "nixpkgs",
            Some(settings.request.source.nixpkgs.as_str()),
            unpacked,
        ),
        (
            "the release channels",
            Some(settings.request.common.channels.as_str()),
            "use a server without a login",
        ),
        (
            "the published image",
            published,
            "give --rpi-imager an address that anyone may read",
        ),
    ] {
        // A directory, a release, and what other checks refuse.
        let Some(address) = address.filter(|address| address.contains("://")) else {
            continue;
        };
        http_url::check(address).map_err(|error| {
            let failure = Failure::usage(format!("the address of {of} {error}"));
            match error {
                HttpUrlError::NotHttp => failure,
                HttpUrlError::HasCredentials | HttpUrlError::HasToken => failure.hint(format!(
                    "sdbuild writes addresses to files and to the terminal, so {hint}"
                )),
            }
        })?;
    }
    check_flakes(settings)
}

/// Refuses references to flakes elsewhere with a secret in them: they are in the builder's environment and its log too.
fn check_flakes(settings: &Build) -> Result<(), Failure> {
    let source = match &settings.request.source.choice {
        SourceChoice::Flake { reference, .. } => Some(reference),
        SourceChoice::Config(_) => None,
    };
    let overriding = settings.request.source.override_inputs.iter();
    let all = source.into_iter().chain(overriding.map(|(_, flake)| flake));
    let mut remote = all.filter(|flake| matches!(flake.location, FlakeLocation::Remote(_)));
    let secret = remote.find_map(|flake| http_url::secret_in(&flake.text));
    secret.map_or(Ok(()), |secret| {
        Err(
            Failure::usage(format!("the address of a flake {secret}")).hint(
                "sdbuild writes addresses to files and to the terminal, so clone it yourself, and give the directory",
            ),
        )
    })
}
