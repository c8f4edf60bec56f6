//! Starts the machine: its keys, its security group, and the cheapest type that there is.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aws::{Client, Error, Instance, NewInstance};
use crate::machine::aws::names;
use crate::machine::aws::offer::{Offer, offers};
use crate::machine::aws::types::image_parameter;
use crate::machine::aws::user_data::{USER, user_data};
use crate::machine::message::RentalRequest;
use crate::machine::provider::{CreatedMachine, LogSink, Rate};
use crate::machine::record;
use sdbuild_core::aws_machine::AwsMachine;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::secret_file;
use sdbuild_engine::ssh_machine::SshMachine;

/// The port of SSH.
const SSH: u16 = 22;
/// GiB of the disk, unless the user asks for more: a first build takes 12 GB.
const DISK_GIB: u32 = 16;
/// From its start until it runs and has an address.
const START_LIMIT: Duration = Duration::from_secs(300);
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
        let login = KeyPair::generate(&names::name(&self.order.run))?;
        let identity = record::identity(self.order);
        secret_file::create(&identity, &login.private).or_environment("write the login key")?;
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
        let tags = names::tags(run, self.order.lease);
        let name = names::name(run);
        let made = self.client.create_group(&name, description, &tags).await;
        let group = match made {
            // The answer to the first attempt was lost.
            Err(error) if error.has_code("InvalidGroup.Duplicate") => {
                let found = self.client.groups((&names::filter_name(), run)).await?;
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
            token: &format!("{}-{n}", names::name(run)),
            tags: &names::tags(run, self.order.lease),
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
            let filter = names::filter_name();
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
