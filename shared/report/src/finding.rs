//! Hidden weaknesses that a drill brings to light: a table of rules, each with the evidence of this drill, its price here,
//! and what to do about it on this job.

mod application;
mod capacity;
mod drill;
mod executor;
mod output;
mod scaling;
mod shuffle;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::Report;
use crate::time_lost::TimeLost;

/// How much a weakness matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It can make the job fail.
    Danger,
    /// It costs time or capacity.
    #[default]
    Price,
    /// It weakens what the drill can show.
    Blindness,
}

/// A weakness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A name that stays the same from report to report.
    pub id: String,
    /// How much it matters.
    #[serde(default)]
    pub severity: Severity,
    /// What is weak, in one sentence.
    pub what: String,
    /// What shows it.
    pub evidence: String,
    /// What it cost in this run. `None`: nothing, or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// What to do.
    pub advice: String,
    /// The settings that do it, `key=value`, for this job as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// The page that the advice rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// What the rules look at.
struct Seen<'a> {
    report: &'a Report,
    /// What the run lost. `None`: no event log tells.
    lost: Option<TimeLost>,
}

/// What a rule finds: a finding without name and weight, which the table has.
#[derive(Default)]
struct Weakness {
    what: String,
    evidence: String,
    price: Option<String>,
    advice: String,
    settings: Vec<String>,
    page: Option<&'static str>,
}

type Rule = fn(&Seen<'_>) -> Option<Weakness>;

/// The rules, by weight. A rule whose facts are missing finds nothing.
const RULES: [(&str, Severity, Rule); 28] = [
    ("foreign-targets", Severity::Danger, drill::foreign_targets),
    ("application-began-again", Severity::Danger, application::began_again),
    ("driver-on-spot", Severity::Danger, application::driver_on_spot),
    (
        "application-attempts-used-up",
        Severity::Danger,
        application::attempts_used_up,
    ),
    (
        "stage-attempts-nearly-used-up",
        Severity::Danger,
        shuffle::attempts_nearly_used_up,
    ),
    ("output-without-marker", Severity::Danger, output::without_marker),
    ("output-by-appends", Severity::Danger, output::appends),
    ("not-replaced", Severity::Price, capacity::not_replaced),
    ("slow-replacement", Severity::Price, capacity::slow_replacement),
    ("stages-ran-again", Severity::Price, shuffle::stages_ran_again),
    ("much-work-repeated", Severity::Price, shuffle::much_work_repeated),
    (
        "tasks-longer-than-notice",
        Severity::Price,
        application::tasks_longer_than_notice,
    ),
    ("expired-hosts-kept", Severity::Price, shuffle::expired_hosts_kept),
    (
        "decommission-counts-as-failure",
        Severity::Price,
        shuffle::decommission_counts_as_failure,
    ),
    ("managed-scaling", Severity::Price, scaling::managed_scaling),
    ("few-instance-types", Severity::Price, capacity::few_instance_types),
    ("one-zone", Severity::Price, capacity::one_zone),
    ("allocation-strategy", Severity::Price, capacity::allocation_strategy),
    ("executors-too-large", Severity::Price, executor::too_large),
    ("stragglers", Severity::Price, executor::stragglers),
    ("output-differs", Severity::Danger, output::differs),
    ("not-injected", Severity::Blindness, drill::not_injected),
    ("step-does-not-wait", Severity::Blindness, application::does_not_wait),
    ("event-log-missing", Severity::Blindness, application::event_log_missing),
    ("warnings-lost", Severity::Blindness, drill::warnings_lost),
    ("warnings-late", Severity::Blindness, drill::warnings_late),
    ("no-stop-condition", Severity::Blindness, drill::no_stop_condition),
    ("stop-alarm-unknown", Severity::Blindness, drill::stop_alarm_unknown),
];

/// Looks for weaknesses in what a report holds, the weightiest first. Pure.
pub fn find(report: &Report) -> Vec<Finding> {
    let seen = Seen {
        report,
        lost: TimeLost::of(report),
    };
    let mut found: Vec<Finding> = RULES
        .iter()
        .filter_map(|(id, severity, rule)| Some(named(id, *severity, rule(&seen)?)))
        .collect();
    found.sort_by_key(|finding| finding.severity);
    found
}

fn named(id: &str, severity: Severity, weakness: Weakness) -> Finding {
    Finding {
        id: id.into(),
        severity,
        what: weakness.what,
        evidence: weakness.evidence,
        price: weakness.price,
        advice: weakness.advice,
        settings: weakness.settings,
        page: weakness.page.map(str::to_owned),
    }
}

impl Seen<'_> {
    /// A setting as the application ran with it.
    fn setting(&self, key: &str) -> Option<&str> {
        let spark = self.report.spark.as_ref()?;
        spark.settings.get(key).map(|value| value.trim())
    }

    /// Is a setting true? Spark takes any case of letters.
    fn is_true(&self, key: &str) -> bool {
        self.setting(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Spark's version as numbers: `3.5.6-amzn-0` is (3, 5).
    fn spark_version(&self) -> Option<(u32, u32)> {
        let version = self.report.spark.as_ref()?.version.as_deref()?;
        let mut parts = version.split(['.', '-']).map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    }

    /// Is it Amazon's build, which has settings of its own?
    fn is_amazons(&self) -> bool {
        let version = self.report.spark.as_ref().and_then(|spark| spark.version.as_deref());
        version.is_some_and(|version| version.contains("amzn"))
    }
}
