//! URLs of flakes: `SCHEME:PATH?KEY=VALUE&…`, percent-encoded. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What Nix encodes in the path of a URL.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');
/// What is encoded in a parameter: more than Nix needs, so that no character can end it.
const IN_PARAMETER: &AsciiSet = &IN_PATH.add(b':').add(b'@');

/// A URL in its parts, or a path with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakeUrl<'a> {
    /// What precedes the first colon; `None` for a path.
    pub scheme: Option<&'a str>,
    /// What precedes the parameters, as it is written.
    pub path: &'a str,
    /// Names and values of the parameters; the values are decoded.
    parameters: Vec<(&'a str, String)>,
}

impl<'a> FlakeUrl<'a> {
    /// The parts of `text`, which has no `#`. Fails with a sentence if a parameter has no value or is wrongly encoded.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, path) = match scheme(base) {
            Some((scheme, path)) => (Some(scheme), path),
            None => (None, base),
        };
        let parameters = query.split('&').filter(|part| !part.is_empty());
        Ok(Self {
            scheme,
            path,
            parameters: parameters.map(parameter).collect::<Result<_, _>>()?,
        })
    }

    /// Removes the parameter `name`; its value.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self
            .parameters
            .iter()
            .position(|(other, _)| *other == name)?;
        Some(self.parameters.remove(at).1)
    }

    /// The parameters that are left.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, &str)> {
        let all = self.parameters.iter();
        all.map(|(name, value)| (*name, value.as_str()))
    }
}

/// `text` without percent-encoding. Fails with a sentence if that is wrong, or hides control characters.
pub fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is wrongly percent-encoded");
    let is_byte =
        |part: &str| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_byte) {
        return Err(wrong());
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| wrong())?.into_owned();
    if decoded.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok(decoded)
}

/// `path`, which may be encoded in any way, in the encoding of Nix.
pub(super) fn normal_path(path: &str) -> Result<String, String> {
    Ok(utf8_percent_encode(&decoded(path)?, IN_PATH).to_string())
}

/// `text` for the value of a parameter: all but unreserved characters and slashes as `%XX`.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_PARAMETER).to_string()
}

/// The scheme of `url` and what follows its colon; `None` for a path.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let begins = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    (begins && scheme.chars().all(allowed)).then_some((scheme, rest))
}

/// Whether `text` begins as a URL does, with a scheme.
pub fn has_scheme(text: &str) -> bool {
    scheme(text).is_some()
}

/// Nix does not decode the names.
fn parameter(text: &str) -> Result<(&str, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` in the flake reference is not of the form KEY=VALUE"))?;
    // The value may be a secret.
    let value =
        decoded(value).map_err(|_| format!("the value of `{name}` is wrongly percent-encoded"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_parameters_are_decoded() {
        let mut url =
            FlakeUrl::parse("git+https://h.example/a%20b?ref=feature%2Fx&dir=a%20b&x=y+%C3%A4=z")
                .unwrap();
        assert_eq!(
            (url.scheme, url.path),
            (Some("git+https"), "//h.example/a%20b")
        );
        assert_eq!(url.take("ref").as_deref(), Some("feature/x"));
        assert_eq!(url.take("ref"), None);
        let left: Vec<_> = url.parameters().collect();
        assert_eq!(left, [("dir", "a b"), ("x", "y+ä=z")]);
        let path = FlakeUrl::parse("./a%20b?dir=c").unwrap();
        assert_eq!((path.scheme, path.path), (None, "./a%20b"));
    }

    #[test]
    fn what_is_wrongly_encoded_is_refused() {
        for text in ["x?a=%zz", "x?a=%2", "x?a=%", "x?a=%ff", "x?a=%0A", "x?a"] {
            FlakeUrl::parse(text).unwrap_err();
        }
    }

    #[test]
    fn paths_are_encoded_as_nix_does() {
        assert_eq!(normal_path("/a%2fb/~c@d e").unwrap(), "/a/b/~c@d%20e");
        assert_eq!(encoded("a b/ä&?"), "a%20b/%C3%A4%26%3F");
    }
}
