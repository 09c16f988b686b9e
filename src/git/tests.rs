//! The room with the real git program, real keys and repositories of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::command::Cancel;
use crate::command::ChildEnvironment;
use crate::command::Door;

use super::*;

/// A directory with a home of its own, and a door whose children know no other.
struct Lab {
    dir: TempDir,
    door: Door,
}

impl Lab {
    fn new() -> Self {
        // Short: the sockets of agents are in it, and their paths cannot be long.
        let dir = tempfile::Builder::new().prefix("fh").tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("home")).unwrap();
        fs::create_dir_all(root.join("scratch")).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the tools that the tests run are wherever the machine has them"
        )]
        let path = std::env::var_os("PATH").unwrap_or_default();
        let environment = ChildEnvironment::new([(OsString::from("PATH"), path)], &[], &[])
            .0
            .with("HOME", root.join("home"))
            .with("GIT_CONFIG_GLOBAL", root.join("home/.gitconfig"))
            .with("GIT_CONFIG_NOSYSTEM", "1")
            .with_fixed_settings();
        Self {
            dir,
            door: Door::new(environment, Cancel::new()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let environment = self.door.environment().clone().with(name, value);
        self.door = Door::new(environment, Cancel::new());
        self
    }

    /// Runs a script in a directory of the lab and returns what it says.
    async fn sh(&self, dir: &str, script: &str) -> String {
        let cmd = Cmd::new("sh")
            .args(["-euc", script])
            .current_dir(self.path(dir));
        let output = self.door.output(&cmd).await.unwrap();
        let text = output.text().unwrap().trim_end().to_owned();
        assert!(
            output.success(),
            "{script}\n{text}\n{}",
            output.stderr.text()
        );
        text
    }

    async fn id(&self, dir: &str, script: &str) -> CommitId {
        self.sh(dir, script).await.parse().unwrap()
    }

    /// Makes a repository with a flake in a directory and three commits of a person.
    async fn repository(&self) -> CommitId {
        let script = "
            git init -q -b main repo; cd repo
            git config user.name Human; git config user.email human@example.org
            mkdir hosts; echo '{}' > hosts/flake.nix; echo old > hosts/flake.lock; echo x > other
            git add .; git commit -qm 'first'
            echo y > other; git commit -qam 'second'
            echo z > other; git commit -qam 'third'
            git rev-parse HEAD";
        self.id(".", script).await
    }

    fn checkout(&self, dir: &str) -> Checkout {
        Checkout::find(&self.path(dir), None).unwrap().unwrap()
    }

    fn workshop(&self, dir: &str) -> Workshop {
        Workshop::new(&self.checkout(dir), &self.path("scratch")).unwrap()
    }

    /// Runs git as the transport does: over the checkout's directory, with our store.
    async fn git(&self, workshop: &Workshop, args: &str) -> String {
        let script = format!(
            "GIT_OBJECT_DIRECTORY='{}' git --git-dir='{}' {args}",
            workshop.object_dir().display(),
            workshop.git_dir().display()
        );
        self.sh(".", &script).await
    }
}

fn at() -> jiff::Timestamp {
    "2026-02-03T04:05:06Z".parse().unwrap()
}

fn new_commit(parent: &CommitId) -> NewCommit {
    NewCommit {
        parent: parent.clone(),
        path: "hosts/flake.lock".to_owned(),
        content: b"new\n".to_vec(),
        message: "chore: update\n\nFlake-Herald-Scope: s\nFlake-Herald-Lock: h\n".to_owned(),
        author: None,
        fallback: None,
        at: at(),
        signoff: false,
        signing: Signing::default(),
    }
}

fn signed(how: SignHow, key_file: Option<PathBuf>) -> Signing {
    Signing { how, key_file }
}

/// Everything below some directories: kinds, modes and bytes, and when files were last changed.
struct Listing(BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>);

impl Listing {
    fn of(dirs: &[PathBuf]) -> Self {
        let mut found = BTreeMap::new();
        let mut open = dirs.to_vec();
        while let Some(path) = open.pop() {
            let data = fs::symlink_metadata(&path).unwrap();
            let about = if data.is_dir() {
                open.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
                (data.mode(), 0, 0, Vec::new())
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                // Git renews the time of an object that it would have written if it were not there.
                let is_object = path.components().any(|part| part.as_os_str() == "objects");
                let (seconds, rest) = (data.mtime(), data.mtime_nsec());
                let (seconds, rest) = if is_object { (0, 0) } else { (seconds, rest) };
                (data.mode(), seconds, rest, bytes)
            };
            found.insert(path, about);
        }
        Self(found)
    }

    /// Asserts that all is as it was.
    fn assert_same(&self, dirs: &[PathBuf]) {
        let now = Self::of(dirs);
        let paths: BTreeSet<_> = self.0.keys().chain(now.0.keys()).collect();
        let touched: Vec<_> = paths
            .into_iter()
            .filter(|path| self.0.get(*path) != now.0.get(*path))
            .collect();
        assert!(touched.is_empty(), "{touched:?}");
        assert!(self.0.len() > 20);
    }
}

#[tokio::test]
async fn a_commit_changes_one_file_and_nothing_of_the_checkout() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let before = Listing::of(&[lab.path("repo")]);
    let checkout = lab.checkout("repo/hosts");
    assert_eq!(checkout.dir(), "hosts");
    assert_eq!(checkout.branch().unwrap().unwrap().as_str(), "main");
    assert!(!checkout.is_shallow());
    let workshop = lab.workshop("repo/hosts");
    let new = NewCommit {
        signoff: true,
        ..new_commit(&head)
    };
    let id = workshop.commit(&lab.door, &new).await.unwrap();
    assert!(workshop.has(&id) && workshop.has(&head));
    assert!(!workshop.has(&"0123456789abcdef0123456789abcdef01234567".parse().unwrap()));
    let text = lab.git(&workshop, &format!("cat-file -p {id}")).await;
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert_snapshot!(lines.join("\n"), @r"
    author Human <human@example.org> 1770091506 +0000
    committer Human <human@example.org> 1770091506 +0000

    chore: update

    Flake-Herald-Scope: s
    Flake-Herald-Lock: h
    Signed-off-by: Human <human@example.org>
    ");
    let diff = lab
        .git(
            &workshop,
            &format!("diff-tree -r --name-status {head} {id}"),
        )
        .await;
    assert_eq!(diff, "M\thosts/flake.lock");
    assert_eq!(
        workshop.file_at(&id, "hosts/flake.lock").unwrap().unwrap(),
        b"new\n"
    );
    assert_eq!(workshop.file_at(&id, "flake.lock").unwrap(), None);
    assert_eq!(workshop.file_at(&id, "hosts").unwrap(), None);
    lab.git(&workshop, &format!("fsck --strict --no-dangling {id}"))
        .await;
    // The same again is the same commit: nothing of it comes from a clock or a chance.
    assert_eq!(workshop.commit(&lab.door, &new).await.unwrap(), id);
    before.assert_same(&[lab.path("repo")]);
}

#[tokio::test]
async fn modes_stay_and_links_are_refused() {
    let lab = Lab::new();
    lab.repository().await;
    let script = "
        chmod +x hosts/flake.lock; mkdir link sub sub/flake.lock; ln -s ../hosts/flake.lock link/flake.lock
        echo > sub/flake.lock/file; git add .; git commit -qm more; git rev-parse HEAD";
    let head = lab.id("repo", script).await;
    let workshop = lab.workshop("repo");
    let commit = async |path: &str| {
        let new = NewCommit {
            path: path.to_owned(),
            ..new_commit(&head)
        };
        workshop.commit(&lab.door, &new).await
    };
    let id = commit("hosts/flake.lock").await.unwrap();
    let entry = lab
        .git(&workshop, &format!("ls-tree {id} hosts/flake.lock"))
        .await;
    assert!(entry.starts_with("100755 "), "{entry}");
    let id = commit("a/b/flake.lock").await.unwrap();
    let entry = lab
        .git(&workshop, &format!("ls-tree {id} a/b/flake.lock"))
        .await;
    assert!(entry.starts_with("100644 "), "{entry}");
    assert_snapshot!(commit("link/flake.lock").await.unwrap_err(), @"link/flake.lock is a symbolic link in the commit to build on");
    assert_snapshot!(commit("sub/flake.lock").await.unwrap_err(), @"sub/flake.lock is no file in the commit to build on");
}

#[tokio::test]
async fn a_commit_is_by_whom_git_says() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let workshop = lab.workshop("repo");
    let people = async |lab: &Lab, author: Option<&str>, fallback: Option<&str>| {
        let identity = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let new = NewCommit {
            author: identity(author),
            fallback: identity(fallback),
            ..new_commit(&head)
        };
        let id = workshop.commit(&lab.door, &new).await?;
        let show = format!("log -1 --format='%an <%ae> / %cn <%ce>' {id}");
        Ok::<_, GitError>(lab.git(&workshop, &show).await)
    };
    assert_snapshot!(people(&lab, None, Some("Bot <b@c>")).await.unwrap(), @"Human <human@example.org> / Human <human@example.org>");
    assert_snapshot!(people(&lab, Some("Author <a@b>"), None).await.unwrap(), @"Author <a@b> / Human <human@example.org>");
    lab.sh("repo", "git config committer.name Committer").await;
    assert_snapshot!(people(&lab, None, None).await.unwrap(), @"Human <human@example.org> / Committer <human@example.org>");
    lab.sh(
        "repo",
        "git config --unset user.email; git config --unset committer.name",
    )
    .await;
    assert_snapshot!(people(&lab, None, Some("Bot <b@c>")).await.unwrap(), @"Bot <b@c> / Bot <b@c>");
    assert_snapshot!(people(&lab, Some("Author <a@b>"), Some("Bot <b@c>")).await.unwrap(), @"Author <a@b> / Author <a@b>");
    let error = people(&lab, None, None).await.unwrap_err();
    assert_snapshot!(error, @"git does not know who the commit is by: no email was given and auto-detection is disabled");
    assert!(error.hint().unwrap().contains("--author"));
    let lab = lab
        .with("GIT_AUTHOR_NAME", "Env")
        .with("GIT_AUTHOR_EMAIL", "env@x")
        .with("GIT_COMMITTER_EMAIL", "runner@x");
    assert_snapshot!(people(&lab, None, None).await.unwrap(), @"Env <env@x> / Human <runner@x>");
}

#[tokio::test]
async fn a_worktree_borrows_from_the_repository_it_belongs_to() {
    let lab = Lab::new();
    let head = lab.repository().await;
    lab.sh("repo", "git worktree add -q -b side ../tree HEAD")
        .await;
    let both = [lab.path("repo"), lab.path("tree")];
    let before = Listing::of(&both);
    let checkout = lab.checkout("tree/hosts");
    assert_eq!(checkout.branch().unwrap().unwrap().as_str(), "side");
    assert_eq!(checkout.toplevel(), lab.path("tree"));
    assert_eq!(
        checkout.object_dir().canonicalize().unwrap(),
        lab.path("repo/.git/objects")
    );
    let workshop = lab.workshop("tree/hosts");
    let id = workshop
        .commit(&lab.door, &new_commit(&head))
        .await
        .unwrap();
    assert_eq!(workshop.contains(&id, &head).unwrap(), Contained::Yes);
    before.assert_same(&both);
}

#[tokio::test]
async fn histories_are_compared() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let first = lab.id("repo", "git rev-parse HEAD~2").await;
    let workshop = lab.workshop("repo");
    assert_eq!(workshop.contains(&head, &head).unwrap(), Contained::Yes);
    assert_eq!(workshop.contains(&head, &first).unwrap(), Contained::Yes);
    assert_eq!(workshop.contains(&first, &head).unwrap(), Contained::No);
    let nowhere: CommitId = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    assert_eq!(workshop.contains(&head, &nowhere).unwrap(), Contained::No);
    assert!(workshop.contains(&nowhere, &head).is_err());
    // What a git process puts into either store later is there at once, packed or not.
    let more = lab
        .id(
            "repo",
            "git commit -q --allow-empty -m more; git rev-parse HEAD",
        )
        .await;
    assert_eq!(workshop.contains(&more, &head).unwrap(), Contained::Yes);
    let packed = lab
        .id(
            "repo",
            "git commit -q --allow-empty -m packed; git gc -q; git rev-parse HEAD",
        )
        .await;
    assert!(workshop.has(&packed) && workshop.has(&first));
}

#[tokio::test]
async fn a_shallow_clone_is_enough() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let first = lab.id("repo", "git rev-parse HEAD~2").await;
    let second = lab
        .id("repo", "git branch bot HEAD~1; git rev-parse bot")
        .await;
    lab.sh(".", "git clone -q --depth 1 \"file://$PWD/repo\" clone")
        .await;
    lab.sh("clone", "git config user.name H; git config user.email h@x")
        .await;
    let before = Listing::of(&[lab.path("clone")]);
    assert!(lab.checkout("clone").is_shallow());
    let workshop = lab.workshop("clone");
    assert_eq!(workshop.contains(&head, &head).unwrap(), Contained::Yes);
    // A parent that is named but not there is part of the history all the same; what is behind it is not known.
    assert_eq!(workshop.contains(&head, &second).unwrap(), Contained::Yes);
    assert!(!workshop.has(&second));
    assert_eq!(
        workshop.contains(&head, &first).unwrap(),
        Contained::Unknown
    );
    let id = workshop
        .commit(&lab.door, &new_commit(&head))
        .await
        .unwrap();
    lab.git(&workshop, &format!("fsck --strict --no-dangling {id}"))
        .await;
    let own = workshop
        .own_commits(&id, &head, "hosts/flake.lock")
        .unwrap();
    assert!(!own.truncated);
    assert_eq!(own.commits.len(), 1);
    assert_eq!(own.commits[0].changed, ["hosts/flake.lock"]);
    let elsewhere = lab.id("repo", "git commit-tree -m alone HEAD^{tree}").await;
    lab.git(
        &workshop,
        "fetch -q --no-write-fetch-head --no-tags --refmap= origin +refs/heads/bot",
    )
    .await;
    // What the fetch brought goes on behind the boundary.
    assert_eq!(workshop.contains(&head, &second).unwrap(), Contained::Yes);
    assert_eq!(workshop.contains(&head, &first).unwrap(), Contained::Yes);
    assert_eq!(workshop.contains(&head, &elsewhere).unwrap(), Contained::No);
    before.assert_same(&[lab.path("clone")]);
}

#[tokio::test]
async fn more_history_settles_what_is_in_doubt() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let script = "
        git checkout -q -b bot HEAD~2; echo new > hosts/flake.lock; git commit -qam bot
        git checkout -q main; git rev-parse bot";
    let bot = lab.id("repo", script).await;
    lab.sh(
        ".",
        "git clone -q --depth 1 \"file://$PWD/repo\" clone; : > none",
    )
    .await;
    let before = Listing::of(&[lab.path("clone")]);
    let workshop = lab.workshop("clone");
    let fetch = "fetch -q --no-write-fetch-head --no-tags --refmap=";
    lab.git(&workshop, &format!("{fetch} origin bot")).await;
    let own = workshop
        .own_commits(&bot, &head, "hosts/flake.lock")
        .unwrap();
    assert_eq!((own.commits.len(), own.truncated), (2, true));
    let none = lab.path("none").display().to_string();
    let refetch = format!("--shallow-file '{none}' {fetch} --refetch origin main");
    lab.git(&workshop, &refetch).await;
    let own = workshop
        .own_commits(&bot, &head, "hosts/flake.lock")
        .unwrap();
    assert_eq!((own.commits.len(), own.truncated), (1, false));
    assert_eq!(own.commits[0].changed, ["hosts/flake.lock"]);
    before.assert_same(&[lab.path("clone")]);
}

#[tokio::test]
async fn history_that_is_cut_off_is_said_to_be() {
    let lab = Lab::new();
    let head = lab.repository().await;
    lab.sh(".", "git clone -q --depth 1 \"file://$PWD/repo\" clone")
        .await;
    let script = "
        git config user.name H; git config user.email h@x
        git checkout -q --orphan alone; git commit -qm alone; git rev-parse HEAD";
    let alone = lab.id("clone", script).await;
    let workshop = lab.workshop("clone");
    let own = workshop
        .own_commits(&head, &alone, "hosts/flake.lock")
        .unwrap();
    assert_eq!((own.commits.len(), own.truncated), (0, true));
    let own = workshop
        .own_commits(&alone, &head, "hosts/flake.lock")
        .unwrap();
    assert_eq!((own.commits.len(), own.truncated), (1, true));
    assert_eq!(own.commits[0].parents, []);
    assert_eq!(
        own.commits[0].changed,
        ["hosts/flake.lock", "hosts/flake.nix", "other"]
    );
}

/// Returns the facts of what the branch `bot` has and `main` has not, after a script.
async fn facts_after(script: &str) -> OwnCommits {
    let lab = Lab::new();
    lab.repository().await;
    let bot = "
        git checkout -q -b bot HEAD~1; echo new > hosts/flake.lock
        git commit -qam 'chore: update' -m 'Flake-Herald-Scope: s
Flake-Herald-Lock: h'";
    lab.sh("repo", &format!("{bot}\n{script}")).await;
    let tip = lab.id("repo", "git rev-parse bot").await;
    let base = lab.id("repo", "git rev-parse main").await;
    let own = lab
        .workshop("repo")
        .own_commits(&tip, &base, "hosts/flake.lock")
        .unwrap();
    for commit in &own.commits {
        let parents = lab
            .sh("repo", &format!("git log -1 --format=%P {}", commit.id))
            .await;
        let named: Vec<&str> = commit.parents.iter().map(CommitId::as_str).collect();
        assert_eq!(named.join(" "), parents);
    }
    own
}

fn shown(own: &OwnCommits) -> String {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map_or_else(
            || "-".to_owned(),
            |bytes| String::from_utf8_lossy(bytes).trim().to_owned(),
        )
    };
    let lines = own.commits.iter().map(|commit| {
        format!(
            "{}: {} lock {} before {} merged_is_on_base {} scope {}",
            commit.message.lines().next().unwrap_or_default(),
            commit.changed.join(" "),
            text(&commit.lock),
            text(&commit.parent_lock),
            commit.merged_is_on_base,
            commit.trailer("flake-herald-scope").unwrap_or("-"),
        )
    });
    let end = own.truncated.then(|| "truncated".to_owned());
    lines.chain(end).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn facts_of_what_a_branch_has() {
    assert_snapshot!(shown(&facts_after("").await), @"chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s");
    let button = "git merge -q --no-edit main";
    assert_snapshot!(shown(&facts_after(button).await), @r"
    Merge branch 'main' into bot: hosts/flake.lock lock new before old merged_is_on_base true scope -
    chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s
    ");
    let evil = "git merge -q --no-commit main; echo evil > hosts/flake.nix; git add .; git commit -qm evil";
    assert_snapshot!(shown(&facts_after(evil).await), @r"
    evil: hosts/flake.lock hosts/flake.nix lock new before old merged_is_on_base true scope -
    chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s
    ");
    let other = "
        git checkout -q -b side main; echo s > side; git add .; git commit -qm side
        git checkout -q bot; git merge -q --no-edit side";
    assert_snapshot!(shown(&facts_after(other).await), @r"
    Merge branch 'side' into bot: hosts/flake.lock lock new before old merged_is_on_base false scope -
    chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s
    ");
    let amended = "echo more > other; git commit -qa --amend --no-edit";
    assert_snapshot!(shown(&facts_after(amended).await), @"chore: update: hosts/flake.lock other lock new before old merged_is_on_base false scope s");
    let human = "chmod +x hosts/flake.lock; echo h > h; git add .; git commit -qm human";
    assert_snapshot!(shown(&facts_after(human).await), @r"
    human: h hosts/flake.lock lock new before new merged_is_on_base false scope -
    chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s
    ");
    let twice = "echo newer > hosts/flake.lock; git commit -qam two";
    assert_snapshot!(shown(&facts_after(twice).await), @r"
    two: hosts/flake.lock lock newer before new merged_is_on_base false scope -
    chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s
    ");
    let gone = "git rm -q -r hosts; echo file > hosts; git add .; git commit -qm gone";
    assert_snapshot!(shown(&facts_after(gone).await), @r"
    gone: hosts hosts/flake.lock hosts/flake.nix lock - before new merged_is_on_base false scope -
    chore: update: hosts/flake.lock lock new before old merged_is_on_base false scope s
    ");
    let merged = "git checkout -q main; git merge -q --no-ff --no-edit bot";
    assert_eq!(facts_after(merged).await.commits, []);
    let many = "for i in $(seq 60); do git commit -q --allow-empty -m $i; done";
    let many = facts_after(many).await;
    assert_eq!((many.commits.len(), many.truncated), (50, true));
}

#[tokio::test]
async fn remotes_are_where_git_would_push() {
    let lab = Lab::new();
    lab.repository().await;
    let script = "
        git remote add origin https://example.org/a/b
        git remote add both https://example.org/x; git remote set-url --push both git@example.org:x
        git remote add short forge:a/b; git config url.https://forge.example.org/.insteadOf forge:
        git config url.ssh://git@push.example.org/.pushInsteadOf https://push.example.org/
        git remote add pushed https://push.example.org/a";
    lab.sh("repo", script).await;
    let checkout = lab.checkout("repo");
    assert_eq!(
        checkout.remotes().unwrap(),
        ["both", "origin", "pushed", "short"]
    );
    for name in checkout.remotes().unwrap() {
        assert_eq!(
            checkout.remote_url(&name).unwrap().unwrap(),
            lab.sh("repo", &format!("git remote get-url --push {name}"))
                .await,
            "{name}"
        );
    }
    assert_eq!(checkout.remote_url("none").unwrap(), None);
    lab.sh("repo", "git checkout -q --detach").await;
    assert_eq!(lab.checkout("repo").branch().unwrap(), None);
}

#[tokio::test]
async fn what_libgit2_cannot_read_is_named() {
    let lab = Lab::new();
    let script = "
        git init -q --object-format=sha256 long; git init -q --ref-format=reftable table
        git init -q part; cd part; git config core.repositoryformatversion 1; git config extensions.partialClone origin";
    lab.sh(".", script).await;
    let refused = |name: &str| {
        let error = Checkout::find(&lab.path(name), None).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        let root = lab.path("").display().to_string();
        error
            .to_string()
            .replace(root.trim_end_matches('/'), "ROOT")
    };
    assert_snapshot!(refused("long"), @"ROOT/long names its objects by SHA-256, which is not supported");
    assert_snapshot!(refused("table"), @"ROOT/table uses the git extension refstorage, which is not supported");
    assert_snapshot!(refused("part"), @"ROOT/part uses the git extension partialclone, which is not supported");
}

/// Only root can give files away, so this is no part of a plain test run. As somebody else it asks sudo.
#[tokio::test]
#[ignore = "needs root or sudo, to give a repository to another user: run scripts/test"]
async fn another_users_repository_is_opened_in_the_runners_workspace_only() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let own = lab.sh(".", "id -u").await;
    let sudo = if own == "0" { "" } else { "sudo -n " };
    let script = format!(
        "
        mkdir work; mv repo work; git -C work/repo worktree add -q ../../tree HEAD
        {sudo}chown -R 12345:12345 work tree"
    );
    lab.sh(".", &script).await;
    let work = lab.path("work");
    let find = |dir: &str, trusted: Option<&Path>| Checkout::find(&lab.path(dir), trusted);
    for trusted in [None, Some(lab.path("home")), Some(work.join("repo/hosts"))] {
        let error = find("work/repo/hosts", trusted.as_deref()).unwrap_err();
        assert!(matches!(error, GitError::Owner(_)), "{error}");
        assert!(error.hint().unwrap().contains("safe.directory"));
    }
    let before = Listing::of(std::slice::from_ref(&work));
    for trusted in [&work, &work.join("repo"), &lab.path("")] {
        let checkout = find("work/repo/hosts", Some(trusted)).unwrap().unwrap();
        assert_eq!(checkout.dir(), "hosts");
        assert_eq!(checkout.toplevel(), work.join("repo"));
        assert_eq!(checkout.head().unwrap().unwrap(), head.as_str());
        assert_eq!(checkout.changed().unwrap(), Vec::<String>::new());
        assert_eq!(checkout.branch().unwrap().unwrap().as_str(), "main");
        assert!(!checkout.has_submodules().unwrap());
    }
    let checkout = find("work/repo", Some(&work)).unwrap().unwrap();
    let workshop = Workshop::new(&checkout, &lab.path("scratch")).unwrap();
    let id = workshop
        .commit(&lab.door, &new_commit(&head))
        .await
        .unwrap();
    assert_eq!(workshop.contains(&id, &head).unwrap(), Contained::Yes);
    before.assert_same(std::slice::from_ref(&work));
    let change = format!("{sudo}sh -c 'echo changed > work/repo/other'");
    lab.sh(".", &change).await;
    assert_eq!(checkout.changed().unwrap(), ["other"]);
    // A worktree whose repository is elsewhere takes more trust than the workspace has.
    let trees = lab.path("tree");
    assert!(matches!(
        find("tree", Some(&trees)).unwrap_err(),
        GitError::Owner(_)
    ));
    // So that they can be removed.
    lab.sh(".", &format!("{sudo}chown -R {own} work tree"))
        .await;
}

/// Returns what `git verify-commit` says of a commit of the workshop.
async fn verified(lab: &Lab, workshop: &Workshop, id: &CommitId) -> String {
    lab.git(workshop, &format!("verify-commit {id} 2>&1")).await
}

#[tokio::test]
async fn other_programs_sign_as_gpg_does() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let signer = "#!/bin/sh
printf '%s ' \"$@\" > \"$HOME/args\"
cat > \"$HOME/text\"
cat \"$HOME/status\" >&2
printf 'made\\r\\nhere\\r\\n'
";
    fs::write(lab.path("home/signer"), signer).unwrap();
    let script = "
        chmod +x signer; echo '[GNUPG:] SIG_CREATED D 1' > status
        git config --global commit.gpgSign true; git config --global gpg.format x509
        git config --global gpg.x509.program '~/signer'";
    lab.sh("home", script).await;
    let workshop = lab.workshop("repo");
    let id = workshop
        .commit(&lab.door, &new_commit(&head))
        .await
        .unwrap();
    let text = lab.git(&workshop, &format!("cat-file commit {id}")).await;
    let header = "gpgsig made\n here\n";
    assert!(text.contains(header), "{text}");
    assert_eq!(lab.sh("home", "cat text").await, text.replace(header, ""));
    assert_eq!(
        lab.sh("home", "cat args").await,
        "--status-fd=2 -bsau Human <human@example.org>"
    );
    lab.sh(
        "home",
        "echo '[GNUPG:] FAILURE sign' > status; echo 'signer: no card' >> status",
    )
    .await;
    let error = workshop
        .commit(&lab.door, &new_commit(&head))
        .await
        .unwrap_err();
    assert_snapshot!(error, @"the commit cannot be signed: signer: no card");
}

#[tokio::test]
async fn no_name_becomes_a_header() {
    fn is_send(_: impl Send) {}
    let lab = Lab::new();
    let head = lab.repository().await;
    let workshop = lab.workshop("repo");
    let new = NewCommit {
        author: Some(Identity {
            name: "A".to_owned(),
            email: "a@b\nparent 0".to_owned(),
        }),
        ..new_commit(&head)
    };
    let error = workshop.commit(&lab.door, &new).await.unwrap_err();
    assert_snapshot!(error, @r"`A <a@b\nparent 0>` cannot be a commit's author: neither the name nor the address can hold <, > or a line's end");
    is_send(workshop.commit(&lab.door, &new));
}

/// Makes an SSH key and has git trust it.
async fn ssh_key(lab: &Lab) -> PathBuf {
    let script = "
        ssh-keygen -q -t ed25519 -N '' -C key -f key
        echo \"human@example.org $(cat key.pub)\" > allowed
        git config --global gpg.ssh.allowedSignersFile \"$PWD/allowed\"";
    lab.sh("home", script).await;
    lab.path("home/key")
}

#[tokio::test]
async fn an_ssh_key_signs() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let key = ssh_key(&lab).await;
    let before = Listing::of(&[lab.path("repo")]);
    let workshop = lab.workshop("repo");
    let commit = async |signing: Signing| {
        let new = NewCommit {
            signing,
            ..new_commit(&head)
        };
        workshop.commit(&lab.door, &new).await
    };
    let good = "Good \"git\" signature for human@example.org with ED25519 key";
    // By a key file alone, whatever git is told.
    let id = commit(signed(SignHow::Auto, Some(key.clone())))
        .await
        .unwrap();
    assert!(verified(&lab, &workshop, &id).await.starts_with(good));
    lab.git(&workshop, &format!("fsck --strict --no-dangling {id}"))
        .await;
    let own = workshop
        .own_commits(&id, &head, "hosts/flake.lock")
        .unwrap();
    assert_eq!(own.commits[0].trailer("Flake-Herald-Lock"), Some("h"));
    // Without a wish there is none.
    let plain = commit(Signing::default()).await.unwrap();
    assert_ne!(plain, id);
    assert_eq!(
        commit(signed(SignHow::Off, Some(key))).await.unwrap(),
        plain
    );
    before.assert_same(&[lab.path("repo")]);
    let error = commit(signed(SignHow::Ssh, None)).await.unwrap_err();
    assert_snapshot!(error, @"the commit cannot be signed: no SSH key is named");
    assert!(error.hint().unwrap().contains("--signing-key-file"));
    // As configured: with the private half, and with the public one beside it.
    lab.sh(
        "repo",
        "git config commit.gpgSign true; git config gpg.format ssh",
    )
    .await;
    for name in ["~/key", "~/key.pub"] {
        lab.sh("repo", &format!("git config user.signingKey '{name}'"))
            .await;
        let id = commit(Signing::default()).await.unwrap();
        assert!(
            verified(&lab, &workshop, &id).await.starts_with(good),
            "{name}"
        );
    }
    assert_eq!(commit(signed(SignHow::Off, None)).await.unwrap(), plain);
    // What ssh-keygen says of a key that it does not take is passed on.
    lab.sh("home", "chmod 644 key; rm key.pub").await;
    lab.sh("repo", "git config user.signingKey '~/key'").await;
    let error = commit(Signing::default()).await.unwrap_err().to_string();
    assert!(error.contains("are too open"), "{error}");
    assert!(!error.contains('\n') && !error.contains("@@"), "{error}");
    lab.sh("repo", "git config user.signingKey '~/nothing'")
        .await;
    let error = commit(Signing::default()).await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    lab.sh(
        "repo",
        "git config user.signingKey '~/key'; git config gpg.ssh.program no-such-program",
    )
    .await;
    let error = commit(Signing::default()).await.unwrap_err();
    assert!(
        error.to_string().contains("\"no-such-program\" not found"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--sign off"));
    // Nothing of it stays behind.
    let left: Vec<_> = fs::read_dir(lab.path("scratch"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["objects.git"]);
}

/// What is wrong with a key's file is found before the work, and how its lines end is no matter.
#[tokio::test]
async fn a_key_that_cannot_sign_is_found_without_signing() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let key = ssh_key(&lab).await;
    let script = "
        printf '\n' > empty; mkdir directory; cp key.pub public; sed 3d key > torn; echo 'not a key' > junk
        tr '\n' ' ' < key > line; ssh-keygen -q -t ed25519 -N secret -f locked; install -m 644 key loose
        sed 's/$/\r/' key > windows; head -c -1 key > cut; sed 's/^/  /' key > indented
        ssh-keygen -q -t ed25519 -N '' -f ca; ssh-keygen -q -s ca -I id -n human@example.org key.pub
        echo \"human@example.org cert-authority $(cat ca.pub)\" >> allowed
        cp key.pub torn.pub; cp key.pub alone-cert.pub; cp key alone-cert
        chmod 600 torn junk line windows cut indented";
    lab.sh("home", script).await;
    let workshop = lab.workshop("repo");
    let mut said = Vec::new();
    for name in [
        "missing",
        "directory",
        "empty",
        "junk",
        "torn",
        "line",
        "public",
        "alone-cert.pub",
        "locked",
        "locked.pub",
        "torn.pub",
        "loose",
    ] {
        let signing = signed(SignHow::Ssh, Some(lab.path("home").join(name)));
        let error = workshop.check_signing(&lab.door, &signing).await;
        let error = error.unwrap_err();
        said.push(format!("{error}\n  {}", error.hint().unwrap()));
    }
    let said = said
        .join("\n")
        .replace(&*lab.path("home").to_string_lossy(), "$HOME");
    // Each OpenSSH has its own word for what it cannot read.
    let said = said
        .replace("error in libcrypto", "WHY")
        .replace("invalid format", "WHY");
    assert_snapshot!(said, @r#"
    the signing key $HOME/missing cannot be read: No such file or directory (os error 2)
      name the key's file with --signing-key-file, or in git's user.signingKey
    the signing key $HOME/directory cannot be read: Is a directory (os error 21)
      name the key's file with --signing-key-file, or in git's user.signingKey
    the signing key $HOME/empty is empty
      a secret that is not set, or has another name, leaves an empty file; --sign off does without a signature
    the signing key $HOME/junk is no private key that can be used: Load key "$HOME/junk": WHY
      it must hold the whole private key, from BEGIN to END and with its line breaks
    the signing key $HOME/torn is no private key that can be used: Load key "$HOME/torn": WHY
      it must hold the whole private key, from BEGIN to END and with its line breaks
    the signing key $HOME/line is no private key that can be used: Load key "$HOME/line": WHY
      it must hold the whole private key, from BEGIN to END and with its line breaks
    the signing key $HOME/public is a public key, and the private one is not here
      the file must hold the private key, from BEGIN to END; or SSH_AUTH_SOCK must lead to an agent that has it
    the signing key $HOME/alone-cert.pub is a public key, and the private one is not here
      the file must hold the private key, from BEGIN to END; or SSH_AUTH_SOCK must lead to an agent that has it
    the signing key $HOME/locked has a passphrase
      nobody is asked for a passphrase here: use a key without one, or an agent that has it open
    the signing key $HOME/locked has a passphrase
      nobody is asked for a passphrase here: use a key without one, or an agent that has it open
    the signing key $HOME/torn is no private key that can be used: Load key "$HOME/torn": WHY
      it must hold the whole private key, from BEGIN to END and with its line breaks
    the signing key $HOME/loose is no private key that can be used: WARNING: UNPROTECTED PRIVATE KEY FILE!; Permissions 0644 for '$HOME/loose' are too open.; It is required that your private key files are NOT accessible by others.; This private key will be ignored.; Load key "$HOME/loose": bad permissions
      nobody else may be able to read it: `chmod 600`, or `umask 077` before it is written
    "#);
    for name in [
        "key",
        "key.pub",
        "key-cert.pub",
        "windows",
        "cut",
        "indented",
    ] {
        let signing = signed(SignHow::Ssh, Some(key.with_file_name(name)));
        workshop.check_signing(&lab.door, &signing).await.unwrap();
        let new = NewCommit {
            signing,
            ..new_commit(&head)
        };
        let id = workshop.commit(&lab.door, &new).await.unwrap();
        let words = verified(&lab, &workshop, &id).await;
        assert!(
            words.starts_with("Good \"git\" signature"),
            "{name}: {words}"
        );
    }
    // As git is configured it is the same, and an agent may have what is not here.
    lab.sh("repo", "git config commit.gpgSign true; git config gpg.format ssh; git config user.signingKey '~/locked'")
        .await;
    let check = async |lab: &Lab| workshop.check_signing(&lab.door, &Signing::default()).await;
    let error = check(&lab).await.unwrap_err().to_string();
    assert!(error.ends_with("/home/locked has a passphrase"), "{error}");
    lab.sh("repo", "git config gpg.ssh.program no-such-program")
        .await;
    check(&lab).await.unwrap();
    let [public, locked] =
        ["public", "locked.pub"].map(|name| signed(SignHow::Ssh, Some(key.with_file_name(name))));
    workshop.check_signing(&lab.door, &public).await.unwrap();
    lab.sh("repo", "git config --unset gpg.ssh.program").await;
    let lab = lab.with("SSH_AUTH_SOCK", "/nonexistent");
    check(&lab).await.unwrap();
    workshop.check_signing(&lab.door, &public).await.unwrap();
    workshop.check_signing(&lab.door, &locked).await.unwrap();
}

/// Of such a file ssh-keygen reads the private half only, and wants the public one from a second file.
#[tokio::test]
async fn a_key_in_pem_form_signs_without_its_public_half() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let script = "
        ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f pem; head -n 1 pem
        echo \"human@example.org $(cat pem.pub)\" > allowed
        git config --global gpg.ssh.allowedSignersFile \"$PWD/allowed\"
        ssh-keygen -q -t ecdsa -m PEM -N secret -f locked; mv locked.pub away
        sed 's/$/\r/' pem > windows; cp pem strange; cp away strange.pub; chmod 600 windows; rm pem.pub
        install -m 644 pem loose";
    let begins = lab.sh("home", script).await;
    assert_eq!(begins, "-----BEGIN RSA PRIVATE KEY-----");
    let workshop = lab.workshop("repo");
    let key = |name: &str| signed(SignHow::Auto, Some(lab.path("home").join(name)));
    for name in ["pem", "windows", "strange"] {
        workshop.check_signing(&lab.door, &key(name)).await.unwrap();
        let new = NewCommit {
            signing: key(name),
            ..new_commit(&head)
        };
        let id = workshop.commit(&lab.door, &new).await.unwrap();
        let words = verified(&lab, &workshop, &id).await;
        let good = "Good \"git\" signature for human@example.org with RSA key";
        assert!(words.starts_with(good), "{name}: {words}");
    }
    let error = workshop.check_signing(&lab.door, &key("loose")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("/home/loose' are too open"), "{error}");
    // An agent's key is found by its public half, which a locked file of this form does not tell.
    let lab = lab.with("SSH_AUTH_SOCK", "/nonexistent");
    let locked = signed(SignHow::Auto, Some(lab.path("home/locked")));
    let error = workshop.check_signing(&lab.door, &locked).await;
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with("/home/locked has a passphrase"), "{error}");
    lab.sh("home", "mv away locked.pub").await;
    workshop.check_signing(&lab.door, &locked).await.unwrap();
}

/// What a key is called is between git's configuration and the program: it need not be a file.
#[tokio::test]
async fn another_program_gets_the_name_of_its_key() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let signer = "#!/bin/sh
printf '%s ' \"$@\" > \"$HOME/args\"
for last; do :; done
printf 'made\\nhere\\n' > \"$last.sig\"
";
    fs::write(lab.path("home/signer"), signer).unwrap();
    let script = "
        chmod +x signer; printf '\\n' > empty
        git config --global commit.gpgSign true; git config --global gpg.format ssh
        git config --global gpg.ssh.program '~/signer'";
    lab.sh("home", script).await;
    let workshop = lab.workshop("repo");
    let home = lab.path("home");
    let home = home.to_string_lossy();
    for (name, handed_on) in [
        ("SHA256:id of/a card", "SHA256:id of/a card".to_owned()),
        ("~/empty", format!("{home}/empty")),
    ] {
        lab.sh("repo", &format!("git config user.signingKey '{name}'"))
            .await;
        let none = Signing::default();
        workshop.check_signing(&lab.door, &none).await.unwrap();
        let id = workshop
            .commit(&lab.door, &new_commit(&head))
            .await
            .unwrap();
        let text = lab.git(&workshop, &format!("cat-file commit {id}")).await;
        assert!(text.contains("gpgsig made\n here\n"), "{text}");
        let args = lab.sh("home", "cat args").await;
        let expected = format!("-Y sign -n git -f {handed_on} ");
        assert!(args.starts_with(&expected), "{args}");
    }
}

#[tokio::test]
async fn an_agent_signs() {
    let lab = Lab::new();
    let head = lab.repository().await;
    ssh_key(&lab).await;
    let lab = {
        let socket = lab.path("agent");
        lab.with("SSH_AUTH_SOCK", socket)
    };
    let pid = lab
        .sh(
            "home",
            "ssh-agent -a \"$SSH_AUTH_SOCK\" | sed -n 's/^SSH_AGENT_PID=\\([0-9]*\\).*/\\1/p'",
        )
        .await;
    let script = "
        ssh-keygen -q -t ecdsa -m PEM -N '' -f pem; ssh-add -q key pem; rm key
        ssh-keygen -q -p -P '' -N secret -m PEM -f pem; echo \"human@example.org $(cat pem.pub)\" >> allowed";
    lab.sh("home", script).await;
    let workshop = lab.workshop("repo");
    let public = fs::read_to_string(lab.path("home/key.pub")).unwrap();
    let public = public.trim();
    lab.sh(
        "repo",
        "git config commit.gpgSign true; git config gpg.format ssh",
    )
    .await;
    let mut said = Vec::new();
    for setting in [
        format!("user.signingKey '{}'", lab.path("home/key.pub").display()),
        // It is locked.
        format!("user.signingKey '{}'", lab.path("home/pem").display()),
        format!("user.signingKey '{public}'"),
        format!("user.signingKey 'key::{public}'"),
        "gpg.ssh.defaultKeyCommand 'ssh-add -L'".to_owned(),
    ] {
        lab.sh(
            "repo",
            &format!("git config unset user.signingKey || true; git config {setting}"),
        )
        .await;
        match workshop.commit(&lab.door, &new_commit(&head)).await {
            Ok(id) => said.push(verified(&lab, &workshop, &id).await),
            Err(error) => said.push(error.to_string()),
        }
    }
    lab.sh(
        "repo",
        &format!("kill {pid}; git config gpg.ssh.defaultKeyCommand 'echo nothing'"),
    )
    .await;
    for words in said {
        assert!(words.starts_with("Good \"git\" signature"), "{words}");
    }
    let error = workshop
        .commit(&lab.door, &new_commit(&head))
        .await
        .unwrap_err();
    assert_snapshot!(error, @"the commit cannot be signed: the first line that gpg.ssh.defaultKeyCommand writes is no SSH key: `nothing`");
}

#[tokio::test]
async fn a_gpg_key_signs() {
    let lab = Lab::new();
    let head = lab.repository().await;
    let keyring = lab.path("gpg");
    fs::create_dir(&keyring).unwrap();
    fs::set_permissions(&keyring, fs::Permissions::from_mode(0o700)).unwrap();
    let lab = lab.with("GNUPGHOME", keyring);
    let script = "
        gpg --batch --quiet --passphrase '' --quick-gen-key 'Human <human@example.org>' ed25519 sign never 2>&1
        gpg --batch --quiet --armor --export-secret-keys > ../secret.asc";
    lab.sh("gpg", script).await;
    let workshop = lab.workshop("repo");
    let mut said = Vec::new();
    let mut commit = async |signing: Signing| {
        let new = NewCommit {
            signing,
            ..new_commit(&head)
        };
        said.push(match workshop.commit(&lab.door, &new).await {
            Ok(id) => {
                let fsck = format!("fsck --strict --no-dangling {id}");
                lab.git(&workshop, &fsck).await;
                verified(&lab, &workshop, &id).await
            }
            Err(error) => format!("{error}"),
        });
    };
    // The key of the committer.
    commit(signed(SignHow::Gpg, None)).await;
    lab.sh(
        "repo",
        "git config commit.gpgSign yes; git config user.signingKey human@example.org",
    )
    .await;
    commit(Signing::default()).await;
    // A key file, into a keyring of its own.
    let file = signed(SignHow::Gpg, Some(lab.path("secret.asc")));
    workshop.check_signing(&lab.door, &file).await.unwrap();
    commit(file).await;
    lab.sh("repo", "git config user.signingKey nobody@example.org")
        .await;
    commit(Signing::default()).await;
    commit(signed(SignHow::Gpg, Some(lab.path("repo/other")))).await;
    // One with a passphrase can be imported, and no more.
    let locked = "
        gpg --batch --quiet --pinentry-mode loopback --passphrase secret --quick-gen-key locked@example.org ed25519 sign never 2>&1
        gpg --batch --quiet --pinentry-mode loopback --passphrase secret --armor --export-secret-keys locked@example.org > ../locked.asc";
    lab.sh("gpg", locked).await;
    let mut wrong = Vec::new();
    for name in ["locked.asc", "repo/other", "missing"] {
        let file = signed(SignHow::Gpg, Some(lab.path("").join(name)));
        let error = workshop.check_signing(&lab.door, &file).await.unwrap_err();
        wrong.push(format!("{error}\n  {}", error.hint().unwrap()));
    }
    lab.sh("gpg", "gpgconf --kill all").await;
    let wrong = wrong
        .join("\n")
        .replace(&*lab.path("").to_string_lossy(), "$D/");
    assert_snapshot!(wrong, @"
    the commit cannot be signed: gpg: signing failed: Inappropriate ioctl for device
      nobody is asked for a passphrase here: use a key without one, or an agent that has it open
    the commit cannot be signed: gpg: no valid OpenPGP data found.
      git's commit.gpgSign, gpg.format and user.signingKey say how commits are signed; --sign off does without
    the signing key $D/missing cannot be read: No such file or directory (os error 2)
      name the key's file with --signing-key-file, or in git's user.signingKey
    ");
    assert_eq!(said.len(), 5);
    let (good, bad) = said.split_at(3);
    for words in good {
        assert!(words.contains("Good signature from \"Human"), "{words}");
    }
    assert!(bad[0].contains("cannot be signed"), "{}", bad[0]);
    assert!(bad[0].contains("No secret key"), "{}", bad[0]);
    assert!(bad[1].contains("no valid OpenPGP data found"), "{}", bad[1]);
    assert!(bad.iter().all(|words| !words.contains('\n')), "{bad:?}");
}
