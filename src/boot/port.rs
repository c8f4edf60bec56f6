//! The port on 127.0.0.1 that leads to the machine's SSH.

use std::net::TcpListener;

use crate::common::failure::{Failure, OrFail as _};

/// The port that the user wants, or one that is free now.
pub(super) fn port(wanted: Option<u16>) -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", wanted.unwrap_or(0)));
    let listener = match wanted {
        Some(port) => listener
            .or_usage(format!("listen on 127.0.0.1:{port}"))
            .map_err(|failure| {
                failure.hint("take another --port, or leave it out for a free one")
            })?,
        None => listener.or_environment("find a free port")?,
    };
    Ok(listener
        .local_addr()
        .or_environment("find a free port")?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;

    #[test]
    fn a_port_that_is_taken_is_a_usage_error_and_another_is_found() {
        let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = held.local_addr().unwrap().port();
        assert_eq!(port(Some(taken)).unwrap_err().class, Class::Usage);
        assert_ne!(port(None).unwrap(), taken);
    }
}
