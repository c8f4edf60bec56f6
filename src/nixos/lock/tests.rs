//! A lock that fits, one that does not, and none.

use std::sync::{Arc, Mutex};

use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::common::event::Event;

const FINAL: &str = "https://releases.nixos.org/nixos/26.05/nixos-26.05.1/nixexprs.tar.xz";

struct Case {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Download>>>,
    said: Arc<Mutex<Vec<Event>>>,
}

impl Case {
    fn new() -> Self {
        let (asked, said) = (Arc::default(), Arc::default());
        Self {
            dir: tempfile::tempdir().unwrap(),
            asked,
            said,
        }
    }

    fn lock(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    async fn resolve(&self, wanted: &Wanted, update: bool) -> Result<Locked, Failure> {
        let lock = self.lock();
        let how = Resolve {
            wanted,
            lock: &lock,
            channels: "http://127.0.0.1:1/",
            update,
            keep: true,
        };
        let said = Arc::clone(&self.said);
        let events = Events::new(move |event| said.lock().unwrap().push(event));
        let fetch = |download: Download| async {
            self.asked.lock().unwrap().push(download);
            Ok(Downloaded {
                path: "/x".into(),
                sha256: [7; 32],
                final_url: FINAL.into(),
            })
        };
        resolve(&how, &events, fetch)
            .await
            .map(|(locked, _)| locked)
    }

    fn asked(&self) -> Vec<Download> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn release(text: &str) -> Wanted {
    Wanted::Release(text.into())
}

#[tokio::test]
async fn a_release_is_resolved_once() {
    let case = Case::new();
    let locked = case.resolve(&release("26.05"), false).await.unwrap();
    assert_eq!(
        (locked.url.as_str(), locked.release.as_deref()),
        (FINAL, Some("26.05"))
    );
    let first = Download {
        url: "http://127.0.0.1:1/nixos-26.05/nixexprs.tar.xz".into(),
        sha256: None,
    };
    assert_eq!(case.asked(), [first]);
    assert_eq!(
        case.resolve(&release("26.05"), false).await.unwrap(),
        locked
    );
    assert_eq!(
        case.asked(),
        [Download {
            url: FINAL.into(),
            sha256: Some([7; 32])
        }]
    );
    assert_eq!(case.said.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn each_release_keeps_its_own_answer() {
    let case = Case::new();
    let old = case.resolve(&release("25.11"), false).await.unwrap();
    case.resolve(&release("26.05"), false).await.unwrap();
    assert_eq!(case.asked().last().unwrap().sha256, None);
    assert_eq!(read(&case.lock()).unwrap().len(), 2);
    let again = case.resolve(&release("25.11"), false).await.unwrap();
    assert_eq!(again, old);
    assert_eq!(case.asked()[0].sha256, Some([7; 32]), "by the lock");
    assert_eq!(read(&case.lock()).unwrap().len(), 2);
}

#[tokio::test]
async fn an_update_moves_one_answer_and_says_so() {
    let case = Case::new();
    case.resolve(&release("25.11"), false).await.unwrap();
    let mut answers = read(&case.lock()).unwrap();
    answers[0].url = "https://moved.example/n.tar.xz".into();
    answers.push(Locked {
        release: Some("26.05".into()),
        ..answers[0].clone()
    });
    write(&case.lock(), &answers).unwrap();
    case.resolve(&release("25.11"), true).await.unwrap();
    let after = read(&case.lock()).unwrap();
    let url = |release| {
        let of = |l: &&Locked| l.release.as_deref() == Some(release);
        after.iter().find(of).unwrap().url.as_str()
    };
    assert_eq!(
        (url("25.11"), url("26.05")),
        (FINAL, answers[1].url.as_str())
    );
    let said = case.said.lock().unwrap().clone();
    assert!(
        matches!(said.last(), Some(Event::Notice(text)) if text.contains("moved in")),
        "{said:?}"
    );
}

#[test]
fn a_lock_of_the_first_version_is_read_and_one_that_grows_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let hash = "0".repeat(64);
    let old =
        format!("version = 1\n[nixpkgs]\nrelease = \"26.05\"\nurl = \"u\"\nsha256 = \"{hash}\"");
    std::fs::write(&path, old).unwrap();
    let answers = read(&path).unwrap();
    assert!(answers[0].answers(&release("26.05")));
    let many = vec![answers[0].clone(); 1000];
    write(&path, &many).unwrap();
    assert_eq!(read(&path).unwrap().len(), 32);
}

#[tokio::test]
async fn an_update_asks_again_and_a_url_is_locked_too() {
    let case = Case::new();
    let wanted = Wanted::Url("https://a/b.tar.gz".into());
    case.resolve(&wanted, false).await.unwrap();
    case.resolve(&wanted, true).await.unwrap();
    let hashes: Vec<_> = case
        .asked()
        .into_iter()
        .map(|d| (d.url, d.sha256))
        .collect();
    assert_eq!(
        hashes,
        [
            ("https://a/b.tar.gz".to_owned(), None),
            ("https://a/b.tar.gz".to_owned(), None)
        ]
    );
    case.resolve(&wanted, false).await.unwrap();
    assert_eq!(case.asked()[0].sha256, Some([7; 32]));
}

#[tokio::test]
async fn an_answer_that_is_not_to_be_kept_is_not_written() {
    let case = Case::new();
    let how = Resolve {
        wanted: &release("26.05"),
        lock: &case.lock(),
        channels: CHANNELS,
        update: false,
        keep: false,
    };
    let got = Downloaded {
        path: "/x".into(),
        sha256: [7; 32],
        final_url: FINAL.into(),
    };
    let fetch = |_| async { Ok(got) };
    let (locked, _) = resolve(&how, &Events::none(), fetch).await.unwrap();
    assert_eq!(locked.url, FINAL);
    assert!(!case.lock().exists());
}

#[tokio::test]
async fn a_dir_that_cannot_be_written_only_warns() {
    let case = Case::new();
    let how = Resolve {
        wanted: &release("26.05"),
        lock: Path::new("/proc/nowhere/sdbuild.lock"),
        channels: CHANNELS,
        update: false,
        keep: true,
    };
    let said = Arc::clone(&case.said);
    let events = Events::new(move |event| said.lock().unwrap().push(event));
    let got = Downloaded {
        path: "/x".into(),
        sha256: [7; 32],
        final_url: FINAL.into(),
    };
    resolve(&how, &events, |_| async { Ok(got) }).await.unwrap();
    assert!(matches!(
        case.said.lock().unwrap().as_slice(),
        [Event::Warning(_)]
    ));
}

#[test]
fn broken_locks_are_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let hash = "0".repeat(64);
    for text in [
        "nonsense".to_owned(),
        format!("version = 2\n[nixpkgs]\nurl = \"u\"\nsha256 = \"{hash}\""),
        format!("version = 1\n[[nixpkgs]]\nurl = \"u\"\nsha256 = \"{hash}\""),
        format!("version = 3\n[[nixpkgs]]\nurl = \"u\"\nsha256 = \"{hash}\""),
        "version = 1\n[nixpkgs]\nurl = \"u\"\nsha256 = \"12\"".to_owned(),
        format!("version = 1\n[nixpkgs]\nurl = \"u\"\nsha256 = \"{hash}\"\nevil = 1"),
        "#".repeat(70_000),
    ] {
        std::fs::write(&path, &text).unwrap();
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.class, crate::common::failure::Class::Usage);
        assert!(!failure.hints.is_empty(), "{failure}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read(&path).unwrap(), []);
}

#[test]
fn a_lock_that_never_ends_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAME);
    let refused = || {
        let failure = read(&path).unwrap_err();
        assert!(
            failure.to_string().contains("not a plain file"),
            "{failure}"
        );
        std::fs::remove_file(&path).unwrap();
    };
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    refused();
}

#[test]
fn the_lock_belongs_to_the_dirs_owner() {
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

#[test]
fn only_a_release_that_fails_is_doubted() {
    let release = Wanted::Release("1.2".into());
    let url = Wanted::Url("https://x.example/n.tar.xz".into());
    let failed = |wanted| unresolved(Failure::environment("404"), wanted);
    let hint = failed(&release).hints.join(" ");
    assert!(
        hint.contains("release 1.2") && hint.contains("--nixpkgs"),
        "{hint}"
    );
    assert!(failed(&url).hints.is_empty());
    assert!(
        unresolved(Failure::interrupted(), &release)
            .hints
            .is_empty()
    );
}

proptest::proptest! {
    /// Any text is a lock or the user's mistake; what is taken has a hash.
    #[test]
    fn any_text_is_a_lock_or_a_usage_error(text in "(?s).{0,200}", sha in "[0-9a-fA-F]{60,66}") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        let whole = format!("version = 1\n[nixpkgs]\nurl = \"u\"\nsha256 = \"{sha}\"\n");
        for text in [text, whole] {
            std::fs::write(&path, text).unwrap();
            match read(&path) {
                Err(failure) => proptest::prop_assert_eq!(failure.class, crate::common::failure::Class::Usage),
                Ok(locked) => proptest::prop_assert!(locked.iter().all(|l| l.hash().is_some())),
            }
        }
    }
}
