//! Which Nix is on PATH, and what its surroundings are: whose it is, how old, and what its configuration says.

use std::fs;
use std::time::{Duration, Instant};

use crate::report::json;
use crate::support::{Fleet, Shim};

/// What the shim says instead of the real Nix: the version, and what is taken out of the list of commands (for sed).
fn pretend(fleet: &Fleet, shim: &Shim, version: &str, edit: &str) {
    shim.fault(
        fleet.env(),
        "nix",
        "",
        &format!(
            "case \"$*\" in\n--version) printf '%s\\n' '{version}'; exit ;;\n\
             __dump-cli) \"$real\" __dump-cli | sed '{edit}'; exit ;;\nesac"
        ),
    );
}

/// Renames the flag `--flake` of `nix flake update`: it takes one word, and no other `flake` in the list does.
const BEFORE_THE_OVERHAUL: &str = r#"s/"flake":{"arity"/"gone":{"arity"/"#;

const LIX: &str =
    "nix (Lix, like Nix) 2.93.3\nSystem type: x86_64-linux\nFeatures: gc, signed-caches";

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_nix_that_will_not_do_is_named() {
    let mut fleet = Fleet::new();
    let shim = fleet.shim();
    let mut said = Vec::new();
    for (version, edit) in [
        ("nix (Nix) 2.18.1", ""),
        ("nix (Determinate Nix 3.0.0) 2.18.9", ""),
        (LIX, r#"s/"apply":{/"gone":{/; s/"out-link":{/"gone":{/"#),
        ("nothing", "d"),
        ("", ""),
    ] {
        pretend(&fleet, &shim, version, edit);
        said.push(fleet.run(["report"]).code(1).stderr);
    }
    fleet.env_mut().set("PATH", "/nonexistent");
    let gone = fleet.env().run_in(&fleet.flake(), ["report"]);
    said.push(gone.code(1).stderr);
    let said = said.join("\n").replace("Staging the update …\n", "");
    insta::assert_snapshot!(said, @r#"
    Error: Nix 2.18.1 is too old: 2.19 or newer is needed
    Hint: update Nix: https://nix.dev/manual/nix/latest/installation/upgrading
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#which-nix

    Error: Nix 2.18.9 (Determinate Nix 3.0.0) is too old: 2.19 or newer is needed
    Hint: update Nix: https://nix.dev/manual/nix/latest/installation/upgrading
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#which-nix

    Error: Nix 2.93.3 (Lix) lacks what is needed: `nix eval --apply`, `nix build --out-link`
    Hint: use Nix 2.19 or newer, or a current release of Lix or Determinate Nix
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#which-nix

    Error: the version of Nix cannot be read from Nix's answer: nothing

    Error: the version of Nix cannot be read from Nix's answer: it says nothing

    Error: `nix --version` could not be started: program "nix" not found
    Hint: Nix must be installed and on PATH: https://nixos.org/download
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#which-nix
    "#);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn another_nix_is_asked_what_it_takes_and_spoken_to_accordingly() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1", "hw:0.5.0"]);
    let shim = fleet.shim();
    let report = |more: &[&str]| {
        shim.clear();
        let args = ["report", "--format", "json", "--host", "webserver"];
        let mut report = json(&fleet.run(args.iter().chain(more)).success());
        let version = report["nix"]["version"].take();
        report["digest"].take();
        report["timing"].take();
        let asked = shim
            .nix_calls()
            .iter()
            .filter(|call| call.has("__dump-cli"))
            .count();
        (report, version, asked)
    };
    let (plain, _, asked) = report(&[]);
    assert_eq!(asked, 0, "the number of Nix itself says enough");
    let (plain_part, ..) = report(&["--input", "nixos-hardware", "--input", "nixpkgs"]);

    pretend(&fleet, &shim, LIX, "");
    let (lix, version, asked) = report(&[]);
    assert_eq!((version, asked), ("2.93.3 (Lix)".into(), 1));
    assert_eq!(lix, plain);

    // A Nix of whatever name whose `nix flake update` is that of 2.18.
    pretend(&fleet, &shim, "nix 2.17 by hand", BEFORE_THE_OVERHAUL);
    let (old, version, _) = report(&[]);
    assert_eq!(version, "nix 2.17 by hand");
    assert_eq!(old, plain);
    let calls = shim.nix_calls();
    assert!(
        calls.iter().any(|call| call.has("--recreate-lock-file"))
            && !calls.iter().any(|call| call.has("flake update")),
        "{calls:#?}"
    );
    let (old, ..) = report(&["--input", "nixos-hardware", "--input", "nixpkgs"]);
    assert_eq!(old, plain_part);

    // It does not say what it takes: the calls themselves will show.
    pretend(&fleet, &shim, "nix (Determinate Nix 3.11.3) 2.31.2", "d");
    let (mut mute, version, _) = report(&[]);
    assert_eq!(version, "2.31.2 (Determinate Nix 3.11.3)");
    insta::assert_snapshot!(mute["warnings"].take(), @r#"["it could not be found out what the commands of Nix 2.31.2 (Determinate Nix 3.11.3) take, so they are called as those of Nix: what its commands take cannot be read from Nix's answer: EOF while parsing a value at line 1 column 0"]"#);
    mute["warnings"] = serde_json::json!([]);
    assert_eq!(mute, plain);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_surrounds_nix_is_withstood_or_told() {
    let mut fleet = Fleet::new();
    fleet.bump(&["nginx=1.26.1"]);
    let conf = fleet.env().dir().join("etc/nix.conf");
    let text = fs::read_to_string(&conf).unwrap();
    let args = ["report", "--host", "webserver"];

    // No experimental feature is on, and a setting is unknown, of which every call warns.
    let bare = text.replace("nix-command flakes", "");
    fs::write(&conf, format!("{bare}\nlazy-trees = true\n")).unwrap();
    fleet.env_mut().set("NIX_CONFIG", "experimental-features =");
    let out = fleet.run(args).success();
    assert!(out.stdout.contains("unknown setting"), "{out}");
    fleet.env_mut().unset("NIX_CONFIG");

    let started = Instant::now();
    let mut said = Vec::new();
    fs::write(&conf, format!("{text}\nno setting at all\n")).unwrap();
    said.push(fleet.run(args).code(1).to_string());
    fs::write(&conf, &text).unwrap();
    let socket = fleet.env().dir().join("no-socket");
    fleet.env_mut().set("NIX_REMOTE", "daemon");
    fleet.env_mut().set("NIX_DAEMON_SOCKET_PATH", socket);
    fleet.env_mut().unset("NIX_STATE_DIR");
    said.push(fleet.run(args).code(1).to_string());
    assert!(started.elapsed() < Duration::from_secs(20));
    // Versions differ in quotes, and two calls at once in which of them fails first.
    let said: Vec<String> = said
        .iter()
        .flat_map(|said| said.lines())
        .filter(|line| !line.starts_with("(`nix eval") && !line.starts_with("(`nix flake"))
        .map(|line| line.replace('"', "'"))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    ------- stderr -------
    Staging the update …
    Error: syntax error in configuration line 'no setting at all' in '$D/etc/nix.conf'
    Try 'nix --help' for more information.
    (`nix --version` failed with status 1)
    Hint: that is Nix's own configuration: nix.conf, or the variable NIX_CONFIG
    [exit status: 1]
    ------- stderr -------
    Staging the update …
    Error: cannot connect to socket at '$D/no-socket': No such file or directory
    Hint: the Nix daemon is not running: `systemctl start nix-daemon`; a container without one needs the host's socket in it, or a store of its own and NIX_REMOTE=local
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it
    [exit status: 1]
    ");
}
