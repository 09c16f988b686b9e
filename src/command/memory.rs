//! How much memory a child has taken, from `/proc`.

use std::fs;

use super::process_tree::Process;

/// Returns how much memory the leader of a process group and its descendants in that group have resident, in bytes; none where
/// it is gone or there is no `/proc`.
///
/// What it started and opened a session of its own, as Nix's builders do, is left out. A process that has just forked counts
/// twice for a moment: the copy has the same pages until it runs a program of its own. Quick enough to be asked all the time:
/// only the processes below `leader` are looked at, and not all of `/proc`.
pub fn resident_memory(leader: u32) -> Option<u64> {
    let leader = i32::try_from(leader).ok()?;
    let mut bytes = resident(leader)?;
    let mut parents = vec![leader];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if Process::read(child).is_some_and(|process| process.group == leader) {
                bytes = bytes.saturating_add(resident(child).unwrap_or(0));
                parents.push(child);
            }
        }
    }
    Some(bytes)
}

/// Returns what `/proc/PID/status` says is resident; nothing of a process that has ended.
fn resident(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_resident(&status)
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Returns what the threads of a process have started; empty where the kernel does not say (it is built without
/// `CONFIG_PROC_CHILDREN`).
fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|pids| {
            pids.split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_is_read() {
        let status = "Name:\tnix\nVmPeak:\t 9000 kB\nVmRSS:\t   30672 kB\nThreads:\t3\n";
        assert_eq!(parse_resident(status), Some(30_672 * 1024));
        // What has ended has no memory any more.
        assert_eq!(parse_resident("Name:\tnix\nState:\tZ (zombie)\n"), None);
        assert_eq!(parse_resident("VmRSS:\tmuch kB\n"), None);
    }

    #[test]
    fn nobody_has_no_memory() {
        assert_eq!(resident_memory(u32::MAX), None);
        assert_eq!(resident_memory(999_999_999), None);
    }
}
