//! Bare repositories on disk, by the git program in an environment of its own.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What the hook of every repository does: it refuses as the real servers do, by what the server told it.
const PRE_RECEIVE: &str = r#"#!/bin/sh
case ${STAND_IN_REFUSE-} in
'') ;;
*) printf '%s\n' "$STAND_IN_REFUSE" >&2; exit 1 ;;
esac
while read -r old new ref; do
	case "
${STAND_IN_PROTECTED-}
" in *"
$ref
"*)
		branch=${ref#refs/heads/}
		if [ "${STAND_IN_DIALECT-}" = github ]; then
			printf 'error: GH006: Protected branch update failed for %s.\n' "$ref" >&2
			printf 'error: \nerror: - Changes must be made through a pull request.\n' >&2
		else
			case $new in
			*[!0]*) printf '%s: Not allowed to push to protected branch %s\n' "$STAND_IN_DIALECT" "$branch" >&2 ;;
			*) printf '%s: branch %s is protected from deletion\n' "$STAND_IN_DIALECT" "$branch" >&2 ;;
			esac
		fi
		exit 1 ;;
	esac
done
exit 0
"#;

/// Returns a command without anything of the surroundings but `PATH`.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is a program of its own and needs git as it is on PATH"
)]
pub(crate) fn command(program: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null());
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Fleet Owner")
            .env(format!("GIT_{who}_EMAIL"), "owner@example.org")
            .env(format!("GIT_{who}_DATE"), "2024-06-01T12:00:00Z");
    }
    command
}

/// Returns what a git command in a repository printed, without the last newline; its complaint otherwise.
pub(crate) fn git(dir: &Path, args: &[&str]) -> Result<String, String> {
    finished(args, command("git").arg("-C").arg(dir).args(args).output())
}

/// As [`git`], with an index of its own and something to read.
fn git_with(dir: &Path, index: &Path, input: &[u8], args: &[&str]) -> Result<String, String> {
    let mut command = command("git");
    command
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_INDEX_FILE", index);
    finished(args, fed(&mut command, input))
}

/// Runs a command with something to read.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> std::io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(mut stdin) = stdin {
                // Who does not want to read further says so by its status.
                drop(stdin.write_all(input));
            }
        });
        child.wait_with_output()
    })
}

fn finished(args: &[&str], output: std::io::Result<Output>) -> Result<String, String> {
    let output = output.map_err(|error| format!("git {args:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "git {args:?}: {}: {text}{complaint}",
        output.status
    ))
}

/// Makes a bare repository that takes pushes over HTTP.
pub(crate) fn init(path: &Path, default_branch: &str) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| error.to_string())?;
    git(path, &["init", "-q", "--bare", "-b", default_branch])?;
    for (name, value) in [
        ("http.receivepack", "true"),
        ("http.uploadpack", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
        ("receive.advertisePushOptions", "true"),
        ("receive.hideRefs", "refs/pull"),
        ("gc.auto", "0"),
    ] {
        git(path, &["config", name, value])?;
    }
    // Written by another process: a file open for writing here may be held by a child of another thread.
    let mut sh = command("sh");
    sh.args(["-euc", r#"printf %s "$2" >"$1"; chmod 755 "$1""#, "sh"]);
    sh.arg(path.join("hooks/pre-receive")).arg(PRE_RECEIVE);
    let _hook = finished(&["hook"], sh.output())?;
    Ok(())
}

/// Returns the commit at a branch's tip.
///
/// Read from the files: an answer that lists pull requests needs a hundred of them.
pub(crate) fn tip(repo: &Path, branch: &str) -> Option<String> {
    if branch.is_empty()
        || branch
            .split('/')
            .any(|part| part.is_empty() || part == "..")
    {
        return None;
    }
    let name = format!("refs/heads/{branch}");
    if let Ok(loose) = fs::read_to_string(repo.join(&name)) {
        return Some(loose.trim_end().to_owned());
    }
    let packed = fs::read_to_string(repo.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (id, known) = line.split_once(' ')?;
        (known == name).then(|| id.to_owned())
    })
}

/// Returns every branch with its tip.
pub(crate) fn branches(repo: &Path) -> Vec<(String, String)> {
    let format = "--format=%(objectname) %(refname:lstrip=2)";
    git(repo, &["for-each-ref", format, "refs/heads"])
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, name)| (name.to_owned(), id.to_owned()))
        .collect()
}

/// Says whether one commit is contained in another.
pub(crate) fn contains(repo: &Path, descendant: &str, ancestor: &str) -> bool {
    git(repo, &["merge-base", "--is-ancestor", ancestor, descendant]).is_ok()
}

/// Makes a commit of a parent's tree with some files changed, or taken away; moves no branch.
pub(crate) fn commit(
    repo: &Path,
    parent: Option<&str>,
    files: &[(&str, Option<&[u8]>)],
    message: &str,
) -> Result<String, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let index = scratch.path().join("index");
    if let Some(parent) = parent {
        git_with(repo, &index, b"", &["read-tree", parent])?;
    }
    for (path, contents) in files {
        if let Some(contents) = contents {
            let blob = git_with(repo, &index, contents, &["hash-object", "-w", "--stdin"])?;
            let info = format!("100644,{blob},{path}");
            git_with(
                repo,
                &index,
                b"",
                &["update-index", "--add", "--cacheinfo", &info],
            )?;
        } else {
            let info = format!("0 {}\t{path}\n", "0".repeat(40));
            git_with(
                repo,
                &index,
                info.as_bytes(),
                &["update-index", "--index-info"],
            )?;
        }
    }
    let tree = git_with(repo, &index, b"", &["write-tree"])?;
    commit_tree(repo, &tree, parent.as_slice(), message)
}

/// Makes a commit of a tree; moves no branch.
pub(crate) fn commit_tree(
    repo: &Path,
    tree: &str,
    parents: &[&str],
    message: &str,
) -> Result<String, String> {
    let mut args = vec!["commit-tree", "-m", message];
    for parent in parents {
        args.extend(["-p", parent]);
    }
    args.push(tree);
    git(repo, &args)
}

/// Returns the tree of two commits merged.
pub(crate) fn merged_tree(repo: &Path, ours: &str, theirs: &str) -> Result<String, String> {
    git(repo, &["merge-tree", "--write-tree", ours, theirs])
}

/// Sets a ref to a commit.
pub(crate) fn set_ref(repo: &Path, name: &str, id: &str) -> Result<(), String> {
    git(repo, &["update-ref", name, id]).map(drop)
}

/// Takes a ref away.
pub(crate) fn delete_ref(repo: &Path, name: &str) -> Result<(), String> {
    git(repo, &["update-ref", "-d", name]).map(drop)
}
