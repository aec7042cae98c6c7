//! How busy a cluster is, as its YARN metrics tell managed scaling.
//!
//! Separate because it is the one thing that EMR's scaling reads from YARN.
//= https://docs.aws.amazon.com/emr/latest/ManagementGuide/managed-scaling-metrics.html

use super::application::Application;
use super::nodes::Nodes;

/// Sums over the cluster; nodes that are being decommissioned offer nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Virtual cores of all nodes that take containers.
    pub vcores_total: u32,
    /// Virtual cores that the containers asked for.
    pub vcores_used: u32,
    /// Virtual cores that waiting containers ask for.
    pub vcores_pending: u32,
    /// Containers that run, drivers included.
    pub containers_used: u32,
    /// Containers that applications wait for, drivers included.
    pub containers_pending: u32,
    /// Memory of all nodes that take containers.
    pub memory_mb_total: u64,
    /// Memory of all containers.
    pub memory_mb_used: u64,
    /// Memory that waiting containers ask for.
    pub memory_mb_pending: u64,
    /// Applications that are not over.
    pub running_applications: u32,
}

impl Load {
    pub(super) fn of(nodes: &Nodes, applications: &[Application]) -> Self {
        let total = nodes.total();
        let (used, containers_used) = nodes.used();
        let mut load = Self {
            vcores_total: total.vcores,
            vcores_used: used.vcores,
            containers_used,
            memory_mb_total: total.memory_mb,
            memory_mb_used: used.memory_mb,
            ..Self::default()
        };
        for application in applications.iter().filter(|application| !application.is_over()) {
            load.running_applications += 1;
            if application.is_outside() {
                // It has one executor on each node, which is as large as the node.
                (load.vcores_used, load.memory_mb_used) = (total.vcores, total.memory_mb);
                load.containers_used += 1;
                continue;
            }
            let (wanted, size) = match &application.driver {
                Some(driver) => (driver.wanted(), application.executor_size()),
                None => (1, application.driver_size()),
            };
            load.containers_pending += wanted;
            load.vcores_pending += wanted * size.vcores;
            load.memory_mb_pending += u64::from(wanted) * size.memory_mb;
        }
        load
    }
}
