//! From settings to a plan: every condition is checked, every problem is reported at once, and nothing is
//! changed on the machine.

use crate::output;
use crate::pipeline::builder_image::check_foreign;
use crate::pipeline::builder_logins;
use crate::pipeline::checks;
use crate::pipeline::checks::{Machine, Verdict};
use crate::pipeline::clients::connect;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::problems::Problems;
use crate::pipeline::request::{BuildRequest, SourceChoice};
use crate::pipeline::resources::Resources;
use crate::pipeline::run_summary::run_summary;
use crate::pipeline::source::{Purpose, SourcePlan};
use crate::pipeline::steps::network_access;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events, Phase};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::oci::{Definition, MissingImages};
use sdbuild_engine::{Engine, RunId};

/// What a run will do; the same value is described and carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings that it was made from.
    pub request: BuildRequest,
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
        Resources::choose(&self.request, self.engine().facts(), self.is_emulated())
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
        request: &BuildRequest,
    ) -> Result<Self, Failure> {
        let architecture = engine.facts().architecture.supported()?;
        let locks = request.common.locks.as_deref();
        let registrar = emulation
            .uses_handler()
            .then(|| Definition::registrar(architecture, locks))
            .transpose()?;
        let builder = match &request.resources.builder_image {
            None => BuilderPlan::Own(Box::new(Definition::builder(architecture, locks)?)),
            Some(reference) => foreign_builder(&engine, reference, emulation, request).await?,
        };
        let own: Vec<&Definition> = registrar.iter().chain(builder.own()).collect();
        let cache = Cache::open_existing(&request.common.cache_dir);
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
    request: &BuildRequest,
) -> Result<BuilderPlan, Failure> {
    let image = engine.image(reference).await?;
    if let Some(image) = &image {
        check_foreign(image, reference, engine, emulation, request)?;
    }
    Ok(BuilderPlan::Foreign {
        reference: reference.to_owned(),
        id: image.map(|image| image.id),
    })
}

/// Checks everything that a build needs.
pub async fn plan(request: BuildRequest, context: &Context) -> Result<Plan, Failure> {
    plan_for(Purpose::Image, request, context).await
}

/// Checks everything that a shell in the builder needs.
pub async fn plan_shell(request: BuildRequest, context: &Context) -> Result<Plan, Failure> {
    plan_for(Purpose::Shell, request, context).await
}

/// Checks everything that a run for `purpose` needs.
pub(super) async fn plan_for(
    purpose: Purpose<'_>,
    request: BuildRequest,
    context: &Context,
) -> Result<Plan, Failure> {
    let work = async {
        let plan = make_plan(purpose, request, context).await?;
        if purpose.builds() || purpose == Purpose::Check {
            let summary = run_summary(&plan.source, &plan.request, plan.engine());
            context.events.emit(Event::RunStarted(summary));
        }
        Ok(plan)
    };
    context.phase(Phase::Preflight, work).await
}

async fn make_plan(
    purpose: Purpose<'_>,
    request: BuildRequest,
    context: &Context,
) -> Result<Plan, Failure> {
    let mut problems = Problems::default();
    let source = SourcePlan::open(&request, purpose, &mut problems, context).await;
    if matches!(
        request.source.choice,
        SourceChoice::Flake { found: true, .. }
    ) && !matches!(purpose, Purpose::Lock(_))
    {
        let text = "there is no sd-card.nix, so sdbuild uses the flake.nix in this directory";
        context.events.notice(text);
    }
    if purpose == Purpose::Image {
        problems.extend(output::preflight(&request.output.dir));
    }
    // Read again when a step needs them: a plan holds no secret.
    problems.keep(
        builder_logins::make_missing_key(&request).and_then(|()| network_access::read(&request)),
    );
    let engine_plan = problems.keep(plan_engine(purpose, &request, context).await);
    for check in checks::before_build(&Machine {
        request: &request,
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
            request,
            run: RunId::random()?,
            source,
            engine_plan,
        }),
        _ => Err(problems.into_failure()),
    }
}

/// Refuses a source or an output directory that no build could use, before a machine is rented, which costs money.
pub async fn check_source(request: &BuildRequest, context: &Context) -> Result<(), Failure> {
    // The plan of the build opens it again, and reports errors.
    let context = Context {
        events: Events::none(),
        ..context.clone()
    };
    let mut problems = Problems::default();
    let source = SourcePlan::open(request, Purpose::Image, &mut problems, &context);
    drop(Box::pin(source).await);
    problems.extend(output::preflight(&request.output.dir));
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.into_failure())
}

async fn plan_engine(
    purpose: Purpose<'_>,
    request: &BuildRequest,
    context: &Context,
) -> Result<EnginePlan, Failure> {
    let Context { cancel, events } = context;
    let engine = connect(&request.common, cancel).await?;
    let emulation = if purpose.builds() {
        let (machines, choice) = (
            &request.resources.builders.machines,
            request.target.emulation,
        );
        Emulation::choose_with(machines, choice, request.target.system, engine.facts())?
    } else {
        Emulation::Native
    };
    if purpose.builds()
        && let Some(notice) = emulation.unneeded(request.target.emulation, request.target.system)
    {
        events.notice(notice);
    }
    if let Some(notice) = builder_logins::not_covered(request, emulation) {
        events.notice(notice);
    }
    let plan = EnginePlan::new(engine, emulation, request);
    cancel.race(plan).await?
}
