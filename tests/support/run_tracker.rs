//! The runs that one user starts, and what the machine still has of them. Other users' runs may be under way on the
//! same engine and kernel: only objects that carry the id of one of these runs count.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::{STORE, TestUser, docker_lines, our_handlers, wait_until};

/// Where sdbuild keeps the lock files of its runs, below the home directory.
const LOCK_FILES: &str = ".local/state/sdbuild/runs";

/// Learns the id of every run that a user starts while the value lives: each run makes a lock file of that name before it
/// makes anything else, and the kernel reports the file even when it is gone again.
pub struct RunTracker {
    lock_files: Inotify,
    ids: RefCell<BTreeSet<String>>,
}

impl RunTracker {
    /// Tracks the runs whose home directory is `home`.
    pub fn of_home(home: &Path) -> Self {
        let owner = home.metadata().unwrap();
        let mut dir = home.to_owned();
        for part in Path::new(LOCK_FILES) {
            dir.push(part);
            if !dir.exists() {
                std::fs::create_dir(&dir).unwrap();
                chown(&dir, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
        }
        let lock_files = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
        let appears = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        lock_files.add_watch(&dir, appears).unwrap();
        Self { lock_files, ids: RefCell::default() }
    }

    /// The ids of all runs so far.
    pub fn ids(&self) -> BTreeSet<String> {
        let mut ids = self.ids.borrow_mut();
        loop {
            match self.lock_files.read_events() {
                Ok(events) => ids.extend(
                    events
                        .into_iter()
                        .filter_map(|event| event.name?.into_string().ok())
                        .filter(|name| name.len() == 12),
                ),
                Err(Errno::EAGAIN) => return ids.clone(),
                Err(error) => panic!("read the events of {LOCK_FILES}: {error}"),
            }
        }
    }

    fn is_ours(&self, name: &str) -> bool {
        self.ids().iter().any(|id| name.contains(id.as_str()))
    }

    /// The handlers of these runs in the kernel's table.
    pub fn handlers(&self) -> Vec<String> {
        let mut handlers = our_handlers();
        handlers.retain(|name| self.is_ours(name));
        handlers
    }

    /// The names of these runs' containers, running or not.
    pub fn containers(&self) -> Vec<String> {
        let mut names = docker_lines(&["ps", "--all", "--format", "{{.Names}}"]);
        names.retain(|name| self.is_ours(name));
        names
    }

    /// The names of these runs' containers that run.
    pub fn running_containers(&self) -> Vec<String> {
        let mut names = docker_lines(&["ps", "--format", "{{.Names}}"]);
        names.retain(|name| self.is_ours(name));
        names
    }

    /// The name of the one container of `role`.
    #[track_caller]
    pub fn container(&self, role: &str) -> String {
        let mut names = self.containers_of(role);
        assert_eq!(names.len(), 1, "containers of role {role}: {names:?}");
        names.remove(0)
    }

    /// The names of the containers of `role`.
    pub fn containers_of(&self, role: &str) -> Vec<String> {
        let prefix = format!("sdbuild-{role}-");
        let mut names = self.containers();
        names.retain(|name| name.starts_with(&prefix));
        names
    }

    /// The volumes that these runs made, but for the store that all tests share.
    pub fn volumes(&self) -> Vec<String> {
        let format = "{{.Name}} {{.Label \"dev.sdbuild.run\"}}";
        let mut volumes = docker_lines(&["volume", "ls", "--format", format]);
        volumes.retain(|line| self.is_ours(line) && !line.starts_with(&format!("{STORE} ")));
        let name = |line: String| line.split(' ').next().unwrap().to_owned();
        volumes.into_iter().map(name).collect()
    }

    /// Asserts that there was a run, and that the kernel and the engine have no object of any run.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert!(!self.ids().is_empty(), "there was no run");
        self.assert_no_objects();
    }

    /// The same, but for the volume that the test removes itself.
    #[track_caller]
    pub fn assert_nothing_left_but(&self, volume: &str) {
        assert!(!self.ids().is_empty(), "there was no run");
        let mut left = [self.handlers(), self.containers(), self.volumes()].concat();
        left.retain(|name| name != volume);
        assert_eq!(left, [""; 0], "left of {:?}", self.ids());
    }

    /// The same for a build that may end before its run has a lock, and so before it makes anything.
    #[track_caller]
    pub fn assert_no_objects(&self) {
        let left = [self.handlers(), self.containers(), self.volumes()].concat();
        assert_eq!(left, [""; 0], "left of {:?}", self.ids());
    }

    /// Asserts that the handlers go within three seconds; returns how long it took.
    #[track_caller]
    pub fn wait_until_unregistered(&self) -> Duration {
        let limit = Duration::from_secs(3);
        wait_until(limit, "the handlers are gone", || self.handlers().is_empty())
    }
}

impl TestUser {
    /// Tracks this user's runs from now on.
    pub fn track_runs(&self) -> RunTracker {
        RunTracker::of_home(self.state.path())
    }
}
