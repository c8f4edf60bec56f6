//! Builds on a machine of a double of Amazon EC2: a container with an SSH server stands for it, made with the keys that cloud-init
//! would have read.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::aws_double::AwsDouble;
use crate::aws_double::instances::StoredInstance;
use crate::registrar::{builder_image, engine};
use crate::support::*;

/// A user of the account of the double, whose machines are containers of the provider.
async fn renter() -> (AwsDouble, Arc<MachineProvider>, TestUser) {
    let provider = Arc::new(MachineProvider::new(&builder_image(&engine().await).await));
    let double = AwsDouble::start();
    let machines = Arc::clone(&provider);
    double.state().machines.hook = Some(Box::new(move |instance: &StoredInstance, starts| {
        if starts {
            let data = instance.user_data();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let host = text(&data["ssh_keys"]["ed25519_private"]);
            let login = text(&data["ssh_authorized_keys"][0]);
            return Some(machines.start_machine(&instance.id, &host, &login));
        }
        let mut remove = Command::new("docker");
        run(remove.args(["rm", "--force", "--volumes", &instance.id])).assert_exit_code(0);
        None
    }));
    let mut user = provider.stands_for_amazon(TestUser::new());
    for (name, value) in double.variables() {
        user = user.with(name, value);
    }
    (double, provider, user)
}

#[tokio::test]
async fn a_machine_of_amazon_builds_and_is_destroyed() {
    needs!(MachineProvider::can_run());
    let (double, provider, user) = renter().await;
    let runs = user.track_runs();
    let built = user.build_of(&product(&fresh(SMALL_IMAGE)), &["--yes"]).assert_exit_code(0);
    assert_eq!(fs::read_to_string(built.image()).unwrap(), "small\n");
    let receipt = "the rented machine (c7g.xlarge, spot, in eu-central-1b) ran for";
    assert!(built.stderr.replace('\n', " ").contains(receipt), "{}", built.stderr);
    assert_eq!(provider.machines(), [""; 0]);
    assert_eq!(double.state().machines.left(), [""; 0]);
    assert_eq!(double.state().mistakes, [""; 0]);
    runs.assert_nothing_left();

    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let running = Running::in_mid_build(&user, &["--yes"]);
        assert_eq!(provider.machines().len(), 1);
        running.signal(signal);
        let outcome = running.finish();
        assert_eq!(outcome.signal, Some(signal as i32), "{}", outcome.stderr);
        wait_until(Duration::from_secs(30), "it is destroyed", || {
            provider.machines().is_empty() && double.state().machines.left().is_empty()
        });
    }
    crate::machines::remove_containers_of(&runs);
}
