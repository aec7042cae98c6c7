//! How busy the Region is.

/// The story's name on the command line.
pub const NAME: &str = "busy-region";

const MINUTES_A_DAY: u64 = 24 * 60;

/// How busy the Region is, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Clusters that live.
    pub clusters: u64,
    /// One in so many clusters is opted in.
    pub opted_in_every: u64,
    /// Steps a day, on all of them.
    pub steps_a_day: u64,
    /// Clusters a day that end with their only step.
    pub transient_a_day: u64,
    /// Steps that begin in one minute, once a day.
    pub peak: u64,
    /// One in so many of those is of a cluster that is opted in.
    pub watched_every: u64,
    /// For how long people submit.
    pub hours: u64,
    /// Of a hundred events so many are lost.
    pub lost_percent: u32,
}

/// Ten thousand steps a day, one in fifty of them watched.
impl Default for Plan {
    fn default() -> Self {
        Self {
            clusters: 300,
            opted_in_every: 50,
            steps_a_day: 10_000,
            transient_a_day: 500,
            peak: 400,
            watched_every: 50,
            hours: 2,
            lost_percent: 1,
        }
    }
}

impl Plan {
    /// Sets one by `key=value`; the error says what is allowed.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        const KEYS: &str = "can be set: clusters, steps, transient, peak, hours, lost";
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("expected key=value, found {text:?}; {KEYS}"))?;
        let number = |least: u64, most: u64| -> Result<u64, String> {
            let number = value.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| format!("{key}: expected a number from {least} to {most}, found {value:?}"))
        };
        match key {
            "clusters" => self.clusters = number(2, 2000)?,
            "steps" => self.steps_a_day = number(1, 100_000)?,
            "transient" => self.transient_a_day = number(0, 5000)?,
            "peak" => self.peak = number(0, 5000)?,
            "hours" => self.hours = number(1, 24 * 28)?,
            "lost" => self.lost_percent = u32::try_from(number(0, 100)?).unwrap_or(0),
            _ => return Err(format!("{key:?} cannot be set in {NAME}; {KEYS}")),
        }
        Ok(())
    }

    pub(super) fn minutes(&self) -> u64 {
        self.hours * 60
    }

    /// Steps that have been added when a minute ends.
    pub(super) fn steps_by(&self, minute: u64) -> u64 {
        self.steps_a_day * (minute + 1) / MINUTES_A_DAY
    }

    /// Transient clusters that have been asked for when a minute ends.
    pub(super) fn transient_by(&self, minute: u64) -> u64 {
        self.transient_a_day * (minute + 1) / MINUTES_A_DAY
    }

    /// In the middle of each day, or of a story that is shorter.
    pub(super) fn peaks_at(&self, minute: u64) -> bool {
        self.peak > 0 && minute % MINUTES_A_DAY == self.minutes().min(MINUTES_A_DAY) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_steps_its_clusters_and_one_peak() {
        let plan = Plan {
            hours: 48,
            ..Plan::default()
        };
        assert_eq!((plan.steps_by(1439), plan.transient_by(1439)), (10_000, 500));
        assert_eq!((plan.steps_by(2879), plan.transient_by(2879)), (20_000, 1000));
        let peaks: Vec<u64> = (0..plan.minutes()).filter(|minute| plan.peaks_at(*minute)).collect();
        assert_eq!(peaks, [720, 2160]);
        let short = Plan::default();
        assert_eq!((0..short.minutes()).filter(|minute| short.peaks_at(*minute)).count(), 1);
    }

    #[test]
    fn a_wrong_name_or_value_says_what_is_allowed() {
        let mut plan = Plan::default();
        for (bad, words) in [
            ("hours", "key=value"),
            ("hours=0", "from 1 to 672"),
            ("clusters=1", "from 2 to 2000"),
            ("victims=3", "can be set: clusters"),
        ] {
            let error = plan.set(bad).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
        assert_eq!(plan, Plan::default());
        plan.set("hours=24").unwrap();
        assert_eq!(plan.hours, 24);
    }
}
