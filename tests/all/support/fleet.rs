//! The fixture fleet (`fixtures/fleet/README.md`), a copy for each test, with its own store.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::env::fixtures;
use super::{CommandOutput, Shim, TestEnv};

/// A fixture fleet in a scratch directory, with a store of its own.
#[derive(Debug)]
pub(crate) struct Fleet {
    env: TestEnv,
}

/// Everything of a repository that a command may not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// `git status`, with what is ignored.
    pub(crate) status: String,
    /// HEAD and every reference.
    pub(crate) references: String,
    /// What is in the index.
    pub(crate) index: String,
    /// The working tree's `flake.lock`.
    pub(crate) lock: String,
}

impl Fleet {
    /// Makes a fleet: six hosts and one home, committed and locked, nothing of them built.
    pub(crate) fn new() -> Self {
        let env = TestEnv::new();
        assert!(
            env.which("nix").is_some(),
            "this test needs nix: run scripts/test, which gets one"
        );
        let fleet = Self { env };
        fleet.script("make.sh", &[]);
        fleet
    }

    /// Returns the environment in which the fleet is.
    pub(crate) fn env(&self) -> &TestEnv {
        &self.env
    }

    /// Returns the environment in which the fleet is, to change it.
    pub(crate) fn env_mut(&mut self) -> &mut TestEnv {
        &mut self.env
    }

    /// Returns the flake's directory.
    pub(crate) fn flake(&self) -> PathBuf {
        self.env.dir().join("fleet")
    }

    /// Returns the directory of an input's repository.
    pub(crate) fn input(&self, name: &str) -> PathBuf {
        self.env.dir().join("inputs").join(name)
    }

    /// Makes changes, so that the next update brings them: `bump(&["openssl=3.0.14", "fail:php"])`.
    pub(crate) fn bump(&self, changes: &[&str]) {
        self.script("bump.sh", changes);
    }

    /// Makes changes and updates and commits the fleet's `flake.lock`, so that they are there before the next update.
    pub(crate) fn bump_base(&self, changes: &[&str]) {
        self.script("bump.sh", &[&["--relock"], changes].concat());
    }

    /// Puts programs in between, see [`Shim`].
    pub(crate) fn shim(&mut self) -> Shim {
        Shim::new(&mut self.env)
    }

    /// Runs the binary under test in the flake's directory.
    #[must_use = "snapshot the output, or assert its status with .success() or .code(n)"]
    pub(crate) fn run<I>(&self, args: I) -> CommandOutput
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.knowing_commits(self.env.run_in(&self.flake(), args))
    }

    /// Runs Nix in the flake's directory.
    #[must_use = "snapshot the output, or assert its status with .success() or .code(n)"]
    pub(crate) fn nix<I>(&self, args: I) -> CommandOutput
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut command = self.env.command("nix");
        self.knowing_commits(
            self.env
                .output(command.args(args).current_dir(self.flake())),
        )
    }

    /// Runs git in the flake's directory, which must succeed, and returns its stdout.
    pub(crate) fn git<I>(&self, args: I) -> String
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.git_in(&self.flake(), args)
    }

    /// Returns what differs from HEAD in the flake's repository: a line each, nothing if it is clean.
    pub(crate) fn git_status(&self) -> String {
        self.git(["status", "--porcelain", "--ignored"])
    }

    /// Returns what a command that may not touch the repository has to leave as it is.
    pub(crate) fn repository(&self) -> Repository {
        Repository {
            status: self.git_status(),
            references: self.git(["show-ref", "--head"]),
            index: self.git(["ls-files", "--stage"]),
            lock: fs::read_to_string(self.flake().join("flake.lock")).unwrap_or_default(),
        }
    }

    /// Writes a file of the flake. It is not committed.
    pub(crate) fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
        self.env.write(self.flake().join(path), contents);
    }

    /// Commits everything in the flake's directory.
    pub(crate) fn commit(&self, message: &str) {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "-m", message]);
    }

    /// Pushes what is committed to the branch `main` of a bare repository.
    pub(crate) fn land(&self, bare: &Path) {
        self.git([
            "push".as_ref(),
            "-q".as_ref(),
            bare.as_os_str(),
            "HEAD:main".as_ref(),
        ]);
    }

    /// Has the owner update by hand and push that, so that there is nothing left to say.
    pub(crate) fn land_update(&self, bare: &Path) {
        let _out = self.nix(["flake", "update"]).success();
        self.commit("update by hand");
        self.land(bare);
    }

    fn git_in<I>(&self, dir: &Path, args: I) -> String
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let mut command = self.env.command("git");
        let out = self.env.output(command.args(args).current_dir(dir));
        out.success().stdout
    }

    /// Announces the commits of all repositories to the redactor, so that it knows their short forms.
    fn knowing_commits(&self, mut out: CommandOutput) -> CommandOutput {
        for input in ["nixpkgs", "home-manager", "nixos-hardware", "disko"] {
            let dir = self.input(input);
            if dir.exists() {
                for commit in self.git_in(&dir, ["rev-list", "--reverse", "HEAD"]).lines() {
                    out.redactor.announce(commit);
                }
            }
        }
        for commit in self.git(["rev-list", "--reverse", "HEAD"]).lines() {
            out.redactor.announce(commit);
        }
        out
    }

    fn script(&self, name: &str, args: &[&str]) {
        let mut command = self.env.command(fixtures().join("fleet").join(name));
        let out = self.env.output(command.arg(self.env.dir()).args(args));
        let _checked = out.success();
    }
}

mod tests {
    use crate::support::Fleet;

    /// The attribute that a host is built from.
    fn toplevel(host: &str) -> String {
        format!(".#nixosConfigurations.{host}.config.system.build.toplevel")
    }

    #[test]
    #[ignore = "needs nix: run scripts/test"]
    fn a_bump_reaches_the_hosts_with_the_update_only() {
        let fleet = Fleet::new();
        assert_eq!(fleet.git_status(), "");
        let out_path = || {
            let attribute = format!("{}.outPath", toplevel("nas"));
            fleet.nix(["eval", "--raw", attribute.as_str()]).success()
        };
        let before = out_path();
        let untouched = fleet.repository();
        fleet.bump(&["zfs-user=2.2.5"]);
        assert_eq!(out_path().stdout, before.stdout);
        assert_eq!(fleet.repository(), untouched);
        let _out = fleet.nix(["flake", "update"]).success();
        assert_ne!(out_path().stdout, before.stdout);
        assert_eq!(fleet.git_status(), " M flake.lock\n");
        assert_ne!(fleet.repository(), untouched);
        insta::assert_snapshot!(
            before.redacted_stdout(),
            @"$D/nix/store/h0000000000000000000000000000001-nixos-system-nas-24.05.20240601.cd5f9e2"
        );
    }

    #[test]
    #[ignore = "needs nix: run scripts/test"]
    fn what_is_broken_in_the_base_is_mended_by_an_update() {
        let mut fleet = Fleet::new();
        fleet.bump_base(&["fail:zlib", "typeerror:nas"]);
        assert_eq!(fleet.git_status(), "");
        fleet.env_mut().set("COLUMNS", "80");
        let shim = fleet.shim();
        let build = || fleet.nix(["build", "--no-link", &toplevel("installer-minimal")]);
        let eval = || fleet.nix(["eval", "--raw", &toplevel("nas")]);
        let out = build().code(1);
        assert!(out.stderr.contains("libfoo not found"), "{out}");
        assert!(eval().code(1).stderr.contains("cannot add"));
        fleet.bump(&["fix:zlib", "fix:nas"]);
        let _out = fleet.nix(["flake", "update"]).success();
        let _out = build().success();
        let _out = eval().success();
        let calls = shim.nix_calls();
        assert_eq!(calls.len(), 5, "{calls:?}");
        assert_eq!(calls[2].to_string(), "nix flake update");
        assert!(shim.calls().len() >= calls.len());
    }

    #[test]
    #[ignore = "needs nix: run scripts/test"]
    fn a_source_that_moves_changes_derivations_and_not_outputs() {
        let fleet = Fleet::new();
        let path = |attribute: &str| {
            let attribute = format!("{}.{attribute}", toplevel("webserver"));
            fleet.nix(["eval", "--raw", &attribute]).success().stdout
        };
        let before = (path("drvPath"), path("outPath"));
        fleet.bump(&["mirror:nginx=https://mirror.example.org/nginx.tar.gz"]);
        let _out = fleet.nix(["flake", "update"]).success();
        assert_ne!(path("drvPath"), before.0);
        assert_eq!(path("outPath"), before.1);
    }

    #[test]
    #[ignore = "needs nix: run scripts/test"]
    fn one_host_is_of_another_system_and_one_home_is_there() {
        let fleet = Fleet::new();
        let systems = "cs: builtins.mapAttrs (_: c: c.config.system.build.toplevel.system) cs";
        let out = fleet.nix([
            "eval",
            "--json",
            ".#nixosConfigurations",
            "--apply",
            systems,
        ]);
        let out = out.success();
        let native = format!("{}-linux", std::env::consts::ARCH);
        assert_eq!(out.stdout.matches(&native).count(), 5, "{out}");
        assert!(
            !out.stdout.contains(&format!(r#""pi":"{native}""#)),
            "{out}"
        );
        let home = r#".#homeConfigurations."alice@devbox".activationPackage.name"#;
        let out = fleet.nix(["eval", "--raw", home]).success();
        assert_eq!(out.stdout, "home-manager-generation");
    }

    #[test]
    #[ignore = "needs nix: run scripts/test"]
    fn files_are_written_and_committed() {
        let fleet = Fleet::new();
        fleet.write("docs/note", "text");
        assert_eq!(fleet.git_status(), "?? docs/\n");
        let _out = fleet.run(["--version"]).success();
        fleet.commit("A note");
        assert_eq!(fleet.git_status(), "");
        assert_eq!(fleet.git(["log", "-1", "--format=%s"]), "A note\n");
        assert!(fleet.input("nixpkgs").join("versions.json").is_file());
        assert!(fleet.env().dir().join("etc/nix.conf").is_file());
    }
}
