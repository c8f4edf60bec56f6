//! From settings to a plan: every condition is checked, every problem is reported at once, and nothing is
//! changed on the machine.

use crate::build_mode::{EmulationChoice, Product};
use crate::build_source::Source;
use crate::builder::BuilderImage;
use crate::checks;
use crate::checks::{Machine, Verdict};
use crate::clients;
use crate::clients::connect;
use crate::emulation::Emulation;
use crate::lock::Requested;
use crate::nixpkgs::Nixpkgs;
use crate::output;
use crate::remote_builders;
use crate::request::{BuildRequest, SourceChoice};
use crate::source::{Purpose, SourcePlan};
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events, Phase, RunSummary};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::http_url::without_secrets;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::system::{Architecture, System};
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::oci::{Definition, MissingImages};
use sdbuild_engine::{Engine, EngineAddress, EngineFacts, ImageInfo, RunId};
use sdbuild_nix::configuration_file::FLAKE_FILE;
use sdbuild_nix::flake_ref::FlakeRef;

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

/// Checks everything that a build of the system needs of which `request` would build an image.
pub async fn plan_system(mut request: BuildRequest, context: &Context) -> Result<Plan, Failure> {
    if request.resources.builder_image.is_some() {
        let text =
            "sdbuild can deploy only builds of its own builder image, not those of --builder-image";
        return Err(Failure::usage(text).hint("leave `builder-image` out of the settings"));
    }
    request.target.product = Product::System;
    plan_for(Purpose::System, request, context).await
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
        remote_builders::make_missing_key(&request)
            .and_then(|()| clients::network_access(&request)),
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
        Emulation::of_build(request, engine.facts())?
    } else {
        Emulation::Native
    };
    if purpose.builds()
        && let Some(notice) = emulation.unneeded(request.target.emulation, request.target.system)
    {
        events.notice(notice);
    }
    if let Some(notice) = remote_builders::not_covered(request, emulation) {
        events.notice(notice);
    }
    let plan = EnginePlan::new(engine, emulation, request);
    cancel.race(plan).await?
}

/// Problems that were found, in the order in which they are reported.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Failure>);

impl Problems {
    /// The value of `result`; an error becomes a problem.
    pub(super) fn keep<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }

    /// Adds `failures`.
    pub(super) fn extend(&mut self, failures: impl IntoIterator<Item = Failure>) {
        self.0.extend(failures);
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One failure for all problems. The first problem leads, because it decides the exit code; an
    /// interruption hides all others.
    pub(super) fn into_failure(self) -> Failure {
        let mut problems = self.0;
        let interrupted = |problem: &Failure| problem.class == Class::Interrupted;
        if let Some(at) = problems.iter().position(interrupted) {
            return problems.swap_remove(at);
        }
        let mut problems = problems.into_iter().flat_map(|mut problem| {
            let others = std::mem::take(&mut problem.others);
            std::iter::once(problem).chain(others)
        });
        let unknown = || Failure::message(Class::Internal, "a check failed without a reason");
        let first = problems.next().unwrap_or_else(unknown);
        Failure {
            others: problems.collect(),
            ..first
        }
    }
}

/// Memory for a derivation that is built natively, with one compiler process for instance.
const JOB_BYTES: u64 = 512 << 20;
/// Memory for each process of a derivation.
const PROCESS_BYTES: u64 = 256 << 20;
/// An emulated process takes three times the memory of a native one (measured with gcc, python and busybox).
const EMULATION_FACTOR: u64 = 3;
/// Memory for the evaluation of a whole NixOS, also with native glue: 1,050 MiB were measured (scripts/real-nixpkgs,
/// base, 26.11pre). With an initial heap of this size Nix collects no garbage, which is half of the time: 2.7 s in
/// place of 4.8 s. Two configurations at once take 7.1 s of CPU in place of 9.8 s, with twice that heap; three 12.1 s.
const HEAP_BYTES: u64 = 1200 << 20;
/// The initial heap is at most one part in so many of the memory; Nix keeps it until the builds start.
const HEAP_SHARE: u64 = 4;
/// Configurations that one process evaluates, where each can have a heap of its own: the gain of further ones is small.
const MAX_EVALUATIONS: u32 = 8;
/// Nix's default.
const MIN_CONNECTIONS: u32 = 25;
/// An upper bound, out of consideration for binary caches.
const MAX_CONNECTIONS: u32 = 64;
/// One core unpacks a download while others wait for the network.
const CONNECTIONS_PER_CORE: u32 = 8;

/// How much is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resources {
    /// Derivations at a time.
    pub(super) jobs: u32,
    /// Cores for each derivation; 0 for all.
    pub(super) cores: u32,
    /// Configurations that one process evaluates.
    pub(super) evaluations: u32,
    /// Connections to binary caches.
    pub(super) connections: u32,
    /// Bytes of the evaluator's initial heap; `None` where memory is short or unknown.
    pub(super) heap: Option<u64>,
    /// Whether memory, not the number of cores, limits the jobs.
    pub(super) jobs_limited_by_memory: bool,
}

impl Resources {
    /// Takes what `request` define, and chooses the rest from `facts`.
    pub(super) fn choose(request: &BuildRequest, facts: &EngineFacts, emulated: bool) -> Self {
        let factor = if emulated { EMULATION_FACTOR } else { 1 };
        let cpus = facts.cpus.max(1);
        let limits = [
            request.resources.memory,
            Some(facts.memory).filter(|m| *m > 0),
        ];
        let known = limits.into_iter().flatten().min();
        // Memory that the engine does not report is not a limit.
        let memory = known.unwrap_or(u64::MAX);
        let fit = |each: u64, of: u64| u32::try_from(of / (each * factor)).unwrap_or(u32::MAX);
        let jobs = fit(JOB_BYTES, memory).clamp(1, cpus);
        let jobs = request.resources.jobs.unwrap_or(jobs);
        let cores = fit(PROCESS_BYTES, memory / u64::from(jobs.max(1))).max(1);
        let cores = if cores < cpus { cores } else { 0 };
        let connections = cpus.saturating_mul(CONNECTIONS_PER_CORE);
        let evaluations = known.unwrap_or(0) / HEAP_SHARE / HEAP_BYTES;
        Self {
            jobs,
            cores: request.resources.cores.unwrap_or(cores),
            evaluations: u32::try_from(evaluations)
                .unwrap_or(u32::MAX)
                .clamp(1, MAX_EVALUATIONS),
            connections: request
                .resources
                .connections
                .unwrap_or(connections.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)),
            heap: known
                .and_then(|memory| (memory / HEAP_SHARE >= HEAP_BYTES).then_some(HEAP_BYTES)),
            jobs_limited_by_memory: request.resources.jobs.is_none() && jobs < cpus,
        }
    }
}

/// Fails when Nix cannot run in `image`, which the user calls `name`, on this engine and in the way of
/// emulation that was chosen.
pub(super) fn check_foreign(
    image: &ImageInfo,
    name: &str,
    engine: &Engine,
    emulation: Emulation,
    request: &BuildRequest,
) -> Result<(), Failure> {
    check_architecture(image, name, engine.facts(), &engine.address())?;
    check_user(
        image,
        emulation,
        request.target.emulation,
        request.target.system,
    )
}

/// Fails when `image` is certainly for another architecture than the engine's.
fn check_architecture(
    image: &ImageInfo,
    name: &str,
    engine: &EngineFacts,
    address: &EngineAddress,
) -> Result<(), Failure> {
    let machine = &engine.architecture;
    let Some(other) = image.architecture.as_ref().filter(|its| *its != machine) else {
        return Ok(());
    };
    let platform = machine.supported().map_or("", Architecture::debian_name);
    Err(Failure::usage(format!(
        "the builder image {name} is for {other}, but the engine's machine is {machine}"
    ))
    .hint(format!(
        "pull it for that machine: `{} pull --platform linux/{platform} {}`",
        address.client(),
        quoted(name)
    ))
    .hint("or name another one with --builder-image"))
}

/// Fails when the user asked for private emulation, and `image` runs as root. In `auto` mode another way of
/// emulation is tried later.
fn check_user(
    image: &ImageInfo,
    emulation: Emulation,
    choice: EmulationChoice,
    system: System,
) -> Result<(), Failure> {
    let is_root = BuilderImage::foreign(image, &Events::none()).is_root();
    if is_root && emulation == Emulation::Private && choice == EmulationChoice::Private {
        return Err(Emulation::refused_to_root(choice, system));
    }
    Ok(())
}

/// What a build of `source` with `request` on `engine` is about.
fn run_summary(source: &SourcePlan, request: &BuildRequest, engine: &Engine) -> RunSummary {
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
    fn others_of_a_problem_are_reported_too() {
        let mut rootless = Failure::environment("rootless");
        rootless.others.push(Failure::environment("old kernel"));
        let failure = Problems(vec![Failure::usage("one"), rootless]).into_failure();
        let others: Vec<String> = failure.others.iter().map(ToString::to_string).collect();
        assert_eq!(others, ["rootless", "old kernel"]);
    }

    #[test]
    fn interruption_hides_the_problems_found_before_it() {
        let mut problems = Problems::default();
        problems.extend([Failure::usage("one"), Failure::environment("two")]);
        assert!(!problems.is_empty());
        let failure = problems.into_failure();
        assert_eq!((failure.class, failure.others.len()), (Class::Usage, 1));

        let mut problems = Problems::default();
        assert_eq!(problems.keep(Ok(7)), Some(7));
        problems.extend([Failure::usage("one")]);
        assert_eq!(problems.keep::<()>(Err(Failure::interrupted())), None);
        let failure = problems.into_failure();
        assert_eq!(
            (failure.class, failure.others.len()),
            (Class::Interrupted, 0)
        );
    }
}

#[cfg(test)]
mod resources_tests {
    use super::*;
    use crate::request::fixture;

    const GIB: u64 = 1 << 30;

    fn chosen(machine: (u32, u64), emulated: bool) -> (u32, u32, u32) {
        let chosen = choose(&fixture::request(), machine, emulated);
        (chosen.jobs, chosen.cores, chosen.connections)
    }

    fn choose(request: &BuildRequest, (cpus, memory): (u32, u64), emulated: bool) -> Resources {
        let facts = EngineFacts {
            memory,
            cpus,
            ..EngineFacts::sound()
        };
        Resources::choose(request, &facts, emulated)
    }

    #[test]
    fn initial_heap_needs_four_times_the_memory() {
        let evaluations = |memory| choose(&fixture::request(), (4, memory), true).evaluations;
        assert_eq!(
            [0, 4, 10, 24, 1000].map(|gib| evaluations(gib * GIB)),
            [1, 1, 2, 5, 8]
        );
        let heap = |memory| choose(&fixture::request(), (4, memory), true).heap;
        assert_eq!(heap(8 * GIB), Some(HEAP_BYTES));
        assert_eq!(heap(0), None, "unknown");
        assert_eq!(heap(4 * GIB), None);
    }

    #[test]
    fn memory_limits_jobs_and_cores() {
        assert_eq!(chosen((2, 24 * GIB), true), (2, 0, 25));
        assert_eq!(chosen((8, 8 * GIB), true), (5, 2, 64));
        assert_eq!(chosen((8, 8 * GIB), false), (8, 4, 64));
        assert_eq!(chosen((4, GIB), true), (1, 1, 32));
        assert_eq!(chosen((4, 0), true), (4, 0, 32), "unknown");
    }

    #[test]
    fn what_is_requested_takes_precedence() {
        let mut request = fixture::request();
        request.resources.jobs = Some(7);
        request.resources.cores = Some(0);
        request.resources.connections = Some(3);
        let chosen = choose(&request, (4, GIB), true);
        assert_eq!((chosen.jobs, chosen.cores, chosen.connections), (7, 0, 3));
    }
}

#[cfg(test)]
mod builder_image_tests {
    use super::*;
    use sdbuild_core::failure::Class;
    use sdbuild_core::system::ReportedArchitecture;

    fn image(architecture: Option<&str>, user: Option<&str>) -> ImageInfo {
        ImageInfo {
            architecture: architecture.map(ReportedArchitecture::from),
            ..ImageInfo::of_user(user)
        }
    }

    #[test]
    fn refuses_image_of_another_architecture() {
        let engine = EngineFacts::sound();
        let check = |architecture| {
            let image = image(architecture, Some("1000"));
            check_architecture(&image, "nixos/nix", &engine, &EngineAddress::local_docker())
        };
        check(Some("x86_64")).unwrap();
        check(None).unwrap();
        let failure = check(Some("aarch64")).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        let text = failure.to_string();
        assert!(
            text.contains("nixos/nix is for aarch64, but the engine's machine is x86_64"),
            "{text}"
        );
        let hint = "`docker pull --platform linux/amd64 nixos/nix`";
        assert!(failure.hints[0].contains(hint), "{failure:?}");
    }

    #[test]
    fn refuses_root_only_if_private_emulation_is_requested() {
        let system = System::Aarch64Linux;
        let check = |user, choice, emulation| {
            check_user(&image(Some("x86_64"), user), emulation, choice, system)
        };
        let (private, auto) = (EmulationChoice::Private, EmulationChoice::Auto);
        let failure = check(None, private, Emulation::Private).unwrap_err();
        assert_eq!(failure.class, Class::Usage);
        assert!(!failure.hints.join(" ").contains("private"), "{failure:?}");
        check(Some("1000"), private, Emulation::Private).unwrap();
        check(None, auto, Emulation::Private).unwrap();
        // Nothing is emulated.
        check(None, private, Emulation::Native).unwrap();
        let failure = Emulation::refused_to_root(auto, system);
        assert_eq!(failure.class, Class::Environment);
        assert!(
            !failure.hints.join(" ").contains("--emulation"),
            "{failure:?}"
        );
    }
}

#[cfg(test)]
mod run_summary_tests {
    use super::*;

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
