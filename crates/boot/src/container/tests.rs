use sdbuild_core::failure::Class;

use super::*;

#[test]
fn port_taken_meanwhile_hints_at_a_retry() {
    let hints = |text: &str| start_failure(Failure::environment(text)).hints;
    for message in [
        "driver failed: Bind for 127.0.0.1:2222 failed: port is already allocated",
        "rootlessport listen tcp 127.0.0.1:2222: bind: address already in use",
    ] {
        assert!(hints(message).iter().any(|hint| hint.contains("try again")));
    }
    assert!(hints("no such image").is_empty());
}

#[test]
fn exit_code_of_the_script_is_that_of_qemu() {
    assert!(exit_status(0).success());
    assert_eq!(exit_status(3).to_string(), "exit status: 3");
    assert_eq!(exit_status(137).signal(), Some(9));
}

/// The bytes read from a file of 3000 bytes that is expected to have `total`.
fn read_exact(total: u64) -> io::Result<Vec<u8>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(&[7; 3000])?;
    file.rewind()?;
    let mut exact = ExactReader {
        file,
        done: 0,
        total,
        events: &Events::none(),
    };
    let mut read = Vec::new();
    exact.read_to_end(&mut read)?;
    Ok(read)
}

#[test]
fn file_that_changes_its_length_breaks_no_archive() {
    assert_eq!(read_exact(3000).unwrap().len(), 3000);
    assert_eq!(read_exact(1000).unwrap().len(), 1000);
    let error = read_exact(3001).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn full_engine_disk_gets_a_hint() {
    let hints = |message: &str| {
        let (operation, message) = ("upload".into(), message.into());
        let error = EngineError::Refused {
            operation,
            status: 500,
            message,
        };
        upload_failure(error).hints
    };
    let hint = SPACE_HINT.to_owned();
    assert!(hints("write /machine/card.img: no space left on device").contains(&hint));
    assert!(!hints("the container is gone").contains(&hint));
}

#[test]
fn image_larger_than_the_engines_disk_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let free = disk_space::free_space(dir.path()).unwrap();
    file.set_len(free / 2).unwrap();
    check_space([&mut file].into_iter(), Some(dir.path())).unwrap();
    file.set_len(free * 2).unwrap();
    let failure = check_space([&mut file].into_iter(), Some(dir.path())).unwrap_err();
    assert_eq!(failure.class, Class::Environment);
    assert!(
        failure.to_string().contains("the engine's disk has only "),
        "{failure}"
    );
    check_space([&mut file].into_iter(), None).unwrap();
}

/// It would take as much of the engine's disk as its length.
#[test]
fn hole_longer_than_any_image_is_not_sent() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(MAX_IMAGE_BYTES + 1).unwrap();
    let mut sent = Vec::new();
    let mut tar = tar::Builder::new(&mut sent as &mut dyn Write);
    let error = append(&mut tar, "card.img", file, &Events::none()).unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[test]
fn escape_is_detected_across_pieces() {
    let ends_in = |pieces: &[&[u8]]| {
        let mut escape = EscapeDetector::default();
        pieces.iter().any(|piece| escape.ends_in(piece))
    };
    assert!(ends_in(&[b"ab\x01xc"]));
    assert!(ends_in(&[b"\x01", b"X"]));
    assert!(ends_in(&[b"\x01c\x01x"]));
    assert!(!ends_in(&[b"x\x01", b"cx"]));
    assert!(!ends_in(&[b"\x01\x01", b"x"]));
}

#[tokio::test]
async fn keys_are_forwarded_until_the_escape() {
    let (send, keys) = mpsc::channel(4);
    for typed in [&b"ab"[..], b"c", b"\x01x"] {
        send.send(typed.to_vec()).await.unwrap();
    }
    let mut pressed = Vec::new();
    let press = async |typed: &[u8]| {
        pressed.extend_from_slice(typed);
        Ok::<_, EngineError>(())
    };
    forward_keys(keys, press).await;
    assert_eq!(pressed, b"abc");
}
