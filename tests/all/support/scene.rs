//! A repository on the stand-in forge, a checkout of it, and reports to publish, made without Nix.

use std::fs;
use std::path::{Path, PathBuf};

use flake_herald::closure::StorePath;
use flake_herald::flake::Kind;
use flake_herald::report::{
    FlakeInfo, Fleet, HostReport, InputChange, InputRevision, LockInfo, LockOrigin, NixInfo,
    Outcome, Report, SCHEMA, Scope, Side, Status, Timing, Tool, to_json,
};
use serde_json::{Value, json};

use super::forge::{Dialect, Pull, StandIn, Token};
use super::ssh::Sshd;
use super::{CommandOutput, TestEnv};

/// How git reaches the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Ssh,
}

/// The repository's name on the forge.
pub(crate) const SLUG: &str = "alice/fleet";
/// The branch of the pull request, unless a test names another.
pub(crate) const BRANCH: &str = "auto/flake-update";
/// A token with every right that is needed.
pub(crate) const TOKEN: &str = "t0ken-of-alice-with-write";

/// A repository on the stand-in forge, and a checkout of it.
pub(crate) struct Scene {
    pub(crate) env: TestEnv,
    pub(crate) forge: StandIn,
    /// The bare repository behind it.
    pub(crate) bare: PathBuf,
    pub(crate) checkout: PathBuf,
    pub(crate) transport: Transport,
    sshd: Option<Sshd>,
}

/// What a run of `publish` came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) output: CommandOutput,
    pub(crate) code: Option<i32>,
    pub(crate) operation: String,
    pub(crate) number: Option<u64>,
    pub(crate) warnings: Vec<String>,
}

impl Done {
    #[track_caller]
    pub(crate) fn is(self, operation: &str) -> Self {
        assert_eq!(
            self.operation, operation,
            "{}{}",
            self.output.stdout, self.output.stderr
        );
        self
    }
}

impl Scene {
    pub(crate) fn new(dialect: Dialect, transport: Transport) -> Self {
        let mut env = TestEnv::new();
        let forge = StandIn::start(dialect, &env.dir().join("forge"));
        let bare = forge.create_repository(SLUG, "main");
        forge.state().add_token(Token::new("given", TOKEN));
        forge.seed(
            SLUG,
            &[
                ("flake.nix", b"{ outputs = _: { }; }\n".as_slice()),
                ("flake.lock", &lock(1)),
            ],
        );
        env.set("FLAKE_HERALD_TOKEN", TOKEN);
        let sshd = (transport == Transport::Ssh).then(|| Sshd::start(&env));
        if let Some(sshd) = &sshd {
            let command = sshd.key(&env, "deploy");
            env.set("GIT_SSH_COMMAND", command);
        }
        let checkout = env.dir().join("checkout");
        let scene = Self {
            env,
            forge,
            bare,
            checkout,

            transport,
            sshd,
        };
        let url = scene.remote_url();
        // What is cloned is the bare repository itself; only the remote's address is the forge's.
        scene.git_in(
            scene.env.dir(),
            &["clone", "-q", &scene.bare.display().to_string(), "checkout"],
        );
        scene.git(&["remote", "set-url", "origin", &url]);
        scene
    }

    fn remote_url(&self) -> String {
        match &self.sshd {
            Some(sshd) => sshd.url(&self.bare),
            None => format!("{}/{SLUG}.git", self.forge.server_url()),
        }
    }

    /// Runs git in the checkout and returns what it prints.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.checkout, args)
    }

    /// Runs git in the forge's bare repository.
    pub(crate) fn bare_git(&self, args: &[&str]) -> String {
        self.git_in(&self.bare, args)
    }

    /// Runs git in the scratch directory.
    pub(crate) fn git_in_dir(&self, args: &[&str]) -> String {
        self.git_in(self.env.dir(), args)
    }

    fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        let mut command = self.env.command("git");
        self.env
            .output(command.args(args).current_dir(dir))
            .success()
            .stdout
            .trim_end()
            .to_owned()
    }

    /// Commits on the base, pushes it to the forge, and leaves the checkout there.
    pub(crate) fn land(&self, path: &str, contents: &[u8]) {
        fs::write(self.checkout.join(path), contents).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", &format!("change {path}")]);
        let bare = self.bare.display().to_string();
        self.git(&["push", "-q", &bare, "HEAD:main"]);
    }

    /// Takes over what landed on the base elsewhere, as the next night's job would.
    pub(crate) fn next_night(&self) {
        let bare = self.bare.display().to_string();
        self.git(&["fetch", "-q", &bare, "main"]);
        self.git(&["reset", "-q", "--hard", "FETCH_HEAD"]);
    }

    /// Returns a report about an update of the checkout's commit from the lock it has to lock number `after`.
    pub(crate) fn report(&self, after: u32) -> Report {
        let before_bytes = fs::read(self.checkout.join("flake.lock")).unwrap();
        let before = number_of(&before_bytes);
        let same = before == after;
        let host = |status: Status| HostReport {
            name: "webserver".to_owned(),
            kind: Kind::Nixos,
            attr: "nixosConfigurations.webserver.config.system.build.toplevel".to_owned(),
            system: Some("x86_64-linux".to_owned()),
            status,
            reason: None,
            before: (!same).then(|| side(before)),
            after: (!same).then(|| side(after)),
            diff: None,
            impact: None,
            failure: None,
        };
        let hosts = vec![host(if same {
            Status::Unchanged
        } else {
            Status::Changed
        })];
        let revision = |n: u32| {
            Some(InputRevision {
                rev: Some(rev(n)),
                date: Some("2024-06-01".to_owned()),
                url: Some(format!("github:NixOS/nixpkgs/{}", rev(n))),
                follows: None,
            })
        };
        let inputs = if same {
            Vec::new()
        } else {
            vec![InputChange {
                name: "nixpkgs".to_owned(),
                kind: Some("github".to_owned()),
                original: Some("github:NixOS/nixpkgs/nixos-unstable".to_owned()),
                before: revision(before),
                after: revision(after),
                compare_url: Some(format!(
                    "https://github.com/NixOS/nixpkgs/compare/{}...{}",
                    rev(before),
                    rev(after)
                )),
                transitive: false,
            }]
        };
        let mut report = Report {
            schema: SCHEMA,
            tool: Tool {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            nix: NixInfo {
                version: "2.26.3".to_owned(),
                store_dir: "/nix/store".to_owned(),
            },
            flake: FlakeInfo {
                dir: ".".to_owned(),
                rev: Some(self.git(&["rev-parse", "HEAD"])),
            },
            scope: Scope {
                dir: ".".to_owned(),
                kinds: vec![Kind::Nixos],
                exclude_hosts: vec!["*-minimal".to_owned()],
                ..Scope::default()
            }
            .identified(),
            lock: LockInfo {
                before_hash: Some(LockInfo::hash(&before_bytes)),
                after_hash: LockInfo::hash(&lock(after)),
                origin: LockOrigin::Staged,
                completed: false,
                unreachable: Vec::new(),
            },
            built: true,
            outcome: if same {
                Outcome::LockUnchanged
            } else {
                Outcome::Changed
            },
            excluded: Vec::new(),
            fleet: Fleet::of(&hosts),
            inputs,
            lock_notes: Vec::new(),
            lock_notes_left_out: 0,
            hosts,
            warnings: Vec::new(),
            digest: String::new(),
            timing: Timing {
                started: "2024-06-01T02:00:00Z".to_owned(),
                ..Timing::default()
            },
            pull_request: None,
            plan: None,
        };
        report.seal();
        report
    }

    /// Publishes an update to lock number `after`.
    pub(crate) fn publish(&self, after: u32) -> Done {
        self.publish_with(&self.report(after), after, &[])
    }

    /// Publishes a report on lock number `after`, with further arguments.
    pub(crate) fn publish_with(&self, report: &Report, after: u32, more: &[&str]) -> Done {
        let mut command = self.command(report, after, more);
        Self::finished(self.env.output(&mut command))
    }

    /// Returns the command that publishes.
    pub(crate) fn command(
        &self,
        report: &Report,
        after: u32,
        more: &[&str],
    ) -> std::process::Command {
        let file = self.env.write("in/report.json", to_json(report));
        let lock = self.env.write("in/flake.lock", lock(after));
        let mut command = self.env.binary();
        command
            .current_dir(&self.checkout)
            .arg("publish")
            .arg(file)
            .arg("--lock")
            .arg(lock)
            .args(["--format", "json"])
            .args(more);
        if self.transport == Transport::Ssh {
            command.args(["--server-url", &self.forge.server_url()]);
            command.args(["--repository", SLUG]);
        }
        command
    }

    /// Returns what a finished process said about its pull request.
    pub(crate) fn finished(output: CommandOutput) -> Done {
        let report: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        let pull = &report["pull_request"];
        Done {
            code: output.status.code(),
            operation: pull["operation"].as_str().unwrap_or("no report").to_owned(),
            number: pull["number"].as_u64(),
            warnings: pull["warnings"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|warning| Some(warning.as_str()?.to_owned()))
                .collect(),
            output,
        }
    }

    /// Returns the commit a branch is at on the forge; none where there is none.
    pub(crate) fn tip(&self, branch: &str) -> Option<String> {
        let listed = self.bare_git(&[
            "for-each-ref",
            "--format=%(objectname)",
            &format!("refs/heads/{branch}"),
        ]);
        (!listed.is_empty()).then_some(listed)
    }

    /// Returns the open pull requests from a branch.
    pub(crate) fn open_from(&self, branch: &str) -> Vec<Pull> {
        let mut open = self.forge.state().open_pulls(SLUG);
        open.retain(|pull| pull.head_ref == branch);
        open
    }

    /// Returns the number of the lock on a branch.
    pub(crate) fn lock_on(&self, branch: &str) -> u32 {
        number_of(
            self.bare_git(&["show", &format!("{branch}:flake.lock")])
                .as_bytes(),
        )
    }

    /// Asserts that the forge holds one open pull request from `branch`, of one commit of ours with lock number `after`.
    #[track_caller]
    pub(crate) fn is_published(&self, branch: &str, after: u32) {
        let open = self.open_from(branch);
        assert_eq!(open.len(), 1, "open pull requests: {open:?}");
        assert_eq!(self.lock_on(branch), after);
        let commits = self.bare_git(&["rev-list", &format!("main..{branch}")]);
        assert_eq!(commits.lines().count(), 1, "commits on {branch}: {commits}");
        let changed = self.bare_git(&["diff", "--name-only", &format!("{branch}^"), branch]);
        assert_eq!(changed, "flake.lock");
        let hash = LockInfo::hash(&lock(after));
        assert!(
            open[0].body.contains(&format!(" lock={hash} ")),
            "the body speaks of another lock: {}",
            open[0].body
        );
    }
}

/// Returns lock number `n`: one input, at another revision.
pub(crate) fn lock(n: u32) -> Vec<u8> {
    let lock = json!({
        "nodes": {
            "nixpkgs": {
                "locked": {
                    "lastModified": 1_717_243_200,
                    "narHash": "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                    "owner": "NixOS",
                    "repo": "nixpkgs",
                    "rev": rev(n),
                    "type": "github"
                },
                "original": {
                    "owner": "NixOS",
                    "ref": "nixos-unstable",
                    "repo": "nixpkgs",
                    "type": "github"
                }
            },
            "root": { "inputs": { "nixpkgs": "nixpkgs" } }
        },
        "root": "root",
        "version": 7
    });
    format!("{lock:#}\n").into_bytes()
}

fn rev(n: u32) -> String {
    format!("{n:040x}")
}

fn number_of(lock: &[u8]) -> u32 {
    let lock: Value = serde_json::from_slice(lock).unwrap();
    let rev = lock["nodes"]["nixpkgs"]["locked"]["rev"].as_str().unwrap();
    u32::from_str_radix(rev.trim_start_matches('0'), 16).unwrap()
}

fn side(n: u32) -> Side {
    let path = |name: &str| -> StorePath {
        StorePath::parse(&format!("/nix/store/{n:032}-{name}")).unwrap()
    };
    Side {
        drv_path: path("nixos-system-webserver.drv"),
        out_path: path("nixos-system-webserver"),
        paths: Some(1000),
        nar_size: Some(1 << 30),
    }
}
