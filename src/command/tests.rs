//! The door with real processes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// Returns a door whose children get `PATH` and nothing else, and that is quick to lose patience.
fn door() -> Door {
    Door::new(environment(), Cancel::new()).with_grace(Duration::from_millis(200))
}

fn environment() -> ChildEnvironment {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tools that the tests run are wherever the machine has them"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    ChildEnvironment::new([(OsString::from("PATH"), path)], &[], &[]).0
}

fn sh(script: &str) -> Cmd {
    Cmd::new("sh").args(["-c", script])
}

/// A shell for which no signal is ignored: whoever started the tests may ignore some, and a shell cannot trap those.
fn heedful_sh(script: &str) -> Cmd {
    Cmd::new("env").args(["--default-signal", "sh", "-c", script])
}

/// A number of seconds to sleep that no other process on the machine sleeps, so that a test finds its own again.
struct Sleep(String);

impl Sleep {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(format!(
            "1000.{:07}{:04}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ))
    }

    /// Returns the processes that have the number in their arguments and have not ended.
    fn processes(&self) -> Vec<i32> {
        let has_number = |pid: &i32| {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(&self.0)
        };
        let pids = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(has_number).collect()
    }

    async fn wait_for(&self, count: usize) {
        for _ in 0..200 {
            if self.processes().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not {count} processes: {:?}", self.processes());
    }
}

impl Sleep {
    /// Waits until it is the program itself that has the number, and no more the shell that is about to become it.
    async fn wait_for_the_program(&self) {
        for _ in 0..200 {
            let is_sleep = |pid: &i32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n")
            };
            if self.processes().iter().any(is_sleep) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no sleep: {:?}", self.processes());
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        for pid in self.processes() {
            let pid = Pid::from_raw(pid).unwrap();
            kill_process(pid, Signal::KILL).unwrap_or_default();
        }
    }
}

/// Returns a script that starts processes in every way that escapes a process group, none of which heeds SIGINT, and how many.
fn stubborn(sleep: &Sleep) -> (String, usize) {
    let Sleep(time) = sleep;
    let script = format!(
        r#"
        trap '' INT TERM HUP
        sleep {time} &
        setsid sleep {time} &
        (setsid sleep {time} &)
        setsid sh -c '(sleep {time} &) ; sleep {time}' &
        env -i "$(command -v setsid)" "$(command -v sleep)" {time} &
        echo started >&2
        exec sleep {time}
        "#
    );
    // One of them is the shell in the middle, which has the number in its script.
    (script, 8)
}

#[tokio::test]
async fn output_has_everything() {
    let output = door()
        .output(&sh("cat; echo out; echo err >&2; exit 7"))
        .await
        .unwrap();
    assert_eq!(output.status, 7);
    assert!(!output.success());
    assert_eq!(output.text().unwrap(), "out\n");
    assert_eq!(output.stderr.bytes(), b"err\n");
    assert_eq!(
        output.argv,
        ["sh", "-c", "cat; echo out; echo err >&2; exit 7"]
    );
}

#[tokio::test]
async fn a_status_other_than_0_is_an_error_of_run() {
    let error = door()
        .run(&sh("echo one >&2; echo two >&2; exit 3"))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Some(3));
    assert_snapshot!(error.detail(), @"
    `sh -c 'echo one >&2; echo two >&2; exit 3'` failed with status 3
        one
        two
    ");
    door().run(&sh("exit 0")).await.unwrap();
}

#[tokio::test]
async fn a_foreign_signal_is_an_error_of_both() {
    let error = door()
        .output(&sh("echo last >&2; kill -9 $$"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CommandError::Killed { signal: 9, .. }),
        "{error:?}"
    );
    assert_eq!(error.stderr().unwrap().bytes(), b"last\n");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let program = door()
        .run(&Cmd::new("no-such-program").arg("x"))
        .await
        .unwrap_err();
    assert!(program.is_program_missing());
    assert_snapshot!(program, @r#"`no-such-program x` could not be started: program "no-such-program" not found"#);
    let path = door().run(&Cmd::new("/no/such/program")).await.unwrap_err();
    assert!(path.is_program_missing());
    let directory = door()
        .run(&sh("true").current_dir("/no/such/directory"))
        .await
        .unwrap_err();
    assert!(!directory.is_program_missing());
    assert_snapshot!(directory, @r#"`sh -c true` could not be started: directory "/no/such/directory" not found"#);

    let scratch = tempfile::tempdir().unwrap();
    let script = scratch.path().join("script");
    // Written by a child: a file that a parallel test's child holds open for writing could not be run (ETXTBSY).
    let write = format!(
        "printf '#!/no/such/interpreter\\n' > '{0}' && chmod +x '{0}'",
        script.display()
    );
    door().run(&sh(&write)).await.unwrap();
    let interpreter = door().run(&Cmd::new(script)).await.unwrap_err();
    assert!(
        matches!(interpreter, CommandError::NotStarted { missing: None, .. }),
        "{interpreter:?}"
    );

    // An argument list that is too long is the system's to refuse.
    let long = door()
        .run(&Cmd::new("true").arg("x".repeat(4 * 1024 * 1024)))
        .await
        .unwrap_err();
    assert!(matches!(
        long,
        CommandError::NotStarted { missing: None, .. }
    ));
}

#[tokio::test]
async fn the_child_gets_the_environment_and_nothing_else() {
    let environment = environment().with("KEPT", "a").with("OVER", "b");
    let door = Door::new(environment, Cancel::new());
    let output = door
        .run(&Cmd::new("env").env("OVER", "c").env("EXTRA", "d"))
        .await
        .unwrap();
    let mut names: Vec<_> = output
        .text()
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with("PATH="))
        .collect();
    names.sort_unstable();
    let (mark, rest): (Vec<_>, Vec<_>) = names
        .into_iter()
        .partition(|line| line.starts_with("__FLAKE_HERALD_PROCESS="));
    assert_eq!(mark.len(), 1);
    assert_eq!(rest, ["EXTRA=d", "KEPT=a", "OVER=c"]);
}

#[tokio::test]
async fn the_child_starts_in_its_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let output = door()
        .run(&Cmd::new("pwd").current_dir(scratch.path()))
        .await
        .unwrap();
    assert_eq!(
        Path::new(output.text().unwrap().trim_end()),
        fs::canonicalize(scratch.path()).unwrap()
    );
}

#[tokio::test]
async fn ten_megabytes_go_in_and_come_out() {
    let bytes: Vec<u8> = (0..10_000_000_u32)
        .map(|number| number.to_le_bytes().into_iter().fold(0, |a, b| a ^ b))
        .collect();
    let output = door()
        .run(&Cmd::new("cat").stdin_bytes(bytes.clone()))
        .await
        .unwrap();
    assert!(
        output.stdout == bytes,
        "{} bytes came out",
        output.stdout.len()
    );
    // Nobody has to read it.
    door()
        .run(&Cmd::new("true").stdin_bytes(bytes))
        .await
        .unwrap();
}

#[tokio::test]
async fn stdout_has_a_limit() {
    let exactly = door()
        .run(&sh("printf 12345678").stdout_limit(8))
        .await
        .unwrap();
    assert_eq!(exactly.stdout, b"12345678");
    let more = door()
        .run(&sh("printf 123456789").stdout_limit(8))
        .await
        .unwrap_err();
    assert_snapshot!(more, @"`sh -c 'printf 123456789'` was ended because it wrote more than 8 bytes to stdout");
    let sleep = Sleep::new();
    let endless = sh(&format!("setsid sleep {} & yes", sleep.0)).stdout_limit(100_000);
    let error = door().run(&endless).await.unwrap_err();
    assert!(
        matches!(error, CommandError::TooMuchOutput { limit: 100_000, .. }),
        "{error:?}"
    );
    assert_eq!(sleep.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn of_stdout_the_end_is_kept_where_no_more_is_asked_for() {
    let output = door()
        .run(
            &sh("head -c 3000000 /dev/zero; printf 'the end'")
                .stdout_tail(10)
                .stdout_limit(8),
        )
        .await
        .unwrap();
    assert_eq!(output.stdout, b"\0\0\0the end");
    assert_eq!(output.stdout_dropped, 3_000_007 - 10);
    let short = door().run(&sh("printf all").stdout_tail(10)).await.unwrap();
    assert_eq!(
        (short.stdout.as_slice(), short.stdout_dropped),
        (&b"all"[..], 0)
    );
}

#[tokio::test]
async fn output_that_is_not_text_says_so() {
    let output = door().run(&sh(r"printf 'ok\377'")).await.unwrap();
    assert_snapshot!(output.text().unwrap_err(), @r#"`sh -c 'printf '\''ok\377'\'''` wrote something to stdout that is not UTF-8"#);
}

#[tokio::test]
async fn of_stderr_the_end_is_kept() {
    let output = door()
        .output(&sh("head -c 3000000 /dev/zero >&2; echo end >&2"))
        .await
        .unwrap();
    assert_eq!(output.stderr.bytes().len(), STDERR_KEPT);
    assert_eq!(
        output.stderr.dropped(),
        3_000_004 - u64::try_from(STDERR_KEPT).unwrap()
    );
    assert!(output.stderr.bytes().ends_with(b"\0end\n"));
}

#[tokio::test]
async fn lines_arrive_while_the_child_runs() {
    let scratch = tempfile::tempdir().unwrap();
    let flag = scratch.path().join("flag");
    let script = format!(
        "echo one >&2; until [ -e '{}' ]; do sleep 0.01; done; printf 'two\\nrest' >&2; exit 5",
        flag.display()
    );
    let mut seen = Vec::new();
    let output = door()
        .output_with_lines(&sh(&script).time_limit(Duration::from_secs(5)), |line| {
            seen.push(String::from_utf8_lossy(line).into_owned());
            if line == b"one" {
                fs::write(&flag, "").unwrap();
            }
        })
        .await
        .unwrap();
    assert_eq!(output.status, 5);
    assert_eq!(seen, ["one", "two", "rest"]);
    assert_eq!(output.stderr.bytes(), b"one\ntwo\nrest");
}

#[tokio::test]
async fn long_lines_are_cut_for_the_callback_only() {
    let mut seen = Vec::new();
    let cmd = sh("printf '0123456789\\nnext\\n' >&2").line_limit(4);
    let output = door()
        .output_with_lines(&cmd, |line| {
            seen.push(String::from_utf8_lossy(line).into_owned());
        })
        .await
        .unwrap();
    assert_eq!(seen, ["0123 [... 6 bytes cut off]", "next"]);
    assert_eq!(output.stderr.bytes(), b"0123456789\nnext\n");
}

#[tokio::test]
async fn nothing_survives_a_time_limit() {
    let sleep = Sleep::new();
    let (script, count) = stubborn(&sleep);
    let door = door();
    let cmd = sh(&script).time_limit(Duration::from_millis(1200));
    let (result, ()) = tokio::join!(door.run(&cmd), sleep.wait_for(count));
    let error = result.unwrap_err();
    assert_eq!(sleep.processes(), Vec::<i32>::new());
    assert!(matches!(error, CommandError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.stderr().unwrap().bytes(), b"started\n");
}

#[tokio::test]
async fn nothing_survives_a_cancellation() {
    let sleep = Sleep::new();
    let (script, count) = stubborn(&sleep);
    let door = door();
    let cmd = sh(&script);
    let (result, ()) = tokio::join!(door.run(&cmd), async {
        sleep.wait_for(count).await;
        door.cancel().cancel(Stop::Terminate);
    });
    let error = result.unwrap_err();
    assert_eq!(sleep.processes(), Vec::<i32>::new());
    assert_eq!(error.stopped(), Some(Stop::Terminate));
    assert_eq!(error.stderr().unwrap().bytes(), b"started\n");
}

#[tokio::test]
async fn nothing_survives_a_dropped_future() {
    let sleep = Sleep::new();
    let (script, count) = stubborn(&sleep);
    let door = door();
    let cmd = sh(&script);
    tokio::select! {
        result = door.run(&cmd) => panic!("{result:?}"),
        () = sleep.wait_for(count) => {}
    }
    assert_eq!(sleep.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn nothing_survives_while_more_is_started() {
    let sleep = Sleep::new();
    let door = door().with_grace(Duration::from_millis(50));
    let cmd = sh(&format!(
        "trap '' INT; while :; do (setsid sleep {} &); sleep 0.005; done",
        sleep.0
    ));
    let (result, ()) = tokio::join!(door.run(&cmd), async {
        sleep.wait_for(5).await;
        door.cancel().cancel(Stop::Interrupt);
    });
    assert!(result.unwrap_err().stopped().is_some());
    assert_eq!(sleep.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn a_child_that_heeds_the_interrupt_has_its_last_words() {
    let sleep = Sleep::new();
    // As with a wrapper: the shell only ends when what it waits for has ended, so that has to get the signal too.
    // It has more to say than a pipe holds.
    let script = format!(
        "trap 'head -c 300000 /dev/zero >&2; echo interrupted by the user >&2; exit 1' INT; sh -c 'sleep {}; true'",
        sleep.0
    );
    let door = door().with_grace(Duration::from_secs(30));
    let cmd = heedful_sh(&script);
    let started = Instant::now();
    let (result, ()) = tokio::join!(door.run(&cmd), async {
        // Both shells and the sleep: a signal just before a shell begins to wait would only be heeded after it.
        sleep.wait_for(3).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        door.cancel().cancel(Stop::Hangup);
    });
    let error = result.unwrap_err();
    let stderr = error.stderr().unwrap().bytes();
    assert_eq!(stderr.len(), 300_000 + "interrupted by the user\n".len());
    assert!(stderr.ends_with(b"\0interrupted by the user\n"));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sleep.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn a_second_cancellation_ends_the_grace() {
    let sleep = Sleep::new();
    let door = door().with_grace(Duration::from_secs(60));
    let cmd = sh(&format!("trap '' INT; exec sleep {}", sleep.0));
    let started = Instant::now();
    let (result, ()) = tokio::join!(door.run(&cmd), async {
        // The shell heeds SIGINT until its trap is set.
        sleep.wait_for_the_program().await;
        door.cancel().cancel(Stop::Interrupt);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(sleep.processes().len(), 1);
        door.cancel().cancel(Stop::Interrupt);
    });
    assert!(result.unwrap_err().stopped().is_some());
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(sleep.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn other_commands_live_on() {
    let (mine, other) = (Sleep::new(), Sleep::new());
    let (ended, lasting) = (door(), door());
    let task = {
        let (door, cmd) = (lasting.clone(), Cmd::new("sleep").arg(&other.0));
        tokio::spawn(async move { door.run(&cmd).await })
    };
    let cmd = Cmd::new("sleep")
        .arg(&mine.0)
        .time_limit(Duration::from_millis(200));
    let (result, ()) = tokio::join!(ended.run(&cmd), other.wait_for(1));
    assert!(matches!(result.unwrap_err(), CommandError::TimedOut { .. }));
    assert_eq!((mine.processes().len(), other.processes().len()), (0, 1));
    lasting.cancel().cancel(Stop::Interrupt);
    assert!(task.await.unwrap().unwrap_err().stopped().is_some());
    assert_eq!(other.processes().len(), 0);
}

/// In a container, the session may have been begun outside the PID namespace: its number is 0 then.
#[tokio::test]
async fn a_session_from_outside_the_namespace_is_one_like_any_other() {
    let cmd = Cmd::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "command::tests::other_commands_live_on"]);
    match door().output(&cmd).await.unwrap() {
        // Namespaces are refused on some machines.
        output if output.stderr.bytes().starts_with(b"unshare: ") => {}
        output => assert!(
            String::from_utf8_lossy(&output.stdout).contains("1 passed"),
            "{output:?}"
        ),
    }
}

#[tokio::test]
async fn after_cancellation_nothing_is_started() {
    let scratch = tempfile::tempdir().unwrap();
    let flag = scratch.path().join("flag");
    let door = door();
    door.cancel().cancel(Stop::Interrupt);
    let error = door
        .clone()
        .run(&Cmd::new("touch").arg(&flag))
        .await
        .unwrap_err();
    assert_eq!(error.stopped(), Some(Stop::Interrupt));
    assert!(!flag.exists());
}

#[tokio::test]
async fn a_daemon_that_holds_the_pipes_is_left_alone() {
    let sleep = Sleep::new();
    let door = door().with_pipes_held(Duration::from_millis(300));
    let started = Instant::now();
    let cmd = sh(&format!(
        "setsid sleep {} & echo done; echo words >&2",
        sleep.0
    ));
    let output = door.run(&cmd).await.unwrap();
    let took = started.elapsed();
    assert_eq!(
        (output.text().unwrap(), output.stderr.bytes()),
        ("done\n", b"words\n".as_slice())
    );
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(2),
        "{took:?}"
    );
    assert_eq!(sleep.processes().len(), 1);
}

#[tokio::test]
async fn a_daemon_goes_if_the_run_is_stopped_meanwhile() {
    let sleep = Sleep::new();
    let door = door().with_pipes_held(Duration::from_secs(60));
    let cmd = sh(&format!("(setsid sleep {} &)", sleep.0));
    let (result, ()) = tokio::join!(door.run(&cmd), async {
        sleep.wait_for(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        door.cancel().cancel(Stop::Terminate);
    });
    assert_eq!(result.unwrap_err().stopped(), Some(Stop::Terminate));
    assert_eq!(sleep.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn many_at_once() {
    let door = door();
    let tasks: Vec<_> = (0..20)
        .map(|number: i32| {
            let (door, cmd) = (
                door.clone(),
                sh(&format!("cat; exit {number}")).stdin_bytes(number.to_string()),
            );
            tokio::spawn(async move { door.output(&cmd).await })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let output = task.await.unwrap().unwrap();
        assert_eq!(
            (output.text().unwrap(), output.status),
            (number.to_string().as_str(), i32::try_from(number).unwrap())
        );
    }
}

#[test]
fn a_command_is_data() {
    let cmd = Cmd::new("nix")
        .args(["eval", "--json"])
        .arg("git+file:///a b?dir=x#hosts")
        .args(Some("--no-update-lock-file"))
        .current_dir("/etc")
        .stdin_bytes(b"secret bytes".to_vec())
        .env("TOKEN", "secret value")
        .time_limit(Duration::from_secs(90));
    assert_eq!(
        cmd.argv(),
        [
            "nix",
            "eval",
            "--json",
            "git+file:///a b?dir=x#hosts",
            "--no-update-lock-file"
        ]
    );
    assert_snapshot!(cmd, @"nix eval --json 'git+file:///a b?dir=x#hosts' --no-update-lock-file");
    assert_snapshot!(format!("{cmd:?}"), @r#"Cmd { argv: ["nix", "eval", "--json", "git+file:///a b?dir=x#hosts", "--no-update-lock-file"], current_dir: Some("/etc"), stdin_bytes: Some(12), env_names: ["TOKEN"], time_limit: Some(90s), stdout_limit: 268435456, stdout_tail: None, line_limit: 65536, watched_every: None, has_grace: true, ends_with_the_run: false }"#);
}

#[test]
fn doors_and_their_futures_go_to_other_threads() {
    fn is_send(_: impl Send) {}
    let (door, cmd) = (door(), Cmd::new("true"));
    is_send(door.output_with_lines(&cmd, |_| {}));
    is_send(door.clone());
}

#[tokio::test]
async fn who_watches_can_end_a_child_and_all_it_started() {
    let sleep = Sleep::new();
    let looks = std::sync::Arc::new(AtomicU32::new(0));
    let seen = std::sync::Arc::clone(&looks);
    let watch: Watch = std::sync::Arc::new(move |pid| {
        assert!(fs::read_to_string(format!("/proc/{pid}/stat")).is_ok());
        (seen.fetch_add(1, Ordering::Relaxed) == 2).then(|| "it is too big".to_owned())
    });
    let cmd = sh(&format!("sleep {} & wait", sleep.0)).watched(Duration::from_millis(20), watch);
    let error = door().run(&cmd).await.unwrap_err();
    assert!(
        error.to_string().ends_with("was ended: it is too big"),
        "{error}"
    );
    assert_eq!(looks.load(Ordering::Relaxed), 3);
    assert_eq!(sleep.processes(), Vec::<i32>::new());
    // Nobody minds: it ends as it would.
    let fine = sh("exit 0").watched(Duration::from_millis(20), std::sync::Arc::new(|_| None));
    assert!(door().run(&fine).await.unwrap().success());
}

#[tokio::test]
async fn the_memory_of_a_child_is_that_of_its_group_and_not_of_sessions_of_their_own() {
    let sleep = Sleep::new();
    let measure = |script: String, count: usize| {
        let sleep = &sleep;
        async move {
            let (send, mut measured) = tokio::sync::watch::channel(0);
            let watch: Watch = std::sync::Arc::new(move |pid| {
                send.send_replace(resident_memory(pid).unwrap_or_default());
                None
            });
            let cmd = sh(&script).watched(Duration::from_millis(10), watch);
            let door = door();
            let ended = tokio::spawn(async move { door.output(&cmd).await });
            sleep.wait_for(count).await;
            // Past the moment in which a copy of the shell is about to become the program.
            tokio::time::sleep(Duration::from_millis(100)).await;
            measured.mark_unchanged();
            measured.changed().await.unwrap();
            let bytes = *measured.borrow();
            ended.abort();
            drop(ended.await);
            bytes
        }
    };
    // One shell has the number in its script; each `sleep` has it, too.
    let alone = measure(format!("sleep {} & wait", sleep.0), 2).await;
    let three = measure(
        format!("sleep {0} & sleep {0} & sleep {0} & wait", sleep.0),
        4,
    )
    .await;
    let apart = measure(
        format!(
            "sleep {0} & setsid sleep {0} & setsid sleep {0} & wait",
            sleep.0
        ),
        4,
    )
    .await;
    assert!(alone > 1 << 20, "{alone}");
    assert!(three > alone + (1 << 20), "{three} {alone}");
    assert!(apart < alone + (1 << 20), "{apart} {alone}");
}

#[tokio::test]
async fn what_is_killed_by_its_watch_at_once_has_no_time_to_end() {
    let sleep = Sleep::new();
    let watch: Watch = std::sync::Arc::new(|_| Some("it is too big".to_owned()));
    let cmd = sh(&format!("trap '' INT; sleep {} & wait", sleep.0))
        .watched(Duration::from_millis(20), watch)
        .without_grace();
    let started = Instant::now();
    let patient = door().with_grace(Duration::from_secs(100));
    let error = patient.run(&cmd).await.unwrap_err();
    assert!(matches!(error, CommandError::Watched { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(sleep.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn a_run_whose_time_is_over_ends_some_commands_and_leaves_others_a_little_more() {
    let sleep = Sleep::new();
    let door = door()
        .with_run_time(Duration::from_millis(300))
        .with_late_calls(Duration::from_millis(700));
    let started = Instant::now();
    let cmd = sh(&format!("sleep {} & wait", sleep.0));
    let ending = cmd.clone().ends_with_the_run();
    let error = door.run(&ending).await.unwrap_err();
    assert_snapshot!(
        error.to_string().replace(&sleep.0, "TIME"),
        @"the run's time of 0.3 s was over before `sh -c 'sleep TIME & wait'` ended"
    );
    let first = started.elapsed();
    assert!(first >= Duration::from_millis(300), "{first:?}");
    assert_eq!(sleep.processes(), [] as [i32; 0]);

    // Over is over for it, and another one may still do its work, but not for ever.
    assert!(
        door.run(&sh("exit 0").ends_with_the_run())
            .await
            .unwrap_err()
            .is_overdue()
    );
    assert!(door.run(&sh("sleep 0.01")).await.is_ok());
    let error = door.run(&cmd).await.unwrap_err();
    assert!(error.is_overdue(), "{error}");
    assert!(error.hint().unwrap().contains("--run-timeout"));
    assert!(started.elapsed() >= first + Duration::from_millis(700));
    assert_eq!(sleep.processes(), [] as [i32; 0]);
}

#[tokio::test]
async fn a_run_that_may_take_longer_than_there_is_time_has_no_end() {
    let door = door().with_run_time(Duration::MAX);
    assert!(door.run(&sh("exit 0").ends_with_the_run()).await.is_ok());
}
