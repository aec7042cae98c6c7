//! How many rows the job wrote: the footers of Parquet and ORC by their last bytes, and text line by line, up to bounds.

use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use ::rows::{FOOTER_BYTES_MAX, Format, TAIL_BYTES, Told, lines};
use aws::invocation::Invocation;
use aws::{Aws, Error, Object};
use report::Output;
use tokio::task::JoinSet;

use crate::output::Listed;
use crate::recovery::RESERVE;
use crate::{Config, CountRows};

/// Files counted of one output at most: each is a call at least.
const FILES_MAX: usize = 1_000;
/// Text read of one output at most, as it lies in S3.
const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The same, unpacked, of one file.
const UNPACKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Footers asked for at a time.
const AT_ONCE: usize = 8;
/// How long counting may take.
const LASTS: Duration = Duration::from_secs(60);

/// The output with its rows, and those to compare them with, as far as they are to be counted and can be.
pub(crate) async fn counted(
    aws: &Aws,
    config: &Config,
    invocation: &Invocation,
    listed: Listed,
    rows_undisturbed: Option<u64>,
) -> Output {
    let Listed {
        mut output,
        bucket,
        of_run,
        of_baseline,
    } = listed;
    if config.count_rows == CountRows::Off {
        return output;
    }
    output.rows_undisturbed = rows_undisturbed;
    match within(aws, invocation, &bucket, of_run).await {
        Ok(rows) => output.rows = Some(rows),
        Err(why) => output.rows_unknown = Some(why),
    }
    if let (Some(place), Some(baseline)) = (&config.baseline_prefix.0, &mut output.baseline)
        && output.rows.is_some()
    {
        match within(aws, invocation, &place.bucket, of_baseline).await {
            Ok(rows) => baseline.rows = Some(rows),
            Err(why) => output.rows_unknown = Some(format!("those of the baseline: {why}")),
        }
    }
    output
}

/// The rows of these files; or why they were not counted.
async fn within(aws: &Aws, invocation: &Invocation, bucket: &str, files: Vec<Object>) -> Result<u64, String> {
    let left = invocation.time_left(aws.now(), RESERVE).to_std().unwrap_or_default();
    let count = tokio::time::timeout(LASTS.min(left), count(aws, bucket, files));
    count.await.unwrap_or_else(|_| Err("it took too long".to_owned()))
}

async fn count(aws: &Aws, bucket: &str, files: Vec<Object>) -> Result<u64, String> {
    if files.len() > FILES_MAX {
        return Err(format!("{} files are more than {FILES_MAX}", files.len()));
    }
    let (mut packed, mut plain, mut footers) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        match Format::of(&file.key) {
            Some(Format::Text { gzip: true }) => packed.push(file),
            Some(Format::Text { gzip: false }) => plain.push(file),
            Some(format) => footers.push((format, file)),
            None => return Err(format!("{} is no Parquet, ORC or text by its name", file.key)),
        }
    }
    let bytes: u64 = packed.iter().chain(&plain).map(|file| file.bytes).sum();
    if bytes > TEXT_BYTES_MAX {
        return Err(format!("{bytes} bytes of text are more than {TEXT_BYTES_MAX}"));
    }
    let mut rows = of_footers(aws, bucket, footers).await?;
    for (files, gzip) in [(packed, true), (plain, false)] {
        rows += of_text(aws, bucket, &files, gzip).await?;
    }
    Ok(rows)
}

async fn of_text(aws: &Aws, bucket: &str, files: &[Object], gzip: bool) -> Result<u64, String> {
    let counted = aws.read_objects(bucket, files, move |readers| {
        readers.into_iter().try_fold(0, |sum, reader| {
            let lines = lines(reader, gzip, UNPACKED_BYTES_MAX)?;
            let too_long = || IoError::new(ErrorKind::FileTooLarge, "a file is too large when it is unpacked");
            Ok::<u64, IoError>(sum + lines.ok_or_else(too_long)?)
        })
    });
    let counted = counted.await.map_err(|error| error.chain())?;
    counted.map_err(|error| format!("reading text: {error}"))
}

async fn of_footers(aws: &Aws, bucket: &str, files: Vec<(Format, Object)>) -> Result<u64, String> {
    let mut files = files.into_iter();
    let mut under_way = JoinSet::new();
    let mut rows = 0;
    loop {
        while under_way.len() < AT_ONCE {
            let Some((format, file)) = files.next() else { break };
            let (aws, bucket) = (aws.clone(), bucket.to_owned());
            under_way.spawn(async move { of_footer(&aws, &bucket, format, &file).await });
        }
        match under_way.join_next().await {
            None => return Ok(rows),
            Some(Ok(counted)) => rows += counted?,
            Some(Err(_)) => return Err("a task that counts rows panicked".to_owned()),
        }
    }
}

async fn of_footer(aws: &Aws, bucket: &str, format: Format, file: &Object) -> Result<u64, String> {
    let said = |error: Error| error.chain();
    let named = |why: String| format!("{}: {why}", file.key);
    let tail = aws.tail(bucket, file, TAIL_BYTES).await.map_err(said)?;
    let mut told = format.rows(&tail);
    if let Ok(Told::Needs(needed)) = told
        && needed <= FOOTER_BYTES_MAX
    {
        let tail = aws.tail(bucket, file, needed).await.map_err(said)?;
        told = format.rows(&tail);
    }
    match told {
        Ok(Told::Rows(rows)) => Ok(rows),
        Ok(Told::Needs(needed)) => Err(named(format!(
            "its footer needs {needed} bytes, which it has not or are too many"
        ))),
        Err(damage) => Err(named(damage.to_string())),
    }
}
