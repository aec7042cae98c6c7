//! Which clusters are watched. EC2 tells of those that live and of those that ended a short while ago, for one call to
//! EC2; EMR tells of others that ended since the last sweep, for one or two.
//!
//! Separate because it is the only place where the sweep lists clusters.

use std::collections::{BTreeMap, BTreeSet};

use aws::config::{Clusters, watches_all};
use aws::{ListedCluster, Primary};
use chrono::{DateTime, TimeDelta, Utc};
use rules::ledger::{Sweep, Watch};

use super::{Broom, PAUSE, is_throttle};

/// A cluster that the last sweep did not see, since it had no instances yet, was created no longer before it than this.
const STARTS_WITHIN: TimeDelta = TimeDelta::hours(1);

impl Broom<'_> {
    /// Brings up to date which clusters are watched. Returns those that live; `None`: nobody can say.
    ///
    /// A cluster that ended since the last sweep was seen by it, or was created since. What was before the first sweep is
    /// none of ours, but for the hours that are looked at.
    pub(super) async fn find_clusters(&mut self, sweep: &mut Sweep) -> Option<BTreeSet<String>> {
        let by_primary = match self.aws.clusters_by_primary().await {
            Ok(found) => found,
            Err(error) => {
                self.note_problem("EC2's primary nodes", error);
                return None;
            }
        };
        let last = sweep.swept_at.filter(|swept| *swept >= self.since);
        let watch = Watch {
            from: last.unwrap_or(self.since),
            until: None,
        };
        let living: BTreeSet<String> = by_primary
            .iter()
            .filter(|(_, primary)| primary.lives)
            .map(|(id, _)| id.clone())
            .collect();
        sweep.done.retain(|id| !living.contains(id));
        for (id, primary) in &by_primary {
            if self.is_watched(primary) {
                if !sweep.done.contains(id) {
                    sweep.watches.entry(id.clone()).or_insert(watch).until = None;
                }
            } else if primary.lives
                && let Some(watch) = sweep.watches.get_mut(id)
            {
                watch.until.get_or_insert(self.now);
            }
        }
        let since = self.since;
        sweep
            .watches
            .retain(|_, watch| watch.until.is_none_or(|until| until >= since));
        let created_since = last.map_or(self.since, |last| last - STARTS_WITHIN);
        match self.aws.ended_clusters(created_since, PAUSE).await {
            Ok(listed) => {
                forget_unlisted(sweep, &listed, &by_primary);
                let all = watches_all(self.config.clusters, self.config.report_on);
                for id in ended_unseen(sweep, &listed, &by_primary, self.since) {
                    if all {
                        sweep.watches.insert(id, watch);
                    } else {
                        sweep.unknown.insert(id);
                    }
                }
                sweep.swept_at = Some(self.now);
            }
            Err(error) => self.note_problem("the list of clusters", error),
        }
        self.ask_of_unknown(sweep).await;
        Some(living)
    }

    fn is_watched(&self, primary: &Primary) -> bool {
        watches_all(self.config.clusters, self.config.report_on) || Clusters::opts_in(&primary.tags)
    }

    /// Asks EMR whether those were opted in of which EC2 said nothing, as far as time goes. It may take several sweeps until
    /// EMR answers, so when the last one was says nothing of how long such a cluster was opted in.
    async fn ask_of_unknown(&mut self, sweep: &mut Sweep) {
        let watch = Watch {
            from: self.since,
            until: None,
        };
        for id in sweep.unknown.clone() {
            if !self.has_time() {
                return;
            }
            self.take_turn().await;
            match self.aws.cluster(&id).await {
                Ok(Some(cluster)) if Clusters::opts_in(&cluster.tags) => {
                    sweep.watches.insert(id.clone(), watch);
                }
                Ok(_) => {
                    sweep.done.insert(id.clone());
                }
                Err(error) if is_throttle(&error) => return,
                Err(error) => {
                    self.note_problem(&format!("cluster {id}"), error);
                    continue;
                }
            }
            sweep.unknown.remove(&id);
        }
    }
}

/// What EMR lists no more, and EC2 does not know, need not be kept in mind.
fn forget_unlisted(sweep: &mut Sweep, listed: &[ListedCluster], by_primary: &BTreeMap<String, Primary>) {
    let ids: BTreeSet<&str> = listed.iter().map(|one| one.id.as_str()).collect();
    sweep
        .done
        .retain(|id| ids.contains(id.as_str()) || by_primary.contains_key(id));
}

/// Of those that ended: the ones that are neither watched already nor seen to be none of ours.
fn ended_unseen(
    sweep: &Sweep,
    listed: &[ListedCluster],
    by_primary: &BTreeMap<String, Primary>,
    since: DateTime<Utc>,
) -> Vec<String> {
    let is_unseen = |one: &&ListedCluster| {
        let is_known = sweep.done.contains(&one.id) || sweep.watches.contains_key(&one.id);
        let is_old = one.ended_at.is_some_and(|ended| ended < since);
        let lives = by_primary.get(&one.id).is_some_and(|primary| primary.lives);
        !is_known && !is_old && !lives
    };
    listed.iter().filter(is_unseen).map(|one| one.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn what_ended_lately_and_was_not_seen_before_is_looked_at() {
        let watch = Watch {
            from: at(0),
            until: None,
        };
        let mut sweep = Sweep {
            watches: [("j-WATCHED".to_owned(), watch)].into(),
            done: ["j-DONE", "j-OUTLIVED", "j-FORGOTTEN"].map(str::to_owned).into(),
            ..Sweep::default()
        };
        let primary = |lives| Primary {
            tags: BTreeMap::new(),
            lives,
        };
        let by_primary = [("j-LIVES", true), ("j-DEAD", false), ("j-OUTLIVED", false)]
            .map(|(id, lives)| (id.to_owned(), primary(lives)))
            .into();
        let listed = [
            ("j-WATCHED", Some(200)),
            ("j-DONE", Some(200)),
            ("j-LIVES", None),
            ("j-DEAD", Some(200)),
            ("j-NEW", Some(100)),
            ("j-OLD", Some(99)),
            ("j-ENDS", None),
        ]
        .map(|(id, ended)| ListedCluster {
            id: id.into(),
            name: "n".into(),
            ended_at: ended.map(at),
        });
        let unseen = ended_unseen(&sweep, &listed, &by_primary, at(100));
        assert_eq!(unseen, ["j-DEAD", "j-NEW", "j-ENDS"]);
        forget_unlisted(&mut sweep, &listed, &by_primary);
        assert_eq!(sweep.done, ["j-DONE", "j-OUTLIVED"].map(str::to_owned).into());
    }

    #[test]
    fn what_an_older_version_kept_is_read_and_begins_anew() {
        let kept =
            serde_json::json!({"swept_at": "2026-11-20T14:00:00Z", "open": ["j-A"], "done": ["j-B"], "next": "j-A"});
        let sweep: Sweep = serde_json::from_value(kept).unwrap();
        assert!(sweep.watches.is_empty() && sweep.unknown.is_empty());
        assert!(sweep.done.contains("j-B"));
        let watch: Watch = serde_json::from_value(serde_json::json!({"from": "2026-11-20T14:00:00Z"})).unwrap();
        assert_eq!(watch.until, None);
        assert_eq!(Some(watch.from), DateTime::from_timestamp(1_795_183_200, 0));
    }
}
