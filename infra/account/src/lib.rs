//! A simulated AWS account: services, YARN and Spark, and the wire protocols. It has no clock: whoever holds it says what
//! time it is.
//!
//! # Layout
//!
//! * [`api`], [`journal`]: what all parts share;
//! * [`ec2`], [`emr`], [`fis`], [`s3`], [`dynamodb`], [`cloudwatch`]: one service each: state and rules, the AWS page beside
//!   each rule; [`yarn`] and [`spark`] run inside a cluster; [`instance_type`]: EC2's catalogue;
//! * what is submitted to Spark may run outside, on a real one: [`yarn`] accepts it, and is told what becomes of it;
//! * [`Account`]: the services together; [`authorization`]: what a call of theirs asks of IAM; [`grants`]: who may do what,
//!   by [`iam`] and [`wildcard`];
//! * [`event_bus`], [`queue`], [`scheduler`]: what brings events to functions, as [`template`] says; [`sts`];
//! * [`wire`]: AWS's protocols.
//!
//! # What is simulated, and where it is known to differ
//!
//! Each service's file says which answers of AWS's it assumes where the documentation is silent. In short: IAM is
//! asked for the functions' calls only, and by their roles alone (whoever else calls is the account's administrator; no
//! bucket's, key's or table's own policy is looked at), no money is counted, one account and one Region exist, one subnet
//! a zone and no security groups, and what is not simulated answers 501 with its name. A call that is signed for another Region than `us-sim-1` is refused, in AWS's
//! words; signatures themselves are not checked.
//!
//! Offered by AWS and not here, so that it answers 501:
//!
//! * EMR: `AmiVersion`, `AutoScalingPolicy`, `AutoTerminationPolicy`;
//! * EC2: filters by what an instance here does not have, such as `image-id`, `network-interface.…` and `spot-price`;
//! * S3: tags and locks of objects, appending, archives (`GLACIER`, `DEEP_ARCHIVE`) and storage classes of other kinds of
//!   storage, copies from access points;
//! * CloudWatch Logs: filter patterns of more than terms.
//!
//! Accepted without effect, or answered otherwise than by AWS:
//!
//! * EMR: bootstrap actions are listed and not run; of the configurations of groups and instance types those of the primary
//!   node work; whether a release exists is not asked, only whether its label could be one;
//! * EC2: Spot requests have no price;
//! * S3: ACLs and owners are ignored; a bucket that is made without a `LocationConstraint` is in `us-sim-1`, where AWS
//!   refuses that outside `us-east-1`; an object that was uploaded in parts has no checksum of its own, and a copy the
//!   source's ETag and checksum, whatever `ChecksumAlgorithm` asks for; an error names key, bucket or condition, but not the
//!   argument; without `encoding-type` a control character in a key makes a listing no XML (AWS's is none either);
//! * DynamoDB: what the `dynoxide` crate does otherwise, in [`dynamodb`].

mod account;
pub mod api;
pub mod authorization;
pub mod cloudwatch;
pub mod dynamodb;
pub mod ec2;
pub mod emr;
pub mod event_bus;
pub mod fis;
pub mod grants;
pub mod iam;
pub mod instance_type;
pub mod journal;
pub mod queue;
pub mod s3;
pub mod scheduler;
pub mod spark;
pub mod sts;
pub mod template;
pub mod wildcard;
pub mod wire;
pub mod yarn;

pub use account::Account;
