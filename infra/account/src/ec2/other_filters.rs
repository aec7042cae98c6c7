//! EC2's filters that the simulated account does not offer: by what an instance or a request does not have here.
//!
//! Separate because they are tables, and of no use but to tell such a filter from one that EC2 does not have either.

//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
const INSTANCE_GROUPS: &[&str] = &[
    "block-device-mapping.",
    "capacity-reservation-specification.",
    "enclave-options.",
    "hibernation-options.",
    "iam-instance-profile.",
    "instance.",
    "maintenance-options.",
    "metadata-options.",
    "network-interface.",
    "network-performance-options.",
    "operator.",
    "private-dns-name-options.",
    "product-code",
];
const INSTANCE_NAMES: &[&str] = &[
    "affinity",
    "availability-zone-id",
    "boot-mode",
    "capacity-reservation-id",
    "client-token",
    "current-instance-boot-mode",
    "dns-name",
    "ebs-optimized",
    "ena-support",
    "host-id",
    "hypervisor",
    "image-id",
    "ip-address",
    "ipv6-address",
    "kernel-id",
    "key-name",
    "outpost-arn",
    "placement-group-name",
    "placement-partition-number",
    "platform",
    "platform-details",
    "ramdisk-id",
    "reason",
    "requester-id",
    "root-device-name",
    "root-device-type",
    "source-dest-check",
    "tpm-support",
    "usage-operation",
    "usage-operation-update-time",
    "virtualization-type",
];

//= https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotInstanceRequests.html
const REQUEST_GROUPS: &[&str] = &["launch.", "network-interface."];
const REQUEST_NAMES: &[&str] = &[
    "availability-zone-group",
    "fault-code",
    "fault-message",
    "launch-group",
    "launched-availability-zone-id",
    "spot-price",
    "tag-key",
    "valid-from",
    "valid-until",
];

/// Whether EC2 has such a filter, which is for features of instances that the simulated account lacks.
pub(super) fn has(operation: &str, name: &str) -> bool {
    let (groups, names) = match operation {
        "DescribeInstances" => (INSTANCE_GROUPS, INSTANCE_NAMES),
        "DescribeSpotInstanceRequests" => (REQUEST_GROUPS, REQUEST_NAMES),
        _ => return false,
    };
    names.contains(&name) || groups.iter().any(|group| name.starts_with(group))
}
