//! A simulated AWS account, in which the unchanged functions run in virtual time, and the program that runs drills on
//! it.
//!
//! # Layout
//!
//! * [`api`], [`journal`]: what all parts share;
//! * [`ec2`], [`emr`], [`fis`], [`s3`], [`dynamodb`]: one service each, clock-free: state and rules, the AWS page beside
//!   each rule; [`yarn`] and [`spark`] run inside a cluster; [`instance_type`]: EC2's catalogue;
//! * `cloudwatch`: the alarms that stop experiments;
//! * [`account`]: the services together; `authorization`: what a call of theirs would ask of IAM;
//! * [`event_bus`], [`queue`], [`scheduler`]: what brings events to functions, as [`template`] says;
//! * [`cloudformation`], [`events`], [`lambda`], [`logs`], [`schedules`], [`sts`]: what clients see and steer of that,
//!   [`deployed`]: together;
//! * [`wire`]: AWS's protocols; [`connector`]: the SDK's HTTP client; [`iam`]: what a role allows;
//! * [`clock`], [`world`], [`functions`]: time passes, events are delivered, functions run; [`runtime_api`]: as programs of
//!   their own; [`gate`]: what holds time meanwhile; [`fault`]: what goes wrong;
//! * [`scenario`]: the stories, and [`settings`] to change them; [`plot`]: stories that are made up; [`run`]: a
//!   story from begin to report; [`strangers`]: who else is there; [`truth`]: what really happened in it;
//! * [`drill_command`], [`serve`], [`spark_log_command`]: the program.
//!
//! # What is simulated, and where it is known to differ
//!
//! Each service's file says which answers of AWS's it assumes where the documentation is silent. In short: no IAM
//! decision is made (what each call would ask of IAM is in the journal, and judges hold the template's policies against
//! it), no money is counted, one
//! Region and account exist, subnets and security groups do not, and what is not simulated answers 501 with its name.

pub mod account;
pub mod api;
mod authorization;
pub mod clock;
pub mod cloudformation;
mod cloudwatch;
pub mod connector;
pub mod deployed;
mod director;
pub mod drill_command;
pub mod dynamodb;
pub mod ec2;
pub mod emr;
pub mod event_bus;
pub mod events;
pub mod fault;
pub mod fis;
pub mod functions;
pub mod gate;
pub mod iam;
pub mod instance_type;
pub mod journal;
pub mod lambda;
pub mod logs;
pub mod plot;
pub mod queue;
pub mod run;
pub mod runtime_api;
pub mod s3;
pub mod scenario;
pub mod scheduler;
pub mod schedules;
pub mod serve;
pub mod settings;
pub mod spark;
pub mod spark_log_command;
pub mod strangers;
pub mod sts;
pub mod template;
pub mod truth;
pub mod wire;
pub mod world;
pub mod yarn;
