//! How fast the machines were in one run against another of the same job.
//!
//! Separate because one log cannot say it: whoever has several gives them too. Of one that comes alone it is assumed.

use std::collections::BTreeMap;

use spark_log::SparkRun;

/// By how much the pace of a run differs where no other run is known: what 2,366 runs of one application on 789 clusters in AWS
/// differed by at most, as a coefficient of variation. <https://arxiv.org/abs/2504.11826>
const UNKNOWN_DEVIATION: f64 = 0.037;

/// Of the tasks of the one run the other must have at least this part, or it is another job.
const COMMON_MIN: f64 = 0.5;

/// How the pace differs from run to run: of its natural logarithm, the mean and the standard deviation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// The mean; 0 is the pace of the run that is played.
    pub mean: f64,
    /// The standard deviation of another run's, which is somewhat more than that of those which are known.
    pub deviation: f64,
}

/// The time of tasks in another run of the same job as a multiple of their time in this one: the median, of which a task that
/// met with a cold executor in one of the two says nothing. None if it is another job.
pub fn pace_of(other: &SparkRun, this: &SparkRun) -> Option<f64> {
    let times = |run: &SparkRun| {
        let mut times: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for task in run.task_attempts.iter().filter(|task| task.succeeded) {
            times.entry((task.stage_id, task.partition)).or_insert(task.duration_ms);
        }
        times
    };
    let (other, this) = (times(other), times(this));
    let pace = |(task, ms): (&(u32, u32), &u32)| Some(f64::from(*other.get(task)?) / f64::from((*ms).max(1)));
    let mut paces: Vec<f64> = this.iter().filter_map(pace).collect();
    paces.sort_unstable_by(f64::total_cmp);
    let is_same = !paces.is_empty() && paces.len() as f64 >= COMMON_MIN * this.len() as f64;
    is_same.then(|| paces[paces.len() / 2].max(f64::MIN_POSITIVE))
}

impl Pace {
    /// From the paces of other runs of the job against the one that is played.
    pub fn of(others: &[f64]) -> Self {
        if others.is_empty() {
            return Self {
                mean: 0.0,
                deviation: UNKNOWN_DEVIATION,
            };
        }
        let logarithms: Vec<f64> = others.iter().map(|pace| pace.ln()).chain([0.0]).collect();
        let count = logarithms.len() as f64;
        let mean = logarithms.iter().sum::<f64>() / count;
        let squares: f64 = logarithms.iter().map(|it| (it - mean).powi(2)).sum();
        let variance = squares / (count - 1.0).max(1.0);
        Self {
            mean,
            // The mean itself is known no better than that.
            deviation: (variance * (1.0 + 1.0 / count)).sqrt(),
        }
    }

    /// A run's pace, by a number of its own.
    pub(crate) fn draw(self, number: u64) -> f64 {
        // Irwin and Hall: the sum of twelve even numbers less six is normal enough.
        let mut rng = fastrand::Rng::with_seed(number);
        let normal = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        (self.mean + self.deviation * normal).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_drawn_about_those_that_were_seen() {
        let pace = Pace::of(&[1.2, 1.2, 1.2]);
        let mut drawn: Vec<f64> = (0..1_000).map(|number| pace.draw(number)).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        assert!((1.10..1.19).contains(&drawn[500]), "{}", drawn[500]);
        assert!(drawn[50] < 1.05 && drawn[950] > 1.2, "{} to {}", drawn[50], drawn[950]);
        let mut unknown: Vec<f64> = (0..1_000).map(|number| Pace::of(&[]).draw(number)).collect();
        unknown.sort_unstable_by(f64::total_cmp);
        assert!((0.99..1.01).contains(&unknown[500]), "{}", unknown[500]);
        assert!((0.93..0.95).contains(&unknown[50]), "{}", unknown[50]);
        assert_eq!(Pace::default().draw(5), 1.0);
    }

    #[test]
    fn another_run_is_of_the_same_job_if_it_has_half_of_its_tasks_and_its_pace_is_their_median() {
        let run = |times_ms: &[(u32, u32)]| SparkRun {
            task_attempts: times_ms
                .iter()
                .map(|(partition, duration_ms)| spark_log::TaskAttempt {
                    partition: *partition,
                    ..crate::warmth::tests::task(1, 0, *duration_ms)
                })
                .collect(),
            ..SparkRun::default()
        };
        let this = run(&[(0, 100), (1, 100), (2, 200), (3, 0)]);
        for (other, pace) in [
            (&[(0, 110), (1, 120), (2, 300), (3, 2)][..], Some(1.5)),
            (&[(0, 110), (1, 120), (2, 300)], Some(1.2)),
            (&[(0, 110), (2, 300), (7, 100)], Some(1.5)),
            (&[(0, 110), (7, 100), (8, 100), (9, 100)], None),
            (&[], None),
        ] {
            let found = pace_of(&run(other), &this);
            assert_eq!(found, pace, "{other:?}");
        }
        assert_eq!(pace_of(&run(&[]), &run(&[])), None);
    }

    #[test]
    fn the_mean_of_paces_is_known_as_well_as_there_are_runs_that_show_it() {
        // Twice as fast, as fast and twice as slow: of the logarithms the mean is 0 and the variance that of one ln 2.
        let pace = Pace::of(&[0.5, 2.0]);
        assert!(pace.mean.abs() < 1e-9, "{pace:?}");
        assert!(
            (pace.deviation - 2_f64.ln() * (4.0_f64 / 3.0).sqrt()).abs() < 1e-9,
            "{pace:?}"
        );
        // Of two, half of the squares' sum is one run's.
        let pace = Pace::of(&[4.0]);
        assert!((pace.mean - 2_f64.ln()).abs() < 1e-9, "{pace:?}");
        assert!((pace.deviation - 2_f64.ln() * 3_f64.sqrt()).abs() < 1e-9, "{pace:?}");
    }
}
