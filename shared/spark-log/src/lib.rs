//! Spark's event log, read as a stream into one value: what an interruption did to the job stands there.
//!
//! A crate of its own, and pure: no AWS, no clock, no task runtime. `program` is what the program `spark-log` adds. It reads any Spark 3.4 to 4.x log, on EMR or not.
//!
//! ```
//! use spark_log::{Limits, Part, read};
//!
//! let log = br#"{"Event":"SparkListenerLogStart","Spark Version":"3.5.6"}
//! {"Event":"SparkListenerExecutorAdded","Timestamp":1000,"Executor ID":"1","Executor Info":{"Host":"ip-10-0-0-7","Total Cores":4}}
//! {"Event":"SparkListenerExecutorRemoved","Timestamp":9000,"Executor ID":"1","Removed Reason":"Container marked as failed"}
//! "#;
//! let part = Part { name: "application_1_1".to_owned(), bytes: &log[..] };
//! let run = read(vec![part], &Limits::default());
//! assert_eq!(run.spark_version.as_deref(), Some("3.5.6"));
//! assert_eq!(run.executors[0].removed_at_ms, Some(9_000));
//! ```
//!
//! # Layout
//!
//! * [`part`](Part), `order`: the files of a log and their order; `source`: their bytes, decoded, in blocks.
//! * `codec` and one file per framing: `zstd_frames`, `lz4_blocks`, `snappy_stream`, `lzf_chunks`, `gzip_members`;
//!   `foreign`: formats that are refused by name.
//! * `lines`: blocks to lines, whatever their length; `task_line`: the two lines that are nearly all of a log, read by
//!   hand and only as far as needed; `event`: all other events, as serde types that skip what they do not name.
//! * `reader`: what becomes of each line; `replay`, `stages`, `executors`: the events applied as Spark's own listener
//!   does, so that the outcome is what the History Server says; `attempts`: the finished tasks, 16 bytes each;
//!   `task_attempt`: the same for who asks for them, with their executors; `failures`: the last that failed; `exclusions`: where Spark would run no more tasks.
//! * `run`, `summary`: the value that comes out; `settings`: which properties; `removal`, `cancellation`, `host`: what an
//!   executor's end, a job's end and a host's name mean; `wording`: words without what is one executor's alone.
//!
//! The rules are those of `JsonProtocol` (the fields), `EventLogFileWriters` (the files) and `AppStatusListener` (the
//! meaning) in <https://github.com/apache/spark/tree/v3.5.5/core/src/main/scala/org/apache/spark>.

mod attempts;
mod cancellation;
mod codec;
mod event;
mod exclusions;
mod executors;
mod failures;
mod foreign;
mod gzip_members;
mod host;
mod lines;
mod lz4_blocks;
mod lzf_chunks;
mod order;
mod parallel;
#[cfg(feature = "program")]
pub mod program;
mod reader;
mod removal;
mod replay;
mod run;
mod settings;
mod snappy_stream;
mod source;
mod stages;
mod summary;
mod task_attempt;
mod task_line;
mod wording;
mod zstd_frames;

pub use exclusions::Exclusion;
pub use failures::FailedTask;
pub use host::same_host;
pub use order::{is_rolled, order_parts};
pub use removal::Removal;
pub use run::{
    Deserialization, Executor, FetchFailure, Job, LostWork, Reading, SparkRun, SqlExecution, StageAttempt, StageStatus,
    TaskCounts,
};
pub use summary::{FailedStageAttempt, Rerun, Summary};
pub use task_attempt::TaskAttempt;

use std::io::Read;

/// One file of a log: its name, and where its bytes come from.
#[derive(Debug)]
pub struct Part<R> {
    /// File name or object key. It tells codec, rolling number and whether the log was compacted; for the codec the first
    /// bytes decide where they disagree.
    pub name: String,
    /// The file's bytes, from its first.
    pub bytes: R,
}

/// Bounds of one reading: whatever the log holds, memory and time stay within them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A line longer than this, in bytes, is parsed as it streams by instead of being held whole.
    pub line_bytes_max: usize,
    /// Within such a long line, strings are cut after this many bytes.
    pub string_bytes_max: usize,
    /// Decoded bytes per byte read beyond which a file is taken for a decompression bomb and left.
    pub ratio_max: u64,
    /// Broken places within one file after which the rest of that file is left.
    pub faults_max: u64,
    /// Largest zstd window accepted, as a power of two of bytes: what one frame may make the decoder hold.
    pub zstd_window_log_max: u32,
    /// Decoded bytes handed from the decoder to the parser at a time.
    pub block_bytes: usize,
    /// Task attempts kept one by one; none unless asked for, since they are most of what a log says.
    pub tasks_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 4 << 20,
            string_bytes_max: 64 << 10,
            ratio_max: 1_000,
            faults_max: 1_000,
            zstd_window_log_max: 27,
            block_bytes: 1 << 20,
            tasks_max: 0,
        }
    }
}

/// Reads a log in the calling thread. What could not be read is counted in [`SparkRun::reading`]; it never fails.
///
/// `parts` are read in the order given: see [`order_parts`].
pub fn read<R: Read + Send>(parts: Vec<Part<R>>, limits: &Limits) -> SparkRun {
    let parts = erase(parts);
    reader::read(&mut source::Source::new(parts, limits), limits, &|_| ())
}

/// Reads a log with a second thread that decodes ahead, and tells `progress` how many bytes have been read so far.
///
/// The outcome equals that of [`read`].
pub fn read_parallel<R: Read + Send>(parts: Vec<Part<R>>, limits: &Limits, progress: impl Fn(u64)) -> SparkRun {
    parallel::read(erase(parts), limits, &progress)
}

/// The readers behind one type, so that all that is hot is compiled once, here.
fn erase<'a, R: Read + Send + 'a>(parts: Vec<Part<R>>) -> Vec<source::ErasedPart<'a>> {
    parts
        .into_iter()
        .map(|part| Part {
            name: part.name,
            bytes: Box::new(part.bytes) as _,
        })
        .collect()
}
