//! Tests of the whole room: words in, a configuration or its problems out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::keys::{Key, NOT_YET};
use super::*;
use crate::cli::{self, FLAGS, Shape};

/// A command line, an environment and a file, to be merged.
#[derive(Default)]
struct Given<'a> {
    args: &'a [&'a str],
    env: &'a [(&'a str, &'a str)],
    file: Option<&'a str>,
    named: bool,
}

impl Given<'_> {
    fn merge(&self) -> Result<Config, ConfigError> {
        let env = self.env.iter().copied().collect();
        let file = self.file.map(|text| ConfigFile {
            path: Path::new("fleet/flake-herald.toml"),
            bytes: text.as_bytes(),
            named: self.named,
        });
        Config::merge(&parse(self.args), &env, file.as_ref())
    }

    fn ok(&self) -> Config {
        self.merge().unwrap()
    }

    fn error(&self) -> String {
        self.merge().unwrap_err().to_string()
    }
}

fn parse(args: &[&str]) -> Parsed {
    let args = if args.is_empty() { &["report"] } else { args };
    cli::parse(["flake-herald"].iter().chain(args).map(OsString::from)).unwrap()
}

fn args<'a>(args: &'a [&'a str]) -> Given<'a> {
    Given {
        args,
        ..Given::default()
    }
}

fn env<'a>(env: &'a [(&'a str, &'a str)]) -> Given<'a> {
    Given {
        env,
        ..Given::default()
    }
}

fn file(text: &str) -> Given<'_> {
    Given {
        file: Some(text),
        ..Given::default()
    }
}

mod precedence {
    use super::*;

    /// Merges with only the lowest n of four layers: none, file, environment, flag.
    fn layered<T>(
        flag: &[&str],
        env: (&str, &str),
        file: &str,
        value: impl Fn(&Config) -> T,
    ) -> [T; 4] {
        let args: Vec<&str> = ["report"].iter().chain(flag).copied().collect();
        [
            value(&Given::default().ok()),
            value(
                &Given {
                    file: Some(file),
                    ..Given::default()
                }
                .ok(),
            ),
            value(
                &Given {
                    file: Some(file),
                    env: &[env],
                    ..Given::default()
                }
                .ok(),
            ),
            value(
                &Given {
                    file: Some(file),
                    env: &[env],
                    args: &args,
                    ..Given::default()
                }
                .ok(),
            ),
        ]
    }

    #[test]
    fn of_a_number() {
        let values = layered(
            &["--eval-batch", "8"],
            ("FLAKE_HERALD_EVAL_BATCH", "4"),
            "\neval-batch = 2",
            |config| {
                config
                    .build
                    .eval_batch
                    .clone()
                    .map(|n| (n.get(), n.origin.to_string()))
            },
        );
        insta::assert_debug_snapshot!(values, @r#"
        [
            None,
            Some(
                (
                    2,
                    "fleet/flake-herald.toml line 2",
                ),
            ),
            Some(
                (
                    4,
                    "environment variable FLAKE_HERALD_EVAL_BATCH",
                ),
            ),
            Some(
                (
                    8,
                    "flag --eval-batch",
                ),
            ),
        ]
        "#);
    }

    #[test]
    fn of_a_switch_which_can_be_switched_off_again() {
        let values = layered(
            &["--accept-flake-config=false"],
            ("FLAKE_HERALD_ACCEPT_FLAKE_CONFIG", "yes"),
            "accept-flake-config = false",
            |config| config.build.accept_flake_config.value,
        );
        assert_eq!(values, [false, false, true, false]);
    }

    #[test]
    fn of_a_choice() {
        let values = layered(
            &["--fail-on", "any"],
            ("FLAKE_HERALD_FAIL_ON", "never"),
            "fail-on = \"any\"",
            |config| config.output.fail_on.value,
        );
        assert_eq!(
            values,
            [FailOn::Broken, FailOn::Any, FailOn::Never, FailOn::Any]
        );
    }

    #[test]
    fn of_a_list_which_replaces_the_lower_one() {
        let values = layered(
            &["--host", "c", "--host", "d e"],
            ("FLAKE_HERALD_HOST", "b\n\n  nixos:x \r\n"),
            "host = [\"a\", \"z\"]",
            |config| config.hosts.include.value.join(","),
        );
        assert_eq!(values, ["", "a,z", "b,nixos:x", "c,d e"]);
    }

    #[test]
    fn of_a_duration() {
        let values = layered(
            &["--build-timeout", "1h 30m"],
            ("FLAKE_HERALD_BUILD_TIMEOUT", "2h"),
            "build-timeout = \"90s\"",
            |config| {
                config
                    .build
                    .build_timeout
                    .as_ref()
                    .map(|time| time.as_secs())
            },
        );
        assert_eq!(values, [None, Some(90), Some(7200), Some(5400)]);
    }

    #[test]
    fn of_a_path_which_the_file_gives_from_its_own_directory() {
        let values = layered(
            &["--output-dir", "out"],
            ("FLAKE_HERALD_OUTPUT_DIR", "../out"),
            "output-dir = \"reports\"",
            |config| {
                config
                    .output
                    .dir
                    .as_ref()
                    .map(|dir| dir.display().to_string())
            },
        );
        let values = values.map(Option::unwrap_or_default);
        assert_eq!(values, ["", "fleet/reports", "../out", "out"]);
    }

    #[test]
    fn of_options_goes_by_their_names() {
        let config = Given {
            args: &["report", "--option", "cores", "8"],
            env: &[(
                "FLAKE_HERALD_OPTION",
                "cores 4\nextra-substituters https://a https://b\n",
            )],
            file: Some(
                "[option]\ncores = 2\nsandbox = true\nextra-platforms = [\"i686-linux\", \"armv7l-linux\"]\nsystem-features = \"\"",
            ),
            ..Given::default()
        };
        let options: Vec<String> = config
            .ok()
            .build
            .options
            .iter()
            .map(|option| format!("{:?}  # {}", option.value, option.origin))
            .collect();
        insta::assert_snapshot!(options.join("\n"), @r#"
        extra-platforms = "i686-linux armv7l-linux"  # fleet/flake-herald.toml line 4
        sandbox = "true"  # fleet/flake-herald.toml line 3
        system-features = ""  # fleet/flake-herald.toml line 5
        extra-substituters = "https://a https://b"  # environment variable FLAKE_HERALD_OPTION
        cores = "8"  # flag --option
        "#);
    }

    #[test]
    fn an_absolute_path_in_the_file_stays() {
        let config = file("lock = \"/srv/new.lock\"").ok();
        assert_eq!(
            config.update.lock.unwrap().value,
            Path::new("/srv/new.lock")
        );
    }

    #[test]
    fn verbosity_is_what_the_higher_layer_says() {
        let of = |args: &[&str], file: &str| {
            Given {
                args,
                file: Some(file),
                ..Given::default()
            }
            .ok()
            .output
            .verbosity
        };
        assert_eq!(of(&["report"], ""), Verbosity::Normal);
        assert_eq!(of(&["report", "-v"], ""), Verbosity::Verbose);
        assert_eq!(of(&["report", "-vv"], ""), Verbosity::Everything);
        assert_eq!(of(&["report", "-q"], "verbose = 2"), Verbosity::Quiet);
        assert_eq!(of(&["report", "-v"], "quiet = true"), Verbosity::Verbose);
        assert_eq!(
            of(&["report", "--quiet=false"], "quiet = true"),
            Verbosity::Normal
        );
    }
}

mod sources {
    use super::*;

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let names: Vec<String> = Key::all().iter().map(Key::variable).collect();
        let env: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let config = Given {
            env: &env,
            file: Some("eval-batch = 3"),
            ..Given::default()
        }
        .ok();
        assert_eq!(config.build.eval_batch.unwrap().get(), 3);
        assert_eq!(config.warnings, []);
        let blank = Given {
            env: &[("FLAKE_HERALD_HOST", " \n\n")],
            file: Some("host = \"a\""),
            ..Given::default()
        };
        assert_eq!(blank.ok().hosts.include.value, ["a"]);
    }

    #[test]
    fn switches_in_the_environment_have_several_spellings() {
        let skip = |word| {
            env(&[("FLAKE_HERALD_SKIP_UPDATE", word)])
                .merge()
                .map(|c| c.update.skip_update.value)
        };
        for word in ["true", "1", "yes", "on", "TRUE", "On"] {
            assert_eq!(skip(word), Ok(true), "{word}");
        }
        for word in ["false", "0", "no", "off"] {
            assert_eq!(skip(word), Ok(false), "{word}");
        }
        assert!(skip("maybe").is_err());
    }

    #[test]
    fn unknown_variables_are_told_with_the_nearest_known_one() {
        let config = env(&[
            ("FLAKE_HERALD_EVALBATCH", "3"),
            ("FLAKE_HERALD_TOKNE", "x"),
            ("FLAKE_HERALD_SOMETHING_ELSE", "x"),
            ("FLAKE_HERALD_OLD", ""),
            ("FLAKE_HERALD_TOKEN", "x"),
            ("OTHER", "x"),
        ])
        .ok();
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(warnings.join("\n"), @"
        the environment variable FLAKE_HERALD_EVALBATCH is not known and does nothing; did you mean `FLAKE_HERALD_EVAL_BATCH`?
        the environment variable FLAKE_HERALD_SOMETHING_ELSE is not known and does nothing
        the environment variable FLAKE_HERALD_TOKNE is not known and does nothing; did you mean `FLAKE_HERALD_TOKEN`?
        ");
    }

    #[cfg(unix)]
    #[test]
    fn only_variables_of_ours_must_be_utf_8() {
        use std::os::unix::ffi::OsStringExt as _;
        let merge = |name: &str| {
            let env = Environment::from_iter([(name, OsString::from_vec(vec![b'4', 0xff]))]);
            Config::merge(&parse(&[]), &env, None)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(merge("OTHER"), Ok(()));
        insta::assert_snapshot!(merge("FLAKE_HERALD_EVAL_BATCH").unwrap_err(), @"`eval-batch` from the environment variable FLAKE_HERALD_EVAL_BATCH: the value is not UTF-8");
        insta::assert_snapshot!(merge("FLAKE_HERALD_HOST").unwrap_err(), @"`host` from the environment variable FLAKE_HERALD_HOST: the value is not UTF-8");
        insta::assert_snapshot!(merge("FLAKE_HERALD_TOKEN").unwrap_err(), @"`token` from the environment variable FLAKE_HERALD_TOKEN: the value has other characters in it than a token");
    }

    #[test]
    fn a_string_is_taken_for_a_list_of_one() {
        let config = file("kind = \"home\"\nhost = 'alice@*'").ok();
        assert_eq!(config.hosts.kinds.value, [Kind::Home]);
        assert_eq!(config.hosts.include.value, ["alice@*"]);
    }

    #[test]
    fn kinds_are_there_once_and_may_be_left_out_for_attributes() {
        let kinds = args(&[
            "report", "--kind", "home", "--kind", "nixos", "--kind", "home",
        ])
        .ok();
        assert_eq!(kinds.hosts.kinds.value, [Kind::Home, Kind::Nixos]);
        let none = file("kind = []\nattr = \"packages.x86_64-linux.image\"").ok();
        assert_eq!(none.hosts.kinds.value, []);
    }

    #[test]
    fn integers_may_be_spelled_in_all_of_tomls_ways() {
        let batch = |number: &str| {
            let text = format!("eval-batch = {number}");
            file(&text).ok().build.eval_batch.unwrap().get()
        };
        assert_eq!(batch("1_0"), 10);
        assert_eq!(batch("+10"), 10);
        assert_eq!(batch("0x1_f"), 31);
        assert_eq!(batch("0b101"), 5);
    }

    #[test]
    fn a_named_file_can_name_the_flake() {
        let config = Given {
            file: Some("flake = '.'"),
            named: true,
            ..Given::default()
        }
        .ok();
        assert_eq!(config.flake.dir.value, Path::new("fleet/."));
    }

    #[test]
    fn the_runner_fills_in_what_nobody_set() {
        let runner = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://github.example"),
            ("GITHUB_API_URL", "https://github.example/api/v3"),
            ("GITHUB_REPOSITORY", "alice/fleet"),
            ("GITHUB_REF_NAME", "main"),
        ];
        let config = env(&runner).ok();
        let publish = config.publish;
        assert_eq!(
            publish.server_url.unwrap().as_str(),
            "https://github.example"
        );
        assert_eq!(
            publish.api_url.unwrap().origin,
            Origin::Runner("GITHUB_API_URL".to_owned())
        );
        assert_eq!(publish.repository.unwrap().name, "fleet");
        assert_eq!(publish.base.unwrap().value, "main");
    }
}

mod refusals {
    use super::*;

    #[test]
    fn values_that_are_none_name_their_key_and_origin_and_what_is_allowed() {
        insta::assert_snapshot!(args(&["report", "--eval-batch", "many"]).error(), @r#"`eval-batch` from the flag --eval-batch: "many" is not a whole number of at least 1"#);
        insta::assert_snapshot!(args(&["report", "--eval-jobs", "0"]).error(), @r#"`eval-jobs` from the flag --eval-jobs: "0" is not a whole number of at least 1"#);
        insta::assert_snapshot!(args(&["report", "--max-jobs", "-1"]).error(), @r#"`max-jobs` from the flag --max-jobs: "-1" is not a whole number of at least 0"#);
        insta::assert_snapshot!(env(&[("FLAKE_HERALD_EVAL_BATCH", "1.5")]).error(), @r#"`eval-batch` from the environment variable FLAKE_HERALD_EVAL_BATCH: "1.5" is not a whole number of at least 1"#);
        insta::assert_snapshot!(file("\n\nformat = \"markdwon\"").error(), @r#"`format` from fleet/flake-herald.toml line 3: "markdwon" is not one of text, markdown, json; did you mean markdown?"#);
        insta::assert_snapshot!(args(&["report", "--kind", "nixos", "--kind", "droid"]).error(), @r#"`kind` from the flag --kind: "droid" is not one of nixos, darwin, home"#);
        insta::assert_snapshot!(args(&["report", "--skip-update=maybe"]).error(), @r#"`skip-update` from the flag --skip-update: "maybe" is not true or false"#);
        insta::assert_snapshot!(args(&["report", "--build-timeout", "30"]).error(), @r#"`build-timeout` from the flag --build-timeout: "30" is not a time such as 90s, 30m or 2h"#);
        insta::assert_snapshot!(args(&["report", "--build-timeout", "0s"]).error(), @r#"`build-timeout` from the flag --build-timeout: "0s" is not a time such as 90s, 30m or 2h"#);
        insta::assert_snapshot!(args(&["report", "--build-timeout=-5m"]).error(), @r#"`build-timeout` from the flag --build-timeout: "-5m" is not a time such as 90s, 30m or 2h"#);
        insta::assert_snapshot!(args(&["report", "--run-timeout", "0s"]).error(), @r#"`run-timeout` from the flag --run-timeout: "0s" is not a time such as 90s, 30m or 2h"#);
        insta::assert_snapshot!(args(&["publish", "r", "--lock", "x", "--run-timeout", "soon"]).error(), @r#"`run-timeout` from the flag --run-timeout: "soon" is not a time such as 90s, 30m or 2h"#);
        insta::assert_snapshot!(args(&["report", "--eval-memory", "8"]).error(), @"`eval-memory` from the flag --eval-memory: 8 B is less than Nix takes itself; at least 64.0 MiB it must be");
        insta::assert_snapshot!(file("eval-memory = \"plenty\"").error(), @r#"`eval-memory` from fleet/flake-herald.toml line 1: "plenty" is not a size such as 20GiB"#);
        insta::assert_snapshot!(args(&["report", "--host", ""]).error(), @"`host` from the flag --host: the value is empty");
        insta::assert_snapshot!(file("lock = \"\"").error(), @"`lock` from fleet/flake-herald.toml line 1: the value is empty");
        insta::assert_snapshot!(file("kind = []").error(), @"`kind` from fleet/flake-herald.toml line 1: without a kind and without `attr` there are no hosts");
        insta::assert_snapshot!(args(&["report", "--pass-env", "TOKEN=abc"]).error(), @"`pass-env` from the flag --pass-env: the name of a variable has no `=` and no spaces in it");
        insta::assert_snapshot!(args(&["hosts", "--format", "markdown"]).error(), @"`format` from the flag --format: `hosts` lists as text or json");
        insta::assert_snapshot!(args(&["report", "--format", "a\n::error::b"]).error(), @r#"`format` from the flag --format: "a\n::error::b" is not one of text, markdown, json"#);
    }

    #[test]
    fn options_that_are_none_are_refused_without_their_value() {
        insta::assert_snapshot!(args(&["report", "--option", "a b", "c"]).error(), @r#"`option` from the flag --option: "a b" is not the name of a setting of Nix"#);
        insta::assert_snapshot!(args(&["report", "--option", "access-tokens", "forge.example=s3cret"]).error(), @"`option` from the flag --option: `access-tokens` holds secrets, and as an option every process of this machine could read them; put it into nix.conf");
        insta::assert_snapshot!(env(&[("FLAKE_HERALD_OPTION", "cores 2\ncores=4")]).error(), @"`option` from the environment variable FLAKE_HERALD_OPTION: each line must be NAME VALUE, with a space between");
        insta::assert_snapshot!(file("[option]\ncores = 2\nspeed = 1.5").error(), @"`option` from fleet/flake-herald.toml line 3: `speed` must be a string, an integer, a boolean or an array of them, not a float");
        insta::assert_snapshot!(file("option.a.b = 2").error(), @"`option` from fleet/flake-herald.toml line 1: `a` must be a string, an integer, a boolean or an array of them, not a table");
        insta::assert_snapshot!(file("option = \"cores 2\"").error(), @"`option` from fleet/flake-herald.toml line 1: must be a table, not a string");
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        insta::assert_snapshot!(file("# a\neval_batch = 3").error(), @"`eval_batch` from fleet/flake-herald.toml line 2: there is no such key; did you mean `eval-batch`?");
        insta::assert_snapshot!(file("schedule = \"daily\"").error(), @"`schedule` from fleet/flake-herald.toml line 1: there is no such key");
        insta::assert_snapshot!(file("[hosts]\nkind = \"nixos\"").error(), @"`hosts` from fleet/flake-herald.toml line 1: there is no such key; did you mean `host`?");
        insta::assert_snapshot!(file("\"a\\n::error::b\" = 1").error(), @r#"`a\n::error::b` from fleet/flake-herald.toml line 1: there is no such key"#);
        insta::assert_snapshot!(file("token = \"s3cret\"").error(), @"`token` from fleet/flake-herald.toml line 1: there is no such key");
    }

    #[test]
    fn wrong_types_are_refused_with_their_line() {
        insta::assert_snapshot!(file("eval-batch = \"3\"").error(), @"`eval-batch` from fleet/flake-herald.toml line 1: must be an integer, not a string");
        insta::assert_snapshot!(file("skip-update = 1").error(), @"`skip-update` from fleet/flake-herald.toml line 1: must be true or false, not an integer");
        insta::assert_snapshot!(file("host = [\n  \"a\",\n  2,\n]").error(), @"`host` from fleet/flake-herald.toml line 3: must be an array of strings, not an integer");
        insta::assert_snapshot!(file("host = { a = 1 }").error(), @"`host` from fleet/flake-herald.toml line 1: must be an array of strings, not a table");
        insta::assert_snapshot!(file("build-timeout = 30").error(), @r#"`build-timeout` from fleet/flake-herald.toml line 1: must be a string such as "30m", not an integer"#);
        insta::assert_snapshot!(file("eval-batch = -1").error(), @r#"`eval-batch` from fleet/flake-herald.toml line 1: "-1" is not a whole number of at least 1"#);
        insta::assert_snapshot!(file("eval-batch = 99999999999999999999").error(), @r#"`eval-batch` from fleet/flake-herald.toml line 1: "99999999999999999999" is not a whole number of at least 1"#);
    }

    #[test]
    fn the_file_cannot_name_itself_or_another_flake() {
        insta::assert_snapshot!(file("config = \"x\"").error(), @"`config` from fleet/flake-herald.toml line 1: the file cannot name another file");
        insta::assert_snapshot!(file("flake = \"x\"").error(), @"`flake` from fleet/flake-herald.toml line 1: the file beside flake.nix cannot name another flake");
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        insta::assert_snapshot!(file("host = [\n").error(), @"fleet/flake-herald.toml line 1: unclosed array, expected `]`");
        insta::assert_snapshot!(file("a\nb").error(), @"fleet/flake-herald.toml line 1: key with no value, expected `=`");
        insta::assert_snapshot!(file("lock = 'a'\nlock = 'b'").error(), @"fleet/flake-herald.toml line 2: duplicate key");
        let bytes = ConfigFile {
            path: Path::new("flake-herald.toml"),
            bytes: b"# a\n\xff",
            named: false,
        };
        let error = Config::merge(&parse(&[]), &Environment::default(), Some(&bytes)).unwrap_err();
        insta::assert_snapshot!(error, @"flake-herald.toml line 2: the file is not UTF-8");
    }

    #[test]
    fn what_does_nothing_yet_is_refused_wherever_it_was_set() {
        insta::assert_snapshot!(args(&["run", "--label", "deps"]).error(), @"`label` from the flag --label: this version of flake-herald cannot do that yet");
        insta::assert_snapshot!(env(&[("FLAKE_HERALD_CACHE_REQUIRED", "false")]).error(), @"`cache-required` from the environment variable FLAKE_HERALD_CACHE_REQUIRED: this version of flake-herald cannot do that yet");
        insta::assert_snapshot!(file("store-reader = \"database\"").error(), @"`store-reader` from fleet/flake-herald.toml line 1: this version of flake-herald cannot do that yet (`database`)");
        assert!(
            args(&["report", "--store-reader", "command"])
                .merge()
                .is_ok()
        );
    }

    #[test]
    fn packages_that_matter_are_patterns() {
        let config = file("security-packages = [\"our-*\", \"vpnd\"]")
            .merge()
            .unwrap();
        let patterns = &config.publish.security_packages.value;
        let matches = |name| {
            patterns
                .iter()
                .any(|p| p.glob().compile_matcher().is_match(name))
        };
        assert!(matches("our-vpn") && matches("vpnd") && !matches("vpnd2"));
        assert!(
            config
                .show()
                .contains("security-packages = [\"our-*\", \"vpnd\"]")
        );
        insta::assert_snapshot!(file("security-packages = [\n  \"a\",\n  \"[b\",\n]").error(), @r#"`security-packages` from fleet/flake-herald.toml line 3: "[b" is not a pattern: unclosed character class; missing ']'"#);
    }

    #[test]
    fn what_does_nothing_yet_is_still_checked() {
        insta::assert_snapshot!(
            args(&["run", "--repository", "fleet", "--author", "me", "--server-url", "forge.example", "--draft", "often"]).error(), @r#"
        the configuration has 5 problems:
        - `draft` from the flag --draft: this version of flake-herald cannot do that yet
        - `server-url` from the flag --server-url: "forge.example" is not an address such as https://forge.example
        - `repository` from the flag --repository: "fleet" is not OWNER/NAME
        - `author` from the flag --author: "me" is not NAME <MAIL>
        - `draft` from the flag --draft: "often" is not one of never, on-failure, always
        "#);
        insta::assert_snapshot!(args(&["run", "--api-url", "https://me:s3cret@forge.example"]).error(), @"`api-url` from the flag --api-url: the address has a user name or password in it");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        insta::assert_snapshot!(args(&["report", "--skip-update", "--lock", "x"]).error(), @"`skip-update` from the flag --skip-update and `lock` from the flag --lock contradict each other: the new lock is either the working tree's or that file; leave one out, or overrule the first with --skip-update=false");
        insta::assert_snapshot!(args(&["report", "--skip-update", "--write-lock"]).error(), @"`skip-update` from the flag --skip-update and `write-lock` from the flag --write-lock contradict each other: the new lock is the working tree's already");
        insta::assert_snapshot!(args(&["report", "--lock", "x", "--exclude-input", "nixpkgs"]).error(), @"`lock` from the flag --lock and `exclude-input` from the flag --exclude-input contradict each other: nothing is updated, so no input can be left out");
        insta::assert_snapshot!(
            Given { args: &["report", "--input", "nixpkgs"], file: Some("skip-update = true"), ..Given::default() }.error(), @"`skip-update` from fleet/flake-herald.toml line 1 and `input` from the flag --input contradict each other: nothing is updated, so no input can be chosen");
        insta::assert_snapshot!(file("input = ['a', 'b']\nexclude-input = 'b'").error(), @r#"`input` from fleet/flake-herald.toml line 1 and `exclude-input` from fleet/flake-herald.toml line 2 contradict each other: both name "b""#);
        insta::assert_snapshot!(args(&["report", "-v", "-q"]).error(), @"`verbose` from the flag --verbose and `quiet` from the flag --quiet contradict each other: leave one out");
        insta::assert_snapshot!(args(&["lock"]).error(), @"`lock` needs `--output`");
        insta::assert_snapshot!(args(&["snapshot", "x"]).error(), @"`snapshot` needs `--output`");
    }

    #[test]
    fn a_flag_may_make_moot_what_the_file_says() {
        let text = "input = ['nixpkgs']\nexclude-input = ['x']\nwrite-lock = true";
        let merged = |args| {
            Given {
                args,
                file: Some(text),
                ..Given::default()
            }
            .merge()
            .map(|_| ())
        };
        assert_eq!(merged(&["report", "--skip-update"]), Ok(()));
        assert_eq!(merged(&["report", "--lock", "x"]), Ok(()));
        // The given lock can be written into the working tree.
        assert_eq!(merged(&["report", "--lock", "x", "--write-lock"]), Ok(()));
        // Other commands do not heed it.
        let lock = Given {
            args: &["lock", "-o", "x", "--input", "a"],
            file: Some("skip-update = true"),
            ..Given::default()
        };
        assert!(lock.merge().is_ok());
        let hosts = Given {
            args: &["hosts"],
            file: Some("format = \"markdown\""),
            ..Given::default()
        };
        assert!(hosts.merge().is_ok());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let error = Given {
            args: &["report", "--eval-jobs", "x"],
            env: &[("FLAKE_HERALD_COLOR", "blue")],
            file: Some("hots = 1\nquiet = 1\nassignee = 'alice'"),
            ..Given::default()
        }
        .error();
        insta::assert_snapshot!(error, @r#"
        the configuration has 5 problems:
        - `hots` from fleet/flake-herald.toml line 1: there is no such key; did you mean `host`?
        - `quiet` from fleet/flake-herald.toml line 2: must be true or false, not an integer
        - `assignee` from fleet/flake-herald.toml line 3: this version of flake-herald cannot do that yet
        - `eval-jobs` from the flag --eval-jobs: "x" is not a whole number of at least 1
        - `color` from the environment variable FLAKE_HERALD_COLOR: "blue" is not one of auto, always, never
        "#);
    }

    #[test]
    fn in_a_pull_requests_job_the_file_cannot_set_what_reaches_out() {
        let job = |event, text| {
            Given {
                env: &[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", event)],
                file: Some(text),
                ..Given::default()
            }
            .merge()
            .map(|_| ())
            .map_err(|error| error.to_string())
        };
        let text = "accept-flake-config = true\npass-env = ['GITHUB_TOKEN']\n[option]\nsubstituters = 'https://evil.example'";
        assert_eq!(job("push", text), Ok(()));
        insta::assert_snapshot!(job("pull_request", text).unwrap_err(), @"
        the configuration has 3 problems:
        - `accept-flake-config` from fleet/flake-herald.toml line 1: not allowed in a job of the event `pull_request`, because the file may be the pull request's own; set it by a flag or the environment
        - `pass-env` from fleet/flake-herald.toml line 2: not allowed in a job of the event `pull_request`, because the file may be the pull request's own; set it by a flag or the environment
        - `option` from fleet/flake-herald.toml line 3: not allowed in a job of the event `pull_request`, because the file may be the pull request's own; set it by a flag or the environment
        ");
        assert!(job("pull_request_target", text).is_err());
        assert_eq!(job("pull_request", "host = 'a'\neval-batch = 2"), Ok(()));
        // Trusted layers may, also over the file's own.
        let overruled = Given {
            args: &[
                "report",
                "--accept-flake-config=false",
                "--option",
                "cores",
                "2",
            ],
            env: &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_EVENT_NAME", "pull_request"),
            ],
            file: Some("accept-flake-config = true"),
            ..Given::default()
        };
        assert!(overruled.merge().is_ok());
    }
}

mod secrets {
    use super::*;

    const ENV: &[(&str, &str)] = &[
        ("FLAKE_HERALD_TOKEN", "hunter2-ours\n"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_TOKEN", "hunter2-runner"),
        ("CODEBERG_TOKEN", "hunter2-other"),
        ("GH_TOKEN", ""),
    ];

    #[test]
    fn all_that_the_environment_holds_are_known() {
        let config = env(ENV).ok();
        let secrets: BTreeSet<&str> = config
            .secrets()
            .iter()
            .map(|secret| secret.expose_secret())
            .collect();
        assert_eq!(
            secrets,
            BTreeSet::from(["hunter2-ours", "hunter2-runner", "hunter2-other"])
        );
        assert_eq!(config.token.unwrap().expose_secret(), "hunter2-ours");
    }

    #[test]
    fn neither_debug_nor_show_has_one() {
        let config = Given {
            args: &[
                "report",
                "--option",
                "substituters",
                "https://me:hunter2-url@cache.example",
            ],
            env: ENV,
            ..Given::default()
        }
        .ok();
        let shown = format!("{config:?}\n{config:#?}\n{}", config.show());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("(hidden)@cache.example"), "{shown}");
        // What is handed to Nix is whole.
        assert_eq!(
            config.build.options[0].value.value,
            "https://me:hunter2-url@cache.example"
        );
    }

    #[test]
    fn user_names_and_passwords_leave_urls() {
        let shown =
            value::without_userinfo("a https://u:p@h/x@y ssh://git@h?x://z@w :// http://h#a@b");
        insta::assert_snapshot!(shown, @"a https://(hidden)@h/x@y ssh://(hidden)@h?x://(hidden)@w :// http://h#a@b");
    }
}

mod agreement {
    use super::*;

    /// A word that a flag takes.
    fn sample(flag: &cli::Flag) -> &'static str {
        match (flag.name, flag.shape) {
            ("repository", _) => "alice/fleet",
            ("server-url" | "api-url", _) => "https://forge.example",
            ("author", _) => "A <a@b>",
            (_, Shape::Switch) => "true",
            (_, Shape::Repeat | Shape::Number) => "1",
            (_, Shape::Duration) => "1h",
            (_, Shape::Size) => "20GiB",
            (_, Shape::Choice | Shape::Choices) => flag.value.split('|').next_back().unwrap(),
            (_, Shape::Text | Shape::Path | Shape::List) => "/x",
            (_, Shape::Pairs) => "cores 1",
        }
    }

    fn in_file(flag: &cli::Flag) -> String {
        let (name, word) = (flag.name, sample(flag));
        match flag.shape {
            Shape::Switch | Shape::Repeat | Shape::Number => format!("{name} = {word}"),
            Shape::Pairs => format!("{name} = {{ cores = 1 }}"),
            Shape::List | Shape::Choices => format!("{name} = [\"{word}\"]"),
            Shape::Text | Shape::Path | Shape::Choice | Shape::Duration | Shape::Size => {
                format!("{name} = \"{word}\"")
            }
        }
    }

    /// What a key was merged to, and what is wrong with it other than that it does nothing yet.
    fn merged(name: &str, given: &Given<'_>) -> (Vec<String>, Vec<Problem>) {
        let env = given.env.iter().copied().collect();
        let file = given.file.map(|text| ConfigFile {
            path: Path::new("f.toml"),
            bytes: text.as_bytes(),
            named: true,
        });
        let (environment, _, mut problems) = layers::of_environment(&env);
        let mut layers = Layers {
            flags: layers::of_flags(&parse(given.args)),
            environment,
            ..Layers::default()
        };
        problems.extend(file.iter().flat_map(|file| layers.add_file(file)));
        let mut resolver = Resolver::new(layers, None);
        resolve_all(&mut resolver);
        let (settings, found) = resolver.finish();
        problems.extend(found);
        problems.retain(|problem| !matches!(problem, Problem::NotYet { .. }));
        let shown = settings
            .iter()
            .filter(|setting| setting.key == name)
            .filter_map(|setting| setting.shown.clone());
        (shown.map(|(text, _)| text).collect(), problems)
    }

    fn resolve_all(resolver: &mut Resolver) {
        drop(flake(resolver));
        drop(hosts(resolver));
        drop(update(resolver));
        drop(build(resolver));
        drop(compare(resolver));
        drop(output(resolver));
        drop(publish(resolver, None));
    }

    #[test]
    fn the_structs_take_every_key_once_and_no_other() {
        let mut resolver = Resolver::new(Layers::default(), None);
        resolve_all(&mut resolver);
        let (settings, _) = resolver.finish();
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        for setting in &settings {
            *taken.entry(setting.key).or_default() += 1;
        }
        let keys: BTreeMap<&str, usize> = Key::all().iter().map(|key| (key.name, 1)).collect();
        assert_eq!(taken, keys);
    }

    #[test]
    fn clap_has_every_flag_under_its_key_and_no_other() {
        let parser = cli::parser();
        let mut flags = BTreeSet::new();
        for command in parser.get_subcommands() {
            let flags_of = command
                .get_arguments()
                .filter(|arg| arg.get_id() != "help" && !arg.is_positional());
            for arg in flags_of {
                assert_eq!(arg.get_long(), Some(arg.get_id().as_str()));
                flags.insert(arg.get_id().as_str());
            }
        }
        let keys = Key::all();
        let keys: BTreeSet<&str> = keys
            .iter()
            .filter(|key| key.is_flag)
            .map(|key| key.name)
            .collect();
        assert_eq!(flags, keys);
    }

    #[test]
    fn flag_variable_and_file_mean_the_same() {
        for flag in FLAGS {
            let key = Key::all()
                .into_iter()
                .find(|key| key.name == flag.name)
                .unwrap();
            let word = sample(flag);
            let long = format!("--{}", flag.name);
            let long_word = format!("--{}={word}", flag.name);
            let mut typed = match flag.commands[0] {
                Command::Diff => vec!["diff", "old", "new"],
                Command::Snapshot => vec!["snapshot", "path"],
                command => vec![command.name()],
            };
            match flag.shape {
                Shape::Repeat => typed.push(&long),
                Shape::Pairs => typed.extend([&long, "cores", "1"]),
                _ => typed.push(&long_word),
            }
            let variable = key.variable();
            let by_flag = merged(flag.name, &args(&typed));
            let by_variable = merged(flag.name, &env(&[(&variable, word)]));
            let text = in_file(flag);
            let by_file = merged(flag.name, &file(&text));
            assert_eq!(by_flag, by_variable, "{}", flag.name);
            if key.in_file {
                assert_eq!(by_flag, by_file, "{}", flag.name);
            }
            let is_choice_that_waits = keys::NOT_YET_WORDS.contains(&(flag.name, word));
            assert!(
                is_choice_that_waits || !by_flag.0.is_empty(),
                "{} is not set",
                flag.name
            );
            assert_eq!(by_flag.1, [], "{}", flag.name);
        }
    }

    #[test]
    fn every_key_that_does_nothing_is_refused_and_no_other() {
        for flag in FLAGS.iter().filter(|flag| flag.name != "config") {
            let text = in_file(flag);
            let result = Given {
                args: &["report"],
                file: Some(&text),
                named: true,
                ..Given::default()
            }
            .merge();
            let waits = result.is_err_and(|error| {
                error
                    .problems
                    .iter()
                    .any(|problem| matches!(problem, Problem::NotYet { word: None, .. }))
            });
            assert_eq!(waits, NOT_YET.contains(&flag.name), "{}", flag.name);
        }
    }
}

mod show {
    use super::*;

    #[test]
    fn the_jobs_own_token_is_named_where_there_is_no_other() {
        let config = Given {
            args: &["config"],
            env: &[("FORGEJO_ACTIONS", "true"), ("FORGEJO_TOKEN", "s3cret")],
            ..Given::default()
        }
        .ok();
        let shown = config.show();
        let line = shown.lines().find(|line| line.starts_with("# token"));
        assert_eq!(
            line,
            Some(
                "# token: the job's own (hidden), from the runner's variable FORGEJO_TOKEN, for its own server only"
            )
        );
        assert!(!shown.contains("s3cret"));
    }

    #[test]
    fn every_setting_stands_there_with_its_origin() {
        let config = Given {
            args: &["config", "--eval-batch", "8", "--config", "fleet/flake-herald.toml", "-v"],
            env: &[
                ("FLAKE_HERALD_TOKEN", "s3cret"),
                ("FLAKE_HERALD_EXCLUDE_HOST", "iso\nlive-*"),
                ("FLAKE_HERALD_BUILD_TIMEOUT", "5400s"),
                ("FORGEJO_ACTIONS", "true"),
                ("FORGEJO_EVENT_NAME", "schedule"),
            ],
            file: Some("host = [\"web\", \"say \\\"hi\\\"\"]\nlock = \"new.lock\"\n[option]\ncores = 4\nextra-substituters = [\"https://a.example\", \"https://b.example\"]"),
            named: true,
        }
        .ok();
        insta::assert_snapshot!(config.show(), @r#"
        # configuration file: fleet/flake-herald.toml
        # runner: Forgejo, event schedule
        # token: (hidden), from the environment variable FLAKE_HERALD_TOKEN
        flake = "."                           # default
        # config = "fleet/flake-herald.toml"  # flag --config
        submodules = "auto"                   # default
        host = ["web", "say \"hi\""]          # fleet/flake-herald.toml line 1
        exclude-host = ["iso", "live-*"]      # environment variable FLAKE_HERALD_EXCLUDE_HOST
        no-default-excludes = false           # default
        kind = ["nixos"]                      # default
        attr = []                             # default
        systems = false                       # default
        # plan                                # not set
        input = []                            # default
        exclude-input = []                    # default
        on-unreachable = "fail"               # default
        skip-update = false                   # default
        lock = "fleet/new.lock"               # fleet/flake-herald.toml line 2
        write-lock = false                    # default
        no-build = false                      # default
        # eval-jobs                           # not set
        eval-batch = 8                        # flag --eval-batch
        # eval-memory                         # not set
        # max-jobs                            # not set
        # run-timeout                         # not set
        build-timeout = "1h 30m"              # environment variable FLAKE_HERALD_BUILD_TIMEOUT
        # min-free                            # not set
        accept-flake-config = false           # default
        pass-env = []                         # default
        option.cores = "4"                    # fleet/flake-herald.toml line 4
        option.extra-substituters = "https://a.example https://b.example"  # fleet/flake-herald.toml line 5
        # nix-access-token-file               # not set
        store-reader = "auto"                 # default
        selected = false                      # default
        sort = "name"                         # default
        all = false                           # default
        exit-code = false                     # default
        # format                              # not set
        # output                              # not set
        # output-dir                          # not set
        fail-on = "broken"                    # default
        color = "auto"                        # default
        log-format = "text"                   # default
        verbose = 1                           # flag --verbose
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
        "#);
    }

    #[test]
    fn it_reads_back_as_a_file() {
        let given = Given {
            args: &[
                "config",
                "--host",
                "a\\b\"c",
                "--option",
                "cores",
                "2",
                "--max-jobs",
                "0",
            ],
            ..Given::default()
        };
        let text = given.ok().show();
        // The default file cannot name its flake.
        let again = Given {
            file: Some(&text),
            args: &["config"],
            named: true,
            ..Given::default()
        }
        .ok();
        assert_eq!(again.hosts.include.value, ["a\\b\"c"]);
        assert_eq!(again.build.options[0].value.value, "2");
        assert_eq!(again.build.max_jobs.unwrap().value, 0);
    }
}

mod files {
    use std::fs;

    use super::*;

    fn load(args: &[&str]) -> Result<Config, String> {
        Config::load(&parse(args), &Environment::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_is_looked_for_beside_the_flake() {
        let dir = tempfile::tempdir().unwrap();
        let flake = dir.path().to_str().unwrap();
        assert_eq!(
            load(&["report", "--flake", flake])
                .unwrap()
                .build
                .eval_batch,
            None
        );
        fs::write(
            dir.path().join(FILE_NAME),
            "eval-batch = 3\noutput-dir = 'out'",
        )
        .unwrap();
        let config = load(&["report", "--flake", flake]).unwrap();
        let origin = Origin::File {
            path: dir.path().join(FILE_NAME),
            line: 1,
        };
        assert_eq!(config.build.eval_batch.unwrap().origin, origin);
        assert_eq!(config.output.dir.unwrap().value, dir.path().join("out"));
    }

    #[test]
    fn what_needs_no_flake_reads_only_a_file_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let named = dir.path().join("other.toml");
        fs::write(&named, "sort = 'size'\nformat = 'json'\nhost = 'web'").unwrap();
        let environment = Environment::from_iter([
            ("FLAKE_HERALD_FLAKE", "/no/such/flake"),
            ("FLAKE_HERALD_ALL", "yes"),
        ]);
        let load = |args: &[&str]| {
            let config = Config::load(&parse(args), &environment).unwrap();
            let format = config.output.format.map(|format| format.value);
            (config.compare.sort.value, config.compare.all.value, format)
        };
        assert_eq!(load(&["diff", "1", "2"]), (Sort::Name, true, None));
        assert_eq!(
            load(&[
                "snapshot",
                "1",
                "-o",
                "-",
                "--config",
                named.to_str().unwrap()
            ]),
            (Sort::Size, true, Some(Format::Json))
        );
        let error = Config::load(&parse(&["hosts"]), &environment).unwrap_err();
        assert!(error.to_string().contains("not a directory"), "{error}");
    }

    #[test]
    fn a_named_file_is_read_in_its_place_and_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let flake = dir.path().to_str().unwrap();
        let named = dir.path().join("other.toml");
        let named = named.to_str().unwrap();
        fs::write(dir.path().join(FILE_NAME), "eval-batch = 3").unwrap();
        let error = load(&["report", "--flake", flake, "--config", named]).unwrap_err();
        insta::assert_snapshot!(error.replace(flake, "DIR"), @"cannot read DIR/other.toml, named by the flag --config: No such file or directory (os error 2)");
        fs::write(named, "eval-jobs = 2").unwrap();
        let config = load(&["report", "--flake", flake, "--config", named]).unwrap();
        assert_eq!(config.build.eval_batch, None);
        assert_eq!(config.build.eval_jobs.unwrap().get(), 2);
    }

    #[test]
    fn what_is_no_directory_or_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        fs::write(dir.path().join("flake.nix"), "{}").unwrap();
        let nix = dir.path().join("flake.nix");
        let error = load(&["report", "--flake", nix.to_str().unwrap()]).unwrap_err();
        insta::assert_snapshot!(error.replace(path, "DIR"), @r#"`flake` from the flag --flake: "DIR/flake.nix" is not a directory"#);
        fs::create_dir(dir.path().join(FILE_NAME)).unwrap();
        let error = load(&["report", "--flake", path]).unwrap_err();
        insta::assert_snapshot!(error.replace(path, "DIR"), @"cannot read DIR/flake-herald.toml: Is a directory (os error 21)");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for open in ["[", "{a=", "[{a="] {
        let text = format!("host = {}", open.repeat(100_000));
        assert!(file(&text).merge().is_err());
    }
    let text = format!("option{} = 1", ".a".repeat(100_000));
    assert!(file(&text).merge().is_err());
}

proptest! {
    #[test]
    fn no_bytes_in_the_file_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = ConfigFile { path: Path::new("f.toml"), bytes: &bytes, named: true };
        let merged = Config::merge(&parse(&[]), &Environment::default(), Some(&file));
        prop_assert!(merged.map_or_else(|error| !error.problems.is_empty(), |config| !config.show().is_empty()));
    }

    #[test]
    fn nothing_like_toml_panics(
        lines in prop::collection::vec(
            ("(eval-batch|host|kind|option|option\\.a|lock|quiet|verbose|min-free|x)", "(=|= |\\.|\\]|\\[)",
             "(-?[0-9_]{1,20}|0x[0-9a-f]{1,20}|\"[ -~é]{0,5}\"|\\[.{0,5}\\]|\\{.{0,8}\\}|true|1979-05-27|nan|[\\[{]{1,90})"),
            0..8,
        ),
    ) {
        let text: String = lines.iter().map(|(key, sign, value)| format!("{key} {sign} {value}\n")).collect();
        let file = ConfigFile { path: Path::new("f.toml"), bytes: text.as_bytes(), named: false };
        if let Ok(config) = Config::merge(&parse(&[]), &Environment::default(), Some(&file)) {
            prop_assert!(!config.show().is_empty());
        }
    }

    #[test]
    fn no_word_panics(word in "(?s).{0,12}", name in 0..FLAGS.len()) {
        let flag = &FLAGS[name];
        let variable = Key::all().into_iter().find(|key| key.name == flag.name).unwrap().variable();
        let env = Environment::from_iter([(variable.as_str(), word.as_str())]);
        let merged = Config::merge(&parse(&[]), &env, None);
        // Whatever the word, neither the listing nor an error has a line that it made up.
        let text = merged.map_or_else(|error| error.to_string(), |config| config.show());
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
