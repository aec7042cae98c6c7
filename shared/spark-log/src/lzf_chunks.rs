//! lzf as Spark writes it: compress-lzf's chunks of at most 64 KiB, stored or compressed.
//!
//! Separate, and decoded by hand: the format is a page long and no maintained crate reads it.
//!
//! Format: <https://github.com/ning/compress/blob/compress-lzf-1.1.2/src/main/java/com/ning/compress/lzf/LZFChunk.java>

use super::codec::{Fault, Input, Spill};

const MAGIC: &[u8] = b"ZV";
const STORED: u8 = 0;
const COMPRESSED: u8 = 1;
const STORED_HEADER_BYTES: usize = 5;
const COMPRESSED_HEADER_BYTES: usize = 7;

/// Decoder of a sequence of chunks.
#[derive(Debug, Default)]
pub(super) struct LzfChunks {
    spill: Spill,
}

impl LzfChunks {
    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let count = self.spill.drain_into(out);
            if count > 0 {
                return Ok(count);
            }
            if !input.fill(STORED_HEADER_BYTES) {
                return if input.available().is_empty() {
                    Ok(0)
                } else {
                    Err(cut())
                };
            }
            let head = input.available();
            let (header_bytes, compressed) = match (head.starts_with(MAGIC), head[2]) {
                (true, STORED) => (STORED_HEADER_BYTES, false),
                (true, COMPRESSED) => (COMPRESSED_HEADER_BYTES, true),
                _ => {
                    input.consume(1);
                    return Err(Fault::at("broken lzf chunks", input.seek(MAGIC)));
                }
            };
            let stored_bytes = usize::from(u16::from_be_bytes([head[3], head[4]]));
            if !input.fill(header_bytes + stored_bytes) {
                return Err(cut());
            }
            let (header, rest) = input.available().split_at(header_bytes);
            let stored = &rest[..stored_bytes];
            let decoded = if compressed {
                let decoded_bytes = usize::from(u16::from_be_bytes([header[5], header[6]]));
                self.spill
                    .decode(decoded_bytes, out, |room| expand(stored, room).ok_or(()))
            } else {
                self.spill.decode(stored_bytes, out, |room| {
                    room.copy_from_slice(stored);
                    Ok(())
                })
            };
            match decoded {
                Ok(count) => {
                    input.consume(header_bytes + stored_bytes);
                    if count > 0 {
                        return Ok(count);
                    }
                }
                Err(()) => {
                    // The length may be what is broken, so the search for the next chunk starts inside this one.
                    input.consume(MAGIC.len());
                    return Err(Fault::at("broken lzf chunks", input.seek(MAGIC)));
                }
            }
        }
    }
}

fn cut() -> Fault {
    Fault::last("lzf chunks cut at the end of a file")
}

/// Expands one compressed chunk to exactly `out`.
fn expand(stored: &[u8], out: &mut [u8]) -> Option<()> {
    let (mut from, mut to) = (0, 0);
    // Every turn takes at least one stored byte.
    while let Some(control) = stored.get(from).copied().map(usize::from) {
        from += 1;
        if control < 32 {
            let length = control + 1;
            out.get_mut(to..to + length)?
                .copy_from_slice(stored.get(from..from + length)?);
            from += length;
            to += length;
            continue;
        }
        let mut length = control >> 5;
        if length == 7 {
            length += usize::from(*stored.get(from)?);
            from += 1;
        }
        length += 2;
        let distance = ((control & 0x1f) << 8) + usize::from(*stored.get(from)?) + 1;
        from += 1;
        let source = to.checked_sub(distance)?;
        if to + length > out.len() {
            return None;
        }
        if distance >= length {
            out.copy_within(source..source + length, to);
        } else {
            // The copy repeats what it has just written.
            for index in 0..length {
                out[to + index] = out[source + index];
            }
        }
        to += length;
    }
    (to == out.len()).then_some(())
}
