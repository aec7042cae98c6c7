//! Notes of steps that nobody watches, whose end was not told: they are deleted, so that the ledger does not grow with
//! them, and submit-step need not ask for them.
//!
//! Separate because no report comes of it.

use std::collections::{BTreeMap, BTreeSet};

use aws::Error;
use aws::STEP_IDS_MAX;
use chrono::TimeDelta;
use rules::ledger::ActiveStep;

use super::Broom;

/// A note of a cluster that is gone is kept as long as its step's end may still be on its way.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const AGE_MAX_GONE: TimeDelta = TimeDelta::hours(7);
/// Of a cluster that lives EMR is asked whether the step goes on.
const AGE_MAX: TimeDelta = TimeDelta::hours(24);
/// Notes deleted in a sweep, and calls to EMR for it, at most.
const NOTES_MAX: usize = 200;
const CALLS_MAX: usize = 2;

impl Broom<'_> {
    /// Deletes the notes whose steps are over. `living`: the clusters that live.
    pub(super) async fn tidy(&mut self, unwatched: Vec<ActiveStep>, living: Option<&BTreeSet<String>>) {
        let Some(living) = living else { return };
        if let Err(error) = self.try_tidy(unwatched, living).await {
            self.note_problem("notes of steps that nobody watches", error);
        }
    }

    async fn try_tidy(&mut self, unwatched: Vec<ActiveStep>, living: &BTreeSet<String>) -> Result<(), Error> {
        let table = self.config.table_name.as_str();
        let (of_living, of_gone): (Vec<ActiveStep>, Vec<ActiveStep>) = unwatched
            .into_iter()
            .partition(|step| living.contains(&step.cluster_id));
        let of_gone = of_gone
            .into_iter()
            .filter(|step| self.now - step.seen_at >= AGE_MAX_GONE);
        for step in of_gone.take(NOTES_MAX) {
            self.aws
                .forget_unwatched(table, &step.cluster_id, &step.step_id)
                .await?;
        }
        let mut by_cluster: BTreeMap<&str, Vec<&ActiveStep>> = BTreeMap::new();
        for step in of_living.iter().filter(|step| self.now - step.seen_at >= AGE_MAX) {
            by_cluster.entry(&step.cluster_id).or_default().push(step);
        }
        for (cluster_id, steps) in by_cluster.into_iter().take(CALLS_MAX) {
            let ids: Vec<String> = steps
                .iter()
                .map(|step| step.step_id.clone())
                .take(STEP_IDS_MAX)
                .collect();
            self.take_turn().await;
            for step in self.aws.steps_by_id(cluster_id, &ids).await? {
                if step.is_over() {
                    self.aws.forget_unwatched(table, cluster_id, &step.id).await?;
                } else {
                    let seen = ActiveStep::unwatched(cluster_id, &step.id, self.now);
                    self.aws.note_unwatched(table, &seen).await?;
                }
            }
        }
        Ok(())
    }
}
