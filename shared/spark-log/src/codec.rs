//! Which of Spark's codecs a file is written in, and its bytes decoded piece by piece.
//!
//! Separate because the rest of the reader sees plain bytes only.
//!
//! Codecs: <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/io/CompressionCodec.scala>

use std::io::{ErrorKind, Read};

use super::gzip_members::GzipMembers;
use super::lz4_blocks::Lz4Blocks;
use super::lzf_chunks::LzfChunks;
use super::snappy_stream::SnappyStream;
use super::zstd_frames::ZstdFrames;

/// A codec of event logs (`spark.eventLog.compression.codec`), or gzip, which is put around a log afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// JSON lines as they are.
    Plain,
    /// zstd frames, one after the other.
    Zstd,
    /// lz4-java's block stream.
    Lz4,
    /// snappy-java's stream.
    Snappy,
    /// compress-lzf's chunks.
    Lzf,
    /// gzip members, one after the other.
    Gzip,
}

impl Codec {
    /// Recognises a codec by a file's first bytes.
    pub(super) fn sniff(head: &[u8]) -> Option<Self> {
        match head {
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [b'L', b'Z', b'4', b'B', b'l', b'o', b'c', b'k', ..] => Some(Self::Lz4),
            [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, ..] => Some(Self::Snappy),
            [b'Z', b'V', 0 | 1, ..] => Some(Self::Lzf),
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [b'{', ..] => Some(Self::Plain),
            _ => None,
        }
    }
}

/// A place where decoding could not go on.
#[derive(Debug)]
pub(super) struct Fault {
    /// What is wrong, in words.
    pub(super) what: &'static str,
    /// Whether nothing after it in this file can be read.
    pub(super) rest_lost: bool,
}

impl Fault {
    /// A fault after which the decoder has found a place to go on from, if `found`.
    pub(super) fn at(what: &'static str, found: bool) -> Self {
        Self {
            what,
            rest_lost: !found,
        }
    }

    /// A fault that ends the file.
    pub(super) fn last(what: &'static str) -> Self {
        Self { what, rest_lost: true }
    }
}

/// The decoder of one file.
pub(super) enum Decoder {
    /// None.
    Plain,
    /// See [`ZstdFrames`].
    Zstd(ZstdFrames),
    /// See [`Lz4Blocks`].
    Lz4(Lz4Blocks),
    /// See [`SnappyStream`].
    Snappy(SnappyStream),
    /// See [`LzfChunks`].
    Lzf(LzfChunks),
    /// See [`GzipMembers`].
    Gzip(GzipMembers),
}

impl Decoder {
    /// A decoder at the start of a file.
    pub(super) fn new(codec: Codec, zstd_window_log_max: u32) -> Result<Self, Fault> {
        Ok(match codec {
            Codec::Plain => Self::Plain,
            Codec::Zstd => Self::Zstd(ZstdFrames::new(zstd_window_log_max)?),
            Codec::Lz4 => Self::Lz4(Lz4Blocks::default()),
            Codec::Snappy => Self::Snappy(SnappyStream::default()),
            Codec::Lzf => Self::Lzf(LzfChunks::default()),
            Codec::Gzip => Self::Gzip(GzipMembers::default()),
        })
    }

    /// Decodes the next piece into `out` and tells its length; 0 is the end.
    pub(super) fn decode(&mut self, input: &mut Input<'_>, out: &mut [u8]) -> Result<usize, Fault> {
        match self {
            Self::Plain => Ok(input.read(out)),
            Self::Zstd(frames) => frames.decode(input, out),
            Self::Lz4(blocks) => blocks.decode(input, out),
            Self::Snappy(stream) => stream.decode(input, out),
            Self::Lzf(chunks) => chunks.decode(input, out),
            Self::Gzip(members) => members.decode(input, out),
        }
    }
}

/// A file's stored bytes, buffered so that a decoder can look ahead.
pub(super) struct Input<'a> {
    reader: Box<dyn Read + Send + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    bytes_read: u64,
    ended: bool,
    failed: bool,
}

impl<'a> Input<'a> {
    /// Bytes asked of the reader at a time.
    const READ_BYTES: usize = 64 << 10;

    /// An input with nothing read yet.
    pub(super) fn new(reader: Box<dyn Read + Send + 'a>) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            bytes_read: 0,
            ended: false,
            failed: false,
        }
    }

    /// Bytes taken from the reader so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Whether the reader failed, as opposed to ending.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// What is buffered and not consumed.
    pub(super) fn available(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Marks the first `count` available bytes as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Buffers at least `count` bytes; false if the file ends before.
    pub(super) fn fill(&mut self, count: usize) -> bool {
        while self.end - self.start < count {
            if self.ended {
                return false;
            }
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            // Grown by what has arrived, not by what a header claims.
            let room = self.buffer.len().max(self.end + Self::READ_BYTES);
            self.buffer.resize(room, 0);
            let end = self.end;
            self.end += self.read_some(end);
        }
        true
    }

    /// Consumes up to the next `mark`; false if there is none.
    pub(super) fn seek(&mut self, mark: &[u8]) -> bool {
        loop {
            if let Some(at) = memchr::memmem::find(self.available(), mark) {
                self.consume(at);
                return true;
            }
            // A mark may have begun in it.
            let kept = self.available().len().min(mark.len());
            self.consume(self.available().len() - kept);
            if !self.fill(kept + 1) {
                self.consume(kept);
                return false;
            }
        }
    }

    /// Copies stored bytes as they are: what is buffered first, then straight from the reader.
    fn read(&mut self, out: &mut [u8]) -> usize {
        let buffered = self.available().len().min(out.len());
        if buffered > 0 {
            out[..buffered].copy_from_slice(&self.available()[..buffered]);
            self.consume(buffered);
            return buffered;
        }
        self.read_into(out)
    }

    fn read_some(&mut self, at: usize) -> usize {
        let mut buffer = std::mem::take(&mut self.buffer);
        let count = self.read_into(&mut buffer[at..]);
        self.buffer = buffer;
        count
    }

    fn read_into(&mut self, out: &mut [u8]) -> usize {
        while !self.ended {
            match self.reader.read(out) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.bytes_read += count as u64;
                    return count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(_) => {
                    self.ended = true;
                    self.failed = true;
                }
            }
        }
        0
    }
}

/// A decoded block that did not fit into the room there was.
#[derive(Debug, Default)]
pub(super) struct Spill {
    bytes: Vec<u8>,
    position: usize,
}

impl Spill {
    /// Moves what fits into `out`.
    pub(super) fn drain_into(&mut self, out: &mut [u8]) -> usize {
        let count = (self.bytes.len() - self.position).min(out.len());
        out[..count].copy_from_slice(&self.bytes[self.position..self.position + count]);
        self.position += count;
        count
    }

    /// Decodes a block of `length` bytes into `out` if it fits, else into the spill and what fits from there.
    pub(super) fn decode<E>(
        &mut self,
        length: usize,
        out: &mut [u8],
        decode: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        if let Some(room) = out.get_mut(..length) {
            decode(room)?;
            return Ok(length);
        }
        self.bytes.resize(length, 0);
        self.position = length;
        decode(&mut self.bytes)?;
        self.position = 0;
        Ok(self.drain_into(out))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A reader that gives a few bytes at a time, and is interrupted in between.
    struct Pieces<'b> {
        left: &'b [u8],
        bytes: usize,
        interrupted: bool,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            let count = self.bytes.min(out.len());
            self.left.read(&mut out[..count])
        }
    }

    /// An input whose bytes come in pieces of that many.
    fn input(bytes: &[u8], piece: usize) -> Input<'_> {
        Input::new(Box::new(Pieces {
            left: bytes,
            bytes: piece,
            interrupted: false,
        }))
    }

    /// What a file decodes to, and what is wrong with it, if its bytes come in pieces of that many.
    pub(in super::super) fn decoded(codec: Codec, stored: &[u8], piece: usize) -> (Vec<u8>, Vec<&'static str>) {
        let (mut input, mut decoder) = (input(stored, piece), Decoder::new(codec, 27).ok().unwrap());
        let (mut bytes, mut faults) = (Vec::new(), Vec::new());
        let mut room = [0; 100];
        loop {
            match decoder.decode(&mut input, &mut room) {
                Ok(0) => return (bytes, faults),
                Ok(count) => bytes.extend_from_slice(&room[..count]),
                Err(fault) => {
                    faults.push(fault.what);
                    assert!(faults.len() < 100, "it goes on where it was");
                    if fault.rest_lost {
                        return (bytes, faults);
                    }
                }
            }
        }
    }

    #[test]
    fn an_input_holds_what_is_asked_for_and_no_more_room_than_that_takes() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        for piece in [7_919, usize::MAX] {
            let mut input = input(&bytes, piece);
            let mut at = 0;
            for count in [1, 20, 5_000, 70_000].into_iter().cycle() {
                let is_there = at + count <= bytes.len();
                assert_eq!(input.fill(count), is_there, "{count} at {at}");
                if !is_there {
                    break;
                }
                assert!(input.available().len() >= count, "{count} at {at}");
                assert_eq!(input.available()[..count], bytes[at..at + count]);
                assert!(input.buffer.len() <= 3 * Input::READ_BYTES, "{}", input.buffer.len());
                input.consume(count);
                at += count;
            }
            let left = bytes.len() - at;
            assert_eq!((input.available().len(), input.bytes_read()), (left, 3_000_000));
            assert!(input.fill(left) && !input.failed());
        }
    }

    #[test]
    fn a_mark_is_found_wherever_the_bytes_are_parted_and_what_only_begins_like_it_is_not() {
        let text = b"no LZ4LZ4Bloc LZ4Block! LZ4Bl";
        for piece in 1..text.len() {
            let mut input = input(text, piece);
            assert!(input.seek(b"LZ4Block"), "{piece}");
            assert!(input.fill(9) && input.available().starts_with(b"LZ4Block!"), "{piece}");
            input.consume(1);
            assert!(!input.seek(b"LZ4Block"), "{piece}");
            assert!(input.available().is_empty() && !input.seek(b"LZ4Block"), "{piece}");
        }
    }

    #[test]
    fn a_reader_that_fails_is_told_from_one_that_ends() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::ConnectionReset.into())
            }
        }
        let mut input = Input::new(Box::new(b"abc".chain(Fails)));
        assert!(input.fill(3) && !input.failed());
        assert!(!input.fill(4) && input.failed());
        assert_eq!((input.available(), input.bytes_read()), (&b"abc"[..], 3));
    }

    #[test]
    fn the_first_bytes_tell_each_codec() {
        for (head, expected) in [
            (&b"\x28\xb5\x2f\xfd\0"[..], Some(Codec::Zstd)),
            (b"\x50\x2a\x4d\x18\0", Some(Codec::Zstd)),
            (b"LZ4Block\x25", Some(Codec::Lz4)),
            (b"\x82SNAPPY\0\0", Some(Codec::Snappy)),
            (b"ZV\0\x05", Some(Codec::Lzf)),
            (b"ZV\x01\x05", Some(Codec::Lzf)),
            (b"\x1f\x8b\x08\0", Some(Codec::Gzip)),
            (b"{\"Event\"", Some(Codec::Plain)),
            (b"LZ4", None),
            (b"", None),
        ] {
            assert_eq!(Codec::sniff(head), expected, "{head:?}");
        }
    }

    #[test]
    fn plain_bytes_come_as_they_are() {
        for piece in [1, 99, 100, 5_000] {
            let text = "0123456789".repeat(500);
            assert_eq!(
                decoded(Codec::Plain, text.as_bytes(), piece),
                (text.into_bytes(), vec![])
            );
        }
    }
}
