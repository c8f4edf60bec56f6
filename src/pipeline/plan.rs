//! From settings to a plan: everything is looked at, every problem is listed at once, and nothing has
//! been changed when this ends.

use crate::cancel::Cancel;
use crate::engine::{Engine, RunId};
use crate::event::Phase;
use crate::failure::Failure;
use crate::nixos::nixpkgs::Nixpkgs;
use crate::nixos::source::Configuration;
use crate::oci::Architecture;
use crate::output;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::{Context, configuration, connection};
use crate::settings;

/// What a run will do; the same value is described and carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The choices that led here.
    pub settings: settings::Build,
    /// Names everything that the run makes.
    pub run: RunId,
    /// Where it runs.
    pub engine: Engine,
    /// How it emulates.
    pub emulation: Emulation,
    /// What the container images are made of.
    pub architecture: Architecture,
    /// The person's file.
    pub configuration: Configuration,
    /// Which nixpkgs.
    pub nixpkgs: Nixpkgs,
}

/// Looks at everything that a build needs.
pub async fn plan(settings: settings::Build, context: &Context) -> Result<Plan, Failure> {
    context
        .phase(Phase::Preflight, check(settings, &context.cancel))
        .await
}

async fn check(settings: settings::Build, cancel: &Cancel) -> Result<Plan, Failure> {
    let mut problems = Vec::new();
    let configuration = keep(&mut problems, configuration::open(&settings));
    let nixpkgs = keep(&mut problems, nixpkgs(&settings));
    problems.extend(output::preflight(&settings.output));
    let engine = keep(&mut problems, engine(&settings, cancel).await);
    match (configuration, nixpkgs, engine) {
        (Some(configuration), Some(nixpkgs), Some((engine, emulation, architecture)))
            if problems.is_empty() =>
        {
            let run = RunId::random().map_err(|e| {
                Failure::environment(format!("read the system's random source: {e}"))
            })?;
            Ok(Plan {
                settings,
                run,
                engine,
                emulation,
                architecture,
                configuration,
                nixpkgs,
            })
        }
        _ => Err(all(problems)),
    }
}

fn keep<T>(problems: &mut Vec<Failure>, found: Result<T, Failure>) -> Option<T> {
    found.map_err(|failure| problems.push(failure)).ok()
}

/// One failure out of many: the first one leads, because it decides the exit code.
fn all(problems: Vec<Failure>) -> Failure {
    if let Some(at) = problems
        .iter()
        .position(|p| p.class == crate::failure::Class::Interrupted)
    {
        return problems
            .into_iter()
            .nth(at)
            .unwrap_or_else(Failure::interrupted);
    }
    let mut problems = problems.into_iter();
    let first = problems.next().unwrap_or_else(|| {
        Failure::message(
            crate::failure::Class::Internal,
            "a check failed without a reason",
        )
    });
    Failure {
        also: problems.collect(),
        ..first
    }
}

fn nixpkgs(settings: &settings::Build) -> Result<Nixpkgs, Failure> {
    let nixpkgs: Nixpkgs = settings.nixpkgs.parse()?;
    nixpkgs.check()?;
    Ok(nixpkgs)
}

async fn engine(
    settings: &settings::Build,
    cancel: &Cancel,
) -> Result<(Engine, Emulation, Architecture), Failure> {
    let engine = connection::connect(&settings.common, cancel).await?;
    let facts = engine.facts();
    let emulation = Emulation::choose(settings.emulation, settings.system, facts)?;
    let architecture = facts.architecture.parse()?;
    Ok((engine, emulation, architecture))
}

impl Plan {
    /// What the run will do, a line each.
    pub fn describe(&self) -> Vec<String> {
        let settings = &self.settings;
        let facts = self.engine.facts();
        let emulation = match self.emulation {
            Emulation::Native => "none: the engine's machine runs it itself",
            Emulation::Register => "a handler in its kernel's table, for the time of the run",
            Emulation::Host => "the handler that is there",
        };
        let builder = settings.builder_image.as_deref().unwrap_or("sdbuild's own");
        vec![
            format!("configuration  {}", self.configuration.path().display()),
            format!("nixpkgs        {}", settings.nixpkgs),
            format!("system         {}", settings.system),
            format!(
                "engine         {} {} at {} ({}, {} cores)",
                if facts.podman { "Podman" } else { "Docker" },
                facts.version,
                self.engine.endpoint(),
                facts.architecture,
                facts.cpus
            ),
            format!("emulation      {emulation}"),
            format!("builder image  {builder}"),
            format!("store volume   {}", settings.store),
            format!("image into     {}", settings.output.display()),
        ]
    }
}
