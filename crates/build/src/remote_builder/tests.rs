use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

fn parse(line: &str) -> Result<RemoteBuilder, String> {
    line.parse()
}

#[test]
fn every_field_of_a_builder_is_read() {
    let encoded = BASE64_STANDARD.encode(format!("{KEY} root@pi\n"));
    let line = format!(
        "ssh-ng://me@pi.lan:2222?compress=true aarch64-linux,armv7l-linux keys/id 4 1.5 big-parallel,kvm benchmark {encoded}"
    );
    let builder = parse(&line).unwrap().relative_to(Path::new("/home/me"));
    assert_eq!(builder.key, Some("/home/me/keys/id".into()));
    assert_eq!(builder.host_key.as_deref(), Some(KEY));
    assert_eq!((builder.user.as_str(), builder.port), ("me", Some(2222)));
    let machine = "ssh-ng://me@pi.lan:2222?compress=true aarch64-linux,armv7l-linux - 4 1.5 big-parallel,kvm benchmark";
    assert_eq!(builder.machine(), machine);
    assert_eq!(
        builder.to_string(),
        "ssh-ng://me@pi.lan:2222 (aarch64-linux, armv7l-linux)"
    );
    let short = parse("root@pi aarch64-linux").unwrap();
    assert_eq!(short.machine(), "ssh://root@pi aarch64-linux - 1 1 - -");
}

#[test]
fn a_builder_covers_a_system_if_kernels_go_there_too() {
    let covers = |line: &str| parse(line).unwrap().covers("aarch64-linux");
    assert!(covers("ssh://root@pi aarch64-linux - - - big-parallel"));
    assert!(!covers("ssh://root@pi aarch64-linux"));
    assert!(!covers("ssh://root@pi x86_64-linux - - - big-parallel"));
    assert!(!covers(
        "ssh://root@pi aarch64-linux - - - big-parallel kvm"
    ));
}

#[test]
fn every_wrong_field_is_refused() {
    for line in [
        "",
        "https://pi aarch64-linux",
        "ssh-ng://pi aarch64-linux",
        "ssh-ng://root:secret@pi aarch64-linux",
        "ssh-ng://-oProxyCommand=x@pi aarch64-linux",
        "ssh-ng://root@-pi aarch64-linux",
        "ssh-ng://root@pi:0 aarch64-linux",
        "ssh-ng://root@localhost aarch64-linux",
        "ssh-ng://root@pi?ssh-key=/x aarch64-linux",
        "ssh-ng://root@pi?base64-ssh-public-host-key=x aarch64-linux",
        "ssh-ng://root@pi?speed=2 aarch64-linux",
        "ssh-ng://root@pi?remote-program=a;b aarch64-linux",
        "ssh-ng://root@pi",
        "ssh-ng://root@pi -",
        "ssh-ng://root@pi aarch64=linux",
        "ssh-ng://root@pi aarch64-linux - 0",
        "ssh-ng://root@pi aarch64-linux - - fast",
        "ssh-ng://root@pi aarch64-linux - - - a#b",
        "ssh-ng://root@pi aarch64-linux - - - - - x",
        "ssh-ng://root@pi aarch64-linux - - - - - - -",
    ] {
        let error = parse(line).expect_err(line);
        assert!(!error.contains("secret"), "{error}");
    }
}
