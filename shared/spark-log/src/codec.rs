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
            if self.buffer.len() < self.end + Self::READ_BYTES {
                self.buffer.resize(self.end + Self::READ_BYTES, 0);
            }
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
            let kept = self.available().len().min(mark.len() - 1);
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
