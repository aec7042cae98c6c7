//! What an application computes: its stages, how long their tasks take, and how it fails by itself.
//!
//! Separate because scenarios choose it; everything else about an application comes from its submission.

/// Which node the application master goes to, among those that may host one.
///
/// YARN knows no fleets. Core nodes are those that joined first, which holds on EMR: a cluster runs no step before its
/// core nodes are there, and task nodes come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The node that joined first and has room.
    Core,
    /// The node that joined last and has room.
    Task,
}

/// Why an application fails although no node was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// One partition's task throws in every attempt, until the stage is aborted.
    Task {
        /// Index into [`Workload::stages`].
        stage: usize,
        /// The partition.
        partition: u32,
        /// The exception's message.
        message: String,
    },
    /// The script itself throws, after its job has ended well.
    Driver {
        /// The exception's message.
        message: String,
    },
}

/// A job that an application starts beside its one job, and how it ends; it has no stages to speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SideJob {
    /// The application cancels it, as Spark does to a broadcast that nobody needs any more; with Spark's words.
    //= https://spark.apache.org/docs/3.5.6/api/scala/org/apache/spark/SparkContext.html#cancelJobGroup(groupId:String):Unit
    Cancelled(String),
    /// It fails, and the script goes on all the same; with Spark's words.
    Failed(String),
}

/// One stage: tasks of one kind, after a shuffle.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// What Spark's UI calls it.
    pub name: String,
    /// Partitions.
    pub tasks: u32,
    /// Mean duration of a task; each task's own is drawn around it.
    pub task_seconds: f64,
    /// Stages whose shuffle output it reads: smaller indices of the same workload.
    pub parents: Vec<usize>,
}

/// Where an application writes its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Writes {
    /// To the folder in S3 that its last argument names, with a `_SUCCESS`, as a job of Hadoop's committers does.
    #[default]
    LastArgument,
    /// To the same, without the marker: a table, or `mapreduce.fileoutputcommitter.marksuccessfuljobs=false`.
    Unmarked,
    /// To this folder, with the marker, whatever the arguments are.
    Folder(String),
    /// To nothing that the simulation shows.
    Nowhere,
}

/// What an application computes.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The stages of its one job; the last one writes the result.
    pub stages: Vec<StagePlan>,
    /// Rows of the result, spread over its part files.
    pub rows: u64,
    /// From the application master's container to the job's submission.
    pub driver_start_seconds: u32,
    /// How it fails by itself, if it does.
    pub failure: Option<Failure>,
    /// Where its application master goes.
    pub driver_on: Placement,
    /// Where its result goes.
    pub writes: Writes,
    /// What else it starts.
    pub side_job: Option<SideJob>,
}

impl Workload {
    /// The workshop's word count: seven to eight minutes on 17 executors of four cores.
    pub fn workshop() -> Self {
        Self {
            stages: vec![
                stage("parquet at script.py:13", 204, 31.0, &[]),
                stage("reduceByKey at script.py:21", 340, 31.0, &[0]),
                stage("save at script.py:27", 136, 27.0, &[1]),
            ],
            rows: 41_237_912,
            driver_start_seconds: 14,
            failure: None,
            driver_on: Placement::Core,
            writes: Writes::LastArgument,
            side_job: None,
        }
    }

    /// The same work in so many times as many tasks, each so much shorter.
    pub fn split(mut self, times: u32) -> Self {
        for stage in &mut self.stages {
            stage.tasks *= times;
            stage.task_seconds /= f64::from(times);
        }
        self
    }

    /// A job that is over before an experiment's two minutes of notice are.
    pub fn short() -> Self {
        Self {
            stages: vec![
                stage("parquet at script.py:13", 16, 4.0, &[]),
                stage("save at script.py:27", 8, 3.0, &[0]),
            ],
            rows: 18_204,
            driver_start_seconds: 10,
            ..Self::workshop()
        }
    }

    /// The workshop's job, but a row of the last stage breaks the user's code, whatever happens to the nodes.
    pub fn failing() -> Self {
        let message = "invalid literal for int() with base 10: 'n/a'".to_owned();
        Self {
            failure: Some(Failure::Task {
                stage: 2,
                partition: 77,
                message,
            }),
            ..Self::workshop()
        }
    }
}

fn stage(name: &str, tasks: u32, task_seconds: f64, parents: &[usize]) -> StagePlan {
    StagePlan {
        name: name.into(),
        tasks,
        task_seconds,
        parents: parents.to_vec(),
    }
}
