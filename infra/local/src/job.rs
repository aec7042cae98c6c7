//! `drill --job`: a PySpark job of the user's own, as a step of a cluster of its own.
//!
//! Separate from the stories, whose jobs are made up; and from `real_spark`, which runs it: here is only what EMR is asked
//! for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use account::spark::Submission;
use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::scenario::{CLUSTER_NAME, DATA_BUCKET, SCENARIOS};
use crate::settings::Settings;

/// Where the deployment finds what the job wrote undisturbed.
pub const BASELINE: &str = "s3://emr-spot-workshop-data/baseline/";

/// What `drill` takes for a job of one's own.
#[derive(Debug, Args)]
#[command(next_help_heading = "A job of your own, on real Spark (Linux)")]
pub struct JobArguments {
    /// Run this PySpark job on Apache Spark, with one executor for each simulated instance; EC2, EMR and FIS stay simulated.
    /// Needs Java 17 and pyspark.
    #[arg(long, value_name = "PATH")]
    pub job: Option<PathBuf>,
    /// Virtual seconds per real second while the job runs: at 10, the two minutes of a notice pass in twelve seconds.
    #[arg(long, default_value_t = 10, value_name = "N", requires = "job", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub pace: u32,
    /// Run the job undisturbed first, and compare how long both took, and the rows that they wrote. With --fail-on, other
    /// rows fail too.
    #[arg(long, requires = "job")]
    pub baseline: bool,
    /// A Spark property of the step, as for spark-submit.
    #[arg(long, value_name = "KEY=VALUE", requires = "job")]
    pub conf: Vec<String>,
    /// Modules of the job, as for spark-submit: files, separated by commas.
    #[arg(long, value_name = "FILES", requires = "job", value_delimiter = ',')]
    pub py_files: Vec<PathBuf>,
    /// Another option of spark-submit, such as --submit=--jars=lib.jar. Files of yours in it are put into S3 for the step.
    #[arg(long, value_name = "OPTION[=VALUE]", requires = "job", allow_hyphen_values = true)]
    pub submit: Vec<String>,
    /// Where the driver runs: on the primary node, or on a node that YARN would choose.
    #[arg(long, value_enum, default_value = "client", value_name = "MODE", requires = "job")]
    pub deploy_mode: DeployMode,
    /// A folder whose files the job finds in S3; it gets a copy.
    #[arg(long, value_name = "S3-URI=DIR", requires = "job", value_parser = data)]
    pub data: Vec<(String, PathBuf)>,
    /// The job's own arguments. `s3://…` in them, and in the job, is a folder below --out.
    #[arg(last = true, requires = "job")]
    pub arguments: Vec<String>,
}

/// `--deploy-mode`, in Spark's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeployMode {
    /// The driver runs on the primary node.
    Client,
    /// The driver runs in the application master's container.
    Cluster,
}

fn data(text: &str) -> Result<(String, PathBuf), String> {
    let found = text.split_once('=').filter(|(uri, _)| bucket(uri).is_some());
    let (uri, folder) = found.ok_or_else(|| format!("expected s3://bucket/prefix/=DIR, found {text:?}"))?;
    let folder = PathBuf::from(folder);
    if !folder.is_dir() {
        return Err(format!("{} is no folder", folder.display()));
    }
    Ok((uri.to_owned(), folder))
}

/// Options of spark-submit that name files.
const OF_FILES: [&str; 5] = ["--archives", "--files", "--jars", "--properties-file", "--py-files"];

/// What `spark-submit` is given before the script; `stage` puts a file into S3 and answers its URI.
fn options(
    arguments: &JobArguments,
    mut stage: impl FnMut(&Path) -> anyhow::Result<String>,
) -> anyhow::Result<Vec<String>> {
    let mode = match arguments.deploy_mode {
        DeployMode::Client => "client",
        DeployMode::Cluster => "cluster",
    };
    let mut words = vec!["--deploy-mode".to_owned(), mode.to_owned()];
    for conf in &arguments.conf {
        if !conf.contains('=') {
            bail!("--conf {conf}: expected key=value");
        }
        words.extend(["--conf".to_owned(), conf.clone()]);
    }
    let modules: anyhow::Result<Vec<String>> = arguments.py_files.iter().map(|path| stage(path)).collect();
    let modules = modules?;
    if !modules.is_empty() {
        words.extend(["--py-files".to_owned(), modules.join(",")]);
    }
    for option in &arguments.submit {
        let Some((option, value)) = option.split_once('=') else {
            words.push(option.clone());
            continue;
        };
        let value = match OF_FILES.contains(&option) {
            true => staged(value, &mut stage)?,
            false => value.to_owned(),
        };
        words.extend([option.to_owned(), value]);
    }
    Ok(words)
}

/// A list of files with those of this machine put into S3; what is behind a `#` is the name that Spark gives an archive.
fn staged(list: &str, mut stage: impl FnMut(&Path) -> anyhow::Result<String>) -> anyhow::Result<String> {
    let one = |file: &str| -> anyhow::Result<String> {
        let (path, name) = file.split_at(file.find('#').unwrap_or(file.len()));
        let is_elsewhere = path.contains("://");
        Ok(if is_elsewhere {
            file.to_owned()
        } else {
            stage(Path::new(path))? + name
        })
    };
    let files: anyhow::Result<Vec<String>> = list.split(',').map(one).collect();
    Ok(files?.join(","))
}

/// The bucket of an S3 URI.
fn bucket(uri: &str) -> Option<&str> {
    buckets_in(uri).find(|_| uri.starts_with("s3"))
}

/// The buckets that a text, such as a script, names.
fn buckets_in(text: &str) -> impl Iterator<Item = &str> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    text.match_indices("://").filter_map(move |(at, mark)| {
        let (before, rest) = (&text[..at], &text[at + mark.len()..]);
        let name = &rest[..rest.find(|c| !is_of_name(c)).unwrap_or(rest.len())];
        let is_s3 = ["s3", "s3a", "s3n"].iter().any(|scheme| before.ends_with(scheme));
        (is_s3 && name.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(name)
    })
}

/// A job, as it is submitted.
#[derive(Debug, Clone)]
pub struct Job {
    /// The script's name without its ending: the run's name.
    pub name: String,
    /// Files that must lie in S3: the script, its modules, and data; each with its URI.
    pub files: Vec<(String, PathBuf)>,
    /// What `spark-submit` is given.
    pub words: Vec<String>,
    /// The buckets that the words and the files' texts name.
    pub buckets: BTreeSet<String>,
}

/// One run of a job.
#[derive(Debug, Clone, Copy)]
pub struct Sitting<'a> {
    /// What the drill is like.
    pub settings: &'a Settings,
    /// All chance is drawn from this, but for Spark's own.
    pub seed: u64,
    /// Virtual seconds per real second.
    pub pace: u32,
    /// The folder of this run.
    pub out: &'a Path,
    /// The folder of the run without a drill, and the place in S3 that the job wrote to.
    pub baseline: Option<(&'a Path, &'a str)>,
}

impl Job {
    /// Reads the arguments; `None` if they name no job. The error says what is wrong with them.
    pub fn read(arguments: &JobArguments) -> anyhow::Result<Option<Self>> {
        let Some(script) = &arguments.job else { return Ok(None) };
        let stem = script
            .file_stem()
            .context("the job is a file")?
            .to_string_lossy()
            .into_owned();
        let mut files = arguments.data.clone();
        let mut buckets: BTreeSet<String> = files
            .iter()
            .filter_map(|(uri, _)| bucket(uri))
            .map(str::to_owned)
            .collect();
        buckets.insert(DATA_BUCKET.to_owned());
        let mut stage = |path: &Path| -> anyhow::Result<String> {
            if !path.is_file() {
                bail!("{} is no file", path.display());
            }
            let name = path
                .file_name()
                .context("a file has a name")?
                .to_string_lossy()
                .into_owned();
            let uri = format!("s3://{DATA_BUCKET}/jobs/{name}");
            files.push((uri.clone(), path.to_owned()));
            let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            buckets.extend(buckets_in(&String::from_utf8_lossy(&text)).map(str::to_owned));
            Ok(uri)
        };
        let application = stage(script)?;
        let mut words = options(arguments, stage)?;
        words.push(application);
        words.extend(arguments.arguments.iter().cloned());
        // What EMR would only find when the step runs.
        Submission::parse(&words, &BTreeMap::new()).map_err(|error| anyhow!("spark-submit: {error}"))?;
        buckets.extend(words.iter().flat_map(|word| buckets_in(word)).map(str::to_owned));
        Ok(Some(Self {
            name: stem,
            files,
            words,
            buckets,
        }))
    }

    /// What the drill begins with: four Spot task instances, of which two go.
    pub fn settings() -> Settings {
        Settings {
            units: 16,
            delay: 120,
            victims: 2,
            ..SCENARIOS[0].settings()
        }
    }

    /// The deployment's parameters: reports may see what the job writes, and compare it with the baseline, if there is one.
    pub fn parameters(&self, settings: &Settings, has_baseline: bool) -> BTreeMap<String, String> {
        let mut parameters = SCENARIOS[0].parameters(settings);
        let arns = self.buckets.iter().map(|bucket| format!("arn:aws:s3:::{bucket}"));
        parameters.insert("OutputBucketArns".into(), arns.collect::<Vec<_>>().join(","));
        parameters.insert("CountRows".into(), "on".into());
        if has_baseline {
            parameters.insert("BaselinePrefix".into(), BASELINE.to_owned());
        }
        parameters
    }

    /// The cluster, as `RunJobFlow` takes it: one core instance, and Spot task instances of the same size. Nothing scales
    /// it, since nobody is there whose load EMR could see.
    pub fn cluster(settings: &Settings) -> Value {
        let core = json!([{"InstanceType": "r5.xlarge", "WeightedCapacity": 4}]);
        let types = ["r4", "r5", "r5a", "r5b", "r5d"]
            .map(|family| json!({"InstanceType": format!("{family}.xlarge"), "WeightedCapacity": 4}));
        json!({
            "Name": CLUSTER_NAME,
            "ReleaseLabel": "emr-7.10.0",
            "Applications": [{"Name": "Hadoop"}, {"Name": "Spark"}],
            "LogUri": format!("s3://{DATA_BUCKET}/emr-logs/"),
            "Configurations": [{"Classification": "spark-defaults", "Properties": {
                "spark.eventLog.enabled": "true",
                "spark.eventLog.dir": format!("s3://{DATA_BUCKET}/spark-events/"),
            }}],
            "Tags": [{"Key": "Name", "Value": CLUSTER_NAME}, {"Key": "spot-drill", "Value": "on"}],
            "Instances": {"KeepJobFlowAliveWhenNoSteps": true, "InstanceFleets": [
                {"Name": "Master", "InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1,
                    "InstanceTypeConfigs": [{"InstanceType": "m5.xlarge", "WeightedCapacity": 1}]},
                {"Name": "Core", "InstanceFleetType": "CORE", "TargetOnDemandCapacity": 4,
                    "InstanceTypeConfigs": core},
                {"Name": "Task", "InstanceFleetType": "TASK", "TargetSpotCapacity": settings.units,
                    "InstanceTypeConfigs": types,
                    "LaunchSpecifications": {"SpotSpecification": {
                        "TimeoutDurationMinutes": 10, "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                        "AllocationStrategy": "price-capacity-optimized"}}},
            ]},
        })
    }

    /// The step, as `AddJobFlowSteps` takes it; `spark` is what runs it, such as `Apache Spark 3.5.9`.
    pub fn step(&self, spark: &str) -> Value {
        let mut args = vec!["spark-submit".to_owned()];
        args.extend(self.words.iter().cloned());
        json!({
            "Name": format!("{} (real {spark}, simulated capacity)", self.name),
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": args},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        job: JobArguments,
    }

    fn read(line: &str) -> anyhow::Result<Option<Job>> {
        let words = std::iter::once("local").chain(line.split_whitespace());
        Job::read(&Line::try_parse_from(words)?.job)
    }

    #[test]
    fn a_job_is_a_step_with_sparks_options_before_it_and_its_own_arguments_behind() {
        let this = concat!(env!("CARGO_MANIFEST_DIR"), "/src/job.rs");
        let line = format!("--job {this} --deploy-mode cluster --conf a=b --py-files {this} -- --conf s3a://out/x c");
        let job = read(&line).unwrap().unwrap();
        let uri = format!("s3://{DATA_BUCKET}/jobs/job.rs");
        let step = job.step("Apache Spark 3.5.9");
        assert_eq!(
            step["HadoopJarStep"]["Args"],
            json!([
                "spark-submit",
                "--deploy-mode",
                "cluster",
                "--conf",
                "a=b",
                "--py-files",
                uri,
                uri,
                "--conf",
                "s3a://out/x",
                "c"
            ])
        );
        assert_eq!(step["Name"], "job (real Apache Spark 3.5.9, simulated capacity)");
        assert!(
            job.buckets.contains("out") && job.buckets.contains(DATA_BUCKET),
            "{:?}",
            job.buckets
        );
        assert!(read("").unwrap().is_none());
    }

    #[test]
    fn any_option_of_spark_submit_is_the_steps_and_its_files_lie_in_s3() {
        let this = concat!(env!("CARGO_MANIFEST_DIR"), "/src/job.rs");
        let line = format!("--job {this} --submit=--archives={this}#env,s3://b/x.zip --submit --name=x=y --submit=-v");
        let job = read(&line).unwrap().unwrap();
        let archives = format!("s3://{DATA_BUCKET}/jobs/job.rs#env,s3://b/x.zip");
        assert_eq!(job.words[2..7], ["--archives", &archives, "--name", "x=y", "-v"]);
    }

    #[test]
    fn the_buckets_that_a_script_names_are_found() {
        let text = "spark.read.text('s3a://words/in/') # s3://counts.of-all, not s3:// nor s3://-x nor http://host/";
        assert_eq!(buckets_in(text).collect::<Vec<_>>(), ["words", "counts.of-all"]);
    }

    #[test]
    fn what_cannot_be_submitted_is_told() {
        let this = concat!(env!("CARGO_MANIFEST_DIR"), "/src/job.rs");
        for (line, words) in [
            ("--job /no/such.py", "/no/such.py is no file"),
            ("--conf a=b", "--job <PATH>"),
            ("--job x.py --data s3://b/=/no/such", "/no/such is no folder"),
            ("--job x.py --data b=.", "expected s3://bucket/prefix/=DIR"),
            ("--job x.py --pace 61", "61 is not in 1..=60"),
            (
                &format!("--job {this} --submit=--jar=x.jar"),
                "spark-submit: Unrecognized option: --jar",
            ),
            (&format!("--job {this} --submit=--jars=no.jar"), "no.jar is no file"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
