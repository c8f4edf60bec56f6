//! Addresses that lead to the machine that uses them: in a container to the container.

use url::{Host, Url};

/// Whether the host of `address`, a URL with or without its scheme, is this machine's loopback interface.
pub fn is_loopback(address: &str) -> bool {
    let with_scheme = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let url = Url::parse(&with_scheme);
    // The host of a scheme that the parser does not know, such as socks5, is text: as HTTP it is parsed.
    let url = url.and_then(|url| match url.host() {
        Some(Host::Domain(_)) if !url.scheme().starts_with("http") => {
            let (_, rest) = with_scheme.split_once("://").unwrap_or_default();
            Url::parse(&format!("http://{rest}"))
        }
        _ => Ok(url),
    });
    match url.as_ref().map(Url::host) {
        Ok(Some(Host::Domain(name))) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Some(Host::Ipv4(address))) => address.is_loopback() || address.is_unspecified(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback() || address.is_unspecified(),
        Ok(None) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_loopback_address_is_recognised() {
        for address in [
            "http://127.0.0.1:3128",
            "http://u:p@127.1.2.3",
            "localhost:3128",
            "http://LOCALHOST/x",
            "https://proxy.localhost",
            "http://[::1]:80",
            "0.0.0.0:80",
            "socks5://127.0.0.1:9050",
        ] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["http://10.0.0.1:3128", "cache.example", "file:///cache", ""] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
