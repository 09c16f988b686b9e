//! `flake-herald diff` by hand: what OLD and NEW may be, and what it says of what they may not be.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{CommandOutput, Fleet, TestEnv};

#[test]
fn words_that_name_no_closure_are_told_with_what_would() {
    let mut env = TestEnv::new();
    let state = env.dir().join("state");
    env.set("NIX_STATE_DIR", &state);
    let profiles = state.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    for number in [3, 12, 13, 14] {
        symlink("gone", profiles.join(format!("system-{number}-link"))).unwrap();
    }
    let drv = "/nix/store/00000000000000000000000000000000-x.drv";
    symlink(drv, env.dir().join("drv")).unwrap();
    symlink("gone", env.dir().join("broken")).unwrap();
    symlink("loop", env.dir().join("loop")).unwrap();
    env.write("41", "");
    env.write("dir/x", "");
    env.write("flake/flake.nix", "{ }");

    let mut said = Vec::new();
    for word in [
        "41",
        "7",
        "0012",
        "99999999999999999999999999",
        "",
        " \t",
        "-",
        "missing",
        "./result",
        "broken",
        "loop",
        "dir",
        "flake",
        "/dev/null",
        ".#web",
        "nixpkgs#hello",
        "github:NixOS/nixpkgs",
        drv,
        "drv",
        "/nix/store/00000000000000000000000000000000-x.drv^out",
        "/nix/store/00000000000000000000000000000000-x/bin/x",
        "00000000000000000000000000000000-x",
        "/nix/store/x",
        "a\nb\u{1b}[31m",
        "--",
    ] {
        let output = env.run(["diff", "--", word, word]).code(1);
        assert_eq!(output.stdout, "", "{word}");
        said.push(format!("$ {}\n{}", word.escape_debug(), output.stderr));
    }
    insta::assert_snapshot!(said.join("").replace(env.dir().to_str().unwrap(), "$D"), @r#"
    $ 41
    Error: the system has no generation 41: $D/state/profiles has 3, 12 to 14
    Hint: the file of that name is ./41
    $ 7
    Error: the system has no generation 7: $D/state/profiles has 3, 12 to 14
    Hint: a generation of another profile is named by its link: ~/.local/state/nix/profiles/home-manager-7-link
    $ 0012
    Error: 0012 is a link to $D/state/profiles/gone, which is not there
    Hint: what it led to was removed or moved; build it again
    $ 99999999999999999999999999
    Error: the system has no generation 99999999999999999999999999: $D/state/profiles has 3, 12 to 14
    Hint: a generation of another profile is named by its link: ~/.local/state/nix/profiles/home-manager-7-link
    $ 
    Error: there is no file or link ""
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $  \t
    Error: there is no file or link " \t"
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $ -
    Error: there is no file or link -
    Hint: nothing is read from stdin: write the snapshot to a file first
    $ missing
    Error: there is no file or link missing
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $ ./result
    Error: there is no file or link ./result
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $ broken
    Error: broken is a link to $D/gone, which is not there
    Hint: what it led to was removed or moved; build it again
    $ loop
    Error: loop cannot be read: Too many levels of symbolic links (os error 40)
    Hint: the links lead in a circle: name what they should lead to
    $ dir
    Error: dir is a directory, and no link to a store path
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $ flake
    Error: flake is a directory, and no link to a store path
    Hint: build what is to be compared: `nix build flake#NAME` makes ./result; or have all hosts compared: `flake-herald report`
    $ /dev/null
    Error: /dev/null is a device, and a snapshot is read from a file
    Hint: write it to a file first
    $ .#web
    Error: there is no file or link .#web
    Hint: what a flake names has to be built first: `nix build '.#web'` makes ./result
    $ nixpkgs#hello
    Error: there is no file or link nixpkgs#hello
    Hint: what a flake names has to be built first: `nix build 'nixpkgs#hello'` makes ./result
    $ github:NixOS/nixpkgs
    Error: there is no file or link github:NixOS/nixpkgs
    Hint: what a flake names has to be built first: `nix build github:NixOS/nixpkgs` makes ./result
    $ /nix/store/00000000000000000000000000000000-x.drv
    Error: /nix/store/00000000000000000000000000000000-x.drv is the plan of a build, and has no closure of its own
    Hint: its outputs: `nix-store --query --outputs /nix/store/00000000000000000000000000000000-x.drv`; to build them: `nix-store --realise /nix/store/00000000000000000000000000000000-x.drv`
    $ drv
    Error: drv leads to /nix/store/00000000000000000000000000000000-x.drv, which is the plan of a build, and has no closure of its own
    Hint: its outputs: `nix-store --query --outputs /nix/store/00000000000000000000000000000000-x.drv`; to build them: `nix-store --realise /nix/store/00000000000000000000000000000000-x.drv`
    $ /nix/store/00000000000000000000000000000000-x.drv^out
    Error: there is no file or link /nix/store/00000000000000000000000000000000-x.drv^out
    Hint: build it first: `nix build` makes ./result
    $ /nix/store/00000000000000000000000000000000-x/bin/x
    Error: /nix/store/00000000000000000000000000000000-x/bin/x is inside of a store path, and has no closure of its own
    Hint: name the store path itself: /nix/store/00000000000000000000000000000000-x
    $ 00000000000000000000000000000000-x
    Error: there is no file or link 00000000000000000000000000000000-x
    Hint: store paths are named in full: /nix/store/00000000000000000000000000000000-x
    $ /nix/store/x
    Error: there is no file or link /nix/store/x, and it is no store path: its last part does not begin with 32 base-32 characters and a dash
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $ a\nb\u{1b}[31m
    Error: there is no file or link a�b�[31m
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    $ --
    Error: there is no file or link --
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    "#);

    let odd = OsStr::from_bytes(b"re\xffult");
    let output = env.run([OsStr::new("diff"), odd, odd]).code(1);
    assert!(
        output
            .stderr
            .starts_with("Error: there is no file or link re\u{fffd}ult\n"),
        "{output}"
    );
    let long = "a".repeat(10_000);
    let said = env.run(["diff", &long, &long]).code(1).stderr;
    let said = said.replace(&"a".repeat(1000), "AAA");
    insta::assert_snapshot!(said, @"
    Error: AAA… cannot be read: File name too long (os error 36)
    Hint: a closure is named by a store path, a link to one (./result, /run/current-system), the number of a generation of the system, or a file that `flake-herald snapshot` wrote
    ");
}

/// A fleet with the systems of `nas` before and after an update, as the links `old` and `new`.
struct Systems {
    fleet: Fleet,
    old: PathBuf,
    new: PathBuf,
}

impl Systems {
    fn new() -> Self {
        let fleet = Fleet::new();
        let build = |link: &str| {
            let attribute = ".#nixosConfigurations.nas.config.system.build.toplevel";
            let _out = fleet
                .nix(["build", attribute, "--out-link", link])
                .success();
            fs::read_link(fleet.flake().join(link)).unwrap()
        };
        let old = build("old");
        fleet.bump(&["openssl=3.0.14", "zfs-user=2.2.5"]);
        let _out = fleet.nix(["flake", "update"]).success();
        let new = build("new");
        Self { fleet, old, new }
    }

    fn diff(&self, old: impl AsRef<OsStr>, new: impl AsRef<OsStr>) -> CommandOutput {
        self.fleet
            .run([OsStr::new("diff"), old.as_ref(), new.as_ref()])
    }
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_closure_is_the_same_whatever_it_is_called() {
    let systems = Systems::new();
    let (fleet, old, new) = (&systems.fleet, &systems.old, &systems.new);
    let plain = systems.diff(old, new).success();
    assert_eq!(plain.stderr, "");
    insta::assert_snapshot!(plain, @"
    <<< $D/nix/store/h0000000000000000000000000000001-nixos-system-nas-24.05.20240601.cd5f9e2
    >>> $D/nix/store/h0000000000000000000000000000002-nixos-system-nas-24.05.20240601.cd5f9e2
    Version changes:
    [U.]  #1  openssl   3.0.13 -> 3.0.14
    [U*]  #2  zfs-user  2.2.4 -> 2.2.5
    Rebuilt only because of what they are built from: 10 packages (curl, nix, openssh, restic, samba,
        systemd, zfs-kernel, krb5, nghttp2, python3)
    Configuration: 2 units (~ openssh.service, ~ samba.service)
    Restarts: openssh.service (openssh), samba.service (samba)
    Security: openssl 3.0.13 -> 3.0.14; only rebuilt: curl, krb5, nghttp2, nix and 3 more
    Closure size: 46 -> 46 (17 paths added, 17 paths removed, delta +0, disk usage +0B).
    [exit status: 0]
    ");

    let state = PathBuf::from(fleet.env().var("NIX_STATE_DIR").unwrap());
    let profiles = state.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    symlink(old, profiles.join("system-41-link")).unwrap();
    symlink(new, profiles.join("system-42-link")).unwrap();
    symlink("system-42-link", profiles.join("system")).unwrap();
    let flake = fleet.flake();
    // A file of that name is not what the number means.
    fleet.write("41", "no snapshot");
    symlink(profiles.join("system"), flake.join("current")).unwrap();
    let odd = flake.join(OsStr::from_bytes(b"re\xffult"));
    symlink("new", &odd).unwrap();
    let with_slash = format!("{}/", new.display());
    let new_names: [&OsStr; 7] = [
        OsStr::new("new"),
        OsStr::new("./new/"),
        OsStr::new("../fleet/new"),
        OsStr::new("current"),
        OsStr::new("42"),
        odd.as_os_str(),
        OsStr::new(&with_slash),
    ];
    for name in new_names {
        assert_eq!(
            systems.diff("41", name).success().stdout,
            plain.stdout,
            "{name:?}"
        );
    }
    let missing = systems.diff("41", "40").code(1);
    assert!(missing.stderr.contains("has 41 to 42\n"), "{missing}");

    // Any path of the store will do, also one that a link inside of another leads to, and one that is a file.
    let packages = systems.diff("old/sw", "new/sw").success();
    assert!(packages.stdout.contains("-system-path\n"), "{packages}");
    for inside in ["new/activate", "new/kernel"] {
        let output = systems.diff(inside, "new").code(1);
        assert!(
            output.stderr.contains("is inside of a store path"),
            "{output}"
        );
    }
    let file = fleet
        .nix(["store", "add-file", "flake.nix"])
        .success()
        .stdout;
    let same = fleet
        .run(["diff", "--exit-code", file.trim(), file.trim()])
        .success();
    assert!(
        same.stdout.contains("0 paths added, 0 paths removed"),
        "{same}"
    );
    let _other = fleet
        .run(["diff", "--exit-code", file.trim(), "new"])
        .code(1);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn text_is_printed_also_where_nobody_looks_and_coloured_where_that_is_wanted() {
    let mut systems = Systems::new();
    let escape = '\u{1b}';
    let said = |systems: &Systems, flags: &[&str]| {
        let args = [&["diff", "old", "new"], flags].concat();
        systems.fleet.run(args).success().stdout
    };
    let plain = said(&systems, &[]);
    assert!(
        plain.starts_with("<<< ") && !plain.contains(escape),
        "{plain}"
    );
    assert!(said(&systems, &["--color", "always"]).contains(escape));
    assert!(!said(&systems, &["--format", "markdown", "--color", "always"]).contains(escape));
    systems.fleet.env_mut().set("NO_COLOR", "1");
    assert_eq!(said(&systems, &[]), plain);
    // Neither a flake nor its configuration has to do with it.
    systems.fleet.write("flake-herald.toml", "this is = broken");
    systems.fleet.write("flake.nix", "so is this");
    assert_eq!(said(&systems, &[]), plain);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn what_is_not_in_the_store_is_an_error_and_so_is_what_goes_meanwhile() {
    let mut systems = Systems::new();
    let shim = systems.fleet.shim();
    let gone = systems
        .old
        .with_file_name("00000000000000000000000000000000-gone");
    symlink(&gone, systems.fleet.flake().join("lost")).unwrap();
    let elsewhere = Path::new("/nowhere/00000000000000000000000000000000-x");
    let mut said = Vec::new();
    for (old, new) in [
        (Path::new("new"), gone.as_path()),
        (Path::new("lost"), Path::new("new")),
        (elsewhere, Path::new("new")),
    ] {
        let output = systems.diff(old, new).code(1);
        // Nix 2.34 has other quotation marks.
        said.push(output.to_string().replace('"', "'"));
    }
    // The garbage collector comes between the list of paths and what is asked about each.
    fs::remove_file(systems.fleet.flake().join("old")).unwrap();
    let collect = format!(
        "\"$real\" --delete {} >/dev/null 2>&1",
        systems.old.display()
    );
    shim.fault(systems.fleet.env(), "nix-store", "--dump-db", &collect);
    let output = systems.diff(&systems.old, "new").code(1);
    assert_eq!(output.stdout, "");
    assert!(!systems.old.exists(), "it was not collected: {output}");
    said.push(output.to_string());
    let trouble = systems
        .fleet
        .run(["diff", "--exit-code", "lost", "new"])
        .code(2);
    assert_eq!(trouble.stdout, "");
    insta::assert_snapshot!(said.join("\n"), @"
    ------- stderr -------
    Error: $D/nix/store/h0000000000000000000000000000001-gone is not in the store
    Hint: it was collected as garbage, or never was there; `nix-store --realise $D/nix/store/h0000000000000000000000000000001-gone` fetches it where a cache has it
    [exit status: 1]

    ------- stderr -------
    Error: lost leads to $D/nix/store/h0000000000000000000000000000001-gone, which is not in the store
    Hint: it was collected as garbage, or never was there; `nix-store --realise $D/nix/store/h0000000000000000000000000000001-gone` fetches it where a cache has it
    [exit status: 1]

    ------- stderr -------
    Error: path '/nowhere/h0000000000000000000000000000001-x' is not in the Nix store
    (`nix-store --query` failed with status 1)
    Hint: this Nix has its paths in another directory; NIX_STORE_DIR and NIX_REMOTE say which store it uses
    [exit status: 1]

    ------- stderr -------
    Error: $D/nix/store/h0000000000000000000000000000001-nixos-system-nas-24.05.20240601.cd5f9e2 is not in the store
    Hint: it was collected as garbage, or never was there; `nix-store --realise $D/nix/store/h0000000000000000000000000000001-nixos-system-nas-24.05.20240601.cd5f9e2` fetches it where a cache has it
    [exit status: 1]
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn both_sides_are_read_in_three_calls_of_nix_and_snapshots_in_none() {
    let mut systems = Systems::new();
    let shim = systems.fleet.shim();
    let _out = systems.diff("old", "new").success();
    let calls: Vec<String> = shim
        .nix_calls()
        .iter()
        .map(|call| {
            let flags: Vec<&str> = call
                .args
                .iter()
                .map(String::as_str)
                .filter(|arg| arg.starts_with('-'))
                .collect();
            format!("{} {}", call.program, flags.join(" "))
        })
        .collect();
    insta::assert_snapshot!(calls.join("\n"), @"
    nix --version
    nix-store --query --requisites
    nix-store --dump-db --stdin
    ");
    let _out = systems
        .fleet
        .run(["snapshot", "old", "-o", "old.json"])
        .success();
    shim.clear();
    let _out = systems.diff("old.json", "./old.json").success();
    assert_eq!(shim.nix_calls(), []);
}
