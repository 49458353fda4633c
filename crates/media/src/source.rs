//! What a client gave as an image, told apart by its first characters and nothing else.

use bytes::Bytes;
use url::Url;

use crate::MediaError;

/// An image as it came in, not fetched, decoded or checked yet.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// An http or https URL; [`Fetcher`](crate::Fetcher) decides whether it may be fetched.
    Url(Url),
    /// A whole `data:` URI.
    DataUri(String),
    /// Base64 of the file, standard or URL-safe, padded or not, with or without white space.
    Base64(String),
    /// The file itself, as uploaded.
    Bytes(Bytes),
}

impl Source {
    /// Tells a URL, a `data:` URI and raw base64 apart. Cheap: decodes nothing.
    ///
    /// # Errors
    /// [`MediaError::UrlBlocked`] for another scheme and for a URL that parsers read differently (control characters or
    /// a backslash in it); [`MediaError::Invalid`] for an empty text.
    pub fn parse(text: impl Into<String>) -> Result<Self, MediaError> {
        let text: String = text.into();
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(MediaError::Invalid("it is empty; send a URL, a data: URI or base64"));
        }
        // No base64 alphabet has a colon, so whatever has one near its start is some kind of URL.
        match trimmed
            .as_bytes()
            .iter()
            .take(MAX_SCHEME)
            .position(|&byte| byte == b':')
        {
            None => Ok(Self::Base64(text)),
            Some(end) if trimmed[..end].eq_ignore_ascii_case("data") => {
                Ok(Self::DataUri(if trimmed.len() == text.len() {
                    text
                } else {
                    trimmed.to_owned()
                }))
            }
            Some(_) => parse_url(trimmed).map(Self::Url).ok_or(MediaError::UrlBlocked),
        }
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// Sizes, not contents: an image may be private and a URL may carry a token.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "Url({}://{}/…)", url.scheme(), url.host_str().unwrap_or("")),
            Self::DataUri(text) => write!(f, "DataUri({} characters)", text.len()),
            Self::Base64(text) => write!(f, "Base64({} characters)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// The longest text before a colon that is looked at as a scheme.
const MAX_SCHEME: usize = 64;

/// The one place where text becomes a URL. The `url` crate, as browsers do, drops tabs and line ends and reads a
/// backslash as a slash; other parsers don't, so a text with any of them is refused instead of interpreted.
pub(crate) fn parse_url(text: &str) -> Option<Url> {
    if is_ambiguous(text) {
        return None;
    }
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// Whether two parsers might read this URL, or reference to one, differently.
pub(crate) fn is_ambiguous(text: &str) -> bool {
    let before_query = text.split(['?', '#']).next().unwrap_or(text);
    before_query.contains('\\') || text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        let rows = [
            ("http://a.example/x.png", "url"),
            ("HTTPS://a.example/x.png?q=a%20b", "url"),
            ("  https://a.example/x.png\n", "url"),
            ("data:image/png;base64,AAAA", "data"),
            ("DATA:,abc", "data"),
            ("aGVsbG8=", "base64"),
            (" aGVs\nbG8 ", "base64"),
            ("file:///etc/passwd", "image_url_blocked"),
            ("ftp://a.example/x.png", "image_url_blocked"),
            ("javascript:alert(1)", "image_url_blocked"),
            ("gopher://a.example", "image_url_blocked"),
            ("http:\\\\a.example/", "image_url_blocked"),
            ("https://good.example\\@evil.example/", "image_url_blocked"),
            ("http://a.exam\tple/", "image_url_blocked"),
            ("http://", "image_url_blocked"),
            ("http://a b/", "image_url_blocked"),
            ("", "invalid_image"),
            ("  ", "invalid_image"),
        ];
        for (text, want) in rows {
            let got = match Source::parse(text) {
                Ok(Source::Url(_)) => "url",
                Ok(Source::DataUri(_)) => "data",
                Ok(Source::Base64(_)) => "base64",
                Ok(Source::Bytes(_)) => "bytes",
                Err(error) => error.code(),
            };
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let shown = format!("{:?}", Source::parse("https://a.example/secret?token=t0ken").unwrap());
        assert_eq!(shown, "Url(https://a.example/…)");
    }
}
