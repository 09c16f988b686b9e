//! What a process said and how it ended.

use std::fmt;
use std::process::ExitStatus;

use super::Redactor;

/// What a process said and how it ended.
///
/// Displayed, it is stdout, then stderr under a rule, then the status, with everything redacted that differs from one
/// run to the next: one inline snapshot shows all of it.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// What it wrote to stdout, as it was.
    pub(crate) stdout: String,
    /// What it wrote to stderr, as it was.
    pub(crate) stderr: String,
    /// What is taken out when this is displayed.
    pub(crate) redactor: Redactor,
}

impl CommandOutput {
    /// Asserts that the status is 0.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(expected),
            "the exit code is another one:\n{}{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Returns stdout with everything redacted that differs from one run to the next.
    pub(crate) fn redacted_stdout(&self) -> String {
        self.redactor.clone().redact(&self.stdout)
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One redactor for both, so that the same hash has the same stand-in.
        let mut redactor = self.redactor.clone();
        write_ended(f, &redactor.redact(&self.stdout))?;
        if !self.stderr.is_empty() {
            writeln!(f, "------- stderr -------")?;
            write_ended(f, &redactor.redact(&self.stderr))?;
        }
        match self.status.code() {
            Some(code) => writeln!(f, "[exit status: {code}]"),
            None => writeln!(f, "[{}]", self.status),
        }
    }
}

/// Writes text that ends its last line, if need be in so many words.
fn write_ended(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(text)?;
    if !text.is_empty() && !text.ends_with('\n') {
        f.write_str("[no newline]\n")?;
    }
    Ok(())
}

mod tests {
    use super::super::TestEnv;

    #[test]
    fn a_snapshot_shows_both_streams_and_the_status() {
        let env = TestEnv::new();
        let script = r#"echo "in $D/fleet"; echo bad news >&2; exit 4"#;
        let out = env.output(env.command("sh").args(["-c", script]));
        insta::assert_snapshot!(out, @r"
        in $D/fleet
        ------- stderr -------
        bad news
        [exit status: 4]
        ");
        assert_eq!(out.redacted_stdout(), "in $D/fleet\n");
        let _checked = out.code(4);
    }

    #[test]
    fn a_missing_newline_and_a_signal_show() {
        let env = TestEnv::new();
        let out = env.output(
            env.command("sh")
                .args(["-c", r"printf 'half a line'; kill -TERM $$"]),
        );
        insta::assert_snapshot!(out, @r"
        half a line[no newline]
        [signal: 15 (SIGTERM)]
        ");
    }

    #[test]
    #[should_panic(expected = "the exit code is another one")]
    fn another_status_fails_the_test() {
        let env = TestEnv::new();
        let _checked = env.output(env.command("false").args([""])).success();
    }
}
