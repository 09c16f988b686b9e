//! The command line from the outside, without Nix.

use std::fmt::Write as _;

use crate::support::{DOCS, TestEnv};

#[test]
fn mistakes_on_the_command_line_end_in_1_and_say_what_is_right() {
    let env = TestEnv::new();
    let mut said = Vec::new();
    for args in [
        &[][..],
        &["reprot"],
        &["report", "--hots", "x"],
        &["report", "--format", "html"],
        &["run", "--cache-required"],
        &["run"],
        &["report", "--eval-batch", "0"],
        &["report", "--flake", "missing"],
        &["report"],
    ] {
        let output = env.run(args).code(1);
        assert_eq!(output.stdout, "", "{args:?}");
        said.push(format!(
            "$ flake-herald {}\n{}",
            args.join(" "),
            output
                .stderr
                .replace(&env.dir().display().to_string(), "$D")
                .replace(DOCS, "$DOCS/")
        ));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    $ flake-herald 
    Says what a flake update changes on every NixOS host

    Usage: flake-herald <COMMAND>

    Commands:
      run       Update the lock, report what changes on every host, publish a pull request
      report    Report what an update changes on every host; publish nothing
      publish   Merge reports made elsewhere, check them, and publish them as one pull request
      diff      Say what changes from one closure to another
      snapshot  Write a closure into a file that `diff` takes in its place
      hosts     List the hosts that would be built
      lock      Stage the new lock into a file; exit 2 if it does not change
      config    Show the merged configuration and where each value comes from
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Begin with `flake-herald report` in the directory of a flake: it publishes nothing and leaves the
    checkout as it is. The pages begin with
    $DOCS/first-run.md

    $ flake-herald reprot
    error: unrecognized subcommand 'reprot'

      tip: a similar subcommand exists: 'report'

    Usage: flake-herald <COMMAND>

    For more information, try '--help'.

    $ flake-herald report --hots x
    error: unexpected argument '--hots' found

      tip: a similar argument exists: '--host'

    Usage: flake-herald report --host <GLOB>

    For more information, try '--help'.

    $ flake-herald report --format html
    Error: `format` from the flag --format: "html" is not one of text, markdown, json

    $ flake-herald run --cache-required
    Error: `cache-required` from the flag --cache-required: this version of flake-herald cannot do that yet

    $ flake-herald run
    Error: $D has no flake.nix
    Hint: go to the flake's directory, or say where it is with --flake DIR; in a workflow the checkout comes first
    More: $DOCS/first-run.md#what-stops-it

    $ flake-herald report --eval-batch 0
    Error: `eval-batch` from the flag --eval-batch: "0" is not a whole number of at least 1

    $ flake-herald report --flake missing
    Error: `flake` from the flag --flake: "missing" is not a directory

    $ flake-herald report
    Error: $D has no flake.nix
    Hint: go to the flake's directory, or say where it is with --flake DIR; in a workflow the checkout comes first
    More: $DOCS/first-run.md#what-stops-it
    "#);
}

#[test]
fn help_and_version_are_results() {
    let env = TestEnv::new();
    assert!(
        env.run(["--version"])
            .success()
            .stdout
            .starts_with("flake-herald 0.")
    );
    let help = env.run(["report", "--help"]).success();
    assert!(help.stdout.contains("--exclude-host <GLOB>"), "{help}");
    assert_eq!(help.stderr, "");
}

#[test]
fn the_configuration_shows_where_each_value_comes_from() {
    let mut env = TestEnv::new();
    env.write("flake/flake.nix", "{ }");
    env.write(
        "flake/flake-herald.toml",
        "host = [\"web*\", \"db1\"]\neval-batch = 4\nfail-on = \"any\"\n[option]\nconnect-timeout = 7\n",
    );
    env.set("FLAKE_HERALD_FAIL_ON", "never");
    env.set("FLAKE_HERALD_EVAL_BATCH", "");
    env.set("FLAKE_HERALD_TOKEN", "tok-aaaaaaaaaaaa");
    let output = env.run(["config", "--flake", "flake"]).success();
    insta::assert_snapshot!(output, @r#"
    # configuration file: flake/flake-herald.toml
    # runner: none
    # token: (hidden), from the environment variable FLAKE_HERALD_TOKEN
    flake = "flake"                       # flag --flake
    # config                              # not set
    submodules = "auto"                   # default
    host = ["web*", "db1"]                # flake/flake-herald.toml line 1
    exclude-host = []                     # default
    no-default-excludes = false           # default
    kind = ["nixos"]                      # default
    attr = []                             # default
    systems = false                       # default
    # plan                                # not set
    input = []                            # default
    exclude-input = []                    # default
    on-unreachable = "fail"               # default
    skip-update = false                   # default
    # lock                                # not set
    write-lock = false                    # default
    no-build = false                      # default
    # eval-jobs                           # not set
    eval-batch = 4                        # flake/flake-herald.toml line 2
    # eval-memory                         # not set
    # max-jobs                            # not set
    # run-timeout                         # not set
    # build-timeout                       # not set
    # min-free                            # not set
    accept-flake-config = false           # default
    pass-env = []                         # default
    option.connect-timeout = "7"          # flake/flake-herald.toml line 5
    # nix-access-token-file               # not set
    store-reader = "auto"                 # default
    selected = false                      # default
    sort = "name"                         # default
    all = false                           # default
    exit-code = false                     # default
    # format                              # not set
    # output                              # not set
    # output-dir                          # not set
    fail-on = "never"                     # environment variable FLAKE_HERALD_FAIL_ON
    color = "auto"                        # default
    log-format = "text"                   # default
    verbose = 0                           # default
    quiet = false                         # default
    dry-run = false                       # default
    forge = "auto"                        # default
    # server-url                          # not set
    # api-url                             # not set
    # repository                          # not set
    # token-file                          # not set
    # base                                # not set
    # branch                              # not set
    # remote                              # not set
    title = "chore: update flake inputs"  # default
    # body-template                       # not set
    commit-message = "chore: update flake inputs"  # default
    # author                              # not set
    signoff = false                       # default
    sign = "auto"                         # default
    # signing-key-file                    # not set
    rebase-when = "conflicted"            # default
    hold-label = "flake-herald:hold"      # default
    keep-obsolete = false                 # default
    publish-unchanged = false             # default
    security-packages = []                # default
    [exit status: 0]
    "#);

    env.write(
        "flake/flake-herald.toml",
        "hots = \"x\"\neval-batch = \"many\"\n",
    );
    insta::assert_snapshot!(env.run(["config", "--flake", "flake"]).code(1), @"
    ------- stderr -------
    Error: the configuration has 2 problems:
    - `hots` from flake/flake-herald.toml line 1: there is no such key; did you mean `host`?
    - `eval-batch` from flake/flake-herald.toml line 2: must be an integer, not a string
    More: https://codeberg.org/flake-herald/flake-herald/src/branch/main/docs/configuration.md
    [exit status: 1]
    ");
}

#[test]
fn a_directory_for_the_report_that_cannot_be_written_is_found_before_the_work() {
    let env = TestEnv::new();
    env.write("flake.nix", "{ }");
    let file = env.write("taken", "a file");
    let output = env
        .run(["report", "--output-dir", file.join("out").to_str().unwrap()])
        .code(1);
    let dir = env.dir().display();
    assert!(
        output
            .stderr
            .starts_with(&format!("Error: cannot write {dir}/taken/out: ")),
        "{output}"
    );
    // The flake's own directory would get the new lock in the place of its own.
    let output = env.run(["report", "--output-dir", "."]).code(1);
    assert!(output.stderr.contains("would overwrite"), "{output}");
}

/// Who asks for a step's outputs finds them, however early it ended.
#[test]
fn the_runner_is_told_of_whatever_ends_a_step() {
    let mut env = TestEnv::new();
    env.write("flake.nix", "{ }");
    env.write("bad.toml", "hots = []");
    let told = env.dir().join("told");
    env.set("GITHUB_ACTIONS", "true");
    env.set("GITHUB_OUTPUT", &told);
    env.set("PATH", "/nonexistent");
    let mut said = String::new();
    for args in [
        &["report", "--no-such-flag"][..],
        &["run", "--config", "bad.toml"],
        &["publish", "reports"],
        &["report", "--plan", "missing"],
        &["report", "--output-dir", "flake.nix"],
        // A slip in a template is found before Nix is asked, which is not there.
        &["run", "--dry-run", "--title", "{{ hots }}"],
        &["run", "--dry-run", "--body-template", "missing"],
        // Nobody asked for what these say of themselves, and others have no such outputs.
        &["report", "--help"],
        &["hosts", "--no-such-flag"],
        &["config", "--config", "bad.toml"],
        // From here on there is no room to work in.
        &["report"],
    ] {
        std::fs::write(&told, "").unwrap();
        if args == ["report"] {
            env.set("TMPDIR", "/nonexistent");
        }
        let output = env.run(args);
        let lines = std::fs::read_to_string(&told).unwrap();
        // A name and a delimiter, the value, the delimiter.
        let outputs: Vec<String> = lines
            .lines()
            .collect::<Vec<_>>()
            .chunks(3)
            .map(|three| format!("{}={}", three[0].split("<<").next().unwrap(), three[1]))
            .collect();
        let outputs = if outputs.is_empty() {
            "no outputs".to_owned()
        } else {
            outputs.join(" ")
        };
        let first = output.stderr.lines().next().unwrap_or("no error");
        writeln!(said, "{}: {first}\n  {outputs}", args.join(" ")).unwrap();
    }
    insta::assert_snapshot!(said, @"
    report --no-such-flag: error: unexpected argument '--no-such-flag' found
      exit-code=1 has-changes=false pull-request-operation=none
    run --config bad.toml: Error: `hots` from bad.toml line 1: there is no such key; did you mean `host`?
      exit-code=1 has-changes=false pull-request-operation=none
    publish reports: Error: `publish` needs `--lock`
      exit-code=1 has-changes=false pull-request-operation=none
    report --plan missing: Error: cannot use missing: No such file or directory (os error 2)
      exit-code=1 has-changes=false pull-request-operation=none
    report --output-dir flake.nix: Error: --output-dir flake.nix is no directory
      exit-code=1 has-changes=false pull-request-operation=none
    run --dry-run --title {{ hots }}: Error: the template of the title: there is no `hots`
      exit-code=1 has-changes=false pull-request-operation=none
    run --dry-run --body-template missing: Error: cannot use missing: No such file or directory (os error 2)
      exit-code=1 has-changes=false pull-request-operation=none
    report --help: no error
      no outputs
    hosts --no-such-flag: error: unexpected argument '--no-such-flag' found
      no outputs
    config --config bad.toml: Error: `hots` from bad.toml line 1: there is no such key; did you mean `host`?
      no outputs
    report: Error: no temporary directory can be made in /nonexistent: No such file or directory (os error 2)
      exit-code=1 has-changes=false pull-request-operation=none
    ");
}

#[test]
fn a_hint_tells_no_secret_either() {
    let mut env = TestEnv::new();
    env.set("FLAKE_HERALD_TOKEN", "tok-aaaaaaaaaaaa");
    env.write("a/tok-aaaaaaaaaaaa/flake.nix", "{ }");
    let output = env.run_in(&env.dir().join("a"), ["report"]).code(1);
    assert!(
        output.stderr.contains("there is one in another directory"),
        "{output}"
    );
    assert!(!output.stderr.contains("tok-aaaaaaaaaaaa"), "{output}");
}
