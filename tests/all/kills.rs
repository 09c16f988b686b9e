//! Killed at any point, the next run converges: on one branch, one commit, one open pull request, or on none.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::support::forge::{Dialect, Moment, Next};
use crate::support::scene::{Done, Scene, Transport};
use crate::support::{CommandOutput, Shim};

/// Where a run is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Before the forge carries out this request.
    BeforeRequest(usize),
    /// After it, before the answer.
    AfterRequest(usize),
    /// Before this call of git starts.
    BeforeGit(usize),
    /// After it has ended.
    AfterGit(usize),
}

/// A scene in which runs can be killed.
struct Walk {
    scene: Scene,
    shim: Shim,
    /// The process to kill; 0: none.
    victim: Arc<AtomicU32>,
    killed: Arc<AtomicBool>,
}

impl Walk {
    fn new(dialect: Dialect) -> Self {
        let mut scene = Scene::new(dialect, Transport::Http);
        let shim = Shim::new(&mut scene.env);
        Self {
            scene,
            shim,
            victim: Arc::default(),
            killed: Arc::default(),
        }
    }

    /// Publishes lock number `after` from `branch` and kills it at a point. Returns whether the run came to that point.
    fn killed_at(&self, point: Point, after: u32, branch: &str) -> bool {
        self.killed.store(false, Ordering::SeqCst);
        // First of all: this calls git too.
        let report = self.scene.report(after);
        let mut command = self.scene.command(&report, after, &["--branch", branch]);
        let counter = self.scene.env.write("git-calls", "0");
        let (victim, killed) = (Arc::clone(&self.victim), Arc::clone(&self.killed));
        match point {
            Point::BeforeRequest(n) | Point::AfterRequest(n) => {
                let wanted = if matches!(point, Point::BeforeRequest(_)) {
                    Moment::Before
                } else {
                    Moment::After
                };
                let mut count = 0;
                self.scene.forge.on_request(Box::new(move |_, _, moment| {
                    if moment != wanted {
                        return Next::Continue;
                    }
                    count += 1;
                    if count != n {
                        return Next::Continue;
                    }
                    kill(victim.load(Ordering::SeqCst));
                    killed.store(true, Ordering::SeqCst);
                    Next::Close
                }));
            }
            Point::BeforeGit(n) | Point::AfterGit(n) => {
                let real = if matches!(point, Point::AfterGit(_)) {
                    "\"$real\" \"$@\""
                } else {
                    ":"
                };
                let script = format!(
                    "n=$(($(cat {counter}) + 1)); echo $n >{counter}\n\
                     if [ $n -eq {n} ]; then {real}; echo killed >{counter}; kill -9 $PPID; exit 1; fi",
                    counter = counter.display()
                );
                self.shim.fault(&self.scene.env, "git", "", &script);
            }
        }
        let ended = self.run(&mut command);
        self.heal();
        let reached = self.killed.load(Ordering::SeqCst)
            || std::fs::read_to_string(&counter).unwrap() == "killed\n";
        let by_signal = ended.status.signal() == Some(9);
        // A request of git's own may be the one that was not answered, after its parent was killed.
        assert_eq!(reached, by_signal, "{point:?}: {ended}");
        reached
    }

    fn run(&self, command: &mut Command) -> CommandOutput {
        // `exec` keeps the process's number, so that it is known before the program runs.
        let (program, args) = (command.get_program().to_owned(), command.get_args());
        let mut shell = self.scene.env.command("/bin/sh");
        let pid_file = self.scene.env.dir().join("pid");
        shell
            .args(["-c", "echo $$ >\"$0\"; read -r go <\"$0.go\"; exec \"$@\""])
            .arg(&pid_file)
            .arg(program)
            .args(args)
            .current_dir(&self.scene.checkout);
        let go = self.scene.env.dir().join("pid.go");
        let _gone: std::io::Result<()> = std::fs::remove_file(&pid_file);
        let _gone: std::io::Result<()> = std::fs::remove_file(&go);
        let made = self
            .scene
            .env
            .output(self.scene.env.command("mkfifo").arg(&go));
        let _made = made.success();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| self.scene.env.output(&mut shell));
            let pid = loop {
                let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
                if let Some(line) = text.strip_suffix('\n') {
                    break line.parse().unwrap();
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            };
            self.victim.store(pid, Ordering::SeqCst);
            std::fs::write(&go, "go\n").unwrap();
            running.join().unwrap()
        })
    }

    /// From now on nothing is killed.
    fn heal(&self) {
        self.victim.store(0, Ordering::SeqCst);
        self.scene
            .forge
            .on_request(Box::new(|_, _, _| Next::Continue));
        self.shim.fault(&self.scene.env, "git", "", ":");
    }

    fn publish(&self, after: u32, branch: &str) -> Done {
        let report = self.scene.report(after);
        self.scene
            .publish_with(&report, after, &["--branch", branch])
    }
}

fn kill(pid: u32) {
    assert_ne!(pid, 0, "nobody is to be killed");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Every point that a run can be killed at, until a run is not killed at any kind of point any more.
fn walk(mut at: impl FnMut(usize, Point) -> bool) -> usize {
    let kinds: [fn(usize) -> Point; 4] = [
        Point::BeforeRequest,
        Point::AfterRequest,
        Point::BeforeGit,
        Point::AfterGit,
    ];
    let mut walked = 0;
    for kind in kinds {
        for n in 1.. {
            assert!(n < 60, "{:?} is reached again and again", kind(n));
            if !at(walked, kind(n)) {
                break;
            }
            walked += 1;
        }
    }
    walked
}

fn opening(dialect: Dialect) {
    let walk_scene = Walk::new(dialect);
    let walked = walk(|number, point| {
        // Each on a branch of its own, for which there is no pull request yet.
        let branch = format!("auto/opening-{number}");
        let reached = walk_scene.killed_at(point, 2, &branch);
        let done = walk_scene.publish(2, &branch);
        assert_eq!(done.code, Some(0), "{point:?}: {}", done.output);
        walk_scene.scene.is_published(&branch, 2);
        walk_scene.publish(2, &branch).is("unchanged");
        reached
    });
    assert!(walked >= 16, "only {walked} points were found");
}

fn refreshing(dialect: Dialect) {
    let branch = "auto/flake-update";
    let walk_scene = Walk::new(dialect);
    let number = walk_scene.publish(2, branch).is("created").number;
    let mut lock = 2;
    let walked = walk(|_, point| {
        lock += 1;
        let reached = walk_scene.killed_at(point, lock, branch);
        let done = walk_scene.publish(lock, branch);
        assert_eq!(
            (done.code, done.number),
            (Some(0), number),
            "{point:?}: {}",
            done.output
        );
        walk_scene.scene.is_published(branch, lock);
        reached
    });
    assert!(walked >= 16, "only {walked} points were found");
}

fn closing(dialect: Dialect) {
    let walk_scene = Walk::new(dialect);
    let walked = walk(|number, point| {
        let branch = format!("auto/closing-{number}");
        let opened = walk_scene.publish(2, &branch).is("created").number.unwrap();
        let reached = walk_scene.killed_at(point, 1, &branch);
        let done = walk_scene.publish(1, &branch);
        assert_eq!(done.code, Some(2), "{point:?}: {}", done.output);
        assert_eq!(walk_scene.scene.open_from(&branch).len(), 0, "{point:?}");
        assert_eq!(walk_scene.scene.tip(&branch), None, "{point:?}");
        let pull = walk_scene
            .scene
            .forge
            .state()
            .pull(crate::support::scene::SLUG, opened)
            .clone();
        assert_eq!(pull.comments.len(), 1, "{point:?}: {:?}", pull.comments);
        reached
    });
    assert!(walked >= 18, "only {walked} points were found");
}

#[test]
fn opening_survives_every_kill_on_forgejo() {
    opening(Dialect::Forgejo);
}

#[test]
fn opening_survives_every_kill_on_github() {
    opening(Dialect::Github);
}

#[test]
fn refreshing_survives_every_kill_on_forgejo() {
    refreshing(Dialect::Forgejo);
}

#[test]
fn refreshing_survives_every_kill_on_github() {
    refreshing(Dialect::Github);
}

#[test]
fn closing_survives_every_kill_on_forgejo() {
    closing(Dialect::Forgejo);
}

#[test]
fn closing_survives_every_kill_on_github() {
    closing(Dialect::Github);
}
