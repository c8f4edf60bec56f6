//! The proxies that the environment names, as curl and sdbuild's own downloads read them.

use std::fmt;

use sdbuild_core::loopback::is_loopback;

/// Proxies for downloads; their addresses may contain passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http_proxy` or `HTTP_PROXY`.
    pub http: Option<String>,
    /// `https_proxy` or `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `all_proxy` or `ALL_PROXY`: where neither of the others is set.
    pub all: Option<String>,
    /// `no_proxy` or `NO_PROXY`: the hosts that are reached without a proxy.
    pub none: Option<String>,
}

impl Proxies {
    /// Reads the environment through `get`. A name in lower case comes first, as for curl.
    pub fn from(get: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| get(name).or_else(|| get(&name.to_ascii_uppercase()));
        Self {
            http: either("http_proxy"),
            https: either("https_proxy"),
            all: either("all_proxy"),
            none: either("no_proxy"),
        }
    }

    /// The proxies that only this machine reaches, without passwords, each once.
    pub fn loopback(&self) -> Vec<String> {
        let all = [&self.http, &self.https, &self.all].into_iter().flatten();
        let mut found: Vec<String> = Vec::new();
        for proxy in all
            .filter(|proxy| is_loopback(proxy))
            .map(|proxy| bare(proxy))
        {
            if !found.contains(&proxy) {
                found.push(proxy);
            }
        }
        found
    }

    /// The variables for a container, each in both spellings: without the proxies that only this machine reaches, and none at all
    /// without a proxy.
    pub fn variables(&self) -> Vec<(String, String)> {
        let proxies = [
            ("http_proxy", &self.http),
            ("https_proxy", &self.https),
            ("all_proxy", &self.all),
        ];
        let reached = |(name, proxy): (&'static str, &Option<String>)| {
            let proxy = proxy.clone().filter(|proxy| !is_loopback(proxy))?;
            Some((name, proxy))
        };
        let mut found: Vec<_> = proxies.into_iter().filter_map(reached).collect();
        if !found.is_empty() {
            found.extend(self.none.clone().map(|none| ("no_proxy", none)));
        }
        let both = |(name, value): (&str, String)| {
            [
                (name.to_ascii_uppercase(), value.clone()),
                (name.to_owned(), value),
            ]
        };
        found.into_iter().flat_map(both).collect()
    }
}

/// The address of a proxy without user name and password.
fn bare(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => proxy.to_owned(),
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn both_spellings_are_read_and_written() {
        let all = proxies(&[
            ("HTTP_PROXY", "http://upper:1"),
            ("http_proxy", "http://me:secret@lower:1"),
            ("NO_PROXY", "a.example"),
        ]);
        let expected = [
            ("HTTP_PROXY", "http://me:secret@lower:1"),
            ("http_proxy", "http://me:secret@lower:1"),
            ("NO_PROXY", "a.example"),
            ("no_proxy", "a.example"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(all.variables(), expected);
        assert!(!format!("{all:?}").contains("secret"));
        assert_eq!(proxies(&[("no_proxy", "x")]).variables(), []);
    }

    #[test]
    fn a_proxy_of_this_machine_is_not_passed_on() {
        for proxy in ["http://me:secret@127.0.0.1:3128", "localhost:3128"] {
            let all = proxies(&[("https_proxy", proxy), ("HTTPS_PROXY", "x")]);
            assert_eq!(all.variables(), [], "{proxy}");
            let shown = all.loopback();
            assert_eq!(shown.len(), 1, "{shown:?}");
            assert!(!shown[0].contains("secret"), "{shown:?}");
        }
        let several = proxies(&[
            ("http_proxy", "http://localhost:1"),
            ("https_proxy", "http://localhost:2"),
            ("all_proxy", "http://localhost:1"),
        ]);
        let shown = ["http://localhost:1", "http://localhost:2"];
        assert_eq!(several.loopback(), shown, "each once");
        assert_eq!(
            proxies(&[("all_proxy", "http://10.0.0.1:1")]).loopback(),
            [""; 0]
        );
    }
}
