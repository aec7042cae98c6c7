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
use super::moments::Moments;
use super::standalone::{Change, Node, Standalone};
use super::storage::Storage;
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

/// What runs, and for whom.
pub(super) struct Attendant {
    world: World,
    cluster_id: String,
    standalone: Standalone,
    storage: Storage,
    moments: Moments,
    room: Room,
    primary: Place,
    chance: fastrand::Rng,
    attempts: BTreeMap<String, u32>,
    drivers: Vec<Driver>,
    work: PathBuf,
}

impl Attendant {
    /// Starts the master and a worker for each node that is there, while virtual time stands: nothing is awaited here.
    pub(super) fn start(
        world: &World,
        cluster_id: &str,
        installation: Installation,
        storage: Storage,
        (folder, seed): (&Path, u64),
    ) -> anyhow::Result<Self> {
        let work = folder.join("work");
        std::fs::create_dir_all(&work).with_context(|| format!("making the folder {}", work.display()))?;
        let there = nodes(&world.lock(), cluster_id);
        let room = Room::of(cores(), available_mb(), u32::try_from(there.len()).unwrap_or(u32::MAX));
        let mut standalone = Standalone::start(installation, &work, room.executor_cores)?;
        let (instance_id, host) = primary(&world.lock(), cluster_id).context("the cluster has a primary node")?;
        let address = standalone.address(&host);
        let mut real = Self {
            world: world.clone(),
            cluster_id: cluster_id.to_owned(),
            standalone,
            storage,
            moments: Moments::begin(world.clock.now(), 1),
            room,
            primary: Place { instance_id, address },
            chance: fastrand::Rng::with_seed(seed),
            attempts: BTreeMap::new(),
            drivers: Vec::new(),
            work,
        };
        real.follow_nodes()?;
        real.standalone.wait()?;
        Ok(real)
    }

    /// From now on virtual time passes so many times as fast as the machine's.
    pub(super) fn pass(&mut self, factor: u32, is_first: bool) {
        let now = self.world.clock.now();
        if is_first {
            self.moments = Moments::begin(now, factor);
        } else {
            self.moments.change(now, factor);
        }
    }

    /// Brings the processes in line with the account, and the account with what became of them.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        self.follow_nodes()?;
        let submitted: Vec<(String, Yarn, Submission)> = {
            let state = self.world.lock();
            let cluster = state.account.emr.cluster(&self.cluster_id).into_iter();
            let outside = cluster.flat_map(|cluster| cluster.yarn().outside());
            outside
                .map(|one| (one.id.to_owned(), one.state.clone(), one.submission.clone()))
                .collect()
        };
        for (id, state, asked) in submitted {
            let running = self.drivers.iter().position(|driver| driver.application_id == id);
            match (state, running) {
                (Yarn::Accepted, None) => self.start_driver(&id, &asked)?,
                (Yarn::Running, Some(at)) => {
                    if let Some(code) = self.drivers[at].ended()? {
                        let driver = self.drivers.remove(at);
                        self.conclude(&driver, &asked, code)?;
                    }
                }
                // Somebody killed it.
                (Yarn::Killed, Some(at)) => self.drivers.remove(at).kill(&self.standalone),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a driver has an executor on each node and has begun its first job, or has ended before.
    pub(super) fn has_started(&self) -> bool {
        let nodes = (self.standalone.cores() / self.room.executor_cores) as usize;
        let is_under_way = self.drivers.iter().any(|driver| driver.is_under_way(nodes));
        is_under_way || (self.drivers.is_empty() && !self.attempts.is_empty())
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

    fn start_driver(&mut self, id: &str, asked: &Submission) -> anyhow::Result<()> {
        let place = if asked.deploy_cluster_mode {
            match self.drivers_place() {
                Some(place) => place,
                // YARN waits for a node, and so does the application.
                None => return Ok(()),
            }
        } else {
            self.primary.clone()
        };
        let attempt = self.attempts.get(id).map_or(1, |number| number + 1);
        self.attempts.insert(id.to_owned(), attempt);
        let (room, cuts) = self.room.granted(asked);
        if attempt == 1 && !cuts.is_empty() {
            self.note(
                id,
                format!("cut to this machine: {}", cuts.join(", ")),
                json!({"cuts": cuts}),
            );
        }
        let which = (id, attempt);
        let driver = Driver::start(
            &self.standalone,
            &self.storage,
            which,
            (asked, room),
            (&place, &self.work),
        )?;
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
    fn conclude(&mut self, driver: &Driver, asked: &Submission, code: i32) -> anyhow::Result<()> {
        let id = &driver.application_id;
        let translation = Translation {
            moments: &self.moments,
            hosts: self.standalone.hosts(),
            application_id: id,
            attempt: asked.deploy_cluster_mode.then_some(driver.attempt),
        };
        let words = driver.words(&translation)?;
        let log = driver.event_log(&translation)?;
        self.take_written()?;
        let now = self.world.clock.now();
        if let (Some(log), Some(uri)) = (log, log_uri(driver, asked)) {
            self.put(&uri, log, now);
        }
        self.world.lock().account.emr.tell_words(id, driver.attempt, &words);
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

    /// What was written into the buckets' folders appears in the account's S3, at the time at which it was written.
    fn take_written(&mut self) -> anyhow::Result<()> {
        for written in self.storage.written().context("reading the buckets' folders")? {
            // A file that went meanwhile was a temporary one.
            if let Ok(bytes) = std::fs::read(&written.path) {
                self.put(&written.uri, bytes, self.moments.at(written.modified_at.into()));
            }
        }
        Ok(())
    }

    fn put(&self, uri: &str, bytes: Vec<u8>, at: account::api::Time) {
        if let Err(error) = self.world.lock().account.s3.put(uri, bytes, at) {
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
    let place = asked
        .conf
        .get("spark.eventLog.dir")
        .filter(|place| place.starts_with("s3"))?;
    let is_on = asked
        .conf
        .get("spark.eventLog.enabled")
        .is_some_and(|on| on.trim().eq_ignore_ascii_case("true"));
    let name = match asked.deploy_cluster_mode {
        true => format!("{}_{}", driver.application_id, driver.attempt),
        false => driver.application_id.clone(),
    };
    is_on.then(|| format!("{}/{name}", place.trim_end_matches('/')))
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
