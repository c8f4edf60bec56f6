//! Amazon EC2 as a provider: one machine for one build.
//!
//! Guarantees: whatever is made has the tags of its run from its beginning, and is found, used and removed by them alone. The machine is
//! destroyed when it switches itself off, which it does when its lease ends. It has a host key and a login key of its own, and is
//! reached from the address of this machine only.

mod cleanup;
mod create;
mod names;
mod offer;
mod sweep;
mod types;
mod user_data;

pub use sweep::CloudLeftovers;

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aws::{Access, Client};
use crate::machine::call::RUN;
use crate::machine::message::{Price, RentalRequest};
use crate::machine::provider::{CreatedMachine, Extension, LogSink, Provider, Rate};
use sdbuild_core::aws_machine;
use sdbuild_core::aws_machine::AwsMachine;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::run_by_ssh;

/// Duration of a lease. It bounds the cost of a machine that cannot be given back.
pub(super) const LEASE: Duration = Duration::from_secs(15 * 60);
/// Attempts to extend a lease before it ends.
const EXTENSIONS: u32 = 4;
/// Timeout of one command that extends the lease.
const EXTEND_LIMIT: Duration = Duration::from_secs(60);
/// For the tag with the end of the lease.
const TAG_LIMIT: Duration = Duration::from_secs(30);

/// The account and region.
#[derive(Debug)]
pub(super) struct AwsProvider {
    machine: AwsMachine,
    access: Access,
    /// What was made by this process: lists of EC2 may not have it yet.
    made: Mutex<Vec<String>>,
    /// What the last machine costs, and since when it runs.
    running: Mutex<Option<(Rate, Instant)>>,
}

impl AwsProvider {
    /// A provider of machines as `machine` says.
    pub(super) fn new(machine: &AwsMachine, access: &Access) -> Self {
        Self {
            machine: machine.clone(),
            access: access.clone(),
            made: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// A client for the account of `order`. The same settings may name another account by now, where nothing of `order` is found.
    async fn client(&self, order: &RentalRequest) -> Result<Client, Failure> {
        let client = client_of(&self.machine, &self.access).await?;
        if let Some(expected) = &order.account {
            let account = client.account_id().await?;
            check_account(expected, &account)?;
        }
        Ok(client)
    }

    fn made(&self) -> Vec<String> {
        self.made
            .lock()
            .map_or_else(|_| Vec::new(), |made| made.clone())
    }

    fn started(&self, rate: Rate) {
        if let Ok(mut running) = self.running.lock() {
            *running = Some((rate, Instant::now()));
        }
    }

    fn note(&self, id: &str) {
        if let Ok(mut made) = self.made.lock() {
            made.push(id.to_owned());
        }
    }
}

async fn client_of(machine: &AwsMachine, access: &Access) -> Result<Client, Failure> {
    let (region, profile) = (machine.region.as_deref(), machine.profile.as_deref());
    // The caller ends it by dropping the future, or waits.
    access.client(region, profile, &Cancel::new()).await
}

fn check_account(expected: &str, account: &str) -> Result<(), Failure> {
    if account == expected {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "the machine was rented with the AWS account {expected}, but the credentials are those of {account}; use \
         credentials of {expected}"
    )))
}

/// `machine` with the region and the profile that AWS's own settings name, where it has none, and the id of the account: a later run
/// that gives it back may have other settings.
pub(super) async fn located(
    machine: &AwsMachine,
    access: &Access,
) -> Result<(AwsMachine, String), Failure> {
    let variables = &access.variables;
    let named = variables.profile.as_deref();
    // Keys in the environment have precedence over the profile that it names.
    let named = named.filter(|_| variables.access_key_id.is_none());
    let named = named.map(aws_machine::profile).transpose();
    let machine = AwsMachine {
        profile: machine.profile.clone().or(named.map_err(Failure::usage)?),
        ..machine.clone()
    };
    let client = client_of(&machine, access).await?;
    let region = Some(client.region().to_owned());
    Ok((AwsMachine { region, ..machine }, client.account_id().await?))
}

impl Provider for AwsProvider {
    async fn price(&self, order: &RentalRequest) -> Result<Option<Price>, Failure> {
        let client = client_of(&self.machine, &self.access).await?;
        let offers = offer::offers(&client, &self.machine, order).await?;
        Ok(Some(Price {
            words: offer::price_words(&offers, client.region()),
            highest: offer::highest(&offers),
        }))
    }

    async fn create(
        &self,
        order: &RentalRequest,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<CreatedMachine, Failure> {
        let creation = create::Creation {
            client: self.client(order).await?,
            machine: &self.machine,
            order,
            stop,
            log,
            note: &|id| self.note(id),
            started: &|rate| self.started(rate),
        };
        creation.run().await
    }

    fn extension_interval(&self, order: &RentalRequest) -> Duration {
        order.lease / EXTENSIONS
    }

    async fn extend(
        &self,
        order: &RentalRequest,
        made: &CreatedMachine,
        log: LogSink<'_>,
    ) -> Result<Extension, Failure> {
        let variable = (RUN, order.run.as_str());
        run_by_ssh(&made.machine, user_data::EXTEND, variable, EXTEND_LIMIT).await?;
        // The machine is kept from here on: the tag only informs others of the end of the lease.
        let tagged = async {
            let expires = names::expires(order.lease);
            let client = self.client(order).await?;
            let tagged = client.tag(std::slice::from_ref(&made.id), &expires).await;
            tagged.map_err(Failure::from)
        };
        // The next extension must not wait for it.
        let limit = TAG_LIMIT.min(self.extension_interval(order));
        let late = || Err(Failure::environment("AWS does not answer"));
        if let Err(failure) = timeout(limit, tagged).await.unwrap_or_else(late) {
            log(&format!(
                "cannot write the new time limit into the machine's tag: {failure}"
            ));
        }
        Ok(Extension::Granted)
    }

    fn receipt(&self) -> Option<String> {
        let running = self.running.lock().ok()?;
        let (rate, since) = running.as_ref()?;
        Some(rate.receipt(since.elapsed()))
    }

    async fn destroy(
        &self,
        order: &RentalRequest,
        id: Option<&str>,
        log: LogSink<'_>,
    ) -> Result<(), Failure> {
        let client = self.client(order).await?;
        let mut made = self.made();
        made.extend(id.map(str::to_owned));
        cleanup::destroy(&client, &order.run, &made, log).await
    }
}
