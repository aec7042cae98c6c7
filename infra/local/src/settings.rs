//! What can be set for a run, by `--set key=value`.
//!
//! Separate from the stories because each begins with settings of its own, and anybody may change them.

use crate::fault::{AtCall, Faults};

/// What can be set for a run, by `--set key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Spot units that the task fleet begins with, or instances of the task group.
    pub units: u32,
    /// Managed scaling's least units.
    pub units_min: u32,
    /// Managed scaling's most units.
    pub units_max: u32,
    /// Seconds from the step's begin to the experiment.
    pub delay: u32,
    /// Seconds that start-experiment waits for capacity at most.
    pub wait: u32,
    /// Instances to interrupt.
    pub victims: u32,
    /// Experiments.
    pub waves: u32,
    /// Seconds between experiments.
    pub wave_interval: u32,
    /// `run`, `preview` or `off`.
    pub mode: String,
    /// Of a hundred deliveries so many come twice.
    pub twice: u32,
    /// Of a hundred events so many are lost.
    pub lost: u32,
    /// Of a hundred AWS calls so many are answered with 503.
    pub errors: u32,
    /// Of a hundred AWS calls so many are carried out, and the answer is lost.
    pub lost_answers: u32,
    /// Of a hundred AWS calls so many are throttled.
    pub throttled: u32,
    /// Of a hundred AWS calls so many never arrive.
    pub lost_requests: u32,
    /// Of a hundred events so many are emitted a second time, under another id.
    pub again: u32,
    /// Of a hundred deliveries so many take hours.
    pub hours_late: u32,
    /// Of a hundred deliveries of events so many are followed by a mangled copy.
    pub mangled: u32,
    /// Of a hundred AWS calls so many are refused, by a policy or since the credentials have expired.
    pub refused: u32,
    /// Of a hundred AWS calls so many are carried out, and what comes back is no answer.
    pub garbled: u32,
    /// Of a hundred calls that make or start an experiment FIS refuses so many.
    pub fis_refused: u32,
    /// Of a hundred reads that are only consistent in the end so many are answered as they were before.
    pub stale: u32,
    /// Milliseconds that a function's clock is off at most.
    pub skew: u32,
    /// What becomes of one call; only tests set it.
    pub at_call: Option<AtCall>,
}

/// The workshop's story, with an event in thirty that comes twice.
impl Default for Settings {
    fn default() -> Self {
        Self {
            units: 32,
            units_min: 4,
            units_max: 68,
            delay: 90,
            wait: 720,
            victims: 3,
            waves: 1,
            wave_interval: 180,
            mode: "run".into(),
            twice: 3,
            lost: 0,
            errors: 0,
            lost_answers: 0,
            throttled: 0,
            lost_requests: 0,
            again: 0,
            hours_late: 0,
            mangled: 0,
            refused: 0,
            garbled: 0,
            fis_refused: 0,
            stale: 0,
            skew: 0,
            at_call: None,
        }
    }
}

impl Settings {
    /// Sets one by `key=value`; the error says what is allowed.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("expected key=value, found {text:?}; {KEYS}"))?;
        let number = |least: u32, most: u32| -> Result<u32, String> {
            value
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| format!("{key}: expected a number from {least} to {most}, found {value:?}"))
        };
        match key {
            "units" => self.units = number(0, 1000)?,
            "units-min" => self.units_min = number(0, 1000)?,
            "units-max" => self.units_max = number(1, 1000)?,
            "delay" => self.delay = number(0, 600)?,
            "wait" => self.wait = number(1, 780)?,
            "victims" => self.victims = number(1, 50)?,
            "waves" => self.waves = number(1, 5)?,
            "wave-interval" => self.wave_interval = number(30, 600)?,
            "twice" => self.twice = number(0, 100)?,
            "lost" => self.lost = number(0, 100)?,
            "errors" => self.errors = number(0, 50)?,
            "lost-answers" => self.lost_answers = number(0, 50)?,
            "throttled" => self.throttled = number(0, 50)?,
            "lost-requests" => self.lost_requests = number(0, 50)?,
            "again" => self.again = number(0, 100)?,
            "hours-late" => self.hours_late = number(0, 100)?,
            "mangled" => self.mangled = number(0, 100)?,
            "refused" => self.refused = number(0, 50)?,
            "garbled" => self.garbled = number(0, 50)?,
            "fis-refused" => self.fis_refused = number(0, 100)?,
            "stale" => self.stale = number(0, 100)?,
            "skew" => self.skew = number(0, 5000)?,
            "mode" if ["run", "preview", "off"].contains(&value) => self.mode = value.into(),
            "mode" => return Err(format!("mode: expected run, preview or off, found {value:?}")),
            _ => return Err(format!("{key:?} cannot be set; {KEYS}")),
        }
        if self.units_min > self.units_max {
            return Err(format!(
                "units-min is {} and units-max {}: the least must not be more than the most",
                self.units_min, self.units_max
            ));
        }
        Ok(())
    }
}

/// What can be set.
pub const KEYS: &str = "can be set: units, units-min, units-max, delay, wait, victims, waves, wave-interval, mode, \
                        twice, again, lost, hours-late, mangled, errors, throttled, lost-requests, lost-answers, \
                        refused, garbled, fis-refused, stale, skew";

impl Settings {
    /// What goes wrong in the run.
    pub fn faults(&self) -> Faults {
        Faults {
            twice_percent: self.twice,
            lost_percent: self.lost,
            errors_percent: self.errors,
            lost_answers_percent: self.lost_answers,
            throttled_percent: self.throttled,
            lost_requests_percent: self.lost_requests,
            again_percent: self.again,
            hours_late_percent: self.hours_late,
            mangled_percent: self.mangled,
            refused_percent: self.refused,
            garbled_percent: self.garbled,
            fis_refused_percent: self.fis_refused,
            stale_percent: self.stale,
            skew_ms_max: i64::from(self.skew),
            at_call: self.at_call.clone(),
            ..Faults::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{SCENARIOS, Scenario};

    #[test]
    fn a_wrong_name_or_value_says_what_is_allowed() {
        assert!(Scenario::find("workshp").unwrap_err().contains("workshop, no-capacity"));
        let mut settings = SCENARIOS[0].settings();
        for (bad, words) in [
            ("victims", "key=value"),
            ("victims=0", "from 1 to 50"),
            ("victims=three", "from 1 to 50"),
            ("size=3", "can be set: units"),
            ("mode=dry", "run, preview or off"),
            ("units-min=100", "must not be more"),
        ] {
            let error = settings.set(bad).unwrap_err();
            assert!(error.contains(words), "{bad}: {error}");
        }
    }
}
