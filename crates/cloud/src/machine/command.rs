//! A program of the user's as a provider: docs/machines.md describes what it has to do.

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::machine::call::{Answer, Call};
use crate::machine::message::{Price, RentalRequest};
use crate::machine::provider::{CreatedMachine, Extension, LogSink, Provider};
use crate::machine::reply;
use sdbuild_core::failure::Failure;

/// The exit code of a program that does not know a verb.
const UNSUPPORTED: i32 = 64;
/// Virtual machines in a cloud take some minutes.
const CREATE_LIMIT: Duration = Duration::from_secs(15 * 60);
const DESTROY_LIMIT: Duration = Duration::from_secs(180);
const SHORT_LIMIT: Duration = Duration::from_secs(60);

/// The program.
#[derive(Clone, Debug)]
pub(super) struct CommandProvider {
    program: PathBuf,
}

impl CommandProvider {
    /// The program with this absolute path.
    pub(super) fn new(program: &str) -> Self {
        Self {
            program: program.into(),
        }
    }

    async fn call(
        &self,
        order: &RentalRequest,
        words: &[&str],
        limit: Duration,
        log: LogSink<'_>,
    ) -> Result<Answer, Failure> {
        let never = CancellationToken::new();
        let program = &self.program;
        let call = Call {
            program,
            words,
            order,
            limit,
        };
        call.run(&never, log).await
    }

    /// What is wrong with what the program printed.
    fn refused(&self, verb: &str, why: String) -> Failure {
        let program = self.program.display();
        Failure::environment(why)
            .context(format!("read what {program} {verb} printed"))
            .hint("the program's standard output is its answer. Print messages to standard error")
    }
}

impl Provider for CommandProvider {
    async fn price(&self, order: &RentalRequest) -> Result<Option<Price>, Failure> {
        let answer = self.call(order, &["price"], SHORT_LIMIT, &|_| ()).await?;
        if answer.status.code() == Some(UNSUPPORTED) {
            return Ok(None);
        }
        let text = answer.success()?;
        let words = reply::price(&text).map_err(|why| self.refused("price", why))?;
        Ok(words.map(|words| Price {
            words,
            highest: None,
        }))
    }

    async fn create(
        &self,
        order: &RentalRequest,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<CreatedMachine, Failure> {
        let call = Call {
            program: &self.program,
            words: &["create"],
            order,
            limit: CREATE_LIMIT,
        };
        let text = call.run(stop, log).await?.success()?;
        reply::parse(&text, &order.run).map_err(|why| self.refused("create", why))
    }

    fn extension_interval(&self, order: &RentalRequest) -> Duration {
        order.lease / 2
    }

    async fn extend(
        &self,
        order: &RentalRequest,
        made: &CreatedMachine,
        log: LogSink<'_>,
    ) -> Result<Extension, Failure> {
        let words = ["extend", &made.id];
        let answer = self.call(order, &words, SHORT_LIMIT, log).await?;
        if answer.status.code() == Some(UNSUPPORTED) {
            return Ok(Extension::Unsupported);
        }
        answer.success().map(|_| Extension::Granted)
    }

    fn receipt(&self) -> Option<String> {
        None
    }

    async fn destroy(
        &self,
        order: &RentalRequest,
        id: Option<&str>,
        log: LogSink<'_>,
    ) -> Result<(), Failure> {
        let id = id.unwrap_or(&order.run);
        let answer = self
            .call(order, &["destroy", id], DESTROY_LIMIT, log)
            .await?;
        answer.success().map(drop)
    }
}
