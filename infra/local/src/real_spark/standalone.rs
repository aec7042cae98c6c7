//! Spark's standalone cluster: a master, and a worker for each node of the simulated cluster.
//!
//! Separate because it follows the nodes and nothing else. Each worker has a loopback address of its own, as has the
//! master, and the driver; so none is in another's way, whatever ports they like.
//!
//! On EC2's notice a worker is told to decommission, which is what EMR makes of a notice as far as Spark is concerned: its
//! executor gets no new tasks, and goes on with those it has. Whether it moves its blocks elsewhere meanwhile, and ends when
//! it is done, the job's own `spark.decommission.enabled` and `spark.storage.decommission.enabled` say.
//! <https://spark.apache.org/docs/3.5.6/configuration.html#execution-behavior>, and for the signal
//! <https://github.com/apache/spark/blob/v3.5.5/core/src/main/scala/org/apache/spark/deploy/worker/Worker.scala>

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::installation::Installation;
use super::processes::Processes;
use crate::gate::Moment;

/// Ports of Spark's own, free on every loopback address.
const PORT: u16 = 7077;
const PAGE: u16 = 8080;
/// A JVM that lives with ten others on two cores.
pub(super) const QUIET_JVM: &str = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1";
/// How often the master is asked whether its workers are there, and how long.
const LOOK: Duration = Duration::from_millis(200);
const START_MAX: Duration = Duration::from_secs(120);
/// A port that nobody else wants: who has it has the network.
const RESERVED: u16 = 7076;

/// A node, as YARN has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// The EC2 instance.
    pub(super) instance_id: String,
    /// Its private DNS name.
    pub(super) host: String,
    /// Whether YARN is decommissioning it.
    pub(super) is_leaving: bool,
    /// Whether drivers may run there.
    pub(super) runs_drivers: bool,
}

#[derive(Debug)]
struct Worker {
    process: Child,
    address: Ipv4Addr,
    folder: PathBuf,
    was_told: bool,
}

/// What happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A worker was started at this address.
    Started(Ipv4Addr),
    /// The worker was told that it goes.
    Told,
    /// So many processes were ended.
    Killed(usize),
}

/// The cluster's processes.
#[derive(Debug)]
pub(super) struct Standalone {
    processes: Processes,
    installation: Installation,
    work: PathBuf,
    network: u8,
    /// Keeps the network for this run.
    _reserved: TcpListener,
    begun: Moment,
    /// When the master was last asked.
    asked: Moment,
    is_ready: bool,
    /// Of which the first is the master's.
    addresses: u16,
    cores: u32,
    workers: BTreeMap<String, Worker>,
    /// All addresses that were given, and the hosts that they stand for.
    hosts: Vec<(String, String)>,
}

impl Standalone {
    /// Starts the master. A worker offers so many cores.
    pub(super) fn start(installation: Installation, work: &Path, cores: u32) -> anyhow::Result<Self> {
        let (network, reserved) = network()?;
        let cluster = Self {
            processes: Processes::begin().context("starting the watchdog, which needs sh and grep")?,
            installation,
            work: work.to_owned(),
            network,
            _reserved: reserved,
            begun: Moment::now(),
            asked: Moment::now(),
            is_ready: false,
            addresses: 1,
            cores,
            workers: BTreeMap::new(),
            hosts: Vec::new(),
        };
        let address = cluster.numbered(1);
        let mut command = cluster.daemon("master.Master", address, work)?;
        command.args(["--port", &PORT.to_string(), "--webui-port", &PAGE.to_string()]);
        cluster
            .processes
            .spawn("master", &mut command)
            .context("starting Spark's master")?;
        Ok(cluster)
    }

    /// The master's URL.
    pub(super) fn master(&self) -> String {
        format!("spark://{}:{PORT}", self.numbered(1))
    }

    /// What runs here.
    pub(super) fn spark_name(&self) -> String {
        self.installation.name()
    }

    /// Cores of all workers.
    pub(super) fn cores(&self) -> u32 {
        self.cores * u32::try_from(self.workers.len()).unwrap_or(u32::MAX)
    }

    /// An address that nobody has, for a machine of this name.
    pub(super) fn address(&mut self, host: &str) -> Ipv4Addr {
        self.addresses += 1;
        let address = self.numbered(self.addresses);
        self.hosts.push((address.to_string(), host.to_owned()));
        address
    }

    fn numbered(&self, number: u16) -> Ipv4Addr {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(127, self.network, 1 + high, low)
    }

    /// The address of a node's worker.
    pub(super) fn address_of(&self, instance_id: &str) -> Option<Ipv4Addr> {
        self.workers.get(instance_id).map(|worker| worker.address)
    }

    /// Addresses, and the hosts that they stand for.
    pub(super) fn hosts(&self) -> &[(String, String)] {
        &self.hosts
    }

    /// The run's processes, for those that are started beside the cluster's own.
    pub(super) fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Does with the workers what happened to the nodes; says what that was, by instance.
    pub(super) fn follow(&mut self, nodes: &[Node]) -> anyhow::Result<Vec<(String, Change)>> {
        let mut changes = Vec::new();
        let gone = self
            .workers
            .keys()
            .filter(|id| nodes.iter().all(|node| node.instance_id != **id));
        for id in gone.cloned().collect::<Vec<_>>() {
            changes.push((id.clone(), Change::Killed(self.kill(&id))));
        }
        for node in nodes {
            if !self.workers.contains_key(&node.instance_id) {
                // Nothing would start there any more.
                if node.is_leaving {
                    continue;
                }
                let address = self.start_worker(node)?;
                changes.push((node.instance_id.clone(), Change::Started(address)));
            }
            let Some(worker) = self.workers.get_mut(&node.instance_id) else {
                continue;
            };
            if node.is_leaving && !std::mem::replace(&mut worker.was_told, true) {
                let pid = i32::try_from(worker.process.id()).ok().and_then(Pid::from_raw);
                if let Some(pid) = pid {
                    // One that has ended needs not be told.
                    kill_process(pid, Signal::POWER).ok();
                }
                changes.push((node.instance_id.clone(), Change::Told));
            }
        }
        Ok(changes)
    }

    /// The instance is gone, with its processes and its disks.
    fn kill(&mut self, instance_id: &str) -> usize {
        let killed = self.processes.kill(instance_id);
        if let Some(mut worker) = self.workers.remove(instance_id) {
            worker.process.wait().ok();
            std::fs::remove_dir_all(worker.folder.join("disk")).ok();
        }
        killed
    }

    fn start_worker(&mut self, node: &Node) -> anyhow::Result<Ipv4Addr> {
        let address = self.address(&node.host);
        let folder = self.work.join(&node.instance_id);
        let disk = folder.join("disk");
        std::fs::create_dir_all(&disk).with_context(|| format!("making the folder {}", disk.display()))?;
        let mut command = self.daemon("worker.Worker", address, &folder)?;
        // An executor is as large as its worker: memory is cut elsewhere.
        command
            .args([
                "--cores",
                &self.cores.to_string(),
                "--memory",
                "64g",
                "--webui-port",
                "0",
                "-d",
            ])
            .arg(&folder)
            .arg(self.master())
            .env("SPARK_LOCAL_DIRS", &disk);
        let process = self
            .processes
            .spawn(&node.instance_id, &mut command)
            .context("starting a worker")?;
        let worker = Worker {
            process,
            address,
            folder,
            was_told: false,
        };
        self.workers.insert(node.instance_id.clone(), worker);
        Ok(address)
    }

    fn daemon(&self, class: &str, address: Ipv4Addr, folder: &Path) -> anyhow::Result<Command> {
        let mut command = self.spark("spark-class", address);
        let log = File::create(folder.join(format!("{}.log", class.split('.').next().unwrap_or(class))))
            .with_context(|| format!("making a log in {}", folder.display()))?;
        command
            .arg(format!("org.apache.spark.deploy.{class}"))
            .args(["--host", &address.to_string()])
            .env("SPARK_DAEMON_MEMORY", "192m")
            .env(
                "SPARK_DAEMON_JAVA_OPTS",
                format!("{QUIET_JVM} -Dspark.decommission.enabled=true"),
            )
            .env("SPARK_NO_DAEMONIZE", "1")
            .stdout(log.try_clone().context("sharing a log")?)
            .stderr(log);
        Ok(command)
    }

    /// A command of Spark's that has this address for its own.
    pub(super) fn spark(&self, name: &str, address: Ipv4Addr) -> Command {
        let mut command = Command::new(self.installation.home.join("bin").join(name));
        for variable in [
            "SPARK_MASTER_HOST",
            "SPARK_CONF_DIR",
            "SPARK_PUBLIC_DNS",
            "SPARK_DIST_CLASSPATH",
        ] {
            command.env_remove(variable);
        }
        command
            .env("SPARK_HOME", &self.installation.home)
            .env("SPARK_LOCAL_IP", address.to_string())
            .env("PYSPARK_PYTHON", &self.installation.python)
            .env("PYSPARK_DRIVER_PYTHON", &self.installation.python);
        command
    }

    /// Whether the master has heard of every worker, as it must before there is a driver; an error, if that does not come.
    pub(super) fn is_ready(&mut self) -> anyhow::Result<bool> {
        if self.is_ready || self.asked.real.elapsed() < LOOK {
            return Ok(self.is_ready);
        }
        self.asked = Moment::now();
        // One that was told that its node goes does not count, and may have been told before it could hear.
        let mut wanted = 0;
        for (id, worker) in self.workers.iter_mut().filter(|(_, worker)| !worker.was_told) {
            wanted += 1;
            if let Some(status) = worker.process.try_wait().context("looking after a worker")? {
                bail!(
                    "the worker of {id} ended with {status}; {} says why",
                    worker.folder.display()
                );
            }
        }
        self.is_ready = self.alive().is_some_and(|alive| alive >= wanted);
        if !self.is_ready && self.begun.real.elapsed() > START_MAX {
            bail!(
                "Spark's workers did not reach their master; {} has their logs",
                self.work.display()
            );
        }
        Ok(self.is_ready)
    }

    /// How many workers the master says are alive.
    fn alive(&self) -> Option<usize> {
        let address = self.numbered(1);
        let mut stream = TcpStream::connect((address, PAGE)).ok()?;
        stream.set_read_timeout(Some(LOOK)).ok()?;
        write!(stream, "GET /json/ HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let state: Value = serde_json::from_str(body).ok()?;
        let workers = state["workers"].as_array()?.iter();
        Some(workers.filter(|worker| worker["state"] == "ALIVE").count())
    }
}

/// The second number of loopback addresses that no other run uses, and what keeps others from it.
fn network() -> anyhow::Result<(u8, TcpListener)> {
    let first = std::process::id() % 250;
    let mut numbers = (first..250)
        .chain(0..first)
        .filter_map(|number| u8::try_from(number + 1).ok());
    let bind = |number: u8, port: u16| TcpListener::bind((Ipv4Addr::new(127, number, 1, 1), port)).ok();
    let reserve = |number: u8| bind(number, PORT).and_then(|_| Some((number, bind(number, RESERVED)?)));
    numbers.find_map(reserve).context("no loopback network is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_have_a_network_each() {
        let (one, other) = (network().unwrap(), network().unwrap());
        assert_ne!(one.0, other.0);
    }
}
