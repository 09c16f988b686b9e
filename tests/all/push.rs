//! The remote half of git with real git and a real SSH server: what moves there, and that nothing moves here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flake_herald::command::{Cancel, ChildEnvironment, Door};
use flake_herald::git::{
    BranchName, CommitId, Credential, Remote, RemoteUrl, Transport, TransportError, Want, Why,
};

use secrecy::SecretString;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{Sshd, TestEnv};

/// A repository behind the server, a checkout of it, and a scratch store as publishing uses one.
struct Place {
    env: TestEnv,
    sshd: Sshd,
    ssh: String,
}

impl Place {
    fn new() -> Self {
        let env = TestEnv::new();
        let sshd = Sshd::start(&env);
        let ssh = sshd.key(&env, "owner");
        let place = Self { env, sshd, ssh };
        let dir = place.env.dir().display().to_string();
        place.git(&[
            "init",
            "-q",
            "--bare",
            "-b",
            "main",
            &format!("{dir}/srv/alice/fleet.git"),
        ]);
        place.git(&["init", "-q", "-b", "main", &format!("{dir}/seed")]);
        for number in 1..=5 {
            place.env.write("seed/flake.lock", format!("{number}\n"));
            place.in_("seed", &["add", "flake.lock"]);
            place.in_("seed", &["commit", "-qm", &format!("commit {number}")]);
        }
        place.in_(
            "seed",
            &["push", "-q", &format!("{dir}/srv/alice/fleet.git"), "main"],
        );
        place
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = self.env.command("git");
        command.env("GIT_SSH_COMMAND", &self.ssh).args(args);
        let out = self.env.output(&mut command).success();
        out.stdout.trim().to_owned()
    }

    fn in_(&self, dir: &str, args: &[&str]) -> String {
        let dir = self.env.dir().join(dir).display().to_string();
        let mut all = vec!["-C", &dir];
        all.extend(args);
        self.git(&all)
    }

    fn server(&self) -> PathBuf {
        self.env.dir().join("srv/alice/fleet.git")
    }

    /// Clones into `work`, and makes the scratch store beside it.
    fn clone(&self, options: &[&str]) {
        let (url, work) = (self.sshd.url(&self.server()), self.path("work"));
        let mut args = vec!["clone", "-q"];
        args.extend(options);
        args.extend([url.as_str(), &work]);
        self.git(&args);
        self.git(&["init", "-q", "--bare", &self.path("objects.git")]);
        self.env.write(
            "objects.git/objects/info/alternates",
            format!("{work}/.git/objects\n"),
        );
        let shallow = self.env.dir().join("work/.git/shallow");
        if shallow.exists() {
            fs::copy(shallow, self.env.dir().join("objects.git/shallow")).unwrap();
        }
    }

    fn path(&self, below: &str) -> String {
        self.env.dir().join(below).display().to_string()
    }

    /// A transport to `origin` with some command line of ssh.
    fn transport(&self, ssh: &str) -> Transport {
        self.transport_to("origin", &self.sshd.url(&self.server()), ssh)
    }

    fn transport_to(&self, name: &str, url: &str, ssh: &str) -> Transport {
        let variables = [
            "PATH",
            "HOME",
            "TMPDIR",
            "GIT_CONFIG_GLOBAL",
            "GIT_CONFIG_NOSYSTEM",
        ]
        .into_iter()
        .filter_map(|name| Some((OsString::from(name), self.env.var(name)?.to_owned())));
        let environment = ChildEnvironment::new(variables, &[], &[])
            .0
            .with("GIT_SSH_COMMAND", ssh)
            .with_fixed_settings();
        Transport::new(
            Door::new(environment, Cancel::new()),
            self.env.dir().join("work/.git"),
            self.env.dir().join("work"),
            Some(self.env.dir().join("objects.git/objects")),
            Remote {
                name_or_url: name.to_owned(),
                url: RemoteUrl::parse(url).unwrap(),
            },
            None,
        )
    }

    /// Makes a commit in the scratch store, on some parent.
    fn commit(&self, message: &str, parent: &str) -> CommitId {
        let tree = format!("{parent}^{{tree}}");
        let out = self.in_(
            "objects.git",
            &["commit-tree", "-m", message, "-p", parent, &tree],
        );
        out.parse().unwrap()
    }

    /// Where a branch of the server is.
    fn tip(&self, branch: &BranchName) -> Option<CommitId> {
        let format = "--format=%(objectname)";
        let out = self.in_(
            "srv/alice/fleet.git",
            &["for-each-ref", format, &branch.reference()],
        );
        out.parse().ok()
    }

    /// Every file of the checkout, its git directory included.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.env.dir().join("work"), &mut found);
        assert!(found.len() > 10, "the checkout was not found");
        found
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.server().join("hooks").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn collect(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            collect(&path, found);
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
}

fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

fn why(result: Result<(), TransportError>) -> (Why, String) {
    let error = result.unwrap_err();
    (error.why().unwrap(), error.to_string())
}

#[tokio::test]
#[ignore = "needs sshd: run scripts/test"]
async fn a_branch_lives_by_its_leases_and_the_checkout_stays_as_it_is() {
    let place = Place::new();
    place.clone(&[]);
    let transport = place.transport(&place.ssh);
    let (bot, main) = (branch("auto/flake-update"), branch("main"));
    let before = place.files();

    let seen = transport.look(&[&bot, &main]).await.unwrap();
    assert_eq!(seen.default_branch, Some(main.clone()));
    let base = seen.tips[&main].clone();
    assert_eq!(seen.tips.len(), 1);

    let (first, second, other) = (
        place.commit("first", base.as_str()),
        place.commit("second", base.as_str()),
        place.commit("other", base.as_str()),
    );
    transport.push(&first, &bot, None).await.unwrap();
    assert_eq!(place.tip(&bot), Some(first.clone()));
    // A branch that ends as ours is not ours.
    place.in_(
        "srv/alice/fleet.git",
        &["branch", "x/auto/flake-update", "main"],
    );
    let seen = transport.look(&[&bot, &main]).await.unwrap();
    assert_eq!(seen.tips.get(&bot), Some(&first));
    assert_eq!(seen.tips.len(), 2);

    // A second new branch of the name; then one that starts from elsewhere, without and with the right lease.
    for expected in [None, Some(&base)] {
        let (why, words) = why(transport.push(&second, &bot, expected).await);
        assert_eq!(why, Why::LeaseLost, "{words}");
        assert_eq!(place.tip(&bot), Some(first.clone()), "{expected:?}");
    }
    transport.push(&second, &bot, Some(&first)).await.unwrap();
    assert_eq!(place.tip(&bot), Some(second.clone()));
    // Already there: nothing to lose.
    transport.push(&second, &bot, Some(&second)).await.unwrap();

    // Somebody pushes meanwhile.
    place.in_(
        "objects.git",
        &[
            "push",
            "-q",
            &place.path("srv/alice/fleet.git"),
            &format!("+{other}:{}", bot.reference()),
        ],
    );
    assert_eq!(why(transport.delete(&bot, &second).await).0, Why::LeaseLost);
    assert_eq!(
        why(transport.push(&first, &bot, Some(&second)).await).0,
        Why::LeaseLost
    );
    assert_eq!(place.tip(&bot), Some(other.clone()));

    transport.delete(&bot, &other).await.unwrap();
    assert_eq!(place.tip(&bot), None);
    assert_eq!(why(transport.delete(&bot, &other).await).0, Why::LeaseLost);
    assert_eq!(place.files(), before);
}

#[tokio::test]
#[ignore = "needs sshd: run scripts/test"]
async fn what_is_fetched_goes_to_the_scratch_store() {
    let place = Place::new();
    place.clone(&[]);
    // What would have a fetch write more.
    place.in_("work", &["config", "fetch.prune", "true"]);
    place.in_("work", &["config", "remote.origin.tagOpt", "--tags"]);
    place.in_("work", &["config", "fetch.writeCommitGraph", "true"]);
    let before = place.files();
    place.env.write("seed/flake.lock", "6\n");
    place.in_("seed", &["commit", "-qam", "commit 6"]);
    place.in_("seed", &["tag", "v6"]);
    place.in_(
        "seed",
        &[
            "push",
            "-q",
            &place.path("srv/alice/fleet.git"),
            "main",
            "v6",
        ],
    );
    let transport = place.transport(&place.ssh);
    let seen = transport.look(&[&branch("main")]).await.unwrap();
    let tip = &seen.tips[&branch("main")];
    transport
        .fetch(&[Want::Commit(tip), Want::Branch(&branch("main"))])
        .await
        .unwrap();
    assert_eq!(
        place.in_("objects.git", &["show", &format!("{tip}:flake.lock")]),
        "6"
    );
    assert_eq!(place.in_("objects.git", &["for-each-ref"]), "");
    assert_eq!(place.files(), before);

    let gone = branch("gone");
    let (why, words) = why(transport.fetch(&[Want::Branch(&gone)]).await);
    assert_eq!(why, Why::NoSuchRef, "{words}");
    transport.fetch(&[]).await.unwrap();
}

#[tokio::test]
#[ignore = "needs sshd: run scripts/test"]
async fn a_shallow_checkout_is_deepened_in_the_scratch_store_only() {
    let place = Place::new();
    place.clone(&["--depth=1"]);
    let before = place.files();
    let main = branch("main");
    let transport = place.transport(&place.ssh);
    let head = place.in_("work", &["rev-parse", "HEAD"]);
    assert_eq!(
        place.in_("objects.git", &["rev-list", "--count", &head]),
        "1"
    );

    // Commits on top of a shallow base can be pushed before.
    let commit = place.commit("on a shallow base", &head);
    transport.push(&commit, &branch("bot"), None).await.unwrap();

    let scratch = place.env.dir().join("objects.git");
    transport
        .deepen(&scratch, &[Want::Branch(&main)])
        .await
        .unwrap();
    assert_eq!(
        place.in_("objects.git", &["rev-list", "--count", &head]),
        "5"
    );
    assert!(!scratch.join("shallow").exists());
    assert_eq!(place.files(), before);
    assert_eq!(place.in_("work", &["rev-list", "--count", &head]), "1");
    place.in_("work", &["fsck", "--full", "--strict"]);
    // Nothing is left to do.
    transport
        .deepen(&scratch, &[Want::Branch(&main)])
        .await
        .unwrap();

    let again = place.commit("after deepening", &head);
    transport
        .push(&again, &branch("bot"), Some(&commit))
        .await
        .unwrap();
    assert_eq!(place.tip(&branch("bot")), Some(again));
    place.in_("srv/alice/fleet.git", &["fsck", "--full", "--strict"]);
    assert_eq!(place.files(), before);
}

#[tokio::test]
#[ignore = "needs sshd: run scripts/test"]
async fn a_shallow_checkout_sees_branches_from_below_its_boundary() {
    let place = Place::new();
    let old = place.in_("seed", &["rev-parse", "HEAD~2"]);
    place.clone(&["--depth=1"]);
    let before = place.files();
    let bot = branch("bot");
    place.in_("seed", &["checkout", "-q", "-b", "bot", &old]);
    place.env.write("seed/flake.lock", "bot\n");
    place.in_("seed", &["commit", "-qam", "from below"]);
    place.in_(
        "seed",
        &["push", "-q", &place.path("srv/alice/fleet.git"), "bot"],
    );
    let transport = place.transport(&place.ssh);
    transport.fetch(&[Want::Branch(&bot)]).await.unwrap();
    let tip = place.tip(&bot).unwrap();
    assert_eq!(
        place.in_("objects.git", &["rev-list", "--count", tip.as_str()]),
        "4"
    );
    assert_eq!(place.files(), before);
}

#[tokio::test]
#[ignore = "needs sshd: run scripts/test"]
async fn refusals_are_one_line_in_the_servers_words() {
    let place = Place::new();
    place.clone(&[]);
    let bot = branch("bot");
    let head = place.in_("work", &["rev-parse", "HEAD"]);
    let commit = place.commit("an update", &head);
    let url = RemoteUrl::parse(&place.sshd.url(&place.server())).unwrap();
    let said = |words: &str| {
        assert!(!words.contains('\n'), "{words}");
        words
            .replace(&url.to_string(), "URL")
            .replace(&url.port().unwrap().to_string(), "PORT")
    };
    let push = async |ssh: &str| {
        let (why, words) = why(place.transport(ssh).push(&commit, &bot, None).await);
        (why, said(&words))
    };

    assert_eq!(
        push(&place.sshd.read_only_key(&place.env, "reader")).await,
        (Why::ReadOnlyKey, "git cannot push `bot` to URL: the SSH key may only read: The key you are authenticating with has been marked as read only.".to_owned())
    );
    let reader = place.sshd.as_a_stranger("owner");
    assert_eq!(
        push(&reader).await,
        (Why::HostKey, "git cannot push `bot` to URL: the SSH server's key is not trusted: Host key verification failed.".to_owned())
    );
    let (why_, words) = push(&place.sshd.unknown_key(&place.env, "nobody")).await;
    assert_eq!(why_, Why::NoKey);
    assert!(
        words.ends_with("@127.0.0.1: Permission denied (publickey)."),
        "{words}"
    );

    place.hook(
        "pre-receive",
        "#!/bin/sh\necho 'No updates on Sundays.' >&2\nexit 1\n",
    );
    assert_eq!(
        push(&place.ssh).await,
        (Why::Hook, "git cannot push `bot` to URL: a hook of the server declined: No updates on Sundays.; [remote rejected] (pre-receive hook declined)".to_owned())
    );
    place.hook(
        "pre-receive",
        "#!/bin/sh\necho 'Forgejo: Not allowed to push to protected branch bot' >&2\nexit 1\n",
    );
    assert_eq!(
        push(&place.ssh).await,
        (Why::Protected, "git cannot push `bot` to URL: the branch is protected: Forgejo: Not allowed to push to protected branch bot; [remote rejected] (pre-receive hook declined)".to_owned())
    );
    // Somebody is quicker between the server's offer and our push.
    place.hook(
        "pre-receive",
        "#!/bin/sh\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/bot refs/heads/main\n",
    );
    assert_eq!(push(&place.ssh).await.0, Why::LeaseLost);
    assert_eq!(place.tip(&bot), head.parse().ok());
    // The same for a branch that is there.
    place.hook(
        "pre-receive",
        "#!/bin/sh\nunset GIT_QUARANTINE_PATH\ngit update-ref refs/heads/bot refs/heads/main~1\n",
    );
    let lease = head.parse().unwrap();
    let transport = place.transport(&place.ssh);
    let (raced, words) = why(transport.push(&commit, &bot, Some(&lease)).await);
    assert_eq!(raced, Why::LeaseLost, "{words}");
    assert!(words.contains("but expected"), "{words}");

    let missing = place.env.dir().join("srv/alice/none.git");
    let missing = place.sshd.url(&missing);
    let transport = place.transport_to(&missing, &missing, &place.ssh);
    let error = transport.look(&[]).await.unwrap_err();
    assert_eq!(error.why(), Some(Why::NotFound), "{error}");
}

/// A checkout of what a server speaks over HTTP, which lets in nobody but whoever has the login, and keeps what it was asked.
struct Web {
    env: TestEnv,
    server: MockServer,
}

impl Web {
    /// `accepted` is what has to stand in `Authorization`.
    async fn new(accepted: &'static str) -> Self {
        let server = MockServer::start().await;
        let answer = move |request: &wiremock::Request| {
            let header = request.headers.get("authorization");
            if header.is_some_and(|value| value == accepted) {
                // An empty repository.
                ResponseTemplate::new(200).set_body_raw(
                    "001e# service=git-upload-pack\n00000000",
                    "application/x-git-upload-pack-advertisement",
                )
            } else {
                ResponseTemplate::new(401).insert_header("WWW-Authenticate", "Basic realm=\"x\"")
            }
        };
        Mock::given(wiremock::matchers::any())
            .respond_with(answer)
            .mount(&server)
            .await;
        let env = TestEnv::new();
        let web = Self { env, server };
        web.git(&["init", "-q", "-b", "main", "work"]);
        web.git(&["init", "-q", "--bare", "objects.git"]);
        let url = web.url("");
        web.git(&["-C", "work", "remote", "add", "origin", &url]);
        web
    }

    fn git(&self, args: &[&str]) {
        let mut command = self.env.command("git");
        self.env.output(command.args(args)).success();
    }

    /// The repository's URL, with something before the host.
    fn url(&self, userinfo: &str) -> String {
        format!(
            "http://{userinfo}{}/sub/alice/fleet.git",
            self.server.address()
        )
    }

    /// Leaves a header as actions/checkout does: in a file that the repository includes by its own path.
    fn leave_header(&self) {
        let git_dir = self.env.dir().join("work/.git");
        let file = self.env.write(
            "left/credentials.config",
            format!(
                "[http \"http://{}/\"]\n\textraheader = AUTHORIZATION: basic bGVmdDpoZXJl\n",
                self.server.address()
            ),
        );
        let key = format!("includeIf.gitdir:{}.path", git_dir.display());
        self.git(&["-C", "work", "config", &key, &file.display().to_string()]);
    }

    fn transport(&self, name_or_url: &str, credential: Option<Credential>) -> Transport {
        let names = ["PATH", "HOME", "GIT_CONFIG_NOSYSTEM"];
        let variables = names
            .into_iter()
            .filter_map(|name| Some((OsString::from(name), self.env.var(name)?.to_owned())));
        let environment = ChildEnvironment::new(variables, &[], &[])
            .0
            // Another's setting in a variable has to survive.
            .with("GIT_CONFIG_COUNT", "1")
            .with("GIT_CONFIG_KEY_0", "http.userAgent")
            .with("GIT_CONFIG_VALUE_0", "git/kept")
            .with_fixed_settings();
        let url = if name_or_url == "origin" {
            self.url("")
        } else {
            name_or_url.to_owned()
        };
        Transport::new(
            Door::new(environment, Cancel::new()),
            self.env.dir().join("work/.git"),
            self.env.dir().join("work"),
            Some(self.env.dir().join("objects.git/objects")),
            Remote {
                name_or_url: name_or_url.to_owned(),
                url: RemoteUrl::parse(&url).unwrap(),
            },
            credential,
        )
    }

    /// What came in `Authorization`, a request each.
    async fn logins(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        requests
            .iter()
            .map(|request| {
                assert_eq!(request.headers.get("user-agent").unwrap(), "git/kept");
                let values: Vec<&str> = request
                    .headers
                    .get_all("authorization")
                    .iter()
                    .map(|value| value.to_str().unwrap())
                    .collect();
                values.join(", ")
            })
            .collect()
    }
}

/// `bot:s3cret`, as Basic has it.
const OURS: &str = "Basic Ym90OnMzY3JldA==";

/// What a checkout left.
const LEFT: &str = "basic bGVmdDpoZXJl";

fn token(exclusive: bool) -> Option<Credential> {
    Some(Credential {
        username: "bot".to_owned(),
        password: SecretString::from("s3cret"),
        exclusive,
    })
}

#[tokio::test]
async fn a_token_given_on_purpose_replaces_what_a_checkout_left() {
    let web = Web::new(OURS).await;
    web.leave_header();
    // A helper of the user's gets to see nothing, and may store nothing.
    let store = web.env.dir().join("stored");
    let helper = format!("store --file={}", store.display());
    web.git(&["-C", "work", "config", "credential.helper", &helper]);
    let transport = web.transport("origin", token(true));
    transport.look(&[]).await.unwrap();
    assert_eq!(web.logins().await, ["", OURS]);
    assert!(!store.exists());
    assert!(transport.has_own_credentials().await);
}

#[tokio::test]
async fn a_token_at_hand_stands_back_behind_what_a_checkout_left() {
    let web = Web::new(LEFT).await;
    web.leave_header();
    let transport = web.transport("origin", token(false));
    transport.look(&[]).await.unwrap();
    assert!(transport.has_own_credentials().await);
    assert_eq!(web.logins().await, [LEFT]);
}

#[tokio::test]
async fn a_token_at_hand_stands_back_behind_a_helper_of_the_users() {
    let web = Web::new("Basic bGVmdDpoZXJl").await;
    // As git-credential-store(1) itself writes a port.
    let address = web.server.address().to_string().replace(':', "%3a");
    let stored = format!("http://left:here@{address}\n");
    let store = web.env.write("stored", &stored);
    let helper = format!("store --file={}", store.display());
    web.git(&["-C", "work", "config", "credential.helper", &helper]);
    let transport = web.transport("origin", token(false));
    transport.look(&[]).await.unwrap();
    assert_eq!(web.logins().await, ["", "Basic bGVmdDpoZXJl"]);
    assert_eq!(fs::read_to_string(&store).unwrap(), stored);
}

#[tokio::test]
async fn a_token_at_hand_is_used_where_there_is_no_other() {
    let web = Web::new(OURS).await;
    let transport = web.transport("origin", token(false));
    transport.look(&[]).await.unwrap();
    assert!(!transport.has_own_credentials().await);
    assert_eq!(web.logins().await, ["", OURS]);
}

#[tokio::test]
async fn a_login_in_a_url_is_used_and_not_shown() {
    let web = Web::new(OURS).await;
    let transport = web.transport(&web.url("bot:s3cret@"), None);
    transport.look(&[]).await.unwrap();
    assert_eq!(web.logins().await, ["", OURS]);

    let web = Web::new("nobody").await;
    for credential in [None, token(true)] {
        let transport = web.transport(&web.url("bot:s3cret@"), credential);
        let error = transport.look(&[]).await.unwrap_err();
        assert_eq!(error.why(), Some(Why::BadCredentials), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_scratch_repository_is_logged_in_as_the_checkout_is() {
    let web = Web::new(LEFT).await;
    web.leave_header();
    web.env.write("objects.git/shallow", "");
    let transport = web.transport("origin", None);
    let main = branch("main");
    let error = transport
        .deepen(&web.env.dir().join("objects.git"), &[Want::Branch(&main)])
        .await
        .unwrap_err();
    // The repository behind it is empty: that it says so is enough.
    assert_eq!(error.why(), Some(Why::NoSuchRef), "{error}");
    assert_eq!(web.logins().await, [LEFT]);
}
