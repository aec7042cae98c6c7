//! What an EC2 instance type offers: virtual cores and memory.
//!
//! Separate because EC2 validates launches with it, EMR derives weights and YARN resources from it, and neither
//! should know the other's use.

/// One instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceType {
    /// EC2's name: `r5.xlarge`.
    pub name: &'static str,
    /// Virtual cores.
    pub vcores: u32,
    /// Memory in MiB.
    pub memory_mb: u64,
}

impl InstanceType {
    //= https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    /// Whether its processor is AWS's own, for which a `g` after the generation stands.
    pub fn is_graviton(&self) -> bool {
        let family = self.name.split('.').next().unwrap_or_default();
        family.chars().skip_while(|c| !c.is_ascii_digit()).any(|c| c == 'g')
    }

    /// EC2's name of its processor's architecture.
    pub fn architecture(&self) -> &'static str {
        if self.is_graviton() { "arm64" } else { "x86_64" }
    }

    //= https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/cpu-options-supported-instances-values.html
    /// Threads of a core: each virtual core of a Graviton processor is a core of its own.
    pub fn threads_per_core(&self) -> u32 {
        if self.is_graviton() { 1 } else { 2 }
    }
}

const fn of(name: &'static str, vcores: u32, memory_gb_tenths: u64) -> InstanceType {
    InstanceType {
        name,
        vcores,
        memory_mb: memory_gb_tenths * 1024 / 10,
    }
}

//= https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-types.html
/// The types that the simulated EC2 launches, sorted by name. The second figure is the memory in tenths of a GiB,
/// because the r4 family has halves.
const TYPES: &[InstanceType] = &[
    of("c5.2xlarge", 8, 160),
    of("c5.4xlarge", 16, 320),
    of("c5.xlarge", 4, 80),
    of("m4.2xlarge", 8, 320),
    of("m4.4xlarge", 16, 640),
    of("m4.large", 2, 80),
    of("m4.xlarge", 4, 160),
    of("m5.2xlarge", 8, 320),
    of("m5.4xlarge", 16, 640),
    of("m5.large", 2, 80),
    of("m5.xlarge", 4, 160),
    of("m5a.2xlarge", 8, 320),
    of("m5a.4xlarge", 16, 640),
    of("m5a.xlarge", 4, 160),
    of("m5d.2xlarge", 8, 320),
    of("m5d.4xlarge", 16, 640),
    of("m5d.xlarge", 4, 160),
    of("m6g.2xlarge", 8, 320),
    of("m6g.xlarge", 4, 160),
    of("m6i.2xlarge", 8, 320),
    of("m6i.xlarge", 4, 160),
    of("r4.2xlarge", 8, 610),
    of("r4.4xlarge", 16, 1220),
    of("r4.xlarge", 4, 305),
    of("r5.2xlarge", 8, 640),
    of("r5.4xlarge", 16, 1280),
    of("r5.xlarge", 4, 320),
    of("r5a.2xlarge", 8, 640),
    of("r5a.4xlarge", 16, 1280),
    of("r5a.xlarge", 4, 320),
    of("r5b.2xlarge", 8, 640),
    of("r5b.4xlarge", 16, 1280),
    of("r5b.xlarge", 4, 320),
    of("r5d.2xlarge", 8, 640),
    of("r5d.4xlarge", 16, 1280),
    of("r5d.xlarge", 4, 320),
    of("r5n.2xlarge", 8, 640),
    of("r5n.4xlarge", 16, 1280),
    of("r5n.xlarge", 4, 320),
    of("r6g.2xlarge", 8, 640),
    of("r6g.xlarge", 4, 320),
    of("r6i.2xlarge", 8, 640),
    of("r6i.xlarge", 4, 320),
];

/// The type of that name, if the simulated EC2 offers it.
pub fn lookup(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|it| it.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workshops_task_types_grow_by_two() {
        for family in ["r4", "r5", "r5a", "r5b", "r5d", "r5n"] {
            let of = |size: &str| lookup(&format!("{family}.{size}")).unwrap();
            assert_eq!(
                (of("xlarge").vcores, of("2xlarge").vcores, of("4xlarge").vcores),
                (4, 8, 16),
                "{family}"
            );
            assert_eq!(of("4xlarge").memory_mb, 4 * of("xlarge").memory_mb, "{family}");
        }
        assert_eq!(lookup("r4.xlarge").unwrap().memory_mb, 31_232);
        assert_eq!(lookup("r5.xlarge").unwrap().memory_mb, 32_768);
    }

    #[test]
    fn a_g_after_the_generation_is_arms_architecture() {
        let of = |name: &str| {
            lookup(name)
                .map(|it| (it.architecture(), it.threads_per_core()))
                .unwrap()
        };
        assert_eq!((of("m6g.xlarge"), of("r6g.2xlarge")), (("arm64", 1), ("arm64", 1)));
        assert_eq!((of("m5.xlarge"), of("r5a.xlarge")), (("x86_64", 2), ("x86_64", 2)));
    }

    #[test]
    fn an_unknown_type_is_not_offered() {
        assert_eq!(lookup("r5.tiny"), None);
    }
}
