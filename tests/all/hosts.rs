//! Which hosts a flake has: where they stand, what they are called, and what is said where there are none.

use std::fs;

use serde_json::Value;

use crate::report::{json, statuses};
use crate::support::{CommandOutput, Fleet, Shim, TestEnv};

/// A flake without inputs, whose hosts are one derivation each.
struct Flake {
    env: TestEnv,
}

impl Flake {
    /// Makes one with these outputs; `host NAME`, `home NAME` and `drv NAME` make what the outputs are made of.
    fn new(outputs: &str) -> Self {
        let flake = Self {
            env: TestEnv::new(),
        };
        assert!(
            flake.env.which("nix").is_some(),
            "this test needs nix: run scripts/test, which gets one"
        );
        flake.write(outputs);
        let dir = flake.env.dir().join("flake");
        for args in [&["init", "-q"][..], &["add", "flake.nix"]] {
            let mut git = flake.env.command("git");
            let _out = flake.env.output(git.args(args).current_dir(&dir)).success();
        }
        flake
    }

    fn write(&self, outputs: &str) {
        let system = native();
        let text = format!(
            "{{
  outputs = {{ self }}: let
    drv = name: derivation {{ inherit name; system = \"{system}\"; builder = \"/bin/sh\"; }};
    host = name: {{ config.system.build.toplevel = drv name; options = {{ }}; }};
    home = name: {{ activationPackage = drv name; config = {{ }}; options = {{ }}; }};
  in {{
    {outputs}
  }};
}}
"
        );
        self.env
            .write("flake/flake.nix", text.replace("NATIVE", &system));
    }

    /// Runs the binary under test; `NATIVE` is this machine's system here too.
    fn run(&self, args: &[&str]) -> CommandOutput {
        let args = args.iter().map(|arg| arg.replace("NATIVE", &native()));
        self.env.run_in(&self.env.dir().join("flake"), args)
    }

    /// What a command prints with other outputs.
    fn says(&self, outputs: &str, args: &[&str]) -> String {
        self.write(outputs);
        let out = self.run(args);
        format!("{}{}", out.stdout, out.stderr.replace(&native(), "NATIVE"))
    }
}

/// This machine's system.
fn native() -> String {
    format!("{}-linux", std::env::consts::ARCH)
}

/// The attribute path of each host of a plan.
fn attrs(plan: &Value) -> Vec<String> {
    let hosts = plan["hosts"].as_array().unwrap().iter();
    hosts
        .map(|host| host["attr"].as_str().unwrap().replace(&native(), "NATIVE"))
        .collect()
}

/// Markdown with its signs as a reader sees them.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("&#");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_once(';').unwrap();
        out.extend(number.parse().ok().and_then(char::from_u32));
        out.push_str(rest);
    }
    out
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn hosts_below_a_system_are_found_where_there_are_no_others() {
    let flake = Flake::new(
        r#"
    nixosConfigurations = { };
    packages.NATIVE = { tool = drv "tool"; nixosConfigurations = { web = host "web"; "a.b" = host "ab"; }; };
    legacyPackages.NATIVE = { nixosConfigurations = { web = host "other"; db = host "db"; }; homeConfigurations = drv "no-host"; };
    packages.armv6l-linux = throw "nothing for this system";
    packages.riscv64-linux.nixosConfigurations = { db = host "db"; tiny = host "tiny"; };
    packages.mips-linux.nixosConfigurations = drv "no-host";
    packages.i686-linux = 5;
    homeConfigurations.alice = home "alice";"#,
    );
    let list = flake.run(&[
        "hosts", "--kind", "nixos", "--kind", "home", "--format", "json",
    ]);
    let list = list.success();
    insta::assert_snapshot!(format!("{}\n{}", attrs(&json(&list)).join("\n"), list.stderr.replace(&native(), "NATIVE")), @r#"
    packages.NATIVE.nixosConfigurations."a.b".config.system.build.toplevel
    legacyPackages.NATIVE.nixosConfigurations.db.config.system.build.toplevel
    packages.riscv64-linux.nixosConfigurations.tiny.config.system.build.toplevel
    packages.NATIVE.nixosConfigurations.web.config.system.build.toplevel
    homeConfigurations.alice.activationPackage
    warning: `packages.armv6l-linux.nixosConfigurations` does not evaluate, so nothing in it is looked at
      several places have `db`: taken from `legacyPackages.NATIVE.nixosConfigurations`
      several places have `web`: taken from `packages.NATIVE.nixosConfigurations`
    "#);

    // A type error is not caught in Nix's language: only what stands beside it is lost.
    let wrong = r#"
    packages.NATIVE.nixosConfigurations.web = host "web";
    packages.riscv64-linux = 1 + "x";"#;
    insta::assert_snapshot!(flake.says(wrong, &["hosts"]), @"
    web
    warning: something beside the hosts does not evaluate, and not all was looked at: cannot add a string to an integer
    ");

    // Where the output itself is there, nobody looks at packages.
    let there = r#"nixosConfigurations.web = host "web"; packages = 1 + "x"; legacyPackages = builtins.abort "no";"#;
    insta::assert_snapshot!(flake.says(there, &["hosts"]), @"web");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_fleet_below_its_system_is_reported_on_and_planned() {
    let fleet = Fleet::new();
    let text = fs::read_to_string(fleet.flake().join("flake.nix")).unwrap();
    fleet.write(
        "flake.nix",
        text.replace(
            "    nixosConfigurations = {",
            "    legacyPackages.${systems.foreign}.nixosConfigurations.nas = throw \"not this one\";\n    \
             legacyPackages.${systems.native}.nixosConfigurations = {",
        ),
    );
    fleet.commit("below");
    fleet.bump(&["restic=0.17.0"]);
    let plan = fleet
        .run(["hosts", "--host", "nas", "--format", "json"])
        .success();
    insta::assert_snapshot!(attrs(&json(&plan)).join("\n"), @"legacyPackages.NATIVE.nixosConfigurations.nas.config.system.build.toplevel");
    let plan = fleet.env().write("plan.json", plan.stdout);
    let args = [
        "report",
        "--format",
        "json",
        "--plan",
        plan.to_str().unwrap(),
        "--host",
        "nixos:nas",
    ];
    assert_eq!(statuses(&json(&fleet.run(args).success())), ["nas changed"]);
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn hosts_may_have_any_name() {
    const NAMES: [&str; 13] = [
        "$*",
        "${a}",
        "a.b",
        "alice@devbox",
        "a[1]",
        "back\\slash",
        "home:alice",
        "or",
        "s*r",
        "say \"hi\"",
        "two\nlines",
        "x86_64-linux",
        "größe",
    ];
    let fleet = Fleet::new();
    let hosts: Vec<String> = NAMES.iter().map(|name| format!("host:{name}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    fleet.bump_base(&hosts);
    fleet.bump(&["busybox=1.36.2", "fail:parted", "hm:fzf=0.53.0"]);
    let kinds = ["--kind", "nixos", "--kind", "home"];
    let mut exclude = vec!["--exclude-host", "two\nlines"];
    for name in ["devbox", "nas", "pi", "router", "webserver"] {
        exclude.extend(["--exclude-host", name]);
    }
    let with = |args: &[&'static str]| [args, &kinds, &exclude].concat();
    insta::assert_snapshot!(fleet.run(with(&["hosts"])).success(), @r#"
    $*
    ${a}
    a.b
    a[1]
    nixos:alice@devbox
    back\slash
    größe
    nixos:home:alice
    or
    s*r
    say "hi"
    x86_64-linux
    home:alice@devbox
    ------- stderr -------
      left out: `nixos:devbox` by `devbox`
      left out: `nixos:installer-minimal` by `*-minimal`
      left out: `nixos:nas` by `nas`
      left out: `nixos:pi` by `pi`
      left out: `nixos:router` by `router`
      left out: `nixos:two�lines` by `two�lines`
      left out: `nixos:webserver` by `webserver`
    [exit status: 0]
    "#);
    let list = json(&fleet.run(with(&["hosts", "--format", "json"])).success());
    insta::assert_snapshot!(attrs(&list).join("\n"), @r#"
    nixosConfigurations."\$*".config.system.build.toplevel
    nixosConfigurations."\${a}".config.system.build.toplevel
    nixosConfigurations."a.b".config.system.build.toplevel
    nixosConfigurations."a[1]".config.system.build.toplevel
    nixosConfigurations."alice@devbox".config.system.build.toplevel
    nixosConfigurations."back\\slash".config.system.build.toplevel
    nixosConfigurations."größe".config.system.build.toplevel
    nixosConfigurations."home:alice".config.system.build.toplevel
    nixosConfigurations."or".config.system.build.toplevel
    nixosConfigurations."s*r".config.system.build.toplevel
    nixosConfigurations."say \"hi\"".config.system.build.toplevel
    nixosConfigurations.NATIVE.config.system.build.toplevel
    homeConfigurations."alice@devbox".activationPackage
    "#);

    let dir = fleet.env().dir().join("out");
    let mut args = with(&["report", "--host", "installer-minimal", "--host", "*"]);
    args.extend(["--output-dir", dir.to_str().unwrap()]);
    let report = fleet.run(args).code(4);
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let data: Value = serde_json::from_str(&read("report.json")).unwrap();
    insta::assert_snapshot!(statuses(&data).join("\n"), @r#"
    $* changed
    ${a} changed
    a.b changed
    a[1] changed
    alice@devbox changed
    back\slash changed
    größe changed
    home:alice changed
    installer-minimal broken
    or changed
    s*r changed
    say "hi" changed
    x86_64-linux changed
    alice@devbox changed
    "#);
    let text = read("report.txt");
    for name in [
        "nixos:alice@devbox",
        "home:alice@devbox",
        "nixos:home:alice",
        "a[1]",
        "back\\slash",
        "say \"hi\"",
        "größe",
    ] {
        assert!(text.contains(name), "{name}\n{text}");
    }
    assert!(!text.contains("two\nlines"), "{text}");
    // The body names the first of those that are alike, and every one that is not.
    assert_eq!(report.stdout, read("report.md"));
    let text = unescaped(&report.stdout);
    for name in [
        "`$*`, `${a}` and 11 more",
        "installer-minimal",
        "home:alice@devbox",
    ] {
        assert!(text.contains(name), "{name}\n{text}");
    }
    assert!(!text.contains("two\nlines"), "{text}");
    // Of two that are alike it names both, whatever they are called.
    for (patterns, names) in [
        (
            ["nixos:alice@devbox", "home:alice@devbox"],
            ["nixos:alice@devbox", "home:alice@devbox"],
        ),
        (["nixos:home:alice", "a\\[1]"], ["nixos:home:alice", "a[1]"]),
        (["back\\\\slash", "größe"], ["back\\slash", "größe"]),
        (["say \"hi\"", "s\\*r"], ["say \"hi\"", "s*r"]),
    ] {
        let mut args = with(&["report", "--no-build", "--format", "markdown"]);
        args.extend(patterns.iter().flat_map(|pattern| ["--host", pattern]));
        let body = unescaped(&fleet.run(args).success().stdout);
        for name in names {
            assert!(body.contains(&format!("`{name}`")), "{name}\n{body}");
        }
    }
    let log = data["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|host| host["failure"]["log_path"].as_str());
    assert!(
        fs::read_to_string(log.unwrap())
            .unwrap()
            .contains("libfoo not found")
    );

    // Every one can be named, and a name beats every exclude.
    let mut args: Vec<String> = ["hosts", "--format", "json", "--exclude-host", "*"]
        .map(str::to_owned)
        .into();
    for name in NAMES {
        let name = name
            .replace('\\', "\\\\")
            .replace('*', "\\*")
            .replace('[', "\\[")
            .replace('{', "\\{");
        args.extend(["--host".to_owned(), format!("nixos:{name}")]);
    }
    let list = json(&fleet.run(args).success());
    let mut names = NAMES;
    names.sort_unstable();
    let named = list["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| host["name"].as_str().unwrap());
    assert_eq!(named.collect::<Vec<_>>(), names);
    insta::assert_snapshot!(fleet.run(["hosts", "--host", "a[1]"]).code(1).stderr.lines().last().unwrap(), @r"Hint: did you mean `a\[1\]`?");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn all_kinds_are_looked_at_together_and_installers_are_hinted_at() {
    let fleet = Fleet::new();
    fleet.bump_base(&[
        "host:live-iso",
        "image:massflash",
        "image:usb",
        "throw:live-iso",
    ]);
    fleet.bump(&["busybox=1.36.2", "git=2.46.0"]);
    let mut args = vec![
        "report", "--format", "text", "--kind", "nixos", "--kind", "home", "--kind", "darwin",
        "--host", "usb",
    ];
    for host in ["live*", "mass*", "*mac*", "alice*"] {
        args.extend(["--host", host]);
    }
    for host in ["web*", "massflahs", "darwin:mcc", "a[bc]"] {
        args.extend(["--exclude-host", host]);
    }
    let report = fleet.run(args).success();
    let headings: Vec<&str> = report
        .stdout
        .lines()
        .filter(|line| line.starts_with("==") || line.starts_with("no builder"))
        .collect();
    insta::assert_snapshot!(format!("{}\n{}", headings.join("\n"), report.stderr), @"
    == live-iso (already-broken)
    == massflash (changed)
    == usb (changed)
    == alice@devbox (changed)
    == mac (skipped)
    no builder for aarch64-darwin, which curl-8.7.1.drv needs
    Staging the update …
    warning: exclude-host `massflahs` matches no host; did you mean `massflash`?
    warning: exclude-host `darwin:mcc` matches no host; did you mean `darwin:mac`?
    Evaluating 5 hosts, before and after …
      `live-iso`, `massflash` look like installers or images: leave them out with --exclude-host, if nobody upgrades them
    Building what differs on 5 hosts …
      52 derivations to build, 0 paths to fetch
    Reading the closures …
    Comparing the closures …
    ");
    insta::assert_snapshot!(fleet.run(["hosts", "--host", "mass*", "--host", "live*"]).success(), @"
    live-iso
    massflash
    ------- stderr -------
      `live-iso` looks like an installer or an image: leave it out with --exclude-host, if nobody upgrades it
    [exit status: 0]
    ");
    let named = fleet.run(["hosts", "--host", "live-iso"]).success();
    assert_eq!(named.stderr, "");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_path_of_the_users_leads_to_derivations_or_says_what_is_there() {
    let flake = Flake::new(
        r#"
    nixosConfigurations.web = host "web";
    systemConfigs = { a = drv "a"; "b.c" = drv "b"; };
    nixOnDroidConfigurations.default = home "phone";
    packages.NATIVE = { tool = drv "tool"; scripts = { x = drv "x"; }; version = "1"; web = host "web"; late = throw "boo"; };
    colmenaHive = { __schema = "v0"; nodes.web = host "web"; toplevel.web = drv "web"; introspect = f: f; };"#,
    );
    let list = flake.run(&[
        "hosts",
        "--format",
        "json",
        "--attr",
        "systemConfigs",
        "--attr",
        "nixOnDroidConfigurations",
        "--attr",
        "packages.NATIVE",
        "--attr",
        "colmenaHive.toplevel",
        "--attr",
        "systemConfigs.\"b.c\"",
        "--attr",
        "nixosConfigurations.web.config.system.build.toplevel",
    ]);
    let list = list.success();
    insta::assert_snapshot!(format!("{}\n{}", attrs(&json(&list)).join("\n"), list.stderr.replace(&native(), "NATIVE")), @r#"
    nixosConfigurations.web.config.system.build.toplevel
    colmenaHive.toplevel.web
    nixOnDroidConfigurations.default.activationPackage
    packages.NATIVE.late
    packages.NATIVE.tool
    systemConfigs."b.c"
    systemConfigs.a
      left alone in `packages.NATIVE`, for they are no derivations: `scripts`, `version`, `web`; --attr can name what stands deeper: `packages.NATIVE.scripts`, `packages.NATIVE.web.config.system.build.toplevel`
    "#);
    let mut said = String::new();
    for path in [
        "colmenaHive",
        "nixosConfigurations",
        "nixosConfigurations.web",
        "colmenaHive.__schema",
        "systemConfigs.x",
    ] {
        said.push_str(&flake.run(&["hosts", "--attr", path]).code(1).stderr);
    }
    insta::assert_snapshot!(said, @"
    Error: --attr names no derivation, and no set of them: there is none in `colmenaHive`; --attr can name what stands deeper: `colmenaHive.nodes`, `colmenaHive.toplevel`
    Error: --attr names no derivation, and no set of them: there is none in `nixosConfigurations`; --kind nixos looks at what it holds
    Error: --attr names no derivation, and no set of them: `nixosConfigurations.web` is a whole configuration, whose derivation is `nixosConfigurations.web.config.system.build.toplevel`
    Error: --attr names no derivation, and no set of them: `colmenaHive.__schema` is neither a derivation nor a set of them
    Error: --attr names no derivation, and no set of them: `systemConfigs.x` is missing: there is no `x`
    ");
    // What cannot be looked at is a host, whose failure has its place in the report.
    let wrong = r#"nixosConfigurations.web = host "web"; all = { x = drv "x"; y = 1 + "x"; };"#;
    insta::assert_snapshot!(flake.says(wrong, &["hosts", "--attr", "all"]), @"
    web
    all.x
    all.y
    warning: something beside the hosts does not evaluate, and not all was looked at: cannot add a string to an integer
    ");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_flake_without_hosts_says_what_it_has() {
    let flake = Flake::new("");
    let colmena = r#"colmena = { meta = { }; web = { }; db = { }; };"#;
    let systems = r#"systemConfigs.a = drv "a"; nixosConfigurations = { };"#;
    let homes = r#"homeConfigurations = { alice = home "a"; bob = home "b"; }; packages.NATIVE.darwinConfigurations.mac = host "m";"#;
    let broken = r#"homeConfigurations = throw "none"; nixosConfigurations = drv "x"; lib = { };"#;
    let all = ["hosts", "--kind", "nixos", "--kind", "home"];
    let said: String = [
        ("", &all[..1]),
        ("nixosConfigurations = 5;", &all[..1]),
        ("nixosConfigurations = { }; lib = { }; apps = { };", &all),
        (colmena, &all),
        (systems, &all[..1]),
        (homes, &all[..1]),
        (broken, &all[..1]),
        (homes, &["hosts", "--kind", "home", "--host", "mac"]),
        (
            "nixosConfigurations.web = host \"web\"; homeConfigurations.bob = home \"b\";",
            &["hosts", "--kind", "home", "--host", "web"],
        ),
        (
            "nixosConfigurations = 5; homeConfigurations.bob = home \"b\";",
            &all,
        ),
    ]
    .map(|(outputs, args)| format!("{outputs}\n{}\n", flake.says(outputs, args)))
    .concat();
    insta::assert_snapshot!(said, @r#"
    Error: the flake has no hosts in `nixosConfigurations`; it has no outputs at all
    Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    nixosConfigurations = 5;
    warning: `nixosConfigurations` is of the type int, and no set of hosts
    Error: the flake has no hosts in `nixosConfigurations` (which is of the type int, and no set of hosts); its outputs are `nixosConfigurations`
    Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    nixosConfigurations = { }; lib = { }; apps = { };
    Error: the flake has no hosts in `nixosConfigurations` (which is empty) or `homeConfigurations`; its outputs are `apps`, `lib`, `nixosConfigurations`
    Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    colmena = { meta = { }; web = { }; db = { }; };
    Error: the flake has no hosts in `nixosConfigurations` or `homeConfigurations`; it has 2 in `colmena`
    Hint: say what to look at: --attr colmenaHive.toplevel, which `colmenaHive = colmena.lib.makeHive self.outputs.colmena` makes
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    systemConfigs.a = drv "a"; nixosConfigurations = { };
    Error: the flake has no hosts in `nixosConfigurations` (which is empty); it has 1 in `systemConfigs`
    Hint: say what to look at: --attr systemConfigs
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    homeConfigurations = { alice = home "a"; bob = home "b"; }; packages.NATIVE.darwinConfigurations.mac = host "m";
    Error: the flake has no hosts in `nixosConfigurations`; it has 1 in `darwinConfigurations` (`mac`), 2 in `homeConfigurations` (`alice`, `bob`)
    Hint: say what to look at: --kind darwin --kind home
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    homeConfigurations = throw "none"; nixosConfigurations = drv "x"; lib = { };
    warning: `nixosConfigurations` is of the type derivation, and no set of hosts
    Error: the flake has no hosts in `nixosConfigurations` (which is of the type derivation, and no set of hosts); its outputs are `homeConfigurations`, `lib`, `nixosConfigurations`
    Hint: is another flake meant (--flake DIR)? --attr PATH looks at any derivation of this one
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/first-run.md#what-stops-it

    homeConfigurations = { alice = home "a"; bob = home "b"; }; packages.NATIVE.darwinConfigurations.mac = host "m";
    Error: no host matches `mac`, because hosts of the kind `darwin` are not looked at
    Hint: add --kind darwin; it replaces the default, so name --kind nixos too if you want both

    nixosConfigurations.web = host "web"; homeConfigurations.bob = home "b";
    Error: no host matches `web`, because hosts of the kind `nixos` are not looked at
    Hint: add --kind nixos

    nixosConfigurations = 5; homeConfigurations.bob = home "b";
    bob
    warning: `nixosConfigurations` is of the type int, and no set of hosts
    "#);
    let out = flake.run(&["hosts", "--kind", "nixos"]).code(1);
    assert_eq!(out.stdout, "");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn four_hundred_odd_hosts_are_found_in_one_call() {
    let mut flake = Flake::new(
        r#"nixosConfigurations = builtins.listToAttrs (builtins.genList
      (n: { name = "h\"${toString n}\${x} @*[é\n"; value = throw "nobody looks at it"; }) 400);"#,
    );
    let shim = Shim::new(&mut flake.env);
    let list = json(&flake.run(&["hosts", "--format", "json"]).success());
    assert_eq!(list["hosts"].as_array().unwrap().len(), 400);
    let calls: Vec<String> = shim
        .nix_calls()
        .iter()
        .map(|call| call.args.first().cloned().unwrap_or_default())
        .collect();
    assert_eq!(calls.len(), 2, "the version, and the hosts: {calls:?}");
}
