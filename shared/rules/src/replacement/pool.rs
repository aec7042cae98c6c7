//! One pool's account: what it had, what it was asked for, and what became of each instance that it lost.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Evidence, Excuse, PATIENCE, Replacement};
use crate::cluster::{Instance, Pool, Role};
use crate::interruption::Interrupted;

/// What goes within so long goes at once: none of it went first.
const AT_ONCE: TimeDelta = TimeDelta::seconds(5);

/// Answers for each instance that the pool lost, by its id.
pub(super) fn assess(
    pool_id: &str,
    mut lost: Vec<&Interrupted>,
    evidence: &Evidence<'_>,
) -> Vec<(String, Replacement)> {
    lost.sort_by_key(|one| (one.terminated_at, one.noticed_at, one.instance_id.clone()));
    let state = PoolState::read(pool_id, &lost, evidence);
    let mut arrivals = state.arrivals(&lost);
    let mut answers: Vec<Answer<'_>> = lost
        .iter()
        .map(|one| Answer {
            one,
            filled: fill(one, &mut arrivals),
            whole: state.whole_after(one, &lost),
        })
        .collect();
    state.take_back_what_the_pool_still_lacks(&mut answers);
    state.excuse_what_the_pool_does_not_lack(&mut answers);
    answers
        .into_iter()
        .map(|answer| {
            let told = answer.filled.or(answer.whole);
            (
                answer.one.instance_id.clone(),
                told.unwrap_or_else(|| state.explain(answer.one)),
            )
        })
        .collect()
}

/// What is found of one lost instance.
struct Answer<'a> {
    one: &'a Interrupted,
    /// The instances that came after its notice suffice.
    filled: Option<Replacement>,
    /// The pool had all that it was asked for at some time after its loss: that is beyond doubt.
    whole: Option<Replacement>,
}

impl Answer<'_> {
    /// Nothing was found that made up for it. The pool had until the run's end what went after that.
    fn is_open(&self, run_ended_at: DateTime<Utc>) -> bool {
        let went_meanwhile = self.one.terminated_at.is_none_or(|at| at < run_ended_at);
        self.filled.is_none() && self.whole.is_none() && went_meanwhile
    }
}

/// An instance that was asked for after a notice, with the units of it that make up for nothing yet.
struct Arrival<'a> {
    instance: &'a Instance,
    created_at: DateTime<Utc>,
    ready_at: DateTime<Utc>,
    units_left: u32,
}

/// Fills the place of one lost instance. What was asked for after the loss comes first: EMR refills when it sees the
/// loss; only then what was asked for between notice and loss.
fn fill(one: &Interrupted, arrivals: &mut [Arrival<'_>]) -> Option<Replacement> {
    let terminated_at = one.terminated_at?;
    let begin = one.noticed_at.unwrap_or(terminated_at);
    arrivals.sort_by_key(|arrival| {
        (
            arrival.created_at < terminated_at,
            arrival.created_at,
            arrival.instance.instance_id.clone(),
        )
    });
    let usable = |arrival: &Arrival<'_>| arrival.created_at >= begin && arrival.units_left > 0;
    let available: u32 = arrivals
        .iter()
        .filter(|arrival| usable(arrival))
        .map(|arrival| arrival.units_left)
        .sum();
    if available < one.units {
        return None;
    }
    let mut wanted = one.units;
    let mut by = Vec::new();
    let mut last = None;
    for arrival in arrivals.iter_mut().filter(|arrival| usable(arrival)) {
        if wanted == 0 {
            break;
        }
        let taken = wanted.min(arrival.units_left);
        arrival.units_left -= taken;
        wanted -= taken;
        by.push(arrival.instance.instance_id.clone());
        last = last.max(Some((arrival.ready_at, arrival.created_at)));
    }
    let (ready_at, listed_at) = last?;
    Some(replaced(one, terminated_at, by, ready_at, Some(listed_at)))
}

/// One pool's account.
struct PoolState<'a> {
    instances: Vec<&'a Instance>,
    target_at_start: Option<u32>,
    target_at_end: Option<u32>,
    target_now: Option<u32>,
    /// It is a group that scales itself.
    scales: bool,
    /// Those that took work until then, and those that EMR let go between the last loss and then: it had them, and did not
    /// want them.
    units_at_end: u32,
    evidence: &'a Evidence<'a>,
}

impl<'a> PoolState<'a> {
    fn read(pool_id: &str, lost: &[&Interrupted], evidence: &'a Evidence<'a>) -> Self {
        let instances: Vec<&Instance> = evidence
            .instances
            .iter()
            .filter(|instance| instance.pool_id == pool_id)
            .collect();
        let this = |pools: Option<&'a [Pool]>| pools?.iter().find(|pool| pool.id == pool_id);
        let target = |pools| this(pools).map(Pool::target_units);
        let last_loss = lost.iter().filter_map(|one| one.terminated_at).max();
        let is_lost = |id: &str| lost.iter().any(|one| one.instance_id == id);
        let ended_at = evidence.run_ended_at;
        // What it lets go after the run was there for the run only if it took work.
        let went_meanwhile = |at: DateTime<Utc>| Some(at) > last_loss && at <= ended_at;
        let let_go =
            |one: &Instance| one.was_let_go() && one.ended_at.is_some_and(went_meanwhile) && !is_lost(&one.instance_id);
        let took_work = |one: &Instance| {
            one.ready_at.is_some_and(|ready| ready < ended_at) && one.ended_at.is_none_or(|gone| gone >= ended_at)
        };
        let units_at_end = instances
            .iter()
            .filter(|one| took_work(one) || let_go(one))
            .map(|one| one.units)
            .sum();
        let scales = [evidence.pools_at_start, evidence.pools_at_end, evidence.pools_now]
            .into_iter()
            .filter_map(this)
            .any(|pool| pool.scales);
        // What scales, and had more when the run ended than was asked for when somebody looked right after: the target was
        // lowered then, or because the job was over. What it was before nobody saw.
        let was_just_lowered = |pool: &&Pool| {
            (scales || evidence.is_scaled == Some(true)) && pool.had_more_than_asked(evidence.instances, ended_at)
        };
        let at_end = this(evidence.pools_at_end).filter(|pool| !was_just_lowered(pool));
        Self {
            target_at_start: target(evidence.pools_at_start),
            target_at_end: at_end.map(Pool::target_units),
            target_now: target(evidence.pools_now),
            scales,
            units_at_end,
            instances,
            evidence,
        }
    }

    /// Instances that were asked for since the first notice and could take work before the run's end.
    fn arrivals(&self, lost: &[&Interrupted]) -> Vec<Arrival<'a>> {
        let first = lost.iter().filter_map(|one| one.noticed_at.or(one.terminated_at)).min();
        self.instances
            .iter()
            .filter_map(|instance| {
                let (created_at, ready_at) = (instance.created_at?, instance.ready_at?);
                (Some(created_at) >= first && ready_at < self.evidence.run_ended_at).then_some(Arrival {
                    instance,
                    created_at,
                    ready_at,
                    units_left: instance.units,
                })
            })
            .collect()
    }

    /// What was asked for when the run ended, by the latest look that is to be had.
    fn target(&self) -> Option<u32> {
        self.target_at_end.or(self.target_at_start)
    }

    /// Nobody looked when the run ended, or too late, and something else is asked for by now, or EMR itself may have lowered
    /// it and raised it again: what was asked for then is not known.
    fn may_have_changed(&self) -> bool {
        let is_another = self.target_now.is_some() && self.target_now != self.target_at_start;
        let is_scaled = self.scales || self.evidence.is_scaled.unwrap_or(true);
        self.target_at_end.is_none() && (is_another || is_scaled)
    }

    /// What the pool lacked of its target at the run's end.
    fn deficit(&self) -> Option<u32> {
        Some(self.target()?.saturating_sub(self.units_at_end))
    }

    /// The first time from a loss on, before the run's end, at which the pool had all that it was ever asked for: at the loss
    /// itself if something had come for it by then. What it lacks later, it lacks for another reason.
    fn whole_after(&self, one: &Interrupted, lost: &[&Interrupted]) -> Option<Replacement> {
        let terminated_at = one.terminated_at?;
        let target = match self.target_at_end {
            Some(at_end) => at_end.max(self.target_at_start.unwrap_or(0)),
            None => self.target_at_start.max(self.target_now)?,
        };
        let until = self.evidence.run_ended_at;
        let units = |at| -> u32 { self.running_at(at).map(|instance| instance.units).sum() };
        let is_whole = |at| at < until && units(at) >= target;
        let asked_for = one.noticed_at.unwrap_or(terminated_at);
        let came_by = |at, since: DateTime<Utc>| -> Vec<&Instance> {
            self.running_at(at)
                .filter(|instance| instance.created_at.is_some_and(|created| created >= since))
                .collect()
        };
        let ready_at = if is_whole(terminated_at) && !came_by(terminated_at, asked_for).is_empty() {
            terminated_at
        } else {
            let times = self.instances.iter().filter_map(|instance| instance.ready_at);
            times.filter(|at| *at >= terminated_at && is_whole(*at)).min()?
        };
        // What came has to do for all that went, from this notice on and from each earlier one. What had come before, for
        // others or as growth of which the target was lowered again, makes the pool whole and replaces nothing.
        let units_gone = |since: DateTime<Utc>| -> u32 {
            let went = |one: &&&Interrupted| one.terminated_at.is_some_and(|at| at >= since && at <= ready_at);
            lost.iter().filter(went).map(|one| one.units).sum()
        };
        let units_come = |since| -> u32 { came_by(ready_at, since).iter().map(|one| one.units).sum() };
        let notices = lost.iter().filter_map(|one| one.noticed_at.or(one.terminated_at));
        let mut earlier = notices.filter(|since| *since <= asked_for);
        if earlier.any(|since| units_come(since) < units_gone(since)) {
            // More may have been asked for in between.
            return (!self.may_have_changed()).then(|| Replacement::NotExpected {
                excuse: Excuse::AtTarget,
                why: format!("the pool stood at its target of {target} units without it"),
            });
        }
        let came = came_by(ready_at, asked_for);
        let last = came
            .iter()
            .filter_map(|instance| Some((instance.ready_at?, instance.created_at?)));
        let listed_at = last.max().map(|(_, listed_at)| listed_at);
        let by = came.iter().map(|instance| instance.instance_id.clone()).collect();
        Some(replaced(one, terminated_at, by, ready_at, listed_at))
    }

    fn running_at(&self, at: DateTime<Utc>) -> impl Iterator<Item = &'a Instance> {
        self.instances
            .iter()
            .copied()
            .filter(move |instance| instance.is_running_at(at))
    }

    /// Arrivals may have been growth. While the pool lacks units of its target, as many of the lost ones are not
    /// replaced: the last to be filled are the first to be doubted.
    fn take_back_what_the_pool_still_lacks(&self, answers: &mut [Answer<'_>]) {
        let Some(deficit) = self.deficit() else {
            for answer in answers.iter_mut().filter(|answer| answer.filled.is_some()) {
                let why = "instances came, but what the pool was asked for is not known: they may be growth".to_owned();
                answer.filled = Some(Replacement::Unknown { why });
            }
            return;
        };
        let ended_at = self.evidence.run_ended_at;
        let open = answers.iter().filter(|answer| answer.is_open(ended_at));
        let mut doubtful = deficit.saturating_sub(open.map(|answer| answer.one.units).sum());
        for answer in answers.iter_mut().rev().filter(|answer| answer.whole.is_none()) {
            if doubtful == 0 {
                break;
            }
            if answer.filled.take().is_some() {
                doubtful = doubtful.saturating_sub(answer.one.units);
            }
        }
    }

    /// Of the units that nothing came for, the pool lacks some, and some were not asked for any more: those that went first,
    /// since what the pool came down to then was enough.
    fn excuse_what_the_pool_does_not_lack(&self, answers: &mut [Answer<'_>]) {
        let (Some(deficit @ 1..), Some(target)) = (self.deficit(), self.target()) else {
            return;
        };
        if self.may_have_changed() {
            return;
        }
        let ended_at = self.evidence.run_ended_at;
        let open: Vec<(DateTime<Utc>, u32)> = answers
            .iter()
            .filter(|answer| answer.is_open(ended_at))
            .filter_map(|answer| Some((answer.one.terminated_at?, answer.one.units)))
            .collect();
        let units = |until: DateTime<Utc>| -> u32 {
            let gone = open.iter().filter(|(at, _)| *at <= until);
            gone.map(|(_, units)| units).sum()
        };
        let spare = units(DateTime::<Utc>::MAX_UTC).saturating_sub(deficit);
        let gone_at = |answer: &Answer<'_>| answer.one.terminated_at.filter(|_| answer.is_open(ended_at));
        for answer in answers.iter_mut() {
            if gone_at(answer).is_some_and(|at| units(at + AT_ONCE) <= spare) {
                answer.whole = Some(self.lowered().unwrap_or_else(|| Replacement::NotExpected {
                    excuse: Excuse::AtTarget,
                    why: format!("the pool lacked only {deficit} of its {target} units when the job ended"),
                }));
            }
        }
    }

    /// That less was asked for at the end, if it was.
    fn lowered(&self) -> Option<Replacement> {
        let (before, after) = (self.target_at_start?, self.target_at_end?);
        (after < before).then(|| Replacement::NotExpected {
            excuse: Excuse::TargetLowered,
            why: format!("the target was lowered from {before} to {after} units while the job ran"),
        })
    }

    /// Nothing came in its place: is that a failing?
    fn explain(&self, one: &Interrupted) -> Replacement {
        let evidence = self.evidence;
        let not_expected = |excuse: Excuse, why: String| Replacement::NotExpected { excuse, why };
        let Some(terminated_at) = one.terminated_at else {
            return Replacement::Unknown {
                why: "the instance had not gone when it was last looked at".into(),
            };
        };
        if one.role == Some(Role::Master) {
            return not_expected(Excuse::PrimaryNode, "the cluster ends with its primary node".into());
        }
        let seconds = (evidence.run_ended_at - terminated_at).num_seconds();
        if let Some(lowered) = self.lowered()
            && self.deficit() == Some(0)
        {
            return lowered;
        }
        let not_known = || Replacement::Unknown {
            why: "none had come when the job was last known to run, and when it ended is not known".into(),
        };
        if seconds <= 0 && evidence.run_may_go_on {
            return not_known();
        }
        if seconds <= 0 {
            return not_expected(Excuse::JobEnded, "the job had ended when the instance went".into());
        }
        match self.target() {
            Some(target) if self.units_at_end >= target && !self.may_have_changed() => not_expected(
                Excuse::AtTarget,
                format!("the pool stood at its target of {target} units without it"),
            ),
            _ if evidence.run_may_go_on => not_known(),
            _ if seconds < PATIENCE.num_seconds() => not_expected(
                Excuse::JobEnded,
                format!("the job ended {seconds} s after the loss, before a replacement could be there"),
            ),
            Some(target) if self.may_have_changed() => Replacement::Unknown {
                why: format!(
                    "the pool was asked for {target} units when the experiment began; what it was asked for when the job \
                     ended is not known, and scaling may have changed it"
                ),
            },
            Some(target) => Replacement::NotReplaced {
                why: format!(
                    "{seconds} s after the loss, when the job ended, the pool stood at {} of {target} units",
                    self.units_at_end
                ),
            },
            None => Replacement::Unknown {
                why: "what the pool was asked for while the job ran is not known".into(),
            },
        }
    }
}

fn replaced(
    one: &Interrupted,
    terminated_at: DateTime<Utc>,
    by: Vec<String>,
    ready_at: DateTime<Utc>,
    listed_at: Option<DateTime<Utc>>,
) -> Replacement {
    Replacement::Replaced {
        by,
        listed_at,
        ready_at,
        seconds_after_notice: one.noticed_at.map(|noticed| (ready_at - noticed).num_seconds()),
        seconds_after_loss: (ready_at - terminated_at).num_seconds(),
    }
}
