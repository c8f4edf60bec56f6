//! The port of the SSH server of the NixOS system of an image.

use super::boot::Volume;
use super::error::Error;

/// Bytes that are read of the server's configuration, in which NixOS writes the ports before lines of the user.
const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// The first port that the SSH server of the NixOS system at the path `system` on one of `volumes` listens on; `None` where no
/// server is configured, or its configuration cannot be read.
pub(super) fn ssh_port(volumes: &[Volume], system: &str) -> Result<Option<u16>, Error> {
    let path = format!("{system}/etc/ssh/sshd_config");
    for volume in volumes {
        match volume.fs.start_of(&path, MAX_CONFIG_BYTES) {
            Ok(Some(config)) => return Ok(first_port(&String::from_utf8_lossy(&config))),
            Err(error) if error.is_fatal() => return Err(error),
            // It is on one of them.
            Ok(None) | Err(_) => {}
        }
    }
    Ok(None)
}

/// The first `Port` of an `sshd_config`, in which keywords have no case.
fn first_port(config: &str) -> Option<u16> {
    config.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_port = words.next()?.eq_ignore_ascii_case("port");
        let port = words.next().filter(|_| is_port)?.parse().ok();
        port.filter(|port| *port != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_port_of_the_server_is_found() {
        let config = "UsePAM yes\n\nBanner none\n# Port 1\nAddressFamily any\nPort 2222\nPort 22\n";
        assert_eq!(first_port(config), Some(2222));
        assert_eq!(first_port("port 22\n"), Some(22));
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
