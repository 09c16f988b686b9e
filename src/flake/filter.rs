//! Which of a flake's hosts are wanted.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::{AttrPath, Host, HostId, Kind, Survey, listed};

/// What is left out unless asked for: installers and the like, which nobody upgrades.
const DEFAULT_EXCLUDE: &str = "*-minimal";

/// Picks hosts by globs over their names.
///
/// `*` also matches `/` and `@`; a literal `[` or `{` is written with a backslash before it. A pattern
/// `kind:glob` looks at hosts of that kind only.
#[derive(Debug, Clone)]
pub struct HostFilter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// A pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the host pattern `{pattern}` is not a glob: {reason}")]
pub struct FilterError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What a filter made of a flake's hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The hosts wanted, in the order of their identity.
    pub hosts: Vec<Host>,
    /// The hosts that a pattern left out, in the same order.
    pub excluded: Vec<Excluded>,
}

/// A host that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excluded {
    /// The host.
    pub id: HostId,
    /// The pattern that left it out.
    pub pattern: String,
}

/// No host is left to look at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoHost {
    /// The flake has none of the kinds looked for.
    #[error("the flake has no hosts in {}", in_flake(.kinds, .survey.as_deref()))]
    InFlake {
        /// The kinds looked for.
        kinds: Vec<Kind>,
        /// What it has instead, where that was asked.
        survey: Option<Box<Survey>>,
    },
    /// A pattern of `--host` matches nothing.
    #[error("no host matches {}; the flake has {}", listed([.pattern]), listed(.known.iter().map(HostId::to_string)))]
    Matching {
        /// The pattern.
        pattern: String,
        /// The hosts there are.
        known: Vec<HostId>,
    },
    /// A pattern of `--host` names a kind that is not looked at.
    #[error("no host matches {}, because hosts of the kind `{}` are not looked at", listed([.pattern]), .kind.as_str())]
    OtherKind {
        /// The pattern.
        pattern: String,
        /// The kind it names.
        kind: Kind,
    },
    /// Every host is excluded.
    #[error("every host {}is left out: {}", if *.picked { "that --host matches " } else { "" }, excluded_list(.excluded))]
    AllExcluded {
        /// The hosts, and by which pattern.
        excluded: Vec<Excluded>,
        /// Whether `--host` had picked them out of more.
        picked: bool,
    },
}

#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    kind: Option<Kind>,
    literal: bool,
    glob: GlobMatcher,
}

impl HostFilter {
    /// Returns the filter for these patterns; the default exclude is added unless it is switched off.
    ///
    /// # Errors
    ///
    /// The first pattern that is no glob.
    pub fn new(
        include: &[String],
        exclude: &[String],
        default_excludes: bool,
    ) -> Result<Self, FilterError> {
        let exclude = Self::effective_excludes(exclude, default_excludes);
        Ok(Self {
            include: include
                .iter()
                .map(|text| Pattern::new(text))
                .collect::<Result<_, _>>()?,
            exclude: exclude
                .iter()
                .map(|text| Pattern::new(text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Returns the excludes in force: the ones given, and the default one unless it is switched off.
    pub fn effective_excludes(exclude: &[String], default_excludes: bool) -> Vec<String> {
        let default = default_excludes.then(|| DEFAULT_EXCLUDE.to_owned());
        default.into_iter().chain(exclude.iter().cloned()).collect()
    }

    /// Returns whether a pattern to include matches the host; excludes are not looked at.
    pub fn names(&self, id: &HostId) -> bool {
        self.include.iter().any(|pattern| pattern.matches(id))
    }

    /// Returns whether a pattern to include names the host, without a wildcard.
    pub fn names_literally(&self, id: &HostId) -> bool {
        self.include.iter().any(|p| p.literal && p.matches(id))
    }

    /// Returns the patterns that name a host to leave out, without a wildcard, and match none of `hosts`.
    ///
    /// A pattern of a kind that is not among `kinds` is right elsewhere, and not returned.
    pub fn idle_excludes(&self, hosts: &[Host], kinds: &[Kind]) -> Vec<&str> {
        self.exclude
            .iter()
            .filter(|p| p.literal && p.kind.is_none_or(|kind| kinds.contains(&kind)))
            .filter(|p| {
                let mut filtered = hosts.iter().filter(|host| host.id.kind != Kind::Attr);
                !filtered.any(|host| p.matches(&host.id))
            })
            .map(|p| p.text.as_str())
            .collect()
    }

    /// Returns the hosts that are wanted, and those that a pattern left out.
    ///
    /// A host at a path of the user's is never filtered, but is not there twice: what is wanted as a host of its kind
    /// is that. A pattern to include that has no wildcard in it names a host, and beats the excludes.
    ///
    /// # Errors
    ///
    /// There is no host at all, a pattern to include matches none, or every one is excluded.
    pub fn select(&self, mut hosts: Vec<Host>, kinds: &[Kind]) -> Result<Selection, NoHost> {
        hosts.sort();
        hosts.dedup();
        if hosts.is_empty() {
            return Err(NoHost::InFlake {
                kinds: kinds.to_vec(),
                survey: None,
            });
        }
        // A name with a typo must not shrink the fleet silently.
        for pattern in &self.include {
            if !hosts.iter().any(|host| pattern.matches(&host.id)) {
                if let Some(kind) = pattern.kind
                    && kind != Kind::Attr
                    && !kinds.contains(&kind)
                {
                    return Err(NoHost::OtherKind {
                        pattern: pattern.text.clone(),
                        kind,
                    });
                }
                return Err(NoHost::Matching {
                    pattern: pattern.text.clone(),
                    known: hosts.into_iter().map(|host| host.id).collect(),
                });
            }
        }
        let mut selection = Selection {
            hosts: Vec::new(),
            excluded: Vec::new(),
        };
        for host in hosts {
            let id = &host.id;
            let named = id.kind == Kind::Attr || self.names_literally(id);
            if !named && !self.include.is_empty() && !self.include.iter().any(|p| p.matches(id)) {
                continue;
            }
            match self.exclude.iter().find(|p| !named && p.matches(id)) {
                Some(pattern) => selection.excluded.push(Excluded {
                    id: host.id,
                    pattern: pattern.text.clone(),
                }),
                None => selection.hosts.push(host),
            }
        }
        if selection.hosts.is_empty() {
            return Err(NoHost::AllExcluded {
                excluded: selection.excluded,
                picked: !self.include.is_empty(),
            });
        }
        let known: BTreeSet<AttrPath> = selection
            .hosts
            .iter()
            .filter(|host| host.id.kind != Kind::Attr)
            .map(|host| host.attr.clone())
            .collect();
        selection
            .hosts
            .retain(|host| host.id.kind != Kind::Attr || !known.contains(&host.attr));
        Ok(selection)
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, FilterError> {
        let (kind, glob) = split_kind(text);
        let matcher = GlobBuilder::new(&with_lone_braces(glob))
            .literal_separator(false)
            .backslash_escape(true)
            .build()
            .map_err(|error| FilterError {
                pattern: text.to_owned(),
                reason: error.kind().to_string(),
            })?
            .compile_matcher();
        Ok(Self {
            text: text.to_owned(),
            kind,
            literal: !has_wildcard(glob),
            glob: matcher,
        })
    }

    fn matches(&self, id: &HostId) -> bool {
        self.kind.is_none_or(|kind| kind == id.kind) && self.glob.is_match(&id.name)
    }
}

/// Escapes each `}` that closes nothing: as the end of a literal `\{` it would be a mistake to globset.
fn with_lone_braces(glob: &str) -> String {
    let mut out = String::with_capacity(glob.len());
    let mut open = 0_usize;
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '[' => {
                // Nothing in a class is a brace; a bracket at its beginning does not end it.
                out.push(c);
                let mut first = true;
                for c in chars.by_ref() {
                    out.push(c);
                    if c == ']' && !first {
                        break;
                    }
                    first = first && matches!(c, '!' | '^');
                }
                continue;
            }
            '{' => open += 1,
            '}' if open == 0 => out.push('\\'),
            '}' => open -= 1,
            _ => {}
        }
        out.push(c);
    }
    out
}

fn has_wildcard(glob: &str) -> bool {
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' | '{' => return true,
            _ => {}
        }
    }
    false
}

/// Returns the kind that a pattern is about, and the name that it would be if nothing in it were a wildcard.
pub fn literally(pattern: &str) -> (Option<Kind>, String) {
    let (kind, glob) = split_kind(pattern);
    let mut name = String::new();
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.extend(chars.next()),
            c => name.push(c),
        }
    }
    (kind, name)
}

fn split_kind(pattern: &str) -> (Option<Kind>, &str) {
    match pattern.split_once(':') {
        Some((kind, rest)) => match kind.parse() {
            Ok(kind) => (Some(kind), rest),
            Err(()) => (None, pattern),
        },
        None => (None, pattern),
    }
}

fn in_flake(kinds: &[Kind], survey: Option<&Survey>) -> String {
    match survey {
        Some(survey) => format!("{}{}", survey.without(kinds), survey.instead()),
        None => Survey::default().without(kinds),
    }
}

fn excluded_list(excluded: &[Excluded]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<String> = excluded
        .iter()
        .take(MOST)
        .map(|host| {
            format!(
                "{} by {}",
                listed([host.id.to_string()]),
                listed([&host.pattern])
            )
        })
        .collect();
    if excluded.len() > MOST {
        shown.push(format!("{} more", excluded.len() - MOST));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> Vec<Host> {
        let mut hosts: Vec<Host> = ["web", "db1", "db2", "installer-minimal", "a[1]"]
            .iter()
            .map(|name| Host::named(Kind::Nixos, name))
            .collect();
        hosts.push(Host::named(Kind::Home, "alice@web"));
        hosts
    }

    fn select(include: &[&str], exclude: &[&str], defaults: bool) -> String {
        let own = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let filter = match HostFilter::new(&own(include), &own(exclude), defaults) {
            Ok(filter) => filter,
            Err(error) => return error.to_string(),
        };
        match filter.select(fleet(), &[Kind::Nixos, Kind::Home]) {
            Ok(selection) => {
                let hosts: Vec<&str> = selection.hosts.iter().map(|h| h.id.name.as_str()).collect();
                let out: Vec<String> = selection
                    .excluded
                    .iter()
                    .map(|e| format!("{} by {}", e.id, e.pattern))
                    .collect();
                format!("{} | {}", hosts.join(" "), out.join(" "))
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn patterns_pick_and_leave_out() {
        let table = [
            (vec![], vec![], true),
            (vec![], vec![], false),
            (vec!["db*"], vec!["db2"], true),
            (vec!["installer-minimal"], vec![], true),
            (vec!["*minimal", "web"], vec![], true),
            (vec!["nixos:*web"], vec![], true),
            (vec!["*web"], vec![], true),
            (vec!["home:*"], vec![], true),
            (vec!["a\\[1\\]"], vec!["*"], true),
            (vec!["wbe"], vec![], true),
            (vec![], vec!["*"], true),
            (vec!["a["], vec![], true),
            (vec!["{web,db?}"], vec![], true),
            (vec!["[{a]*"], vec![], true),
            (vec!["$\\{x}"], vec![], true),
            (vec!["db{1}}"], vec![], true),
        ]
        .map(|(include, exclude, defaults)| {
            format!(
                "{include:?} {exclude:?} {defaults} -> {}",
                select(&include, &exclude, defaults)
            )
        });
        insta::assert_snapshot!(table.join("\n"), @r#"
        [] [] true -> a[1] db1 db2 web alice@web | nixos:installer-minimal by *-minimal
        [] [] false -> a[1] db1 db2 installer-minimal web alice@web | 
        ["db*"] ["db2"] true -> db1 | nixos:db2 by db2
        ["installer-minimal"] [] true -> installer-minimal | 
        ["*minimal", "web"] [] true -> web | nixos:installer-minimal by *-minimal
        ["nixos:*web"] [] true -> web | 
        ["*web"] [] true -> web alice@web | 
        ["home:*"] [] true -> alice@web | 
        ["a\\[1\\]"] ["*"] true -> a[1] | 
        ["wbe"] [] true -> no host matches `wbe`; the flake has `nixos:a[1]`, `nixos:db1`, `nixos:db2`, `nixos:installer-minimal`, `nixos:web`, `home:alice@web`
        [] ["*"] true -> every host is left out: `nixos:a[1]` by `*`, `nixos:db1` by `*`, `nixos:db2` by `*`, `nixos:installer-minimal` by `*-minimal`, `nixos:web` by `*`, `home:alice@web` by `*`
        ["a["] [] true -> the host pattern `a[` is not a glob: unclosed character class; missing ']'
        ["{web,db?}"] [] true -> db1 db2 web | 
        ["[{a]*"] [] true -> a[1] alice@web | 
        ["$\\{x}"] [] true -> no host matches `$\{x}`; the flake has `nixos:a[1]`, `nixos:db1`, `nixos:db2`, `nixos:installer-minimal`, `nixos:web`, `home:alice@web`
        ["db{1}}"] [] true -> no host matches `db{1}}`; the flake has `nixos:a[1]`, `nixos:db1`, `nixos:db2`, `nixos:installer-minimal`, `nixos:web`, `home:alice@web`
        "#);
    }

    #[test]
    fn a_flake_without_hosts_says_where_it_looked() {
        let filter = HostFilter::new(&[], &[], true).unwrap();
        let error = filter
            .select(Vec::new(), &[Kind::Nixos, Kind::Home])
            .unwrap_err();
        insta::assert_snapshot!(error, @"the flake has no hosts in `nixosConfigurations` or `homeConfigurations`");
    }

    #[test]
    fn a_pattern_of_a_kind_that_is_not_looked_at_says_so() {
        let filter = HostFilter::new(&["darwin:mac".to_owned()], &[], true).unwrap();
        let other = filter.select(fleet(), &[Kind::Nixos, Kind::Home]);
        insta::assert_snapshot!(other.unwrap_err(), @"no host matches `darwin:mac`, because hosts of the kind `darwin` are not looked at");
        // Looked at, and there is none: that is a wrong name.
        let none = filter.select(fleet(), &Kind::ALL);
        assert!(matches!(none, Err(NoHost::Matching { .. })));
    }

    #[test]
    fn a_host_with_a_wildcard_in_its_name_can_be_named() {
        let names = [
            "a*",
            "a[1]",
            "{x}",
            "w?",
            "b\\c",
            "home:alice",
            "two\nlines",
            "größe",
            "a*b",
        ];
        let hosts = || {
            names
                .iter()
                .map(|name| Host::named(Kind::Nixos, name))
                .collect::<Vec<_>>()
        };
        for host in hosts() {
            let pattern = host.id.pattern(false);
            let filter = HostFilter::new(std::slice::from_ref(&pattern), &[], true).unwrap();
            let selection = filter.select(hosts(), &[Kind::Nixos]).unwrap();
            assert_eq!(selection.hosts, std::slice::from_ref(&host), "{pattern}");
            assert!(filter.names_literally(&host.id), "{pattern}");
            assert_eq!(literally(&pattern).1, host.id.name);
        }
        // A line break is a sign like others.
        let filter = HostFilter::new(&["two?lines".to_owned()], &[], true).unwrap();
        let selection = filter.select(hosts(), &[Kind::Nixos]).unwrap();
        assert_eq!(selection.hosts.len(), 1);
    }

    #[test]
    fn an_exclude_that_leaves_out_nothing_is_found() {
        let exclude = [
            "wbe",
            "web",
            "nixos:db3",
            "home:bob",
            "darwin:mac",
            "x*",
            "attr:packages.x",
            "a\\[1\\]",
        ];
        let filter = HostFilter::new(&[], &exclude.map(str::to_owned), true).unwrap();
        let idle = filter.idle_excludes(&fleet(), &[Kind::Nixos, Kind::Home]);
        assert_eq!(idle, ["wbe", "nixos:db3", "home:bob"]);
    }

    #[test]
    fn a_host_is_not_looked_at_twice() {
        let path = Host::named(Kind::Nixos, "web").attr;
        let at = |include: &[String], exclude: &[String]| {
            let filter = HostFilter::new(include, exclude, true).unwrap();
            let mut hosts = fleet();
            hosts.push(Host::at(path.clone()));
            let selection = filter.select(hosts, &[Kind::Nixos]).unwrap().hosts;
            selection
                .iter()
                .filter(|host| host.attr == path)
                .map(|host| host.id.kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(at(&[], &[]), [Kind::Nixos]);
        assert_eq!(at(&["db*".to_owned()], &[]), [Kind::Attr]);
        assert_eq!(at(&[], &["web".to_owned()]), [Kind::Attr]);
    }

    #[test]
    fn a_host_at_a_path_is_never_filtered() {
        let filter = HostFilter::new(&["web".to_owned()], &["*".to_owned()], true).unwrap();
        let mut hosts = fleet();
        hosts.push(Host::at(AttrPath::new(["packages", "x"])));
        let selection = filter.select(hosts, &[Kind::Nixos]).unwrap();
        let names: Vec<&str> = selection.hosts.iter().map(|h| h.id.name.as_str()).collect();
        assert_eq!(names, ["web", "packages.x"]);
    }
}
