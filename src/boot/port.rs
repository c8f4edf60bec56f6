//! The port on 127.0.0.1 that leads to the machine's SSH.

use std::net::TcpListener;

use crate::common::failure::{Failure, OrFail as _};

/// The port that the user requested, or a free one. It is only tested, not held: another program may take
/// it before QEMU does.
pub(super) fn local_port(requested: Option<u16>) -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", requested.unwrap_or(0)));
    let listener = match requested {
        Some(port) => listener
            .or_usage(format!("listen on 127.0.0.1:{port}"))
            .map_err(|failure| failure.hint("use another --port, or omit it for a free one"))?,
        None => listener.or_environment("find a free port")?,
    };
    let address = listener.local_addr().or_environment("find a free port")?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;

    #[test]
    fn taken_port_is_a_usage_error() {
        let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = held.local_addr().unwrap().port();
        assert_eq!(local_port(Some(taken)).unwrap_err().class, Class::Usage);
        assert_ne!(local_port(None).unwrap(), taken);
    }
}
