//! One run, simulated: the state, and the loop that plays it.
//!
//! Separate from the rules that act on the state: `schedule` for jobs, stages and tasks, `loss` for what goes away. All
//! memory is kept from run to run.

use std::collections::VecDeque;

use fastrand::Rng;
use rules::replacement::PATIENCE;

use crate::chance::number;
use crate::course::{Ending, Hit, Outcome, Surroundings};
use crate::facts::Facts;
use crate::plan::Plan;
use crate::queue::{Event, Queue};
use crate::stage::Stage;

/// Task attempts for each task of the plan, and a thousand besides, beyond which a run is given up: it goes round in circles.
const ATTEMPTS_PER_TASK_MAX: usize = 50;

/// How a running task will end, as things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Well.
    Success,
    /// It tries to read this stage's output from this executor, which is gone.
    MissesInput { parent: u32, holder: u32 },
}

/// A core of an executor, and the task on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) executor: u32,
    /// The queue's number of the task's end; 0 without a task.
    pub(crate) number: u32,
    pub(crate) stage: u32,
    pub(crate) partition: u32,
    pub(crate) attempt: u16,
    pub(crate) started_ms: u32,
    pub(crate) fetches_until_ms: u32,
    /// When its last task ended.
    pub(crate) freed_ms: u32,
    pub(crate) fate: Fate,
}

/// Where an executor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not come yet.
    Absent,
    /// It is there.
    Live,
    /// It is gone.
    Gone,
}

/// An executor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Executor {
    pub(crate) node: u32,
    /// Its first slot, and how many.
    pub(crate) slots: (u32, u32),
    pub(crate) standing: Standing,
    pub(crate) came_ms: u32,
    pub(crate) running: u32,
    /// Spark has told it to leave.
    pub(crate) decommissioned: bool,
    /// Dynamic allocation lets it go as soon as it runs nothing.
    pub(crate) released: bool,
    /// It is gone, and the driver has forgotten what it held.
    pub(crate) forgotten: bool,
    /// Its tasks do not end any more.
    pub(crate) silent: bool,
    /// It is gone while its output is thought to be there.
    pub(crate) unreachable: bool,
    /// Who came in its place.
    pub(crate) successor: Option<u32>,
}

/// A node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Node {
    /// It was told that it will go.
    pub(crate) told: bool,
    /// It is gone.
    pub(crate) gone: bool,
    /// What came in its place, and when.
    pub(crate) successor: Option<(u32, u32)>,
}

/// Plays a plan again and again.
#[derive(Debug)]
pub struct Simulation<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) facts: &'p Facts,
    pub(crate) around: &'p Surroundings,
    pub(crate) rng: Rng,
    pub(crate) now_ms: u32,
    pub(crate) queue: Queue,
    pub(crate) stages: Vec<Stage>,
    /// Stages with a running attempt, ascending.
    pub(crate) active: Vec<u32>,
    pub(crate) executors: Vec<Executor>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) free: VecDeque<u32>,
    /// By slot, a bit a stage: whether it has run a task of it.
    warm: Vec<u64>,
    /// Words of that for a slot.
    warm_words: usize,
    /// The run's seed, if its tasks take other times than in the log; none if they take the same.
    chance: Option<u64>,
    /// The pace of its machines, as a multiple of task times.
    pub(crate) pace: f64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) job_open: Vec<bool>,
    pub(crate) job_ended: Vec<bool>,
    /// Jobs that have ended, of those that do in the log's order, without a gap.
    pub(crate) jobs_ended: usize,
    pub(crate) resubmit_waits: bool,
    /// Nodes that went: when, and when what replaces each is ready.
    pub(crate) lost: Vec<(u32, Option<u32>)>,
    /// Each hit's nodes, once they are chosen.
    pub(crate) victims: Vec<Option<Vec<u32>>>,
    pub(crate) task_ms: u64,
    pub(crate) outcome: Outcome,
    pub(crate) over: bool,
    /// How long the run takes in peace, ms: what a new driver needs.
    calm_ms: u32,
}

impl<'p> Simulation<'p> {
    /// A simulation of a plan; `facts` are the plan's.
    pub fn new(plan: &'p Plan, facts: &'p Facts, around: &'p Surroundings) -> Self {
        let mut simulation = Self {
            plan,
            facts,
            around,
            rng: Rng::with_seed(0),
            now_ms: 0,
            queue: Queue::default(),
            stages: Vec::new(),
            active: Vec::new(),
            executors: Vec::new(),
            slots: Vec::new(),
            free: VecDeque::new(),
            warm: Vec::new(),
            warm_words: plan.stages.len().div_ceil(64),
            chance: None,
            pace: 1.0,
            nodes: Vec::new(),
            job_open: Vec::new(),
            job_ended: Vec::new(),
            jobs_ended: 0,
            resubmit_waits: false,
            lost: Vec::new(),
            victims: Vec::new(),
            task_ms: 0,
            outcome: Outcome::begun(),
            over: false,
            calm_ms: 0,
        };
        simulation.calm_ms = simulation.run_as_logged().run_ms;
        simulation
    }

    /// Plays the plan once without any hit, each task taking the time that it took in the log.
    pub fn run_as_logged(&mut self) -> Outcome {
        (self.chance, self.pace) = (None, 1.0);
        self.play(0, &[])
    }

    /// How long the run takes without any hit, ms.
    pub fn calm_ms(&self) -> u32 {
        self.calm_ms
    }

    /// Plays the plan once, with what differs from run to run. The same seed gives the same outcome.
    pub fn run(&mut self, seed: u64, hits: &[Hit]) -> Outcome {
        self.chance = Some(seed);
        self.pace = self.plan.pace.draw(seed);
        self.play(seed, hits)
    }

    fn play(&mut self, seed: u64, hits: &[Hit]) -> Outcome {
        self.reset(seed, hits);
        self.release_anchored();
        while !self.over {
            let Some((at_ms, number, event)) = self.queue.pop() else {
                self.end(Ending::NoExecutors);
                break;
            };
            self.now_ms = at_ms;
            if at_ms == u32::MAX {
                // Beyond all time: only a damaged log's task can last so long.
                self.end(Ending::NoExecutors);
                break;
            }
            self.happen(number, event, hits);
            if self.outcome.tasks as usize > 1_000 + ATTEMPTS_PER_TASK_MAX * self.facts.tasks {
                self.end(Ending::StageGivenUp(
                    self.active.last().map_or(0, |last| *last as usize),
                ));
            }
        }
        for executor in &self.executors {
            if executor.standing == Standing::Live {
                let lived_ms = u64::from(self.now_ms.saturating_sub(executor.came_ms));
                self.outcome.slot_ms += lived_ms * u64::from(executor.slots.1);
            }
        }
        let ended_ms = self.outcome.run_ms;
        let is_missing = |(lost_ms, ready_ms): &(u32, Option<u32>)| {
            let was_due = i64::from(ended_ms) - i64::from(*lost_ms) >= PATIENCE.num_milliseconds();
            was_due && ready_ms.is_none_or(|ready_ms| ready_ms > ended_ms)
        };
        self.outcome.not_replaced = self.lost.iter().any(is_missing);
        self.outcome
    }

    fn reset(&mut self, seed: u64, hits: &[Hit]) {
        self.rng = Rng::with_seed(seed);
        self.now_ms = 0;
        self.queue.clear();
        self.stages.resize_with(self.plan.stages.len(), Stage::default);
        for (stage, plan) in self.stages.iter_mut().zip(&self.plan.stages) {
            stage.reset(plan.durations_ms.len());
        }
        self.active.clear();
        self.executors.clear();
        self.slots.clear();
        self.free.clear();
        self.warm.clear();
        for executor in &self.plan.executors {
            self.add_executor(executor.node, executor.slots);
        }
        self.nodes.clear();
        self.nodes.resize(self.plan.nodes.len(), Node::default());
        for open in [&mut self.job_open, &mut self.job_ended] {
            open.clear();
            open.resize(self.plan.jobs.len(), false);
        }
        self.jobs_ended = 0;
        self.resubmit_waits = false;
        self.lost.clear();
        self.victims.clear();
        self.victims.resize(hits.len(), None);
        self.task_ms = 0;
        self.outcome = Outcome::begun();
        self.over = false;
        for (number, hit) in (0..).zip(hits) {
            if self.around.notice_ms > 0 {
                let told_at_ms = hit.at_ms.saturating_sub(self.around.notice_ms);
                self.queue.push(told_at_ms, Event::Notice(number));
            }
            self.queue.push(hit.at_ms, Event::Hit(number));
        }
    }

    /// An executor that has yet to come.
    pub(crate) fn add_executor(&mut self, node: u32, slots: u32) -> u32 {
        let id = self.executors.len() as u32;
        let first = self.slots.len() as u32;
        self.executors.push(Executor {
            node,
            slots: (first, slots),
            standing: Standing::Absent,
            came_ms: 0,
            running: 0,
            decommissioned: false,
            released: false,
            forgotten: false,
            silent: false,
            unreachable: false,
            successor: None,
        });
        let idle = Slot {
            executor: id,
            number: 0,
            stage: 0,
            partition: 0,
            attempt: 0,
            started_ms: 0,
            fetches_until_ms: 0,
            freed_ms: u32::MAX,
            fate: Fate::Success,
        };
        self.slots.extend(std::iter::repeat_n(idle, slots as usize));
        self.warm.resize(self.slots.len() * self.warm_words, 0);
        id
    }

    /// How long a task takes that ends well, ms.
    #[inline]
    pub(crate) fn task_ms(&mut self, slot: u32, id: u32, partition: u32, is_copy: bool) -> u32 {
        let plan = &self.plan.stages[id as usize];
        let warm = &mut self.warm[slot as usize * self.warm_words + id as usize / 64];
        let bit = 1 << (id % 64);
        let place = &self.slots[slot as usize];
        let longer_ms = if *warm & bit != 0 {
            0
        } else if place.freed_ms == u32::MAX && place.executor as usize >= self.plan.executors.len() {
            plan.fresh_ms
        } else {
            plan.first_ms
        };
        *warm |= bit;
        let Some(seed) = self.chance else {
            let logged_ms = i64::from(plan.durations_ms[partition as usize]) + i64::from(longer_ms);
            let counted_ms = if plan.firsts[partition as usize] {
                plan.first_ms
            } else {
                0
            };
            return u32::try_from((logged_ms - i64::from(counted_ms)).max(1)).unwrap_or(u32::MAX);
        };
        let attempt = u32::from(self.stages[id as usize].attempts) * 2 + u32::from(is_copy);
        let number = number(seed, id, partition, attempt);
        let warm_ms = self.facts.chances[id as usize].draw(plan.warm_ms(partition as usize), number);
        (f64::from(warm_ms.saturating_add(longer_ms)) * self.pace) as u32
    }

    fn happen(&mut self, number: u32, event: Event, hits: &[Hit]) {
        match event {
            Event::TaskEnds(slot) => self.task_ends(slot, number),
            Event::Comes(executor) => self.planned_comes(executor),
            Event::Replaces(executor) => self.comes(executor),
            Event::Released(executor) => self.release(executor),
            Event::Silent(executor) => self.fall_silent(executor),
            Event::Left(executor) => self.leave_as_logged(executor),
            Event::Lost(executor) => self.lose_as_logged(executor, false),
            Event::LostWithNode(executor) => self.lose_as_logged(executor, true),
            Event::JobStarts(job) => self.job_starts(job),
            Event::JobEnds(job) => self.job_ends(job),
            Event::StageBegins(stage) => self.stage_begins(stage),
            Event::StageEnds(stage) => self.stage_ends(stage),
            Event::Speculate(stage) => self.speculate(stage),
            Event::Resubmit => self.resubmit_failed(),
            Event::Notice(hit) => self.notice(hit, hits),
            Event::Hit(hit) => self.hit(hit, hits),
            Event::Leave(executor) => self.leave(executor),
            Event::Ends => self.end(Ending::Finished),
        }
    }

    /// The run is over.
    pub(crate) fn end(&mut self, ending: Ending) {
        self.over = true;
        self.outcome.ending = ending;
        self.outcome.run_ms = self.now_ms;
    }

    /// The driver is gone: the application begins anew where YARN may start it again, and is lost elsewhere.
    pub(crate) fn lose_driver(&mut self) {
        self.outcome.driver_lost = true;
        // What runs elsewhere goes with it.
        let running = self.slots.iter().filter(|slot| slot.number != 0);
        self.task_ms += running
            .map(|slot| u64::from(self.now_ms - slot.started_ms))
            .sum::<u64>();
        if !self.plan.driver_in_cluster || self.plan.driver_attempts_max < 2 {
            self.outcome.lost_task_ms = self.task_ms;
            self.end(Ending::DriverLost);
            return;
        }
        self.end(Ending::Finished);
        self.outcome.lost_task_ms = self.task_ms;
        let calm_ms = (f64::from(self.calm_ms) * self.pace) as u32;
        let again_ms = self.around.driver_again_ms.saturating_add(calm_ms);
        self.outcome.run_ms = self.now_ms.saturating_add(again_ms);
        let slots: u64 = self
            .plan
            .executors
            .iter()
            .map(|executor| u64::from(executor.slots))
            .sum();
        self.outcome.slot_ms += slots * u64::from(again_ms);
    }
}

impl Outcome {
    fn begun() -> Self {
        Self {
            ending: Ending::NoExecutors,
            run_ms: 0,
            lost_task_ms: 0,
            slot_ms: 0,
            stages_failed: 0,
            stages_again: 0,
            tasks: 0,
            nodes_lost: 0,
            driver_lost: false,
            held: false,
            not_replaced: false,
            stage_hit: None,
        }
    }
}
