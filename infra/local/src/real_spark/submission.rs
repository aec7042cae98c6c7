//! What `spark-submit` is given here, made of what the step's was given for YARN.
//!
//! Separate because it is words only. What belongs to YARN, or to a machine of its own for each executor, is left out or
//! cut, and each cut is told; all else stays as it is.
//!
//! Options: <https://github.com/apache/spark/blob/v3.5.6/launcher/src/main/java/org/apache/spark/launcher/SparkSubmitOptionParser.java>

use std::collections::BTreeMap;

use account::spark::Submission;

use super::storage::Storage;

/// Options that name files, which `spark-submit` itself fetches.
const FILES: [&str; 5] = ["--archives", "--files", "--jars", "--properties-file", "--py-files"];

/// Options of which the words below take the place.
const REPLACED: [&str; 13] = [
    "--deploy-mode",
    "--driver-cores",
    "--driver-memory",
    "--executor-cores",
    "--executor-memory",
    "--keytab",
    "--master",
    "--num-executors",
    "--principal",
    "--proxy-user",
    "--queue",
    "--supervise",
    "--total-executor-cores",
];

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
    /// A share of the machine for each of so many nodes, the driver and the nodes' own processes beside it.
    pub(super) fn of(cores: u32, available_mb: u64, nodes: u32) -> Self {
        let share = available_mb / u64::from(nodes + 2) / 2;
        Self {
            executor_cores: (cores / nodes.max(1)).max(1),
            executor_mb: share.max(HEAP_MB_MIN),
            driver_mb: share.max(HEAP_MB_MIN),
        }
    }

    /// What of it a submission asks for, and what was cut, in words.
    pub(super) fn granted(self, asked: &Submission) -> (Self, Vec<String>) {
        let mut cuts = Vec::new();
        let number = |key: &str| asked.conf.get(key).and_then(|text| text.trim().parse::<u32>().ok());
        let task_cpus = number("spark.task.cpus").unwrap_or(1);
        let granted = Self {
            executor_cores: asked.executor_cores.min(self.executor_cores).max(task_cpus),
            executor_mb: asked.executor_memory_mb.clamp(HEAP_MB_MIN, self.executor_mb),
            driver_mb: self.driver_mb.min(1024),
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

/// The arguments of `spark-submit`, without its name.
pub(super) fn arguments(words: &[String], storage: &Storage, around: &Surroundings) -> Vec<String> {
    let (mut options, mut names_file) = (Vec::new(), false);
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
        if SWITCHES.contains(&option) {
            options.extend((!REPLACED.contains(&option)).then(|| word.clone()));
            continue;
        }
        let Some(value) = inline.or_else(|| rest.next().cloned()) else {
            break;
        };
        names_file |= option == "--properties-file";
        if FILES.contains(&option) {
            options.extend([option.to_owned(), local(&value, storage)]);
        } else if !REPLACED.contains(&option) {
            options.extend([option.to_owned(), value]);
        }
    }
    let mut all = Vec::new();
    let conf = |(key, value): (&String, &String)| ["--conf".to_owned(), format!("{key}={value}")];
    // A file that the step names takes the place of the cluster's spark-defaults.
    if !names_file {
        all.extend(around.defaults.iter().flat_map(conf));
    }
    all.extend(options);
    // Of two that name the same property the later one wins.
    all.extend(around.fixed.iter().map(|(key, value)| (key, value)).flat_map(conf));
    all.extend(application.map(|file| local(file, storage)));
    all.extend(rest.cloned());
    all
}

/// A list of files, those in S3 as those of the buckets' folders.
fn local(list: &str, storage: &Storage) -> String {
    let files = list.split(',').map(|file| match storage.path(file) {
        Some(path) => path.display().to_string(),
        None => file.to_owned(),
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
        let told = |text: &str| arguments(&words(text), &Storage::new("/r".into()), &around).join(" ");
        assert_eq!(
            told(
                "--master yarn --deploy-mode=cluster --executor-memory 18G -v --conf spark.b=s3://x/y --py-files s3://b/m.zip,n.py s3://b/a.py s3://b/out --conf z"
            ),
            "--conf spark.a=1 -v --conf spark.b=s3://x/y --py-files /r/b/m.zip,n.py --conf spark.master=spark://m:7077 /r/b/a.py s3://b/out --conf z"
        );
        assert_eq!(
            told("--properties-file s3://b/p.conf a.py"),
            "--properties-file /r/b/p.conf --conf spark.master=spark://m:7077 a.py"
        );
    }

    #[test]
    fn what_the_machine_has_not_is_cut_and_told() {
        let room = Room::of(2, 12_000, 4);
        assert_eq!((room.executor_cores, room.executor_mb), (1, 1000));
        let (granted, cuts) = room.granted(&submission(
            "--executor-memory 18G --executor-cores 4 --num-executors 9 a.py",
        ));
        assert_eq!((granted.executor_cores, granted.executor_mb), (1, 1000));
        assert_eq!(
            cuts,
            [
                "executor cores 4 → 1",
                "executor memory 18432 MB → 1000 MB",
                "executors 9 → one a node"
            ]
        );
        let fits = submission(
            "--executor-memory 600m --conf spark.dynamicAllocation.enabled=false --conf spark.task.cpus=2 a.py",
        );
        let (granted, cuts) = room.granted(&fits);
        assert_eq!((granted.executor_cores, granted.executor_mb, cuts.len()), (2, 600, 0));
    }
}
