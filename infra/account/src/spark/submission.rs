//! `spark-submit`'s command line, as an EMR step carries it.
//!
//! Separate because it is a parser of its own, and the only part that sees arguments as text.
//= https://spark.apache.org/docs/3.5.6/submitting-applications.html#launching-applications-with-spark-submit

use std::collections::BTreeMap;

/// What `spark-submit` was asked to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// `spark.app.name`: `--name`, or else the application's file name.
    pub name: String,
    /// Who runs it; EMR's steps run as `hadoop`.
    pub user: String,
    /// The driver runs in the cluster, in the application master's container, not on the primary node.
    pub deploy_cluster_mode: bool,
    /// Whether `spark-submit` waits for the end; if not, its step is over once YARN has accepted the application.
    pub wait_app_completion: bool,
    /// Heap of an executor.
    pub executor_memory_mb: u64,
    /// Cores, hence concurrent tasks, of an executor.
    pub executor_cores: u32,
    /// Whether the number of executors follows the number of waiting tasks.
    pub dynamic_allocation: bool,
    /// `--num-executors`: fixed, or the start of dynamic allocation.
    pub executor_instances: Option<u32>,
    /// All Spark properties: EMR's defaults, the cluster's `spark-defaults`, the command line's, in rising precedence.
    pub conf: BTreeMap<String, String>,
    /// The script or jar.
    pub application: String,
    /// The application's own arguments.
    pub arguments: Vec<String>,
    /// All that `spark-submit` was given, as it was written.
    pub words: Vec<String>,
}

/// Properties that EMR writes into `spark-defaults.conf` by itself.
//= https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html
pub const EMR_DEFAULTS: [(&str, &str); 11] = [
    ("spark.blacklist.decommissioning.enabled", "true"),
    ("spark.blacklist.decommissioning.timeout", "1h"),
    ("spark.decommissioning.timeout.threshold", "20"),
    ("spark.dynamicAllocation.enabled", "true"),
    ("spark.eventLog.dir", "hdfs:///var/log/spark/apps"),
    ("spark.eventLog.enabled", "true"),
    ("spark.resourceManager.cleanupExpiredHost", "true"),
    ("spark.shuffle.service.enabled", "true"),
    ("spark.stage.attempt.ignoreOnDecommissionFetchFailure", "true"),
    ("spark.submit.deployMode", "client"),
    ("spark.yarn.submit.waitAppCompletion", "true"),
];

/// Options with a value that change no property which the simulation reads.
const OTHER_OPTIONS: [&str; 13] = [
    "--archives",
    "--class",
    "--driver-library-path",
    "--exclude-packages",
    "--files",
    "--jars",
    "--keytab",
    "--packages",
    "--principal",
    "--properties-file",
    "--proxy-user",
    "--py-files",
    "--repositories",
];

impl Submission {
    /// Reads the arguments after `spark-submit`. An error says what `spark-submit` would complain about.
    pub fn parse(args: &[String], spark_defaults: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut conf: BTreeMap<String, String> = EMR_DEFAULTS.map(|(key, value)| (key.into(), value.into())).into();
        conf.extend(spark_defaults.clone());
        let mut rest = args.iter();
        let mut application = None;
        while let Some(arg) = rest.next() {
            if !arg.starts_with('-') {
                application = Some(arg.clone());
                break;
            }
            if matches!(arg.as_str(), "--verbose" | "-v" | "--supervise") {
                continue;
            }
            let (option, inline) = match arg.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
                _ => (arg.as_str(), None),
            };
            let value = inline
                .or_else(|| rest.next().cloned())
                .ok_or(format!("Missing argument for option '{option}'."))?;
            set_option(&mut conf, option, value)?;
        }
        let application = application.ok_or("Missing application resource.")?;
        let file = application.rsplit('/').next().unwrap_or_default().to_owned();
        conf.entry("spark.app.name".into()).or_insert(file);
        conf.insert("spark.master".into(), "yarn".into());
        let mut submission = Self::from_conf(conf, application, rest.cloned().collect())?;
        submission.words = args.to_vec();
        Ok(submission)
    }

    /// Heap of the driver, if that was said.
    pub fn driver_memory_mb(&self) -> Option<u64> {
        memory_mb(self.conf.get("spark.driver.memory")?).ok()
    }

    fn from_conf(conf: BTreeMap<String, String>, application: String, arguments: Vec<String>) -> Result<Self, String> {
        let text = |key: &str, or: &str| conf.get(key).cloned().unwrap_or_else(|| or.to_owned());
        let codec = text("spark.eventLog.compression.codec", "zstd");
        if codec != "zstd" && is_true(&text("spark.eventLog.compress", "false")) {
            return Err(format!(
                "the simulated Spark writes event logs plain or with zstd, not with {codec}"
            ));
        }
        let number = |key: &str, or: &str| {
            text(key, or)
                .parse::<u32>()
                .map_err(|_| format!("{key} should be a number, but was {}", text(key, or)))
        };
        let instances = conf.contains_key("spark.executor.instances");
        Ok(Self {
            name: text("spark.app.name", ""),
            user: "hadoop".into(),
            deploy_cluster_mode: text("spark.submit.deployMode", "client") == "cluster",
            // In client mode the driver runs in `spark-submit` itself, whatever is set.
            //= https://spark.apache.org/docs/3.5.6/running-on-yarn.html#configuration
            wait_app_completion: text("spark.submit.deployMode", "client") == "client"
                || is_true(&text("spark.yarn.submit.waitAppCompletion", "true")),
            executor_memory_mb: memory_mb(&text("spark.executor.memory", "1g"))?,
            executor_cores: number("spark.executor.cores", "1")?,
            dynamic_allocation: is_true(&text("spark.dynamicAllocation.enabled", "false")),
            executor_instances: if instances {
                Some(number("spark.executor.instances", "2")?)
            } else {
                None
            },
            application,
            arguments,
            words: Vec::new(),
            conf,
        })
    }
}

fn set_option(conf: &mut BTreeMap<String, String>, option: &str, value: String) -> Result<(), String> {
    let key = match option {
        "--conf" | "-c" => {
            let (key, value) = value
                .split_once('=')
                .ok_or(format!("Spark config without '=': {value}"))?;
            conf.insert(key.trim().into(), value.trim().into());
            return Ok(());
        }
        "--deploy-mode" if !matches!(value.as_str(), "client" | "cluster") => {
            return Err("Deploy mode must be either \"client\" or \"cluster\"".into());
        }
        "--deploy-mode" => "spark.submit.deployMode",
        "--master" => "spark.master",
        "--name" => "spark.app.name",
        "--executor-memory" => "spark.executor.memory",
        "--executor-cores" => "spark.executor.cores",
        "--num-executors" => "spark.executor.instances",
        "--driver-memory" => "spark.driver.memory",
        "--driver-cores" => "spark.driver.cores",
        "--driver-java-options" => "spark.driver.extraJavaOptions",
        "--driver-class-path" => "spark.driver.extraClassPath",
        "--queue" => "spark.yarn.queue",
        other if OTHER_OPTIONS.contains(&other) => return Ok(()),
        other => return Err(format!("Unrecognized option: {other}")),
    };
    conf.insert(key.into(), value);
    Ok(())
}

/// Spark's booleans: `true` and `false` in any case of letters.
//= https://github.com/apache/spark/blob/v3.5.6/core/src/main/scala/org/apache/spark/internal/config/ConfigBuilder.scala
pub(super) fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

/// Spark's memory strings: `18G`, `512m`, `2048`, in MiB when without a unit.
pub(super) fn memory_mb(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let bad = || format!("Size must be specified as bytes (b), kibibytes (k), mebibytes (m), ..., but was {text}");
    let amount: u64 = digits.parse().map_err(|_| bad())?;
    match &lower[digits.len()..] {
        "" | "m" => Ok(amount),
        "k" => Ok(amount / 1024),
        "g" => Ok(amount * 1024),
        "t" => Ok(amount * 1024 * 1024),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Submission, String> {
        let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
        Submission::parse(&args, &BTreeMap::from([("spark.executor.memory".into(), "4g".into())]))
    }

    #[test]
    fn the_workshops_command_line_is_read() {
        let submission = parse(
            "--deploy-mode cluster --executor-memory 18G --executor-cores 4 \
             --conf spark.eventLog.dir=s3://logs/x s3://b/script.py s3://b/results/",
        )
        .unwrap();
        assert!(submission.deploy_cluster_mode && submission.dynamic_allocation && submission.wait_app_completion);
        assert_eq!(
            (submission.executor_memory_mb, submission.executor_cores),
            (18 * 1024, 4)
        );
        assert_eq!(submission.application, "s3://b/script.py");
        assert_eq!(submission.arguments, ["s3://b/results/"]);
        assert_eq!(submission.name, "script.py");
        assert_eq!(submission.conf["spark.eventLog.dir"], "s3://logs/x");
        assert_eq!(submission.driver_memory_mb(), None);
        assert_eq!(parse("--driver-memory 3g a.py").unwrap().driver_memory_mb(), Some(3072));
    }

    #[test]
    fn the_clusters_defaults_give_way_to_the_command_line_only() {
        assert_eq!(parse("s3://b/script.py").unwrap().executor_memory_mb, 4096);
        assert_eq!(
            parse("--conf spark.executor.memory=2g s3://b/script.py")
                .unwrap()
                .executor_memory_mb,
            2048
        );
        let fixed = parse("--num-executors 3 --conf spark.dynamicAllocation.enabled=false a.py").unwrap();
        assert_eq!((fixed.executor_instances, fixed.dynamic_allocation), (Some(3), false));
    }

    #[test]
    fn booleans_are_read_in_any_case_of_letters() {
        for (text, waits) in [("False", false), ("FALSE", false), (" false", false), ("True", true)] {
            let conf = format!("spark.yarn.submit.waitAppCompletion={text}");
            let args = ["--deploy-mode", "cluster", "--conf", &conf, "a.py"].map(str::to_owned);
            let submission = Submission::parse(&args, &BTreeMap::new()).unwrap();
            assert_eq!(submission.wait_app_completion, waits, "{text}");
            // The driver of client mode runs in the process that submits.
            let client = Submission::parse(&args[2..], &BTreeMap::new()).unwrap();
            assert!(client.wait_app_completion, "{text}");
        }
    }

    #[test]
    fn what_spark_submit_refuses_is_refused() {
        assert!(
            parse("--deploy-mode cluster")
                .unwrap_err()
                .contains("application resource")
        );
        assert!(
            parse("--no-such-option 1 a.py")
                .unwrap_err()
                .contains("--no-such-option")
        );
        assert!(parse("--deploy-mode cloud a.py").unwrap_err().contains("client"));
        assert!(parse("--executor-memory much a.py").unwrap_err().contains("much"));
        assert!(parse("--name").unwrap_err().contains("--name"));
    }
}
