//! What the steps run: how much work, where the driver is, what it writes, and what is wrong with it.

use account::spark::{Failure, Placement, SideJob, StagePlan, Workload, Writes};
use local::scenario::DATA_BUCKET;
use serde_json::{Value, json};

use super::Chance;
use super::shape::Shape;

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The script's URI.
    pub(super) script: String,
    pub(super) workload: Workload,
    /// As `AddJobFlowSteps` takes it.
    pub(super) step: Value,
    output: String,
}

impl Job {
    pub(super) fn draw(chance: &mut Chance, number: usize, shape: &Shape, kinds: &mut Vec<&'static str>) -> Self {
        // Now and then the same program as the step before, under the same arguments or others.
        let script = format!(
            "s3://{DATA_BUCKET}/script-{}.py",
            if chance.percent(25) { 0 } else { number }
        );
        let output = format!(
            "s3://{DATA_BUCKET}/out-{}/",
            if chance.percent(10) { 0 } else { number }
        );
        let mut workload = workload(chance, kinds);
        let mut words = vec!["spark-submit".to_owned()];
        let mut say = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        if chance.percent(70) {
            say(&["--deploy-mode", "cluster"]);
        } else {
            say(&["--deploy-mode", "client"]);
            kinds.push("client mode");
        }
        if chance.percent(15) {
            say(&["--executor-memory", "2G", "--executor-cores", "4"]);
            say(&["--conf", "spark.dynamicAllocation.maxExecutors=2"]);
            kinds.push("few executors");
        } else {
            say(&["--executor-memory", "18G", "--executor-cores", "4"]);
        }
        if chance.percent(35) {
            say(&["--conf", "spark.yarn.maxAppAttempts=1"]);
        }
        if chance.percent(10) {
            let word = chance.one(&["false", "False", "FALSE"]);
            say(&["--conf", &format!("spark.yarn.submit.waitAppCompletion={word}")]);
            kinds.push("does not wait");
        }
        match (shape.logs_in_s3, chance.between(0, 9)) {
            (true, 0) => say(&["--conf", "spark.eventLog.enabled=False"]),
            (false, 0..4) => say(&[
                "--conf",
                &format!("spark.eventLog.dir=s3://{DATA_BUCKET}/spark-events/own"),
            ]),
            _ => {}
        }
        let last = writes(chance, &output, &mut workload, &mut say, kinds);
        say(&[&script, &last]);
        let args = wrapped(chance, words, kinds);
        let name = chance.one(&["Spark application", "Spark application", "nightly", "etl 2026-11-20"]);
        let step = json!({"Name": name, "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": args}});
        Self {
            script,
            workload,
            step,
            output,
        }
    }
}

impl Job {
    /// Perhaps a place of its own for the step's logs.
    pub(super) fn draw_log_uri(&mut self, chance: &mut Chance, kinds: &mut Vec<&'static str>) {
        let place = match chance.between(0, 9) {
            0 => format!("s3://{DATA_BUCKET}/step-logs"),
            1 => "s3://logs-of-nobody/steps/".to_owned(),
            _ => return,
        };
        self.step["StepMonitoringConfiguration"] = json!({"S3MonitoringConfiguration": {"LogUri": place}});
        kinds.push("step log of its own");
    }
}

/// Where the job writes, and what its last argument is.
fn writes(
    chance: &mut Chance,
    output: &str,
    workload: &mut Workload,
    say: &mut impl FnMut(&[&str]),
    kinds: &mut Vec<&'static str>,
) -> String {
    let input = || format!("s3://{DATA_BUCKET}/input/");
    match chance.between(0, 9) {
        0..4 => output.to_owned(),
        4 => {
            workload.writes = Writes::Unmarked;
            kinds.push("no marker");
            output.to_owned()
        }
        5 => {
            workload.writes = Writes::Nowhere;
            kinds.push("last argument is an input");
            input()
        }
        6 | 7 => {
            say(&["--conf", &format!("spark.spotDrill.output={output}")]);
            workload.writes = Writes::Folder(output.to_owned());
            kinds.push("output named");
            input()
        }
        _ => {
            say(&["--conf", &format!("spark.spotDrill.output={output}")]);
            workload.writes = if chance.percent(50) {
                Writes::Unmarked
            } else {
                Writes::Nowhere
            };
            kinds.push("output named, no marker");
            output.to_owned()
        }
    }
}

/// Perhaps in a shell, which may hide how `spark-submit` ended.
fn wrapped(chance: &mut Chance, words: Vec<String>, kinds: &mut Vec<&'static str>) -> Vec<String> {
    let line = words.join(" ");
    let shell = match chance.between(0, 19) {
        0 | 1 => format!("{line} | tee log"),
        2 => format!("{line} ; echo done"),
        3 => format!("set -o pipefail ; {line} | tee log"),
        _ => return words,
    };
    kinds.push("shell");
    vec!["bash".into(), "-c".into(), shell]
}

fn workload(chance: &mut Chance, kinds: &mut Vec<&'static str>) -> Workload {
    let stage = |tasks: u32, task_seconds: f64, parents: &[usize]| StagePlan {
        name: format!("stage after {parents:?}"),
        tasks,
        task_seconds,
        parents: parents.to_vec(),
    };
    let scale = chance.between(1, 3);
    let (kind, stages) = match chance.between(0, 9) {
        0 | 1 => ("short", vec![stage(16, 4.0, &[]), stage(8, 3.0, &[0])]),
        2 => (
            "wide",
            vec![
                stage(150, 5.0, &[]),
                stage(100, 6.0, &[0]),
                stage(60, 8.0, &[0, 1]),
                stage(40, 9.0, &[2]),
            ],
        ),
        3 => ("one stage", vec![stage(40 * scale, 50.0, &[])]),
        _ => (
            "workshop-like",
            vec![
                stage(30 * scale, 45.0, &[]),
                stage(40 * scale, 45.0, &[0]),
                stage(20 * scale, 40.0, &[1]),
            ],
        ),
    };
    kinds.push(kind);
    let last = stages.len() - 1;
    let message = "invalid literal for int() with base 10: 'n/a'".to_owned();
    let failure = match chance.between(0, 9) {
        0 => Some(Failure::Task {
            stage: chance.between(0, last as u32) as usize,
            partition: 3,
            message,
        }),
        1 => Some(Failure::Driver { message }),
        _ => None,
    };
    kinds.extend(failure.as_ref().map(|_| "fails by itself"));
    Workload {
        stages,
        rows: 1_000,
        driver_start_seconds: 10,
        failure,
        driver_on: chance.one(&[Placement::Core, Placement::Task]),
        writes: Writes::LastArgument,
        side_job: side_job(chance, kinds),
    }
}

/// Jobs that Spark cancels by itself are no matter; one that fails inside an application that goes on is.
fn side_job(chance: &mut Chance, kinds: &mut Vec<&'static str>) -> Option<SideJob> {
    let words = match chance.between(0, 19) {
        0 => "Job 1 cancelled part of cancelled job group 4f1c7a52-6a1e-4a0c-9d60-0f1f0b4b2b0e",
        1 => "Job 1 cancelled because Stage 4 was cancelled",
        2 => "Job 1 cancelled as part of cancellation of all jobs",
        3 => {
            kinds.push("a job inside fails");
            let words = "Job aborted due to stage failure: Task 0 in stage 9.0 failed 4 times";
            return Some(SideJob::Failed(words.into()));
        }
        _ => return None,
    };
    kinds.push("a job inside is cancelled");
    Some(SideJob::Cancelled(words.into()))
}

/// What lies in S3 before; and whether it is a great many logs.
pub(super) fn objects(chance: &mut Chance, jobs: &[Job]) -> (Vec<String>, bool) {
    let mut objects = vec![format!("s3://{DATA_BUCKET}/input/part-0.json")];
    if chance.percent(35) {
        objects.extend(jobs.iter().map(|job| format!("{}_SUCCESS", job.output)));
    }
    let log = |k: u64| {
        format!(
            "s3://{DATA_BUCKET}/spark-events/application_{}_0001_1",
            1_600_000_000_000 + k
        )
    };
    let many = chance.0.u32(..120) == 0;
    let foreign = if many { 20_001 } else { chance.one(&[0, 0, 3]) };
    objects.extend((0..foreign).map(log));
    (objects, many)
}
