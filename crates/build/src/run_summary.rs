//! The first line of a run: what is built, with which engine and which nixpkgs.

use crate::build_source::Source;
use crate::lock::Requested;
use crate::nixpkgs::Nixpkgs;
use crate::request::BuildRequest;
use crate::source::SourcePlan;
use sdbuild_core::event::RunSummary;
use sdbuild_core::http_url::without_secrets;
use sdbuild_core::shown_path::shown_path;
use sdbuild_engine::Engine;
use sdbuild_nix::configuration_file::FLAKE_FILE;
use sdbuild_nix::flake_ref::FlakeRef;

/// What a build of `source` with `request` on `engine` is about.
pub(super) fn run_summary(
    source: &SourcePlan,
    request: &BuildRequest,
    engine: &Engine,
) -> RunSummary {
    RunSummary {
        configuration: match &source.source {
            Source::Module(file) => shown_path(&file.path()),
            Source::Flake(flake) => flake_name(&flake.reference().to_string()),
        },
        system: request.target.system.to_string(),
        engine: match request.resources.builders.machines.len() {
            0 if request.common.machine.is_some() => format!("{}, rented", place(engine)),
            0 => place(engine),
            1 => format!("{} with a remote builder", place(engine)),
            n => format!("{} with {n} remote builders", place(engine)),
        },
        nixpkgs: match &source.nixpkgs {
            Some(plan) => nixpkgs(&plan.nixpkgs),
            None => nixpkgs_of_flake(&request.source.override_inputs),
        },
    }
}

/// The nixpkgs of a flake whose inputs `overrides` replace: its own, unless the input that nearly every flake calls so is
/// among them.
pub(super) fn nixpkgs_of_flake(overrides: &[(String, FlakeRef)]) -> String {
    let replaced = overrides.iter().find(|(input, _)| input == "nixpkgs");
    replaced.map_or_else(
        || "the flake's own".to_owned(),
        |(_, flake)| without_secrets(&flake.to_string()),
    )
}

/// A flake as the user named it; that of the current directory by its file.
fn flake_name(reference: &str) -> String {
    match reference {
        "." => FLAKE_FILE.to_owned(),
        other => other.to_owned(),
    }
}

/// The engine and where it is.
fn place(engine: &Engine) -> String {
    let title = engine.facts().title();
    if engine.is_on_this_kernel() {
        return format!("{title} on this machine");
    }
    format!("{title} at {}", engine.endpoint())
}

fn nixpkgs(nixpkgs: &Nixpkgs) -> String {
    match nixpkgs {
        Nixpkgs::Dir(dir) => shown_path(dir),
        Nixpkgs::Remote(Requested::Release(release)) => release.clone(),
        Nixpkgs::Remote(Requested::Url(url)) => without_secrets(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flake_of_the_current_directory_is_shown_by_its_file() {
        assert_eq!(flake_name("."), "flake.nix");
        assert_eq!(flake_name(".#pi"), ".#pi");
    }

    #[test]
    fn nixpkgs_in_place_of_a_flakes_own_is_named() {
        let overridden = |input: &str| {
            let flake: FlakeRef = "path:/my/nixpkgs".parse().unwrap();
            nixpkgs_of_flake(&[(input.to_owned(), flake)])
        };
        assert_eq!(overridden("nixpkgs"), "path:/my/nixpkgs");
        assert_eq!(overridden("home-manager"), "the flake's own");
    }

    #[test]
    fn address_of_nixpkgs_is_shown_whole_without_secrets() {
        let shown = |url: &str| nixpkgs(&Nixpkgs::Remote(Requested::Url(url.into())));
        assert_eq!(
            shown("https://h.example/n@1.tar.xz"),
            "https://h.example/n@1.tar.xz"
        );
        assert_eq!(
            shown("https://me:secret@h.example/n"),
            "https://h.example/n"
        );
    }
}
