//! The policy, as tables.

use std::os::unix::ffi::OsStringExt as _;

use insta::assert_snapshot;

use super::*;

const TOKEN: &str = "ghs_0123456789abcdef";

fn secrets(values: &[&str]) -> Vec<SecretString> {
    values
        .iter()
        .map(|value| SecretString::from((*value).to_owned()))
        .collect()
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

/// Returns a line for each variable: what becomes of it.
fn fates(pairs: &[(&str, &str)], known: &[&str], pass: &[&str]) -> String {
    let pass: Vec<_> = pass.iter().map(|name| (*name).to_owned()).collect();
    let (environment, removed) = ChildEnvironment::new(variables(pairs), &secrets(known), &pass);
    let mut lines: Vec<_> = pairs
        .iter()
        .map(
            |(name, _)| match removed.iter().find(|removed| removed.name == *name) {
                Some(removed) => format!("{name}: {}", removed.reason),
                None if environment.get(name).is_some() => format!("{name}: stays"),
                None => format!("{name}: LOST"),
            },
        )
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn names_decide() {
    let names = [
        "FLAKE_HERALD_TOKEN",
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GITHUB_ENTERPRISE_TOKEN",
        "GH_ENTERPRISE_TOKEN",
        "FORGEJO_TOKEN",
        "GITEA_TOKEN",
        "CODEBERG_TOKEN",
        "GITLAB_TOKEN",
        "CI_JOB_TOKEN",
        "ACTIONS_RUNTIME_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "INPUT_TOKEN",
        "INPUT_GITHUB-TOKEN",
        "GH_PAT",
        "npm_token",
        "Token",
        "PASSWORD",
        "SSHPASS",
        "RESTIC_PASSWORD",
        "GPG_PASSPHRASE",
        "OAUTH_CLIENT_SECRET",
        "ANTHROPIC_API_KEY",
        "DEPLOY_PRIVATE_KEY",
        "CACHIX_SIGNING_KEY",
        "CACHIX_AUTH_TOKEN",
        "NIX_GITHUB_TOKEN",
        "ALL_SECRETS",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "HTTP_PROXY",
        "https_proxy",
        "GIT_SSH_COMMAND",
        "GIT_ASKPASS",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "NETRC",
        "NIX_PATH",
        "NIX_REMOTE",
        "NIX_SSHOPTS",
        "NIX_SSL_CERT_FILE",
        "NIX_USER_CONF_FILES",
        "GITHUB_TOKEN_FILE",
        "GIT_CONFIG_KEY_0",
        "MONKEY",
        "SECRETARY",
        "TOKENIZER",
        "PATH",
        "HOME",
    ];
    let pairs: Vec<_> = names.iter().map(|name| (*name, "x")).collect();
    assert_snapshot!(fates(&pairs, &[], &[]), @"
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: named like a secret
    ACTIONS_ID_TOKEN_REQUEST_URL: named like a secret
    ACTIONS_RUNTIME_TOKEN: named like a secret
    ALL_SECRETS: named like a secret
    ANTHROPIC_API_KEY: named like a secret
    AWS_ACCESS_KEY_ID: stays
    AWS_PROFILE: stays
    AWS_SECRET_ACCESS_KEY: stays
    AWS_SESSION_TOKEN: stays
    CACHIX_AUTH_TOKEN: named like a secret
    CACHIX_SIGNING_KEY: named like a secret
    CI_JOB_TOKEN: named like a secret
    CODEBERG_TOKEN: named like a secret
    DEPLOY_PRIVATE_KEY: named like a secret
    FLAKE_HERALD_TOKEN: named like a secret
    FORGEJO_TOKEN: named like a secret
    GH_ENTERPRISE_TOKEN: named like a secret
    GH_PAT: named like a secret
    GH_TOKEN: named like a secret
    GITEA_TOKEN: named like a secret
    GITHUB_ENTERPRISE_TOKEN: named like a secret
    GITHUB_TOKEN: named like a secret
    GITHUB_TOKEN_FILE: stays
    GITLAB_TOKEN: named like a secret
    GIT_ASKPASS: stays
    GIT_CONFIG_KEY_0: stays
    GIT_SSH_COMMAND: stays
    GPG_PASSPHRASE: named like a secret
    HOME: stays
    HTTP_PROXY: stays
    INPUT_GITHUB-TOKEN: named like a secret
    INPUT_TOKEN: named like a secret
    MONKEY: stays
    NETRC: stays
    NIX_GITHUB_TOKEN: named like a secret
    NIX_PATH: stays
    NIX_REMOTE: stays
    NIX_SSHOPTS: stays
    NIX_SSL_CERT_FILE: stays
    NIX_USER_CONF_FILES: stays
    OAUTH_CLIENT_SECRET: named like a secret
    PASSWORD: named like a secret
    PATH: stays
    RESTIC_PASSWORD: named like a secret
    SECRETARY: stays
    SSHPASS: named like a secret
    SSH_ASKPASS: stays
    SSH_AUTH_SOCK: stays
    TOKENIZER: stays
    Token: named like a secret
    https_proxy: stays
    npm_token: named like a secret
    ");
}

#[test]
fn values_decide() {
    let pairs = [
        ("WHOLE", TOKEN),
        (
            "URL",
            &format!("https://x-access-token:{TOKEN}@example.org/a.git"),
        ),
        ("AWS_THAT_HOLDS_OURS", TOKEN),
        ("GIT_SSH_COMMAND", &format!("ssh -oSetEnv=T={TOKEN}")),
        ("HALF", "ghs_01234567"),
        ("SHORT_WHOLE", "hunter2"),
        ("SHORT_INSIDE", "hunter2 and more"),
        ("FROM_FILE", "from-a-file-with-newline"),
        ("EMPTY", ""),
        ("KEPT", TOKEN),
    ];
    let known = [TOKEN, "hunter2", "from-a-file-with-newline\n", "", " "];
    assert_snapshot!(fates(&pairs, &known, &["KEPT"]), @"
    AWS_THAT_HOLDS_OURS: contains a secret
    EMPTY: stays
    FROM_FILE: contains a secret
    GIT_SSH_COMMAND: contains a secret
    HALF: stays
    KEPT: stays
    SHORT_INSIDE: stays
    SHORT_WHOLE: contains a secret
    URL: contains a secret
    WHOLE: contains a secret
    ");
}

#[test]
fn nix_config_is_removed_only_with_tokens_in_it() {
    let fate = |config: &str, pass: &[&str]| fates(&[("NIX_CONFIG", config)], &[TOKEN], pass);
    let stays = "NIX_CONFIG: stays";
    let removed = "NIX_CONFIG: contains access tokens";
    assert_eq!(
        fate(
            "experimental-features = nix-command flakes\nmax-jobs = 2",
            &[]
        ),
        stays
    );
    assert_eq!(fate("access-tokens = github.com=abc", &[]), removed);
    assert_eq!(
        fate("max-jobs = 2\n  extra-access-tokens=github.com=abc", &[]),
        removed
    );
    assert_eq!(
        fate("# access-tokens = github.com=abc\naccess-tokens =\n", &[]),
        stays
    );
    assert_eq!(
        fate(
            &format!("substituters = https://u:{TOKEN}@example.org"),
            &[]
        ),
        removed
    );
    assert_eq!(
        fate("access-tokens = github.com=abc", &["NIX_CONFIG"]),
        stays
    );
}

#[test]
fn bytes_that_are_not_utf8_stay_or_go_like_others() {
    let odd = OsString::from_vec(b"caf\xe9".to_vec());
    let mut with_token = odd.clone().into_vec();
    with_token.extend_from_slice(TOKEN.as_bytes());
    let parent = vec![
        (odd.clone(), odd.clone()),
        ("PLAIN".into(), odd.clone()),
        ("HOLDS".into(), OsString::from_vec(with_token)),
        (OsString::from_vec(b"\xe9_TOKEN".to_vec()), odd.clone()),
        (OsString::new(), odd.clone()),
        ("A=B".into(), odd.clone()),
    ];
    let (environment, removed) = ChildEnvironment::new(parent, &secrets(&[TOKEN]), &[]);
    assert_eq!(
        environment.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["PLAIN".as_ref(), odd.as_os_str()]
    );
    assert_eq!(environment.get("PLAIN"), Some(odd.as_os_str()));
    let names: Vec<_> = removed.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "HOLDS (contains a secret)",
            "\u{fffd}_TOKEN (named like a secret)"
        ]
    );
}

#[test]
fn debug_shows_no_value() {
    let (environment, removed) = ChildEnvironment::new(
        variables(&[("HOME", "/home/x"), ("X_TOKEN", "abc"), ("URL", TOKEN)]),
        &secrets(&[TOKEN]),
        &[],
    );
    assert_eq!(format!("{environment:?}"), r#"{"HOME"}"#);
    assert!(!format!("{removed:?}").contains(TOKEN));
}

#[test]
fn git_config_pairs_stay_numbered_without_gaps() {
    let header = format!("Authorization: bearer {TOKEN}");
    let parent = variables(&[
        ("GIT_CONFIG_COUNT", "3"),
        ("GIT_CONFIG_KEY_0", "http.extraheader"),
        ("GIT_CONFIG_VALUE_0", &header),
        ("GIT_CONFIG_KEY_1", "core.autocrlf"),
        ("GIT_CONFIG_VALUE_1", "false"),
        ("GIT_CONFIG_KEY_2", "safe.directory"),
        ("GIT_CONFIG_VALUE_2", "*"),
    ]);
    let (environment, removed) = ChildEnvironment::new(parent.clone(), &secrets(&[TOKEN]), &[]);
    assert_eq!(
        removed
            .iter()
            .map(|removed| removed.name.as_str())
            .collect::<Vec<_>>(),
        ["GIT_CONFIG_VALUE_0"]
    );
    assert_snapshot!(table(&environment), @"
    GIT_CONFIG_COUNT=2
    GIT_CONFIG_KEY_0=core.autocrlf
    GIT_CONFIG_KEY_1=safe.directory
    GIT_CONFIG_VALUE_0=false
    GIT_CONFIG_VALUE_1=*
    ");
    let (untouched, _) = ChildEnvironment::new(parent.clone(), &[], &[]);
    assert_eq!(untouched.variables, parent.into_iter().collect());
    let odd = variables(&[
        ("GIT_CONFIG_COUNT", "99999999999"),
        ("GIT_CONFIG_KEY_5", "a.b"),
    ]);
    let (untouched, _) = ChildEnvironment::new(odd.clone(), &[], &[]);
    assert_eq!(untouched.variables, odd.into_iter().collect());
}

fn table(environment: &ChildEnvironment) -> String {
    let line = |(name, value): (&OsStr, &OsStr)| format!("{}={}", name.display(), value.display());
    environment.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn fixed_settings_switch_prompts_off() {
    let (empty, _) = ChildEnvironment::new(Vec::new(), &[], &[]);
    assert_snapshot!(table(&empty.with_fixed_settings()), @"
    GCM_INTERACTIVE=never
    GIT_ASKPASS=
    GIT_TERMINAL_PROMPT=0
    LC_ALL=C.UTF-8
    SSH_ASKPASS=false
    SSH_ASKPASS_REQUIRE=force
    ");

    let desktop = variables(&[
        ("GIT_ASKPASS", "/run/ci/askpass"),
        ("GIT_SSH_COMMAND", "ssh -i /run/key"),
        ("LANG", "de_DE.UTF-8"),
        ("LANGUAGE", "de"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("SSH_ASKPASS", "/usr/bin/ksshaskpass"),
    ]);
    let (environment, _) = ChildEnvironment::new(desktop.clone(), &[], &[]);
    assert_snapshot!(table(&environment.with_fixed_settings()), @"
    GCM_INTERACTIVE=never
    GIT_ASKPASS=/run/ci/askpass
    GIT_SSH_COMMAND=ssh -i /run/key -oBatchMode=yes
    GIT_TERMINAL_PROMPT=0
    LANG=de_DE.UTF-8
    LC_ALL=C.UTF-8
    SSH_ASKPASS=false
    SSH_ASKPASS_REQUIRE=force
    ");

    let names: Vec<_> = desktop
        .iter()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    let fixed = [
        "GIT_TERMINAL_PROMPT",
        "GCM_INTERACTIVE",
        "SSH_ASKPASS_REQUIRE",
    ]
    .map(str::to_owned);
    let (environment, _) = ChildEnvironment::new(desktop, &[], &[names, fixed.to_vec()].concat());
    assert_eq!(environment.clone().with_fixed_settings(), environment);
}

#[test]
fn an_empty_directory_for_caches_is_none() {
    let xdg = variables(&[("XDG_CACHE_HOME", ""), ("XDG_DATA_HOME", "/data")]);
    let (environment, _) = ChildEnvironment::new(xdg, &[], &[]);
    let environment = environment.with_fixed_settings();
    assert_eq!(environment.get("XDG_CACHE_HOME"), None);
    assert_eq!(environment.get("XDG_DATA_HOME"), Some(OsStr::new("/data")));
}

#[test]
fn batch_mode_is_added_to_plain_calls_of_ssh_only() {
    let batch = |command: &str| {
        in_batch_mode(OsStr::new(command)).map(|command| command.to_string_lossy().into_owned())
    };
    assert_eq!(batch("ssh").as_deref(), Some("ssh -oBatchMode=yes"));
    assert_eq!(
        batch("/usr/bin/ssh -i '/a b/key'").as_deref(),
        Some("/usr/bin/ssh -i '/a b/key' -oBatchMode=yes")
    );
    assert_eq!(
        batch("\"/nix/x y/ssh\" -F $HOME/cfg").as_deref(),
        Some("\"/nix/x y/ssh\" -F $HOME/cfg -oBatchMode=yes")
    );
    for left_alone in [
        "",
        "plink.exe -batch",
        "sshpass -e ssh",
        "ssh -oBatchMode=no",
        "ssh -o 'batchmode yes'",
        "ssh; true",
        "ssh | tee log",
        "ssh # comment",
        "env A=b ssh",
        "ssh 'unclosed",
    ] {
        assert_eq!(batch(left_alone), None, "{left_alone}");
    }
    assert_eq!(
        in_batch_mode(&OsString::from_vec(b"ssh -i \xff".to_vec())),
        None
    );
}
