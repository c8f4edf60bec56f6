//! From settings to a plan: everything is looked at, every problem is listed at once, and nothing has
//! been changed when this ends.

use crate::artifact::Cache;
use crate::common::event::Phase;
use crate::common::failure::{Failure, OrFail as _};
use crate::engine::{Engine, RunId};
use crate::nixos::cli_module::CliModule;
use crate::nixos::lock::{self, Locked, Requested};
use crate::nixos::nixpkgs::Nixpkgs;
use crate::nixos::source::Configuration;
use crate::oci::{Definition, MissingImages};
use crate::output;
use crate::pipeline::checks::{self, Machine, Verdict};
use crate::pipeline::emulation::Emulation;
use crate::pipeline::images::suits;
use crate::pipeline::problems::Problems;
use crate::pipeline::resources::Resources;
use crate::pipeline::{Context, configuration, connection};
use crate::settings::{self, Common};

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An image.
    Image,
    /// To know what the configuration sets: nothing is built, emulated or written.
    Check,
}

/// What a run will do; the same value is described and carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The choices that led here.
    pub settings: settings::Build,
    /// Names everything that the run makes.
    pub run: RunId,
    /// Where it runs, and on what.
    pub base: EnginePlan,
    /// The user's file.
    pub configuration: Configuration,
    /// What the command line lays over it.
    pub overlay: CliModule,
    /// Which nixpkgs.
    pub nixpkgs: Nixpkgs,
    /// What that was resolved to by an earlier run.
    pub locked: Option<Locked>,
}

impl Plan {
    /// How much is done at a time.
    pub(super) fn resources(&self) -> Resources {
        let emulated = self.base.emulation != Emulation::Native;
        Resources::choose(&self.settings, self.base.engine.facts(), emulated)
    }
}

/// Where a run takes place: the engine, and the container images that it needs there.
#[derive(Clone, Debug)]
pub struct EnginePlan {
    /// Where it runs.
    pub engine: Engine,
    /// How it emulates.
    pub emulation: Emulation,
    /// The registrar's image, when something is emulated.
    pub registrar: Option<Definition>,
    /// The builder's, unless the user named another one.
    pub builder: Option<Definition>,
    /// What the engine lacked of these when it was looked at.
    pub missing: MissingImages,
    /// Whether the user's builder image has to be pulled.
    pub pull: bool,
}

/// Looks at everything that a build needs.
pub async fn plan(settings: settings::Build, context: &Context) -> Result<Plan, Failure> {
    plan_for(Purpose::Image, settings, context).await
}

/// Looks at everything that `aim` needs.
pub(super) async fn plan_for(
    aim: Purpose,
    settings: settings::Build,
    context: &Context,
) -> Result<Plan, Failure> {
    let work = Box::pin(check(aim, settings, context));
    context.phase(Phase::Preflight, work).await
}

async fn check(
    aim: Purpose,
    settings: settings::Build,
    context: &Context,
) -> Result<Plan, Failure> {
    let mut problems = Problems::default();
    let configuration = problems.keep(configuration::open(&settings, aim));
    let overlay = problems.keep(configuration::overlay(&settings));
    let nixpkgs = problems.keep(nixpkgs(&settings));
    let locked = match (&configuration, &nixpkgs) {
        (Some(configuration), Some(nixpkgs)) => problems.keep(locked(configuration, nixpkgs)),
        _ => None,
    };
    if aim == Purpose::Image {
        problems.extend(output::preflight(&settings.output));
    }
    let base = problems.keep(base(aim, &settings, context).await);
    for check in checks::before_build(&Machine {
        settings: &settings,
        writes_image: aim == Purpose::Image,
        engine: base.as_ref().map(|base| (&base.engine).into()),
        emulation: base.as_ref().map(|base| base.emulation),
        missing: base.as_ref().map(|base| &base.missing),
        doctor: None,
    }) {
        match check.verdict {
            Verdict::Bad => problems.extend([check.into_failure()]),
            Verdict::Warning => context.events.warn(check.text),
            Verdict::Good => {}
        }
    }
    let (Some(configuration), Some(overlay), Some(nixpkgs), Some(locked), Some(base), true) = (
        configuration,
        overlay,
        nixpkgs,
        locked,
        base,
        problems.is_empty(),
    ) else {
        return Err(problems.into_failure());
    };
    let run = RunId::random()?;
    Ok(Plan {
        settings,
        run,
        base,
        configuration,
        overlay,
        nixpkgs,
        locked,
    })
}

fn nixpkgs(settings: &settings::Build) -> Result<Nixpkgs, Failure> {
    let nixpkgs: Nixpkgs = settings.nixpkgs.parse()?;
    nixpkgs.check()?;
    Ok(nixpkgs)
}

/// What the lock beside the configuration says of this nixpkgs.
fn locked(configuration: &Configuration, nixpkgs: &Nixpkgs) -> Result<Option<Locked>, Failure> {
    let requested = match nixpkgs {
        Nixpkgs::Dir(_) => return Ok(None),
        Nixpkgs::Url(url) => Requested::Url(url.clone()),
        Nixpkgs::Release(release) => Requested::Release(release.clone()),
    };
    let locked = lock::read(&configuration.root().join(lock::NAME))?;
    Ok(locked.into_iter().find(|locked| locked.is_for(&requested)))
}

async fn base(
    aim: Purpose,
    settings: &settings::Build,
    context: &Context,
) -> Result<EnginePlan, Failure> {
    let Context { cancel, events } = context;
    let engine = connection::connect(&settings.common, cancel).await?;
    let (choice, system) = (settings.emulation, settings.system);
    let emulation = match aim {
        Purpose::Image => Emulation::choose(choice, system, engine.facts())?,
        Purpose::Check => Emulation::Native,
    };
    if aim == Purpose::Image
        && let Some(told) = emulation.unneeded(choice, system)
    {
        events.notice(told);
    }
    cancel.race(base_on(engine, emulation, settings)).await?
}

/// What builds on `engine` with this way of emulation need of it.
pub(super) async fn base_on(
    engine: Engine,
    emulation: Emulation,
    settings: &settings::Build,
) -> Result<EnginePlan, Failure> {
    let architecture = engine.facts().architecture.supported()?;
    let locks = settings.common.locks.as_deref();
    let registrar = (emulation != Emulation::Native)
        .then(|| Definition::registrar(architecture, locks))
        .transpose()?;
    let builder = (settings.builder_image.is_none())
        .then(|| Definition::builder(architecture, locks))
        .transpose()?;
    let definitions: Vec<&Definition> = registrar.iter().chain(&builder).collect();
    let lacking = missing(&settings.common, &engine, &definitions).await?;
    let pull = match &settings.builder_image {
        Some(reference) => {
            let image = engine.image(reference).await?;
            if let Some(image) = &image {
                suits(
                    image,
                    settings,
                    (engine.facts(), &engine.address()),
                    emulation,
                )?;
            }
            image.is_none()
        }
        None => false,
    };
    Ok(EnginePlan {
        engine,
        emulation,
        registrar,
        builder,
        missing: lacking,
        pull,
    })
}

async fn missing(
    settings: &Common,
    engine: &Engine,
    definitions: &[&Definition],
) -> Result<MissingImages, Failure> {
    let cache = Cache::look(&settings.cache_dir).or_environment("look into the cache directory")?;
    MissingImages::of(definitions, engine, cache.as_ref()).await
}
