//! Addresses of servers that sdbuild writes down: in a lock, in messages, in the builder's environment.

use std::borrow::Cow;
use std::ops::Range;

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

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// Where an address in a message ends, besides white space.
const ENDS: [char; 9] = [
    '"', '\'', '`', '<', '>', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}',
];

/// `text`, such as a message of Nix or git, with `***` in the place of the passwords and tokens of all addresses in it. The user
/// name of an address of SSH stays: it is no secret.
pub fn hide_secrets(text: &str) -> Cow<'_, str> {
    let mut hidden = Cow::Borrowed(text);
    for secrets in [credentials_within, tokens_within] {
        let found = secrets(&hidden);
        for range in found.into_iter().rev() {
            hidden.to_mut().replace_range(range, HIDDEN);
        }
    }
    hidden
}

/// Where `text` has what precedes the `@` of an address, in ascending order.
fn credentials_within(text: &str) -> Vec<Range<usize>> {
    let found = text.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let (before, rest) = (text.get(..at)?, text.get(start..)?);
        let authority = rest
            .split(|c| "/?#".contains(c) || ends_address(c))
            .next()?;
        let (credentials, _) = authority.rsplit_once('@')?;
        let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"+-".contains(c));
        let by_ssh = scheme.into_iter().next()?.contains("ssh");
        let is_name = by_ssh && !credentials.contains(':');
        (!is_name && !credentials.is_empty()).then(|| start..start + credentials.len())
    });
    found.collect()
}

/// Where `text` has the values of [`SECRET_PARAMETERS`], in ascending order.
fn tokens_within(text: &str) -> Vec<Range<usize>> {
    let found = text.match_indices(['?', '&']).filter_map(|(at, mark)| {
        let start = at + mark.len();
        let (name, rest) = text.get(start..)?.split_once('=')?;
        let value = rest.split(|c| "&#".contains(c) || ends_address(c)).next()?;
        let value_at = start + name.len() + 1;
        (is_secret(name) && !value.is_empty()).then(|| value_at..value_at + value.len())
    });
    found.collect()
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || ENDS.contains(&c)
}

fn is_secret(parameter: &str) -> bool {
    SECRET_PARAMETERS.contains(&parameter.to_ascii_lowercase().as_str())
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
    fn secrets_of_addresses_are_hidden_in_any_text() {
        for (text, hidden) in [
            (
                "error: unable to download 'https://me:pass@word@a.example/b.tar.gz?x=1': HTTP error 404",
                "error: unable to download 'https://***@a.example/b.tar.gz?x=1': HTTP error 404",
            ),
            (
                "• Added input 'a':\n    'git+https://TOKEN@a.example/b?ref=m' \u{2018}git+ssh://git@h/b\u{2019}",
                "• Added input 'a':\n    'git+https://***@a.example/b?ref=m' \u{2018}git+ssh://git@h/b\u{2019}",
            ),
            (
                "\"ssh://git:pw@h/b\" gitlab:o/r?dir=x&Access_Token=abc#y, http://h:80/x@y",
                "\"ssh://***@h/b\" gitlab:o/r?dir=x&Access_Token=***#y, http://h:80/x@y",
            ),
            (
                "https://a:b@h/?token=c https://d:é@h",
                "https://***@h/?token=*** https://***@h",
            ),
        ] {
            assert_eq!(hide_secrets(text), hidden);
        }
        for text in [
            "",
            "no address: a@b.example",
            "'ssh-ng://me@pi.lan'",
            "ssh://git@h.example/x?y=1&token=&&",
            "x://@h ?",
        ] {
            assert!(matches!(hide_secrets(text), Cow::Borrowed(same) if same == text));
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
