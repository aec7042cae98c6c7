//! Real Spark for a served account: each cluster to which somebody submits a Spark step gets an attendant, for as long as the
//! cluster is there.
//!
//! Separate from a drill's one job, because here nobody knows what comes: which clusters, which steps, which buckets.

use std::path::{Path, PathBuf};

use account::journal::Kind;
use anyhow::{Context, bail};
use serde_json::Value;

use super::attendant::Attendant;
use super::installation::Installation;
use super::mirror::Mirror;
use super::passage::Passage;
use super::storage::Storage;
use crate::gate::{Moment, Pace};
use crate::world::World;

/// Says of a folder that an earlier run may be cleared out of it.
const MARK: &str = "spot-drill-serve";

/// How often, in the machine's milliseconds, the account's S3 and the folders are brought in line while a driver runs.
const MIRROR_MS: u128 = 1000;

/// Faster, Spark's own seconds would be minutes.
const PACE_MAX: u32 = 60;

/// What is needed for it.
#[derive(Debug)]
pub struct Served {
    installation: Installation,
    folder: PathBuf,
    pace: u32,
    seed: u64,
}

impl Served {
    /// Finds Spark, and prepares the folder of all that it writes; the error says what is missing.
    pub fn prepare(folder: &Path, pace: Pace, seed: u64) -> anyhow::Result<Self> {
        let pace = match pace {
            Pace::Times(pace @ ..=PACE_MAX) => pace,
            _ => bail!("real Spark has the machine's clock: --spark needs a --pace from 1 to {PACE_MAX}"),
        };
        let installation = Installation::find()?;
        let folder = std::path::absolute(folder).with_context(|| format!("the path of {}", folder.display()))?;
        clear(&folder)?;
        Ok(Self {
            installation,
            folder,
            pace,
            seed,
        })
    }

    /// What runs.
    pub fn name(&self) -> String {
        self.installation.name()
    }

    /// Keeps the account's time, and Spark in line with the account, for ever. Virtual time is what it was at `begun`, and goes
    /// on from there.
    pub async fn keep(self, world: World, begun: Moment) {
        tokio::time::advance(begun.lag(self.pace)).await;
        let store = world.lock().account.s3.clone();
        let mirror = Mirror::new(store, Storage::new(self.folder.join("s3")), true);
        let mut clusters = match mirror {
            Ok(mirror) => Clusters {
                served: self,
                world: world.clone(),
                mirror,
                mirrored: Moment::now(),
                attendants: Vec::new(),
            },
            Err(error) => return eprintln!("error: reading the buckets' folders: {error}"),
        };
        let mut passage = Passage::begin(&world, clusters.served.pace);
        while passage.tick(&world).await {
            clusters.follow();
            clusters.look(&passage);
            passage.follow(&world, clusters.is_starting());
        }
    }
}

/// The clusters of the account that have been asked for Spark.
struct Clusters {
    served: Served,
    world: World,
    mirror: Mirror,
    mirrored: Moment,
    attendants: Vec<Attendant>,
}

impl Clusters {
    /// An attendant comes with a cluster's first application, and goes with the cluster.
    fn follow(&mut self) {
        let (mut asked, mut there) = (Vec::new(), Vec::new());
        {
            let mut state = self.world.lock();
            let all = state.account.emr.clusters();
            let ids: Vec<String> = all
                .filter(|one| !one.state.is_over())
                .map(|one| one.id.clone())
                .collect();
            for id in ids {
                state.account.emr.run_outside(&id);
                let cluster = state.account.emr.cluster(&id);
                if cluster.is_some_and(|one| one.yarn().outside().any(|application| !application.is_over())) {
                    asked.push(id.clone());
                }
                there.push(id);
            }
        }
        self.attendants
            .retain(|one| one.is_busy() || there.iter().any(|id| id == one.cluster_id()));
        for id in asked {
            if self.attendants.iter().all(|one| one.cluster_id() != id) {
                self.start(&id);
            }
        }
    }

    fn start(&mut self, id: &str) {
        let work = self.served.folder.join("work").join(id);
        let installation = self.served.installation.clone();
        match Attendant::start(&self.world, id, installation, (&work, self.served.seed)) {
            Ok(attendant) => self.attendants.push(attendant),
            Err(error) => {
                let error = format!("real Spark: {error:#}");
                eprintln!("error: cluster {id}: {error}");
                super::attendant::give_up(&self.world, id, &error);
            }
        }
    }

    /// Each cluster in turn. What goes wrong on one ends what runs there, and nothing else.
    fn look(&mut self, passage: &Passage) {
        let (world, mirror) = (&self.world, &mut self.mirror);
        self.attendants.retain_mut(|attendant| {
            let Err(error) = attendant.look(mirror, passage.moments()) else {
                return true;
            };
            let error = format!("real Spark: {error:#}");
            eprintln!("error: cluster {}: {error}", attendant.cluster_id());
            super::attendant::give_up(world, attendant.cluster_id(), &error);
            false
        });
        let is_busy = self.attendants.iter().any(Attendant::is_busy);
        if is_busy && self.mirrored.real.elapsed().as_millis() >= MIRROR_MS {
            let taken = self.mirror.take(passage.moments());
            self.tell(taken);
            let given = self.mirror.give();
            self.tell(given);
            self.mirrored = Moment::now();
        }
    }

    fn is_starting(&mut self) -> bool {
        let is_under_way = self.attendants.iter_mut().any(Attendant::is_under_way);
        !is_under_way && self.attendants.iter_mut().any(Attendant::is_starting)
    }

    fn tell(&self, failed: std::io::Result<Vec<String>>) {
        let failed = failed.unwrap_or_else(|error| vec![format!("the buckets' folders: {error}")]);
        let now = self.world.clock.now();
        for text in failed {
            let mut state = self.world.lock();
            state
                .account
                .note(now, Kind::Transition, "spark", "s3", text, Value::Null);
        }
    }
}

/// Makes the folder, or empties it of an earlier run; one that holds anything else is left alone.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("preparing the folder {}", folder.display());
    let mark = folder.join(MARK);
    std::fs::create_dir_all(folder).with_context(failed)?;
    let is_empty = std::fs::read_dir(folder).with_context(failed)?.next().is_none();
    if !is_empty && !mark.exists() {
        bail!(
            "{} holds other things than an earlier `serve --spark` left: name a folder that is empty, or none yet",
            folder.display()
        );
    }
    std::fs::write(mark, "serve --spark empties this folder when it begins\n").with_context(failed)?;
    for name in ["s3", "work"] {
        let inside = folder.join(name);
        if inside.exists() {
            std::fs::remove_dir_all(&inside).with_context(failed)?;
        }
        std::fs::create_dir(&inside).with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_elses_is_left_alone_and_one_of_an_earlier_run_emptied() {
        let folder = std::env::temp_dir().join(format!("spot-drill-served-{}", std::process::id()));
        clear(&folder).unwrap();
        std::fs::write(folder.join("s3/old"), "").unwrap();
        clear(&folder).unwrap();
        assert!(!folder.join("s3/old").exists());
        std::fs::remove_file(folder.join(MARK)).unwrap();
        std::fs::write(folder.join("s3/mine"), "").unwrap();
        let error = clear(&folder).unwrap_err().to_string();
        assert!(error.contains("name a folder that is empty"), "{error}");
        assert!(folder.join("s3/mine").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pace_that_spark_cannot_keep_is_refused() {
        for pace in [Pace::Leap, Pace::Held, Pace::Times(61)] {
            let error = Served::prepare(Path::new("/no/such"), pace, 1).unwrap_err().to_string();
            assert!(error.contains("--pace from 1 to 60"), "{error}");
        }
    }
}
