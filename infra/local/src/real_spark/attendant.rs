//! Who stands between the account and the processes: brings each in line with the other, again and again.
//!
//! Separate because it is all that happens while the job runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use account::emr::Role;
use account::journal::Kind;
use account::spark::{Settings as SparkSettings, Submission};
use account::yarn::State as Yarn;
use anyhow::Context;
use serde_json::{Value, json};

use super::driver::{Driver, Place};
use super::event_log::Translation;
use super::installation::Installation;
use super::mirror::Mirror;
use super::moments::Moments;
use super::standalone::{Change, Node, Standalone};
use super::storage::SCHEMES;
use super::submission::Room;
use crate::world::{State, World};

fn nodes(state: &State, cluster_id: &str) -> Vec<Node> {
    let cluster = state.account.emr.cluster(cluster_id).into_iter();
    cluster
        .flat_map(|cluster| cluster.yarn().nodes())
        .map(|(node, is_leaving)| Node {
            instance_id: node.instance_id.clone(),
            host: node.host.clone(),
            is_leaving,
            runs_drivers: node.runs_drivers,
        })
        .collect()
}

/// The applications of a cluster.
fn submitted(world: &World, cluster_id: &str) -> Vec<(String, Yarn, Submission)> {
    let state = world.lock();
    let cluster = state.account.emr.cluster(cluster_id).into_iter();
    let outside = cluster.flat_map(|cluster| cluster.yarn().outside());
    outside
        .map(|one| (one.id.to_owned(), one.state.clone(), one.submission.clone()))
        .collect()
}

/// Fails a cluster's applications: this machine cannot go on with them.
pub(super) fn give_up(world: &World, cluster_id: &str, why: &str) {
    for (id, state, _) in submitted(world, cluster_id) {
        if matches!(state, Yarn::Accepted | Yarn::Running) {
            let now = world.clock.now();
            let state = Yarn::Failed(why.to_owned());
            world.lock().account.tell_application(now, &id, &state);
        }
    }
    world.changed();
}

/// What runs, and for whom.
pub(super) struct Attendant {
    world: World,
    cluster_id: String,
    standalone: Standalone,
    room: Room,
    primary: Place,
    chance: fastrand::Rng,
    attempts: BTreeMap<String, u32>,
    drivers: Vec<Driver>,
    /// Whether an application waits for the workers.
    waits: bool,
    work: PathBuf,
}

impl Attendant {
    /// Starts the master and a worker for each node that is there.
    pub(super) fn start(
        world: &World,
        cluster_id: &str,
        installation: Installation,
        (work, seed): (&Path, u64),
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(work).with_context(|| format!("making the folder {}", work.display()))?;
        let there = nodes(&world.lock(), cluster_id);
        let room = Room::of(cores(), available_mb(), u32::try_from(there.len()).unwrap_or(u32::MAX))?;
        let mut standalone = Standalone::start(installation, work, room.executor_cores)?;
        let (instance_id, host) = primary(&world.lock(), cluster_id).context("the cluster has a primary node")?;
        let address = standalone.address(&host);
        let mut real = Self {
            world: world.clone(),
            cluster_id: cluster_id.to_owned(),
            standalone,
            room,
            primary: Place { instance_id, address },
            chance: fastrand::Rng::with_seed(seed),
            attempts: BTreeMap::new(),
            drivers: Vec::new(),
            waits: false,
            work: work.to_owned(),
        };
        real.follow_nodes()?;
        Ok(real)
    }

    /// The cluster that it stands by.
    pub(super) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Brings the processes in line with the account, and the account with what became of them.
    pub(super) fn look(&mut self, mirror: &mut Mirror, moments: &Moments) -> anyhow::Result<()> {
        self.follow_nodes()?;
        self.waits = false;
        for (id, state, asked) in submitted(&self.world, &self.cluster_id) {
            let running = self.drivers.iter().position(|driver| driver.application_id == id);
            match (state, running) {
                (Yarn::Accepted, None) if self.standalone.is_ready()? => self.start_driver(&id, &asked, mirror)?,
                (Yarn::Accepted, None) => self.waits = true,
                (Yarn::Running, Some(at)) => {
                    if let Some(code) = self.drivers[at].ended()? {
                        let driver = self.drivers.remove(at);
                        self.conclude(&driver, &asked, code, (mirror, moments))?;
                    }
                }
                // Somebody killed it: what it had said until then is there, but no event log, which it never closed.
                (Yarn::Killed, Some(at)) => {
                    let mut driver = self.drivers.remove(at);
                    driver.kill(&self.standalone);
                    self.tell_words(&driver, &asked, moments)?;
                    self.take(mirror, moments)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether Spark is to be waited for: an application waits for the workers, or no driver has come to its first job yet.
    pub(super) fn is_starting(&mut self) -> bool {
        (self.waits || !self.drivers.is_empty()) && !self.is_under_way()
    }

    /// Whether a driver has an executor on each node, and has begun its first job.
    pub(super) fn is_under_way(&mut self) -> bool {
        let nodes = (self.standalone.cores() / self.room.executor_cores) as usize;
        self.drivers.iter_mut().any(|driver| driver.is_under_way(nodes))
    }

    /// Whether a driver runs.
    pub(super) fn is_busy(&self) -> bool {
        !self.drivers.is_empty()
    }

    fn follow_nodes(&mut self) -> anyhow::Result<()> {
        let nodes = nodes(&self.world.lock(), &self.cluster_id);
        for (instance_id, change) in self.standalone.follow(&nodes)? {
            let text = match change {
                Change::Started(address) => format!("worker started at {address}"),
                Change::Told => "worker told that it goes: no new tasks".to_owned(),
                Change::Killed(processes) => format!("{processes} processes killed with their instance"),
            };
            self.note(&instance_id, text, Value::Null);
        }
        Ok(())
    }

    fn start_driver(&mut self, id: &str, asked: &Submission, mirror: &mut Mirror) -> anyhow::Result<()> {
        let place = if asked.deploy_cluster_mode {
            match self.drivers_place() {
                Some(place) => place,
                // YARN waits for a node, and so does the application.
                None => return Ok(()),
            }
        } else {
            self.primary.clone()
        };
        for text in mirror.give().context("writing into the buckets' folders")? {
            self.note(id, text, Value::Null);
        }
        let attempt = self.attempts.get(id).map_or(1, |number| number + 1);
        self.attempts.insert(id.to_owned(), attempt);
        let driver = Driver::start(
            &self.standalone,
            mirror.storage(),
            (id, attempt),
            (asked, self.room),
            (&place, &self.work),
        )?;
        if attempt == 1 && !driver.cuts.is_empty() {
            let text = format!("cut to this machine, or left out: {}", driver.cuts.join("; "));
            self.note(id, text, json!({"cuts": driver.cuts}));
        }
        self.drivers.push(driver);
        let (now, text) = (
            self.world.clock.now(),
            format!("driver started on {}", place.instance_id),
        );
        self.note(id, text, json!({"attempt": attempt, "driver": place.instance_id}));
        self.world.lock().account.tell_application(now, id, &Yarn::Running);
        self.world.changed();
        Ok(())
    }

    /// A node that YARN may start the application master on: any of them.
    fn drivers_place(&mut self) -> Option<Place> {
        let nodes = nodes(&self.world.lock(), &self.cluster_id).into_iter();
        let may: Vec<Node> = nodes.filter(|node| node.runs_drivers && !node.is_leaving).collect();
        let node = self.chance.choice(may)?;
        Some(Place {
            address: self.standalone.address_of(&node.instance_id)?,
            instance_id: node.instance_id,
        })
    }

    /// A driver has ended: what it left goes to S3, and YARN is told.
    fn conclude(
        &mut self,
        driver: &Driver,
        asked: &Submission,
        code: i32,
        (mirror, moments): (&mut Mirror, &Moments),
    ) -> anyhow::Result<()> {
        let id = &driver.application_id;
        let log = driver.event_log(&self.translation(driver, asked, moments))?;
        self.take(mirror, moments)?;
        if let Some(master) = driver.masters_own() {
            let text = format!(
                "the job's own code sets the master {master}: it ran in its driver alone, and had nothing on the nodes"
            );
            self.note(id, text, json!({"master": master}));
        }
        let now = self.world.clock.now();
        if let (Some(log), Some(uri)) = (log, log_uri(driver, asked)) {
            self.put(&uri, log, now);
        }
        self.tell_words(driver, asked, moments)?;
        let is_there =
            driver.instance_id == self.primary.instance_id || self.standalone.address_of(&driver.instance_id).is_some();
        let why = if is_there {
            format!("User application exited with status {code}")
        } else {
            "AM Container exited with exitCode: -100. Container released on a *lost* node".to_owned()
        };
        let may_try_again = driver.attempt < SparkSettings::of(asked).max_app_attempts;
        let state = match code {
            0 => Yarn::Succeeded,
            _ if may_try_again => Yarn::Accepted,
            _ => Yarn::Failed(why.clone()),
        };
        self.note(
            id,
            format!("driver ended with status {code}"),
            json!({"attempt": driver.attempt, "status": code}),
        );
        if state == Yarn::Accepted {
            self.note(id, format!("attempt {} failed: {why}", driver.attempt), Value::Null);
        }
        self.world.lock().account.tell_application(now, id, &state);
        self.world.changed();
        Ok(())
    }

    fn translation<'a>(&'a self, driver: &'a Driver, asked: &Submission, moments: &'a Moments) -> Translation<'a> {
        Translation {
            moments,
            hosts: self.standalone.hosts(),
            application_id: &driver.application_id,
            attempt: asked.deploy_cluster_mode.then_some(driver.attempt),
        }
    }

    fn tell_words(&self, driver: &Driver, asked: &Submission, moments: &Moments) -> anyhow::Result<()> {
        let words = driver.words(&self.translation(driver, asked, moments))?;
        let mut state = self.world.lock();
        state
            .account
            .emr
            .tell_words(&driver.application_id, driver.attempt, &words);
        Ok(())
    }

    /// What was written into the buckets' folders appears in the account's S3.
    fn take(&self, mirror: &mut Mirror, moments: &Moments) -> anyhow::Result<()> {
        let failed = mirror.take(moments).context("reading the buckets' folders")?;
        for text in failed {
            self.note(&self.cluster_id, text, Value::Null);
        }
        Ok(())
    }

    fn put(&self, uri: &str, bytes: Vec<u8>, at: account::api::Time) {
        let put = self.world.lock().account.s3.put(uri, bytes, at);
        if let Err(error) = put {
            self.note(uri, format!("not written: {error}"), Value::Null);
        }
    }

    fn note(&self, subject: &str, text: String, data: Value) {
        let now = self.world.clock.now();
        self.world
            .lock()
            .account
            .note(now, Kind::Transition, "spark", subject, text, data);
    }
}

/// Where EMR's Spark would write the event log, if that is S3.
fn log_uri(driver: &Driver, asked: &Submission) -> Option<String> {
    let (scheme, place) = asked.conf.get("spark.eventLog.dir")?.split_once("://")?;
    let is_on = asked
        .conf
        .get("spark.eventLog.enabled")
        .is_some_and(|on| on.trim().eq_ignore_ascii_case("true"));
    let name = match asked.deploy_cluster_mode {
        true => format!("{}_{}", driver.application_id, driver.attempt),
        false => driver.application_id.clone(),
    };
    (is_on && SCHEMES.contains(&scheme)).then(|| format!("s3://{}/{name}", place.trim_end_matches('/')))
}

fn primary(state: &State, cluster_id: &str) -> Option<(String, String)> {
    let instances = &state.account.emr.cluster(cluster_id)?.instances;
    let mut primaries = instances.iter().filter(|one| one.role == Role::Master);
    primaries
        .next()
        .map(|one| (one.ec2_instance_id.clone(), one.private_dns_name.clone()))
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// Memory that the kernel would give without swapping.
fn available_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kb.map_or(4096, |kb| kb / 1024)
}
