//! What of a change takes effect only with a reboot.

use std::collections::{BTreeMap, BTreeSet};

use crate::closure::{Cause, Change, Closure, Entry, PackageName, StorePath, VersionGroup};

use super::changes::{Changes, step, step_between};
use super::{Reboot, RebootPart, RebootReason, Step, SystemSide};

/// Packages that begin like a kernel, and are none.
const NO_KERNELS: &[&str] = &["linux-firmware", "linux-headers", "linux-pam"];

/// Modules of the kernel that packages of their own build, by what their names begin with. Others are known by their version, which
/// ends with the kernel's.
const MODULES: &[&str] = &[
    "nvidia-open",
    "nvidia-x11",
    "virtualbox-modules",
    "zfs-kernel",
];

/// Firmware that a kernel loads, where the root refers to none of its own.
const FIRMWARE: &[&str] = &["firmware-linux-nonfree", "linux-firmware"];

/// Microcode, which stands in the initial ramdisk.
const MICROCODE: &[&str] = &["amd-ucode", "microcode-amd", "microcode-intel"];

/// Packages of which a running system keeps the old one in use until it is started anew.
const RUNNING: &[(RebootPart, &str)] = &[
    (RebootPart::Systemd, "systemd"),
    (RebootPart::Glibc, "glibc"),
    (RebootPart::Dbus, "dbus"),
    (RebootPart::Dbus, "dbus-broker"),
];

/// The paths that a system's root refers to and is started with.
type Parts<'a> = BTreeMap<RebootPart, BTreeSet<&'a StorePath>>;

/// Returns why a NixOS system has to be started anew, and how its kernel changes.
///
/// - Kernel, modules, initial ramdisk and firmware are those that the root refers to, and are compared by their store paths: a
///   rebuilt kernel is another one, whatever its version. With them, packages are named whose modules or firmware changed.
/// - Microcode is compared by its store paths wherever it is in the closure.
/// - systemd, glibc and the message bus count where their version changes, their own derivation did, or nobody knows why they were
///   rebuilt. Those that were rebuilt only because of what they are built from do the same as before. They are rebuilt by nearly
///   every update, and a reason that is always there is none.
/// - What the kernel is started with is compared word by word.
///
/// What has neither a kernel nor an initial ramdisk, a container, is not started by itself: it has no reasons.
pub(super) fn reboot(
    [before, after]: &[SystemSide<'_>; 2],
    changes: Changes<'_>,
) -> (Reboot, Option<Step>) {
    let parts = [before, after].map(|side| parts(side.closure));
    let boots = [
        RebootPart::Kernel,
        RebootPart::KernelModules,
        RebootPart::Initrd,
    ];
    let mut reasons = BTreeSet::new();
    let mut kernel = None;
    if parts
        .iter()
        .any(|parts| boots.iter().any(|part| parts.contains_key(part)))
    {
        let mut add = |what, step: Option<Step>| {
            reasons.extend(step.map(|step| RebootReason { what, step }));
        };
        let steps = steps(&parts, changes);
        kernel = steps.get(&RebootPart::Kernel).cloned();
        if steps.contains_key(&RebootPart::Kernel) || steps.contains_key(&RebootPart::KernelModules)
        {
            for module in modules(&parts, changes) {
                add(RebootPart::KernelModules, Some(step(module)));
            }
        }
        for (part, found) in steps {
            if part == RebootPart::Firmware {
                for step in firmware(&parts, [before, after], changes, found) {
                    add(part, Some(step));
                }
            } else {
                add(part, Some(found));
            }
        }
        if parts
            .iter()
            .all(|parts| !parts.contains_key(&RebootPart::Firmware))
        {
            for name in FIRMWARE {
                add(RebootPart::Firmware, changes.package(name).map(step));
            }
        }
        for name in MICROCODE {
            add(RebootPart::Microcode, changes.package(name).map(step));
        }
        for (part, name) in RUNNING {
            add(*part, running(name, [before, after], changes));
        }
        if let (Some(before), Some(after)) = (before.kernel_params, after.kernel_params) {
            add(RebootPart::KernelParameters, parameters(before, after));
        }
    }
    let reboot = Reboot {
        needed: Some(!reasons.is_empty()),
        reasons: reasons.into_iter().collect(),
    };
    (reboot, kernel)
}

/// Returns which part of a system the path of this name is, where its root refers to it.
fn part(name: &str) -> Option<RebootPart> {
    match name {
        "kernel-modules" => return Some(RebootPart::KernelModules),
        "firmware" => return Some(RebootPart::Firmware),
        "initrd" => return Some(RebootPart::Initrd),
        _ if name.starts_with("initrd-linux") => return Some(RebootPart::Initrd),
        _ => {}
    }
    if !name.starts_with("linux") {
        return None;
    }
    let parsed = PackageName::parse(name);
    if parsed.version.is_none() || !is_kernel(parsed.base) {
        return None;
    }
    let is_modules = |word: Option<&str>| word.is_some_and(|word| word.starts_with("modules"));
    if is_modules(parsed.output) || is_modules(parsed.variant) {
        Some(RebootPart::KernelModules)
    } else {
        parsed.output.is_none().then_some(RebootPart::Kernel)
    }
}

/// Returns whether a package of this name is a kernel: `linux`, `linux-rpi`.
pub(super) fn is_kernel(name: &str) -> bool {
    let variant = match name.strip_prefix("linux") {
        Some("") => return true,
        Some(rest) => rest.strip_prefix('-'),
        None => None,
    };
    variant.is_some_and(|variant| !variant.starts_with("modules") && !NO_KERNELS.contains(&name))
}

fn parts(closure: Closure<'_>) -> Parts<'_> {
    let mut parts = Parts::new();
    for path in references(closure) {
        if let Some(part) = part(path.name()) {
            parts.entry(part).or_default().insert(path);
        }
    }
    parts
}

/// Returns what a system's root refers to.
fn references(closure: Closure<'_>) -> impl Iterator<Item = &StorePath> {
    let graph = closure.graph();
    let references = graph.references(closure.root());
    references.filter_map(move |id| graph.path(id))
}

fn steps([before, after]: &[Parts<'_>; 2], changes: Changes<'_>) -> BTreeMap<RebootPart, Step> {
    let none = BTreeSet::new();
    let parts: BTreeSet<RebootPart> = before.keys().chain(after.keys()).copied().collect();
    let steps = parts.into_iter().filter_map(|part| {
        let sides = [before, after].map(|parts| parts.get(&part).unwrap_or(&none));
        Some((part, step_between(sides, changes)?))
    });
    steps.collect()
}

/// Returns the packages other than the kernel that build modules for it, of those that change.
fn modules<'a>(parts: &[Parts<'_>; 2], changes: Changes<'a>) -> Vec<&'a Entry> {
    let kernels = parts
        .iter()
        .filter_map(|parts| parts.get(&RebootPart::Kernel));
    let suffixes: BTreeSet<String> = kernels
        .flatten()
        .filter_map(|path| PackageName::parse(path.name()).version)
        .map(|version| format!("-{version}"))
        .collect();
    let is_of_kernel = |group: &VersionGroup| {
        let version = group.version.as_deref().unwrap_or_default();
        suffixes.iter().any(|suffix| version.ends_with(suffix))
    };
    let is_module = |entry: &&Entry| {
        MODULES.iter().any(|name| entry.name.starts_with(name))
            || entry.before.iter().chain(&entry.after).any(is_of_kernel)
    };
    changes.packages().filter(is_module).collect()
}

/// Returns what changes of a system's firmware, `whole` being all that is put together: by package, where those that change are told
/// by their names. Kernels bring along some of their own, and are told as such.
fn firmware(
    [old, new]: &[Parts<'_>; 2],
    [before, after]: [&SystemSide<'_>; 2],
    changes: Changes<'_>,
    whole: Step,
) -> BTreeSet<Step> {
    let sides = [
        (old, before.closure, after.closure),
        (new, after.closure, before.closure),
    ];
    let mut told = BTreeSet::new();
    let mut is_kernels = false;
    for (parts, here, there) in sides {
        let graph = here.graph();
        let roots = parts.get(&RebootPart::Firmware).into_iter().flatten();
        let held = roots
            .filter_map(|path| graph.id(path))
            .flat_map(|id| graph.references(id));
        let apart = held.filter(|id| !there.contains(*id));
        for entry in apart.filter_map(|id| changes.package_of(graph.path(id)?)) {
            is_kernels |= is_kernel(&entry.name);
            if entry.name.to_ascii_lowercase().contains("firmware") {
                told.insert(step(entry));
            }
        }
    }
    if told.is_empty() && !is_kernels {
        told.insert(whole);
    }
    told
}

/// Returns how a package changes that a system runs; none where that needs no reboot.
fn running(name: &str, sides: [&SystemSide<'_>; 2], changes: Changes<'_>) -> Option<Step> {
    let held = sides.map(|side| {
        // Names are taken apart last: that takes the longest.
        let is_it = |path: &&StorePath| {
            path.name().starts_with(name) && PackageName::parse(path.name()).package() == name
        };
        references(side.closure)
            .filter(is_it)
            .collect::<BTreeSet<_>>()
    });
    let [before, after] = &held;
    let step = if before.is_empty() || after.is_empty() {
        changes.package(name).map(step)
    } else {
        step_between([before, after], changes)
    }?;
    let is_news = match step.change {
        Change::Rebuilt => step.cause != Some(Cause::Inputs),
        Change::Added | Change::Removed => false,
        Change::Upgraded | Change::Downgraded | Change::Changed => step.before != step.after,
    };
    is_news.then_some(step)
}

/// Returns which words of the kernel's parameters go and come; all where only their order changes, by which a kernel decides
/// between words that contradict each other.
fn parameters(before: &str, after: &str) -> Option<Step> {
    let [old, new] = [before, after].map(words);
    if old == new {
        return None;
    }
    let without = |words: &[String], others: &[String]| {
        let mut others = others.to_vec();
        let mut left = words.to_vec();
        left.retain(|word| match others.iter().position(|other| other == word) {
            Some(at) => {
                others.remove(at);
                false
            }
            None => true,
        });
        left
    };
    let (mut gone, mut come) = (without(&old, &new), without(&new, &old));
    if gone.is_empty() && come.is_empty() {
        (gone, come) = (old, new);
    }
    let [before, after] = [gone, come].map(|words| (!words.is_empty()).then(|| words.join(" ")));
    let change = match (&before, &after) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        _ => Change::Changed,
    };
    Some(Step {
        name: "kernel-params".to_owned(),
        before,
        after,
        change,
        cause: None,
    })
}

/// Returns the words of the kernel's parameters: spaces separate them, but for those in double quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match words.last_mut() {
            Some(word) if !c.is_whitespace() || quoted => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
