//! Images sent inside the request: base64 and `data:` URIs (RFC 2397) to bytes.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT};
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::MediaError;

/// Decodes base64 of either alphabet, padded or not, white space anywhere.
///
/// # Errors
/// [`MediaError::TooManyBytes`] before anything is allocated; [`MediaError::Invalid`].
pub(crate) fn from_base64(text: &str, max_bytes: usize) -> Result<Bytes, MediaError> {
    let text = text.trim();
    // White space only makes it fewer bytes, so it is counted only when in doubt.
    if decoded_at_least(text.len()) > max_bytes
        && decoded_at_least(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count()) > max_bytes
    {
        return Err(MediaError::TooManyBytes { max_bytes });
    }
    let decoded = STANDARD_PAD_INDIFFERENT.decode(text).or_else(|_| decode_odd(text));
    let bytes = decoded.map_err(|_| MediaError::Invalid("it is neither a URL, a data: URI nor base64"))?;
    if bytes.len() > max_bytes {
        return Err(MediaError::TooManyBytes { max_bytes });
    }
    Ok(Bytes::from(bytes))
}

/// Decodes a `data:` URI. Its media type is not believed: formats are told by their first bytes.
///
/// # Errors
/// As [`from_base64`].
pub(crate) fn from_data_uri(uri: &str, max_bytes: usize) -> Result<Bytes, MediaError> {
    let malformed = MediaError::Invalid("its data: URI has no comma");
    let rest = uri.get("data:".len()..).ok_or(malformed.clone())?;
    let (header, payload) = rest.split_once(',').ok_or(malformed)?;
    let payload = payload.split_once('#').map_or(payload, |(before, _fragment)| before);
    let is_base64 = header
        .rsplit(';')
        .next()
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
    match (is_base64, payload.contains('%')) {
        (true, false) => from_base64(payload, max_bytes),
        (true, true) => from_base64(&percent_decode_str(payload).decode_utf8_lossy(), max_bytes),
        (false, _) if payload.len() / 3 > max_bytes => Err(MediaError::TooManyBytes { max_bytes }),
        (false, _) => {
            let bytes: Vec<u8> = percent_decode_str(payload).collect();
            if bytes.len() > max_bytes {
                Err(MediaError::TooManyBytes { max_bytes })
            } else {
                Ok(bytes.into())
            }
        }
    }
}

/// The way for what the fast one refuses: white space, the URL-safe alphabet.
fn decode_odd(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if packed.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        URL_SAFE_PAD_INDIFFERENT.decode(packed)
    } else {
        STANDARD_PAD_INDIFFERENT.decode(packed)
    }
}

/// A lower bound that is exact but for the padding.
fn decoded_at_least(characters: usize) -> usize {
    (characters / 4 * 3).saturating_sub(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_kind() {
        let want: &[u8] = &[0xfb, 0xff, 0xfe, 0x41];
        for text in [
            "+//+QQ==",
            "+//+QQ",
            "-__-QQ==",
            "-__-QQ",
            " +//+\r\nQQ==\n",
            "-_ _-QQ",
            "+//+\tQ Q = =",
        ] {
            assert_eq!(from_base64(text, 100).as_deref(), Ok(want), "{text:?}");
        }
        for text in ["+/-+QQ==", "Q", "!!!!", "QQ==QQ=="] {
            assert_eq!(
                from_base64(text, 100).map_err(|e| e.code()),
                Err("invalid_image"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn data_uris_of_every_kind() {
        let rows: [(&str, &[u8]); 9] = [
            ("data:image/png;base64,QUJD", b"ABC"),
            ("data:image/png;charset=utf-8;name=a.png;BASE64,QUJD", b"ABC"),
            ("DATA:;base64,QUJD", b"ABC"),
            ("data:image/png; base64,QUJD", b"ABC"),
            ("data:image/png;base64,QUI%3D", b"AB"),
            ("data:image/png;base64,QUI=#fragment", b"AB"),
            ("data:image/png;base64,%2B%2f%2F+", &[0xfb, 0xff, 0xfe]),
            ("data:,A%42C", b"ABC"),
            ("data:application/octet-stream,%FF%d8", &[0xff, 0xd8]),
        ];
        for (uri, want) in rows {
            assert_eq!(from_data_uri(uri, 100).as_deref(), Ok(want), "{uri:?}");
        }
        assert_eq!(
            from_data_uri("data:image/png;base64", 100).map_err(|e| e.code()),
            Err("invalid_image")
        );
    }

    #[test]
    fn too_many_bytes_are_refused() {
        for text in ["QUJDRA==", "QUJDRA", "QUJDREVGRw=="] {
            assert_eq!(
                from_base64(text, 3),
                Err(MediaError::TooManyBytes { max_bytes: 3 }),
                "{text:?}"
            );
        }
        assert_eq!(from_base64("QUJD", 3).as_deref(), Ok(&b"ABC"[..]));
        assert_eq!(from_base64("Q U J D\n\n\n\n\n\n\n", 3).as_deref(), Ok(&b"ABC"[..]));
        assert_eq!(
            from_data_uri("data:,ABCD", 3),
            Err(MediaError::TooManyBytes { max_bytes: 3 })
        );
    }
}
