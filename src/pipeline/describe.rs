//! A plan in lines, for `--dry-run`. Pure.

use crate::common::build_mode::Glue;
use crate::common::human_bytes::human_bytes;
use crate::nixos::nixpkgs::Nixpkgs;
use crate::pipeline::Plan;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::resources::Resources;

impl Plan {
    /// What the run will do: what it is about, then what is done about it.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let (settings, resources) = (&self.settings, self.resources());
        let replaces = if settings.force {
            ", in place of one of the same name"
        } else {
            ""
        };
        let mut lines = vec![(
            "configuration",
            self.configuration.path().display().to_string(),
        )];
        let overlay = self.overlay.lines().iter();
        lines.extend(overlay.map(|line| ("laid over it", line.clone())));
        lines.extend([
            ("nixpkgs", self.from()),
            ("system", settings.system.to_string()),
            ("engine", self.where_it_runs()),
            ("emulation", self.how_it_emulates()),
            ("glue", self.what_builds_the_glue().to_owned()),
            ("fetch", self.what_is_fetched()),
            ("assemble", self.what_is_assembled()),
            ("builder image", self.what_nix_runs_in()),
            ("store volume", settings.store.clone()),
            ("cores", cores(resources.cores)),
            ("jobs", self.jobs(resources)),
            ("connections", resources.connections.to_string()),
            ("memory", self.memory()),
            (
                "image into",
                format!("{}{replaces}", settings.output.display()),
            ),
        ]);
        lines
    }

    fn from(&self) -> String {
        match (&self.nixpkgs, &self.locked) {
            (Nixpkgs::Dir(dir), _) => format!("{}, uploaded", dir.display()),
            (Nixpkgs::Url(_) | Nixpkgs::Release(_), Some(locked)) => format!(
                "{}: {} (sha256 {}, by sdbuild.lock)",
                self.settings.nixpkgs, locked.url, locked.sha256
            ),
            (Nixpkgs::Url(url), None) => format!("{url}, to be fetched and locked"),
            (Nixpkgs::Release(release), None) => format!(
                "{release}, to be looked up at {} and locked",
                self.settings.channels
            ),
        }
    }

    fn where_it_runs(&self) -> String {
        let facts = self.base.engine.facts();
        format!(
            "{} at {} ({}, kernel {}, {} cores)",
            facts.title(),
            self.base.engine.endpoint(),
            facts.architecture,
            facts.kernel,
            facts.cpus
        )
    }

    fn how_it_emulates(&self) -> String {
        let facts = self.base.engine.facts();
        let (engine, system) = (&facts.architecture, self.settings.system);
        let chosen = self.settings.emulation;
        let last_resort = self.base.emulation.last_resort(chosen, facts);
        let how = match self.base.emulation {
            Emulation::Native => format!("none: the engine's machine runs {engine} itself"),
            Emulation::Register => format!(
                "register: the engine's machine is {engine}, the image is for {system}; a handler \
                 in its kernel's table for the time of the run"
            ),
            Emulation::Private => format!(
                "private: the engine's machine is {engine}, the image is for {system}; a handler \
                 that the builder alone has"
            ),
            Emulation::Host if last_resort.is_some() => {
                "host: a handler that may be there; the engine can have no other".to_owned()
            }
            Emulation::Host => "host: the handler that is there, as --emulation says".to_owned(),
        };
        let next = |mode: &Emulation| mode.otherwise(chosen, facts);
        let others = std::iter::successors(next(&self.base.emulation), next);
        others.fold(how, |how, other| format!("{how}; else {}", other.handler()))
    }

    fn what_builds_the_glue(&self) -> &'static str {
        match self.settings.glue {
            _ if self.base.emulation == Emulation::Native => "native: nothing is emulated",
            Glue::Auto => "auto: native where it gives the same, else emulated",
            Glue::Native => "native",
            Glue::Emulated => "emulated",
        }
    }

    fn what_is_fetched(&self) -> String {
        let lacking = &self.base.missing;
        match lacking.packages {
            0 => "no packages: the cache or the engine has them".to_owned(),
            1 => format!("1 package, {}", human_bytes(lacking.to_fetch)),
            n => format!("{n} packages, {}", human_bytes(lacking.to_fetch)),
        }
    }

    fn what_is_assembled(&self) -> String {
        match self.base.missing.images.as_slice() {
            [] => "nothing: the engine holds what is needed".to_owned(),
            images => images.join(", "),
        }
    }

    fn what_nix_runs_in(&self) -> String {
        match &self.settings.builder_image {
            Some(reference) if self.base.pull => format!("{reference}, to be pulled"),
            Some(reference) => reference.clone(),
            None => "sdbuild's own".to_owned(),
        }
    }

    fn jobs(&self, resources: Resources) -> String {
        let jobs = format!("{} derivations at a time", resources.jobs);
        match self.settings.jobs {
            Some(_) => jobs,
            None if resources.short_of_memory => {
                format!("{jobs}, as the engine's machine has memory")
            }
            None => format!("{jobs}, as the engine's machine has cores"),
        }
    }

    fn memory(&self) -> String {
        let limit = self.settings.memory.map(human_bytes);
        let limit = limit.unwrap_or_else(|| "no limit".to_owned());
        match self.base.engine.facts().memory {
            0 => limit,
            there => format!("{limit}; the engine's machine has {}", human_bytes(there)),
        }
    }
}

fn cores(cores: u32) -> String {
    match cores {
        0 => "all for each derivation".to_owned(),
        n => format!("{n} for each derivation"),
    }
}
