//! Real Spark under the simulated account: Apache's driver and executors run a step's job, on processes that come and go
//! with the instances that EC2 and EMR say are there.
//!
//! Separate because here are processes and the machine's time, which the rest of this crate does not know. Linux only:
//! it needs a loopback address for each machine, and `/proc`.
//!
//! * `attendant`: a cluster of the account's and its processes, each brought in line with the other; `served`: all clusters of a
//!   served account; `passage`: how time passes meanwhile;
//! * `installation`: Java and pyspark; `processes`: all that was started, and how it ends;
//! * `standalone`: Spark's master, and a worker for each node; `driver`: `spark-submit`, given what `submission` makes of
//!   the step's arguments;
//! * `storage`: S3 as folders; `mirror`: these and the account's S3; `event_log` and `moments`: what Spark logs, in the account's names and times;
//! * `rows`: what a run wrote.
//!
//! The account knows of it only that an application runs outside, and how it ended: `Yarn::submit_outside`, `Yarn::tell`.

mod attendant;
mod driver;
mod event_log;
mod installation;
mod mirror;
mod moments;
mod passage;
mod processes;
mod rows;
mod served;
mod standalone;
mod storage;
mod submission;

use std::path::{Path, PathBuf};

use account::emr::{Cluster, ClusterState};
use account::journal::Entry;
use anyhow::Context;
use serde_json::json;

use crate::comparison::Written;
use crate::director;
use crate::job::{BASELINE, Job, Sitting};
use crate::run::{Run, Stage};
use crate::settings::Settings;
use crate::world::{State, World};

use attendant::Attendant;
use installation::Installation;
use mirror::Mirror;
use passage::Passage;
pub use served::Served;
use storage::Storage;

/// The folder of all that Spark writes: emptied when a run begins.
const FOLDER: &str = "real-spark";

/// Runs a job. `watch` sees each entry of the journal soon after it was written.
pub fn run(job: &Job, sitting: Sitting<'_>, watch: impl FnMut(&Entry)) -> anyhow::Result<Run> {
    let installation = Installation::find()?;
    let stage = Stage {
        parameters: job.parameters(sitting.settings, sitting.baseline.is_some()),
        faults: sitting.settings.faults(),
        seed: sitting.seed,
    };
    let folder = std::path::absolute(sitting.out.join(FOLDER)).context("the output's folder")?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    let output = sitting.baseline.and_then(|(out, uri)| s3(out).path(uri));
    let (job, settings, pace) = (job.clone(), sitting.settings.clone(), sitting.pace);
    let chance = sitting.seed;
    let direct = async move |world: World| {
        let mirror = stage_files(&world, &job, &folder)?;
        if let Some(output) = output {
            stage_baseline(&world, &output)?;
        }
        let work = folder.join("work");
        direct(world, job, settings, (installation, mirror, pace, chance, work)).await
    };
    stage.play(direct, watch)
}

/// What runs wrote, by their folders.
pub fn rows(folders: &[&Path]) -> anyhow::Result<Vec<Written>> {
    rows::count(
        &Installation::find()?,
        folders.iter().map(|folder| s3(folder).root().to_owned()),
    )
}

fn s3(out: &Path) -> Storage {
    Storage::new(out.join(FOLDER).join("s3"))
}

/// What the job wrote undisturbed, where the deployment looks for it.
fn stage_baseline(world: &World, output: &Path) -> anyhow::Result<()> {
    let failed = || format!("reading {}", output.display());
    for file in storage::files(output).with_context(failed)? {
        let key = file.strip_prefix(output).unwrap_or(&file).display().to_string();
        if !storage::is_checksum(&file) {
            let now = world.clock.now();
            let bytes = std::fs::read(&file).with_context(failed)?;
            world.lock().account.s3.put(&format!("{BASELINE}{key}"), bytes, now)?;
        }
    }
    Ok(())
}

/// Makes the cluster, lets its workers come, and submits the job; then time passes as it does for Spark, until the step is
/// over.
async fn direct(
    world: World,
    job: Job,
    settings: Settings,
    (installation, mut mirror, pace, seed, work): (Installation, Mirror, u32, u64, PathBuf),
) -> anyhow::Result<()> {
    let spark = installation.name();
    let answer = director::emr(&world, "RunJobFlow", Job::cluster(&settings))?;
    let cluster_id = answer["JobFlowId"]
        .as_str()
        .context("RunJobFlow answers an id")?
        .to_owned();
    director::until(&world, |state| is_waiting(state, &cluster_id)).await?;
    world.lock().account.emr.run_outside(&cluster_id);
    let mut real = Attendant::start(&world, &cluster_id, installation, (&work, seed))?;
    let step = json!({"JobFlowId": cluster_id, "Steps": [job.step(&spark)]});
    director::emr(&world, "AddJobFlowSteps", step)?;
    let mut passage = Passage::begin(&world, pace);
    while !is_over(&world.lock(), &cluster_id) && passage.tick(&world).await {
        real.look(&mut mirror, passage.moments())?;
        passage.follow(&world, real.is_starting());
    }
    Ok(())
}

/// The job's files, in the folders that Spark sees as S3, and in the account's S3 what is the step's own.
fn stage_files(world: &World, job: &Job, folder: &Path) -> anyhow::Result<Mirror> {
    let storage = Storage::new(folder.join("s3"));
    let failed = || format!("making the buckets' folders in {}", folder.display());
    for bucket in &job.buckets {
        storage.make_bucket(bucket).with_context(failed)?;
        world.lock().account.s3.create_bucket(bucket);
    }
    for (uri, file) in &job.files {
        storage
            .copy(file, uri)
            .with_context(|| format!("copying {}", file.display()))?;
        if file.is_file() {
            let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            let now = world.clock.now();
            world.lock().account.s3.put(uri, text, now)?;
        }
    }
    // What the job finds there it did not write.
    let store = world.lock().account.s3.clone();
    Mirror::new(store, storage, false).with_context(failed)
}

fn is_waiting(state: &State, cluster_id: &str) -> bool {
    let cluster = state.account.emr.cluster(cluster_id);
    cluster.is_some_and(|one| one.state == ClusterState::Waiting)
}

fn is_over(state: &State, cluster_id: &str) -> bool {
    let cluster = state.account.emr.cluster(cluster_id);
    let is_over = |one: &Cluster| {
        // A step that does not wait for its application is over before it.
        let mut outside = one.yarn().outside();
        one.steps.iter().all(|step| step.ended_at.is_some()) && outside.all(|application| application.is_over())
    };
    cluster.is_none_or(is_over)
}
