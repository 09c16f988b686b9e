//! What a host's change means for who runs it: pure, from what is known of its two closures.
//!
//! | file | |
//! | --- | --- |
//! | `reboot` | what takes effect only with a reboot, and how that is known |
//! | `units` | which units of systemd change, and because of what |
//! | `packages` | what the diff alone tells: downgrades, major versions, what is gone, patches against known holes |
//! | `sensitive` | the list of packages that matter for security |

mod changes;
mod packages;
mod reboot;
mod sensitive;
#[cfg(test)]
mod tests;
mod units;

use serde::{Deserialize, Serialize};

use crate::closure::{Cause, Change, Closure, ClosureDiff, Package, StorePath};

use self::changes::{Changes, step};

pub use self::sensitive::Sensitive;
pub(super) use self::units::is_left_running;

/// One side of a host whose closures are known.
#[derive(Debug, Clone, Copy)]
pub struct SystemSide<'a> {
    /// Its closure, of the same graph as that of the other side.
    pub closure: Closure<'a>,
    /// What its kernel is started with, as the file `kernel-params` of the system has it; none where that is not known.
    pub kernel_params: Option<&'a str>,
}

/// Returns what `diff`, the difference between two closures, means.
///
/// Only what `is_nixos` is booted: of a home configuration, a system of nix-darwin or any other derivation nothing needs a reboot.
pub fn impact(
    sides: [SystemSide<'_>; 2],
    is_nixos: bool,
    diff: &ClosureDiff,
    sensitive: &Sensitive,
) -> Impact {
    let changes = Changes::of(diff);
    let closures = sides.map(|side| side.closure);
    let (reboot, kernel) = if is_nixos {
        reboot::reboot(&sides, changes)
    } else {
        (Reboot::never(), None)
    };
    let roots = closures.map(|closure| closure.graph().path(closure.root()));
    let impact = of_packages(diff, sensitive);
    Impact {
        reboot,
        kernel,
        release: match roots {
            [Some(before), Some(after)] => packages::release([before, after]),
            _ => None,
        },
        units_changed: units::units(closures, diff, changes),
        ..impact
    }
}

/// Returns what `diff` means, the difference between what a host selects before and after, where nothing is known of its closures.
///
/// Nobody knows then whether a NixOS system needs a reboot, which units change, and what the kernel does.
pub fn impact_of_selected(
    roots: [&StorePath; 2],
    is_nixos: bool,
    selected: [&[Package]; 2],
    diff: &ClosureDiff,
    sensitive: &Sensitive,
) -> Impact {
    Impact {
        reboot: if is_nixos {
            Reboot::default()
        } else {
            Reboot::never()
        },
        release: packages::release(roots),
        vulnerabilities: Some(packages::vulnerabilities(selected)),
        ..of_packages(diff, sensitive)
    }
}

/// Returns what the diff alone tells.
fn of_packages(diff: &ClosureDiff, sensitive: &Sensitive) -> Impact {
    let changes = Changes::of(diff);
    Impact {
        systemd: changes.package("systemd").map(step),
        downgrades: packages::downgrades(diff),
        major: packages::major(diff),
        gone: packages::gone(diff),
        security: packages::security(changes, sensitive),
        patches: packages::patches(diff),
        ..Impact::default()
    }
}

/// What the difference between a host's closures means for who runs it. Each flag names its evidence; every list is sorted, and
/// has each entry once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Impact {
    /// Whether what changes takes effect only with a reboot, and what of it does.
    pub reboot: Reboot,
    /// The units of systemd that come, go, or change, and so restart where they run, unless they are told not to. Empty where nothing was
    /// built.
    pub units_changed: Vec<UnitChange>,
    /// How the kernel changes; null where it stays.
    pub kernel: Option<Step>,
    /// How systemd changes, rebuilds included; null where it stays.
    pub systemd: Option<Step>,
    /// From which release to which the system moves (`24.05` to `24.11`); null where it stays at its own.
    pub release: Option<Step>,
    /// Packages whose version goes down.
    pub downgrades: Vec<Step>,
    /// Packages of which the first number of the version goes up, unless it is of four digits or more: a year, a date, a count.
    pub major: Vec<Step>,
    /// Packages that users chose and have no longer; `removed`, unless they are still there because others need them.
    pub gone: Vec<Step>,
    /// Packages that keep attackers out, or that attackers reach first: whatever changes of them.
    pub security: Vec<Step>,
    /// Patches against known holes that a package gains or loses.
    pub patches: Vec<PatchChange>,
    /// Packages that users chose and that are known to be vulnerable on one side only; null where nobody asked.
    pub vulnerabilities: Option<Vec<VulnerabilityChange>>,
}

impl Impact {
    /// Returns every text in it.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Self {
            reboot,
            units_changed,
            kernel,
            systemd,
            release,
            downgrades,
            major,
            gone,
            security,
            patches,
            vulnerabilities,
        } = self;
        let reasons = reboot.reasons.iter_mut().map(|reason| &mut reason.step);
        let lists = [downgrades, major, gone, security].into_iter().flatten();
        let steps = reasons.chain([kernel, systemd, release].into_iter().flatten());
        let steps = steps.chain(lists).flat_map(Step::texts_mut);
        let units = units_changed
            .iter_mut()
            .flat_map(|unit| unit.because.iter_mut().chain([&mut unit.name]));
        let patches = patches
            .iter_mut()
            .flat_map(|patch| [&mut patch.package, &mut patch.patch]);
        let vulnerabilities = vulnerabilities
            .iter_mut()
            .flatten()
            .flat_map(|change| [&mut change.package, &mut change.vulnerability]);
        steps.chain(units).chain(patches).chain(vulnerabilities)
    }

    /// Puts every list in order, each entry once, as it may not be any more after its texts were changed, or elsewhere. A reboot that
    /// somebody knows of is needed for its reasons.
    pub(super) fn arrange(&mut self) {
        fn sort<T: Ord>(list: &mut Vec<T>) {
            list.sort();
            list.dedup();
        }
        let Reboot { needed, reasons } = &mut self.reboot;
        sort(reasons);
        *needed = needed.map(|_| !reasons.is_empty());
        for unit in &mut self.units_changed {
            sort(&mut unit.because);
        }
        sort(&mut self.units_changed);
        for steps in [
            &mut self.downgrades,
            &mut self.major,
            &mut self.gone,
            &mut self.security,
        ] {
            sort(steps);
        }
        sort(&mut self.patches);
        self.vulnerabilities.iter_mut().for_each(sort);
    }
}

/// How a package changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    /// The package's name.
    pub name: String,
    /// Its versions before, as nvd writes them (`1.0, 2.0 x2`); null where it was not there, or has none.
    pub before: Option<String>,
    /// Its versions after.
    pub after: Option<String>,
    /// What the change amounts to.
    pub change: Change,
    /// Why it was built anew at the same version; null where the version changes.
    pub cause: Option<Cause>,
}

impl Step {
    fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let versions = [&mut self.before, &mut self.after];
        versions.into_iter().flatten().chain([&mut self.name])
    }
}

/// Whether a reboot is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reboot {
    /// Something of what changes takes effect only with a reboot; null where that is not known, for nothing was built.
    pub needed: Option<bool>,
    /// What does, the weightiest first.
    pub reasons: Vec<RebootReason>,
}

impl Reboot {
    /// Returns that of what is never booted.
    fn never() -> Self {
        Self {
            needed: Some(false),
            reasons: Vec::new(),
        }
    }
}

/// What takes effect only with a reboot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RebootReason {
    /// Which part of the system it is.
    pub what: RebootPart,
    /// How it changes. Of kernel parameters, `before` has those that go and `after` those that come.
    #[serde(flatten)]
    pub step: Step,
}

/// A part of a system that is changed only by a reboot, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum RebootPart {
    /// The kernel, compared by its store path.
    Kernel,
    /// Modules of the kernel, those of other packages included (nvidia's, of zfs).
    KernelModules,
    /// What the kernel is started with.
    KernelParameters,
    /// The initial ramdisk.
    Initrd,
    /// Firmware that the kernel loads.
    Firmware,
    /// Microcode of the processor.
    Microcode,
    /// systemd, as the first process.
    Systemd,
    /// The C library, which every running process holds.
    Glibc,
    /// The message bus, which NixOS does not restart.
    Dbus,
}

impl RebootPart {
    /// Returns the word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::KernelModules => "kernel modules",
            Self::KernelParameters => "kernel parameters",
            Self::Initrd => "initrd",
            Self::Firmware => "firmware",
            Self::Microcode => "microcode",
            Self::Systemd => "systemd",
            Self::Glibc => "glibc",
            Self::Dbus => "dbus",
        }
    }
}

/// What becomes of a unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnitChange {
    /// Its name, as in `nginx.service`.
    pub name: String,
    /// It runs for each user, not for the system.
    pub user: bool,
    /// `added`, `removed` or `changed`.
    pub change: Change,
    /// The packages that it or its scripts refer to and because of which it is `changed`, those that tell the most: whose version or
    /// own derivation changes, or else that were rebuilt; what every service refers to (coreutils, systemd) only where there is nothing
    /// else of the kind. Empty where only its own text changes, or a file.
    pub because: Vec<String>,
}

/// A patch against a known hole that a package gains or loses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PatchChange {
    /// The package's name.
    pub package: String,
    /// The patch's name.
    pub patch: String,
    /// The package gains it; otherwise it loses it.
    pub gained: bool,
}

/// A package that is known to be vulnerable on one side only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VulnerabilityChange {
    /// The package's name.
    pub package: String,
    /// What nixpkgs says of it.
    pub vulnerability: String,
    /// It is there after the update; otherwise it was there before.
    pub gained: bool,
}
