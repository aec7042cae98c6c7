//! Whether Spark's name for a host and EC2's name for an instance mean the same machine.
//!
//! Separate because it is the only join between the log and the account, and both sides spell it in several ways.

/// Whether `spark_host` (an executor's host as in the log) is the instance with `private_dns_name` (as EC2 tells it).
///
/// Each may be a full name (`ip-10-0-1-2.ec2.internal`, `i-0abc.eu-west-1.compute.internal`), a short one
/// (`ip-10-0-1-2`), or an address (`10.0.1.2`), with or without a port; letter case does not matter. Domains are not
/// compared, since a cluster may name its hosts in a domain of its own.
/// Names: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-naming.html>
pub fn same_host(spark_host: &str, private_dns_name: &str) -> bool {
    let (left, right) = (short_name(spark_host), short_name(private_dns_name));
    !left.is_empty() && left == right
}

/// The host's first label in lower case; an IPv4 address becomes the label that EC2 derives from it.
fn short_name(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    let host = host.rsplit_once("://").map_or(host.as_str(), |(_, rest)| rest);
    let host = match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if let Ok(address) = host.parse::<std::net::Ipv4Addr>() {
        let [a, b, c, d] = address.octets();
        return format!("ip-{a}-{b}-{c}-{d}");
    }
    if host.contains(':') {
        return host.to_owned();
    }
    host.split('.').next().unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_short_and_dotted_names_of_one_instance_are_the_same_host() {
        let dns = "ip-10-0-1-2.eu-west-1.compute.internal";
        for host in [
            "ip-10-0-1-2",
            "IP-10-0-1-2.ec2.internal",
            "10.0.1.2",
            "10.0.1.2:7337",
            dns,
            "ip-10-0-1-2:41000",
            "spark://10.0.1.2:7077",
        ] {
            assert!(same_host(host, dns), "{host}");
        }
        assert!(same_host("i-0abc.ec2.internal", "i-0abc.ec2.internal."));
    }

    #[test]
    fn other_instances_and_empty_names_are_not() {
        for host in ["", "ip-10-0-1-20", "10.0.1.20", "ip-10-0-1", "fe80::1"] {
            assert!(!same_host(host, "ip-10-0-1-2.ec2.internal"), "{host}");
        }
        assert!(!same_host("", ""));
        assert!(!same_host("fe80::1", "fe80::2") && same_host("FE80::1", "fe80::1"));
    }
}
