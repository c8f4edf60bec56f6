//! The port of the SSH server of the NixOS system of an image.

use super::boot::Volume;
use super::error::Error;

/// Bytes that are read of the server's configuration, in which NixOS writes the ports before lines of the user.
const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// The first port that the SSH server of the NixOS system at the path `system` on one of `volumes` listens on; `None` where no
/// server is configured, or its configuration cannot be read.
pub(super) fn ssh_port(volumes: &[Volume], system: &str) -> Result<Option<u16>, Error> {
    let config = server_configuration(volumes, system)?;
    Ok(config.as_deref().and_then(first_port))
}

/// The beginning of the configuration of the SSH server of the NixOS system at the path `system` on one of `volumes`; `None` where
/// there is none, or it cannot be read.
pub(super) fn server_configuration(
    volumes: &[Volume],
    system: &str,
) -> Result<Option<String>, Error> {
    let path = format!("{system}/etc/ssh/sshd_config");
    for volume in volumes {
        match volume.fs.start_of(&path, MAX_CONFIG_BYTES) {
            Ok(Some(config)) => return Ok(Some(String::from_utf8_lossy(&config).into_owned())),
            Err(error) if error.is_fatal() => return Err(error),
            // It is on one of them.
            Ok(None) | Err(_) => {}
        }
    }
    Ok(None)
}

/// The port that an SSH server with this `sshd_config` listens on for other machines: that of the first address which is not only
/// its own, if that has one, else the first `Port`.
fn first_port(config: &str) -> Option<u16> {
    let port = values(config, "port").find_map(valid_port);
    let mut addresses = values(config, "listenaddress");
    let address = addresses.find(|address| !is_loopback(address));
    address.and_then(port_of_address).or(port)
}

/// The values of the `keyword`, which has no case, in an `sshd_config`.
fn values<'a>(config: &'a str, keyword: &str) -> impl Iterator<Item = &'a str> {
    config.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        let is_meant = words.next()?.eq_ignore_ascii_case(keyword);
        words.next().filter(|_| is_meant)
    })
}

fn valid_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn is_loopback(address: &str) -> bool {
    let address = address.trim_start_matches('[');
    let own = ["127.", "localhost", "::1"];
    own.iter().any(|own| address.starts_with(own))
}

/// The port in `address`, such as `0.0.0.0:22` and `[::]:22`; an address of IPv6 without brackets has none.
fn port_of_address(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let is_whole = !host.contains(':') || host.ends_with(']');
    valid_port(port).filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_port_of_the_server_is_found() {
        let config = "UsePAM yes\n\nBanner none\n# Port 1\nAddressFamily any\nPort 2222\nPort 22\n";
        assert_eq!(first_port(config), Some(2222));
        assert_eq!(first_port("port 22\n"), Some(22));
        for (address, port) in [
            ("0.0.0.0:2222", 2222),
            ("[::]:2222", 2222),
            ("0.0.0.0", 22),
            ("fe80::5", 22),
            ("127.0.0.1:2222", 22),
            ("[::1]:2222", 22),
        ] {
            let config = format!("Port 22\nListenAddress {address}\n");
            assert_eq!(first_port(&config), Some(port), "{address}");
        }
        for other in [
            "",
            "Port\n",
            "Port 0\n",
            "Port 70000\n",
            "GatewayPorts no\n",
        ] {
            assert_eq!(first_port(other), None, "{other}");
        }
    }
}
