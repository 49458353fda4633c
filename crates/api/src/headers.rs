//! Headers in which a reply says what it did not do as asked.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::HeaderValue;

/// Names of fields that were not understood.
pub(crate) const IGNORED: &str = "x-sensorium-ignored";
/// Which texts were cut: indices of inputs, `labels[i]`.
pub(crate) const TRUNCATED: &str = "x-sensorium-truncated";

/// Most entries of one header, so that it stays within what clients read.
const MOST: usize = 64;

/// Adds `x-sensorium-ignored` if anything was ignored. Names are cut and cleaned: they came
/// from outside.
pub(crate) fn add_ignored(reply: &mut HttpResponseBuilder, names: &[String]) {
    let names = names.iter().map(|name| name.chars().take(64).map(visible).collect());
    add(reply, IGNORED, names.collect());
}

/// Adds `x-sensorium-truncated` if any text was cut.
pub(crate) fn add_truncated(reply: &mut HttpResponseBuilder, texts: impl Iterator<Item = String>) {
    add(reply, TRUNCATED, texts.collect());
}

fn add(reply: &mut HttpResponseBuilder, header: &'static str, mut entries: Vec<String>) {
    let more = entries.len().saturating_sub(MOST);
    entries.truncate(MOST);
    if more > 0 {
        entries.push(format!("and {more} more"));
    }
    if let (false, Ok(value)) = (entries.is_empty(), HeaderValue::from_str(&entries.join(", "))) {
        reply.insert_header((header, value));
    }
}

fn visible(c: char) -> char {
    if c.is_ascii_graphic() && c != ',' { c } else { '?' }
}
