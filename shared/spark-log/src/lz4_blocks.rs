//! lz4 as Spark writes it: lz4-java's `LZ4BlockOutputStream`, which is not the lz4 frame format.
//!
//! Separate because its 21-byte headers, its checksum and its way to go on after a broken block are its own.
//!
//! Format: <https://github.com/lz4/lz4-java/blob/1.8.0/src/java/net/jpountz/lz4/LZ4BlockOutputStream.java>

use super::codec::{Fault, Input, Spill};

const MAGIC: &[u8] = b"LZ4Block";
const HEADER_BYTES: usize = 21;
const STORED: u8 = 0x10;
const COMPRESSED: u8 = 0x20;
/// A header's low nibble is the block size's exponent less this.
const LEVEL_BASE: u32 = 10;
const SEED: u32 = 0x9747_b28c;
/// lz4-java keeps 28 bits of the checksum.
const CHECKSUM_MASK: u32 = 0x0fff_ffff;

/// Decoder of a sequence of blocks.
#[derive(Debug, Default)]
pub(super) struct Lz4Blocks {
    spill: Spill,
}

impl Lz4Blocks {
    /// See [`Decoder::decode`](super::codec::Decoder::decode).
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let count = self.spill.drain_into(out);
            if count > 0 {
                return Ok(count);
            }
            if !input.fill(HEADER_BYTES) {
                return if input.available().is_empty() {
                    Ok(0)
                } else {
                    Err(cut())
                };
            }
            let Some(header) = Header::parse(input.available()) else {
                input.consume(1);
                return Err(Fault::at("broken lz4 blocks", input.seek(MAGIC)));
            };
            if header.decoded_bytes == 0 {
                input.consume(HEADER_BYTES);
                continue;
            }
            if !input.fill(HEADER_BYTES + header.stored_bytes) {
                // Nothing of a cut block can be trusted, but a whole one may follow if its length is what is broken.
                input.consume(1);
                let found = input.seek(MAGIC);
                return Err(if found {
                    Fault::at("broken lz4 blocks", true)
                } else {
                    cut()
                });
            }
            if let Some((count, stored_bytes)) = decode_pair(&header, input.available(), out) {
                input.consume(stored_bytes);
                return Ok(count);
            }
            let stored = &input.available()[HEADER_BYTES..HEADER_BYTES + header.stored_bytes];
            let decoded = self
                .spill
                .decode(header.decoded_bytes, out, |room| header.decode(stored, room));
            input.consume(HEADER_BYTES + header.stored_bytes);
            return decoded.map_err(|()| Fault::at("broken lz4 blocks", true));
        }
    }
}

/// Decodes this block and the next in one go, if both are at hand, alike, whole, and fit: the checksum waits for its own
/// last result at every step, and two of them wait together. `None`: one at a time, which also tells what is broken.
fn decode_pair(first: &Header, input: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let (stored, rest) = input.get(HEADER_BYTES..)?.split_at_checked(first.stored_bytes)?;
    let second = Header::parse(rest).filter(|second| second.decoded_bytes == first.decoded_bytes)?;
    let stored_next = rest.get(HEADER_BYTES..HEADER_BYTES + second.stored_bytes)?;
    let room = out.get_mut(..first.decoded_bytes * 2)?;
    let (room, room_next) = room.split_at_mut(first.decoded_bytes);
    first.expand(stored, room).ok()?;
    second.expand(stored_next, room_next).ok()?;
    let checksums = xxh32([&*room, &*room_next], SEED).map(|checksum| checksum & CHECKSUM_MASK);
    (checksums == [first.checksum, second.checksum]).then_some((
        first.decoded_bytes * 2,
        HEADER_BYTES * 2 + first.stored_bytes + second.stored_bytes,
    ))
}

fn cut() -> Fault {
    Fault::last("lz4 blocks cut at the end of a file")
}

/// The head of one block.
struct Header {
    method: u8,
    stored_bytes: usize,
    decoded_bytes: usize,
    checksum: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (token, rest) = rest.split_first()?;
        let integer = |index: usize| -> Option<u32> {
            Some(u32::from_le_bytes(rest.get(index * 4..index * 4 + 4)?.try_into().ok()?))
        };
        let header = Self {
            method: token & 0xf0,
            stored_bytes: usize::try_from(integer(0)?).ok()?,
            decoded_bytes: usize::try_from(integer(1)?).ok()?,
            checksum: integer(2)?,
        };
        let block_bytes = 1_usize << (LEVEL_BASE + u32::from(token & 0x0f));
        let plausible = header.decoded_bytes <= block_bytes
            && match header.method {
                STORED => header.stored_bytes == header.decoded_bytes,
                COMPRESSED => header.stored_bytes <= header.decoded_bytes,
                _ => false,
            }
            && (header.decoded_bytes == 0) == (header.stored_bytes == 0);
        plausible.then_some(header)
    }

    fn decode(&self, stored: &[u8], out: &mut [u8]) -> Result<(), ()> {
        self.expand(stored, out)?;
        if xxh32([&*out], SEED)[0] & CHECKSUM_MASK == self.checksum {
            Ok(())
        } else {
            Err(())
        }
    }

    /// Decodes without a look at the checksum.
    fn expand(&self, stored: &[u8], out: &mut [u8]) -> Result<(), ()> {
        if self.method == STORED {
            out.copy_from_slice(stored);
        } else if lz4_flex::block::decompress_into(stored, out).ok() != Some(out.len()) {
            return Err(());
        }
        Ok(())
    }
}

const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];

/// xxHash, 32 bits, of texts of one length, side by side:
/// <https://github.com/Cyan4973/xxHash/blob/v0.8.2/doc/xxhash_spec.md#xxh32-algorithm-description>
fn xxh32<const TEXTS: usize>(texts: [&[u8]; TEXTS], seed: u32) -> [u32; TEXTS] {
    let halves = texts.map(<[u8]>::as_chunks::<16>);
    let mut lanes = [[
        seed.wrapping_add(PRIMES[0]).wrapping_add(PRIMES[1]),
        seed.wrapping_add(PRIMES[1]),
        seed,
        seed.wrapping_sub(PRIMES[0]),
    ]; TEXTS];
    let stripes = halves.iter().map(|(stripes, _)| stripes.len()).min().unwrap_or(0);
    let sources = halves.map(|(source, _)| &source[..stripes]);
    for index in 0..stripes {
        for (lanes, source) in lanes.iter_mut().zip(&sources) {
            for (lane, word) in lanes.iter_mut().zip(source[index].as_chunks::<4>().0) {
                *lane = lane
                    .wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[1]))
                    .rotate_left(13)
                    .wrapping_mul(PRIMES[0]);
            }
        }
    }
    std::array::from_fn(|text| {
        let [a, b, c, d] = lanes[text];
        let begun = if stripes == 0 {
            seed.wrapping_add(PRIMES[4])
        } else {
            a.rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18))
        };
        // The algorithm takes the length modulo 2^32.
        finish(begun.wrapping_add(texts[text].len() as u32), halves[text].1)
    })
}

/// The last bytes, fewer than 16, and the mixing of all.
fn finish(mut hash: u32, rest: &[u8]) -> u32 {
    let (words, tail) = rest.as_chunks::<4>();
    for word in words {
        let word = u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]);
        hash = hash.wrapping_add(word).rotate_left(17).wrapping_mul(PRIMES[3]);
    }
    for byte in tail {
        hash = hash
            .wrapping_add(u32::from(*byte).wrapping_mul(PRIMES[4]))
            .rotate_left(11)
            .wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_xxhash() {
        assert_eq!(xxh32([b""], 0), [0x02cc_5d05]);
        assert_eq!(xxh32([b"abc", b"abc"], 0), [0x32d1_53ff; 2]);
        let text = b"Nobody inspects the spammish repetition";
        assert_eq!(xxh32([text], 0), [0xe229_3b2f]);
        assert_eq!(xxh32([text, &[0; 39]], 0), [0xe229_3b2f, xxh32([&[0; 39]], 0)[0]]);
    }
}
