//! Programs in between: they log their call and are the real program then, except for the one fault asked for.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::TestEnv;

/// What a shim writes between arguments, and instead of a newline inside one. No argument of ours holds them.
const UNIT_SEPARATOR: char = '\u{1f}';
const RECORD_SEPARATOR: char = '\u{1e}';

/// One call of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The program's name.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
}

impl Call {
    /// Says whether the arguments, joined by blanks, hold a text.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.args.join(" ").contains(text)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.args.join(" "))
    }
}

/// Stand-ins for `nix`, `nix-store` and `git`, in front of `PATH`.
///
/// They see every call, also those of git that Nix makes itself.
#[derive(Debug)]
pub(crate) struct Shim {
    dir: PathBuf,
    real: Vec<(String, PathBuf)>,
}

impl Shim {
    /// Puts the stand-ins in front of the environment's `PATH`; for programs that are not there, there is none.
    pub(crate) fn new(env: &mut TestEnv) -> Self {
        let shim = Self {
            dir: env.dir().join("shims"),
            real: ["nix", "nix-store", "git"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), env.which(name)?)))
                .collect(),
        };
        fs::create_dir(&shim.dir).expect("a directory for the shims");
        for (name, real) in &shim.real {
            shim.install(env, name, real, None);
        }
        env.prepend_path(&shim.dir);
        shim
    }

    /// Makes calls of a program whose arguments, joined by blanks, hold `when` run a piece of shell script first.
    ///
    /// In the script `"$@"` are the arguments and `$real` is the real program, which runs next unless the script
    /// exits. A later fault of the same program replaces this one.
    pub(crate) fn fault(&self, env: &TestEnv, name: &str, when: &str, script: &str) {
        let (_, real) = self
            .real
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("there is no {name}"));
        self.install(env, name, real, Some((when, script)));
    }

    /// Returns the calls so far, in the order in which they began.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines()
            .map(|line| {
                let line = line.replace(RECORD_SEPARATOR, "\n");
                let mut words = line.split(UNIT_SEPARATOR).map(str::to_owned);
                Call {
                    program: words.next().unwrap_or_default(),
                    args: words.collect(),
                }
            })
            .collect()
    }

    /// Returns the calls of Nix's programs so far.
    pub(crate) fn nix_calls(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.program != "git");
        calls
    }

    /// Forgets the calls so far.
    pub(crate) fn clear(&self) {
        fs::write(self.log(), "").expect("the shims' log");
    }

    fn log(&self) -> PathBuf {
        self.dir.join("calls.log")
    }

    fn install(&self, env: &TestEnv, name: &str, real: &Path, fault: Option<(&str, &str)>) {
        let mut script = format!(
            "#!/bin/sh\n\
             real={real}\n\
             IFS='{UNIT_SEPARATOR}'\n\
             line=\"{name}{UNIT_SEPARATOR}$*\"\n\
             unset IFS\n\
             case $line in *'\n'*) line=$(printf %s \"$line\" | tr '\\n' '\\036') ;; esac\n\
             printf '%s\\n' \"$line\" >>{log}\n",
            real = quote(&real.to_string_lossy()),
            log = quote(&self.log().to_string_lossy()),
        );
        if let Some((when, fault)) = fault {
            let when = quote(when);
            script.push_str("case \"$*\" in *");
            script.push_str(&when);
            script.push_str("*)\n");
            script.push_str(fault);
            script.push_str("\n;; esac\n");
        }
        script.push_str("exec \"$real\" \"$@\"\n");
        // Written by another process: a program that this one has open for writing may still be held open by a child
        // that another test is just starting, and then cannot be run ("text file busy").
        let _written = env
            .output(
                env.command("sh")
                    .args(["-euc", r#"printf %s "$2" >"$1"; chmod 755 "$1""#, "sh"])
                    .arg(self.dir.join(name))
                    .arg(script),
            )
            .success();
    }
}

/// Returns the text as one word of the shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

mod tests {
    use super::*;

    #[test]
    fn calls_are_logged_with_their_arguments_and_passed_on() {
        let mut env = TestEnv::new();
        let shim = Shim::new(&mut env);
        let _out = env
            .output(env.command("git").arg("init").arg("a dir"))
            .success();
        let out = env.output(env.command("git").args(["--version", "two\nlines", ""]));
        assert!(out.stdout.contains("git version"), "{out}");
        let calls = shim.calls();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert_eq!(calls[0].to_string(), "git init a dir");
        assert_eq!(calls[0].args, ["init", "a dir"]);
        assert_eq!(calls[1].args, ["--version", "two\nlines", ""]);
        assert!(calls[1].has("--version two") && !calls[1].has("init"));
        assert_eq!(shim.nix_calls(), []);
        shim.clear();
        assert_eq!(shim.calls(), []);
    }

    #[test]
    fn one_fault_is_injected_and_everything_else_passes() {
        let mut env = TestEnv::new();
        let shim = Shim::new(&mut env);
        shim.fault(
            &env,
            "git",
            "rev-parse 'it'",
            "echo 'error: no' >&2\nexit 7",
        );
        let out = env.output(env.command("git").args(["rev-parse", "'it'"]));
        assert_eq!(out.code(7).stderr, "error: no\n");
        let _out = env.output(env.command("git").arg("--version")).success();
        shim.fault(&env, "git", "--version", r#""$real" --exec-path"#);
        let out = env.output(env.command("git").arg("--version")).success();
        assert_eq!(out.stdout.lines().count(), 2, "{out}");
        assert_eq!(shim.calls().len(), 3);
    }
}
