//! What `spark-submit` is given here, made of what the step's was given for YARN.
//!
//! Separate because it is words only. What belongs to YARN, or to a machine of its own for each executor, is left out or
//! cut, and each cut is told; all else stays as it is.
//!
//! Options: <https://github.com/apache/spark/blob/v3.5.6/launcher/src/main/java/org/apache/spark/launcher/SparkSubmitOptionParser.java>

use std::collections::BTreeMap;

use account::spark::Submission;
use anyhow::bail;

use super::storage::{Storage, file_uri};

/// Options that name files, which `spark-submit` itself fetches.
const FILES: [&str; 5] = ["--archives", "--files", "--jars", "--properties-file", "--py-files"];

/// Options of which the words below take the place, as far as this machine has what they ask for: that is told.
const CUT: [&str; 4] = [
    "--driver-memory",
    "--executor-cores",
    "--executor-memory",
    "--num-executors",
];

/// Options that are YARN's, or of a standalone cluster that is not this one.
const LEFT_OUT: [&str; 9] = [
    "--deploy-mode",
    "--driver-cores",
    "--keytab",
    "--master",
    "--principal",
    "--proxy-user",
    "--queue",
    "--supervise",
    "--total-executor-cores",
];

/// Properties that others than these words tell of, or that are done here by other means.
const TOLD_ELSEWHERE: [&str; 4] = [
    "spark.driver.memory",
    "spark.dynamicAllocation.enabled",
    "spark.executor.",
    "spark.eventLog.",
];

/// Properties of YARN's that the account itself heeds.
const HEEDED: [&str; 2] = ["spark.yarn.maxAppAttempts", "spark.yarn.submit.waitAppCompletion"];

/// Options without a value.
const SWITCHES: [&str; 3] = ["--verbose", "-v", "--supervise"];

/// How large an executor, and the driver, may be on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Cores, hence tasks at once, of an executor.
    pub(super) executor_cores: u32,
    /// Heap of an executor.
    pub(super) executor_mb: u64,
    /// Heap of the driver.
    pub(super) driver_mb: u64,
}

/// Least heap that Spark starts an executor with: 1.5 times what it reserves.
/// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/memory/UnifiedMemoryManager.scala>
const HEAP_MB_MIN: u64 = 472;

impl Room {
    /// A share of the machine for each of so many nodes, the driver and the nodes' own processes beside it; an error, where
    /// there is no room for so many.
    pub(super) fn of(cores: u32, available_mb: u64, nodes: u32) -> anyhow::Result<Self> {
        let share = available_mb / u64::from(nodes + 2) / 2;
        if share < HEAP_MB_MIN {
            let needed = HEAP_MB_MIN * 2 * u64::from(nodes + 2);
            bail!(
                "{nodes} nodes need about {needed} MB of memory here, and {available_mb} MB are free: a smaller cluster does, \
                 such as --set units=8"
            );
        }
        Ok(Self {
            executor_cores: (cores / nodes.max(1)).max(1),
            executor_mb: share,
            driver_mb: share,
        })
    }

    /// What of it a submission asks for, and what was cut, in words.
    pub(super) fn granted(self, asked: &Submission) -> (Self, Vec<String>) {
        let mut cuts = Vec::new();
        let number = |key: &str| asked.conf.get(key).and_then(|text| text.trim().parse::<u32>().ok());
        let task_cpus = number("spark.task.cpus").unwrap_or(1);
        let granted = Self {
            executor_cores: asked.executor_cores.min(self.executor_cores).max(task_cpus),
            executor_mb: asked.executor_memory_mb.clamp(HEAP_MB_MIN, self.executor_mb),
            driver_mb: asked
                .driver_memory_mb()
                .unwrap_or(1024)
                .clamp(HEAP_MB_MIN, self.driver_mb),
        };
        if granted.executor_cores < asked.executor_cores {
            cuts.push(format!(
                "executor cores {} → {}",
                asked.executor_cores, granted.executor_cores
            ));
        }
        if granted.executor_mb < asked.executor_memory_mb {
            cuts.push(format!(
                "executor memory {} MB → {} MB",
                asked.executor_memory_mb, granted.executor_mb
            ));
        }
        if let Some(asked) = asked.driver_memory_mb().filter(|asked| *asked > granted.driver_mb) {
            cuts.push(format!("driver memory {asked} MB → {} MB", granted.driver_mb));
        }
        if let Some(asked) = asked.executor_instances {
            cuts.push(format!("executors {asked} → one a node"));
        } else if asked.dynamic_allocation {
            cuts.push("dynamic allocation → one executor a node".to_owned());
        }
        (granted, cuts)
    }
}

/// What is the same for every submission of a run, and for this one.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// Of the cluster's `spark-defaults`, and of this program: what the step may override.
    pub(super) defaults: BTreeMap<String, String>,
    /// What it may not.
    pub(super) fixed: Vec<(String, String)>,
}

/// What `spark-submit` is given here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Arguments {
    /// The arguments, without its name.
    pub(super) words: Vec<String>,
    /// What the step's were that are not among them, or that do nothing here.
    pub(super) left_out: Vec<String>,
}

impl Arguments {
    /// Of a step's own.
    pub(super) fn of(words: &[String], storage: &Storage, around: &Surroundings) -> Self {
        let (mut all, mut options, mut names_file) = (Self::default(), Vec::new(), false);
        let mut rest = words.iter();
        let mut application = None;
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                application = Some(word);
                break;
            }
            let (option, inline) = match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let is_switch = SWITCHES.contains(&option);
            let Some(value) = inline.or_else(|| {
                if is_switch {
                    Some(String::new())
                } else {
                    rest.next().cloned()
                }
            }) else {
                break;
            };
            names_file |= option == "--properties-file";
            if LEFT_OUT.contains(&option) {
                all.leave_out(option, &value);
            } else if is_switch {
                options.push(option.to_owned());
            } else if FILES.contains(&option) {
                options.extend([option.to_owned(), local(&value, storage)]);
            } else if !CUT.contains(&option) {
                all.check(option, &value, around);
                options.extend([option.to_owned(), value]);
            }
        }
        let conf = |(key, value): (&String, &String)| ["--conf".to_owned(), format!("{key}={value}")];
        // A file that the step names takes the place of the cluster's spark-defaults.
        if !names_file {
            all.words.extend(around.defaults.iter().flat_map(conf));
        }
        all.words.extend(options);
        // Of two that name the same property the later one wins.
        let fixed = around.fixed.iter().map(|(key, value)| (key, value));
        all.words.extend(fixed.flat_map(conf));
        all.words.extend(application.map(|file| local(file, storage)));
        all.words.extend(rest.cloned());
        all
    }

    fn leave_out(&mut self, option: &str, value: &str) {
        match (option, value) {
            ("--master", "yarn") | ("--deploy-mode", "client") => {}
            ("--deploy-mode", _) => {
                let text = "deploy mode cluster → a driver on one of the nodes, in Spark's client mode";
                self.left_out.push(text.to_owned());
            }
            _ => self.left_out.push(format!("{option} {value}").trim_end().to_owned()),
        }
    }

    /// A property that something else is put over, or that nobody reads here.
    fn check(&mut self, option: &str, value: &str, around: &Surroundings) {
        let Some((key, value)) = value.split_once('=').filter(|_| ["--conf", "-c"].contains(&option)) else {
            return;
        };
        let (key, value) = (key.trim(), value.trim());
        if key == "spark.submit.deployMode" || key == "spark.master" {
            let option = if key == "spark.master" {
                "--master"
            } else {
                "--deploy-mode"
            };
            return self.leave_out(option, value);
        }
        let fixed = around.fixed.iter().find(|(name, _)| name == key);
        if let Some((_, here)) = fixed.filter(|(_, here)| here != value) {
            if !TOLD_ELSEWHERE.iter().any(|prefix| key.starts_with(prefix)) {
                self.left_out.push(format!("{key}={value} → {here}"));
            }
        } else if key.starts_with("spark.yarn.") && !HEEDED.contains(&key) {
            self.left_out.push(format!("{key}={value}, which is YARN's"));
        }
    }
}

/// A list of files, those in S3 as those of the buckets' folders. One that Spark is to give another name, behind a `#`, is told
/// as a URI: a path with blanks and a `#` is neither to Spark.
fn local(list: &str, storage: &Storage) -> String {
    let files = list.split(',').map(|file| {
        let (place, name) = file.split_at(file.find('#').unwrap_or(file.len()));
        match storage.path(place) {
            Some(path) if name.is_empty() => path.display().to_string(),
            Some(path) => file_uri(&path) + name,
            None => file.to_owned(),
        }
    });
    files.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn submission(text: &str) -> Submission {
        Submission::parse(&words(text), &BTreeMap::new()).unwrap()
    }

    #[test]
    fn what_is_yarns_goes_and_what_is_the_jobs_stays() {
        let around = Surroundings {
            defaults: BTreeMap::from([("spark.a".to_owned(), "1".to_owned())]),
            fixed: vec![("spark.master".into(), "spark://m:7077".into())],
        };
        let told = |text: &str| {
            let all = Arguments::of(&words(text), &Storage::new("/r".into()), &around);
            all.words.join(" ")
        };
        assert_eq!(
            told(
                "--master yarn --deploy-mode=cluster --executor-memory 18G -v --conf spark.b=s3://x/y --py-files s3://b/m.zip,n.py s3://b/a.py s3://b/out --conf z"
            ),
            "--conf spark.a=1 -v --conf spark.b=s3://x/y --py-files /r/b/m.zip,n.py --conf spark.master=spark://m:7077 /r/b/a.py s3://b/out --conf z"
        );
        assert_eq!(
            told("--archives s3://b/ü.zip#env,c.zip#x a.py"),
            "--conf spark.a=1 --archives file:///r/b/%C3%BC.zip#env,c.zip#x --conf spark.master=spark://m:7077 a.py"
        );
        assert_eq!(
            told("--properties-file s3://b/p.conf a.py"),
            "--properties-file /r/b/p.conf --conf spark.master=spark://m:7077 a.py"
        );
    }

    #[test]
    fn what_is_not_honoured_is_told() {
        let around = Surroundings {
            defaults: BTreeMap::new(),
            fixed: vec![
                ("spark.shuffle.service.enabled".into(), "false".into()),
                ("spark.executor.memory".into(), "900m".into()),
            ],
        };
        let told = |text: &str| Arguments::of(&words(text), &Storage::new("/r".into()), &around).left_out;
        assert_eq!(
            told(
                "--master yarn --deploy-mode client --name x --conf spark.yarn.maxAppAttempts=1 --executor-memory 2g a.py --queue y"
            ),
            [""; 0]
        );
        assert_eq!(
            told(
                "--master local[4] --conf spark.submit.deployMode=cluster --queue=night --supervise --keytab k -v \
                 --conf spark.shuffle.service.enabled=true --conf spark.executor.memory=2g -c spark.yarn.dist.files=f a.py"
            ),
            [
                "--master local[4]",
                "deploy mode cluster → a driver on one of the nodes, in Spark's client mode",
                "--queue night",
                "--supervise",
                "--keytab k",
                "spark.shuffle.service.enabled=true → false",
                "spark.yarn.dist.files=f, which is YARN's",
            ]
        );
    }

    #[test]
    fn what_the_machine_has_not_is_cut_and_told() {
        let room = Room::of(2, 12_000, 4).unwrap();
        assert_eq!((room.executor_cores, room.executor_mb), (1, 1000));
        let (granted, cuts) = room.granted(&submission(
            "--executor-memory 18G --executor-cores 4 --num-executors 9 --driver-memory 2g a.py",
        ));
        assert_eq!((granted.executor_cores, granted.executor_mb), (1, 1000));
        assert_eq!(
            cuts,
            [
                "executor cores 4 → 1",
                "executor memory 18432 MB → 1000 MB",
                "driver memory 2048 MB → 1000 MB",
                "executors 9 → one a node"
            ]
        );
        let fits = submission(
            "--executor-memory 600m --conf spark.dynamicAllocation.enabled=false --conf spark.task.cpus=2 a.py",
        );
        let (granted, cuts) = room.granted(&fits);
        assert_eq!((granted.executor_cores, granted.executor_mb, cuts.len()), (2, 600, 0));
        let error = Room::of(2, 12_000, 30).unwrap_err().to_string();
        assert!(error.contains("30 nodes need about 30208 MB"), "{error}");
    }
}
