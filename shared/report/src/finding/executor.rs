//! Weaknesses of the executors: whether they fit on the instances that may come, and tasks that hold up their stage.

use super::{Seen, Weakness, capacity};
use crate::StageRow;
use crate::words::{list, number, plural, span};

/// Spark's default share of an executor's memory that YARN gives on top, and its least, in MiB.
/// <https://spark.apache.org/docs/latest/configuration.html#application-properties>
const OVERHEAD_SHARE: f64 = 0.1;
const OVERHEAD_MIB_MIN: u64 = 384;
/// The least memory with which an executor starts, in MiB: half as much again as the 300 MiB that it keeps for itself.
/// <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/memory/UnifiedMemoryManager.scala>
const MEMORY_MIB_MIN: u64 = 450;
/// A task that takes so many times as long as the mean of its stage holds it up, if it takes so many seconds.
const STRAGGLES_TIMES: u64 = 3;
const STRAGGLES_SECONDS_MIN: u64 = 60;

/// Spark's sizes: `18G`, `512m`; a number alone is in MiB.
fn mib(size: &str) -> Option<u64> {
    let size = size.trim().to_ascii_lowercase();
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match &size[digits.len()..] {
        "" | "m" | "mb" => Some(number),
        "g" | "gb" => number.checked_mul(1_024),
        "t" | "tb" => number.checked_mul(1_024 * 1_024),
        "k" | "kb" => Some(number / 1_024),
        _ => None,
    }
}

/// What an instance of this type has for YARN by EMR's defaults, in MiB: its memory less a quarter, or less 8 GiB if that is
/// less. Of compute, general and memory optimized types alone, whose names tell their memory.
///
/// <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html>,
/// <https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html>
fn yarn_mib(instance_type: &str) -> Option<u64> {
    let (family, size) = instance_type.split_once('.')?;
    let mut letters = family.chars();
    // No type of these has more; some have a little less, and those with more network a little more.
    let gib_a_core = match (letters.next()?, letters.next()?) {
        ('c', '5'..='8') if !family.contains('n') => 2,
        ('m', '4'..='8') => 4,
        ('r', '4'..='8') => 8,
        _ => return None,
    };
    let cores: u64 = match size {
        "large" => 2,
        "xlarge" => 4,
        _ => 4 * size.strip_suffix("xlarge")?.parse::<u64>().ok()?,
    };
    let memory = cores * gib_a_core * 1_024;
    Some(memory - (memory / 4).min(8 * 1_024))
}

/// What comes on top of an executor's memory.
enum Overhead {
    /// So many MiB, by a setting.
    Set(u64),
    /// This share of it, and what Spark adds at least.
    Share(f64),
}

impl Overhead {
    /// How much comes on top of so much memory, in MiB.
    fn of(&self, memory: u64) -> u64 {
        match self {
            Self::Set(mib) => *mib,
            Self::Share(share) => ((memory as f64 * share) as u64).max(OVERHEAD_MIB_MIN),
        }
    }

    /// How much memory there may be where both have so many MiB.
    fn beside(&self, both: u64) -> u64 {
        match self {
            Self::Set(mib) => both.saturating_sub(*mib),
            Self::Share(share) => ((both as f64 / (1.0 + share)) as u64).min(both.saturating_sub(OVERHEAD_MIB_MIN)),
        }
    }
}

/// An executor's memory, and what comes on top.
fn container(seen: &Seen<'_>) -> Option<(u64, Overhead)> {
    let memory = mib(seen.setting("spark.executor.memory")?)?;
    let keys = [
        "spark.executor.memoryOverheadFactor",
        "spark.yarn.executor.memoryOverheadFactor",
    ];
    let share = keys.iter().find_map(|key| seen.setting(key)?.parse::<f64>().ok());
    let share = Overhead::Share(share.unwrap_or(OVERHEAD_SHARE));
    let keys = ["spark.executor.memoryOverhead", "spark.yarn.executor.memoryOverhead"];
    let set = keys.iter().find_map(|key| mib(seen.setting(key)?));
    Some((memory, set.map_or(share, Overhead::Set)))
}

pub(super) fn too_large(seen: &Seen<'_>) -> Option<Weakness> {
    let (memory, overhead) = container(seen)?;
    let needed = memory + overhead.of(memory);
    let pools = capacity::spot_pools(seen);
    let types = pools.iter().flat_map(|pool| pool.weights.keys());
    let mut small: Vec<(u64, String)> = types
        .filter_map(|name| Some((yarn_mib(name)?, name.clone())))
        .filter(|(has, _)| *has < needed)
        .collect();
    small.sort();
    let least = small.first()?.0;
    let fits = Some(overhead.beside(least)).filter(|memory| *memory >= MEMORY_MIB_MIN);
    let names: Vec<String> = small.iter().map(|(_, name)| name.clone()).collect();
    Some(Weakness {
        what: "Executors do not fit on each type that the fleet may choose.".into(),
        evidence: format!(
            "An executor takes {} MiB of YARN's memory; by EMR's defaults {} {} not have that, the least of it {} MiB.",
            number(needed),
            list(&names, 5),
            if names.len() == 1 { "does" } else { "do" },
            number(least)
        ),
        advice: "On such an instance no executor of this job can run, also when it comes in place of one that went. Make executors \
                 smaller, or take these types out of the fleet."
            .into(),
        settings: fits.map(|memory| format!("spark.executor.memory={memory}m")).into_iter().collect(),
        page: Some("https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-hadoop-task-config.html"),
        ..Weakness::default()
    })
}

/// Where one task takes much longer than the mean of its stage.
pub(super) fn stragglers(seen: &Seen<'_>) -> Option<Weakness> {
    let spark = seen.report.spark.as_ref()?;
    (!seen.is_true("spark.speculation")).then_some(())?;
    let mean = |stage: &StageRow| stage.task_time_ms / u64::try_from(stage.tasks.max(1)).unwrap_or(1);
    let straggles = |stage: &&StageRow| {
        stage.status == "COMPLETE"
            && stage.tasks > 3
            && stage.longest_task_ms >= STRAGGLES_SECONDS_MIN * 1_000
            && stage.longest_task_ms >= mean(stage) * STRAGGLES_TIMES
    };
    let worst = spark
        .stages
        .iter()
        .filter(straggles)
        .max_by_key(|stage| stage.longest_task_ms - mean(stage))?;
    let seconds = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    Some(Weakness {
        what: "One task held up its stage, and nothing else was tried.".into(),
        evidence: format!(
            "The longest task of stage {} took {}; its {} took {} in the mean.",
            worst.stage_id,
            span(seconds(worst.longest_task_ms)),
            plural(usize::try_from(worst.tasks).unwrap_or(0), "task"),
            span(seconds(mean(worst)))
        ),
        price: Some(format!(
            "{} of run time at most.",
            span(seconds(worst.longest_task_ms - mean(worst)))
        )),
        advice: "If a slow node was the cause, speculation helps: Spark starts a copy of such a task elsewhere, and takes the one that \
                 ends first. If that task simply has more data, a copy takes as long: then split the data."
            .into(),
        settings: vec![
            "spark.speculation=true".into(),
            format!("spark.speculation.multiplier={STRAGGLES_TIMES}"),
        ],
        page: Some("https://spark.apache.org/docs/latest/configuration.html#scheduling"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_sparks() {
        assert_eq!(mib("18G"), Some(18_432));
        assert_eq!(
            (mib("512m"), mib(" 2048 "), mib("1t")),
            (Some(512), Some(2_048), Some(1_048_576))
        );
        assert_eq!(
            ["2gb", "3mb", "1tb", "2048k", "4096kb", "1536K"].map(mib),
            [Some(2_048), Some(3), Some(1_048_576), Some(2), Some(4), Some(1)]
        );
        assert_eq!((mib("g"), mib("4x"), mib("1.5g")), (None, None, None));
    }

    /// Values of EMR's page.
    #[test]
    fn yarns_memory_is_what_emr_lists() {
        let listed = [
            ("m5.xlarge", 12_288),
            ("r5.xlarge", 24_576),
            ("r5.2xlarge", 57_344),
            ("c5.xlarge", 6_144),
            ("m4.large", 6_144),
            ("c5.9xlarge", 65_536),
            ("m5.24xlarge", 385_024),
        ];
        for (name, mib) in listed {
            assert_eq!(yarn_mib(name), Some(mib), "{name}");
        }
        // What their names do not tell is not claimed.
        for name in ["c5n.xlarge", "i3.xlarge", "r5.metal", "p3.2xlarge", "r5"] {
            assert_eq!(yarn_mib(name), None, "{name}");
        }
    }
}
