//! What a provider of machines does.

use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;
use crate::common::ssh_machine::SshMachine;
use crate::machine::message::Order;

/// A machine that a provider made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// Where it is, and its host key.
    pub(super) machine: SshMachine,
    /// What the provider calls it; the run's id if it has no name of its own.
    pub(super) id: String,
}

/// What became of the wish to keep a machine for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// It is there for the lease of the order from now on.
    Granted,
    /// The provider cannot do that.
    Unsupported,
}

/// Receives each line that a provider says about its work.
pub(super) type Log<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Makes machines and takes them back. Every method ends within a time of its own.
pub(super) trait Provider {
    /// What a machine costs, in words; `None` if the provider does not say.
    async fn price(&self, order: &Order) -> Result<Option<String>, Failure>;

    /// Makes a machine. `stop` ends that as soon as possible, with a failure; what was made by then is destroyed like any other.
    async fn create(
        &self,
        order: &Order,
        stop: &CancellationToken,
        log: Log<'_>,
    ) -> Result<Made, Failure>;

    /// Asks to keep the machine for the lease of `order` from now on.
    async fn extend(&self, order: &Order, id: &str, log: Log<'_>) -> Result<Extension, Failure>;

    /// Destroys the machine `id`, or everything that was made for the run where no id is known. Succeeds if there is nothing.
    async fn destroy(&self, order: &Order, id: Option<&str>, log: Log<'_>) -> Result<(), Failure>;
}
