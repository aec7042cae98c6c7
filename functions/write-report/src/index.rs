//! The deployment's `index.html`, over all reports of its prefix: each report adds itself to what lies there.
//!
//! Only what is new is read, and nothing is listed: the page keeps its own drills, and a report brings the job's earlier runs,
//! which it was compared with. So a drill that could not be added comes with the next report of its job.
//!
//! The report lies in S3, and in the ledger, before anybody comes here: what goes wrong is logged, and fails nothing.

use std::time::Duration;

use aws::invocation::Invocation;
use aws::{Aws, Error, Found};
use chrono::TimeDelta;
use report::Report;
use report::index::{Entry, Index};

use crate::Config;

/// A page larger than this is none that was written here.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How often a write that lost a race is tried again at most.
const TRIES_MAX: u32 = 8;
/// How long the first loser of a race waits; the next one twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the whole of it may take: the verdict is told only afterwards.
const LASTS: Duration = Duration::from_secs(20);
/// What ending in order needs of Lambda's time.
const RESERVE: TimeDelta = TimeDelta::seconds(30);

/// The index as it lies in S3.
pub(crate) struct Lying {
    /// Is there any page?
    is_there: bool,
    /// Its drills. `None`: there is no page, or it is none of ours.
    pub(crate) index: Option<Index>,
    /// The page's version.
    etag: Option<String>,
}

/// Its key.
pub(crate) fn key(config: &Config) -> String {
    let key = format!("{}/index.html", config.report_prefix.trim_matches('/'));
    key.trim_start_matches('/').to_owned()
}

/// Reads it.
pub(crate) async fn read(aws: &Aws, config: &Config) -> Result<Lying, Error> {
    let (bucket, key) = (&config.report_bucket, key(config));
    let (page, etag) = match aws.object(bucket, &key, BYTES_MAX).await? {
        Found::Object { bytes, etag } => (String::from_utf8(bytes).ok(), etag),
        Found::Nothing => (None, None),
        Found::TooLarge(bytes) => {
            return Err(Error::Refused(format!("s3://{bucket}/{key} has {bytes} bytes")));
        }
    };
    Ok(Lying {
        is_there: page.is_some(),
        index: page.and_then(|page| Index::read(&page)),
        etag,
    })
}

/// What a report has to say to the index.
pub(crate) struct News {
    this: Entry,
    earlier: Vec<Entry>,
}

impl News {
    /// Of a report.
    pub(crate) fn of(report: &Report) -> Self {
        let href = |cluster_id: &str, step_id: &str| format!("{cluster_id}/{step_id}/report.html");
        Self {
            this: Entry::of(report, href(&report.cluster.id, &report.step.id)),
            earlier: Entry::of_earlier_runs(report, href),
        }
    }

    /// Adds it to the index, within bounds.
    pub(crate) async fn add(self, aws: &Aws, config: &Config, invocation: &Invocation) {
        let left = invocation.time_left(aws.now(), RESERVE).to_std().unwrap_or_default();
        match tokio::time::timeout(LASTS.min(left), self.write(aws, config)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => tracing::warn!("the index changes faster than it can be written"),
            Ok(Err(error)) => tracing::warn!(error = error.chain(), "the index could not be written"),
            Err(_) => tracing::warn!("no time was left for the index"),
        }
    }

    async fn write(&self, aws: &Aws, config: &Config) -> Result<bool, Error> {
        let (bucket, key) = (&config.report_bucket, key(config));
        for tried in 0..TRIES_MAX {
            if tried > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(tried - 1)).await;
            }
            let Lying { is_there, index, etag } = read(aws, config).await?;
            let mut index = index.unwrap_or_default();
            if !self.add_to(&mut index) && is_there {
                return Ok(true);
            }
            let html = index
                .to_html()
                .map_err(|error| Error::Answer(format!("writing the index: {error}")))?;
            let content_type = "text/html; charset=utf-8";
            if aws
                .put_unless_changed(bucket, &key, content_type, html.into_bytes(), etag.as_deref())
                .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Is there anything that the index did not know?
    fn add_to(&self, index: &mut Index) -> bool {
        let mut is_news = index.add(self.this.clone());
        for entry in &self.earlier {
            is_news |= index.add_missing(entry.clone());
        }
        is_news
    }
}
