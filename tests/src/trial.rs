//! A story with faults on top: what goes wrong between the functions and AWS, drawn from the story's own seed.
//!
//! Separate from stories because in these AWS always answers; here a verdict may come later, and an invocation may fail, but
//! nobody may be hit, nothing lost and nothing told that is wrong.

use account::emr::Role;
use local::fault::{AtCall, EndedEarly, Fate, Faults, Gone, Resource};
use local::plot::{Deed, Moment, What, Whom};
use local::run::Run;

use crate::story::{Chance, Story, check};

/// The names of the functions that a story invokes.
const FUNCTIONS: [&str; 3] = [
    "spot-drill-StartExperiment",
    "spot-drill-RecordInterruption",
    "spot-drill-WriteReport",
];

const SUBMIT_STEP: &str = "spot-drill-SubmitStep";

/// Which of a function's calls it dies at, at most: more than most stories make.
const CALLS_MAX: u32 = 40;

/// A story, and what goes wrong in it.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What is told; its stage has the faults.
    pub story: Story,
}

/// What a trial came to.
pub struct Outcome {
    /// How it was told; `None`: it has no end.
    pub run: Option<Run>,
    /// Everything that is wrong, each beginning with the word for its kind.
    pub wrongs: Vec<String>,
}

impl Trial {
    /// The trial of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut story = Story::draw(seed);
        // A chance of its own, so that the story is the one that is told without these faults.
        let mut chance = Chance::new(seed ^ 0x5eed_0ffa_0175_0000);
        let faults = &mut story.plot.stage.faults;
        faults.errors_percent = chance.one(&[0, 0, 3, 8]);
        faults.throttled_percent = chance.one(&[0, 0, 5, 15]);
        faults.lost_requests_percent = chance.one(&[0, 0, 2, 4]);
        faults.lost_answers_percent = chance.one(&[0, 0, 2, 4]);
        faults.again_percent = chance.one(&[0, 0, 10, 40]);
        faults.at_call = chance.percent(40).then(|| AtCall {
            function: chance.one(&FUNCTIONS).to_owned(),
            call: chance.between(1, CALLS_MAX),
            fate: chance.one(&[Fate::CrashBefore, Fate::CrashAfter]),
        });
        faults.hours_late_percent = chance.one(&[0, 0, 0, 10]);
        faults.mangled_percent = chance.one(&[0, 0, 10, 40]);
        faults.refused_percent = chance.one(&[0, 0, 0, 2, 4]);
        faults.garbled_percent = chance.one(&[0, 0, 0, 2, 4]);
        faults.fis_refused_percent = chance.one(&[0, 0, 0, 20, 50]);
        faults.ended_early = chance.percent(30).then(|| EndedEarly {
            function: chance.one(&FUNCTIONS).to_owned(),
            invocation: chance.between(1, 3),
            after_ms: u64::from(chance.between(1, 300)) * u64::from(chance.between(1, 1000)),
        });
        faults.stale_percent = chance.one(&[0, 0, 20, 60]);
        faults.skew_ms_max = chance.one(&[0, 0, 300, 3000]);
        faults.gone = chance.percent(15).then(|| Gone {
            what: chance.one(&[Resource::Table, Resource::Bucket, Resource::ExperimentTemplate]),
            from_seconds: i64::from(chance.between(1, 1500)),
            seconds: i64::from(chance.between(1, 3600)),
            comes_back_empty: false,
        });
        if let Some(gone) = faults.gone.as_mut().filter(|gone| gone.what == Resource::Table) {
            gone.comes_back_empty = Chance::new(seed ^ 0x5eed_0fe4_9717_0000).percent(50);
        }
        check::draw(&mut story);
        draw_of_submit_step(&mut story);
        act_at_wrong_moments(&mut story);
        change_the_mind(&mut story);
        tell_with_less(&mut story);
        // The first page of every listing is empty, and not the last.
        if chance.percent(15) {
            story.plot.page = Some(0);
        }
        Self { story }
    }

    /// Tells it, and holds it against what must hold in every story.
    pub fn tell(&self) -> Outcome {
        match self.story.tell() {
            Ok(run) => {
                let wrongs = self.story.wrongs(&run);
                Outcome { run: Some(run), wrongs }
            }
            Err(error) if error.contains("has not ended after") && self.story.may_last_for_ever() => Outcome {
                run: None,
                wrongs: Vec::new(),
            },
            Err(error) => Outcome {
                run: None,
                wrongs: vec![format!("no end: {error}")],
            },
        }
    }

    /// The same trial with fewer faults, as long as something of this kind is wrong in it.
    pub fn shrink(&self, kind: &str) -> Self {
        self.shrink_while(|trial| trial.tell().wrongs.iter().any(|wrong| self::kind(wrong) == kind))
    }

    /// Each fault is left out in turn, for good where it is not needed.
    fn shrink_while(&self, is_wrong: impl Fn(&Self) -> bool) -> Self {
        let mut least = self.clone();
        for (_, leave_out) in EACH {
            let mut fewer = least.clone();
            leave_out(&mut fewer.story.plot.stage.faults);
            if fewer.faults() != least.faults() && is_wrong(&fewer) {
                least = fewer;
            }
        }
        least
    }

    /// The same trial without a fault of this name. The error says which names there are.
    pub fn without(mut self, name: &str) -> Result<Self, String> {
        let names = || EACH.map(|(name, _)| name).join(", ");
        let found = EACH.iter().find(|(known, _)| *known == name);
        let (_, leave_out) = found.ok_or_else(|| format!("there is no fault {name:?}, only {}", names()))?;
        leave_out(&mut self.story.plot.stage.faults);
        Ok(self)
    }

    /// The names of the faults that may meet it.
    pub fn names(&self) -> Vec<&'static str> {
        let without = |leave_out: LeaveOut| {
            let mut faults = self.faults().clone();
            leave_out(&mut faults);
            faults
        };
        let met = EACH
            .iter()
            .filter(|(_, leave_out)| without(*leave_out) != *self.faults());
        met.map(|(name, _)| *name).collect()
    }

    /// What goes wrong, and how often.
    pub fn faults(&self) -> &Faults {
        &self.story.plot.stage.faults
    }
}

/// Where a schedule submits steps, half of what a function dies of meets that one; with a chance of its own.
fn draw_of_submit_step(story: &mut Story) {
    let mut chance = Chance::new(story.seed ^ 0x5eed_05b3_17e0_0000);
    if !story.kinds.contains(&"check") || chance.percent(50) {
        return;
    }
    let faults = &mut story.plot.stage.faults;
    if let Some(at) = &mut faults.at_call {
        at.function = SUBMIT_STEP.into();
        at.call = chance.between(1, 14);
    }
    if let Some(early) = &mut faults.ended_early {
        early.function = SUBMIT_STEP.into();
    }
}

/// What is done at a wrong moment after the step's begin: its chance, its kind, how many seconds later at most, and what. None of
/// the trials that once showed something has one of them.
const AT_WRONG_MOMENTS: [(u64, &str, u32, What); 3] = [
    (0x5eed_07e3_9100_0000, "template edited", 120, What::EditTemplate),
    (0x5eed_0a1a_8300_0003, "alarm in the wait", 60, What::Alarm(true)),
    (0x5eed_057a_a700_0004, "astray", 0, What::Stray),
];

/// Each with a chance of its own.
fn act_at_wrong_moments(story: &mut Story) {
    for (salt, kind, seconds_max, what) in AT_WRONG_MOMENTS {
        let mut chance = Chance::new(story.seed ^ salt);
        if chance.percent(6) {
            story.kinds.push(kind);
            story.plot.deeds.push(Deed {
                after: Moment::StepBegan(0),
                seconds: chance.between(0, seconds_max),
                what,
            });
        }
    }
}

/// All Spot task nodes are gone when the drill begins; while it waits for others, the owner takes back the opt-in or engages
/// the lever; with a chance of its own.
fn change_the_mind(story: &mut Story) {
    let mut chance = Chance::new(story.seed ^ 0x5eed_0313_d000_000a);
    if !chance.percent(8) {
        return;
    }
    story.kinds.push("changes the mind");
    let all = Whom::Nodes {
        role: Role::Task,
        count: 9,
        from: 0,
    };
    // The steps that end after that are told of too.
    let parameters = &mut story.plot.stage.parameters;
    parameters.insert("ReportOn".into(), "all".into());
    let changed = chance.between(40, 120);
    let word = if chance.percent(50) { What::Lever } else { What::OptOut };
    for (after, seconds, what) in [
        (Moment::Ready, 0, What::Capacity(Some(0))),
        (Moment::Ready, 0, What::Reclaim(all)),
        (Moment::StepBegan(0), changed, word),
        (
            Moment::StepBegan(0),
            changed.saturating_sub(chance.between(0, 60)),
            What::Capacity(None),
        ),
    ] {
        story.plot.deeds.push(Deed { after, seconds, what });
    }
}

/// Once the first step is reported, event logs are gone for a while, and its end is told again; with a chance of its own, as
/// above.
fn tell_with_less(story: &mut Story) {
    let mut chance = Chance::new(story.seed ^ 0x5eed_01e5_5000_0011);
    if !chance.percent(8) {
        return;
    }
    story.kinds.push("logs gone for a while");
    let again = chance.between(5, 60);
    for (seconds, what) in [
        (chance.between(0, again), What::Logs(false)),
        (again, What::TellEndAgain(0)),
        (again + 600, What::Logs(true)),
    ] {
        story.plot.deeds.push(Deed {
            after: Moment::Reported(0),
            seconds,
            what,
        });
    }
}

/// The word for the kind of what is wrong.
pub fn kind(wrong: &str) -> &str {
    wrong.split(':').next().unwrap_or_default()
}

/// Takes one fault out of what goes wrong.
type LeaveOut = fn(&mut Faults);

/// Every fault of a run's, and how it is left out.
const EACH: [(&str, LeaveOut); 19] = [
    ("crash", |faults| faults.at_call = None),
    ("ended-early", |faults| faults.ended_early = None),
    ("errors", |faults| faults.errors_percent = 0),
    ("throttled", |faults| faults.throttled_percent = 0),
    ("lost-requests", |faults| faults.lost_requests_percent = 0),
    ("lost-answers", |faults| faults.lost_answers_percent = 0),
    ("again", |faults| faults.again_percent = 0),
    ("hours-late", |faults| faults.hours_late_percent = 0),
    ("mangled", |faults| faults.mangled_percent = 0),
    ("refused", |faults| faults.refused_percent = 0),
    ("garbled", |faults| faults.garbled_percent = 0),
    ("fis-refused", |faults| faults.fis_refused_percent = 0),
    ("stale", |faults| faults.stale_percent = 0),
    ("skew", |faults| faults.skew_ms_max = 0),
    ("emptied", |faults| {
        faults.gone.iter_mut().for_each(|gone| gone.comes_back_empty = false)
    }),
    ("gone", |faults| faults.gone = None),
    ("twice", |faults| faults.twice_percent = 0),
    ("lost", |faults| faults.lost_percent = 0),
    ("late", |faults| faults.delay_ms_max = Faults::default().delay_ms_max),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_is_drawn_and_each_can_be_left_out() {
        let trials = || (0..300).map(Trial::draw);
        let drawn: BTreeSet<&str> = trials().flat_map(|trial| trial.names()).collect();
        assert_eq!(drawn, EACH.map(|(name, _)| name).into());
        let deaths: BTreeSet<(String, bool)> = trials()
            .filter_map(|trial| trial.faults().at_call.clone())
            .map(|death| (death.function, death.fate == Fate::CrashAfter))
            .collect();
        assert_eq!(deaths.len(), 2 * (FUNCTIONS.len() + 1), "{deaths:?}");
        for trial in trials() {
            let all = trial.names();
            let without = EACH
                .iter()
                .try_fold(trial, |trial, (name, _)| trial.without(name))
                .unwrap();
            assert!(without.names().is_empty(), "{all:?}");
        }
        assert!(
            Trial::draw(1)
                .without("hail")
                .unwrap_err()
                .contains("crash, ended-early, errors")
        );
    }

    #[test]
    fn a_trial_is_the_story_of_its_seed_and_comes_to_the_same_each_time() {
        let trial = Trial::draw(5);
        let deeds = &trial.story.plot.deeds;
        assert!(deeds.starts_with(&Story::draw(5).plot.deeds));
        let told = || {
            let run = trial.tell().run.expect("it has an end");
            let injected = run.world.lock().injected().clone();
            (
                local::drill_command::journal(&run).expect("a journal is JSON"),
                injected,
            )
        };
        let (first, second) = (told(), told());
        assert!(first == second);
        assert!(first.1.values().sum::<u64>() > 0, "{:?}", first.1);
    }

    #[test]
    fn a_failure_is_shrunk_to_the_faults_that_it_needs() {
        let mut trial = (0..)
            .map(Trial::draw)
            .find(|trial| trial.names().len() > 4)
            .expect("there are some");
        // Nobody is told of a warning that is lost; a check that knew nothing of that would miss it.
        trial.story.plot.stage.faults.lost_percent = 100;
        let wrong = |trial: &Trial| trial.faults().lost_percent == 100;
        assert_eq!(trial.shrink_while(wrong).names(), ["lost"]);
    }
}
