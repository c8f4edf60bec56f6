//! Commits that the user's own git fetches.

use super::*;

/// A repository of this machine, as git reaches one elsewhere.
async fn fetched(
    repository: &Repository,
    revision: Option<&str>,
    cache: &Path,
) -> Result<Checkout, Failure> {
    fetched_as(repository, revision, false, cache).await
}

/// The same, as an archive if `is_archive`.
async fn fetched_as(
    repository: &Repository,
    revision: Option<&str>,
    is_archive: bool,
    cache: &Path,
) -> Result<Checkout, Failure> {
    let cancel = Cancel::new();
    let events = Events::none();
    let search = FlakeSearch {
        cache,
        ..search(&cancel, &events)
    };
    let commit = RemoteCommit {
        url: &format!("file://{}", repository.path("").display()),
        branch: None,
        revision,
        history: false,
        is_archive,
    };
    Checkout::fetch(commit, search).await
}

#[tokio::test]
async fn a_fetched_commit_has_the_bytes_of_the_repository() {
    let repository = Repository::new(&["flake.nix"]);
    repository.set(".", "filter.upper.smudge", "tr a-z A-Z");
    repository.write(".gitattributes", "* text eol=crlf filter=upper\n");
    repository.write("word", "one\n");
    repository.git(&["-c", "filter.upper.smudge=", "add", "-A"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let cache = tempfile::tempdir().unwrap();
    let checkout = fetched(&repository, None, cache.path()).await.unwrap();
    let word = fs::read_to_string(checkout.path().join("word")).unwrap();
    assert_eq!(word, "one\n");

    let first = repository.output(&["rev-parse", "HEAD~"]);
    let earlier = fetched(&repository, Some(first.trim()), cache.path());
    let earlier = earlier.await.unwrap();
    assert!(!earlier.path().join("word").exists());
    assert!(earlier.path().join("flake.nix").exists());
    drop((checkout, earlier));

    let nobodys = "0123456789012345678901234567890123456789";
    let failure = fetched(&repository, Some(nobodys), cache.path()).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.class, Class::Usage);
    assert!(failure.to_string().contains("fetch file:///"), "{failure}");
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

/// `github:` has the archive that the server makes, whose files are not all those of the repository.
#[tokio::test]
async fn an_archive_has_the_files_of_git_archive() {
    let repository = Repository::new(&["flake.nix", "docs/a", "sub/b"]);
    let attributes =
        "/docs export-ignore\nsub/b text eol=crlf\nstamp export-subst\n*.x filter=upper\n";
    repository.write(".gitattributes", attributes);
    repository.write("stamp", "$Format:%H$");
    repository.write("word.x", "one\n");
    repository.write("sub/b", "b\n");
    std::os::unix::fs::symlink("sub/b", repository.path("link")).unwrap();
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-q", "-m", "y"]);
    let head = repository.output(&["rev-parse", "HEAD"]);
    let cache = tempfile::tempdir().unwrap();
    let checkout = fetched_as(&repository, Some(head.trim()), true, cache.path());
    let checkout = checkout.await.unwrap();
    let (cancel, events) = (Cancel::new(), Events::none());
    let mut names = checkout.files(search(&cancel, &events)).await.unwrap();
    names.sort();
    let expected = [
        ".gitattributes",
        "flake.nix",
        "link",
        "stamp",
        "sub/b",
        "word.x",
    ];
    assert_eq!(names, expected);
    let read = |name: &str| fs::read_to_string(checkout.files_dir().join(name)).unwrap();
    assert_eq!(
        (read("stamp").as_str(), read("sub/b").as_str()),
        (head.trim(), "b\r\n")
    );
    assert_eq!(
        (read("word.x").as_str(), read("link").as_str()),
        ("one\n", "b\r\n")
    );
}
