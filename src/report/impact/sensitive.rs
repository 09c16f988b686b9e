//! The packages that matter for security.

use globset::{Glob, GlobMatcher};

use super::reboot::is_kernel;

/// Packages that keep attackers out or that attackers reach first, by their whole names, in byte order: what listens to the network
/// or reads what comes from it, holds keys and passwords, confines others or runs with more rights than its user, and the libraries
/// that all of these stand on.
const NAMES: &[&str] = &[
    "apache-httpd",
    "apparmor",
    "avahi",
    "bash",
    "bash-interactive",
    "bind",
    "brave",
    "busybox",
    "caddy",
    "certbot",
    "containerd",
    "coturn",
    "crun",
    "cryptsetup",
    "cups",
    "curl",
    "cyrus-sasl",
    "dbus",
    "dbus-broker",
    "dnsmasq",
    "doas",
    "docker",
    "dovecot",
    "dropbear",
    "exim",
    "expat",
    "fail2ban",
    "flatpak",
    "forgejo",
    "git",
    "git-minimal",
    "gitea",
    "gitlab",
    "glibc",
    "gnupg",
    "gnutls",
    "google-chrome",
    "grafana",
    "grub",
    "haproxy",
    "hostapd",
    "iptables",
    "iwd",
    "jellyfin",
    "keycloak",
    "knot-dns",
    "knot-resolver",
    "krb5",
    "lego",
    "libarchive",
    "libgcrypt",
    "libressl",
    "libsodium",
    "libssh",
    "libssh2",
    "libvirt",
    "libwebp",
    "libxml2",
    "lighttpd",
    "linux-pam",
    "lix",
    "mariadb",
    "mariadb-server",
    "mbedtls",
    "mosquitto",
    "musl",
    "mysql",
    "networkmanager",
    "nextcloud",
    "nftables",
    "nghttp2",
    "nginx",
    "nix",
    "nss",
    "nss-cacert",
    "ntp",
    "opendoas",
    "openldap",
    "opensmtpd",
    "openssh",
    "openssl",
    "openvpn",
    "p11-kit",
    "php",
    "php-with-extensions",
    "podman",
    "polkit",
    "postfix",
    "postgresql",
    "postgresql-and-plugins",
    "qemu",
    "redis",
    "rsync",
    "runc",
    "samba",
    "shadow",
    "shim",
    "sqlite",
    "squid",
    "sssd",
    "strongswan",
    "stunnel",
    "sudo",
    "sudo-rs",
    "systemd",
    "tailscale",
    "tor",
    "traefik",
    "unbound",
    "util-linux",
    "valkey",
    "vaultwarden",
    "vivaldi",
    "wget",
    "wireguard-tools",
    "wolfssl",
    "wpa_supplicant",
    "xen",
    "xorg-server",
    "xwayland",
    "xz",
    "zlib",
];

/// Packages of the same kind that come under several names, by what these begin with: browsers, and what others are browsers by.
const BEGINNINGS: &[&str] = &[
    "chromium",
    "electron",
    "firefox",
    "librewolf",
    "qtwebengine",
    "thunderbird",
    "tor-browser",
    "ungoogled-chromium",
    "webkitgtk",
];

/// Which packages matter for security: those that are known here, every kernel, and those that the user adds.
#[derive(Debug, Clone, Default)]
pub struct Sensitive {
    added: Vec<GlobMatcher>,
}

impl Sensitive {
    /// Returns the packages known here together with those whose name one of `added` matches.
    pub fn with(added: &[Glob]) -> Self {
        Self {
            added: added.iter().map(Glob::compile_matcher).collect(),
        }
    }

    /// Returns whether the package of this name is one of them.
    pub fn contains(&self, name: &str) -> bool {
        NAMES.binary_search(&name).is_ok()
            || BEGINNINGS.iter().any(|start| name.starts_with(start))
            || is_kernel(name)
            || self.added.iter().any(|glob| glob.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(NAMES.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn packages_are_known_by_their_names_and_by_what_the_user_adds() {
        let glob = |text: &str| Glob::new(text).unwrap();
        let added = Sensitive::with(&[glob("our-*"), glob("vpnd")]);
        let plain = Sensitive::default();
        for (name, known, with_ours) in [
            ("openssl", true, true),
            ("openssl-legacy", false, false),
            ("firefox-unwrapped", true, true),
            ("linux", true, true),
            ("linux-rpi", true, true),
            ("linux-headers", false, false),
            ("linux-modules-shrunk", false, false),
            ("initrd-linux", false, false),
            ("our-gateway", false, true),
            ("our", false, false),
            ("vpnd", false, true),
            ("vpnd2", false, false),
            ("", false, false),
        ] {
            assert_eq!(plain.contains(name), known, "{name}");
            assert_eq!(added.contains(name), with_ours, "{name}");
        }
    }
}
