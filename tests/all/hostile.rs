//! Surroundings and files that would have publishing hang, break, or work on something else.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::forge::Dialect;
use crate::support::scene::{BRANCH, Scene, Transport};

fn usual(scene: &Scene) -> Command {
    scene.command(&scene.report(2), 2, &[])
}

#[test]
fn a_pipe_nobody_writes_to_does_not_keep_a_run_from_being_stopped() {
    for name in ["in/report.json", "in/flake.lock"] {
        let scene = Scene::new(Dialect::Forgejo, Transport::Http);
        let mut command = scene.env.heeding_signals(&usual(&scene));
        let path = scene.env.dir().join(name);
        fs::remove_file(&path).unwrap();
        let _made = scene
            .env
            .output(scene.env.command("mkfifo").arg(&path))
            .success();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The scratch directory is there once signals are listened for.
        let tmp = scene.env.dir().join("tmp");
        let started = Instant::now();
        while fs::read_dir(&tmp).unwrap().next().is_none() {
            assert!(started.elapsed() < Duration::from_secs(30), "{name}");
            thread::sleep(Duration::from_millis(10));
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let stopped = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if stopped.elapsed() > Duration::from_secs(20) {
                child.kill().unwrap();
                let _status = child.wait().unwrap();
                break None;
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(status.and_then(|status| status.code()), Some(130), "{name}");
        assert!(fs::read_dir(&tmp).unwrap().next().is_none(), "{name}");
    }
}

#[test]
fn variables_of_another_repository_do_not_count() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    let _repository = scene.git_in_dir(&["init", "-q", "other"]);
    let other = scene.env.dir().join("other");
    let mut command = usual(&scene);
    // As in a hook of it.
    command
        .env("GIT_DIR", other.join(".git"))
        .env("GIT_COMMON_DIR", other.join(".git"))
        .env("GIT_WORK_TREE", scene.env.dir().join("nowhere/else"))
        .env("GIT_INDEX_FILE", other.join(".git/index"))
        .env("GIT_OBJECT_DIRECTORY", other.join(".git/objects"))
        .env("GIT_CONFIG", other.join("none"))
        .env("GIT_NAMESPACE", "other")
        .env("GIT_PREFIX", "hosts/");
    let _done = Scene::finished(scene.env.output(&mut command)).is("created");
    scene.is_published(BRANCH, 2);
}

#[test]
fn a_long_template_is_refused_or_used_but_breaks_nothing() {
    let chains = [
        ("{{ 1", "+1", " }}"),
        ("{{ 1", "|abs", " }}"),
        ("{{ ", "not ", "1 }}"),
        ("{{ ", "-", "1 }}"),
        ("{{ f", "()", " }}"),
        ("{% if 0 %}a", "{% elif 0 %}", "{% endif %}t"),
    ];
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    for (before, link, after) in chains {
        for bytes in [60 * 1024, 100 * 1024] {
            let title = format!("{before}{}{after}", link.repeat(bytes / link.len()));
            let mut command = scene.command(&scene.report(2), 2, &["--title", &title]);
            let output = scene.env.output(&mut command);
            let code = output.status.code();
            if bytes > 64 * 1024 {
                assert_eq!(code, Some(1), "{link}: {output}");
                assert!(
                    output.stderr.contains("Hint: 64 KiB are the most"),
                    "{link}: {output}"
                );
            } else {
                assert!(matches!(code, Some(0 | 1)), "{link}: {output}");
            }
            assert_eq!(
                fs::read_dir(scene.env.dir().join("tmp")).unwrap().count(),
                0,
                "{link}"
            );
        }
    }
}

#[test]
fn a_remote_with_line_breaks_is_refused_in_one_line() {
    let scene = Scene::new(Dialect::Forgejo, Transport::Http);
    for remote in ["http://127.0.0.1:1/a\nlice/fleet", "a\n::error::b"] {
        let mut command = scene.command(&scene.report(2), 2, &["--remote", remote]);
        let output = scene.env.output(&mut command).code(1);
        let first = output
            .stderr
            .lines()
            .find(|line| line.starts_with("Error: "));
        assert!(first.is_some_and(|line| line.contains("\\n")), "{output}");
    }
}
