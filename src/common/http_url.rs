//! Addresses of servers that sdbuild writes down: in a lock, in messages, in the builder's environment.

use url::Url;

/// Parameters of a query that let everybody who has the address read what is there: of presigned addresses (S3, Google Cloud
/// Storage, Azure), and tokens of forges.
const SECRET_PARAMETERS: [&str; 9] = [
    "access_token",
    "job_token",
    "private_token",
    "sig",
    "signature",
    "token",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
];

/// Why an address cannot be used. The message begins with a verb and does not repeat the address, which may contain a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpUrlError {
    /// It has another scheme, or cannot be parsed.
    #[error("is not a valid http or https address")]
    NotHttp,
    /// It has a user name or a password.
    #[error("contains a user name or password")]
    HasCredentials,
    /// Its query has a token or a signature.
    #[error("contains a token or signature")]
    HasToken,
}

/// Checks that `address` is one of HTTP, and that it may be written down.
pub fn check(address: &str) -> Result<(), HttpUrlError> {
    // A parser ignores some white space; whoever else reads the address may not.
    if address.contains(char::is_whitespace) {
        return Err(HttpUrlError::NotHttp);
    }
    let url = parse(address).ok_or(HttpUrlError::NotHttp)?;
    secret_of(&url).map_or(Ok(()), Err)
}

/// The secret in `address`, which may have any scheme; `None` also for what is no address.
pub fn secret_in(address: &str) -> Option<HttpUrlError> {
    secret_of(&Url::parse(address).ok()?)
}

fn secret_of(url: &Url) -> Option<HttpUrlError> {
    if credentials_in(url) {
        return Some(HttpUrlError::HasCredentials);
    }
    let is_secret = |name: &str| SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str());
    let has_token = url.query_pairs().any(|(name, _)| is_secret(&name));
    has_token.then_some(HttpUrlError::HasToken)
}

/// Whether `address` is one of HTTP without credentials and without a query, which may be a signature that expires.
pub fn is_lasting(address: &str) -> bool {
    parse(address).is_some_and(|url| !credentials_in(&url) && url.query().is_none())
}

/// `url` without credentials, query and fragment, which may hold secrets.
pub fn without_secrets(url: &str) -> String {
    let plain = url.split_once(['?', '#']).map_or(url, |(plain, _)| plain);
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.to_owned();
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

fn parse(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

fn credentials_in(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_an_address_are_found() {
        use HttpUrlError::{HasCredentials, HasToken, NotHttp};
        for (address, error) in [
            ("ftp://mirror.example/debian", NotHttp),
            ("http://", NotHttp),
            ("http://x.example/a b", NotHttp),
            ("http://me:secret@x.example:99999/", NotHttp),
            ("https://me:secret@x.example/n.tar.xz", HasCredentials),
            ("https://me@x.example/n.tar.xz", HasCredentials),
            ("https://:secret@x.example/n.tar.xz", HasCredentials),
            ("HTTPS:///me:secret@x.example/n.tar.xz", HasCredentials),
            ("https://x.example/n?X-Amz-Signature=abc", HasToken),
            ("https://x.example/n?a=1&private%5Ftoken=abc", HasToken),
        ] {
            assert_eq!(check(address), Err(error), "{address}");
            assert!(!error.to_string().contains("secret"));
        }
        for address in [
            "http://mirror.example:8080/a@b/debian",
            "https://x.example/n.tar.xz?ref=v1#token=1",
        ] {
            assert_eq!(check(address), Ok(()), "{address}");
        }
        for (address, secret) in [
            ("git+https://me:secret@x.example/n", Some(HasCredentials)),
            ("github:o/r?token=abc", Some(HasToken)),
            ("github:o/r?ref=v1", None),
            ("./dir", None),
        ] {
            assert_eq!(secret_in(address), secret, "{address}");
        }
    }

    #[test]
    fn a_url_is_shown_without_secrets() {
        for (url, plain) in [
            ("https://a.example/b.tar.xz", "https://a.example/b.tar.xz"),
            (
                "https://me:secret@a.example/b?token=1#x",
                "https://a.example/b",
            ),
            ("https://token@a.example", "https://a.example/"),
        ] {
            assert_eq!(without_secrets(url), plain);
        }
    }

    #[test]
    fn an_address_with_a_query_does_not_last() {
        assert!(is_lasting("https://x.example/n.tar.xz"));
        for address in [
            "https://x.example/n.tar.xz?Expires=1&Signature=2",
            "https://me:secret@x.example/n.tar.xz",
            "file:///n.tar.xz",
            "",
        ] {
            assert!(!is_lasting(address), "{address}");
        }
    }
}
