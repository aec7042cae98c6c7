//! What follows from a plan and is the same for all its runs.
//!
//! Separate so that it is worked out once, and shared by the threads.

use crate::chance::Chance;
use crate::plan::{End, Plan};
use crate::queue::Event;

/// What follows from a plan.
#[derive(Debug)]
pub struct Facts {
    /// Tasks in all.
    pub(crate) tasks: usize,
    /// By stage: those that read it.
    pub(crate) children: Vec<Vec<u32>>,
    /// By stage: the jobs that are there for it.
    pub(crate) jobs_of: Vec<Vec<u32>>,
    /// By the number of jobs that have ended: what comes so long after it, ms.
    pub(crate) anchored: Vec<Vec<(u32, Event)>>,
    /// By stage: what its tasks take another time.
    pub(crate) chances: Vec<Chance>,
    /// By node: whether the first executors registered on it.
    pub(crate) there_at_start: Vec<bool>,
}

impl Facts {
    /// Of this plan.
    pub fn of(plan: &Plan) -> Self {
        let mut facts = Self {
            tasks: plan.tasks(),
            children: vec![Vec::new(); plan.stages.len()],
            jobs_of: vec![Vec::new(); plan.stages.len()],
            anchored: vec![Vec::new(); plan.jobs.len() + 1],
            chances: plan.stages.iter().map(Chance::of).collect(),
            there_at_start: vec![false; plan.nodes.len()],
        };
        for executor in plan.first_executors() {
            facts.there_at_start[executor.node as usize] = true;
        }
        for (child, stage) in (0..).zip(&plan.stages) {
            for parent in &stage.parents {
                facts.children[*parent].push(child);
            }
        }
        for (number, executor) in (0..).zip(&plan.executors) {
            let comes = executor.comes;
            facts.anchored[comes.jobs_ended].push((comes.then_ms, Event::Comes(number)));
            if let Some((at, end)) = executor.ends {
                let event = match end {
                    End::Released => Event::Released(number),
                    End::Left => Event::Left(number),
                    End::Lost => Event::Lost(number),
                    End::LostWithNode => Event::LostWithNode(number),
                };
                facts.anchored[at.jobs_ended].push((at.then_ms, event));
            }
            if let Some(at) = executor.silent_from {
                facts.anchored[at.jobs_ended].push((at.then_ms, Event::Silent(number)));
            }
        }
        for (number, job) in (0..).zip(&plan.jobs) {
            let starts = job.starts;
            facts.anchored[starts.jobs_ended].push((starts.then_ms, Event::JobStarts(number)));
            for target in &job.targets {
                facts.jobs_of[*target].push(number);
            }
        }
        facts
    }
}
