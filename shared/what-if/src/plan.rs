//! A run as it can be played again: what was to be done, in which order, and on which executors.
//!
//! Separate because it is all that a simulation knows of the log. Times are milliseconds; a moment is counted from the
//! application's start.

use spark_rules::Rules;

use crate::pace::Pace;

/// A moment that comes a while after other things are done, so that it moves with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// So many jobs must have ended, in the order in which the log has them end.
    pub jobs_ended: usize,
    /// The time from the last of these, or from the application's start, ms.
    pub then_ms: u32,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Spark's id.
    pub id: i64,
    /// When it is submitted.
    pub starts: Anchor,
    /// Its place in the order in which the jobs ended.
    pub rank: usize,
    /// The stages it is there for; those before them run when their output is missing.
    pub targets: Vec<usize>,
    /// From the end of its last stage to its own, ms.
    pub tail_ms: u32,
}

/// One stage, or the several under whose ids the log knows the same shuffle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Spark's id of the one that ran first.
    pub id: i64,
    /// Its call site.
    pub name: String,
    /// Each partition's task time, ms.
    pub durations_ms: Vec<u32>,
    /// By partition: whether that was the first task of the stage on its core.
    pub firsts: Vec<bool>,
    /// How much longer such tasks take, ms.
    pub first_ms: u32,
    /// How much longer the first task of an executor takes that came in another's place, ms.
    pub fresh_ms: u32,
    /// The stages whose shuffle output it reads: earlier in the plan.
    pub parents: Vec<usize>,
    /// Whether others read its output.
    pub is_map: bool,
    /// How long its tasks read shuffle output of other executors, ms: the median.
    pub reads_ms: u32,
    /// From when it could be submitted to its first task, ms: the driver's own time.
    pub lead_ms: u32,
    /// From its last task's end to its own, ms.
    pub tail_ms: u32,
    /// From one task's end on a core to the next one's launch there, ms. Spark launches the next one as soon as it hears of
    /// the end, and stamps the end once it has the result: often it is less than none.
    pub gap_ms: i32,
}

impl Stage {
    /// How long a partition's task takes on a core that has run another of the stage, ms.
    #[inline]
    pub(crate) fn warm_ms(&self, partition: usize) -> u32 {
        let longer_ms = if self.firsts[partition] { self.first_ms } else { 0 };
        self.durations_ms[partition].saturating_sub(longer_ms).max(1)
    }
}

/// Executors of one wave come within this time of one another, ms.
const TOGETHER_MS: u32 = 30_000;

/// Why an executor's time ends in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The driver let it go, since it had nothing to do.
    Released,
    /// It was told to leave, and left.
    Left,
    /// It was lost, and its node may have stayed.
    Lost,
    /// It was lost with its node.
    LostWithNode,
}

/// One executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executor {
    /// Spark's number.
    pub id: u32,
    /// Its node, an index into [`Plan::nodes`].
    pub node: u32,
    /// Tasks that it runs at once.
    pub slots: u32,
    /// When it registers.
    pub comes: Anchor,
    /// When it ends before the application does, and how.
    pub ends: Option<(Anchor, End)>,
    /// From when no task of it ended any more, if it was taken: what ran there then stood still until it was.
    pub silent_from: Option<Anchor>,
}

impl Executor {
    /// Whether it can have come for another, which was taken against the driver's will.
    fn came_for(&self, gone: &Self) -> bool {
        let moment = |anchor: Anchor| (anchor.jobs_ended, anchor.then_ms);
        match gone.ends {
            Some((at, End::Lost | End::LostWithNode)) => moment(self.comes) > moment(at),
            Some((_, End::Left)) => {
                let together = Anchor {
                    then_ms: gone.comes.then_ms.saturating_add(TOGETHER_MS),
                    ..gone.comes
                };
                moment(self.comes) > moment(together)
            }
            _ => false,
        }
    }
}

/// A run that can be played again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How long the log says that it took, ms.
    pub logged_ms: u32,
    /// Jobs in the order of their submission.
    pub jobs: Vec<Job>,
    /// Stages; parents come first.
    pub stages: Vec<Stage>,
    /// Executors in the log's order.
    pub executors: Vec<Executor>,
    /// The nodes' names.
    pub nodes: Vec<String>,
    /// The driver's node, if executors run there too.
    pub driver_node: Option<u32>,
    /// Whether the driver is in a container of the cluster, so that YARN starts it again elsewhere.
    pub driver_in_cluster: bool,
    /// How many lives it has there.
    pub driver_attempts_max: u32,
    /// Spark's rules, from the log's properties.
    pub rules: Rules,
    /// How the pace of the machines differs from run to run.
    pub pace: Pace,
    /// From the end of the last job to the application's, ms.
    pub tail_ms: u32,
    /// From a lost executor to the one that came for it, ms: the median of what the log shows, if it shows any.
    pub replaced_after_ms: Option<u32>,
    /// What was taken for granted, in words.
    pub assumed: Vec<String>,
}

impl Plan {
    /// Tasks of a run in which nothing is repeated.
    pub fn tasks(&self) -> usize {
        self.stages.iter().map(|stage| stage.durations_ms.len()).sum()
    }

    /// The executors that registered with the first one.
    pub(crate) fn first_executors(&self) -> impl Iterator<Item = &Executor> {
        let at_start = || self.executors.iter().filter(|executor| executor.comes.jobs_ended == 0);
        let first_ms = at_start().map(|executor| executor.comes.then_ms).min().unwrap_or(0);
        at_start().filter(move |executor| executor.comes.then_ms <= first_ms.saturating_add(TOGETHER_MS))
    }

    /// The same run with executors that are there from before the first job ends, and stay.
    #[must_use]
    pub fn staying(&self) -> Self {
        let mut plan = self.clone();
        for executor in &mut plan.executors {
            executor.ends = None;
            executor.silent_from = None;
            if executor.comes.jobs_ended > 0 {
                executor.comes = Anchor {
                    jobs_ended: 0,
                    then_ms: 0,
                };
            }
        }
        plan
    }

    /// The same run without the losses that the log itself holds.
    #[must_use]
    pub fn undisturbed(&self) -> Self {
        let mut plan = self.clone();
        for gone in &self.executors {
            // Who came for it came after it had gone, or while it was leaving; it is there all the time now.
            let came = plan.executors.iter().position(|other| other.came_for(gone));
            if let Some(came) = came {
                plan.executors.remove(came);
            }
        }
        for executor in &mut plan.executors {
            executor.ends = executor.ends.filter(|(_, end)| *end == End::Released);
            executor.silent_from = None;
        }
        plan
    }
}
