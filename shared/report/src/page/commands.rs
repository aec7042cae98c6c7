//! Commands by which a reader checks the report. Whatever comes from outside is quoted for a shell.

use super::digest::Digest;
use crate::Text;

/// The commands.
pub(super) fn of(digest: &Digest<'_>) -> Vec<Text> {
    let report = digest.report;
    let mut commands = vec![format!(
        "aws emr describe-step --cluster-id {} --step-id {}",
        quoted(&report.cluster.id),
        quoted(&report.step.id)
    )];
    let experiments = report
        .drill
        .experiments
        .iter()
        .filter_map(|one| one.experiment_id.as_deref());
    commands.extend(experiments.map(|id| format!("aws fis get-experiment --id {}", quoted(id))));
    if let Some(spark) = &report.spark {
        commands.push(format!("local spark-log {}", quoted(&spark.event_log)));
    }
    if let Some(output) = &report.output {
        commands.push(format!(
            "aws s3 ls --recursive --summarize {}",
            quoted(&output.location)
        ));
    }
    commands.into_iter().map(Text::from).collect()
}

/// A word as a POSIX shell takes it literally.
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_each_word_literally() {
        assert_eq!(quoted("s3://b/a_1/x"), "s3://b/a_1/x");
        assert_eq!(quoted("s3://b/$(rm -rf ~)"), "'s3://b/$(rm -rf ~)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
