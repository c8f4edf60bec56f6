//! From settings to a plan: every condition is checked, every problem is reported at once, and nothing is
//! changed on the machine.

use std::path::Path;

use crate::artifact::Cache;
use crate::common::context::Context;
use crate::common::event::{Event, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::engine::{Engine, RunId};
use crate::oci::{Definition, MissingImages};
use crate::output;
use crate::pipeline::builder_image::check_foreign;
use crate::pipeline::builder_logins;
use crate::pipeline::checks::{self, Machine, Verdict};
use crate::pipeline::clients::connect;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::problems::Problems;
use crate::pipeline::resources::Resources;
use crate::pipeline::run_summary::run_summary;
use crate::pipeline::source::{Purpose, SourcePlan};
use crate::pipeline::steps::network_access;
use crate::settings::{self, SourceChoice};

/// What a run will do; the same value is described and carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings that it was made from.
    pub settings: settings::Build,
    /// Identifies everything that the run makes.
    pub run: RunId,
    /// The configuration and its nixpkgs.
    pub source: SourcePlan,
    /// The engine, and what is needed there.
    pub engine_plan: EnginePlan,
}

impl Plan {
    /// The engine that everything runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine_plan.engine
    }

    /// Whether programs of the image run under emulation.
    pub(super) fn is_emulated(&self) -> bool {
        self.engine_plan.emulation.uses_handler()
    }

    /// How much is done at a time.
    pub(super) fn resources(&self) -> Resources {
        Resources::choose(&self.settings, self.engine().facts(), self.is_emulated())
    }
}

/// The engine of a run, and the container images that it needs there.
#[derive(Clone, Debug)]
pub struct EnginePlan {
    /// The engine.
    pub engine: Engine,
    /// How programs of the image run on its machine.
    pub emulation: Emulation,
    /// The registrar's image, when something is emulated.
    pub registrar: Option<Definition>,
    /// The image that Nix runs in.
    pub builder: BuilderPlan,
    /// What the engine and the cache lacked of our own images when the plan was made.
    pub missing: MissingImages,
}

/// The container image that Nix runs in.
#[derive(Clone, Debug)]
pub enum BuilderPlan {
    /// Ours.
    Own(Box<Definition>),
    /// The one that the user named with `--builder-image`.
    Foreign {
        /// As the user named it.
        reference: String,
        /// Its id; `None` if the engine lacks it.
        id: Option<String>,
    },
}

impl BuilderPlan {
    /// A reference of the image that names its content; `None` if the engine lacks it and it is not ours.
    pub(super) fn content_reference(&self) -> Option<String> {
        match self {
            Self::Own(definition) => Some(definition.reference()),
            Self::Foreign { id, .. } => id.clone(),
        }
    }

    /// The definition of our own image.
    pub(super) fn own(&self) -> Option<&Definition> {
        match self {
            Self::Own(definition) => Some(definition),
            Self::Foreign { .. } => None,
        }
    }
}

impl EnginePlan {
    /// Looks at what a build with this `emulation` needs on `engine`.
    pub(super) async fn new(
        engine: Engine,
        emulation: Emulation,
        settings: &settings::Build,
    ) -> Result<Self, Failure> {
        let architecture = engine.facts().architecture.supported()?;
        let locks = settings.common.locks.as_deref();
        let registrar = emulation
            .uses_handler()
            .then(|| Definition::registrar(architecture, locks))
            .transpose()?;
        let builder = match &settings.builder_image {
            None => BuilderPlan::Own(Box::new(Definition::builder(architecture, locks)?)),
            Some(reference) => foreign_builder(&engine, reference, emulation, settings).await?,
        };
        let own: Vec<&Definition> = registrar.iter().chain(builder.own()).collect();
        let cache = Cache::open_existing(&settings.common.cache_dir);
        let cache = cache.or_environment("read the cache directory")?;
        let missing = MissingImages::of(&own, &engine, cache.as_ref()).await?;
        Ok(Self {
            engine,
            emulation,
            registrar,
            builder,
            missing,
        })
    }
}

async fn foreign_builder(
    engine: &Engine,
    reference: &str,
    emulation: Emulation,
    settings: &settings::Build,
) -> Result<BuilderPlan, Failure> {
    let image = engine.image(reference).await?;
    if let Some(image) = &image {
        check_foreign(image, reference, engine, emulation, settings)?;
    }
    Ok(BuilderPlan::Foreign {
        reference: reference.to_owned(),
        id: image.map(|image| image.id),
    })
}

/// Checks everything that a build needs.
pub async fn plan(settings: settings::Build, context: &Context) -> Result<Plan, Failure> {
    plan_for(Purpose::Image, settings, context).await
}

/// Checks everything that a shell in the builder needs.
pub async fn plan_shell(settings: settings::Build, context: &Context) -> Result<Plan, Failure> {
    plan_for(Purpose::Shell, settings, context).await
}

/// Checks everything that a run for `purpose` needs.
pub(super) async fn plan_for(
    purpose: Purpose<'_>,
    settings: settings::Build,
    context: &Context,
) -> Result<Plan, Failure> {
    let work = async {
        let plan = make_plan(purpose, settings, context).await?;
        if purpose.builds() || purpose == Purpose::Check {
            let summary = run_summary(&plan.source, &plan.settings, plan.engine());
            context.events.emit(Event::RunStarted(summary));
        }
        Ok(plan)
    };
    context.phase(Phase::Preflight, work).await
}

async fn make_plan(
    purpose: Purpose<'_>,
    settings: settings::Build,
    context: &Context,
) -> Result<Plan, Failure> {
    let mut problems = Problems::default();
    let source = SourcePlan::open(&settings, purpose, &mut problems, context).await;
    if matches!(settings.source, SourceChoice::Flake { found: true, .. })
        && !matches!(purpose, Purpose::Lock(_))
    {
        let text = "there is no sd-card.nix, so sdbuild uses the flake.nix in this directory";
        context.events.notice(text);
    }
    if purpose == Purpose::Image {
        problems.extend(look_at_output(&settings.output, context));
    }
    // Read again when a step needs them: a plan holds no secret.
    problems.keep(
        builder_logins::make_missing_key(&settings).and_then(|()| network_access::read(&settings)),
    );
    let engine_plan = problems.keep(plan_engine(purpose, &settings, context).await);
    for check in checks::before_build(&Machine {
        settings: &settings,
        builds: purpose.builds(),
        writes_image: purpose == Purpose::Image,
        engine: engine_plan.as_ref().map(|plan| (&plan.engine).into()),
        emulation: engine_plan.as_ref().map(|plan| plan.emulation),
        missing: engine_plan.as_ref().map(|plan| &plan.missing),
        doctor: None,
    }) {
        match check.verdict {
            Verdict::Bad => problems.extend([check.into_failure()]),
            Verdict::Warning => context.events.warn(check.text),
            Verdict::Good => {}
        }
    }
    match (source, engine_plan) {
        (Some(source), Some(engine_plan)) if problems.is_empty() => Ok(Plan {
            settings,
            run: RunId::random()?,
            source,
            engine_plan,
        }),
        _ => Err(problems.into_failure()),
    }
}

/// Why no image can be written to `dir`; tells of directories that are created.
fn look_at_output(dir: &Path, context: &Context) -> Vec<Failure> {
    let failures = output::preflight(dir);
    if let Some(text) = output::new_directories(dir).filter(|_| failures.is_empty()) {
        context.events.notice(text);
    }
    failures
}

async fn plan_engine(
    purpose: Purpose<'_>,
    settings: &settings::Build,
    context: &Context,
) -> Result<EnginePlan, Failure> {
    let Context { cancel, events } = context;
    let engine = connect(&settings.common, cancel).await?;
    let emulation = if purpose.builds() {
        let (machines, choice) = (&settings.builders.machines, settings.emulation);
        Emulation::choose_with(machines, choice, settings.system, engine.facts())?
    } else {
        Emulation::Native
    };
    if purpose.builds()
        && let Some(notice) = emulation.unneeded(settings.emulation, settings.system)
    {
        events.notice(notice);
    }
    if let Some(notice) = builder_logins::not_covered(settings, emulation) {
        events.notice(notice);
    }
    let plan = EnginePlan::new(engine, emulation, settings);
    cancel.race(plan).await?
}
