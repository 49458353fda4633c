//! Lines of bounded length from a pipe: a process that writes without end costs no memory.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Reads lines and keeps at most `limit` bytes of each; the rest of a longer line is dropped.
#[derive(Debug)]
pub(super) struct BoundedLines<R> {
    reader: BufReader<R>,
    limit: usize,
}

// === impl BoundedLines ===

impl<R: AsyncRead + Unpin> BoundedLines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::new(reader),
            limit,
        }
    }

    /// The next line without its end; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut seen = false;
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(seen.then_some(line));
            }
            seen = true;
            let newline = chunk.iter().position(|&byte| byte == b'\n');
            let text = &chunk[..newline.unwrap_or(chunk.len())];
            line.extend_from_slice(&text[..text.len().min(self.limit - line.len())]);
            let used = newline.map_or(chunk.len(), |at| at + 1);
            self.reader.consume(used);
            if newline.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_cut_and_the_next_one_is_whole() {
        let text = format!("one\n\n{}\nlast", "x".repeat(100_000));
        let mut lines = BoundedLines::new(text.as_bytes(), 10);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"one");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"xxxxxxxxxx");
        assert_eq!(lines.next().await.unwrap().unwrap(), b"last");
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
