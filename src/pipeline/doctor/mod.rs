//! Every condition of a build, each looked at on its own and for a bounded time. Nothing on the machine
//! is changed: no container is started, no directory made, nothing fetched but the heads of answers.

mod disk;
mod engine;
mod kernel;
mod leftovers;
mod network;

use std::time::Duration;

use serde::Serialize;

use crate::common::failure::{Class, Failure};
use crate::common::timeout::timeout;
use crate::engine::Engine;
use crate::output;
use crate::pipeline::{Context, connection};
use crate::settings;

/// An engine or a server that takes longer is not one to wait for in every build either.
const PATIENCE: Duration = Duration::from_secs(8);

/// How a condition is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Good,
    /// A build can work, but this may become trouble.
    Warning,
    /// A build cannot work.
    Bad,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about, in a word or two.
    pub topic: &'static str,
    /// How it is met.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do about it, most likely first; empty when it is met.
    pub remedies: Vec<String>,
}

impl Check {
    fn new(topic: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            topic,
            verdict,
            text: text.into(),
            remedies: Vec::new(),
        }
    }

    fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Good, text)
    }

    fn warning(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Warning, text)
    }

    fn bad(topic: &'static str, text: impl Into<String>) -> Self {
        Self::new(topic, Verdict::Bad, text)
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// What keeps a build from starting would say it in these words.
    fn failed(topic: &'static str, failure: &Failure) -> Self {
        Self {
            remedies: failure.hints.clone(),
            ..Self::bad(topic, failure.to_string())
        }
    }
}

/// Looks at everything that a build with `settings` needs. Fails only when it is interrupted.
pub async fn examine(settings: &settings::Build, context: &Context) -> Result<Vec<Check>, Failure> {
    let look = async {
        let (engine, network) = tokio::join!(ask_engine(settings, context), network::ask(settings));
        let mut checks = Vec::new();
        let connected = match engine {
            Ok(engine) => {
                checks.extend(engine::checks(&engine, settings));
                Some(engine)
            }
            Err(failure) => {
                checks.push(Check::failed("engine", &failure));
                None
            }
        };
        let connected = connected.as_ref();
        checks.extend(kernel::checks(connected, settings));
        checks.extend(disk::checks(connected, settings));
        let failures = output::preflight(&settings.output);
        checks.extend(
            failures
                .iter()
                .map(|f| Check::failed("output directory", f)),
        );
        let held = held(connected, settings);
        let (held, left) = tokio::join!(held, leftovers::check(connected, settings));
        checks.extend(network::checks(&network, settings, held));
        checks.push(left);
        checks
    };
    context.cancel.race(Box::pin(look)).await
}

async fn ask_engine(settings: &settings::Build, context: &Context) -> Result<Engine, Failure> {
    let connect = connection::connect(&settings.common, &context.cancel);
    let answer = timeout(PATIENCE, connect).await;
    answer.unwrap_or_else(|| {
        let text = format!("the engine does not answer within {} s", PATIENCE.as_secs());
        Err(Failure::message(Class::Environment, text)
            .hint("see whether it still runs: `docker info`, `systemctl status docker`"))
    })
}

/// Whether a build would fetch no package.
async fn held(engine: Option<&Engine>, settings: &settings::Build) -> bool {
    let Some(engine) = engine else { return false };
    let held = timeout(PATIENCE, engine::lacks_no_package(engine, settings)).await;
    held.is_some_and(|held| held.unwrap_or(false))
}
