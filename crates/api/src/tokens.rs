//! Token ids in place of text: LangChain makes them with cl100k_base, whatever the model.

use crate::error::ApiError;

/// The text that ids of cl100k_base stand for. A character cut in two by a client that split
/// a long text between tokens becomes U+FFFD. Off the workers: the first call reads a vocabulary of 100,000 entries.
///
/// # Errors
/// Naming `param` if an id is not in the vocabulary.
pub(crate) async fn decode_cl100k(param: &str, ids: Vec<u32>) -> Result<String, ApiError> {
    let param = param.to_owned();
    let text = tokio::task::spawn_blocking(move || decode(&param, &ids)).await;
    text.map_err(|_| ApiError::Internal("decoding token ids failed"))?
}

fn decode(param: &str, ids: &[u32]) -> Result<String, ApiError> {
    let bytes = tiktoken_rs::cl100k_base_singleton()
        .decode_bytes(ids)
        .map_err(|error| {
            let message = format!(
                "{param} has the token id {}, which cl100k_base does not have",
                error.token
            );
            ApiError::invalid(param.to_owned(), message)
        })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_text() {
        assert_eq!(decode("input", &[9906, 1917]).unwrap(), "Hello world");
        let error = decode("input[1]", &[9906, 4_000_000_000]).unwrap_err().to_string();
        assert!(error.contains("4000000000"), "{error}");
    }
}
