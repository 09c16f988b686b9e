//! What a derivation says of the package it makes, and what of it changes by itself.
//!
//! A package is built anew at the same version for one of two reasons: its own derivation changed (a source, a patch, a flag), or
//! only something that it is built from did. The two are told apart by comparing derivations with what they are built from
//! masked: a [`Recipe`] is a derivation in which every path that another derivation builds is replaced by that package's name.
//!
//! The rules, and why:
//!
//! - The path of what a derivation builds changes with everything below it. So it is masked as `<openssl>` or, of another output
//!   than the default one, `<openssl:dev>`: the version does not count. The derivation's own outputs are `<out>`, `<dev>`.
//! - The path of a file from the outside, or of what a fixed-output derivation makes (`fetchurl`), stands for its content. Where
//!   an attribute names one, it is a source or a patch. That the same content is fetched from elsewhere is no change.
//! - Sources and patches can also be made by another derivation that is not fixed (`applyPatches`, `fetchCargoVendor`, a patch with
//!   paths put in). What stands for the content of these is what that derivation is made of, masked likewise.
//! - The tools that a package is built with name such paths too: its arguments are the scripts of nixpkgs that begin every build,
//!   and `separateDebugInfo` adds one to `nativeBuildInputs`. If those counted, one edit of them would be an own change of
//!   every package. So in the builder, its arguments, `stdenv` and the lists of dependencies all paths are masked, and a package
//!   that comes with a builder script of its own is not seen to change when only that does.
//! - A dependency is told by its name, in which no version counts: neither its own nor that of what it is made for, so that
//!   `python3.13-requests` is the dependency that `python3.12-requests` was.
//! - A path that is none of these got into a text without being needed for the build (`unsafeDiscardStringContext`). What it
//!   stands for is not known, so it is masked.
//! - What is empty says as much as what is not there: nixpkgs gives every package its whole set of attributes.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::store_path::{DIGEST_LEN, is_name_byte};
use super::{Known, PackageName, StorePath};

/// What stands for a package's own version in its texts.
const VERSION_MASK: &str = "<version>";

/// A derivation as it stands in the store, with what its paths stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawRecipe<'a> {
    /// The directory of its store, without a slash at its end.
    pub store_dir: &'a str,
    /// Its own outputs: the id (`out`, `dev`) and the path.
    pub outputs: Vec<(&'a str, &'a str)>,
    /// What it is built from and other derivations build: the id of the output there, and the path.
    pub built: Vec<(&'a str, &'a str)>,
    /// What it is built from whose path stands for its content: files from the outside, what fixed-output derivations make.
    pub content: Vec<&'a str>,
    /// What stands for the content of some of [`built`](Self::built): the path, and the [`id`](Recipe::id) of the recipe that makes it.
    pub made: Vec<(&'a str, &'a str)>,
    /// The system that it is built on.
    pub system: &'a str,
    /// The program that builds it.
    pub builder: &'a str,
    /// The arguments of the program.
    pub args: Vec<&'a str>,
    /// The environment of the program: the attributes, or `__json` with all of them.
    pub env: Vec<(&'a str, &'a str)>,
}

impl<'a> RawRecipe<'a> {
    /// Returns which of what other derivations build are sources or patches of this one, so that what they are made of counts.
    pub fn made_sources(&self) -> Vec<&'a str> {
        let structured = self.structured();
        let attributes = self.attributes(structured.as_ref());
        let sources = attributes.iter().filter(|(name, _)| is_source(name));
        let texts: Vec<Cow<'_, str>> = sources.map(|(_, value)| value.text()).collect();
        let paths = self.built.iter().map(|(_, path)| *path);
        paths
            .filter(|path| texts.iter().any(|text| text.contains(path)))
            .collect()
    }

    /// Returns the structured attributes, where it has them.
    fn structured(&self) -> Option<Map<String, Value>> {
        let json = self.env.iter().find(|(name, _)| *name == "__json");
        json.and_then(|(_, text)| serde_json::from_str(text).ok())
    }

    /// Returns all attributes, `structured` being those of it that are.
    fn attributes<'r>(
        &'r self,
        structured: Option<&'r Map<String, Value>>,
    ) -> Vec<(&'r str, Attribute<'r>)> {
        let mut attributes: Vec<(&str, Attribute<'_>)> = Vec::new();
        for (name, text) in &self.env {
            if structured.is_none() || *name != "__json" {
                attributes.push((name, Attribute::Text(text)));
            }
        }
        for (name, value) in structured.into_iter().flatten() {
            match value {
                // What of structured attributes is exported; of others, everything is.
                Value::Object(variables) if name == "env" => {
                    for (name, value) in variables {
                        attributes.push((name, Attribute::Json(value)));
                    }
                }
                _ => attributes.push((name, Attribute::Json(value))),
            }
        }
        attributes
    }
}

/// A derivation with what it is built from masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// `pname`, where it says so.
    pub pname: Option<String>,
    /// `version`, where it says so.
    pub version: Option<String>,
    /// What it builds from the outside: by name, the store path's base name, which stands for the content; of what another
    /// derivation makes, the [`id`](Self::id) of that. Several of one name are separated by spaces.
    pub sources: BTreeMap<String, String>,
    /// Its patches, likewise; of those of which nothing is known, the masked text.
    pub patches: BTreeMap<String, String>,
    /// Its flags, by attribute (`configureFlags`), word by word, masked.
    pub flags: BTreeMap<String, Vec<String>>,
    /// What it is built with, by the attribute that lists it (`buildInputs`, `depsBuildBuild`), masked.
    pub dependencies: BTreeMap<String, Vec<String>>,
    /// Every other attribute, the builder and its arguments among them, but not `name`: by name, 16 hexadecimal digits of the
    /// SHA-256 of the masked text.
    pub attributes: BTreeMap<String, String>,
}

impl Recipe {
    /// Returns the recipe of a derivation.
    pub fn of(raw: &RawRecipe<'_>) -> Self {
        let structured = raw.structured();
        let attributes = raw.attributes(structured.as_ref());
        let said = |wanted: &str| {
            let (_, value) = attributes.iter().find(|(name, _)| *name == wanted)?;
            Some(value.text().into_owned()).filter(|text| !text.is_empty())
        };
        let (name, version) = (said("name").unwrap_or_default(), said("version"));
        let mask = Mask::new(
            raw,
            version.as_deref().or(PackageName::parse(&name).version),
        );
        let mut recipe = Self {
            pname: said("pname"),
            version: version.clone(),
            ..Self::default()
        };
        for (name, value) in &attributes {
            let is_output = raw.outputs.iter().any(|(id, _)| id == name);
            if !is_output && !matches!(*name, "name" | "pname" | "version") {
                recipe.add(&mask, name, *value);
            }
        }
        // Structured attributes need not repeat them.
        recipe.add(&mask, "system", Attribute::Text(raw.system));
        recipe.add(&mask, "builder", Attribute::Text(raw.builder));
        recipe.add(&mask, "args", Attribute::Text(&raw.args.join("\n")));
        recipe
    }

    /// Returns what stands for the content of what the derivation makes, 16 hexadecimal digits: the SHA-256 of all that it says but its
    /// name and what it is built with.
    pub fn id(&self) -> String {
        let said = (&self.sources, &self.patches, &self.flags, &self.attributes);
        hash(&serde_json::to_string(&said).unwrap_or_default())
    }

    /// Adds what an attribute says.
    fn add(&mut self, mask: &Mask<'_>, name: &str, value: Attribute<'_>) {
        if name == "patches" {
            for word in value.words() {
                let (name, content) = mask.patch(&word);
                add_content(&mut self.patches, name, content);
            }
            return;
        }
        if is_dependencies(name) {
            let words = value.words();
            let words: Vec<String> = words.iter().map(|word| mask.apply(word).text).collect();
            if !words.is_empty() {
                self.dependencies.insert(name.to_owned(), words);
            }
            return;
        }
        let mut sources = Vec::new();
        if is_flags(name) {
            let words = value.words();
            let words = words.iter().map(|word| {
                let masked = mask.apply(word);
                sources.extend(masked.sources);
                masked.text
            });
            let words: Vec<String> = words.collect();
            if !words.is_empty() {
                self.flags.insert(name.to_owned(), words);
            }
        } else {
            let masked = mask.apply(&value.text());
            // Where it only names sources, they tell everything.
            if !masked.text.is_empty() && (is_tool(name) || !masked.is_only_sources) {
                self.attributes.insert(name.to_owned(), hash(&masked.text));
            }
            sources = masked.sources;
        }
        if is_source(name) {
            sources.extend(value.words().iter().filter_map(|word| mask.made(word)));
        }
        if !is_tool(name) {
            for (name, content) in sources {
                add_content(&mut self.sources, name, content);
            }
        }
    }

    /// Returns what of the derivation itself is another in `after`; none where at most its name and version are.
    ///
    /// Two sources whose names only the version tells apart are one, told by its name after.
    pub fn change(&self, after: &Self) -> Option<OwnChange> {
        let mut own = OwnChange::default();
        let name = |(name, _): &(&str, &str)| (*name).to_owned();
        let old = self.unlike(&self.sources, &after.sources);
        let new = after.unlike(&after.sources, &self.sources);
        for (_, before, after) in differing(&old, &new) {
            own.sources.extend(after.or(before).map(name));
        }
        let old = self.unlike(&self.patches, &after.patches);
        let new = after.unlike(&after.patches, &self.patches);
        for (_, before, after) in differing(&old, &new) {
            match (before, after) {
                (None, added) => own.patches_added.extend(added.map(name)),
                (removed, None) => own.patches_removed.extend(removed.map(name)),
                (_, other_content) => own.sources.extend(other_content.map(name)),
            }
        }

        let moved = &mut own.attributes;
        [own.flags_removed, own.flags_added] =
            other_words(&self.flags, &after.flags, str::to_owned, moved);
        [own.dependencies_removed, own.dependencies_added] =
            other_words(&self.dependencies, &after.dependencies, dependency, moved);
        let attributes = differing(&self.attributes, &after.attributes);
        own.attributes
            .extend(attributes.map(|(name, _, _)| name.clone()));

        for list in own.lists_mut() {
            list.sort_unstable();
            list.dedup();
        }
        (own != OwnChange::default()).then_some(own)
    }

    /// Returns which sources, or patches, are other ones there, by the name without the version: the name and the content.
    fn unlike<'a>(
        &self,
        here: &'a Content,
        there: &Content,
    ) -> BTreeMap<String, (&'a str, &'a str)> {
        let version = self.version.as_deref();
        here.iter()
            .filter(|(name, content)| there.get(*name) != Some(content))
            .map(|(name, content)| (mask_version(name, version), (&**name, &**content)))
            .collect()
    }
}

/// Returns what only `before` lists and what only `after` does, as `name` calls it, and adds to `moved` the attributes that list
/// the same otherwise: in another order, more often, or what another attribute listed.
fn other_words(
    before: &BTreeMap<String, Vec<String>>,
    after: &BTreeMap<String, Vec<String>>,
    name: impl Fn(&str) -> String,
    moved: &mut Vec<String>,
) -> [Vec<String>; 2] {
    // So it is of most packages that are rebuilt, and of thousands.
    if before == after {
        return Default::default();
    }
    let names = |lists: &BTreeMap<String, Vec<String>>| -> BTreeSet<String> {
        lists.values().flatten().map(|word| name(word)).collect()
    };
    let (old, new) = (names(before), names(after));
    for (attribute, before, after) in differing(before, after) {
        let mut words = before
            .into_iter()
            .chain(after)
            .flatten()
            .map(|word| name(word));
        if words.all(|name| old.contains(&name) && new.contains(&name)) {
            moved.push(attribute.clone());
        }
    }
    let (removed, added) = (old.difference(&new), new.difference(&old));
    [removed.cloned().collect(), added.cloned().collect()]
}

/// Returns the name of a dependency by its masked path: `<openssl:dev>` is openssl.
fn dependency(word: &str) -> String {
    let path = word.strip_prefix('<').and_then(|word| word.split_once('>'));
    let name = path.and_then(|(path, _)| path.split(':').next());
    name.unwrap_or(word).to_owned()
}

/// Sources or patches: by name, what stands for the content.
type Content = BTreeMap<String, String>;

/// Returns what two maps have differently, by key.
fn differing<'m, K: Ord, V: PartialEq>(
    before: &'m BTreeMap<K, V>,
    after: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = (&'m K, Option<&'m V>, Option<&'m V>)> {
    let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .map(|key| (key, before.get(key), after.get(key)))
        .filter(|(_, before, after)| before != after)
}

/// Adds a source or a patch, next to those of the same name (`source`, which is what `fetchFromGitHub` calls all of them).
fn add_content(known: &mut Content, name: String, content: String) {
    match known.entry(name) {
        Entry::Vacant(entry) => {
            entry.insert(content);
        }
        Entry::Occupied(mut entry) if !entry.get().split(' ').any(|known| known == content) => {
            entry.get_mut().push(' ');
            entry.get_mut().push_str(&content);
        }
        Entry::Occupied(_) => {}
    }
}

/// Returns whether the attribute is a list of flags: `configureFlags`, `makeFlagsArray`, `ldflags`, `NIX_CFLAGS_COMPILE`.
fn is_flags(attribute: &str) -> bool {
    let attribute = attribute.to_ascii_lowercase();
    attribute.ends_with("flags")
        || attribute.ends_with("flagsarray")
        || attribute.starts_with("nix_cflags_")
}

/// Returns whether the attribute names sources: where another derivation makes them, they are the package's own all the same.
fn is_source(attribute: &str) -> bool {
    // Not all that ends so: a list of `runtimeDeps` names packages.
    const VENDORED: [&str; 10] = [
        "cargoDeps",
        "composerVendor",
        "goModules",
        "mitmCache",
        "mixFodDeps",
        "npmDeps",
        "offlineCache",
        "pnpmDeps",
        "vendorDir",
        "yarnOfflineCache",
    ];
    matches!(attribute, "src" | "srcs" | "patches") || VENDORED.contains(&attribute)
}

/// Returns whether the attribute says what builds the package, so that the content of what it names is not the package's.
fn is_tool(attribute: &str) -> bool {
    matches!(attribute, "builder" | "args" | "stdenv")
}

/// Returns whether the attribute lists what the package is built with.
fn is_dependencies(attribute: &str) -> bool {
    // depsBuildBuild, depsTargetTargetPropagated
    attribute.ends_with("Inputs") || attribute.starts_with("deps")
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    let start = digest.first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(start))
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
enum Attribute<'a> {
    /// Of a variable.
    Text(&'a str),
    /// Of a structured attribute.
    Json(&'a Value),
}

impl<'a> Attribute<'a> {
    /// Returns it as one text; a structured one as Nix makes a variable of it, so that it does not matter which it is.
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Json(Value::String(text)) => Cow::Borrowed(text),
            Self::Json(Value::Null | Value::Bool(false)) => Cow::Borrowed(""),
            Self::Json(Value::Bool(true)) => Cow::Borrowed("1"),
            Self::Json(Value::Array(_)) => Cow::Owned(self.words().join(" ")),
            Self::Json(value @ (Value::Number(_) | Value::Object(_))) => {
                Cow::Owned(value.to_string())
            }
        }
    }

    /// Returns its words: the items of a list, the rest split at white space. None of them is empty.
    fn words(self) -> Vec<Cow<'a, str>> {
        match self {
            Self::Json(Value::Array(items)) => {
                let words = items.iter().map(|item| Attribute::Json(item).text());
                words.filter(|word| !word.is_empty()).collect()
            }
            _ => match self.text() {
                Cow::Borrowed(text) => text.split_whitespace().map(Cow::Borrowed).collect(),
                Cow::Owned(text) => text
                    .split_whitespace()
                    .map(|word| Cow::Owned(word.to_owned()))
                    .collect(),
            },
        }
    }
}

/// What a store path stands for in a derivation that names it.
#[derive(Debug, Clone, Copy)]
enum Role<'a> {
    /// An output of its own.
    Own(&'a str),
    /// An output of another derivation.
    Built(&'a str),
    /// Its content.
    Content,
    /// Not known: it is nothing that the derivation is built from.
    Foreign,
}

/// A store path at the start of a text.
#[derive(Debug)]
struct Named<'t> {
    /// The base name.
    base: &'t str,
    /// The name.
    name: &'t str,
    /// The text behind it.
    rest: &'t str,
}

/// A text in which store paths are masked.
#[derive(Debug)]
struct Masked {
    text: String,
    /// The paths that stand for their content, in order: the name and the base name.
    sources: Vec<(String, String)>,
    /// Whether there is nothing but them.
    is_only_sources: bool,
}

/// What is masked in a derivation.
#[derive(Debug)]
struct Mask<'a> {
    /// What store paths begin with: the directory and a slash.
    prefix: String,
    /// By digest, the name and what the path stands for.
    roles: HashMap<&'a str, (&'a str, Role<'a>)>,
    /// By path, what stands for the content of what another derivation builds.
    made: HashMap<&'a str, &'a str>,
    /// Its version.
    version: Option<&'a str>,
}

impl<'a> Mask<'a> {
    fn new(raw: &RawRecipe<'a>, version: Option<&'a str>) -> Self {
        let mut mask = Self {
            prefix: format!("{}/", raw.store_dir),
            roles: HashMap::new(),
            made: raw.made.iter().copied().collect(),
            version,
        };
        // A derivation can be handed on as a file, and is as little a source as what it makes.
        for path in raw.content.iter().filter(|path| !path.ends_with(".drv")) {
            mask.insert(path, Role::Content);
        }
        for (output, path) in &raw.built {
            mask.insert(path, Role::Built(output));
        }
        for (output, path) in &raw.outputs {
            mask.insert(path, Role::Own(output));
        }
        mask
    }

    fn insert(&mut self, path: &'a str, role: Role<'a>) {
        let base = path.strip_prefix(&self.prefix);
        if let Some((digest, name)) = base.and_then(|base| base.split_once('-')) {
            self.roles.insert(digest, (name, role));
        }
    }

    /// Returns the store path that `text`, which follows the prefix, begins with.
    fn path<'t>(&self, text: &'t str) -> Option<(Named<'t>, Role<'a>)> {
        let digest = text.get(..DIGEST_LEN)?;
        let after = text.get(DIGEST_LEN..)?.strip_prefix('-')?;
        let (len, role) = match self.roles.get(digest) {
            // Letters that may be part of a name can follow it.
            Some((name, role)) if after.starts_with(name) => (name.len(), *role),
            _ => {
                let len = after.bytes().take_while(|byte| is_name_byte(*byte)).count();
                StorePath::parse(&format!("{}{digest}-{}", self.prefix, after.get(..len)?)).ok()?;
                (len, Role::Foreign)
            }
        };
        let named = Named {
            base: text.get(..DIGEST_LEN + 1 + len)?,
            name: after.get(..len)?,
            rest: after.get(len..)?,
        };
        Some((named, role))
    }

    /// Returns `text` with all store paths in it masked, and the package's own version.
    fn apply(&self, text: &str) -> Masked {
        let mut masked = String::with_capacity(text.len());
        let mut sources = Vec::new();
        let mut is_only_sources = true;
        let mut parts = text.split(&self.prefix);
        let first = parts.next().unwrap_or_default();
        is_only_sources &= first.trim().is_empty();
        masked.push_str(first);
        for part in parts {
            let Some((named, role)) = self.path(part) else {
                is_only_sources = false;
                masked.push_str(&self.prefix);
                masked.push_str(part);
                continue;
            };
            match role {
                Role::Own(output) => masked.extend(["<", output, ">"]),
                Role::Built(output) => masked.push_str(&label(named.name, Some(output))),
                Role::Content | Role::Foreign => masked.push_str(&label(named.name, None)),
            }
            if matches!(role, Role::Content) {
                sources.push((named.name.to_owned(), named.base.to_owned()));
            } else {
                is_only_sources = false;
            }
            is_only_sources &= named.rest.trim().is_empty();
            masked.push_str(named.rest);
        }
        Masked {
            text: mask_version(&masked, self.version),
            is_only_sources: is_only_sources && !sources.is_empty(),
            sources,
        }
    }

    /// Returns the name and the content of what another derivation makes, if `text` is its path or one in it and the content is known.
    fn made(&self, text: &str) -> Option<(String, String)> {
        let (named, _) = self.path(text.strip_prefix(&self.prefix)?)?;
        let path = text.strip_suffix(named.rest).unwrap_or(text);
        let content = self.made.get(path)?;
        let rest = self.apply(named.rest).text;
        let file = rest.rsplit('/').next().filter(|file| !file.is_empty());
        let name = file.unwrap_or(named.name).to_owned();
        Some((name, format!("{content}{rest}")))
    }

    /// Returns a patch's name and its content: the path of one that is a file, what stands for that of one that is made, the masked
    /// text of another.
    fn patch(&self, text: &str) -> (String, String) {
        if let Some(made) = self.made(text) {
            return made;
        }
        let path = text
            .strip_prefix(&self.prefix)
            .and_then(|text| self.path(text));
        if let Some((named, Role::Content)) = path {
            // Of a file in a tree, the path in it.
            let rest = self.apply(named.rest).text;
            let file = rest.rsplit('/').next().filter(|file| !file.is_empty());
            let name = file.unwrap_or(named.name).to_owned();
            return (name, format!("{}{rest}", named.base));
        }
        let text = self.apply(text).text;
        (text.trim_matches(['<', '>']).to_owned(), text)
    }
}

/// Returns what stands for a path of a package, by its name.
fn label(name: &str, output: Option<&str>) -> String {
    let known = Known {
        output,
        ..Known::default()
    };
    let package = PackageName::exact(name, known).package();
    let package = without_interpreter_version(&package);
    match output {
        None | Some("out") => format!("<{package}>"),
        Some(output) => format!("<{package}:{output}>"),
    }
}

/// Returns the name of a package without the version of what it is made for: `python-requests` for `python3.12-requests`.
///
/// It has at least two numbers, for `gtk3-demo` and `sdl2-compat` are not what `gtk4-demo` and `sdl3-compat` are.
fn without_interpreter_version(package: &str) -> Cow<'_, str> {
    let parts = || {
        let (start, rest) = package.split_once('-')?;
        let letters = start.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let version = start.get(letters.len()..)?;
        (!letters.is_empty() && version.contains('.')).then(|| format!("{letters}-{rest}"))
    };
    parts().map_or(Cow::Borrowed(package), Cow::Owned)
}

/// Returns `text` with the package's own version masked, so that it makes no two versions differ.
///
/// Only a version of several parts is looked for, and only as a whole: `1` is also what says yes, and 1.2 is no part of 11.2 or 1.2.3.
fn mask_version(text: &str, version: Option<&str>) -> String {
    let has_parts =
        |version: &&str| version.len() > 2 && !version.bytes().all(|b| b.is_ascii_alphanumeric());
    let Some(version) = version.filter(has_parts) else {
        return text.to_owned();
    };
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(version) {
        let before = text.get(..at).and_then(|text| text.bytes().next_back());
        let end = at + version.len();
        let after = text.get(end..).unwrap_or_default();
        let goes_on = match after.as_bytes() {
            [b'.', next, ..] => next.is_ascii_digit(),
            [next, ..] => next.is_ascii_alphanumeric(),
            [] => false,
        };
        if !goes_on && !before.is_some_and(|byte| byte.is_ascii_digit() || byte == b'.') {
            masked.extend([text.get(done..at).unwrap_or_default(), VERSION_MASK]);
            done = end;
        }
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    masked
}

/// What of a derivation itself changed. Nothing is listed twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnChange {
    /// Sources that are there with other content, or on one side only, by name; patches with other content, too.
    pub sources: Vec<String>,
    /// Patches that are there only after, by name.
    pub patches_added: Vec<String>,
    /// Patches that are there only before, by name.
    pub patches_removed: Vec<String>,
    /// Words of flags that are there only after.
    pub flags_added: Vec<String>,
    /// Words of flags that are there only before.
    pub flags_removed: Vec<String>,
    /// What it is built with only after, by the package's name.
    #[serde(default)]
    pub dependencies_added: Vec<String>,
    /// What it is built with only before, by the package's name.
    #[serde(default)]
    pub dependencies_removed: Vec<String>,
    /// Other attributes that differ, by name; those of flags and dependencies of which only the order, the place, the output or the
    /// number differs, too.
    pub attributes: Vec<String>,
}

impl OwnChange {
    /// Returns all its lists.
    pub fn lists(&self) -> [&Vec<String>; 8] {
        let Self {
            sources,
            patches_added,
            patches_removed,
            flags_added,
            flags_removed,
            dependencies_added,
            dependencies_removed,
            attributes,
        } = self;
        [
            sources,
            patches_added,
            patches_removed,
            flags_added,
            flags_removed,
            dependencies_added,
            dependencies_removed,
            attributes,
        ]
    }

    /// Returns all its lists, in the order of [`lists`](Self::lists).
    pub fn lists_mut(&mut self) -> [&mut Vec<String>; 8] {
        let Self {
            sources,
            patches_added,
            patches_removed,
            flags_added,
            flags_removed,
            dependencies_added,
            dependencies_removed,
            attributes,
        } = self;
        [
            sources,
            patches_added,
            patches_removed,
            flags_added,
            flags_removed,
            dependencies_added,
            dependencies_removed,
            attributes,
        ]
    }
}

/// What the store knows of a path by its derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Which output of its derivation it is: `out`, `dev`.
    pub output: String,
    /// The derivation.
    pub recipe: Arc<Recipe>,
}

/// What the store knows of paths by their derivations; nothing of those whose derivation it does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(HashMap<StorePath, Fact>);

impl Facts {
    /// Returns what is known of `path`.
    pub fn of(&self, path: &StorePath) -> Option<&Fact> {
        self.0.get(path)
    }

    /// Adds what is known of `path`.
    pub fn insert(&mut self, path: StorePath, fact: Fact) {
        self.0.insert(path, fact);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A derivation as a test writes it: `@x:` in its texts stands for `/s/xxxx…-`.
    #[derive(Debug, Clone)]
    struct Draft {
        outputs: Vec<(String, String)>,
        built: Vec<(String, String)>,
        made: Vec<(String, String)>,
        content: Vec<String>,
        args: Vec<String>,
        env: Vec<(String, String)>,
    }

    fn path(text: &str) -> String {
        let mut out = String::new();
        let mut parts = text.split('@');
        out.push_str(parts.next().unwrap());
        for part in parts {
            let (digest, rest) = part.split_once(':').unwrap();
            out.push_str("/s/");
            out.push_str(&digest.repeat(DIGEST_LEN));
            out.push('-');
            out.push_str(rest);
        }
        out
    }

    impl Draft {
        /// Returns a package as nixpkgs has it.
        fn package() -> Self {
            let paths = |list: &[(&str, &str)]| -> Vec<(String, String)> {
                list.iter()
                    .map(|(id, text)| ((*id).to_owned(), path(text)))
                    .collect()
            };
            Self {
                outputs: paths(&[("dev", "@1:hello-2.12.1-dev"), ("out", "@2:hello-2.12.1")]),
                built: paths(&[
                    ("out", "@a:bash-5.2p26"),
                    ("dev", "@b:openssl-3.0.13-dev"),
                    ("out", "@p:openssl-3.0.13"),
                    ("out", "@c:stdenv-linux"),
                    ("out", "@d:fix-paths.patch"),
                ]),
                made: Vec::new(),
                content: [
                    "@f:hello-2.12.1.tar.gz",
                    "@g:a.patch",
                    "@h:source-stdenv.sh",
                    "@i:default-builder.sh",
                    "@j:separate-debug-info.sh",
                    "@k:setup-hook.sh",
                    "@l:source",
                ]
                .map(path)
                .into(),
                args: ["-e", "@h:source-stdenv.sh", "@i:default-builder.sh"]
                    .map(path)
                    .into(),
                env: paths(&[
                    ("buildInputs", "@b:openssl-3.0.13-dev"),
                    ("builder", "@a:bash-5.2p26/bin/bash"),
                    ("cmakeFlags", ""),
                    (
                        "configureFlags",
                        "--with-ssl=@b:openssl-3.0.13-dev/include --release=v2.12.1\n",
                    ),
                    ("dev", "@1:hello-2.12.1-dev"),
                    ("doCheck", "1"),
                    ("name", "hello-2.12.1"),
                    ("nativeBuildInputs", "@j:separate-debug-info.sh"),
                    ("out", "@2:hello-2.12.1"),
                    ("outputs", "out dev"),
                    ("patches", "@g:a.patch @d:fix-paths.patch @l:source/b.patch"),
                    ("pname", "hello"),
                    (
                        "postInstall",
                        "ln -s @a:bash-5.2p26/bin/sh @2:hello-2.12.1/bin\n: @0:left-over-1.0.drv /s/0-x",
                    ),
                    ("setupHook", "@k:setup-hook.sh"),
                    ("src", "@f:hello-2.12.1.tar.gz"),
                    ("stdenv", "@c:stdenv-linux"),
                    ("system", "x86_64-linux"),
                    ("version", "2.12.1"),
                ]),
            }
        }

        /// Returns it with a text replaced wherever it stands.
        fn with(&self, from: &str, to: &str) -> Self {
            let (from, to) = (path(from), path(to));
            let pairs = |list: &[(String, String)]| -> Vec<(String, String)> {
                list.iter()
                    .map(|(id, text)| (id.clone(), text.replace(&from, &to)))
                    .collect()
            };
            let texts =
                |list: &[String]| list.iter().map(|text| text.replace(&from, &to)).collect();
            Self {
                outputs: pairs(&self.outputs),
                built: pairs(&self.built),
                made: self
                    .made
                    .iter()
                    .map(|(path, id)| (path.replace(&from, &to), id.clone()))
                    .collect(),
                content: texts(&self.content),
                args: texts(&self.args),
                env: pairs(&self.env),
            }
        }

        /// Returns it with an attribute set.
        fn set(mut self, name: &str, text: &str) -> Self {
            self.env.retain(|(known, _)| known != name);
            self.env.push((name.to_owned(), path(text)));
            self
        }

        /// Returns it with a file from the outside that it is built from.
        fn content(mut self, text: &str) -> Self {
            self.content.push(path(text));
            self
        }

        /// Returns it with what stands for the content of something that it is built from and another derivation makes.
        fn made(mut self, text: &str, content: &str) -> Self {
            self.built.push(("out".to_owned(), path(text)));
            self.made.push((path(text), content.to_owned()));
            self
        }

        /// Returns it with structured attributes.
        fn structured(mut self) -> Self {
            let (outputs, mut attributes): (Vec<_>, Vec<_>) = self
                .env
                .drain(..)
                .partition(|(name, _)| self.outputs.iter().any(|(id, _)| id == name));
            let mut json = Map::new();
            for (name, text) in attributes.drain(..) {
                let value = match (&*name, &*text) {
                    ("doCheck", "1") => Value::Bool(true),
                    ("cmakeFlags", "") => Value::Null,
                    (name, text)
                        if is_flags(name)
                            || is_tool(name)
                            || is_dependencies(name)
                            || name == "patches" =>
                    {
                        text.split_whitespace().collect()
                    }
                    (_, text) => text.into(),
                };
                json.insert(name, value);
            }
            self.env = outputs;
            self.env
                .push(("__json".to_owned(), Value::Object(json).to_string()));
            self
        }

        fn recipe(&self) -> Recipe {
            self.read(Recipe::of)
        }

        fn read<T>(&self, read: impl FnOnce(&RawRecipe<'_>) -> T) -> T {
            fn pairs(list: &[(String, String)]) -> Vec<(&str, &str)> {
                list.iter().map(|(a, b)| (&**a, &**b)).collect()
            }
            read(&RawRecipe {
                store_dir: "/s",
                outputs: pairs(&self.outputs),
                built: pairs(&self.built),
                made: pairs(&self.made),
                content: self.content.iter().map(|text| &**text).collect(),
                system: "x86_64-linux",
                builder: &path("@a:bash-5.2p26/bin/bash"),
                args: self.args.iter().map(|text| &**text).collect(),
                env: pairs(&self.env),
            })
        }
    }

    #[test]
    fn a_package_is_taken_apart() {
        insta::assert_debug_snapshot!(Draft::package().recipe(), @r#"
        Recipe {
            pname: Some(
                "hello",
            ),
            version: Some(
                "2.12.1",
            ),
            sources: {
                "hello-2.12.1.tar.gz": "ffffffffffffffffffffffffffffffff-hello-2.12.1.tar.gz",
                "setup-hook.sh": "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk-setup-hook.sh",
            },
            patches: {
                "a.patch": "gggggggggggggggggggggggggggggggg-a.patch",
                "b.patch": "llllllllllllllllllllllllllllllll-source/b.patch",
                "fix-paths.patch": "<fix-paths.patch>",
            },
            flags: {
                "configureFlags": [
                    "--with-ssl=<openssl:dev>/include",
                    "--release=v<version>",
                ],
            },
            dependencies: {
                "buildInputs": [
                    "<openssl:dev>",
                ],
                "nativeBuildInputs": [
                    "<separate-debug-info.sh>",
                ],
            },
            attributes: {
                "args": "3167f478fbc5a26c",
                "builder": "f35caa9f9d96f3fb",
                "doCheck": "6b86b273ff34fce1",
                "outputs": "482e879a7357cca9",
                "postInstall": "5fee57ebdf5cb937",
                "stdenv": "4e9220b9c6653676",
                "system": "2fb1268b281b87b9",
            },
        }
        "#);
    }

    /// Returns what changed in a line.
    fn line(change: Option<OwnChange>) -> String {
        let Some(own) = change else {
            return "nothing".to_owned();
        };
        [
            ("sources", own.sources),
            ("patches+", own.patches_added),
            ("patches-", own.patches_removed),
            ("flags+", own.flags_added),
            ("flags-", own.flags_removed),
            ("dependencies+", own.dependencies_added),
            ("dependencies-", own.dependencies_removed),
            ("attributes", own.attributes),
        ]
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(what, list)| format!("{what} {}", list.join(" ")))
        .collect::<Vec<_>>()
        .join(", ")
    }

    #[test]
    fn only_what_changed_by_itself_is_told() {
        let old = Draft::package();
        let flags = "--with-ssl=@b:openssl-3.0.13-dev/include --release=v2.12.1";
        let cases = [
            ("nothing", old.clone()),
            ("a dependency of the same version", old.with("@b:", "@z:")),
            (
                "a dependency of another version",
                old.with("@b:openssl-3.0.13", "@z:openssl-3.0.14"),
            ),
            (
                "another output of it",
                old.clone().set("buildInputs", "@p:openssl-3.0.13"),
            ),
            (
                "all that is built",
                old.with("@a:", "@y:")
                    .with("@c:", "@z:")
                    .with("@d:", "@x:")
                    .with("@1:", "@3:")
                    .with("@2:", "@4:"),
            ),
            (
                "the scripts of every build",
                old.with("@h:", "@x:").with("@i:", "@y:").with("@j:", "@z:"),
            ),
            (
                "a path that is not needed",
                old.with("@0:left-over-1.0", "@9:left-over-1.1"),
            ),
            (
                "what is empty",
                old.clone()
                    .set("cmakeFlags", " ")
                    .set("meson", "")
                    .set("patches2", ""),
            ),
            ("structured attributes", old.clone().structured()),
            (
                "its version",
                old.with("2.12.1", "2.12.2")
                    .with("@f:", "@z:")
                    .with("@2:", "@4:"),
            ),
            ("its source", old.with("@f:", "@z:")),
            (
                "its source and its name",
                old.with("@f:hello-2.12.1.tar.gz", "@z:source"),
            ),
            ("a script of its own", old.with("@k:", "@z:")),
            ("a tree that a patch is in", old.with("@l:", "@z:")),
            (
                "a patch added",
                old.clone()
                    .set(
                        "patches",
                        "@g:a.patch @d:fix-paths.patch @l:source/b.patch @m:CVE-2026-1.patch",
                    )
                    .content("@m:CVE-2026-1.patch"),
            ),
            ("patches removed", old.clone().set("patches", "")),
            ("a patch's content", old.with("@g:", "@z:")),
            (
                "two of one name",
                old.clone()
                    .set(
                        "patches",
                        "@g:a.patch @d:fix-paths.patch @l:source/b.patch @m:a.patch",
                    )
                    .content("@m:a.patch"),
            ),
            (
                "a flag",
                old.clone()
                    .set("configureFlags", &format!("{flags} --with-zlib")),
            ),
            (
                "a flag's value",
                old.clone().set(
                    "configureFlags",
                    "--with-ssl=@b:openssl-3.0.13-dev --release=v2.12.1",
                ),
            ),
            (
                "the order of flags",
                old.clone().set(
                    "configureFlags",
                    "--release=v2.12.1 --with-ssl=@b:openssl-3.0.13-dev/include",
                ),
            ),
            (
                "flags elsewhere",
                old.clone()
                    .set("configureFlags", "")
                    .set("NIX_CFLAGS_COMPILE", flags),
            ),
            (
                "a source in a flag",
                old.clone()
                    .set("goFlags", "-mod=@m:vendor")
                    .content("@m:vendor"),
            ),
            (
                "a dependency added",
                old.clone()
                    .set("buildInputs", "@b:openssl-3.0.13-dev @a:bash-5.2p26"),
            ),
            (
                "a dependency replaced",
                old.clone().set("buildInputs", "@a:bash-5.2p26"),
            ),
            (
                "a dependency elsewhere",
                old.clone()
                    .set("buildInputs", "")
                    .set("depsBuildBuild", "@b:openssl-3.0.13-dev"),
            ),
            (
                "a dependency of no package",
                old.clone()
                    .set("buildInputs", "@b:openssl-3.0.13-dev /usr/lib"),
            ),
            (
                "a text",
                old.clone().set("postInstall", ":").set("doCheck", ""),
            ),
            (
                "a file in a text",
                old.clone()
                    .set("preBuild", "cp @m:vendor x")
                    .content("@m:vendor"),
            ),
        ];
        let told = |new: &Draft| line(old.recipe().change(&new.recipe()));
        let table: Vec<String> = cases
            .iter()
            .map(|(what, new)| format!("{what}: {}", told(new)))
            .collect();
        insta::assert_snapshot!(table.join("\n"), @"
        nothing: nothing
        a dependency of the same version: nothing
        a dependency of another version: nothing
        another output of it: attributes buildInputs
        all that is built: nothing
        the scripts of every build: nothing
        a path that is not needed: nothing
        what is empty: nothing
        structured attributes: nothing
        its version: sources hello-2.12.2.tar.gz
        its source: sources hello-2.12.1.tar.gz
        its source and its name: sources hello-2.12.1.tar.gz source
        a script of its own: sources setup-hook.sh
        a tree that a patch is in: sources b.patch
        a patch added: patches+ CVE-2026-1.patch
        patches removed: patches- a.patch b.patch fix-paths.patch
        a patch's content: sources a.patch
        two of one name: sources a.patch
        a flag: flags+ --with-zlib
        a flag's value: flags+ --with-ssl=<openssl:dev>, flags- --with-ssl=<openssl:dev>/include
        the order of flags: attributes configureFlags
        flags elsewhere: attributes NIX_CFLAGS_COMPILE configureFlags
        a source in a flag: sources vendor, flags+ -mod=<vendor>
        a dependency added: dependencies+ bash
        a dependency replaced: dependencies+ bash, dependencies- openssl
        a dependency elsewhere: attributes buildInputs depsBuildBuild
        a dependency of no package: dependencies+ /usr/lib
        a text: attributes doCheck postInstall
        a file in a text: sources vendor, attributes preBuild
        ");
        // However the attributes are written, the same is told.
        let structured = old.clone().structured().recipe();
        for (what, new) in &cases {
            let same = structured.change(&new.recipe());
            assert_eq!(line(same), told(new), "{what}");
        }
    }

    #[test]
    fn what_another_derivation_makes_of_sources_and_patches_counts() {
        let hello = |source: &str, patch: &str, vendored: &str| {
            Draft::package()
                .made("@q:source-patched", source)
                .made("@r:paths.patch", patch)
                .made("@s:hello-2.12.1-vendor", vendored)
                .made("@t:tree", "4")
                .set("src", "@q:source-patched")
                .set("patches", "@r:paths.patch @t:tree/x.patch @g:a.patch")
                .set("cargoDeps", "@s:hello-2.12.1-vendor")
                .set("runtimeDeps", "@b:openssl-3.0.13-dev")
        };
        let old = hello("1", "2", "3");
        let mut sources = old.read(|raw| raw.made_sources().join(" "));
        sources.push('\n');
        let structured = old.clone().structured();
        assert_eq!(
            sources.trim(),
            structured.read(|raw| raw.made_sources().join(" "))
        );
        assert_eq!(old.recipe(), structured.recipe());
        let table: Vec<String> = [
            ("nothing", hello("1", "2", "3")),
            ("elsewhere", old.with("@q:", "@x:")),
            ("the source", hello("5", "2", "3")),
            ("the patch", hello("1", "5", "3")),
            ("vendored", hello("1", "2", "5")),
            (
                "a dependency",
                old.with("@b:openssl-3.0.13", "@z:openssl-3.0.14"),
            ),
            (
                "a patch gone",
                old.clone().set("patches", "@t:tree/x.patch @g:a.patch"),
            ),
        ]
        .iter()
        .map(|(what, new)| format!("{what}: {}", line(old.recipe().change(&new.recipe()))))
        .collect();
        insta::assert_snapshot!(sources + &table.join("\n"), @"
        /s/qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq-source-patched /s/rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr-paths.patch /s/ssssssssssssssssssssssssssssssss-hello-2.12.1-vendor /s/tttttttttttttttttttttttttttttttt-tree
        nothing: nothing
        elsewhere: nothing
        the source: sources source-patched
        the patch: sources paths.patch
        vendored: sources hello-2.12.1-vendor
        a dependency: nothing
        a patch gone: patches- paths.patch
        ");

        // The content of what is made changes with all but its name and the tools that make it.
        let id = |draft: &Draft| draft.recipe().id();
        let draft = Draft::package();
        assert_eq!(
            id(&draft),
            id(&draft
                .with("@c:stdenv", "@z:stdenv")
                .with("openssl-3.0.13", "openssl-3.0.14"))
        );
        assert_eq!(
            id(&draft),
            id(&draft.clone().set("pname", "x").set("nativeBuildInputs", ""))
        );
        for (from, to) in [
            ("@f:", "@z:"),
            ("@g:", "@z:"),
            ("--with-ssl", "--with-tls"),
            ("ln -s", "cp"),
        ] {
            assert_ne!(id(&draft), id(&draft.with(from, to)), "{from}");
        }
    }

    #[test]
    fn structured_attributes_are_those_of_the_set_and_of_its_variables() {
        let recipe = |json: &str| {
            Recipe::of(&RawRecipe {
                store_dir: "/s",
                env: vec![("__json", json), ("out", "/s/x")],
                outputs: vec![("out", "/s/x")],
                ..RawRecipe::default()
            })
        };
        insta::assert_debug_snapshot!(recipe(r#"{"env":{"NIX_CFLAGS_COMPILE":"-O2 -g"},"mesonFlags":["-Da=b c",null,1],"nested":{"a":[["b"]]},"pname":"x"}"#), @r#"
        Recipe {
            pname: Some(
                "x",
            ),
            version: None,
            sources: {},
            patches: {},
            flags: {
                "NIX_CFLAGS_COMPILE": [
                    "-O2",
                    "-g",
                ],
                "mesonFlags": [
                    "-Da=b c",
                    "1",
                ],
            },
            dependencies: {},
            attributes: {
                "nested": "9931bea4b592210d",
            },
        }
        "#);
        // What is no set is one attribute.
        for odd in ["", "[]", "{\"a\":1e999}", &"[".repeat(100_000)] {
            assert_eq!(
                recipe(odd).attributes.len(),
                usize::from(!odd.is_empty()),
                "{odd:.20}"
            );
        }
    }

    #[test]
    fn a_report_that_knows_of_no_dependencies_is_read() {
        let own = OwnChange {
            sources: vec!["source".to_owned()],
            ..OwnChange::default()
        };
        let mut json = serde_json::to_value(&own).unwrap();
        json.as_object_mut()
            .unwrap()
            .retain(|name, _| !name.starts_with("dependencies"));
        assert_eq!(serde_json::from_value::<OwnChange>(json).unwrap(), own);
    }

    #[test]
    fn what_a_package_is_made_for_has_no_version() {
        let table: Vec<String> = [
            "python3.12-requests",
            "perl5.40.0-URI",
            "lua5.2-cjson",
            "gtk3-demo",
            "python3.12",
            "3.1-x",
            "a.1-b",
            "-1.2-é",
            "",
        ]
        .map(|name| without_interpreter_version(name).into_owned())
        .into();
        insta::assert_snapshot!(table.join("\n"), @"
        python-requests
        perl-URI
        lua-cjson
        gtk3-demo
        python3.12
        3.1-x
        a-b
        -1.2-é
        ");
    }

    #[test]
    fn a_version_is_masked_where_it_stands_for_itself() {
        let table: Vec<String> = [
            ("v1.2 1.2.tar.gz a-1.2-b 1.2", "1.2"),
            ("1.2.3 0.1.2 11.2 1.20 1.2rc1", "1.2"),
            ("1 yes", "1"),
            ("2024-01-01 unstable-2024-01-01", "2024-01-01"),
            ("é1.2é", "1.2"),
        ]
        .map(|(text, version)| mask_version(text, Some(version)))
        .into();
        insta::assert_snapshot!(table.join("\n"), @"
        v<version> <version>.tar.gz a-<version>-b <version>
        1.2.3 0.1.2 11.2 1.20 1.2rc1
        1 yes
        <version> unstable-<version>
        é<version>é
        ");
    }

    /// Returns texts of what derivations are made of.
    fn texts() -> impl Strategy<Value = String> {
        vec(
            prop_oneof![
                Just("@b:openssl-3.0.13-dev".to_owned()),
                Just("@a:bash-5.2p26".to_owned()),
                Just("@2:hello-2.12.1".to_owned()),
                Just("@g:a.patch".to_owned()),
                Just("@0:foreign".to_owned()),
                "[ a-z./:<>=\"\\\\\\[{}é-]{0,4}".prop_map(|text| text.replace('@', "")),
            ],
            0..6,
        )
        .prop_map(|parts| parts.concat())
    }

    /// Returns packages with some attributes of their own.
    fn packages() -> impl Strategy<Value = Draft> {
        let names = prop_oneof![
            Just("patches"),
            Just("makeFlags"),
            Just("src"),
            Just("args"),
            Just("buildInputs"),
            Just("__json"),
            Just("text")
        ];
        vec((names, texts()), 0..4).prop_map(|attributes| {
            let package = Draft::package();
            attributes
                .iter()
                .fold(package, |package, (name, text)| package.set(name, text))
        })
    }

    proptest! {
        #[test]
        fn a_change_has_two_sides(before in packages(), after in packages()) {
            let (before, after) = (before.recipe(), after.recipe());
            prop_assert_eq!(before.change(&before), None);
            let (there, back) = (before.change(&after), after.change(&before));
            prop_assert_eq!(there.is_none(), back.is_none());
            if let (Some(there), Some(back)) = (there, back) {
                prop_assert_eq!(&there.sources, &back.sources);
                prop_assert_eq!(&there.patches_added, &back.patches_removed);
                prop_assert_eq!(&there.flags_added, &back.flags_removed);
                prop_assert_eq!(&there.dependencies_added, &back.dependencies_removed);
                prop_assert_eq!(&there.attributes, &back.attributes);
                for mut list in [there.sources, there.patches_added, there.flags_added, there.attributes] {
                    let listed = list.clone();
                    list.sort();
                    list.dedup();
                    prop_assert_eq!(list, listed);
                }
            }
        }

        #[test]
        fn what_is_built_elsewhere_does_not_count(package in packages()) {
            let other = package.with("@b:openssl-3.0.13", "@z:openssl-3.1.0").with("@a:", "@y:").with("@2:", "@3:");
            prop_assert_eq!(package.recipe(), other.recipe());
        }

        #[test]
        fn no_text_does_harm(text in any::<String>(), version in any::<String>()) {
            let _masked = mask_version(&text, Some(&version));
            let env = vec![("patches", &*text), ("__json", &*text), ("xFlags", &*text), ("version", &*version)];
            let _recipe = Recipe::of(&RawRecipe { store_dir: "/s", content: vec![&text], env, ..RawRecipe::default() });
        }
    }
}
