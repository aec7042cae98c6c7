//! The processes of one run, by the machine that each of them stands for. None outlives the run, however that ends.
//!
//! Separate because it is all that is needed of the operating system. A process and all that it starts inherit a variable
//! of the environment that names run and machine; a group or a session would not do, since Spark's Python daemon leaves
//! its group: <https://github.com/apache/spark/blob/v3.5.5/python/pyspark/daemon.py>. A watchdog ends them if this
//! process is no longer there to do it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that names run and machine.
const MARK: &str = "SPOT_DRILL_MACHINE";

/// Reads until its standard input is closed, which only this process holds, and then ends all that carries the mark.
const WATCHDOG: &str = r#"
trap '' INT HUP TERM
while read -r _; do :; done
while found=$(grep -lsaF "$1" /proc/[0-9]*/environ); [ -n "$found" ]; do
  for file in $found; do pid=${file#/proc/}; kill -KILL "${pid%/environ}" 2>/dev/null; done
  sleep 0.1
done
"#;

/// All processes of a run; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Processes {
    run: String,
    watchdog: Child,
}

impl Processes {
    /// A run without processes.
    pub(super) fn begin() -> io::Result<Self> {
        static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let run = format!("{}-{number}", std::process::id());
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog", &mark(&run, "")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What Ctrl-C ends is the terminal's foreground group.
            .process_group(0)
            .spawn()?;
        Ok(Self { run, watchdog })
    }

    /// Starts a process on a machine.
    pub(super) fn spawn(&self, machine: &str, command: &mut Command) -> io::Result<Child> {
        let value = format!("{}/{machine}/", self.run);
        command.env(MARK, value).stdin(Stdio::null()).process_group(0).spawn()
    }

    /// Ends all processes of a machine at once, as a power cut does; answers how many there were.
    pub(super) fn kill(&self, machine: &str) -> usize {
        self.kill_marked(&mark(&self.run, &format!("{machine}/")))
    }

    fn kill_marked(&self, mark: &str) -> usize {
        let mut killed = std::collections::BTreeSet::new();
        loop {
            let found = marked(mark);
            if found.is_empty() {
                return killed.len();
            }
            for pid in found {
                // One that is gone by itself meanwhile is gone.
                kill_process(pid, Signal::KILL).ok();
                killed.insert(pid.as_raw_nonzero());
            }
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.kill_marked(&mark(&self.run, ""));
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().ok();
    }
}

fn mark(run: &str, rest: &str) -> String {
    format!("{MARK}={run}/{rest}")
}

/// The processes whose environment begins a variable so. That of a process that has ended is empty.
fn marked(mark: &str) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(mark.as_bytes()))
    };
    pids.filter(is_marked).filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A shell that starts a process in a session of its own, which its group and its session do not reach.
    fn spawn(processes: &Processes, machine: &str) -> Child {
        let child = processes
            .spawn(machine, Command::new("sh").args(["-c", "setsid sleep 600 & sleep 600"]))
            .unwrap();
        while marked(&mark(&processes.run, &format!("{machine}/"))).len() < 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    #[test]
    fn all_of_a_machine_goes_at_once_and_nothing_of_another() {
        let processes = Processes::begin().unwrap();
        let (mut one, mut ten) = (spawn(&processes, "i-1"), spawn(&processes, "i-10"));
        assert_eq!(processes.kill("i-1"), 3);
        one.wait().unwrap();
        assert_eq!(marked(&mark(&processes.run, "")).len(), 3, "i-10's are there");
        let all = mark(&processes.run, "");
        drop(processes);
        ten.wait().unwrap();
        assert_eq!(marked(&all), []);
    }

    #[test]
    fn the_watchdog_ends_them_when_nobody_else_can() {
        let mut processes = Processes::begin().unwrap();
        let mut child = spawn(&processes, "i-1");
        let all = mark(&processes.run, "");
        // As if this process had been killed: the kernel closes what it held.
        drop(processes.watchdog.stdin.take());
        child.wait().unwrap();
        processes.watchdog.wait().unwrap();
        assert_eq!(marked(&all), []);
    }
}
