//! Streams a file in constant memory.

use std::io::Read;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes of a chunk, and chunks that wait for a slow reader.
const CHUNK: usize = 64 * 1024;
const QUEUED_CHUNKS: usize = 2;

/// Returns the chunks of a file, which stays readable after its name is gone.
pub(crate) fn stream(
    mut file: std::fs::File,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let (sender, mut receiver) = mpsc::channel(QUEUED_CHUNKS);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).map(|bytes| {
                chunk.truncate(bytes);
                Bytes::from(chunk)
            });
            let is_failed = read.is_err();
            if read.as_ref().is_ok_and(Bytes::is_empty) || sender.blocking_send(read).is_err() || is_failed {
                return;
            }
        }
    });
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context))
}
