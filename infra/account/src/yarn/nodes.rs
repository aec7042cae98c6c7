//! The nodes of a cluster and the containers on them.
//!
//! Separate because placing is arithmetic on memory; who asks, and why, is not its business.

use std::collections::BTreeMap;

use crate::spark::{Container, Placement};

/// A machine that runs YARN's node manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The EC2 instance.
    pub instance_id: String,
    /// Its private DNS name.
    pub host: String,
    /// Virtual cores that YARN may give away.
    pub vcores: u32,
    /// Memory that YARN may give away.
    pub memory_mb: u64,
    /// Whether it may host an application master.
    pub runs_drivers: bool,
}

/// What a container takes from its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Memory.
    pub(super) memory_mb: u64,
    /// Virtual cores; counted, never a limit.
    pub(super) vcores: u32,
}

#[derive(Debug)]
struct Joined {
    node: Node,
    decommissioning: bool,
    /// What its containers have.
    held_mb: u64,
}

#[derive(Debug)]
struct Placed {
    application: usize,
    instance_id: String,
    size: Size,
}

/// All nodes, in the order in which they joined.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    joined: Vec<Joined>,
    /// By name.
    containers: BTreeMap<String, Placed>,
}

impl Nodes {
    pub(super) fn join(&mut self, node: Node) {
        self.joined.push(Joined {
            node,
            decommissioning: false,
            held_mb: 0,
        });
    }

    /// Marks a node; false if it is not there or marked already.
    pub(super) fn decommission(&mut self, instance_id: &str) -> bool {
        let found = self
            .joined
            .iter_mut()
            .find(|joined| joined.node.instance_id == instance_id);
        found.is_some_and(|joined| !std::mem::replace(&mut joined.decommissioning, true))
    }

    /// Takes a node and its containers out; false if it is not there.
    pub(super) fn leave(&mut self, instance_id: &str) -> bool {
        let before = self.joined.len();
        self.joined.retain(|joined| joined.node.instance_id != instance_id);
        self.containers.retain(|_, placed| placed.instance_id != instance_id);
        self.joined.len() < before
    }

    pub(super) fn has_containers(&self, instance_id: &str) -> bool {
        self.containers.values().any(|placed| placed.instance_id == instance_id)
    }

    pub(super) fn release(&mut self, container: &str) {
        self.containers.remove(container);
        self.count_held();
    }

    pub(super) fn release_all(&mut self, application: usize) {
        self.containers.retain(|_, placed| placed.application != application);
        self.count_held();
    }

    /// Containers come and go much less often than somebody asks where there is room.
    fn count_held(&mut self) {
        for joined in &mut self.joined {
            let here = self.containers.values();
            let here = here.filter(|placed| placed.instance_id == joined.node.instance_id);
            joined.held_mb = here.map(|placed| placed.size.memory_mb).sum();
        }
    }

    pub(super) fn memory_held_mb(&self, application: usize) -> u64 {
        self.containers
            .values()
            .filter(|placed| placed.application == application)
            .map(|placed| placed.size.memory_mb)
            .sum()
    }

    /// Instances that get no new containers.
    pub(super) fn decommissioning(&self) -> impl Iterator<Item = &str> {
        self.joined
            .iter()
            .filter(|joined| joined.decommissioning)
            .map(|joined| joined.node.instance_id.as_str())
    }

    /// All nodes, each with whether it gets no new containers.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Node, bool)> {
        self.joined.iter().map(|joined| (&joined.node, joined.decommissioning))
    }

    /// Memory and cores of all nodes that may get containers.
    pub(super) fn total(&self) -> Size {
        let open = self.joined.iter().filter(|joined| !joined.decommissioning);
        open.fold(
            Size {
                memory_mb: 0,
                vcores: 0,
            },
            |sum, joined| Size {
                memory_mb: sum.memory_mb + joined.node.memory_mb,
                vcores: sum.vcores + joined.node.vcores,
            },
        )
    }

    /// Memory and cores of all containers, and how many these are.
    pub(super) fn used(&self) -> (Size, u32) {
        let sum = self.containers.values().fold(
            Size {
                memory_mb: 0,
                vcores: 0,
            },
            |sum, placed| Size {
                memory_mb: sum.memory_mb + placed.size.memory_mb,
                vcores: sum.vcores + placed.size.vcores,
            },
        );
        (sum, self.containers.len() as u32)
    }

    /// A driver's container, where drivers may run and as the workload prefers.
    pub(super) fn place_driver(
        &mut self,
        application: usize,
        name: &str,
        size: Size,
        on: Placement,
    ) -> Option<Container> {
        let fits = |joined: &&Joined| joined.node.runs_drivers;
        let chosen = match on {
            Placement::Core => self.fitting(size).find(fits),
            Placement::Task => self.fitting(size).rfind(fits),
        }?;
        let container = at(&chosen.node, name);
        self.place(application, container, size)
    }

    /// An executor's container, on the node with most free memory; the one that joined first among equals.
    pub(super) fn place_executor(&mut self, application: usize, name: &str, size: Size) -> Option<Container> {
        let chosen = self.fitting(size).rev().max_by_key(|joined| free_mb(joined))?;
        let container = at(&chosen.node, name);
        self.place(application, container, size)
    }

    fn place(&mut self, application: usize, container: Container, size: Size) -> Option<Container> {
        let placed = Placed {
            application,
            instance_id: container.instance_id.clone(),
            size,
        };
        self.containers.insert(container.id.clone(), placed);
        self.count_held();
        Some(container)
    }

    fn fitting(&self, size: Size) -> impl DoubleEndedIterator<Item = &Joined> {
        self.joined
            .iter()
            .filter(move |joined| !joined.decommissioning && free_mb(joined) >= size.memory_mb)
    }
}

fn free_mb(joined: &Joined) -> u64 {
    joined.node.memory_mb.saturating_sub(joined.held_mb)
}

fn at(node: &Node, name: &str) -> Container {
    Container {
        id: name.to_owned(),
        instance_id: node.instance_id.clone(),
        host: node.host.clone(),
    }
}
