//! Which machine is asked for, and what it costs.

use std::collections::BTreeSet;
use std::fmt;

use crate::aws::{Client, SpotPrice};
use crate::machine::aws::types::{MachineType, fitting};
use crate::machine::message::{PriceLimit, RentalRequest};
use crate::machine::provider::Rate;
use sdbuild_core::aws_machine::AwsMachine;
use sdbuild_core::failure::Failure;

/// Machines that are asked for one after the other before sdbuild gives up.
const ATTEMPTS: usize = 10;
/// Duration of the build in the price example, in minutes.
const EXAMPLE_MINUTES: f64 = 20.0;
/// Web page with the list prices.
const LIST_PRICES: &str = "https://aws.amazon.com/ec2/pricing/on-demand/";

/// A machine that may be had.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offer {
    pub(super) machine: MachineType,
    /// The availability zone; `None` leaves it to AWS.
    pub(super) zone: Option<String>,
    /// US dollars an hour of a spot instance; `None` for the list price.
    pub(super) usd: Option<f64>,
}

impl Offer {
    /// For instance `c7g.xlarge, spot, in eu-central-1b`.
    pub(super) fn words(&self) -> String {
        let name = &self.machine.name;
        match &self.zone {
            Some(zone) => format!("{name}, spot, in {zone}"),
            None => format!("{name}, on demand"),
        }
    }

    pub(super) fn rate(&self) -> Rate {
        Rate {
            what: self.words(),
            usd_per_hour: self.usd,
        }
    }
}

impl PriceLimit {
    /// The least limit that is not below `usd` an hour, by more than a rounding error.
    fn not_below(usd: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a price is not negative, and saturates"
        )]
        Self((usd * 1e4 - 1e-6).ceil() as u32)
    }

    fn usd(self) -> f64 {
        f64::from(self.0) / 1e4
    }
}

impl fmt::Display for PriceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4}", self.usd())
    }
}

/// The highest price of `offers`, of spot instances.
pub(super) fn highest(offers: &[Offer]) -> Option<PriceLimit> {
    let usd = offers.iter().filter_map(|offer| offer.usd);
    usd.map(PriceLimit::not_below).max()
}

/// The offers of the region of `client` for `machine`, within the price limit of `order`, the cheapest first: at least one.
pub(super) async fn offers(
    client: &Client,
    machine: &AwsMachine,
    order: &RentalRequest,
) -> Result<Vec<Offer>, Failure> {
    let types = fitting(order.system, machine.cpus);
    let mut offers = if machine.on_demand {
        let by_list = |machine| Offer {
            machine,
            zone: None,
            usd: None,
        };
        types.into_iter().map(by_list).collect()
    } else {
        let names: Vec<String> = types.iter().map(|one| one.name.clone()).collect();
        cheapest_first(&types, client.spot_prices(&names).await?)
    };
    if let Some(limit) = order.highest_price {
        let found = offers.len();
        offers.retain(|offer| {
            offer
                .usd
                .is_none_or(|usd| PriceLimit::not_below(usd) <= limit)
        });
        if offers.is_empty() && found > 0 {
            let text =
                format!("prices have risen, and nothing costs {limit} USD an hour or less now");
            return Err(Failure::environment(text).hint("run it again to see the new prices"));
        }
    }
    offers.truncate(ATTEMPTS);
    if offers.is_empty() {
        let text = format!(
            "{} offers no spot instance that is large enough for a build",
            client.region()
        );
        return Err(Failure::environment(text)
            .hint("take another region, as in --on aws:region=eu-west-1, or --on aws:on-demand"));
    }
    Ok(offers)
}

/// The offers of types `types` at `prices`. Of equal prices, the type that is first in `types`.
fn cheapest_first(types: &[MachineType], prices: Vec<SpotPrice>) -> Vec<Offer> {
    let offer = |price: SpotPrice| {
        let place = types
            .iter()
            .position(|one| one.name == price.instance_type)?;
        let offer = Offer {
            machine: types.get(place)?.clone(),
            zone: Some(price.zone),
            usd: Some(price.usd),
        };
        Some((price.usd, place, offer))
    };
    // The newest price comes first.
    let mut seen = BTreeSet::new();
    let newest = prices
        .into_iter()
        .filter(|price| seen.insert((price.instance_type.clone(), price.zone.clone())));
    let mut offers: Vec<_> = newest.filter_map(offer).collect();
    offers.sort_by(|one, other| {
        let by_price = one.0.total_cmp(&other.0).then(one.1.cmp(&other.1));
        by_price.then_with(|| one.2.zone.cmp(&other.2.zone))
    });
    offers.into_iter().map(|(_, _, offer)| offer).collect()
}

/// What the first one of `offers` costs, and the last one if no other one can be had.
pub(super) fn price_words(offers: &[Offer], region: &str) -> String {
    let Some(first) = offers.first() else {
        return "nothing".to_owned();
    };
    let MachineType {
        cpus, memory_gib, ..
    } = first.machine;
    let words = first.words();
    let Some(usd) = first.usd else {
        return format!(
            "its list price in {region} ({LIST_PRICES}): {words}, {cpus} processors, {memory_gib} GiB"
        );
    };
    let otherwise = match highest(offers) {
        Some(highest) if highest > PriceLimit::not_below(usd) => {
            format!(", up to {highest} USD if there is none left")
        }
        _ => String::new(),
    };
    let example = usd * EXAMPLE_MINUTES / 60.0;
    format!(
        "about {usd:.4} USD an hour ({words}, {cpus} processors, {memory_gib} GiB{otherwise}): {example:.3} USD for {EXAMPLE_MINUTES} minutes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::system::System;

    #[test]
    fn a_price_is_within_its_own_limit() {
        for (usd, text) in [(0.0823, "0.0823"), (0.08235, "0.0824"), (0.0534, "0.0534")] {
            assert_eq!(PriceLimit::not_below(usd).to_string(), text);
        }
        assert!(PriceLimit::not_below(0.08) < PriceLimit::not_below(0.0801));
    }

    fn price(name: &str, zone: &str, usd: f64) -> SpotPrice {
        SpotPrice {
            instance_type: name.to_owned(),
            zone: zone.to_owned(),
            usd,
        }
    }

    #[test]
    fn the_cheapest_offer_is_the_first() {
        let types = fitting(System::Aarch64Linux, None);
        let offers = cheapest_first(
            &types,
            vec![
                price("c8g.xlarge", "x-1a", 0.07),
                price("c7g.xlarge", "x-1b", 0.05),
                price("c7g.xlarge", "x-1b", 0.04),
                price("c6g.xlarge", "x-1c", 0.05),
                price("z1d.large", "x-1a", 0.01),
            ],
        );
        let words: Vec<String> = offers.iter().map(Offer::words).collect();
        assert_eq!(
            words,
            [
                "c6g.xlarge, spot, in x-1c",
                "c7g.xlarge, spot, in x-1b",
                "c8g.xlarge, spot, in x-1a"
            ]
        );
        let told = price_words(&offers, "x-1");
        assert_eq!(
            told,
            "about 0.0500 USD an hour (c6g.xlarge, spot, in x-1c, 4 processors, 8 GiB, up to 0.0700 USD if there is none left): 0.017 USD for 20 minutes"
        );
        assert!(!price_words(&offers[..1], "x-1").contains("up to"));
    }
}
