//! Addresses of servers that sdbuild writes down: in a lock, in messages, in the builder's environment.

use std::borrow::Cow;
use std::ops::Range;

use url::{Url, form_urlencoded};

/// Parameters of a query that hold no secret: those of flakes and of binary caches, and those by which servers of archives name a
/// version. Any other may be a token or a signature.
const PLAIN_PARAMETERS: [&str; 26] = [
    "allrefs",
    "archive",
    "at",
    "branch",
    "commit",
    "compression",
    "dir",
    "format",
    "host",
    "lastmodified",
    "lfs",
    "narhash",
    "path",
    "priority",
    "ref",
    "rev",
    "revcount",
    "sha",
    "shallow",
    "submodules",
    "tag",
    "trusted",
    "unpack",
    "version",
    "want-mass-query",
    "wantmassquery",
];
/// Parameters that are secret outside of addresses of servers too: of presigned addresses (S3, Google Cloud Storage, Azure), and
/// tokens of forges.
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
    /// Its query has a parameter that may be a token or a signature.
    #[error("has parameters that may be a token or signature")]
    HasToken,
}

/// Checks that `address` is one of HTTP, and that it may be written down.
pub fn check(address: &str) -> Result<(), HttpUrlError> {
    // A parser ignores some white space; other readers of the address may not.
    if address.contains(char::is_whitespace) {
        return Err(HttpUrlError::NotHttp);
    }
    let url = parse(address).ok_or(HttpUrlError::NotHttp)?;
    secret_of(&url).map_or(Ok(()), Err)
}

/// The secret in `address`, which may have any scheme; `None` also for something that is not an address.
pub fn secret_in(address: &str) -> Option<HttpUrlError> {
    secret_of(&Url::parse(address).ok()?)
}

fn secret_of(url: &Url) -> Option<HttpUrlError> {
    if credentials_in(url) {
        return Some(HttpUrlError::HasCredentials);
    }
    let has_token = url.query_pairs().any(|(name, _)| !is_plain(&name));
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
/// The quotes around an address in a message: the opening and the closing one.
const QUOTES: [(char, char); 6] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('<', '>'),
    ('\u{2018}', '\u{2019}'),
    ('\u{201c}', '\u{201d}'),
];
/// What is between the scheme and the authority of an address, also in JSON.
const MARKS: [&str; 2] = ["://", ":\\/\\/"];
/// Bytes of the longest name in [`SECRET_PARAMETERS`] when each character is encoded.
const MAX_NAME_BYTES: usize = 60;

/// `text`, such as a message of Nix or git, with `***` in the place of the passwords of all addresses in it, and of the parameters
/// that may be tokens. The user name of an address of SSH stays: it is not a secret.
pub fn hide_secrets(text: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let (mut done, mut before, mut closing, mut is_in_address) = (0, ' ', None, false);
    for (at, c) in text.char_indices() {
        if at < done {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        is_in_address = !c.is_whitespace()
            && (is_in_address || MARKS.iter().any(|mark| rest.starts_with(mark)));
        let secret = match c {
            ':' => credentials_at(rest, text.get(..at).unwrap_or_default(), closing),
            '?' | '&' | ';' => token_at(rest, closing, is_in_address),
            _ => None,
        };
        if let Some(Range { start, end }) = secret {
            hidden.push_str(text.get(done..at + start).unwrap_or_default());
            hidden.push_str(HIDDEN);
            done = at + end;
        }
        // In the middle of a word it is not a quote.
        if c.is_whitespace() {
            closing = None;
        } else if let Some((_, quote)) = QUOTES.iter().find(|(opening, _)| *opening == c)
            && !before.is_alphanumeric()
        {
            closing = Some(*quote);
        }
        before = c;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    hidden.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(hidden)
}

/// Where `rest`, which begins behind the scheme of an address, has what precedes the `@`. The address ends with `closing`, if it is
/// quoted; but a password may have a `'` (RFC 3986, section 3.2.1). `before` ends with the scheme.
fn credentials_at(rest: &str, before: &str, closing: Option<char>) -> Option<Range<usize>> {
    let start = MARKS.iter().find(|mark| rest.starts_with(**mark))?.len();
    let closing = closing.filter(|quote| *quote != '\'');
    let authority = part_until("/?#\\", rest.get(start..)?, closing);
    let (credentials, _) = authority.rsplit_once('@')?;
    let mut scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"+-".contains(c));
    let is_name = scheme.next()?.contains("ssh") && !credentials.contains(':');
    (!is_name && !credentials.is_empty()).then(|| start..start + credentials.len())
}

/// Where `rest`, which begins with what separates parameters, has the value of the first one if it may be secret.
fn token_at(rest: &str, closing: Option<char>, is_in_address: bool) -> Option<Range<usize>> {
    let mut bytes = rest.bytes().take(MAX_NAME_BYTES + 2).skip(1);
    let length = bytes.position(|byte| byte.is_ascii_whitespace() || b"=?&;#".contains(&byte));
    let named = length.and_then(|length| rest.get(1..length + 2)?.strip_suffix('='));
    let Some(name) = named else {
        // Without a name, or with a very long one.
        let is_query = is_in_address && !rest.starts_with(';');
        let value = part_until("?&;#", rest.get(1..).filter(|_| is_query)?, closing);
        return (!value.is_empty()).then(|| 1..1 + value.len());
    };
    let start = name.len() + 2;
    let (name, _) = form_urlencoded::parse(name.as_bytes()).next()?;
    // Only then is the value looked at: many parameters would each lead to the end of the text.
    let is_secret = is_secret(&name) || is_in_address && !is_plain(&name);
    let value = part_until("&#", rest.get(start..).filter(|_| is_secret)?, closing);
    (!value.is_empty()).then(|| start..start + value.len())
}

/// What `text` has before one of `ends`, white space, or the quote `closing` at the end of a word.
fn part_until<'a>(ends: &str, text: &'a str, closing: Option<char>) -> &'a str {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let goes_on = match c {
            // An address may have one (RFC 3986, section 2.2).
            '\'' => next.is_some_and(|next| !next.is_whitespace() && !",;:.)]}\"".contains(next)),
            _ => next.is_some_and(char::is_alphanumeric),
        };
        let is_closed = closing == Some(c) && !goes_on;
        if c.is_whitespace() || ends.contains(c) || is_closed {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

fn is_plain(parameter: &str) -> bool {
    let mut names = PLAIN_PARAMETERS.iter();
    names.any(|name| name.eq_ignore_ascii_case(parameter))
}

fn is_secret(parameter: &str) -> bool {
    let mut names = SECRET_PARAMETERS.iter();
    names.any(|name| name.eq_ignore_ascii_case(parameter))
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
    use proptest::prelude::*;

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
            ("https://x.example/n?apikey=abc", HasToken),
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
                "error: unable to download 'https://***@a.example/b.tar.gz?x=***': HTTP error 404",
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
            ("'https://h/?token=a?token=bé'", "'https://h/?token=***'"),
            (
                "'https://me:it'sSECRET@h/x?sig=ab'cd'.",
                "'https://***@h/x?sig=***'.",
            ),
            (
                "https://h/n?apikey=S&rev=1#x x?apikey=1 https://h/?SECRET https://h/?",
                "https://h/n?apikey=***&rev=1#x x?apikey=1 https://h/?*** https://h/?",
            ),
            (
                "https://h?a=1;access%5Ftoken=S {\"a\":\"https:\\/\\/u:p@h\",\"b\":\"@\"}",
                "https://h?a=*** {\"a\":\"https:\\/\\/***@h\",\"b\":\"@\"}",
            ),
        ] {
            assert_eq!(hide_secrets(text), hidden);
            assert_eq!(hide_secrets(hidden), hidden, "what is hidden stays so");
        }
        for text in [
            "",
            "no address: a@b.example",
            "'ssh-ng://me@pi.lan'",
            "ssh://git@h.example/x?ref=1&token=&&",
            "x://@h ?",
        ] {
            assert!(matches!(hide_secrets(text), Cow::Borrowed(same) if same == text));
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_searched_for_secrets(text in r"(token=|://|[?&;=@'é a/]|https|sig){0,40}") {
            hide_secrets(&text);
        }

        #[test]
        fn no_address_in_any_text_keeps_its_secrets(
            before in r"(token=|://|[?&;=@'é a/]|https|sig){0,20}",
            quote in r#"['"`]?"#,
            user in "[a-z]{0,4}",
            password in "SECRET[!$&'()*+,;=@:~%é]{0,4}SECRET",
            separator in "[?&;]",
            name in "(access_token|TOKEN|sig)",
            value in "SECRET([!$()*+,;=@:/?~%]|'[!$*+=@/?~%-]){0,4}SECRET",
        ) {
            let text = format!("{before} {quote}https://{user}:{password}@x.example/n{separator}{name}={value}{quote} é");
            let hidden = hide_secrets(&text);
            prop_assert!(!hidden.contains("SECRET"), "{}", hidden);
            prop_assert!(hidden.contains("x.example/n") && hidden.ends_with(" é"), "{}", hidden);
        }
    }

    #[test]
    fn a_long_text_is_searched_in_one_pass() {
        // With a pass for each separator it would be ended by the test runner.
        for part in ["&", "?token=", "://", "'://a", "?a=", "://?a", "?"] {
            let text = part.repeat((1 << 20) / part.len());
            assert!(hide_secrets(&text).len() <= text.len());
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
