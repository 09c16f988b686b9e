//! What an update means for who runs the hosts, through the real binary.

use std::fs;

use serde_json::{Value, json};

use crate::report::json;
use crate::support::Fleet;

fn host<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut hosts = report["hosts"].as_array().unwrap().iter();
    hosts.find(|host| host["name"] == name).unwrap()
}

/// Says how packages change, a line each.
fn steps(list: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |step: &Value| {
        let what = step.get("what").map(|what| format!("[{}] ", text(what)));
        let [name, before, after, change, cause] =
            ["name", "before", "after", "change", "cause"].map(|key| text(&step[key]));
        format!(
            "{}{name} {before} -> {after} {change} {cause}\n",
            what.unwrap_or_default()
        )
    };
    list.as_array().unwrap().iter().map(line).collect()
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn each_host_says_what_its_change_means() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&[
        "workstation:desk",
        "params:linux=loglevel=4 key=s3cr3t-word",
    ]);
    fleet.write("flake-herald.toml", "security-packages = [\"zfs-*\"]\n");
    fleet.commit("flake-herald.toml");
    fleet.bump(&[
        "linux=6.6.33",
        "zfs-kernel=2.2.4-6.6.33",
        "params:linux=loglevel=7",
        "fetchpatch:openssl=CVE-2024-6119.patch",
        "nginx=1.27.0",
        "postgresql=16.3",
        "remove:htop",
        "nixos=24.11.20241201.abcdef0",
    ]);
    fleet.env_mut().set("FLAKE_HERALD_TOKEN", "s3cr3t-word");
    let flags = [
        "report",
        "--kind",
        "nixos",
        "--kind",
        "home",
        "--host",
        "{nas,webserver,desk,alice@devbox}",
    ];
    let report = json(
        &fleet
            .run(flags.into_iter().chain(["--format", "json"]))
            .success(),
    );
    let nas = &host(&report, "nas")["impact"];
    insta::assert_snapshot!(steps(&nas["reboot"]["reasons"]), @"
    [kernel] linux 6.6.32 -> 6.6.33 upgraded -
    [kernel-modules] zfs-kernel 2.2.4-6.6.32 -> 2.2.4-6.6.33 upgraded -
    [kernel-parameters] kernel-params loglevel=4 key=*** -> loglevel=7 changed -
    [initrd] initrd-linux 6.6.32 -> 6.6.33 upgraded -
    ");
    insta::assert_snapshot!(steps(&nas["security"]), @"
    curl 8.7.1 -> 8.7.1 rebuilt inputs
    krb5 1.21.2 -> 1.21.2 rebuilt inputs
    linux 6.6.32 -> 6.6.33 upgraded -
    nghttp2 1.61.0 -> 1.61.0 rebuilt inputs
    nix 2.18.2 -> 2.18.2 rebuilt inputs
    openssh 9.7p1 -> 9.7p1 rebuilt inputs
    openssl 3.0.13 -> 3.0.13 rebuilt own
    samba 4.19.6 -> 4.19.6 rebuilt inputs
    systemd 255.6 -> 255.6 rebuilt inputs
    zfs-kernel 2.2.4-6.6.32 -> 2.2.4-6.6.33 upgraded -
    zfs-user 2.2.4 -> 2.2.4 rebuilt inputs
    ");
    assert_eq!(nas["reboot"]["needed"], true);
    assert_eq!(nas["kernel"]["after"], "6.6.33");
    assert_eq!(nas["release"]["after"], "24.11");
    assert_eq!(nas["vulnerabilities"], Value::Null);
    assert_eq!(
        nas["patches"],
        json!([{ "package": "openssl", "patch": "CVE-2024-6119.patch", "gained": true }])
    );
    let web = &host(&report, "webserver")["impact"];
    insta::assert_snapshot!(format!("{:#}", web["units_changed"]), @r#"
    [
      {
        "because": [
          "nginx"
        ],
        "change": "changed",
        "name": "nginx.service",
        "user": false
      },
      {
        "because": [
          "openssh"
        ],
        "change": "changed",
        "name": "openssh.service",
        "user": false
      },
      {
        "because": [
          "postgresql"
        ],
        "change": "changed",
        "name": "postgresql.service",
        "user": false
      }
    ]
    "#);
    insta::assert_snapshot!(steps(&web["major"]), @"postgresql 15.7 -> 16.3 upgraded -");
    insta::assert_snapshot!(steps(&web["gone"]), @"htop 3.3.0 -> - removed -");
    let home = &host(&report, "alice@devbox")["impact"];
    assert_eq!(home["reboot"], json!({ "needed": false, "reasons": [] }));
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn without_building_what_is_not_known_is_not_claimed() {
    let mut fleet = Fleet::new();
    fleet.bump_base(&["vuln:php=end of life", "vuln:htop=a hole"]);
    fleet.bump(&[
        "linux=6.6.33",
        "php=8.3.8",
        "remove:htop",
        "vuln:nginx=CVE-2024-1",
        "openssl=3.0.14",
    ]);
    let shim = fleet.shim();
    let flags = [
        "report",
        "--no-build",
        "--kind",
        "nixos",
        "--kind",
        "home",
        "--host",
        "webserver",
    ];
    let report = json(
        &fleet
            .run(flags.into_iter().chain(["--format", "json"]))
            .success(),
    );
    let web = &host(&report, "webserver")["impact"];
    assert_eq!(web["reboot"], json!({ "needed": null, "reasons": [] }));
    let evaluations = shim.nix_calls();
    let evaluations = evaluations.iter().filter(|call| call.has(" eval ")).count();
    assert_eq!(evaluations, 5, "one for the hosts, and two for each side");
    insta::assert_snapshot!(format!("{:#}", web["vulnerabilities"]), @r#"
    [
      {
        "gained": false,
        "package": "htop",
        "vulnerability": "a hole"
      },
      {
        "gained": true,
        "package": "nginx",
        "vulnerability": "CVE-2024-1"
      }
    ]
    "#);
    insta::assert_snapshot!(steps(&web["gone"]), @"htop 3.3.0 -> - removed -");
}

#[test]
#[ignore = "needs nix: run scripts/test"]
fn a_snapshot_keeps_what_the_kernel_is_started_with() {
    let fleet = Fleet::new();
    let attribute = ".#nixosConfigurations.router.config.system.build.toplevel";
    let built = fleet.nix(["build", "--no-link", "--print-out-paths", attribute]);
    let root = built.success().stdout.trim_end().to_owned();
    let file = fleet.env().dir().join("router.json");
    let _output = fleet
        .run(["snapshot", &root, "-o", file.to_str().unwrap()])
        .success();
    let snapshot: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(snapshot["kernel_params"], "loglevel=4");
}
