//! What the job wrote, and whether its marker is this run's.
//!
//! Where the output lies is known if somebody says so: the setting `spark.spotDrill.output` of the step or the cluster,
//! the cluster's tag `spot-drill:output`, or the deployment's pattern for arguments that are outputs. The application's
//! last argument is a guess, on which alone no price rests. Nor does one rest on objects that are older than the run.

use std::collections::BTreeSet;

use aws::Object;
use aws::{Aws, Error};
use chrono::{DateTime, TimeDelta, Utc};
use report::{Baseline, Missing, Output, OutputNamedBy};
use rules::application::Run;
use rules::cluster::Cluster;
use rules::s3_location::S3Location;
use rules::step::Step;
use spark_log::SparkRun;

use crate::Config;
use crate::gathered::or_missing;

/// The setting that names the output.
const SETTING: &str = "spark.spotDrill.output";
/// The cluster's tag that names it.
const TAG: &str = "spot-drill:output";
/// Objects of an output looked at most.
const OBJECTS_MAX: usize = 100_000;
/// S3 tells when an object was written in whole seconds.
const SECOND: TimeDelta = TimeDelta::seconds(1);
/// How long after the run's end its last object may appear.
const SLACK: TimeDelta = TimeDelta::seconds(15);

/// What the output's place is told by.
pub(crate) struct Told<'a> {
    pub step: &'a Step,
    pub cluster: Option<&'a Cluster>,
    pub run: Option<&'a Run>,
    pub log: Option<&'a SparkRun>,
}

impl Told<'_> {
    /// A Spark setting: as the application ran with it, else as the step or the cluster has it.
    fn setting(&self, key: &str) -> Option<String> {
        self.log
            .and_then(|log| log.settings.get(key).cloned())
            .or_else(|| self.step.spark_conf(key))
            .or_else(|| {
                self.cluster
                    .and_then(|cluster| cluster.spark_defaults.get(key).cloned())
            })
    }

    /// Where the output lies. The error says that nobody knows.
    fn place(&self, config: &Config) -> Result<(S3Location, OutputNamedBy), String> {
        let tag = self.cluster.and_then(|cluster| cluster.tags.get(TAG).cloned());
        for (named, by) in [
            (self.setting(SETTING), OutputNamedBy::Setting),
            (tag, OutputNamedBy::Tag),
        ] {
            if let Some(named) = named {
                let place = named
                    .parse()
                    .map_err(|why| format!("the output is named as {named:?}: {why}"))?;
                return Ok((place, by));
            }
        }
        if let Some(pattern) = &config.output_pattern.0 {
            let matching = self.step.args.iter().rev().find(|argument| fits(pattern, argument));
            if let Some(place) = matching.and_then(|argument| argument.parse().ok()) {
                return Ok((place, OutputNamedBy::Pattern));
            }
        }
        let guess = self.step.output().ok_or_else(|| {
            format!("nothing names it ({SETTING}, the tag {TAG}), and the step's last argument is no folder in S3")
        })?;
        Ok((guess, OutputNamedBy::LastArgument))
    }

    /// The same, if somebody names it.
    pub(crate) fn named(&self, config: &Config) -> Option<S3Location> {
        let (place, by) = self.place(config).ok()?;
        (by != OutputNamedBy::LastArgument).then_some(place)
    }

    /// Why a run that ended well may leave no marker in this place.
    fn no_marker_because(&self, objects: &[&str]) -> Option<String> {
        let is = |key: &str, value: &str| {
            self.setting(key)
                .is_some_and(|set| set.trim().eq_ignore_ascii_case(value))
        };
        // https://spark.apache.org/docs/3.5.5/configuration.html#runtime-sql-configuration
        if is("spark.sql.sources.partitionOverwriteMode", "dynamic") {
            return Some("spark.sql.sources.partitionOverwriteMode is dynamic".into());
        }
        let markers = "mapreduce.fileoutputcommitter.marksuccessfuljobs";
        for key in [format!("spark.hadoop.{markers}"), markers.to_owned()] {
            if is(&key, "false") {
                return Some(format!("{key} is false"));
            }
        }
        // The metadata of Iceberg, Delta Lake, Hudi, and of Spark's own streaming sink.
        [
            ("metadata/", "an Iceberg table"),
            ("_delta_log/", "a Delta Lake table"),
            (".hoodie/", "a Hudi table"),
            ("_spark_metadata/", "a streaming sink"),
        ]
        .into_iter()
        .find(|(folder, _)| {
            objects
                .iter()
                .any(|key| key.starts_with(folder) || key.contains(&format!("/{folder}")))
        })
        .map(|(_, what)| format!("it is {what}"))
    }
}

/// The output, and where its rows can be counted.
pub(crate) struct Listed {
    pub output: Output,
    /// Its bucket, and the objects of this run that hold data.
    pub bucket: String,
    pub of_run: Vec<Object>,
    /// The same of the baseline.
    pub of_baseline: Vec<Object>,
}

/// Lists the output, and the baseline to compare it with.
pub(crate) async fn list(aws: &Aws, config: &Config, told: &Told<'_>, missing: &mut Vec<Missing>) -> Option<Listed> {
    let (place, named_by) = match told.place(config) {
        Ok(known) => known,
        Err(why) => {
            missing.push(Missing {
                what: "output".into(),
                why,
            });
            return None;
        }
    };
    let objects = or_missing(aws.list(&place, OBJECTS_MAX).await, "output", missing)?;
    let (baseline, of_baseline) = baseline(aws, config, missing).await.unzip();
    let of_baseline = of_baseline.unwrap_or_default();
    let keys: Vec<&str> = objects
        .iter()
        .filter_map(|object| object.key.strip_prefix(&place.prefix))
        .collect();
    let of_run: Vec<&Object> = objects.iter().filter(|object| is_of(told.run, object)).collect();
    let (count, bytes) = data(objects.iter());
    let output = Output {
        location: place.to_string(),
        named_by,
        has_success_marker: of_run.iter().any(|object| object.key.ends_with("/_SUCCESS")),
        no_marker_because: told.no_marker_because(&keys),
        objects_of_run: data(of_run.iter().copied()).0,
        objects_beside: beside(told.run, &objects),
        objects: count,
        bytes,
        baseline,
        rows: None,
        rows_unknown: None,
        rows_undisturbed: None,
    };
    let of_run = of_run
        .into_iter()
        .filter(|object| is_data(&object.key))
        .cloned()
        .collect();
    Some(Listed {
        output,
        bucket: place.bucket,
        of_run,
        of_baseline,
    })
}

async fn baseline(aws: &Aws, config: &Config, missing: &mut Vec<Missing>) -> Option<(Baseline, Vec<Object>)> {
    let Some(place) = &config.baseline_prefix.0 else {
        missing.push(Missing {
            what: "output comparison".into(),
            why: "no baseline is set, so whether the output is right was not compared".into(),
        });
        return None;
    };
    let objects: Result<Vec<Object>, Error> = aws.list(place, OBJECTS_MAX).await;
    let objects = or_missing(objects, "output comparison", missing)?;
    let files: Vec<Object> = objects.into_iter().filter(|object| is_data(&object.key)).collect();
    let (objects, bytes) = data(files.iter());
    let baseline = Baseline {
        location: place.to_string(),
        objects,
        bytes,
        rows: None,
    };
    Some((baseline, files))
}

/// What a run that ended well should have left, and did not. Nothing where the place is a guess.
pub(crate) fn lacks(output: &Output) -> Option<&'static str> {
    let is_known = output.named_by != OutputNamedBy::LastArgument;
    (is_known && !output.has_success_marker && output.no_marker_because.is_none())
        .then_some("a _SUCCESS marker of this run")
}

/// Was an object written in the run's time?
fn is_of(run: Option<&Run>, object: &Object) -> bool {
    let in_time = |run: &Run, at: DateTime<Utc>| at + SECOND > run.began_at && at <= run.ended_at + SLACK;
    run.zip(object.modified_at).is_some_and(|(run, at)| in_time(run, at))
}

/// Objects that hold data, are older than the run, and lie in folders into which it wrote data.
fn beside(run: Option<&Run>, objects: &[Object]) -> usize {
    let folder = |key: &str| {
        key.rsplit_once('/')
            .map_or(String::new(), |(folder, _)| folder.to_owned())
    };
    let written = objects
        .iter()
        .filter(|object| is_data(&object.key) && is_of(run, object));
    let folders: BTreeSet<String> = written.map(|object| folder(&object.key)).collect();
    let is_older = |object: &&Object| {
        let modified = object.modified_at.zip(run);
        modified.is_some_and(|(at, run)| at + SECOND <= run.began_at)
    };
    let older = objects.iter().filter(|object| is_data(&object.key)).filter(is_older);
    older.filter(|object| folders.contains(&folder(&object.key))).count()
}

/// Does an object hold data? Names that begin with `_` or `.` are markers to Hadoop.
fn is_data(key: &str) -> bool {
    !key.rsplit('/').next().unwrap_or_default().starts_with(['_', '.'])
}

/// Objects that hold data, and their bytes.
fn data<'a>(objects: impl Iterator<Item = &'a Object>) -> (usize, u64) {
    objects
        .filter(|object| is_data(&object.key))
        .fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.bytes))
}

/// Does an argument fit a pattern in which `*` stands for anything?
fn fits(pattern: &str, argument: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = argument.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.trim_end_matches('/').is_empty();
    };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_counts_only_beside_what_the_run_wrote() {
        let at = |seconds: i64| DateTime::from_timestamp(1_000 + seconds, 0).unwrap();
        let run: Run = serde_json::from_value(serde_json::json!({
            "began_at": at(100), "ended_at": at(200), "begin_told_by": "step", "end_told_by": "step"
        }))
        .unwrap();
        let object = |key: &str, seconds: i64| Object {
            key: key.into(),
            bytes: 1,
            etag: None,
            modified_at: Some(at(seconds)),
        };
        let objects = [
            object("t/day=1/part-0", 10),
            object("t/day=2/part-0", 10),
            object("t/day=2/part-1", 99),
            object("t/day=2/_SUCCESS", 10),
            object("t/day=2/part-2", 150),
            object("t/day=3/part-0", 300),
        ];
        assert_eq!(beside(Some(&run), &objects), 2);
        assert_eq!(beside(None, &objects), 0);
    }

    #[test]
    fn an_object_is_of_the_run_whose_time_it_was_written_in() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap();
        let run: Run = serde_json::from_value(serde_json::json!({
            "began_at": at(100_000), "ended_at": at(200_000), "begin_told_by": "step", "end_told_by": "step"
        }))
        .unwrap();
        let object = |ms: Option<i64>| Object {
            key: "part-0".into(),
            bytes: 1,
            etag: None,
            modified_at: ms.map(at),
        };
        // S3 says whole seconds.
        for (ms, is_its) in [(99_000, false), (99_001, true), (215_000, true), (215_001, false)] {
            assert_eq!(is_of(Some(&run), &object(Some(ms))), is_its, "{ms}");
        }
        assert!(!is_of(Some(&run), &object(None)) && !is_of(None, &object(Some(150_000))));
    }

    #[test]
    fn what_has_its_own_account_of_a_write_needs_no_marker() {
        let because = |settings: &[(&str, &str)], objects: &[&str]| {
            let log = SparkRun {
                settings: settings
                    .iter()
                    .map(|(key, value)| ((*key).into(), (*value).into()))
                    .collect(),
                ..SparkRun::default()
            };
            let step: Step = serde_json::from_value(serde_json::json!({"id": "s-1", "name": "s", "state": "COMPLETED",
                "jar": "j", "args": [], "properties": {}, "failure": null, "created_at": null, "started_at": null,
                "ended_at": null, "log_uri": null, "application_ids": []}))
            .unwrap();
            let told = Told {
                step: &step,
                cluster: None,
                run: None,
                log: Some(&log),
            };
            told.no_marker_because(objects)
        };
        let own = "mapreduce.fileoutputcommitter.marksuccessfuljobs";
        let of_hadoop = format!("spark.hadoop.{own}");
        for (settings, objects, why) in [
            (&[][..], &["part-0", "day=1/part-0"][..], None),
            (&[(own, "true")], &[], None),
            (&[(own, "FALSE")], &[], Some(format!("{own} is false"))),
            (
                &[(of_hadoop.as_str(), "false")],
                &[],
                Some(format!("{of_hadoop} is false")),
            ),
            (
                &[("spark.sql.sources.partitionOverwriteMode", "dynamic")],
                &[],
                Some("spark.sql.sources.partitionOverwriteMode is dynamic".into()),
            ),
            (&[], &["t/_delta_log/0.json"], Some("it is a Delta Lake table".into())),
            (&[], &["metadata/v1.json"], Some("it is an Iceberg table".into())),
            (&[], &["a/.hoodie/x"], Some("it is a Hudi table".into())),
            (&[], &["_spark_metadata/0"], Some("it is a streaming sink".into())),
        ] {
            assert_eq!(because(settings, objects), why);
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        // What stood for one star does not stand for the next.
        assert!(!fits("s3://b*/x/*x/", "s3://b/x/"));
        assert!(fits("s3://b*/x/*x/", "s3://b/x/x/"));
        assert!(fits("s3://b/out/*", "s3://b/out/today/"));
        assert!(fits("s3://b/*/out/", "s3://b/x/out/"));
        assert!(fits("s3://b/out", "s3://b/out/"));
        assert!(!fits("s3://b/out/*", "s3://b/in/today/"));
        assert!(!fits("s3://b/*/out/", "s3://b/x/in/"));
    }
}
