//! Bodies of pull requests, of fleets made by hand.

use serde_json::{Value, json};

use super::{Fleet, Report, body, to_markdown};

fn path(name: &str) -> String {
    format!("/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-{name}")
}

/// What changes of a package, of `* openssl 1.0 1.1`: whether it is selected, its name, the versions; `-` is none.
fn entry(text: &str, cause: Option<&str>) -> Value {
    let words: Vec<&str> = text.split(' ').collect();
    let [mark, name, before, after] = words[..] else {
        panic!("{text}");
    };
    let version = |version: &str| match version {
        "-" => json!([]),
        version => json!([{"version": version, "outputs": ["out"], "paths": [path(name)]}]),
    };
    let change = match (before, after) {
        ("-", _) => "added",
        (_, "-") => "removed",
        _ if cause.is_some() => "rebuilt",
        _ if before == after => "changed",
        _ if before > after => "downgraded",
        _ => "upgraded",
    };
    let mut entry = json!({
        "name": name, "before": version(before), "after": version(after), "change": change,
        "selected": if mark == "*" { "yes" } else { "no" }, "size_delta": 0,
    });
    if let Some(cause) = cause {
        entry["cause"] = json!(cause);
    }
    entry
}

/// A step of an impact, of `linux 6.6.32 6.6.35`.
fn step(text: &str) -> Value {
    let words: Vec<&str> = text.split(' ').collect();
    let [name, before, after] = words[..] else {
        panic!("{text}");
    };
    let change = if before > after {
        "downgraded"
    } else {
        "upgraded"
    };
    json!({"name": name, "before": before, "after": after, "change": change, "cause": null})
}

#[derive(Default)]
struct Host<'a> {
    changed: &'a [&'a str],
    added: &'a [&'a str],
    rebuilt: &'a [&'a str],
    units: &'a [&'a str],
    kernel: Option<&'a str>,
    downgrades: &'a [&'a str],
    security: &'a [&'a str],
    size: i64,
}

impl Host<'_> {
    fn report(&self, name: &str) -> Value {
        let entries = |list: &[&str]| {
            list.iter()
                .map(|text| entry(text, None))
                .collect::<Vec<_>>()
        };
        let steps = |list: &[&str]| list.iter().map(|text| step(text)).collect::<Vec<_>>();
        let rebuilt = self
            .rebuilt
            .iter()
            .map(|name| entry(&format!(". {name} 1 1"), Some("inputs")));
        let reason = |what: &str, text: &str| {
            let mut reason = step(text);
            reason["what"] = json!(what);
            reason
        };
        let reasons: Vec<Value> = self
            .kernel
            .iter()
            .flat_map(|kernel| {
                let versions = kernel.split_once(' ').unwrap().1;
                [
                    reason("kernel", kernel),
                    reason("initrd", &format!("initrd-linux {versions}")),
                ]
            })
            .collect();
        let unit =
            |name: &&str| json!({"name": name, "user": false, "change": "changed", "because": []});
        let file = |name: &&str| entry(&format!(". unit-{name} 0 0"), None);
        json!({
            "name": name, "kind": "nixos", "attr": "a", "system": "x86_64-linux", "status": "changed", "reason": null,
            "before": {"drv_path": path("a.drv"), "out_path": path("a"), "paths": 800, "nar_size": 1},
            "after": {"drv_path": path("b.drv"), "out_path": path("b"), "paths": 801, "nar_size": 1},
            "diff": {
                "changed": entries(self.changed), "added": entries(self.added), "removed": [], "selection": [],
                "rebuilt": rebuilt.collect::<Vec<_>>(), "configuration": self.units.iter().map(file).collect::<Vec<_>>(),
                "paths_added": 9, "paths_removed": 8, "size_delta": self.size,
            },
            "impact": {
                "reboot": {"needed": !reasons.is_empty(), "reasons": reasons},
                "units_changed": self.units.iter().map(unit).collect::<Vec<_>>(),
                "kernel": self.kernel.map(step), "systemd": null, "release": null, "downgrades": steps(self.downgrades),
                "major": [], "gone": [], "security": steps(self.security), "patches": [], "vulnerabilities": null,
            },
            "failure": null,
        })
    }
}

fn report(hosts: &[Value]) -> Report {
    let mut report = super::tests::report(0, 0, "n", 0);
    report.warnings.clear();
    report.excluded.clear();
    report.hosts = serde_json::from_value(json!(hosts)).unwrap();
    let revision =
        |rev: &str, date: &str| json!({"rev": rev, "date": date, "url": "u", "follows": null});
    report.inputs = serde_json::from_value(json!([{
        "name": "nixpkgs", "type": "github", "original": "o", "compare_url": null, "transitive": false,
        "before": revision("71aad07f", "2024-06-01"), "after": revision("45cb002c", "2024-06-08"),
    }]))
    .unwrap();
    report.fleet = Fleet::of(&report.hosts);
    report
}

fn unfolded(markdown: &str) -> usize {
    let (mut depth, mut count) = (0, 0);
    for line in markdown.lines() {
        count += usize::from(depth == 0 && !line.contains("<details>"));
        depth += line.matches("<details>").count();
        depth -= line.matches("</details>").count();
    }
    count
}

const WEEK: Host<'_> = Host {
    changed: &[". libuv 1.34.1 1.34.2", "* thunderbird 68.4.1 68.5.0"],
    added: &[],
    rebuilt: &["cmake", "nodejs"],
    units: &["nscd.service"],
    kernel: None,
    downgrades: &[],
    security: &["thunderbird 68.4.1 68.5.0"],
    size: 3 << 20,
};

#[test]
fn one_host_is_told_of_without_a_word_of_others() {
    let text = to_markdown(&report(&[WEEK.report("laptop")]));
    insta::assert_snapshot!(text, @"
    ## 1 host: changed

    - **Nothing breaks.**
    - **No reboot.**
    - **Selected packages:** `thunderbird` `68.4.1` → `68.5.0`
    - **Size:** +3.0MiB; 2 packages move, 2 rebuilt
    - **Restarts:** 1 service: `nscd`

    ### Inputs

    | input | change | time |
    | --- | --- | --- |
    | `nixpkgs` (`github`) | `71aad07` → `45cb002` | `2024-06-01` → `2024-06-08` 7 days |

    ### `laptop`

    ```text
    [U*] thunderbird 68.4.1 -> 68.5.0
    [U.] libuv       1.34.1 -> 1.34.2
    ```

    <details><summary>Only rebuilt: 2 packages; Configuration: 1 unit</summary>

    ```text
    Only rebuilt: 2 packages (cmake, nodejs)
    Configuration: 1 unit (~ nscd.service)
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>
    ");
    assert!(unfolded(&text) < 25);
}

#[test]
fn a_quiet_day_of_three_hosts_is_short() {
    let kernel = Host {
        kernel: Some("linux 4.19.101 4.19.103"),
        ..WEEK
    };
    let text = to_markdown(&report(&[
        kernel.report("laptop"),
        WEEK.report("desk"),
        Host {
            size: 1 << 20,
            changed: &WEEK.changed[..1],
            ..Host::default()
        }
        .report("nas"),
    ]));
    insta::assert_snapshot!(text, @"
    ## 3 hosts: 3 changed

    - **Nothing breaks.**
    - **Reboot:** `linux` `4.19.101` → `4.19.103` on `laptop`
    - **Selected packages:** `thunderbird` `68.4.1` → `68.5.0` on `laptop`, `desk`
    - **Size:** +3.0MiB a host at the median, +7.0MiB in sum; 2 packages move, 2 rebuilt
    - **Restarts:** 1 service on `laptop`, `desk`: `nscd`

    ### Inputs

    | input | change | time |
    | --- | --- | --- |
    | `nixpkgs` (`github`) | `71aad07` → `45cb002` | `2024-06-01` → `2024-06-08` 7 days |

    ### On 2 of 3 hosts

    Not on `nas`.

    ```text
    [U*] thunderbird 68.4.1 -> 68.5.0
    ```

    <details><summary>Only rebuilt: 2 packages; Configuration: 1 unit</summary>

    ```text
    Only rebuilt: 2 packages (cmake, nodejs)
    Configuration: 1 unit (~ nscd.service)
    ```

    </details>

    <details><summary>On all 3 hosts: 1 changed</summary>

    ```text
    Version changes:
    [U.] libuv 1.34.1 -> 1.34.2
    ```

    </details>

    <details><summary>3 hosts</summary>

    | host | changes | then |
    | --- | --- | --- |
    | `laptop` | 1 selected, +3.0MiB | reboot, 1 restart |
    | `desk` | 1 selected, +3.0MiB | 1 restart |
    | `nas` | +1.0MiB |  |

    </details>
    ");
    assert!(unfolded(&text) < 25);
}

/// 40 hosts: web and database servers, laptops, one odd one; one fails. On the others so many packages are rebuilt.
fn fleet(rebuilt: usize) -> Report {
    let base = [
        ". libuv 1.34.1 1.34.2",
        ". openssl 1.1.1d 1.1.1e",
        "* git 2.24.1 2.25.0",
    ];
    let rebuilt: Vec<String> = (0..rebuilt).map(|i| format!("lib{i:03}")).collect();
    let rebuilt: Vec<&str> = rebuilt.iter().map(String::as_str).collect();
    let with = |more: &[&'static str]| -> Vec<&str> {
        let mut all: Vec<&str> = base.iter().chain(more).copied().collect();
        all.sort_by_key(|text| text.split(' ').nth(1));
        all
    };
    let web = with(&["* nginx 1.16.1 1.17.0"]);
    let database = with(&["* postgresql 11.6 11.7"]);
    let laptop = with(&["* thunderbird 68.4.1 68.5.0", "* firefox 72.0 73.0"]);
    let odd = with(&["* postgresql 11.6 11.5"]);
    let mut hosts = Vec::new();
    for i in 0..40 {
        let own = format!(". own{i} 1 2");
        let plain = Host {
            rebuilt: &rebuilt,
            kernel: Some("linux 4.19.101 4.19.103"),
            security: &["openssl 1.1.1d 1.1.1e"],
            size: 3 << 20,
            ..Host::default()
        };
        let (name, role) = match i {
            0..20 => (format!("web{i:02}"), &web),
            20..34 => (format!("db{i:02}"), &database),
            34..39 => (format!("laptop{i:02}"), &laptop),
            _ => ("odd".to_owned(), &odd),
        };
        let mut changed = role.clone();
        if i % 5 == 0 {
            changed.push(&own);
        }
        let mut host = Host {
            changed: &changed,
            units: if i < 20 {
                &["nginx.service"]
            } else {
                &["postgresql.service"]
            },
            ..plain
        };
        if i == 39 {
            host.downgrades = &["postgresql 11.6 11.5"];
            host.size = 900 << 20;
        }
        let mut report = host.report(&name);
        if i == 3 {
            report["status"] = json!("broken");
            report["diff"] = Value::Null;
            report["impact"] = Value::Null;
            report["failure"] = json!({
                "stage": "build", "side": "after", "error": "error: builder for 'x' failed with exit code 2",
                "derivation": path("php-8.2.19.drv"), "log_tail": ["building", "cc: error: no such file"], "log_path": null,
            });
        }
        hosts.push(report);
    }
    report(&hosts)
}

#[test]
fn forty_hosts_have_in_common_what_they_have() {
    let report = fleet(386);
    let text = to_markdown(&report);
    insta::assert_snapshot!(text, @"
    ## 40 hosts: 1 broken by the update, 39 changed

    - **Broken by the update:** `web03`
    - **Reboot:** `linux` `4.19.101` → `4.19.103` on all 39 compared
    - **Downgraded:** `postgresql` `11.6` → `11.5` on `odd`
    - **Selected packages:** `git` `2.24.1` → `2.25.0` on all 39 compared; `nginx` `1.16.1` → `1.17.0` on 19 of 40 hosts; `postgresql` `11.6` → `11.7` on 14 of 40 hosts; `firefox` `72.0` → `73.0` on 5 of 40 hosts and 2 more
    - **Size:** +3.0MiB a host at the median, +1014.0MiB in sum; 15 packages move, 386 rebuilt
    - **Security:** `openssl` `1.1.1d` → `1.1.1e` on all 39 compared
    - **Restarts:** up to 1 service a host on all 39 compared: `postgresql`, `nginx`
    - **Stands out:** `odd` (a downgrade of its own; +900.0MiB, the median is +3.0MiB)

    ### Broken by the update

    `web03`: does not build after the update, `php-8.2.19.drv`.

    ```text
    error: builder for 'x' failed with exit code 2
    building
    cc: error: no such file
    ```

    <details><summary>The end of the log</summary>

    ```text
    /nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-php-8.2.19.drv
    ```

    ```text
    building
    cc: error: no such file
    ```

    </details>

    ### Inputs

    | input | change | time |
    | --- | --- | --- |
    | `nixpkgs` (`github`) | `71aad07` → `45cb002` | `2024-06-01` → `2024-06-08` 7 days |

    ### On all 39 hosts compared

    ```text
    [U*] git     2.24.1 -> 2.25.0
    [U.] openssl 1.1.1d -> 1.1.1e
    [U.] libuv   1.34.1 -> 1.34.2
    ```

    <details><summary>Only rebuilt: 386 packages</summary>

    ```text
    Only rebuilt: 386 packages (lib000, lib001,
        lib002, lib003, lib004, lib005, lib006,
        lib007, lib008, lib009, lib010, lib011, …)
    ```

    </details>

    <details><summary>On 20 of 39 hosts compared: 1 of the configuration; <code>db20</code>, <code>db21</code>, <code>db22</code> and 17 more</summary>

    ```text
    Configuration: 1 unit (~ postgresql.service)
    ```

    </details>

    <details><summary>On 19 of 39 hosts compared: 1 changed, 1 of the configuration; <code>web00</code>, <code>web01</code>, <code>web02</code> and 16 more</summary>

    ```text
    Version changes:
    [U*] nginx 1.16.1 -> 1.17.0
    Configuration: 1 unit (~ nginx.service)
    ```

    </details>

    <details><summary>On 14 of 39 hosts compared: 1 changed; <code>db20</code>, <code>db21</code>, <code>db22</code> and 11 more</summary>

    ```text
    Version changes:
    [U*] postgresql 11.6 -> 11.7
    ```

    </details>

    <details><summary>On 5 of 39 hosts compared: 2 changed; <code>laptop34</code>, <code>laptop35</code>, <code>laptop36</code> and 2 more</summary>

    ```text
    Version changes:
    [U*] firefox     72.0 -> 73.0
    [U*] thunderbird 68.4.1 -> 68.5.0
    ```

    </details>

    ### Hosts

    | host | changes | then |
    | --- | --- | --- |
    | `web00`, `web01` and 31 more | 2 selected, +3.0MiB | reboot, 1 restart |
    | `web03` | broken |  |
    | `laptop34`, `laptop35` and 3 more | 3 selected, +3.0MiB | reboot, 1 restart |
    | `odd` | 2 selected, 1 downgrade, +900.0MiB | reboot, 1 restart |

    Nothing else changes on the other 30 hosts.

    <details><summary><code>web00</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own0 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>web05</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own5 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>web10</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own10 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>web15</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own15 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>db20</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own20 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>db25</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own25 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>db30</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own30 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>laptop35</code>: 1 changed</summary>

    ```text
    Version changes:
    [U.] own35 1 -> 2
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +3.0MiB).
    ```

    </details>

    <details><summary><code>odd</code>: 1 changed</summary>

    ```text
    Version changes:
    [D*] postgresql 11.6 -> 11.5
    Closure size: 800 -> 801 (9 paths added,
        8 paths removed, delta +1,
        disk usage +900.0MiB).
    ```

    </details>
    ");
    assert!(text.len() < 20_000, "{}", text.len());
    assert!(unfolded(&text) < 120);
    let changes = report
        .fleet
        .changes
        .iter()
        .map(|change| serde_json::to_string(change).unwrap());
    let changes: Vec<String> = changes.collect();
    let counts = Fleet {
        changes: Vec::new(),
        ..report.fleet
    };
    let counts = serde_json::to_string(&counts).unwrap();
    insta::assert_snapshot!(format!("{counts}\n{}", changes.join("\n")), @r#"
    {"hosts":40,"changed":39,"unchanged":0,"broken":1,"already_broken":0,"mended":0,"skipped":0,"unknown":0,"size_delta":1063256064,"to_build":null,"size_delta_median":3145728,"compared":39,"reboot":39,"restarts":39,"moved":15,"selected":5,"downgrades":1,"major":0,"gone":0,"security":1,"rebuilt":386,"changes":[]}
    {"name":"openssl","before":"1.1.1d","after":"1.1.1e","change":"upgraded","cause":null,"selected":false,"security":true,"hosts":39,"on":[],"not_on":[]}
    {"name":"git","before":"2.24.1","after":"2.25.0","change":"upgraded","cause":null,"selected":true,"security":false,"hosts":39,"on":[],"not_on":[]}
    {"name":"nginx","before":"1.16.1","after":"1.17.0","change":"upgraded","cause":null,"selected":true,"security":false,"hosts":19,"on":[],"not_on":[]}
    {"name":"postgresql","before":"11.6","after":"11.7","change":"upgraded","cause":null,"selected":true,"security":false,"hosts":14,"on":[],"not_on":[]}
    {"name":"firefox","before":"72.0","after":"73.0","change":"upgraded","cause":null,"selected":true,"security":false,"hosts":5,"on":["laptop34","laptop35","laptop36","laptop37","laptop38"],"not_on":[]}
    {"name":"thunderbird","before":"68.4.1","after":"68.5.0","change":"upgraded","cause":null,"selected":true,"security":false,"hosts":5,"on":["laptop34","laptop35","laptop36","laptop37","laptop38"],"not_on":[]}
    {"name":"postgresql","before":"11.6","after":"11.5","change":"downgraded","cause":null,"selected":true,"security":false,"hosts":1,"on":["odd"],"not_on":[]}
    {"name":"libuv","before":"1.34.1","after":"1.34.2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":39,"on":[],"not_on":[]}
    {"name":"own0","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["web00"],"not_on":[]}
    {"name":"own10","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["web10"],"not_on":[]}
    {"name":"own15","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["web15"],"not_on":[]}
    {"name":"own20","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["db20"],"not_on":[]}
    {"name":"own25","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["db25"],"not_on":[]}
    {"name":"own30","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["db30"],"not_on":[]}
    {"name":"own35","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["laptop35"],"not_on":[]}
    {"name":"own5","before":"1","after":"2","change":"upgraded","cause":null,"selected":false,"security":false,"hosts":1,"on":["web05"],"not_on":[]}
    "#);
}

#[test]
fn less_room_leaves_a_line_for_what_is_left_out() {
    // What both say is held in full above.
    let report = fleet(386);
    let (whole, short) = (to_markdown(&report), body(&report, 4_000));
    let lines = short.lines().zip(whole.lines());
    let same = lines.take_while(|(short, whole)| short == whole).count();
    let rest: Vec<&str> = short.lines().skip(same).collect();
    insta::assert_snapshot!(format!("{same} lines\n{}", rest.join("\n")), @"
    154 lines
    The report is too long for this place: see `report.md` in `--output-dir` or the job's summary.
    ");
    // What is only rebuilt takes a line, however much it is.
    let report = fleet(14);
    let whole = to_markdown(&report);
    let mut failing = 0;
    let near = whole.len().saturating_sub(3)..whole.len() + 3;
    for budget in (0..whole.len()).step_by(211).chain(near) {
        let text = body(&report, budget);
        assert!(text.len() <= budget, "{budget}: {}", text.len());
        assert_eq!(text == whole, budget >= whole.len(), "{budget}");
        assert!(
            budget < 200 || budget >= whole.len() || text.contains("report.md"),
            "{budget}"
        );
        let told = text.matches("php-8.2.19").count().min(1);
        assert!(told >= failing, "{budget}");
        failing = told;
    }
}
