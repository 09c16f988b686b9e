//! Ctrl-C at every stage: before and after each call of Nix that a run makes, it ends as the signal says and leaves nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::report::left_over;
use crate::support::{CommandOutput, Fleet};

/// When, seen from a call, the signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It has not done anything.
    Before,
    /// It has ended, and we are about to be told.
    After,
}

/// A fleet whose runs get a signal at a call of theirs.
struct Walk {
    fleet: Fleet,
    bumps: u32,
}

impl Walk {
    fn new() -> Self {
        let mut fleet = Fleet::new();
        // Steps are groups then, which have to be closed.
        fleet.env_mut().set("GITHUB_ACTIONS", "true");
        let walk = Self { fleet, bumps: 0 };
        walk.make_shims();
        walk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fleet.env().dir().join(name)
    }

    /// Stand-ins for Nix's programs. Each counts its call, several at once too, and sends the signal in `signal` at the one
    /// in `at`; the rest of `moment` is run first, or the real program.
    fn make_shims(&self) {
        let dir = self.path("counting");
        let base = self.fleet.env().dir().display();
        for name in ["nix", "nix-store", "git"] {
            let real = self.fleet.env().which(name).unwrap();
            let script = format!(
                "#!/bin/sh\n\
                 n=1\n\
                 while ! mkdir {base}/calls/$n 2>/dev/null; do n=$((n + 1)); done\n\
                 [ $n -eq $(cat {base}/at) ] || exec '{real}' \"$@\"\n\
                 code=0\n\
                 [ $(cat {base}/moment) = Before ] || '{real}' \"$@\" || code=$?\n\
                 . {base}/signal\n\
                 [ $(cat {base}/moment) = Before ] || exit $code\n\
                 sleep 0.3\n\
                 exec '{real}' \"$@\"\n",
                real = real.display()
            );
            // As `Shim` does it: a program that this process has open cannot be run.
            let _written = self
                .fleet
                .env()
                .output(
                    self.fleet
                        .env()
                        .command("sh")
                        .args([
                            "-euc",
                            r#"mkdir -p "$1"; printf %s "$3" >"$1/$2"; chmod 755 "$1/$2""#,
                            "sh",
                        ])
                        .arg(&dir)
                        .args([name, &script]),
                )
                .success();
        }
    }

    /// Has the next update bring something to build.
    fn bump(&mut self) {
        self.bumps += 1;
        let change = format!("zfs-user=3.0.{}", self.bumps);
        self.fleet.bump(&[change.as_str()]);
    }

    /// Runs a command, with a piece of shell at a call's moment, in which `$pid` is the run. Returns what it said, and how many
    /// calls there were.
    fn run(
        &self,
        args: &[&str],
        at: usize,
        moment: Moment,
        script: &str,
    ) -> (CommandOutput, usize) {
        let calls = self.path("calls");
        if calls.exists() {
            fs::remove_dir_all(&calls).unwrap();
        }
        fs::create_dir(&calls).unwrap();
        let env = self.fleet.env();
        env.write("at", at.to_string());
        env.write("moment", format!("{moment:?}"));
        let pid = self.path("pid");
        env.write("signal", format!("pid=$(cat {})\n{script}", pid.display()));
        let mut herald = env.binary();
        herald.args(args);
        let heeding = env.heeding_signals(&herald);
        let mut path = self.path("counting").into_os_string();
        path.push(":");
        path.push(env.var("PATH").unwrap());
        // `exec` and env(1) keep the process's number.
        let mut shell: Command = env.command("sh");
        shell
            .args(["-c", "echo $$ >\"$0\"; exec \"$@\""])
            .arg(&pid)
            .arg(heeding.get_program())
            .args(heeding.get_args())
            .env("PATH", path)
            .current_dir(self.fleet.flake());
        let output = env.output(&mut shell);
        let count = fs::read_dir(&calls).unwrap().count();
        (output, count)
    }

    /// Asserts that nothing of a run is left.
    fn is_clean(&self, context: &str) {
        assert_eq!(left_over(&self.fleet), Vec::<String>::new(), "{context}");
        assert_eq!(self.living(), Vec::<String>::new(), "{context}");
        let roots = self.path("nix/var/gcroots/auto");
        for root in fs::read_dir(roots).into_iter().flatten() {
            let root = root.unwrap().path();
            assert!(!root.exists(), "{context}: {} is held", root.display());
        }
        let links: Vec<_> = fs::read_dir(self.fleet.flake())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().starts_with("result"))
            .collect();
        assert!(links.is_empty(), "{context}: {links:?}");
    }

    /// Returns the command lines of the processes that have our scratch directory in their environment.
    fn living(&self) -> Vec<String> {
        let ours = format!("={}", self.fleet.env().dir().display());
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let environ = fs::read(path.join("environ")).ok()?;
                let ours = String::from_utf8_lossy(&environ).contains(&ours);
                let line = fs::read(path.join("cmdline")).ok()?;
                // Who has ended and was not waited for has neither.
                (ours && !line.is_empty())
                    .then(|| String::from_utf8_lossy(&line).replace('\0', " "))
            })
            .collect()
    }

    /// Interrupts a command at every call of its, and asserts that each time nothing is left. `check` is asked besides.
    fn walk(&mut self, args: &[&str], moment: Moment, check: impl Fn(&Self, &CommandOutput)) {
        self.bump();
        let (output, count) = self.run(args, 0, moment, "");
        let _whole = output.success();
        assert!(count >= 2, "only {count} calls");
        let before = self.fleet.repository();
        for at in 1..=count {
            let context = format!("{} {moment:?} call {at} of {count}", args[0]);
            if args[0] == "report" {
                self.bump();
            }
            let (output, _) = self.run(args, at, moment, "kill -INT $pid");
            assert!(self.path(&format!("calls/{at}")).exists(), "{context}");
            assert_eq!(output.status.code(), Some(130), "{context}: {output}");
            assert_eq!(output.stdout, "", "{context}");
            self.is_clean(&context);
            assert_eq!(self.fleet.repository(), before, "{context}");
            let groups = |word: &str| {
                output
                    .stderr
                    .lines()
                    .filter(|line| line.starts_with(word))
                    .count()
            };
            assert_eq!(
                groups("::group::"),
                groups("::endgroup::"),
                "{context}: {output}"
            );
            assert!(output.stderr.contains("SIGINT"), "{context}: {output}");
            check(self, &output);
        }
        // Nothing was spoilt.
        let _whole = self.run(args, 0, moment, "").0.success();
    }

    fn walk_report(&mut self, moment: Moment) {
        let out = self.path("out");
        let told = self.fleet.env().write("told", "");
        self.fleet.env_mut().set("GITHUB_OUTPUT", &told);
        let args = [
            "report",
            "--host",
            "nas",
            "--output-dir",
            out.to_str().unwrap(),
        ];
        self.walk(&args, moment, |_, output| {
            let files = fs::read_dir(&out).unwrap().count();
            assert_eq!(files, 0, "{output}");
            let told = fs::read_to_string(&told).unwrap();
            let (_, last) = told.rsplit_once("exit-code<<").unwrap();
            assert_eq!(last.lines().nth(1), Some("130"), "{told}");
        });
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_report_is_interrupted_before_each_call() {
    Walk::new().walk_report(Moment::Before);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_report_is_interrupted_after_each_call() {
    Walk::new().walk_report(Moment::After);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_lock_and_a_list_of_hosts_are_interrupted_at_each_call() {
    let mut walk = Walk::new();
    let file = walk.path("new.lock");
    let hosts = ["hosts", "--systems", "--format", "json"];
    for moment in [Moment::Before, Moment::After] {
        let args = ["lock", "-o", file.to_str().unwrap()];
        walk.walk(&args, moment, |walk, output| {
            // What an earlier run wrote is as it was, and nothing is beside it.
            let beside = fs::read_dir(walk.fleet.env().dir()).unwrap();
            for entry in beside {
                let name = entry.unwrap().file_name();
                let name = name.to_string_lossy();
                assert!(!name.starts_with(".flake-herald"), "{name}: {output}");
            }
            assert!(fs::read_to_string(&file).unwrap().ends_with("}\n"));
        });
        walk.walk(&hosts, moment, |_, _| {});
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn every_signal_has_its_code_and_the_second_one_hurries() {
    let mut walk = Walk::new();
    let args = ["report", "--host", "nas"];
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        let script = format!("kill -{signal} $pid");
        let (output, _) = walk.run(&args, 3, Moment::Before, &script);
        assert_eq!(output.status.code(), Some(code), "{output}");
        walk.is_clean(signal);
    }
    // A program that does not heed the signal gets ten seconds, or until the next one.
    walk.bump();
    let started = Instant::now();
    let stubborn = "trap '' INT\nkill -INT $pid\nsleep 0.5\nkill -INT $pid\nsleep 60";
    let (output, _) = walk.run(&args, 4, Moment::Before, stubborn);
    assert_eq!(output.status.code(), Some(130), "{output}");
    assert!(started.elapsed() < Duration::from_secs(8), "{output}");
    walk.is_clean("hurried");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_daemon_of_a_builder_is_ended_too() {
    let walk = Walk::new();
    let pid = walk.path("daemon");
    // A session of its own, a clean environment, and no parent any more: unsandboxed, and as the user that runs the build.
    let script = format!(
        "(env -i /usr/bin/setsid sh -c 'echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 300' >/dev/null 2>&1 &)\n\
         while ! [ -s {pid} ]; do sleep 0.05; done\n\
         kill -INT $(cat {run})\n\
         sleep 300\n",
        pid = pid.display(),
        run = walk.path("pid").display(),
    );
    walk.fleet
        .env()
        .write("inputs/nixpkgs/changes/zfs-user@fail", script);
    walk.fleet.bump(&["zfs-user=3.0.0"]);
    let args = ["report", "--host", "nas"];
    let (output, _) = walk.run(&args, 0, Moment::Before, "");
    assert_eq!(output.status.code(), Some(130), "{output}");
    let daemon = fs::read_to_string(&pid).unwrap();
    let line = fs::read(format!("/proc/{}/cmdline", daemon.trim())).unwrap_or_default();
    assert!(
        !line.starts_with(b"sleep\0"),
        "the daemon {daemon} lives on"
    );
    walk.is_clean("a daemon");
}
