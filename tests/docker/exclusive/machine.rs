//! Nothing on the whole machine is changed by a build, an interrupted build or a killed one: the kernel's table of handlers,
//! the engine's containers and its volumes are as before. Other tests look at the objects of their own runs only.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::private::private;
use crate::support::*;

/// Reads the host's table continuously, and collects every name in it.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(BTreeSet<String>, u64)>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (until, mut seen, mut looks) = (Arc::clone(&stop), BTreeSet::new(), 0);
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                seen.extend(file_names(Path::new(BINFMT)));
                looks += 1;
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            (seen, looks)
        });
        Self { stop, thread }
    }

    /// Every name that was seen, and the number of reads.
    fn end(self) -> (BTreeSet<String>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn private_build_never_appears_in_the_hosts_table() {
    needs!(engine_ready());
    let before = Machine::snapshot();
    let known: BTreeSet<String> = file_names(Path::new(BINFMT)).into_iter().collect();
    let user = TestUser::new();
    let text = configuration("  networking.hostName = \"private\";");
    user.write("sd-card.nix", &text);
    let watch = Watch::start();
    let outcome = run(&mut private(&user, &["-v"])).assert_exit_code(0);
    let (seen, looks) = watch.end();
    assert_eq!(seen, known, "in {looks} looks");
    assert!(looks > 100, "{looks}");
    assert!(outcome.image().exists());
    before.assert_unchanged();
}

#[test]
fn killed_build_leaves_no_handler_and_the_next_one_sweeps() {
    needs!(engine_ready());
    let before = Machine::snapshot();
    let user = TestUser::new();
    let running = Running::in_mid_build(&user, &[]);
    running.signal(Signal::SIGKILL);
    let outcome = running.finish();
    assert_eq!(outcome.signal, Some(Signal::SIGKILL as i32));
    let took = before.wait_for_handlers();
    eprintln!("the handler was gone {took:?} after the kill");
    wait_until(Duration::from_secs(30), "no container runs on", || {
        docker(&["ps", "--quiet", "--filter", "label=dev.sdbuild.run"]).is_empty()
    });
    user.build_of(&product(SMALL_IMAGE), &[])
        .assert_exit_code(0)
        .assert_stderr_contains(&["removed container ", ", which a stale run left"]);
    before.assert_unchanged();
}

#[test]
fn interrupted_build_leaves_the_machine_unchanged() {
    needs!(engine_ready());
    let before = Machine::snapshot();
    let user = TestUser::new();
    let running = Running::in_mid_build(&user, &[]);
    assert_eq!(our_handlers().len(), 1);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().signal, Some(Signal::SIGINT as i32));
    before.assert_unchanged();
}
