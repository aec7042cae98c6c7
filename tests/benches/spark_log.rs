//! The event-log reader beside what it cannot be faster than (the decoder alone) and the plain way (serde_json of each
//! whole line), on one log and in one run: `cargo bench -p tests --bench spark_log`.
//!
//! The log is `s35-many-zstd-rolling` written many times over, each time with ids of its own. `SPARK_LOG_MB` sets its
//! decoded size in 10^6 bytes (400 unless set); `SPARK_LOG` names a plain or zstd log to take instead. lz4 is measured on a
//! small log, repeated, of which the lines to be parsed in full are a far larger part. Its blocks carry checksums, which
//! Spark verifies as the reader does: they are part of what is measured as the decoder.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use spark_log::{Limits, Part, SparkRun, read, read_parallel};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// One log in several codecs.
struct Log {
    plain: Vec<u8>,
    zstd: Vec<u8>,
}

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let plain = match std::env::var("SPARK_LOG") {
        Ok(path) => {
            let bytes = fs::read(&path).expect("SPARK_LOG is a file");
            zstd::stream::decode_all(bytes.as_slice()).unwrap_or(bytes)
        }
        Err(_) => scaled(),
    };
    // Many frames of about 2 MB, as a log that is flushed now and then.
    let frames = plain
        .chunks(2 << 20)
        .map(|chunk| zstd::stream::encode_all(chunk, 1).expect("memory suffices"));
    let zstd = frames.collect::<Vec<_>>().concat();
    Log { plain, zstd }
});

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/spark-event-logs")
        .join(name)
        .join("log")
}

/// The source log over and over, up to the size asked for.
fn scaled() -> Vec<u8> {
    let megabytes = std::env::var("SPARK_LOG_MB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(400_usize);
    let folder = case("s35-many-zstd-rolling").join("eventlog_v2_app-20261122091511-0000");
    let mut source = Vec::new();
    for number in [1, 2] {
        let bytes =
            fs::read(folder.join(format!("events_{number}_app-20261122091511-0000.zstd"))).expect("the file is there");
        source.extend(zstd::stream::decode_all(bytes.as_slice()).expect("the file is whole"));
    }
    let mut log = Vec::with_capacity((megabytes + 20) * 1_000_000);
    let mut copy = 0;
    while log.len() < megabytes * 1_000_000 {
        for line in source.split_inclusive(|byte| *byte == b'\n') {
            shift_ids(line, copy * 100_000, &mut log);
        }
        copy += 1;
    }
    log
}

/// Copies a line with its task, stage, job and execution ids moved on.
fn shift_ids(line: &[u8], by: u64, out: &mut Vec<u8>) {
    const KEYS: [&[u8]; 5] = [
        b"\"Task ID\":",
        b"\"Stage ID\":",
        b"\"Job ID\":",
        b"\"executionId\":",
        b"\"Stage IDs\":[",
    ];
    let mut rest = line;
    while let Some(quote) = rest.iter().position(|byte| *byte == b'"') {
        let (before, from_quote) = rest.split_at(quote);
        out.extend_from_slice(before);
        let Some(key) = KEYS.into_iter().find(|key| from_quote.starts_with(key)) else {
            out.push(b'"');
            rest = &from_quote[1..];
            continue;
        };
        out.extend_from_slice(key);
        rest = &from_quote[key.len()..];
        loop {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if let Ok(id) = std::str::from_utf8(&rest[..digits]).unwrap_or_default().parse::<u64>() {
                out.extend_from_slice((id + by).to_string().as_bytes());
            }
            rest = &rest[digits..];
            if !key.ends_with(b"[") || rest.first() != Some(&b',') {
                break;
            }
            out.push(b',');
            rest = &rest[1..];
        }
    }
    out.extend_from_slice(rest);
}

fn parts(bytes: &[u8]) -> Vec<Part<&[u8]>> {
    vec![Part {
        name: "log".to_owned(),
        bytes,
    }]
}

fn drain(mut reader: impl Read) -> u64 {
    let mut buffer = vec![0; 512 << 10];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer).expect("the log is whole") {
            0 => return total,
            count => total += count as u64,
        }
        black_box(&buffer);
    }
}

/// The plain way: each line whole, as a JSON value.
fn each_line(reader: impl Read) -> u64 {
    let mut lines = 0;
    let mut line = Vec::new();
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    while reader.read_until(b'\n', &mut line).expect("the log is whole") > 0 {
        black_box(serde_json::from_slice::<serde_json::Value>(&line).expect("the line is whole"));
        line.clear();
        lines += 1;
    }
    lines
}

fn decoder(bytes: &[u8]) -> impl Read {
    zstd::stream::read::Decoder::with_buffer(bytes).expect("memory suffices")
}

fn checked(run: SparkRun) -> SparkRun {
    assert!(run.reading.complete, "{:?}", run.reading.skipped);
    run
}

#[divan::bench_group(sample_count = 5, sample_size = 1)]
mod zstd_log {
    use super::*;

    #[divan::bench]
    fn decoder_alone(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.plain.len()))
            .bench(|| drain(decoder(&LOG.zstd)));
    }

    #[divan::bench]
    fn reader_two_threads(bencher: Bencher<'_, '_>) {
        let read = || checked(read_parallel(parts(&LOG.zstd), &Limits::default(), |_| ()));
        bencher.counter(BytesCount::new(LOG.plain.len())).bench(read);
    }

    #[divan::bench]
    fn reader_one_thread(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.plain.len()))
            .bench(|| checked(read(parts(&LOG.zstd), &Limits::default())));
    }

    #[divan::bench]
    fn serde_json_of_each_line(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.plain.len()))
            .bench(|| each_line(decoder(&LOG.zstd)));
    }
}

#[divan::bench_group(sample_count = 5, sample_size = 1)]
mod plain_log {
    use super::*;

    #[divan::bench]
    fn copy_alone(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.plain.len()))
            .bench(|| drain(LOG.plain.as_slice()));
    }

    #[divan::bench]
    fn reader_two_threads(bencher: Bencher<'_, '_>) {
        let read = || checked(read_parallel(parts(&LOG.plain), &Limits::default(), |_| ()));
        bencher.counter(BytesCount::new(LOG.plain.len())).bench(read);
    }

    #[divan::bench]
    fn reader_one_thread(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.plain.len()))
            .bench(|| checked(read(parts(&LOG.plain), &Limits::default())));
    }

    #[divan::bench]
    fn serde_json_of_each_line(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.plain.len()))
            .bench(|| each_line(LOG.plain.as_slice()));
    }
}

/// A small log's stored bytes over and over (its framing allows it), and the decoded size of all.
fn repeated(name: &str, file: &str) -> (Vec<u8>, u64) {
    let bytes = fs::read(case(name).join(file)).expect("the file is there").repeat(300);
    let decoded = checked(read(parts(&bytes), &Limits::default())).reading.bytes_decoded;
    (bytes, decoded)
}

#[divan::bench_group(sample_count = 5, sample_size = 1)]
mod lz4_log {
    use super::*;

    static LOG: LazyLock<(Vec<u8>, u64)> =
        LazyLock::new(|| repeated("s35-fetchfail-rdd-lz4", "app-20261122085830-0000.lz4"));

    /// The blocks one after the other, their lengths trusted and their checksums verified.
    #[divan::bench]
    fn decoder_alone(bencher: Bencher<'_, '_>) {
        bencher.counter(BytesCount::new(LOG.1)).bench(|| {
            let (mut rest, mut out) = (LOG.0.as_slice(), vec![0; 32 << 10]);
            while rest.len() >= 21 {
                let stored = u32::from_le_bytes(rest[9..13].try_into().expect("four bytes")) as usize;
                if rest[8] & 0xf0 == 0x20 {
                    let count = lz4_flex::block::decompress_into(&rest[21..21 + stored], &mut out).expect("whole");
                    let checksum = u32::from_le_bytes(rest[17..21].try_into().expect("four bytes"));
                    assert_eq!(xxh32(&out[..count], 0x9747_b28c) & 0x0fff_ffff, checksum);
                }
                rest = &rest[21 + stored..];
            }
        });
    }

    /// xxHash of 32 bits, as fast as it is to be had without a crate.
    fn xxh32(bytes: &[u8], seed: u32) -> u32 {
        const PRIMES: [u32; 5] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1];
        let round = |lane: u32, word: &[u8; 4]| {
            let lane = lane.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIMES[1]));
            lane.rotate_left(13).wrapping_mul(PRIMES[0])
        };
        let (stripes, rest) = bytes.as_chunks::<16>();
        let mut lanes = [
            seed.wrapping_add(PRIMES[0]).wrapping_add(PRIMES[1]),
            seed.wrapping_add(PRIMES[1]),
            seed,
            seed.wrapping_sub(PRIMES[0]),
        ];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<4>().0) {
                *lane = round(*lane, word);
            }
        }
        let mut hash = if stripes.is_empty() {
            seed.wrapping_add(PRIMES[4])
        } else {
            let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
            turned.fold(0, u32::wrapping_add)
        };
        hash = hash.wrapping_add(bytes.len() as u32);
        let (words, tail) = rest.as_chunks::<4>();
        for word in words {
            let word = u32::from_le_bytes(*word).wrapping_mul(PRIMES[2]);
            hash = hash.wrapping_add(word).rotate_left(17).wrapping_mul(PRIMES[3]);
        }
        for byte in tail {
            let byte = u32::from(*byte).wrapping_mul(PRIMES[4]);
            hash = hash.wrapping_add(byte).rotate_left(11).wrapping_mul(PRIMES[0]);
        }
        hash = (hash ^ (hash >> 15)).wrapping_mul(PRIMES[1]);
        hash = (hash ^ (hash >> 13)).wrapping_mul(PRIMES[2]);
        hash ^ (hash >> 16)
    }

    #[divan::bench]
    fn reader_two_threads(bencher: Bencher<'_, '_>) {
        let read = || checked(read_parallel(parts(&LOG.0), &Limits::default(), |_| ()));
        bencher.counter(BytesCount::new(LOG.1)).bench(read);
    }

    #[divan::bench]
    fn reader_one_thread(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.1))
            .bench(|| checked(read(parts(&LOG.0), &Limits::default())));
    }
}

#[divan::bench_group(sample_count = 5, sample_size = 1)]
mod snappy_log {
    use super::*;

    static LOG: LazyLock<(Vec<u8>, u64)> = LazyLock::new(|| {
        let plain = &super::LOG.plain;
        let mut log = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01".to_vec();
        for block in plain.chunks(32 << 10) {
            let stored = snap::raw::Encoder::new().compress_vec(block).expect("a block is small");
            log.extend((stored.len() as u32).to_be_bytes());
            log.extend(stored);
        }
        (log, plain.len() as u64)
    });

    #[divan::bench]
    fn decoder_alone(bencher: Bencher<'_, '_>) {
        bencher.counter(BytesCount::new(LOG.1)).bench(|| {
            let (mut rest, mut out) = (LOG.0.as_slice(), vec![0; 64 << 10]);
            while rest.len() >= 4 {
                if rest[0] == 0x82 {
                    rest = &rest[16..];
                    continue;
                }
                let stored = u32::from_be_bytes(rest[..4].try_into().expect("four bytes")) as usize;
                black_box(
                    snap::raw::Decoder::new()
                        .decompress(&rest[4..4 + stored], &mut out)
                        .expect("whole"),
                );
                rest = &rest[4 + stored..];
            }
        });
    }

    #[divan::bench]
    fn reader_two_threads(bencher: Bencher<'_, '_>) {
        let read = || checked(read_parallel(parts(&LOG.0), &Limits::default(), |_| ()));
        bencher.counter(BytesCount::new(LOG.1)).bench(read);
    }

    #[divan::bench]
    fn reader_one_thread(bencher: Bencher<'_, '_>) {
        bencher
            .counter(BytesCount::new(LOG.1))
            .bench(|| checked(read(parts(&LOG.0), &Limits::default())));
    }
}
