//! The decision on one hop: may this URL be fetched, and at which addresses.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::address::is_global;
use super::{AllowEntry, Resolve};
use crate::{FetchFailure, MediaError};

/// A hop that may be made: where to connect and what to say there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop {
    /// As the URL has it: for SNI and the certificate.
    pub(super) host: String,
    /// For the Host header: the host, and the port where it isn't the scheme's own.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
    /// Whether to speak TLS.
    pub(super) tls: bool,
    /// Every one passed the rules; these are dialled and nothing else.
    pub(super) addresses: Vec<SocketAddr>,
}

/// More answers than this are ignored, after all of them have been checked.
const MAX_DIALLED: usize = 4;

/// Judges one URL from scratch, resolving its host once.
///
/// # Errors
/// [`MediaError::UrlBlocked`], the same for every cause; [`FetchFailure::Resolve`] for a name without an address.
pub(super) async fn judge(url: &Url, allow: &[AllowEntry], resolver: &dyn Resolve) -> Result<Hop, MediaError> {
    let blocked = MediaError::UrlBlocked;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(blocked),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(blocked);
    }
    let port = url.port_or_known_default().ok_or(blocked.clone())?;
    if !matches!(port, 80 | 443) && !allow.iter().any(|entry| entry.names_port(port)) {
        return Err(blocked);
    }
    let host = url.host_str().ok_or(blocked.clone())?.to_owned();
    let found = match url.host().ok_or(blocked.clone())? {
        Host::Ipv4(address) => vec![IpAddr::V4(address)],
        Host::Ipv6(address) => vec![IpAddr::V6(address)],
        Host::Domain(name) => resolver.resolve(name).await.map_err(|_| FetchFailure::Resolve)?,
    };
    if found.is_empty() {
        return Err(FetchFailure::Resolve.into());
    }
    let may_dial = |&address: &IpAddr| {
        let public = is_global(address) && matches!(port, 80 | 443);
        public || allow.iter().any(|entry| entry.covers(&host, address, port))
    };
    // One answer that leads inside condemns all: which of them would be dialled is the attacker's choice.
    if !found.iter().all(may_dial) {
        return Err(blocked);
    }
    let addresses = found
        .into_iter()
        .take(MAX_DIALLED)
        .map(|address| SocketAddr::new(address, port))
        .collect();
    let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let path = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
    Ok(Hop {
        host,
        authority,
        path,
        tls,
        addresses,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;
    use crate::source::parse_url;

    /// Answers by name, as a name server that an attacker owns would.
    struct Names;

    impl Resolve for Names {
        fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            let answers: &[&str] = match host {
                "public.example" => &["93.184.216.34", "2606:2800:220:1::1"],
                "private.example" => &["10.0.0.1"],
                "mixed.example" => &["93.184.216.34", "127.0.0.1"],
                "mixed6.example" => &["93.184.216.34", "fd00::1"],
                "nat64.example" => &["64:ff9b::a9fe:a9fe"],
                "mapped.example" => &["::ffff:169.254.169.254"],
                "localhost" => &["127.0.0.1"],
                "empty.example" => &[],
                _ => return async { Err(io::ErrorKind::NotFound.into()) }.boxed(),
            };
            let parsed = answers.iter().map(|answer| answer.parse().unwrap()).collect();
            async move { Ok(parsed) }.boxed()
        }
    }

    /// What becomes of a URL, as a code or "ok".
    fn verdict(url: &str, allow: &[&str]) -> &'static str {
        let allow: Vec<AllowEntry> = allow.iter().map(|entry| entry.parse().unwrap()).collect();
        let Some(url) = parse_url(url) else {
            return MediaError::UrlBlocked.code();
        };
        let judged = judge(&url, &allow, &Names).now_or_never().expect("nothing here waits");
        judged.map_or_else(|error| error.code(), |_| "ok")
    }

    #[test]
    fn public_hosts_may_be_fetched() {
        for url in [
            "http://public.example/a.png?x=1",
            "https://public.example/",
            "http://public.example:443/",
            "https://public.example:80/",
            "https://93.184.216.34/",
            "https://[2606:2800:220:1::1]/",
            "http://[::ffff:93.184.216.34]/",
        ] {
            assert_eq!(verdict(url, &[]), "ok", "{url}");
        }
    }

    #[test]
    fn everything_else_is_blocked() {
        for url in [
            // Schemes, ports, user names, what parsers disagree about.
            "ftp://public.example/",
            "file:///etc/passwd",
            "http://public.example:8080/",
            "http://public.example:22/",
            "http://public.example:0/",
            "http://user@public.example/",
            "http://user:secret@public.example/",
            "http://:secret@public.example/",
            "http://public.example\\@127.0.0.1/",
            "http://127.0.0.1\\@public.example/",
            "http:\\\\127.0.0.1/",
            "http://public.example\t/",
            "http://127.0.0.1%2f@public.example/",
            // One address in many notations.
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://127。0。0。1/",
            "http://①②⑦.⓪.⓪.①/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b:1::1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:1::1]/",
            "http://[fe80::1]/",
            "http://[fec0::1]/",
            "http://[fd00:ec2::254]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.100.100.200/",
            "http://100.64.0.1/",
            "http://168.63.129.16/",
            "http://192.168.1.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            // Names.
            "http://localhost/",
            "http://private.example/",
            "http://mixed.example/",
            "http://mixed6.example/",
            "http://nat64.example/",
            "http://mapped.example/",
        ] {
            assert_eq!(verdict(url, &[]), "image_url_blocked", "{url}");
        }
    }

    #[test]
    fn names_without_an_address_are_not_found() {
        for url in ["http://empty.example/", "http://unknown.example/"] {
            assert_eq!(verdict(url, &[]), "image_fetch_failed", "{url}");
        }
    }

    #[test]
    fn exceptions_lift_only_what_they_name() {
        let rows = [
            ("http://private.example/", "private.example", "ok"),
            ("http://private.example/", "10.0.0.0/8", "ok"),
            ("http://private.example/", "10.1.0.0/16", "image_url_blocked"),
            ("http://private.example:9000/", "private.example", "image_url_blocked"),
            ("http://private.example:9000/", "private.example:9000", "ok"),
            ("http://private.example/", "private.example:9000", "image_url_blocked"),
            ("http://mixed.example/", "127.0.0.0/8", "ok"),
            ("http://user@private.example/", "private.example", "image_url_blocked"),
            // A port opened for one host stays closed for others, public ones too.
            (
                "http://public.example:9000/",
                "private.example:9000",
                "image_url_blocked",
            ),
        ];
        for (url, allow, want) in rows {
            assert_eq!(verdict(url, &[allow]), want, "{url} with {allow}");
        }
    }

    #[test]
    fn a_hop_keeps_host_and_path_apart_from_the_address() {
        let url = parse_url("https://public.example/a%20b.png?q=1#part").unwrap();
        let hop = judge(&url, &[], &Names).now_or_never().unwrap().unwrap();
        assert_eq!(
            (hop.host.as_str(), hop.authority.as_str()),
            ("public.example", "public.example")
        );
        assert_eq!((hop.path.as_str(), hop.tls), ("/a%20b.png?q=1", true));
        assert_eq!(
            hop.addresses,
            [
                "93.184.216.34:443".parse().unwrap(),
                "[2606:2800:220:1::1]:443".parse().unwrap()
            ]
        );
    }
}
