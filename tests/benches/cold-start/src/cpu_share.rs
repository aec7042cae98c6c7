//! The share of a CPU that Lambda gives with so much memory, as a control group that the measured programs start in.
//! Apart because it is the one place that needs the kernel's leave: without it, only the full CPU can be measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::clock;

/// So much memory buys one CPU.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MEGABYTES_OF_ONE_CPU: u32 = 1769;

/// How often the budget is renewed. AWS does not say. With a long period, an event's few milliseconds of CPU would fit
/// into the first budget and never be limited.
const PERIOD_MICROSECONDS: u32 = 20_000;

/// CPU time of the loop that a share is verified with.
const SPIN_MILLISECONDS: u32 = 100;

/// A control group for one measured process at a time.
#[derive(Debug)]
pub struct CpuShare {
    folder: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Version {
    One,
    Two,
}

impl CpuShare {
    /// A new group, unlimited yet.
    pub fn new() -> Result<Self> {
        let (parent, version) = if Path::new("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").exists() {
            ("/sys/fs/cgroup/cpu", Version::One)
        } else {
            ("/sys/fs/cgroup", Version::Two)
        };
        let folder = Path::new(parent).join(format!("spot-drill-cold-start-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("a share of a CPU needs root: making {}", folder.display()))?;
        let share = Self { folder, version };
        // The most that a group can weigh: what else the machine does should not be measured.
        match version {
            Version::One => share.write("cpu.shares", "262144")?,
            Version::Two => share.write("cpu.weight", "10000")?,
        }
        share.limit(None)?;
        Ok(share)
    }

    /// The file that a process writes itself into.
    pub fn entrance(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Limits the group, with a fresh budget, to what Lambda gives with so many megabytes; `None` lifts the limit.
    pub fn limit(&self, megabytes: Option<u32>) -> Result<()> {
        let quota = megabytes.map(|megabytes| PERIOD_MICROSECONDS * megabytes / MEGABYTES_OF_ONE_CPU);
        match (self.version, quota) {
            (Version::One, None) => self.write("cpu.cfs_quota_us", "-1"),
            (Version::One, Some(quota)) => {
                self.write("cpu.cfs_period_us", &PERIOD_MICROSECONDS.to_string())?;
                self.write("cpu.cfs_quota_us", &quota.to_string())
            }
            (Version::Two, None) => self.write("cpu.max", "max"),
            (Version::Two, Some(quota)) => self.write("cpu.max", &format!("{quota} {PERIOD_MICROSECONDS}")),
        }
    }

    /// Holds a busy loop against its share, and says how much longer it took than the CPU time that it used.
    pub fn verify(&self, megabytes: u32) -> Result<String> {
        let expected = f64::from(MEGABYTES_OF_ONE_CPU) / f64::from(megabytes);
        self.limit(Some(megabytes))?;
        let output = Command::new(std::env::current_exe()?)
            .args(["spin", "--milliseconds", &SPIN_MILLISECONDS.to_string(), "--entrance"])
            .arg(self.entrance())
            .output()
            .context("spinning")?;
        self.limit(None)?;
        let wall: f64 = String::from_utf8(output.stdout)?
            .trim()
            .parse()
            .context("the busy loop's time")?;
        let found = wall / f64::from(SPIN_MILLISECONDS);
        ensure!(
            (found / expected - 1.0).abs() < 0.15,
            "{megabytes} MB should make a busy loop take {expected:.1} times as long, and it took {found:.1}"
        );
        Ok(format!(
            "{megabytes} MB: a busy loop took {found:.1} times its CPU time (1769/{megabytes} = {expected:.1})"
        ))
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // The last process may take a moment to be gone.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        eprintln!("left behind: {}", self.folder.display());
    }
}

/// Moves this process into a group.
pub fn enter(entrance: &Path) -> Result<()> {
    fs::write(entrance, "0").with_context(|| format!("entering {}", entrance.display()))
}

/// Uses so much CPU time inside the group, and returns how long that took in milliseconds.
pub fn spin(entrance: &Path, milliseconds: u32) -> Result<f64> {
    enter(entrance)?;
    let (begun, used) = (clock::now(), clock::cpu_used());
    while clock::milliseconds(used, clock::cpu_used()) < f64::from(milliseconds) {
        std::hint::spin_loop();
    }
    Ok(clock::milliseconds(begun, clock::now()))
}
