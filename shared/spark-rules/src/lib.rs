//! What Spark does when a node goes: which properties decide it, and the decisions themselves.
//!
//! A crate of its own, and pure, because two simulations stand on it, the simulated account's Spark and `what-if`: they
//! keep their state each in their own way, and may not differ in these rules.
//!
//! The rules are those of `DAGScheduler`, `TaskSetManager` and `MapOutputTracker` in
//! <https://github.com/apache/spark/tree/v3.5.5/core/src/main/scala/org/apache/spark>, and EMR's own in
//! <https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-configure.html>.

/// Spark's pause before it submits failed stages again, in which it gathers further failures, ms:
/// `DAGScheduler.RESUBMIT_TIMEOUT`.
pub const RESUBMIT_MS: i64 = 200;

/// A decommissioned executor looks this often whether it may leave, ms: `CoarseGrainedExecutorBackend.decommissionSelf`.
pub const LEAVE_CHECK_MS: i64 = 1_000;

/// Handing over one shuffle block to another executor takes about this long, ms: an assumption.
pub const MIGRATION_MS_PER_BLOCK: i64 = 150;

/// A reduce task reads its shuffle input during this part of its run time: an assumption.
pub const FETCH_SHARE: f64 = 0.4;

/// The properties that decide what the loss of a node costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// `spark.shuffle.service.enabled`: shuffle output is served by the node, and outlives its executor.
    pub shuffle_service: bool,
    /// `spark.blacklist.decommissioning.enabled`, EMR's: no new tasks on a node that is being decommissioned.
    pub exclude_decommissioning: bool,
    /// `spark.resourceManager.cleanupExpiredHost`, EMR's: the output of a node is forgotten as soon as the node is gone.
    pub cleanup_expired_host: bool,
    /// `spark.stage.attempt.ignoreOnDecommissionFetchFailure`, EMR's: fetch failures from decommissioned nodes do not
    /// count towards a stage's attempts.
    pub ignore_decommission_fetch_failure: bool,
    /// `spark.decommission.enabled`: executors of a decommissioned node leave when they are done.
    pub decommission: bool,
    /// `spark.storage.decommission.*`: and hand their shuffle blocks to others first.
    pub migrate_shuffle: bool,
    /// `spark.stage.maxConsecutiveAttempts`.
    pub stage_attempts_max: usize,
    /// `spark.task.maxFailures`.
    pub task_failures_max: u32,
    /// `spark.speculation`: a task that takes much longer than the others of its stage gets a copy on another host.
    pub speculation: bool,
    /// `spark.speculation.quantile`: the part of a stage's tasks that must have ended before.
    pub speculation_quantile: f64,
    /// `spark.speculation.multiplier`: how many times the median of their time is much.
    pub speculation_multiplier: f64,
    /// How long a fetch from a dead node is tried, ms: `spark.shuffle.io.maxRetries` times `spark.shuffle.io.retryWait`.
    pub fetch_retry_ms: i64,
}

impl Rules {
    /// Reads the properties; what is not set has Spark's default.
    /// <https://spark.apache.org/docs/3.5.6/configuration.html>
    pub fn of<'p>(get: impl Fn(&str) -> Option<&'p str>) -> Self {
        let on = |key: &str, default: bool| get(key).map_or(default, is_true);
        let number = |key: &str, default: u32| get(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default);
        let decommission = on("spark.decommission.enabled", false);
        let part = |key: &str, default: f64| get(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default);
        let retry_wait = get("spark.shuffle.io.retryWait").and_then(whole_seconds).unwrap_or(5);
        Self {
            shuffle_service: on("spark.shuffle.service.enabled", false),
            exclude_decommissioning: on("spark.blacklist.decommissioning.enabled", false),
            cleanup_expired_host: on("spark.resourceManager.cleanupExpiredHost", false),
            ignore_decommission_fetch_failure: on("spark.stage.attempt.ignoreOnDecommissionFetchFailure", false),
            decommission,
            migrate_shuffle: decommission
                && on("spark.storage.decommission.enabled", false)
                && on("spark.storage.decommission.shuffleBlocks.enabled", true),
            stage_attempts_max: number("spark.stage.maxConsecutiveAttempts", 4).max(1) as usize,
            task_failures_max: number("spark.task.maxFailures", 4).max(1),
            speculation: on("spark.speculation", false),
            speculation_quantile: part("spark.speculation.quantile", 0.75).clamp(0.0, 1.0),
            speculation_multiplier: part("spark.speculation.multiplier", 1.5).max(1.0),
            fetch_retry_ms: i64::from(number("spark.shuffle.io.maxRetries", 3))
                .saturating_mul(retry_wait)
                .saturating_mul(1_000),
        }
    }

    /// Whether the driver forgets an executor's shuffle output when it removes the executor.
    pub fn forgets_output(&self, decommissioned: bool) -> bool {
        decommissioned || !self.shuffle_service
    }

    /// Whether an executor gets no new tasks; both are asked of the executor and of its node.
    pub fn excludes(&self, executor_decommissioned: bool, node_decommissioning: bool) -> bool {
        executor_decommissioned || (self.exclude_decommissioning && node_decommissioning)
    }

    /// Whether a stage's failed fetch counts towards [`stage_attempts_max`](Self::stage_attempts_max).
    pub fn fetch_failure_counts(&self, from_decommissioning_node: bool) -> bool {
        !(self.ignore_decommission_fetch_failure && from_decommissioning_node)
    }

    /// Whether a stage is given up after so many attempts in a row that failed and count.
    pub fn gives_stage_up(&self, failed_attempts: usize) -> bool {
        failed_attempts >= self.stage_attempts_max
    }

    /// Whether a stage is given up after so many failures of one task that count: those of a lost node do not.
    pub fn gives_task_up(&self, failures: u32) -> bool {
        failures >= self.task_failures_max
    }

    /// How long a task of a stage runs before it gets a copy, ms, when so many of its tasks have ended, by their median; none
    /// as long as none does. That a task which reads no fewer rows a second than others gets none
    /// (`spark.speculation.efficiency.enabled`) is left aside. `TaskSetManager.checkSpeculatableTasks`.
    pub fn slow_after_ms(&self, tasks: u32, ended: u32, median_ms: u32) -> Option<u32> {
        /// `spark.speculation.minTaskRuntime`.
        const RUN_MS_MIN: f64 = 100.0;
        let needed = (self.speculation_quantile * f64::from(tasks)).floor().max(1.0);
        let is_due = self.speculation && tasks > 1 && f64::from(ended) >= needed;
        is_due.then(|| (self.speculation_multiplier * f64::from(median_ms)).max(RUN_MS_MIN) as u32)
    }

    /// When a decommissioned executor that holds so many shuffle blocks first looks whether it may leave, ms from then.
    pub fn leave_after_ms(&self, blocks: usize) -> i64 {
        let moved = if self.migrate_shuffle { blocks as i64 } else { 0 };
        LEAVE_CHECK_MS + moved * MIGRATION_MS_PER_BLOCK
    }
}

/// A boolean as Spark and Hadoop read it.
fn is_true(value: &str) -> bool {
    value.trim().eq_ignore_ascii_case("true")
}

/// A duration as Spark writes it, in seconds, of which `TransportConf.ioRetryWaitTimeMs` takes the whole ones; without a
/// unit it is seconds: `JavaUtils.timeStringAs`.
fn whole_seconds(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    match text[digits..].trim() {
        "us" => Some(number / 1_000_000),
        "ms" => Some(number / 1_000),
        "" | "s" => Some(number),
        "m" | "min" => number.checked_mul(60),
        "h" => number.checked_mul(3_600),
        "d" => number.checked_mul(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(properties: &[(&str, &'static str)]) -> Rules {
        Rules::of(|key| {
            properties
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn what_is_not_set_has_sparks_default() {
        let rules = rules(&[]);
        assert_eq!((rules.stage_attempts_max, rules.task_failures_max), (4, 4));
        assert_eq!(rules.fetch_retry_ms, 15_000);
        assert!(rules.forgets_output(false), "no shuffle service");
        assert!(!rules.decommission && !rules.migrate_shuffle);
    }

    /// Three times, and only whole seconds of it:
    /// <https://github.com/apache/spark/blob/v3.5.5/common/network-common/src/main/java/org/apache/spark/network/util/TransportConf.java>,
    /// `ioRetryWaitTimeMs`
    #[test]
    fn the_wait_for_a_retry_is_read_with_its_unit_and_in_whole_seconds() {
        for (text, milliseconds) in [
            ("7", 21_000),
            (" 8 s ", 24_000),
            ("999ms", 0),
            ("2500ms", 6_000),
            ("3999999us", 9_000),
            ("2m", 360_000),
            ("2min", 360_000),
            ("1h", 10_800_000),
            ("1D", 259_200_000),
            ("x", 15_000),
            ("1y", 15_000),
        ] {
            assert_eq!(
                rules(&[("spark.shuffle.io.retryWait", text)]).fetch_retry_ms,
                milliseconds,
                "{text}"
            );
        }
    }

    #[test]
    fn blocks_migrate_only_where_executors_are_decommissioned() {
        let storage = ("spark.storage.decommission.enabled", "true");
        assert!(!rules(&[storage]).migrate_shuffle);
        let both = rules(&[storage, ("spark.decommission.enabled", "true")]);
        assert!(both.migrate_shuffle);
        assert_eq!(both.leave_after_ms(2), LEAVE_CHECK_MS + 2 * MIGRATION_MS_PER_BLOCK);
        let others_only = ("spark.storage.decommission.shuffleBlocks.enabled", "false");
        let stays = rules(&[storage, ("spark.decommission.enabled", "true"), others_only]);
        assert!(!stays.migrate_shuffle);
        assert_eq!(stays.leave_after_ms(2), LEAVE_CHECK_MS, "it hands over nothing");
    }

    #[test]
    fn a_served_output_outlives_its_executor_unless_that_was_told_to_leave() {
        let served = rules(&[("spark.shuffle.service.enabled", "TRUE")]);
        assert!(!served.forgets_output(false));
        assert!(served.forgets_output(true));
    }

    #[test]
    fn a_task_is_slow_by_the_median_of_those_that_ended_and_only_once_most_have() {
        assert_eq!(rules(&[]).slow_after_ms(8, 8, 1_000), None);
        let speculates = rules(&[("spark.speculation", "true"), ("spark.speculation.multiplier", "3")]);
        assert_eq!(speculates.slow_after_ms(8, 5, 1_000), None);
        assert_eq!(speculates.slow_after_ms(8, 6, 1_000), Some(3_000));
        assert_eq!(speculates.slow_after_ms(8, 6, 10), Some(100));
        // Of a stage of one task there is no other to compare it with, and of none that has ended no median.
        assert_eq!(speculates.slow_after_ms(1, 1, 1_000), None);
        let early = rules(&[("spark.speculation", "true"), ("spark.speculation.quantile", "0.1")]);
        assert_eq!(early.slow_after_ms(2, 0, 1_000), None);
        assert_eq!(early.slow_after_ms(2, 1, 1_000), Some(1_500));
    }

    #[test]
    fn an_executor_that_was_told_to_leave_gets_no_new_tasks_and_one_on_such_a_node_only_where_emr_is_told_so() {
        let emr = rules(&[("spark.blacklist.decommissioning.enabled", "true")]);
        for (executor, node, spark_excludes, emr_excludes) in [
            (false, false, false, false),
            (false, true, false, true),
            (true, false, true, true),
            (true, true, true, true),
        ] {
            let told = format!("executor {executor}, node {node}");
            assert_eq!(rules(&[]).excludes(executor, node), spark_excludes, "{told}");
            assert_eq!(emr.excludes(executor, node), emr_excludes, "{told}");
        }
    }

    #[test]
    fn the_fourth_failed_attempt_in_a_row_is_the_last() {
        assert!(!rules(&[]).gives_stage_up(3) && !rules(&[]).gives_task_up(3));
        assert!(rules(&[]).gives_stage_up(4) && rules(&[]).gives_task_up(4));
        assert!(rules(&[]).fetch_failure_counts(true), "EMR's property is not set");
        let emr = rules(&[("spark.stage.attempt.ignoreOnDecommissionFetchFailure", "true")]);
        assert!(!emr.fetch_failure_counts(true));
        assert!(emr.fetch_failure_counts(false));
    }
}
