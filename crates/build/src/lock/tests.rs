use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

use super::*;
use sdbuild_core::event::Event;

const FINAL: &str = "https://releases.nixos.org/nixos/26.05/nixos-26.05.1/nixexprs.tar.xz";

/// A directory for the lock file, and what was fetched and reported.
struct Fixture {
    dir: tempfile::TempDir,
    fetched: Arc<Mutex<Vec<Download>>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Fixture {
    fn new() -> Self {
        let (fetched, events) = (Arc::default(), Arc::default());
        Self {
            dir: tempfile::tempdir().unwrap(),
            fetched,
            events,
        }
    }

    fn lock(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    async fn resolve(&self, requested: &Requested) -> Result<Locked, Failure> {
        self.resolve_meanwhile(requested, |_| ()).await
    }

    /// Resolves `requested`; `meanwhile` runs during the download, with the path of the lock file.
    async fn resolve_meanwhile(
        &self,
        requested: &Requested,
        meanwhile: impl FnOnce(&Path),
    ) -> Result<Locked, Failure> {
        self.resolve_with(requested, FINAL, meanwhile).await
    }

    /// The same; redirects lead to `final_url`.
    async fn resolve_with(
        &self,
        requested: &Requested,
        final_url: &str,
        meanwhile: impl FnOnce(&Path),
    ) -> Result<Locked, Failure> {
        let lock = self.lock();
        let request = Resolve {
            requested,
            lock: &lock,
            channels: "http://127.0.0.1:1/",
            write_lock: true,
            renew: false,
        };
        let fetch = |download: Download| async {
            self.fetched.lock().unwrap().push(download);
            meanwhile(&lock);
            let final_url = final_url.to_owned();
            Ok(Downloaded {
                final_url,
                ..downloaded()
            })
        };
        resolve(&request, &self.events(), fetch)
            .await
            .map(|(locked, _)| locked)
    }

    fn events(&self) -> Events {
        let sink = Arc::clone(&self.events);
        Events::new(move |event| sink.lock().unwrap().push(event))
    }

    fn take_fetched(&self) -> Vec<Download> {
        std::mem::take(&mut self.fetched.lock().unwrap())
    }
}

fn downloaded() -> Downloaded {
    Downloaded {
        path: "/x".into(),
        sha256: [7; 32].into(),
        final_url: FINAL.into(),
    }
}

fn release(text: &str) -> Requested {
    Requested::Release(text.into())
}

#[tokio::test]
async fn a_release_is_resolved_once() {
    let fixture = Fixture::new();
    let locked = fixture.resolve(&release("26.05")).await.unwrap();
    assert_eq!(
        (locked.url.as_str(), locked.release.as_deref()),
        (FINAL, Some("26.05"))
    );
    let first = Download {
        url: "http://127.0.0.1:1/nixos-26.05/nixexprs.tar.xz".into(),
        sha256: None,
    };
    assert_eq!(fixture.take_fetched(), [first]);
    assert_eq!(fixture.resolve(&release("26.05")).await.unwrap(), locked);
    assert_eq!(
        fixture.take_fetched(),
        [Download {
            url: FINAL.into(),
            sha256: Some([7; 32].into())
        }]
    );
    assert_eq!(fixture.events.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_entry_written_meanwhile_is_replaced_and_reported() {
    let fixture = Fixture::new();
    let entry = |release: &str| Locked {
        release: Some(release.into()),
        requested: None,
        url: "https://other.example/n.tar.xz".into(),
        sha256: "0".repeat(64),
    };
    let other_build = |lock: &Path| write(lock, &[entry("25.11"), entry("26.05")]).unwrap();
    let requested = release("25.11");
    let resolved = fixture.resolve_meanwhile(&requested, other_build);
    resolved.await.unwrap();
    let after = read(&fixture.lock()).unwrap();
    let url_of = |release| {
        let is_release = |l: &&Locked| l.release.as_deref() == Some(release);
        after.iter().find(is_release).unwrap().url.as_str()
    };
    assert_eq!(
        (url_of("25.11"), url_of("26.05")),
        (FINAL, "https://other.example/n.tar.xz")
    );
    let events = fixture.events.lock().unwrap().clone();
    assert!(
        matches!(events.last(), Some(Event::Notice(text)) if text.contains("replaced in")),
        "{events:?}"
    );
}

#[test]
fn a_limited_number_of_entries_of_one_version_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let hash = "0".repeat(64);
    let old =
        format!("version = 2\n[[nixpkgs]]\nrelease = \"26.05\"\nurl = \"u\"\nsha256 = \"{hash}\"");
    std::fs::write(&path, &old).unwrap();
    let entries = read(&path).unwrap();
    assert!(entries[0].is_for(&release("26.05")));
    std::fs::write(&path, old.replace("= 2", "= 3")).unwrap();
    read(&path).unwrap_err();
    let many = vec![entries[0].clone(); 1000];
    write(&path, &many).unwrap();
    assert_eq!(read(&path).unwrap().len(), 32);
}

#[tokio::test]
async fn a_presigned_redirect_is_not_pinned() {
    for secret in [
        "https://cdn.example/n.tar.xz?X-Amz-Expires=60&X-Amz-Signature=PRESIGNED",
        "https://cdn.example/n.tar.xz?e=1&s=PRESIGNED",
        "https://me:PRESIGNED@cdn.example/n.tar.xz",
    ] {
        let fixture = Fixture::new();
        let requested = Requested::Url("https://a.example/n.tar.xz".into());
        let resolve = fixture.resolve_with(&requested, secret, |_| ());
        let locked = resolve.await.unwrap();
        assert_eq!(locked.url, "https://a.example/n.tar.xz");
        let text = std::fs::read_to_string(fixture.lock()).unwrap();
        let events = format!("{text}{:?}", fixture.events.lock().unwrap());
        assert!(!events.contains("PRESIGNED"), "{events}");
        fixture.resolve(&requested).await.unwrap();
        let again = fixture.take_fetched().pop().unwrap();
        assert_eq!(again.url, "https://a.example/n.tar.xz");
        assert_eq!(
            again.sha256,
            Some([7; 32].into()),
            "the hash pins the content"
        );
    }
}

#[test]
fn a_lock_with_a_secret_is_refused_without_repeating_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let hash = "0".repeat(64);
    for entry in [
        "url = 'https://me:s3cret@a.example/n.tar.xz'",
        "url = 'https://a.example/n.tar.xz?Signature=s3cret'",
        "url = 'https://a.example/n'\nrequested = 'https://me:s3cret@a.example/n'",
    ] {
        let text = format!("version = 2\n[[nixpkgs]]\n{entry}\nsha256 = '{hash}'\n");
        std::fs::write(&path, text).unwrap();
        let failure = read(&path).unwrap_err();
        let all = format!("{failure} {:?}", failure.hints);
        assert!(all.contains("delete"), "{all}");
        assert!(!all.contains("s3cret"), "{all}");
    }
}

#[tokio::test]
async fn the_lock_is_written_only_if_wanted() {
    let fixture = Fixture::new();
    let request = Resolve {
        requested: &release("26.05"),
        lock: &fixture.lock(),
        channels: "http://127.0.0.1:1",
        write_lock: false,
        renew: false,
    };
    let fetch = |_| async { Ok(downloaded()) };
    let (locked, _) = resolve(&request, &Events::none(), fetch).await.unwrap();
    assert_eq!(locked.url, FINAL);
    assert!(!fixture.lock().exists());
}

#[tokio::test]
async fn a_directory_that_is_not_writable_only_warns() {
    let fixture = Fixture::new();
    let request = Resolve {
        requested: &release("26.05"),
        lock: Path::new("/proc/nowhere/sdbuild.lock"),
        channels: "http://127.0.0.1:1",
        write_lock: true,
        renew: false,
    };
    let fetch = |_| async { Ok(downloaded()) };
    resolve(&request, &fixture.events(), fetch).await.unwrap();
    assert!(matches!(
        fixture.events.lock().unwrap().as_slice(),
        [Event::Warning(_)]
    ));
}

#[test]
fn damaged_locks_are_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let hash = "0".repeat(64);
    for text in [
        "nonsense".to_owned(),
        format!("version = 2\n[nixpkgs]\nurl = \"u\"\nsha256 = \"{hash}\""),
        format!("version = 3\n[[nixpkgs]]\nurl = \"u\"\nsha256 = \"{hash}\""),
        "version = 2\n[[nixpkgs]]\nurl = \"u\"\nsha256 = \"12\"".to_owned(),
        format!("version = 2\n[[nixpkgs]]\nurl = \"u\"\nsha256 = \"{hash}\"\nevil = 1"),
        "#".repeat(70_000),
    ] {
        std::fs::write(&path, &text).unwrap();
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
        assert!(!failure.hints.is_empty(), "{failure}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn the_lock_belongs_to_the_owner_of_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(1234), Some(2345)).unwrap();
    }
    let path = dir.path().join(NAME);
    let locked = Locked {
        release: Some("26.05".into()),
        requested: None,
        url: "https://x.example/n.tar.xz".into(),
        sha256: "0".repeat(64),
    };
    write(&path, &[locked]).unwrap();
    let owner = |path: &Path| {
        let meta = std::fs::metadata(path).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(owner(&path), owner(dir.path()));
}

proptest::proptest! {
    /// Any text is a lock or a usage error; every entry that is read has a hash.
    #[test]
    fn any_text_is_a_lock_or_a_usage_error(text in "(?s).{0,200}", sha in "[0-9a-fA-F]{60,66}") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let whole = format!("version = 2\n[[nixpkgs]]\nurl = \"u\"\nsha256 = \"{sha}\"\n");
        for text in [text, whole] {
            std::fs::write(&path, text).unwrap();
            match read(&path) {
                Err(failure) => proptest::prop_assert_eq!(failure.class, sdbuild_core::failure::Class::Usage),
                Ok(locked) => proptest::prop_assert!(locked.iter().all(|l| l.hash().is_some())),
            }
        }
    }
}
