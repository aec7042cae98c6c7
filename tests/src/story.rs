//! Stories that are drawn from a seed: any cluster, any jobs, anybody who interrupts, at any moment.
//!
//! Separate from the model that says what is right in them: a story knows nothing of verdicts.

pub(crate) mod check;
mod deeds;
mod job;
mod shape;

use std::collections::BTreeMap;

use account::emr::Whims;
use local::fault::Faults;
use local::plot::{Deed, Moment, Plot, What};
use local::run::{Run, Stage};
use local::scenario::DATA_BUCKET;

pub use check::{RESULTS, small_cluster};
use job::Job;
use shape::Shape;

/// Chance, with the draws that stories need.
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    /// Chance of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// So many times of a hundred.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.u32(..100) < percent
    }

    /// From one number to another, both included.
    pub(crate) fn between(&mut self, from: u32, to: u32) -> u32 {
        self.0.u32(from..=to)
    }

    /// One of several.
    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())]
    }
}

/// A story, and what it is about.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its seed.
    pub seed: u64,
    /// What is told.
    pub plot: Plot,
    /// Its kinds, for counting.
    pub kinds: Vec<&'static str>,
}

impl Story {
    /// The story of a seed.
    pub fn draw(seed: u64) -> Self {
        // Not the world's own seed: chance inside the world has nothing to do with what is told.
        let mut chance = Chance::new(seed ^ 0x5eed_0f5e_ed5e_ed00);
        let mut kinds = Vec::new();
        let shape = Shape::draw(&mut chance, &mut kinds);
        let count = chance.one(&[1, 1, 1, 1, 1, 2, 2, 2, 3]);
        let mut jobs: Vec<Job> = (0..count)
            .map(|number| Job::draw(&mut chance, number, &shape, &mut kinds))
            .collect();
        // A chance of its own, so that what was drawn before stays what it was.
        let mut of_steps = Chance::new(seed ^ 0x5eed_0f57_e950_0000);
        let applications_hidden = of_steps.percent(50);
        kinds.extend((!applications_hidden).then_some("EMR names applications"));
        for job in &mut jobs {
            job.draw_log_uri(&mut of_steps, &mut kinds);
        }
        let concurrent = count > 1 && chance.percent(50);
        kinds.extend((count > 1).then_some(if concurrent { "steps at once" } else { "steps in turn" }));
        let mut parameters = deeds::parameters(&mut chance, &mut kinds);
        parameters.insert("ResultsBucket".into(), DATA_BUCKET.into());
        for readable in ["EventLogBucketArns", "LogBucketArns"] {
            parameters.insert(readable.into(), format!("arn:aws:s3:::{DATA_BUCKET}"));
        }
        let added = if shape.transient {
            Vec::new()
        } else {
            let hurried = kinds.contains(&"does not wait");
            added(&mut chance, &jobs, concurrent, hurried)
        };
        let begins = added.first().map_or(0, |deed| deed.seconds);
        let mut deeds = deeds::draw(&mut chance, &shape, count, begins, &parameters, &mut kinds);
        if kinds.contains(&"opted out") {
            // The steps that begin later are told of too.
            parameters.insert("ReportOn".into(), "all".into());
        }
        deeds.extend(added);
        let cluster = shape.request(&jobs, concurrent);
        let page = chance.percent(40).then(|| chance.between(1, 5) as usize);
        kinds.extend(page.map(|_| "small pages"));
        let (objects, many) = job::objects(&mut chance, &jobs);
        kinds.extend(many.then_some("many logs"));
        let experiment_fails = chance.percent(8);
        kinds.extend(experiment_fails.then_some("experiment fails"));
        let slower_by = chrono::TimeDelta::seconds(if chance.percent(30) {
            i64::from(chance.between(60, 300))
        } else {
            0
        });
        let steps_interrupted = chance.percent(30);
        let workloads = jobs
            .iter()
            .map(|job| (job.script.clone(), job.workload.clone()))
            .collect();
        let plot = Plot {
            stage: Stage {
                parameters,
                faults: faults(&mut chance, &mut kinds),
                seed,
            },
            cluster,
            beside: Vec::new(),
            workloads,
            objects,
            // A thousand pages of logs show nothing more.
            page: page.filter(|_| !many),
            whims: Whims {
                slower_by,
                steps_interrupted,
                applications_hidden,
                ..Whims::default()
            },
            experiment_fails,
            deeds,
        };
        Self { seed, plot, kinds }
    }

    /// Tells it. The error says why it has no end.
    pub fn tell(&self) -> Result<Run, String> {
        self.plot.tell(|_| {}).map_err(|error| format!("{error:#}"))
    }

    /// A job whose nodes never come back, or are not asked for any more, waits for ever, and nobody ends it.
    pub fn may_last_for_ever(&self) -> bool {
        let kinds = ["no capacity", "target changed"];
        kinds.iter().any(|kind| self.kinds.contains(kind))
    }

    /// Everything that is wrong with how it was told.
    pub fn wrongs(&self, run: &Run) -> Vec<String> {
        crate::wrongs(run, || self.plot.calm().tell(|_| {}).ok())
    }
}

/// The steps of a cluster that is there before them.
fn added(chance: &mut Chance, jobs: &[Job], concurrent: bool, hurried: bool) -> Vec<Deed> {
    let first = if hurried {
        chance.between(120, 200)
    } else if chance.percent(50) {
        chance.between(0, 10)
    } else {
        chance.between(30, 200)
    };
    let mut seconds = first;
    let deed = |(number, job): (usize, &Job)| {
        if number > 0 && concurrent {
            seconds += chance.between(0, 90);
        }
        Deed {
            after: Moment::Ready,
            seconds,
            what: What::AddStep(job.step.clone()),
        }
    };
    jobs.iter().enumerate().map(deed).collect()
}

fn faults(chance: &mut Chance, kinds: &mut Vec<&'static str>) -> Faults {
    let twice_percent = chance.one(&[0, 0, 10, 60]);
    let lost_percent = chance.one(&[0, 0, 0, 0, 0, 0, 0, 10, 60]);
    let delay_ms_max = if chance.percent(8) { 400_000 } else { 1_500 };
    kinds.extend((lost_percent > 0).then_some("lost events"));
    kinds.extend((delay_ms_max > 2_000).then_some("late events"));
    Faults {
        twice_percent,
        lost_percent,
        delay_ms_max,
        ..Faults::default()
    }
}

/// A map of texts.
pub(crate) fn texts(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}
