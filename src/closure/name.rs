//! What a store path's name says of the package: its name and its version.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use super::store_path::{MAX_NAME_LEN, is_name_byte};

/// What is known of a path's name beyond its letters, from its derivation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known<'a> {
    /// The output of its derivation: `out`, `dev`.
    pub output: Option<&'a str>,
    /// The derivation's `pname`.
    pub pname: Option<&'a str>,
    /// The derivation's `version`.
    pub version: Option<&'a str>,
}

/// A store path's name taken apart: `BASE-VERSION-VARIANT-OUTPUT.EXTENSION`, of which only the base is always there.
///
/// [`fmt::Display`] puts the parts together again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName<'a> {
    /// What stands before the version.
    pub base: &'a str,
    /// The version.
    pub version: Option<&'a str>,
    /// What follows the version and is neither part of it nor an output (`env`, `fish-completions`): another package than that
    /// without it.
    pub variant: Option<&'a str>,
    /// The output at the end; none for the default one.
    pub output: Option<&'a str>,
    /// What is no part of a package's name, with its dots: `.tar.gz`, `.drv`.
    pub extension: &'a str,
}

impl<'a> PackageName<'a> {
    /// Returns the parts of `name`, which is a [`StorePath::name`](super::StorePath::name), by what it looks like.
    ///
    /// The words of a name are what its hyphens separate.
    ///
    /// - The version begins with the first word, other than that at the start, that begins with a digit, is a Git hash, a tag
    ///   (`v1.2`) or what comes before a date (`git-2015-11-03`). A number without a dot belongs to the base where one with a
    ///   dot follows: `libfprint-2-tod1-goodix-0.0.6`. Unless it is a date: `libedit-20180525-3.1`.
    /// - It ends with the last word that has a digit, or such words behind that as belong to a version: `-dirty`, `-ga`. What
    ///   follows is the variant, so that no variant changes with the version.
    /// - A last word that packages call their outputs is the output.
    /// - `nixos-system-HOST-LABEL`: the label begins at the last word that looks like a release, `25.05`.
    /// - What configuration, a patch or a Debian package is called has no version.
    pub fn parse(name: &'a str) -> Self {
        Self::exact(name, Known::default())
    }

    /// Returns the parts of `name` by what is known of it, and for the rest as [`parse`](Self::parse) does.
    ///
    /// What is known must agree with the name, or it counts as not known. One thing may be missing from the name: the version,
    /// where the name has none. It is then the known one, and [`fmt::Display`] shows it though the name does not.
    pub fn exact(name: &'a str, known: Known<'a>) -> Self {
        let [output, pname, version] = [known.output, known.pname, known.version]
            .map(|text| text.filter(|text| is_plain(text)));
        let (stem, extension) = split_extension(name);
        let (stem, output) = match output {
            Some("out") => (stem, Output::Known(None)),
            Some(known) => match stem.strip_suffix(known).and_then(|s| s.strip_suffix('-')) {
                Some(rest) if !rest.is_empty() => (rest, Output::Known(Some(known))),
                _ => (stem, Output::Unknown),
            },
            None => (stem, Output::Unknown),
        };
        let place = version
            .and_then(|version| find_version(stem, pname, version))
            .or_else(|| guess_version(stem, pname));
        let Some(Place { start, end }) = place else {
            return Self {
                base: stem,
                version,
                variant: None,
                output: output.known(),
                extension,
            };
        };

        let base = stem.get(..start.saturating_sub(1)).unwrap_or(stem);
        let rest = stem.get(start..).unwrap_or_default();
        let (rest, output) = match output {
            Output::Known(output) => (rest, output),
            Output::Unknown => split_output(base, rest, end),
        };
        let end = match end {
            End::Known(length) => length + numbers(rest.get(length..).unwrap_or_default()),
            End::Guess => guess_end(rest),
            End::All => rest.len(),
        };
        let (version, variant) = match (rest.get(..end), rest.get(end..)) {
            (Some(version), Some(variant)) => (version, variant.strip_prefix('-')),
            _ => (rest, None),
        };
        Self {
            base,
            version: Some(version),
            variant,
            output,
            extension,
        }
    }

    /// Returns the package's name: the base, and the variant where there is one.
    pub fn package(&self) -> Cow<'a, str> {
        match self.variant {
            Some(variant) => Cow::Owned(format!("{}-{variant}", self.base)),
            None => Cow::Borrowed(self.base),
        }
    }
}

impl fmt::Display for PackageName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base)?;
        for part in [self.version, self.variant, self.output]
            .into_iter()
            .flatten()
        {
            write!(f, "-{part}")?;
        }
        f.write_str(self.extension)
    }
}

/// What is known of a path's output.
#[derive(Clone, Copy)]
enum Output<'a> {
    Unknown,
    /// None for the default one.
    Known(Option<&'a str>),
}

impl<'a> Output<'a> {
    fn known(self) -> Option<&'a str> {
        match self {
            Self::Known(output) => output,
            Self::Unknown => None,
        }
    }
}

/// Where a version stands in a name.
#[derive(Clone, Copy)]
struct Place {
    /// The index of its first byte, at least 2: the base and a hyphen go before.
    start: usize,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    /// After a known version of so many bytes, and the numbers that follow it: `-6.12.10` of a kernel module.
    Known(usize),
    /// Where it looks like it.
    Guess,
    /// Where the name ends.
    All,
}

/// Returns whether a store path's name could hold `text`.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_LEN && text.bytes().all(is_name_byte)
}

/// Returns the words of `text`, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    text.split('-').map(move |word| {
        let at = next;
        next += word.len() + 1;
        (at, word)
    })
}

/// Returns `name` without its extension, and the extension.
fn split_extension(name: &str) -> (&str, &str) {
    // A name is never empty, so a lone `.drv` is one.
    let strip = |text: &'_ str, end| -> Option<usize> {
        let rest = text.strip_suffix(end)?;
        (!rest.is_empty()).then_some(rest.len())
    };
    let mut end = strip(name, ".drv").unwrap_or(name.len());
    let stem = name.get(..end).unwrap_or(name);
    if let Some((rest, last)) = stem.rsplit_once('.')
        && !rest.is_empty()
        && ARCHIVES.contains(last)
    {
        end = strip(rest, ".tar").unwrap_or(rest.len());
    }
    name.split_at_checked(end).unwrap_or((name, ""))
}

/// Returns where the known `version` stands in `stem`: after `pname`, or else as far back as it does.
fn find_version(stem: &str, pname: Option<&str>, version: &str) -> Option<Place> {
    let mut found = None;
    for (start, _) in words(stem).filter(|(at, _)| *at >= 2) {
        let rest = stem.get(start..).and_then(|s| s.strip_prefix(version));
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            continue;
        }
        found = Some(Place {
            start,
            end: End::Known(version.len()),
        });
        let before = stem.get(..start - 1).unwrap_or_default();
        if pname
            .and_then(|pname| before.strip_suffix(pname))
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
        {
            break;
        }
    }
    found
}

/// Returns where `stem` looks as if a version stands; see [`PackageName::parse`].
fn guess_version(stem: &str, pname: Option<&str>) -> Option<Place> {
    if is_no_package(stem) {
        return None;
    }
    if stem.starts_with(SYSTEM) {
        return system_label(stem);
    }
    let words: Vec<(usize, &str)> = words(stem).collect();
    let place = |start| Place {
        start,
        end: End::Guess,
    };
    let word = |index: usize| words.get(index).map(|(_, word)| *word).unwrap_or_default();
    let begins = |index: usize| {
        is_number(word(index))
            || is_dotted(word(index))
            || is_hash(word(index))
            || (DATED.contains(word(index)) && is_date(word(index + 1), word(index + 2)))
    };

    // A `pname` that the name begins with is the base, or part of it.
    let mut from = 2;
    if let Some(rest) = pname.and_then(|pname| stem.strip_prefix(pname)) {
        if rest.is_empty() {
            return None;
        }
        if rest.starts_with('-') {
            from = (stem.len() - rest.len() + 1).max(from);
            let next = words.iter().position(|(at, _)| *at == from);
            if next.is_some_and(begins) {
                return Some(place(from));
            }
        }
    }

    let is_best = |index: usize| {
        // `22-1.1ubuntu1` is a version and its revision.
        (is_dotted(word(index)) && !word(index).contains("ubuntu"))
            || (is_number(word(index)) && word(index + 1) == "unstable")
    };
    let best = (0..words.len()).rev().find(|index| is_best(*index));
    (0..words.len())
        .filter(|i| words.get(*i).is_some_and(|(at, _)| *at >= from) && begins(*i))
        .find(|i| {
            best <= Some(*i)
                || is_dotted(word(*i))
                || is_date(word(*i), word(i + 1))
                || DATED.contains(word(*i))
        })
        .and_then(|i| words.get(i))
        .map(|(at, _)| place(*at))
}

/// Returns where the label of a `nixos-system-HOST-LABEL` begins. Hosts and labels have hyphens and numbers of their own.
fn system_label(stem: &str) -> Option<Place> {
    let (mut release, mut number) = (None, None);
    for (at, word) in words(stem).filter(|(at, _)| *at >= SYSTEM.len()) {
        if let [a, b, b'.', c, d, rest @ ..] = word.as_bytes()
            && [a, b, c, d].iter().all(|byte| byte.is_ascii_digit())
            && !rest.first().is_some_and(u8::is_ascii_digit)
        {
            release = Some(at);
        } else if is_number(word) {
            number = Some(at);
        }
    }
    release.or(number).map(|start| Place {
        start,
        end: End::All,
    })
}

/// Returns the length of the version that `rest` begins with.
fn guess_end(rest: &str) -> usize {
    let mut end = 0;
    for (at, word) in words(rest) {
        let number = word.bytes().any(|b| b.is_ascii_digit()) && !NO_VERSIONS.contains(word);
        let follows = || word.is_empty() || SUFFIXES.contains(&word.to_ascii_lowercase());
        if number || at == 0 || (at == end + 1 && follows()) {
            end = at + word.len();
        }
    }
    end
}

/// Returns the length of the numbers that `rest` begins with, each with a hyphen before it.
fn numbers(rest: &str) -> usize {
    let mut left = rest;
    while let Some(word) = left.strip_prefix('-').filter(|word| is_number(word)) {
        left = word
            .find('-')
            .and_then(|at| word.get(at..))
            .unwrap_or_default();
    }
    rest.len() - left.len()
}

/// Returns `rest`, which begins with a version, without the output that it looks to end with, and the output.
fn split_output<'a>(base: &str, rest: &'a str, end: End) -> (&'a str, Option<&'a str>) {
    let least = match end {
        End::Known(length) => length,
        End::Guess => 1,
        End::All => return (rest, None),
    };
    match rest.rsplit_once('-') {
        Some((left, word))
            if left.len() >= least
                && (OUTPUTS.contains(word) || (word == "ga" && base.starts_with("qemu"))) =>
        {
            (left, Some(word))
        }
        _ => (rest, None),
    }
}

/// Returns whether `stem` is what configuration, a patch or a Debian package is called.
fn is_no_package(stem: &str) -> bool {
    let file = stem
        .rsplit_once('.')
        .is_some_and(|(_, extension)| FILES.contains(extension));
    let configuration = CONFIGURATION.iter().any(|start| {
        // `unit-1.34.2` is a web server.
        stem.strip_prefix(start)
            .is_some_and(|rest| !is_number(rest))
    });
    // GNU calls its patches `bash52-037`.
    let gnu_patch = ["bash", "readline"].iter().any(|start| {
        matches!(
            stem.strip_prefix(start).map(str::as_bytes),
            Some([a, b, b'-', number @ ..])
                if number.len() == 3 && [a, b].into_iter().chain(number).all(u8::is_ascii_digit)
        )
    });
    // What NixOS configures D-Bus with.
    file || configuration || gnu_patch || stem == "dbus-1"
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Returns whether `word` begins with two numbers with a dot between them, as in `1.2` and `v1.2`.
fn is_dotted(word: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let rest = word.strip_prefix('v').unwrap_or(word);
    is_number(rest)
        && rest
            .trim_start_matches(is_digit)
            .strip_prefix('.')
            .is_some_and(is_number)
}

/// Returns whether `word` is a Git hash, short or whole. Without a digit and a letter it is a word or a number.
pub(super) fn is_hash(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.as_bytes().iter().filter(|byte| is(byte)).count();
    let (digits, letters) = (
        count(u8::is_ascii_digit),
        count(|byte| matches!(byte, b'a'..=b'f')),
    );
    // A kind of key.
    (7..=40).contains(&word.len())
        && digits > 0
        && letters > 0
        && digits + letters == word.len()
        && word != "ed25519"
}

/// Returns whether `word`, with `next` behind it, begins a date: `20240131`, `2024-01`.
pub(super) fn is_date(word: &str, next: &str) -> bool {
    let in_range =
        |text: Option<&str>, from, to| text.is_some_and(|text| from <= text && text <= to);
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    let year = in_range(word.get(..4), "1970", "2099");
    match word.len() {
        8 => {
            digits(word, 8)
                && year
                && in_range(word.get(4..6), "01", "12")
                && in_range(word.get(6..), "01", "31")
        }
        4 => digits(word, 4) && year && digits(next, 2) && in_range(Some(next), "01", "12"),
        _ => false,
    }
}

/// Words to look a word up in, which is done several times for every path of a store.
struct Words {
    /// All of them, a space between any two.
    text: &'static str,
    set: OnceLock<HashSet<&'static str>>,
}

impl Words {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            set: OnceLock::new(),
        }
    }

    fn contains(&self, word: &str) -> bool {
        let set = self.set.get_or_init(|| self.text.split(' ').collect());
        set.contains(word)
    }
}

/// What a system is called, before its host.
const SYSTEM: &str = "nixos-system-";

/// What the names of NixOS's and home-manager's configuration begin with.
const CONFIGURATION: &[&str] = &[
    "unit-",
    "etc-",
    "X-Restart-Triggers-",
    "X-Reload-Triggers-",
    "hm_",
];

/// Extensions of archives, images and other files that sources come as.
static ARCHIVES: Words = Words::new(
    "\
    7z bz2 crate gem gz img iso jar lz lzma oxt qcow2 rar rpm tar tbz tbz2 tgz txz vsix whl xz zip zst",
);

/// Extensions of configuration, scripts, units, patches and Debian packages.
static FILES: Words = Words::new(
    "\
    automount awk bash c cfg cnf conf crt css csv deb desktop device diff dll el env fish gif h hook html ico in ini jpg \
    js json json5 jsonc kdl key link list lock lua md mount netdev network nft nix nspawn nu pam patch path pem php pl \
    plist png policy properties pub py rasi rb rules scm scope scss sed service sh slice socket sql svg swap target \
    template timer toml ts txt vim xkb xml xsl yaml yml zsh",
);

/// Words before a date that belong to the version with it.
static DATED: Words = Words::new("bzr cvs git hg svn unstable");

/// Words without a number that belong to the version that they follow, in any case.
static SUFFIXES: Words = Words::new(
    "\
    alpha beta canary dev dirty final ga git hg incubating lts nightly post pre preview rc release snapshot stable svn \
    unstable",
);

/// Words with a number that do not belong to the version that they follow: platforms, and a few names.
static NO_VERSIONS: Words = Words::new(
    "\
    aarch64 amd64 arm64 armv6l armv7l gtk2 gtk3 gtk4 i18n i386 i686 l10n linux64 powerpc64le python2 python3 qt4 qt5 qt6 \
    riscv64 s390x win32 win64 x11 x64 x86 x86_64",
);

/// Outputs of packages in nixpkgs, but for `out`.
static OUTPUTS: Words = Words::new(
    "\
    bin checksum cli common corepack cxxdev data debug debugsource dev dev_doc dev_private devdoc devman dist dnsutils \
    doc docs drivers driversdev examples fd firmware fonts fuse2fs getent hashed headers help host html hwdb include \
    info installedTests jack jit jre kitten lang lib lib32 libgcc libv8 locale locales login man modules mount nc \
    nixsupport npm openapi opencl osmesa p11kit pam plperl plpython3 pltcl py python sandbox scripts shell_integration \
    spirv2dxil src static stubs su swap symbols teflon terminfo test tests tex texdoc texsource themes tlpkg tools \
    unbundled vlock",
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A name, and what is wanted of it.
    #[derive(serde::Deserialize)]
    struct Row {
        store_name: String,
        /// The package's, so with the variant.
        name: String,
        version: Option<String>,
        output: Option<String>,
        /// What nvd 0.2.4 makes of it, where it was run.
        nvd: Option<(String, Option<String>)>,
    }

    fn rows() -> Vec<Row> {
        serde_json::from_str(include_str!("../../fixtures/closure/store-names.json")).unwrap()
    }

    #[test]
    fn the_table_of_names() {
        let rows = rows();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.store_name.as_str()).collect();
        assert_eq!(names.len(), rows.len(), "a name stands there twice");
        assert!(rows.len() >= 170, "{}", rows.len());
        let wrong: Vec<_> = rows
            .iter()
            .filter_map(|row| {
                let ours = PackageName::parse(&row.store_name);
                let ours = (ours.package().into_owned(), ours.version, ours.output);
                let want = (
                    row.name.clone(),
                    row.version.as_deref(),
                    row.output.as_deref(),
                );
                (ours != want).then_some((&row.store_name, ours))
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn where_nvd_splits_otherwise() {
        let differs = |row: &Row| {
            row.nvd
                .as_ref()
                .is_some_and(|(name, version)| (name, version) != (&row.name, &row.version))
        };
        assert_eq!(rows().iter().filter(|row| differs(row)).count(), 28);
    }

    fn parts(name: PackageName<'_>) -> String {
        let PackageName {
            base,
            version,
            variant,
            output,
            extension,
        } = name;
        let [version, variant, output] = [version, variant, output].map(|part| part.unwrap_or("–"));
        format!("{base} | {version} | {variant} | {output} | {extension}")
    }

    #[test]
    fn the_edges_of_the_rule() {
        let cases = "\
             - -- .drv a.drv a-1.drv a-.drv -1 --1 a--1 a-1-2 ä-1 ä-1-ß-2 a-1- a-1--env a-1-dev- a-1-dev-man dev-1 \
             a-dev .tar.gz a.tar tar.gz.drv a-1.tar.zst.drv 1.2-3.4 a-1-b-2-c-3.0 a-1-2.0 a-20240131-2.0 \
             a-20241331-2.0 a-2024-01-31-2.0 a-2024-13-2.0 a-5-0-unstable-2024-01-01 a-git a-git-1 a-git-20240131 \
             a-v1 a-v1.2 a-V1.2 a-1.x-2.y a-abcdef1 a-ABCDEF1 a-1234567 a-abcdef a-ed25519 unit-1.34.2 nixos-system- \
             nixos-system-a nixos-system-a-1 nixos-system-a-1-b nixos-system-25.05 \
             nixos-system-a-12.34-25.05pre-git-x-dev readline8-001 readline83-0011 a-1.0-x86_64-linux \
             a-1.0-beta-env-dirty";
        let table: Vec<String> = [""]
            .into_iter()
            .chain(cases.split(' '))
            .map(|text| format!("{text} => {}", parts(PackageName::parse(text))))
            .collect();
        insta::assert_snapshot!(table.join("\n"), @"
         =>  | – | – | – | 
        - => - | – | – | – | 
        -- => -- | – | – | – | 
        .drv => .drv | – | – | – | 
        a.drv => a | – | – | – | .drv
        a-1.drv => a | 1 | – | – | .drv
        a-.drv => a- | – | – | – | .drv
        -1 => -1 | – | – | – | 
        --1 => - | 1 | – | – | 
        a--1 => a- | 1 | – | – | 
        a-1-2 => a | 1-2 | – | – | 
        ä-1 => ä | 1 | – | – | 
        ä-1-ß-2 => ä | 1-ß-2 | – | – | 
        a-1- => a | 1- | – | – | 
        a-1--env => a | 1- | env | – | 
        a-1-dev- => a | 1-dev- | – | – | 
        a-1-dev-man => a | 1-dev | – | man | 
        dev-1 => dev | 1 | – | – | 
        a-dev => a-dev | – | – | – | 
        .tar.gz => .tar | – | – | – | .gz
        a.tar => a | – | – | – | .tar
        tar.gz.drv => tar | – | – | – | .gz.drv
        a-1.tar.zst.drv => a | 1 | – | – | .tar.zst.drv
        1.2-3.4 => 1.2 | 3.4 | – | – | 
        a-1-b-2-c-3.0 => a-1-b-2-c | 3.0 | – | – | 
        a-1-2.0 => a-1 | 2.0 | – | – | 
        a-20240131-2.0 => a | 20240131-2.0 | – | – | 
        a-20241331-2.0 => a-20241331 | 2.0 | – | – | 
        a-2024-01-31-2.0 => a | 2024-01-31-2.0 | – | – | 
        a-2024-13-2.0 => a-2024-13 | 2.0 | – | – | 
        a-5-0-unstable-2024-01-01 => a-5 | 0-unstable-2024-01-01 | – | – | 
        a-git => a-git | – | – | – | 
        a-git-1 => a-git | 1 | – | – | 
        a-git-20240131 => a | git-20240131 | – | – | 
        a-v1 => a-v1 | – | – | – | 
        a-v1.2 => a | v1.2 | – | – | 
        a-V1.2 => a-V1.2 | – | – | – | 
        a-1.x-2.y => a | 1.x-2.y | – | – | 
        a-abcdef1 => a | abcdef1 | – | – | 
        a-ABCDEF1 => a-ABCDEF1 | – | – | – | 
        a-1234567 => a | 1234567 | – | – | 
        a-abcdef => a-abcdef | – | – | – | 
        a-ed25519 => a-ed25519 | – | – | – | 
        unit-1.34.2 => unit | 1.34.2 | – | – | 
        nixos-system- => nixos-system- | – | – | – | 
        nixos-system-a => nixos-system-a | – | – | – | 
        nixos-system-a-1 => nixos-system-a | 1 | – | – | 
        nixos-system-a-1-b => nixos-system-a | 1-b | – | – | 
        nixos-system-25.05 => nixos-system | 25.05 | – | – | 
        nixos-system-a-12.34-25.05pre-git-x-dev => nixos-system-a-12.34 | 25.05pre-git-x-dev | – | – | 
        readline8-001 => readline8 | 001 | – | – | 
        readline83-0011 => readline83 | 0011 | – | – | 
        a-1.0-x86_64-linux => a | 1.0 | x86_64-linux | – | 
        a-1.0-beta-env-dirty => a | 1.0-beta | env-dirty | – |
        ");
    }

    #[test]
    fn what_is_known_goes_before_what_it_looks_like() {
        // Name, output, pname, version.
        let cases = [
            ("hello-2.12.1", "out", "hello", "2.12.1"),
            (
                "python3.12-requests-2.32.3-dist",
                "dist",
                "requests",
                "2.32.3",
            ),
            (
                "nvidia-x11-550.144.03-6.12.10-lib32",
                "lib32",
                "",
                "550.144.03",
            ),
            ("foo-1.0-dev", "out", "foo", "1.0"),
            ("foo-1.0-dev", "", "foo", "1.0"),
            ("foo-1.0-weird", "weird", "foo", "1.0"),
            ("foo-1.0-weird", "", "foo", "1.0"),
            ("foo-weird", "weird", "", ""),
            ("foo-1.0", "dev", "foo", "1.0"),
            ("dev", "dev", "", ""),
            ("lib-2-2-2", "out", "lib-2", "2"),
            ("a-1-b-1-c", "out", "", "1"),
            ("foo-alpha-env", "out", "foo", "alpha"),
            ("foo-1.0.1", "out", "foo", "1.0"),
            ("foo-1.0+git", "out", "foo", "1.0"),
            ("hello-2.12.1.tar.gz", "out", "hello", "2.12.1"),
            ("script", "out", "script", "1"),
            ("script-man", "man", "script", "1"),
            ("script-wrapped", "out", "script", "1"),
            ("polkit-qt-1-0.200.0", "out", "polkit-qt-1", ""),
            ("polkit-qt-1", "out", "polkit-qt-1", ""),
            ("gnome-2048-46", "", "gnome-2048", ""),
            ("foo-bar-3-1.0", "", "foo", ""),
            ("foo-1.0", "", "bar", ""),
            ("foo-1.0", "not an output", "ü", "1.0 beta"),
            ("1.0", "out", "", "1.0"),
            ("etc-hosts", "out", "", "3"),
        ];
        let table: Vec<String> = cases
            .into_iter()
            .map(|(name, output, pname, version)| {
                let known = Known {
                    output: Some(output),
                    pname: Some(pname),
                    version: Some(version),
                };
                let found = PackageName::exact(name, known);
                format!("{name} ({output}, {pname}, {version}) => {}", parts(found))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"), @"
        hello-2.12.1 (out, hello, 2.12.1) => hello | 2.12.1 | – | – | 
        python3.12-requests-2.32.3-dist (dist, requests, 2.32.3) => python3.12-requests | 2.32.3 | – | dist | 
        nvidia-x11-550.144.03-6.12.10-lib32 (lib32, , 550.144.03) => nvidia-x11 | 550.144.03-6.12.10 | – | lib32 | 
        foo-1.0-dev (out, foo, 1.0) => foo | 1.0 | dev | – | 
        foo-1.0-dev (, foo, 1.0) => foo | 1.0 | – | dev | 
        foo-1.0-weird (weird, foo, 1.0) => foo | 1.0 | – | weird | 
        foo-1.0-weird (, foo, 1.0) => foo | 1.0 | weird | – | 
        foo-weird (weird, , ) => foo | – | – | weird | 
        foo-1.0 (dev, foo, 1.0) => foo | 1.0 | – | – | 
        dev (dev, , ) => dev | – | – | – | 
        lib-2-2-2 (out, lib-2, 2) => lib-2 | 2-2 | – | – | 
        a-1-b-1-c (out, , 1) => a-1-b | 1 | c | – | 
        foo-alpha-env (out, foo, alpha) => foo | alpha | env | – | 
        foo-1.0.1 (out, foo, 1.0) => foo | 1.0.1 | – | – | 
        foo-1.0+git (out, foo, 1.0) => foo | 1.0+git | – | – | 
        hello-2.12.1.tar.gz (out, hello, 2.12.1) => hello | 2.12.1 | – | – | .tar.gz
        script (out, script, 1) => script | 1 | – | – | 
        script-man (man, script, 1) => script | 1 | – | man | 
        script-wrapped (out, script, 1) => script-wrapped | 1 | – | – | 
        polkit-qt-1-0.200.0 (out, polkit-qt-1, ) => polkit-qt-1 | 0.200.0 | – | – | 
        polkit-qt-1 (out, polkit-qt-1, ) => polkit-qt-1 | – | – | – | 
        gnome-2048-46 (, gnome-2048, ) => gnome-2048 | 46 | – | – | 
        foo-bar-3-1.0 (, foo, ) => foo-bar-3 | 1.0 | – | – | 
        foo-1.0 (, bar, ) => foo | 1.0 | – | – | 
        foo-1.0 (not an output, ü, 1.0 beta) => foo | 1.0 | – | – | 
        1.0 (out, , 1.0) => 1.0 | 1.0 | – | – | 
        etc-hosts (out, , 3) => etc-hosts | 3 | – | – |
        ");
    }

    #[test]
    fn a_long_name_takes_no_longer_than_it_is_long() {
        // 300,000 bytes: anything but linear time does not end.
        for part in [
            "1",
            "1-",
            "-",
            "1.",
            "a-1.0-",
            "git-2024-01-",
            "abcdef1-",
            ".tar",
            ".gz",
            "unstable-",
        ] {
            let name = format!("a-{}", part.repeat(300_000 / part.len()));
            let parsed = PackageName::parse(&name);
            assert!(parsed.to_string() == name, "{part}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            "[a-f0-9.]{0,8}",
            Just("unstable".to_owned()),
            Just("dev".to_owned()),
            Just("env".to_owned()),
            Just("2024".to_owned()),
            Just("05".to_owned()),
            Just("25.05pre-git".to_owned()),
            Just("nixos-system".to_owned()),
        ];
        let words = proptest::collection::vec(word, 0..6).prop_map(|words| words.join("-"));
        prop_oneof![
            any::<String>(),
            (words, "(\\.conf)?(\\.tar)?(\\.gz)?(\\.drv)?").prop_map(|(a, b)| a + &b)
        ]
    }

    proptest! {
        #[test]
        fn parsing_loses_no_byte(text in name()) {
            let parsed = PackageName::parse(&text);
            prop_assert_eq!(parsed.to_string(), text.as_str());
            prop_assert_eq!(parsed.base.is_empty(), text.is_empty());
            prop_assert!(parsed.version != Some("") && parsed.variant != Some("") && parsed.output != Some(""));
            prop_assert!(parsed.version.is_some() || (parsed.variant, parsed.output) == (None, None));
        }

        #[test]
        fn a_name_that_is_put_together_is_taken_apart_by_what_is_known(
            base in "[a-zA-Z0-9+._?=]([a-zA-Z0-9+._?=-]{0,9}[a-zA-Z0-9+_?=])?",
            version in "[a-zA-Z0-9+._?=]([a-zA-Z0-9+._?=-]{0,9}[a-zA-Z0-9+_?=])?",
            variant in proptest::option::of("[a-z]{1,9}"),
            output in proptest::option::of("[a-zA-Z][a-zA-Z0-9_]{0,9}"),
        ) {
            prop_assume!(output.as_deref() != Some("out"));
            let whole = PackageName {
                base: &base,
                version: Some(&version),
                variant: variant.as_deref(),
                output: output.as_deref(),
                extension: "",
            };
            let name = whole.to_string();
            prop_assume!(split_extension(&name).1.is_empty());
            let known = Known {
                output: Some(output.as_deref().unwrap_or("out")),
                pname: Some(&base),
                version: Some(&version),
            };
            let found = PackageName::exact(&name, known);
            prop_assert_eq!(found, whole);
        }

        #[test]
        fn what_is_known_loses_no_byte(
            name in name(),
            known in proptest::collection::vec(prop_oneof![name(), "[a-f0-9.-]{0,3}"], 3),
        ) {
            let [output, pname, version] = [0, 1, 2].map(|at| Some(known[at].as_str()));
            let found = PackageName::exact(&name, Known { output, pname, version });
            if found.to_string() != name {
                let without = PackageName { version: None, ..found };
                prop_assert_eq!((without.to_string(), found.version), (name.clone(), version));
            }
        }
    }
}
