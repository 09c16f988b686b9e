//! rendering RENDERING HOSTS PATHS ROUNDS - how long a rendering of a made report takes, and how much memory.
//!
//! Each of the hosts changes, and on each about PATHS store paths are replaced by others, most of them on all hosts alike. RENDERING is `body`
//! (of 60,000 bytes), `markdown`, `text`, `json`, `seal`, or `properties`, which checks bodies as the tests do. Prints a line of JSON: the
//! milliseconds of a processor that each round took, the bytes rendered, the paths, and in kilobytes what the process held before
//! the first round (the report, mostly) and at most. `scripts/bench --report` calls it.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "it is made of the tests' own parts, where a panic is the way to fail"
)]

use std::io::{self, Write};

use flake_herald::report::{body, to_markdown, to_plain_text, write_json};

#[expect(dead_code, reason = "tests ask for more")]
#[path = "../budget.rs"]
mod budget;
#[path = "../made.rs"]
mod made;
#[expect(dead_code, reason = "tests ask for more")]
#[path = "../page.rs"]
mod page;

/// Counts the bytes written to it.
struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rendering, hosts, paths, rounds] = args.as_slice() else {
        return Err("usage: rendering RENDERING HOSTS PATHS ROUNDS".into());
    };
    // As in closures of real systems, two packages have three paths; a few of either come or go on one side alone.
    let shape = made::Shape::changed(hosts.parse()?, paths.parse::<usize>()? * 11 / 15);
    if rendering == "properties" {
        let mixed = made::Shape::mixed(shape.hosts, shape.changes);
        let flaws = budget::flaws(&made::report(&mixed));
        return if flaws.is_empty() {
            Ok(())
        } else {
            Err(flaws.join("\n").into())
        };
    }
    let mut report = made::report(&shape);
    let added = report
        .hosts
        .iter()
        .filter_map(|host| host.diff.as_ref()?.paths_added);
    let paths = added.sum::<u64>() / report.fleet.hosts.max(1);
    // From here on: the most memory so far counts from what is held here (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5")?;
    let held = memory("VmRSS")?;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..rounds.parse::<usize>()? {
        let start = processor_ms()?;
        bytes = match rendering.as_str() {
            "body" => body(&report, 60_000).len(),
            "markdown" => to_markdown(&report).len(),
            "text" => to_plain_text(&report).len(),
            "json" => {
                let mut to = Counted(0);
                write_json(&report, &mut to)?;
                to.0
            }
            "seal" => {
                report.seal();
                report.digest.len()
            }
            other => return Err(format!("`{other}` is no rendering of ours").into()),
        };
        times.push(processor_ms()? - start);
    }
    let most = memory("VmHWM")?;
    let line = serde_json::json!({
        "ms": times, "bytes": bytes, "paths": paths, "held_kb": held, "most_kb": most,
    });
    println!("{line}");
    Ok(())
}

/// Returns for how long this process, which has one thread, has had a processor: what else the machine does counts less than by a
/// clock.
fn processor_ms() -> Result<f64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split(' ').next().ok_or("no such figure")?;
    Ok(nanoseconds.parse::<f64>()? / 1e6)
}

/// Returns a figure of this process's memory, in kilobytes.
fn memory(which: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("no such figure")?.parse()?)
}
