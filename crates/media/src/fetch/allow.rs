//! Exceptions that an operator makes: hosts and ranges that may be fetched from although they are not public.

use std::net::IpAddr;
use std::str::FromStr;

use super::address::Cidr;

/// One exception: `host`, `host:port`, `10.0.0.0/8`, `10.0.0.0/8:9000`, `[fd00::]/8`, `[fd00::1]:9000`.
///
/// It lifts the rule on addresses for the host's name, or for every name that resolves into the range. Ports stay 80
/// and 443 unless the entry names one, which is then the only one that it lifts anything for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowEntry {
    target: Target,
    port: Option<u16>,
}

/// Why a text is no exception.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allow entry {entry:?} is neither host[:port] nor CIDR[:port]; write it like images.local:8080 or 10.0.0.0/8")]
pub struct AllowEntryError {
    entry: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// Lower case, without a trailing dot.
    Name(String),
    Range(Cidr),
}

// === impl AllowEntry ===

impl AllowEntry {
    /// Whether this lifts the rules for one address of a host.
    pub(crate) fn covers(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let target = match &self.target {
            Target::Name(name) => host.trim_end_matches('.').eq_ignore_ascii_case(name),
            Target::Range(range) => range.contains(address.to_canonical()) || range.contains(address),
        };
        target && self.port.map_or(matches!(port, 80 | 443), |allowed| allowed == port)
    }

    /// Whether this could lift the rule on ports for one; asked before a name is resolved.
    pub(crate) fn names_port(&self, port: u16) -> bool {
        self.port == Some(port)
    }
}

impl FromStr for AllowEntry {
    type Err = AllowEntryError;

    fn from_str(entry: &str) -> Result<Self, Self::Err> {
        let error = || AllowEntryError {
            entry: entry.to_owned(),
        };
        let text = entry.trim();
        let (host, rest) = match text.strip_prefix('[') {
            Some(inside) => inside.split_once(']').ok_or_else(error)?,
            // More than one colon and no brackets: IPv6 without a port.
            None if text.matches(':').count() > 1 => match text.split_once('/') {
                Some((host, _)) => (host, &text[host.len()..]),
                None => (text, ""),
            },
            None => text.split_at(text.find(['/', ':']).unwrap_or(text.len())),
        };
        let (prefix, port) = match rest.split_once(':') {
            Some((prefix, port)) => (prefix, Some(port.parse().map_err(|_| error())?)),
            None => (rest, None),
        };
        let target = match (host.parse::<IpAddr>(), prefix.strip_prefix('/')) {
            (Ok(base), Some(bits)) => Target::Range(
                bits.parse()
                    .ok()
                    .and_then(|bits| Cidr::new(base, bits))
                    .ok_or_else(error)?,
            ),
            (Ok(base), None) if prefix.is_empty() => {
                let bits = if base.is_ipv4() { 32 } else { 128 };
                Target::Range(Cidr::new(base, bits).ok_or_else(error)?)
            }
            (Err(_), None) if prefix.is_empty() && is_name(host) => {
                Target::Name(host.trim_end_matches('.').to_ascii_lowercase())
            }
            _ => return Err(error()),
        };
        Ok(Self { target, port })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_what_they_say() {
        let rows = [
            ("images.local", "images.local", "10.0.0.5", 80, true),
            ("images.local", "IMAGES.local.", "10.0.0.5", 443, true),
            ("images.local", "images.local", "10.0.0.5", 8080, false),
            ("images.local", "other.local", "10.0.0.5", 80, false),
            ("images.local:8080", "images.local", "10.0.0.5", 8080, true),
            ("images.local:8080", "images.local", "10.0.0.5", 80, false),
            ("10.0.0.0/8", "x", "10.9.9.9", 80, true),
            ("10.0.0.0/8", "x", "::ffff:10.9.9.9", 80, true),
            ("10.0.0.0/8", "x", "11.0.0.0", 80, false),
            ("10.0.0.0/8:9000", "x", "10.9.9.9", 9000, true),
            ("127.0.0.1:4567", "x", "127.0.0.1", 4567, true),
            ("127.0.0.1:4567", "x", "127.0.0.2", 4567, false),
            ("[fd00::1]:9000", "x", "fd00::1", 9000, true),
            ("[fd00::]/8", "x", "fd12::1", 443, true),
            ("fd00::/8", "x", "fd12::1", 443, true),
            ("::1", "x", "::1", 80, true),
        ];
        for (entry, host, address, port, want) in rows {
            let parsed: AllowEntry = entry.parse().unwrap();
            assert_eq!(
                parsed.covers(host, address.parse().unwrap(), port),
                want,
                "{entry} {host} {address} {port}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for entry in [
            "",
            "a b",
            "host:99999",
            "host/8",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "[::1",
            "http://a",
            "*.a",
            "[a]:1x",
        ] {
            assert!(entry.parse::<AllowEntry>().is_err(), "{entry:?}");
        }
    }
}
