//! All providers: which one an order names.

use crate::common::failure::Failure;
use crate::common::machine_source::MachineSource;
use crate::machine::command::CommandProvider;
use crate::machine::message::Order;
use crate::machine::provider::Provider;

/// The provider that `order` names.
pub(super) fn provider_of(order: &Order) -> impl Provider + use<> {
    let MachineSource::Command(program) = &order.source;
    CommandProvider::new(program)
}

/// What a machine costs, in words; `None` if the provider does not say.
pub async fn price(order: &Order) -> Result<Option<String>, Failure> {
    provider_of(order).price(order).await
}
