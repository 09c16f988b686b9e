//! An SSH server on loopback, for git to push through: Debian's sshd, with a host key and user keys of the test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::TestEnv;

/// How long the server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Where sshd is; it wants to be started by its absolute path, and is not on everybody's `PATH`.
const SSHD: &str = "/usr/sbin/sshd";

/// What sshd separates its privileges in when root starts it. Debian makes it when the service starts.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    child: Child,
    port: u16,
    dir: PathBuf,
    user: String,
}

impl Sshd {
    /// Starts a server that lets in nobody yet.
    pub(crate) fn start(env: &TestEnv) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "this test needs sshd: apt-get install openssh-server"
        );
        let user = text(env, &["id", "-un"]);
        if user == "root" {
            fs::create_dir_all(PRIVILEGE_SEPARATION).expect("sshd's directory");
        }
        let dir = env.dir().join("ssh");
        fs::create_dir(&dir).expect("a directory for keys");
        generate(env, &dir.join("host"));
        // Nobody holds the port between here and sshd's bind; the kernel gives a number again only after all others.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\n\
             HostKey {dir}/host\n\
             PidFile none\n\
             AuthorizedKeysFile {dir}/authorized_keys\n\
             PermitRootLogin yes\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             UsePAM no\n\
             StrictModes no\n\
             SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1\n",
            dir = dir.display()
        );
        fs::write(dir.join("sshd_config"), config).expect("sshd's configuration");
        fs::write(dir.join("authorized_keys"), "").expect("a file for keys");
        let key = fs::read_to_string(dir.join("host.pub")).expect("the host key");
        fs::write(dir.join("known_hosts"), format!("[127.0.0.1]:{port} {key}"))
            .expect("a file for hosts");
        fs::write(dir.join("no_hosts"), "").expect("a file for hosts");
        let log = fs::File::create(dir.join("log")).expect("a log");
        let child = env
            .command(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(dir.join("sshd_config"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let mut sshd = Self {
            child,
            port,
            dir,
            user,
        };
        sshd.wait();
        sshd
    }

    fn wait(&mut self) {
        let started = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().expect("sshd can be waited for");
            if ended.is_some() || started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("sshd does not listen ({ended:?}):\n{log}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the URL of a repository of this machine, through the server.
    pub(crate) fn url(&self, repository: &Path) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            repository.display()
        )
    }

    /// Makes a key that may do everything, and returns the command line of ssh with it.
    pub(crate) fn key(&self, env: &TestEnv, name: &str) -> String {
        self.add(env, name, "");
        self.command(name, "known_hosts")
    }

    /// Makes a key that may only read, as a forge's deploy key, and returns the command line of ssh with it.
    pub(crate) fn read_only_key(&self, env: &TestEnv, name: &str) -> String {
        let script = env.write(
            "ssh/read-only",
            "#!/bin/sh\n\
             case $SSH_ORIGINAL_COMMAND in\n\
             \"git-upload-pack '\"*) exec git shell -c \"$SSH_ORIGINAL_COMMAND\" ;;\n\
             *) echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2; exit 1 ;;\n\
             esac\n",
        );
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions");
        self.add(
            env,
            name,
            &format!("restrict,command=\"{}\" ", script.display()),
        );
        self.command(name, "known_hosts")
    }

    /// Returns the command line of ssh with a key of the name, which the server need not know, for a machine that has never
    /// seen the server.
    pub(crate) fn as_a_stranger(&self, name: &str) -> String {
        self.command(name, "no_hosts")
    }

    /// Makes a key that the server does not know, and returns the command line of ssh with it.
    pub(crate) fn unknown_key(&self, env: &TestEnv, name: &str) -> String {
        generate(env, &self.dir.join(name));
        self.command(name, "known_hosts")
    }

    fn add(&self, env: &TestEnv, name: &str, options: &str) {
        generate(env, &self.dir.join(name));
        let file = self.dir.join("authorized_keys");
        let mut keys = fs::read_to_string(&file).expect("the keys so far");
        let key = fs::read_to_string(self.dir.join(format!("{name}.pub"))).expect("a key");
        keys.push_str(options);
        keys.push_str(&key);
        fs::write(&file, keys).expect("a file for keys");
    }

    fn command(&self, name: &str, hosts: &str) -> String {
        let dir = self.dir.display();
        format!(
            "ssh -F /dev/null -i '{dir}/{name}' -oIdentitiesOnly=yes -oUserKnownHostsFile='{dir}/{hosts}' \
             -oGlobalKnownHostsFile=/dev/null -oStrictHostKeyChecking=yes"
        )
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // What serves a connection ends with the connection.
        if self.child.kill().is_ok() {
            let _status = self.child.wait();
        }
    }
}

fn generate(env: &TestEnv, path: &Path) {
    env.output(
        env.command("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(path),
    )
    .success();
}

fn text(env: &TestEnv, argv: &[&str]) -> String {
    let (program, args) = argv.split_first().expect("a program");
    let out = env.output(env.command(program).args(args)).success();
    out.stdout.trim().to_owned()
}
