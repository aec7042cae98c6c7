//! A log in S3, read with the user's own AWS settings.
//!
//! Separate because it needs a runtime and credentials, which a log on this machine does not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, anyhow, bail};
use aws::Object;
use aws::{Aws, Error};
use rules::s3_location::S3Location;
use spark_log::program::{Folder, log_in, progress_bar};
use spark_log::{Limits, Part, SparkRun, read_parallel};

/// Objects looked at under a prefix.
const OBJECTS_MAX: usize = 20_000;

/// Bucket and key of `s3://bucket/key`; Hadoop's `s3a:` and `s3n:` name the same. `None`: this is no place in S3.
pub(super) fn bucket_and_key(path: &str) -> Option<(&str, &str)> {
    let rest = ["s3://", "s3a://", "s3n://"]
        .iter()
        .find_map(|scheme| path.strip_prefix(scheme))?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// Reads the log at `s3://bucket/key`, with the credentials, the Region and the endpoint that the environment names.
pub(super) fn read(bucket: &str, key: &str, limits: &Limits) -> anyhow::Result<SparkRun> {
    if bucket.is_empty() {
        bail!("s3:///{key} names no bucket");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let run = runtime.block_on(async {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        read_from_s3(&Aws::new(&config), bucket, key, limits).await
    });
    // A wait for credentials that nobody waits for any more need not end.
    runtime.shutdown_background();
    run
}

/// Reads the log at `s3://bucket/key` with these clients.
pub async fn read_from_s3(aws: &Aws, bucket: &str, key: &str, limits: &Limits) -> anyhow::Result<SparkRun> {
    if aws.region().is_empty() {
        bail!("no Region is set: name the bucket's in AWS_REGION or in a profile");
    }
    let objects = log_objects(aws, bucket, key).await?;
    let names: Vec<String> = objects.iter().map(|object| object.key.clone()).collect();
    let bar = progress_bar(objects.iter().map(|object| object.bytes).sum());
    let (shown, limits) = (bar.clone(), limits.clone());
    let run = aws.read_objects(bucket, &objects, move |readers| {
        let parts = names.into_iter().zip(readers);
        let parts = parts.map(|(name, bytes)| Part { name, bytes }).collect();
        read_parallel(parts, &limits, |bytes_read| shown.set_position(bytes_read))
    });
    let run = run.await;
    bar.finish_and_clear();
    run.map_err(|error| explained(bucket, error))
}

/// The objects of the log at a key or under a prefix, in order.
async fn log_objects(aws: &Aws, bucket: &str, key: &str) -> anyhow::Result<Vec<Object>> {
    let mut key = key.trim_end_matches('/').to_owned();
    loop {
        // Of all keys that begin with this one, it comes first itself.
        if !key.is_empty()
            && let Some(object) = list(aws, bucket, &key, 1).await?.pop()
            && object.key == key
        {
            return Ok(vec![object]);
        }
        let prefix = if key.is_empty() {
            String::new()
        } else {
            format!("{key}/")
        };
        let mut by_name = BTreeMap::new();
        let mut folders = BTreeSet::new();
        for object in list(aws, bucket, &prefix, OBJECTS_MAX).await? {
            let Some(name) = object.key.strip_prefix(&prefix) else {
                continue;
            };
            match name.split_once('/') {
                Some((folder, _)) => {
                    folders.insert(folder.to_owned());
                }
                None => {
                    by_name.insert(name.to_owned(), object);
                }
            }
        }
        let place = format!("s3://{bucket}/{key}");
        if folders.is_empty() && by_name.is_empty() {
            bail!("{place}: no such object, and nothing lies under it");
        }
        let names = by_name.keys().cloned().collect();
        match log_in(&place, folders.into_iter().collect(), names)? {
            Folder::Log(names) => return Ok(names.iter().filter_map(|name| by_name.remove(name)).collect()),
            Folder::Only(log) => key = format!("{prefix}{log}"),
        }
    }
}

async fn list(aws: &Aws, bucket: &str, prefix: &str, objects_max: usize) -> anyhow::Result<Vec<Object>> {
    let place = S3Location {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    };
    let objects = aws.list(&place, objects_max).await;
    objects.map_err(|error| explained(bucket, error))
}

/// What the user can do about it, where that is known, and the whole chain.
fn explained(bucket: &str, error: Error) -> anyhow::Error {
    let chain = error.chain();
    let advice = match error.code() {
        Some("NoSuchBucket") => format!("there is no bucket {bucket}"),
        Some("NoSuchKey") => "the object was deleted while it was being read".to_owned(),
        Some("PreconditionFailed") => "the object changed while it was being read; read it again".to_owned(),
        Some("AccessDenied") => format!("these credentials may not read in bucket {bucket}"),
        Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            format!("bucket {bucket} is in another Region: name it in AWS_REGION")
        }
        Some("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken") => {
            "S3 does not accept these credentials".to_owned()
        }
        None if chain.contains("credential") => {
            "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE".to_owned()
        }
        _ => return anyhow!(chain),
    };
    anyhow!(chain).context(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadoops_schemes_name_places_in_s3_and_a_file_does_not() {
        assert_eq!(bucket_and_key("s3://b/logs/app-1"), Some(("b", "logs/app-1")));
        assert_eq!(bucket_and_key("s3a://b/logs/"), Some(("b", "logs/")));
        assert_eq!(bucket_and_key("s3://b"), Some(("b", "")));
        assert_eq!(bucket_and_key("logs/s3://b"), None);
    }
}
