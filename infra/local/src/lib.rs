//! The world around the simulated AWS account, in which the unchanged functions run in virtual time, and the program that
//! runs drills on it.
//!
//! # Layout
//!
//! * [`clock`], [`world`], [`functions`]: time passes, events are delivered, functions run, and their calls come back as the
//!   SDK's; in [`world::deployed`] what clients see and steer of it; `runtime_api`: functions as programs of their own, on Linux;
//!   [`gate`]: what holds time meanwhile; [`fault`]: what goes wrong;
//! * [`scenario`]: the stories, and [`settings`] to change them; [`plot`]: stories that are made up; [`run`]: a
//!   story from begin to report; [`busy_region`]: one without a step to look at; [`strangers`]: who else is there; [`truth`]: what really happened in it;
//! * `job`, `real_spark`: a job of the user's own, on Apache's Spark; `comparison`: beside itself undisturbed;
//! * [`drill_command`] with [`index_file`], [`serve`], [`spark_log_command`]: the program.
//!
//! What is simulated of AWS, and where it is known to differ, the crate `account` says.

pub mod busy_region;
pub mod clock;
mod comparison;
mod director;
pub mod drill_command;
pub mod fault;
pub mod functions;
pub mod gate;
pub mod index_file;
mod job;
mod lambda;
pub mod plot;
#[cfg(target_os = "linux")]
mod real_spark;
#[cfg(not(target_os = "linux"))]
#[path = "no_real_spark.rs"]
mod real_spark;
pub mod run;
#[cfg(target_os = "linux")]
pub mod runtime_api;
pub mod scenario;
pub mod serve;
pub mod settings;
pub mod spark_log_command;
pub mod strangers;
pub mod truth;
pub mod world;
