//! All providers: which one an order names.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::aws::Access;
use crate::machine::aws;
use crate::machine::aws::AwsProvider;
use crate::machine::command::CommandProvider;
use crate::machine::message::{Price, RentalRequest};
use crate::machine::provider::{CreatedMachine, Extension, LogSink, Provider};
use sdbuild_core::failure::Failure;
use sdbuild_core::machine_source::MachineSource;

/// For how long a program is asked for a machine at a time.
const PROGRAM_LEASE: Duration = Duration::from_secs(3600);

/// One of them.
#[derive(Debug)]
pub(super) enum AnyProvider {
    Command(CommandProvider),
    Aws(Box<AwsProvider>),
}

/// The provider that `order` names.
pub(super) fn provider_of(order: &RentalRequest, access: &Access) -> AnyProvider {
    match &order.source {
        MachineSource::Command(program) => AnyProvider::Command(CommandProvider::new(program)),
        MachineSource::Aws(machine) => {
            AnyProvider::Aws(Box::new(AwsProvider::new(machine, access)))
        }
    }
}

/// For how long a machine of `source` is asked for at a time.
pub(super) fn lease_of(source: &MachineSource) -> Duration {
    match source {
        MachineSource::Command(_) => PROGRAM_LEASE,
        MachineSource::Aws(_) => aws::LEASE,
    }
}

/// What a machine costs; `None` if the provider does not say.
pub async fn price(order: &RentalRequest, access: &Access) -> Result<Option<Price>, Failure> {
    provider_of(order, access).price(order).await
}

impl Provider for AnyProvider {
    async fn price(&self, order: &RentalRequest) -> Result<Option<Price>, Failure> {
        match self {
            Self::Command(one) => Box::pin(one.price(order)).await,
            Self::Aws(one) => Box::pin(one.price(order)).await,
        }
    }

    async fn create(
        &self,
        order: &RentalRequest,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<CreatedMachine, Failure> {
        match self {
            Self::Command(one) => Box::pin(one.create(order, stop, log)).await,
            Self::Aws(one) => Box::pin(one.create(order, stop, log)).await,
        }
    }

    fn extension_interval(&self, order: &RentalRequest) -> Duration {
        match self {
            Self::Command(one) => one.extension_interval(order),
            Self::Aws(one) => one.extension_interval(order),
        }
    }

    async fn extend(
        &self,
        order: &RentalRequest,
        made: &CreatedMachine,
        log: LogSink<'_>,
    ) -> Result<Extension, Failure> {
        match self {
            Self::Command(one) => Box::pin(one.extend(order, made, log)).await,
            Self::Aws(one) => Box::pin(one.extend(order, made, log)).await,
        }
    }

    fn receipt(&self) -> Option<String> {
        match self {
            Self::Command(one) => one.receipt(),
            Self::Aws(one) => one.receipt(),
        }
    }

    async fn destroy(
        &self,
        order: &RentalRequest,
        id: Option<&str>,
        log: LogSink<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Command(one) => Box::pin(one.destroy(order, id, log)).await,
            Self::Aws(one) => Box::pin(one.destroy(order, id, log)).await,
        }
    }
}
