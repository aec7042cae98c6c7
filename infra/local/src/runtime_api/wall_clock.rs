//! The account's time as a process's wall clock, by libfaketime.
//!
//! Separate because it is the only thing that is done to a deployed binary: it reads the machine's clock to sign its
//! calls and to see how long it waited, and the account's time is another. While a process runs, both go equally fast, so
//! that one offset holds until all are frozen again; timers, which go by the monotonic clock, are left alone.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use account::api::Time;
use lambda_runtime::Diagnostic;

use crate::clock::Clock;
use crate::lambda::failed;

/// The variant for programs with threads.
const LIBRARY: &str = "libfaketimeMT.so.1";

/// Where libfaketime keeps what it shares with a process's children, of which there are none.
const SHARED: &str = "/dev/shm";

/// The account's time, told to processes by a file.
#[derive(Debug)]
pub struct WallClock {
    clock: Clock,
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    /// The account's clock, told by a file in this folder. The error says what is missing.
    pub fn new(clock: Clock, folder: &Path) -> Result<Self, String> {
        let file = std::path::absolute(folder.join("wall-clock")).map_err(|error| error.to_string())?;
        let library = library().ok_or("libfaketime is not installed (Debian's package faketime has it)")?;
        Ok(Self { clock, library, file })
    }

    /// Sets the clocks of all processes. None may be running.
    #[expect(
        clippy::disallowed_methods,
        reason = "a process has the machine's clock, and this is how far off it is"
    )]
    pub fn set(&self) -> Result<(), Diagnostic> {
        let offset = self.clock.now() - Time::from(SystemTime::now());
        let sign = if offset.num_milliseconds() < 0 { '-' } else { '+' };
        let milliseconds = offset.num_milliseconds().abs();
        let text = format!("{sign}{}.{:03}\n", milliseconds / 1000, milliseconds % 1000);
        std::fs::write(&self.file, text)
            .map_err(|error| failed("WallClock", format!("writing {}: {error}", self.file.display())))
    }

    /// What a process needs in its environment.
    pub fn variables(&self) -> [(String, String); 5] {
        // It is read at each look at the clock: a process that was frozen for an hour is right at once.
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// Removes the names of what a process shares, once it has begun: killed, it would leave them behind, and the next
    /// process with its id would refuse to start.
    pub fn forget(process: u32) {
        for name in [format!("faketime_shm_{process}"), format!("sem.faketime_sem_{process}")] {
            std::fs::remove_file(Path::new(SHARED).join(name)).ok();
        }
    }
}

/// The library, wherever Debian's architectures have it.
fn library() -> Option<PathBuf> {
    let mut roots = vec![PathBuf::from("/usr/lib"), PathBuf::from("/usr/local/lib")];
    let architectures = std::fs::read_dir("/usr/lib").ok().into_iter().flatten().flatten();
    roots.extend(architectures.map(|entry| entry.path()));
    roots
        .into_iter()
        .map(|root| root.join("faketime").join(LIBRARY))
        .find(|path| path.is_file())
}
