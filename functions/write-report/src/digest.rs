//! The weekly digest: what is new in the index of all reports. Its answer goes where verdicts go.
//!
//! The index keeps the latest drills, so one read of it is all that this costs. Where it cannot be read, the invocation
//! fails: no digest is no good news.

use aws::outcome::Digest;
use aws::{Aws, Error, Outcome};

use crate::{Config, index};

/// Tells of the last seven days.
pub(crate) async fn tell(aws: &Aws, config: &Config) -> Result<Outcome, Error> {
    let index = index::read(aws, config).await?.index.unwrap_or_default();
    let week = index.week(aws.now());
    Ok(Outcome::Digest(Digest {
        sentence: week.sentence,
        drills: week.drills,
        verdicts: week
            .verdicts
            .into_iter()
            .map(|(word, count)| (word.to_owned(), count))
            .collect(),
        worse: week.worse,
        better: week.better,
        riskiest: week.riskiest,
        index: format!("s3://{}/{}", config.report_bucket, index::key(config)),
    }))
}
