//! Starts the machine: its keys, its security group, and the cheapest type that there is.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use sdbuild_core::atomic_file;
use sdbuild_core::aws_machine::AwsMachine;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::system::System;
use sdbuild_engine::ssh_machine::SshMachine;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aws::{Client, Error, Instance, NewInstance, SpotPrice};
use crate::machine::aws::{self, USER, user_data};
use crate::machine::order::{PriceLimit, RentalRequest};
use crate::machine::provider::{CreatedMachine, LogSink, Rate};
use crate::machine::record;

/// The port of SSH.
const SSH: u16 = 22;
/// GiB of the disk, unless the user asks for more: a first build takes 12 GB.
const DISK_GIB: u32 = 16;
/// From its start until it runs and has an address.
const START_LIMIT: Duration = Duration::from_mins(5);
/// Between two looks at it, at first and later.
const FIRST_POLL: Duration = Duration::from_millis(250);
const LAST_POLL: Duration = Duration::from_secs(5);
/// The error about a group that some of AWS's servers do not know yet.
const UNKNOWN_GROUP: &str = "InvalidGroup.NotFound";
/// Another type or zone may be had.
const NO_CAPACITY: [&str; 8] = [
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientCapacity",
    "SpotMaxPriceTooLow",
    "Unsupported",
    // The zone has no default subnet.
    "MissingInput",
    "InvalidAvailabilityZone",
    // Of the zone's default subnet.
    "InsufficientFreeAddressesInSubnet",
];
/// The account may not have more processors; other families of types may have a limit of their own.
const LIMITS: [&str; 3] = [
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
];

/// A machine that is being made.
pub(super) struct Creation<'a> {
    pub(super) client: Client,
    pub(super) machine: &'a AwsMachine,
    pub(super) order: &'a RentalRequest,
    /// Ends it. A call that makes something is waited for, so that what it makes is known.
    pub(super) stop: &'a CancellationToken,
    pub(super) log: LogSink<'a>,
    /// Told the id of the group and of each machine as soon as there is one.
    pub(super) note: &'a (dyn Fn(&str) + Send + Sync),
    /// Told what each machine costs as soon as it has started.
    pub(super) started: &'a (dyn Fn(Rate) + Send + Sync),
}

/// What all machines of a run have in common.
struct Common {
    /// Who may connect.
    own_address: IpAddr,
    image: String,
    group: String,
    user_data: String,
}

impl Creation<'_> {
    /// Makes the machine. What was made by the time that this fails is for `destroy`.
    pub(super) async fn run(&self) -> Result<CreatedMachine, Failure> {
        let host = KeyPair::generate("")?;
        let login = KeyPair::generate(&aws::resource_name(&self.order.run))?;
        let identity = record::identity(self.order);
        atomic_file::create_secret(&identity, &login.private)
            .or_environment("write the login key")?;
        let offers = offers(&self.client, self.machine, self.order);
        let offers = self.unless_stopped(offers).await??;
        let own_address = self.client.own_address();
        let own_address = self.unless_stopped(own_address).await??;
        let common = Common {
            image: self.image().await?,
            own_address,
            group: self.group(own_address).await?,
            user_data: user_data(&host, &login, self.order.lease),
        };
        let instance = self.first_that_starts(&offers, &common).await?;
        let address = instance.address.ok_or_else(|| {
            Failure::environment("the machine has no public address").hint(
                "turn on auto-assign public IPv4 addresses for the default subnets of the region",
            )
        })?;
        Ok(CreatedMachine {
            machine: SshMachine {
                place: format!("{USER}@{address}"),
                host_key: host.public.trim().to_owned(),
                identity: Some(identity),
            },
            id: instance.id,
            unreachable_hint: Some(format!(
                "the machine accepts connections only from {}, the address from which AWS saw this machine. Through a \
                 VPN, ssh may connect from another address",
                common.own_address
            )),
        })
    }

    /// The newest image of Amazon Linux.
    async fn image(&self) -> Result<String, Failure> {
        let parameter = image_parameter(self.order.system);
        let image = self.client.public_parameter(&parameter);
        Ok(self.unless_stopped(image).await??)
    }

    /// A security group that lets this machine connect.
    async fn group(&self, own_address: IpAddr) -> Result<String, Failure> {
        let run = &self.order.run;
        let description = "a rented machine for a build of sdbuild";
        let tags = aws::run_tags(run, self.order.lease);
        let name = aws::resource_name(run);
        let made = self.client.create_group(&name, description, &tags).await;
        let group = match made {
            // The answer to the first attempt was lost.
            Err(error) if error.has_code("InvalidGroup.Duplicate") => {
                let found = self.client.groups((&aws::filter_name(), run)).await?;
                found.into_iter().next().ok_or(error)?.id
            }
            made => made?,
        };
        (self.note)(&group);
        let open = async || self.client.open_port(&group, SSH, own_address).await;
        self.when_known(open).await?;
        Ok(group)
    }

    /// The first of `offers` that can be had, and its machine, which runs.
    async fn first_that_starts(
        &self,
        offers: &[Offer],
        common: &Common,
    ) -> Result<Instance, Failure> {
        let mut last = None;
        for (n, offer) in offers.iter().enumerate() {
            self.go_on()?;
            let words = offer.words();
            (self.log)(&format!("starting {words}"));
            let why = match self.start(offer, common, n).await {
                Ok(id) => {
                    (self.note)(&id);
                    (self.started)(offer.rate());
                    match self.running(&id).await? {
                        Startup::Running(instance) => return Ok(instance),
                        Startup::Ended(why) => Failure::environment(why),
                    }
                }
                Err(error) if is_refused_for_now(&error) => Failure::from(error),
                Err(error) => return Err(error.into()),
            };
            (self.log)(&format!("{words} is not available: {why}"));
            last = Some(why);
        }
        let why = last.unwrap_or_else(|| Failure::environment("no offer matches"));
        let count = offers.len();
        let failure = why.context(format!(
            "start a machine: none of {count} types and zones is available"
        ));
        Err(if self.machine.on_demand {
            failure
        } else {
            failure.hint("use a machine at its list price with --on aws:on-demand, or another region, as in --on \
                          aws:region=eu-west-1")
        })
    }

    async fn start(&self, offer: &Offer, common: &Common, n: usize) -> Result<String, Error> {
        let run = &self.order.run;
        let max_price = self.order.highest_price.map(|limit| limit.to_string());
        let new = NewInstance {
            image: &common.image,
            instance_type: &offer.machine.name,
            zone: offer.zone.as_deref(),
            is_spot: offer.usd.is_some(),
            max_price: max_price.as_deref(),
            group: &common.group,
            disk_gib: self.machine.disk.unwrap_or(DISK_GIB),
            user_data: &common.user_data,
            token: &format!("{}-{n}", aws::resource_name(run)),
            tags: &aws::run_tags(run, self.order.lease),
        };
        self.when_known(async || self.client.run_instance(&new).await)
            .await
    }

    /// Calls `work` until AWS knows the group that was made a moment ago.
    async fn when_known<T>(&self, work: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        let mut pause = FIRST_POLL;
        loop {
            match work().await {
                Err(error) if error.has_code(UNKNOWN_GROUP) && pause <= LAST_POLL => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
    }

    /// Waits until the machine `id` runs or has ended.
    async fn running(&self, id: &str) -> Result<Startup, Failure> {
        let run = &self.order.run;
        let start = Instant::now();
        let mut pause = FIRST_POLL;
        while start.elapsed() < START_LIMIT {
            let filter = aws::filter_name();
            let look = self.client.instances((&filter, run));
            let found = self.unless_stopped(look).await??;
            // It may not be in the list yet.
            if let Some(instance) = found.into_iter().find(|one| one.id == id) {
                if instance.state == "running" {
                    return Ok(Startup::Running(instance));
                }
                if instance.is_ending() {
                    let why = instance.reason.unwrap_or_else(|| instance.state.clone());
                    return Ok(Startup::Ended(why));
                }
            }
            self.unless_stopped(tokio::time::sleep(pause)).await?;
            pause = LAST_POLL.min(pause * 2);
        }
        let minutes = START_LIMIT.as_secs() / 60;
        Err(Failure::environment(format!(
            "the machine {id} is not running after {minutes} min"
        )))
    }

    /// The result of `work`, which makes nothing, unless it is stopped.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(stopped()),
            done = work => Ok(done),
        }
    }

    fn go_on(&self) -> Result<(), Failure> {
        if self.stop.is_cancelled() {
            return Err(stopped());
        }
        Ok(())
    }
}

/// What became of a machine that was started.
enum Startup {
    Running(Instance),
    /// It ended, for this reason.
    Ended(String),
}

fn stopped() -> Failure {
    Failure::environment("the machine is no longer needed")
}

/// Whether another type or zone may be had where AWS refused with `error`.
fn is_refused_for_now(error: &Error) -> bool {
    let mut codes = NO_CAPACITY.iter().chain(&LIMITS);
    codes.any(|code| error.has_code(code))
}

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

/// Processors, unless the user asks for more.
const CPUS: u32 = 4;
/// GiB of memory: less is not enough for the evaluation of a system beside a build.
const MEMORY_GIB: u32 = 8;

/// Families of types, the ones with the lowest list price first, with their GiB of memory for each processor. Without t4g and t3: while all
/// of their processors are busy they cost a surcharge that no price list of spot instances has.
const ARM: [(&str, u32); 6] = [
    ("c6g", 2),
    ("c7g", 2),
    ("m6g", 4),
    ("c8g", 2),
    ("m7g", 4),
    ("m8g", 4),
];
const INTEL_AND_AMD: [(&str, u32); 8] = [
    ("c6a", 2),
    ("c6i", 2),
    ("m6a", 4),
    ("c7i", 2),
    ("m6i", 4),
    ("m7i", 4),
    ("c7a", 2),
    ("m7a", 4),
];
/// The sizes that all of them have, with their processors.
const SIZES: [(&str, u32); 4] = [
    ("xlarge", 4),
    ("2xlarge", 8),
    ("4xlarge", 16),
    ("8xlarge", 32),
];

/// A type of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MachineType {
    /// For instance `c7g.xlarge`.
    pub(super) name: String,
    pub(super) cpus: u32,
    pub(super) memory_gib: u32,
}

/// The types of `system` with at least `cpus` processors, and not many more; those with the lowest list price first.
pub(super) fn fitting(system: System, cpus: Option<u32>) -> Vec<MachineType> {
    let families: &[(&str, u32)] = match system {
        System::Aarch64Linux => &ARM,
        System::X8664Linux => &INTEL_AND_AMD,
    };
    let enough = cpus.unwrap_or(CPUS);
    let sizes = SIZES.iter().filter(|(_, cpus)| *cpus >= enough);
    // A larger one may be cheaper for the moment.
    sizes
        .take(2)
        .flat_map(|(size, cpus)| {
            families.iter().map(move |(family, gib)| MachineType {
                name: format!("{family}.{size}"),
                cpus: *cpus,
                memory_gib: cpus * gib,
            })
        })
        .filter(|one| one.memory_gib >= MEMORY_GIB)
        .collect()
}

/// The parameter of AWS that has the newest image of Amazon Linux 2023 for `system`.
pub(super) fn image_parameter(system: System) -> String {
    let architecture = match system {
        System::Aarch64Linux => "arm64",
        System::X8664Linux => "x86_64",
    };
    format!("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}")
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

#[cfg(test)]
mod types_tests {
    use super::*;

    #[test]
    fn types_fit_the_system_and_the_processors() {
        let names = |system, cpus| -> Vec<String> {
            let types = fitting(system, cpus).into_iter();
            types.map(|one| one.name).collect()
        };
        let arm = names(System::Aarch64Linux, None);
        assert_eq!(arm.len(), 12);
        assert_eq!(
            (arm[0].as_str(), arm[6].as_str()),
            ("c6g.xlarge", "c6g.2xlarge")
        );
        assert_eq!(names(System::Aarch64Linux, Some(5))[0], "c6g.2xlarge");
        assert_eq!(names(System::Aarch64Linux, Some(32)).len(), 6);
        assert_eq!(names(System::X8664Linux, None)[0], "c6a.xlarge");
        for one in fitting(System::Aarch64Linux, Some(1)) {
            assert!(one.cpus >= 4 && one.memory_gib >= 8, "{one:?}");
        }
    }
}
