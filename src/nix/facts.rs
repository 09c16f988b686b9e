//! What derivations on disk say of the paths they made.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::closure::{
    Fact, Facts, Graph, PathId, RawRecipe, Recipe, StorePath, names_configuration,
};

use super::Nix;
use super::derivation_file::{self, DerivationFile, Malformed};

impl Nix {
    /// Returns what is known of `paths` by the derivations that the store has of them. It fails for none of them: of what cannot
    /// be read, nothing is known.
    ///
    /// Derivations are read where their paths say, whatever the store is: a derivation's path is a hash of its content. Most
    /// often one is not there because its path was substituted, or because it was collected as garbage. Of configuration nothing
    /// is asked: a system's derivation names all that it is put together from, and is by far the largest.
    pub async fn facts(&self, graph: &Graph, paths: impl IntoIterator<Item = PathId>) -> Facts {
        // By derivation, so that each is read once.
        let mut wanted: BTreeMap<StorePath, Vec<StorePath>> = BTreeMap::new();
        for id in paths {
            if let (Some(path), Some(deriver)) = (graph.path(id), graph.deriver(id))
                && !names_configuration(path.name())
            {
                wanted
                    .entry(deriver.clone())
                    .or_default()
                    .push(path.clone());
            }
        }
        let read = tokio::task::spawn_blocking(move || Reader::default().facts(&wanted));
        read.await.unwrap_or_else(|error| {
            tracing::warn!("no derivation was read: {error}");
            Facts::default()
        })
    }
}

/// Why nothing is known of the paths that a derivation made.
#[derive(Debug, Error)]
enum Unknown {
    #[error("{0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The paths were made by another derivation with the same outcome, or their path is not known beforehand.
    #[error("it has no such output")]
    NoSuchOutput,
    /// Whether its outputs stand for their content is not known, so an own change could not be told from another one.
    #[error("it is built from {0}, which cannot be read")]
    Input(String),
    /// What stands for the path in the derivation is no path, and is another one after every change below.
    #[error("it is built from an output of {0} whose path is not known beforehand")]
    FloatingInput(String),
}

/// How many derivations are looked into that make sources of each other, one below the other: a patched tree of a fetched one is two.
const DEEPEST: u8 = 4;

/// The outputs of a derivation.
#[derive(Debug)]
struct InputOutputs {
    /// The ids and paths.
    paths: Vec<(Box<str>, Box<str>)>,
    /// Whether the paths stand for their content.
    fixed: bool,
}

/// Reads derivations, one at a time. Of what they are built from, only the outputs are kept, read once; and of what makes sources, what
/// stands for their content.
#[derive(Debug, Default)]
struct Reader {
    /// By the path of the derivation; none of one that cannot be read.
    inputs: HashMap<String, Option<InputOutputs>>,
    /// By the path of the derivation and how many more below it are looked into.
    sources: HashMap<(String, u8), String>,
}

impl Reader {
    fn facts(mut self, wanted: &BTreeMap<StorePath, Vec<StorePath>>) -> Facts {
        let mut facts = Facts::default();
        for (deriver, paths) in wanted {
            if let Err(error) = self.read(deriver, paths, &mut facts) {
                tracing::trace!("nothing is known by {deriver}: {error}");
            }
        }
        facts
    }

    /// Adds what `deriver` says of `paths`.
    fn read(
        &mut self,
        deriver: &StorePath,
        paths: &[StorePath],
        facts: &mut Facts,
    ) -> Result<(), Unknown> {
        let bytes = read_file(deriver.as_str())?;
        let file = derivation_file::parse(&bytes)?;
        let id_of = |path: &StorePath| {
            let output = file
                .outputs
                .iter()
                .find(|output| output.path == path.as_str())?;
            Some((path.clone(), output.id.clone().into_owned()))
        };
        let known: Vec<(StorePath, String)> = paths.iter().filter_map(id_of).collect();
        if known.is_empty() {
            return Err(Unknown::NoSuchOutput);
        }
        let recipe = Arc::new(self.recipe(deriver.store_dir(), &file, DEEPEST)?);
        for (path, output) in known {
            let recipe = Arc::clone(&recipe);
            facts.insert(path, Fact { output, recipe });
        }
        Ok(())
    }

    /// Returns the recipe of a derivation, with what makes its sources looked into `depth` levels deep.
    fn recipe(
        &mut self,
        store_dir: &str,
        file: &DerivationFile<'_>,
        depth: u8,
    ) -> Result<Recipe, Unknown> {
        for (input, _) in &file.input_derivations {
            self.load(input);
        }
        let raw = self.raw(store_dir, file)?;
        let below = depth.checked_sub(1);
        let wanted = below.map(|below| (below, raw.made_sources()));
        let Some((below, wanted)) = wanted.filter(|(_, wanted)| !wanted.is_empty()) else {
            return Ok(Recipe::of(&raw));
        };
        let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        let mut made = Vec::new();
        for (input, _) in &file.input_derivations {
            let there = self.inputs.get(&**input).and_then(Option::as_ref);
            let paths = there.into_iter().flat_map(|there| &there.paths);
            let paths = paths.filter(|(_, path)| wanted.iter().any(|wanted| **wanted == **path));
            let paths: Vec<Box<str>> = paths.map(|(_, path)| path.clone()).collect();
            for path in paths {
                made.push((path, self.source(store_dir, input, below)?));
            }
        }
        let mut raw = self.raw(store_dir, file)?;
        raw.made = made.iter().map(|(path, id)| (&**path, &**id)).collect();
        Ok(Recipe::of(&raw))
    }

    /// Returns what stands for the content of the source that a derivation makes.
    ///
    /// It fails where that cannot be known: if it were left out, the source would seem to change as soon as it is.
    fn source(&mut self, store_dir: &str, input: &str, depth: u8) -> Result<String, Unknown> {
        let key = (input.to_owned(), depth);
        if let Some(id) = self.sources.get(&key) {
            return Ok(id.clone());
        }
        let bytes = read_file(input)?;
        let file = derivation_file::parse(&bytes)?;
        let id = self.recipe(store_dir, &file, depth)?.id();
        self.sources.insert(key, id.clone());
        Ok(id)
    }

    /// Reads the outputs of a derivation that another one is built from.
    fn load(&mut self, input: &str) {
        if self.inputs.contains_key(input) {
            return;
        }
        let outputs = || {
            let bytes = read_file(input).ok()?;
            let outputs = derivation_file::parse_outputs(&bytes).ok()?;
            Some(InputOutputs {
                fixed: outputs.iter().all(derivation_file::Output::is_fixed),
                paths: outputs
                    .iter()
                    .map(|output| (Box::from(&*output.id), Box::from(&*output.path)))
                    .collect(),
            })
        };
        self.inputs.insert(input.to_owned(), outputs());
    }

    /// Returns a derivation with what its paths stand for.
    fn raw<'a>(
        &'a self,
        store_dir: &'a str,
        file: &'a DerivationFile<'_>,
    ) -> Result<RawRecipe<'a>, Unknown> {
        let mut raw = RawRecipe {
            store_dir,
            outputs: file
                .outputs
                .iter()
                .map(|output| (&*output.id, &*output.path))
                .collect(),
            content: texts(&file.input_sources),
            system: &file.system,
            builder: &file.builder,
            args: texts(&file.args),
            env: file
                .env
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect(),
            ..RawRecipe::default()
        };
        for (input, outputs) in &file.input_derivations {
            let unknown = || Unknown::Input(input.clone().into_owned());
            let there = self.inputs.get(&**input).and_then(Option::as_ref);
            let there = there.ok_or_else(unknown)?;
            for output in outputs {
                let found = there.paths.iter().find(|(id, _)| **id == **output);
                let (id, path) = found.ok_or_else(unknown)?;
                if path.is_empty() {
                    return Err(Unknown::FloatingInput(input.clone().into_owned()));
                }
                if there.fixed {
                    raw.content.push(path);
                } else {
                    raw.built.push((id, path));
                }
            }
        }
        Ok(raw)
    }
}

fn texts<'a>(texts: &'a [Cow<'_, str>]) -> Vec<&'a str> {
    texts.iter().map(|text| &**text).collect()
}

/// Reads a file that is a derivation, if anything: what else a store path can be, a link say, could lead anywhere.
fn read_file(path: &str) -> io::Result<Vec<u8>> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Writes a derivation with an output `out`, built from `inputs`, and returns its path.
    fn write(
        dir: &Path,
        name: &str,
        digest: char,
        output: [&str; 3],
        inputs: &[&str],
        more: &str,
    ) -> StorePath {
        let dir = dir.display();
        let at = |name: &str| format!("{dir}/{}-{name}", digest.to_string().repeat(32));
        let [out, algorithm, hash] = output;
        let out = if out.is_empty() {
            String::new()
        } else {
            at(out)
        };
        let inputs: Vec<String> = inputs
            .iter()
            .map(|input| format!("(\"{input}\",[\"out\"])"))
            .collect();
        let path = at(&format!("{name}.drv"));
        let text = format!(
            "Derive([(\"out\",\"{out}\",\"{algorithm}\",\"{hash}\")],[{}],[],\"s\",\"/bin/sh\",[],[(\"name\",\"{name}\"),(\"out\",\"{out}\"){more}])",
            inputs.join(",")
        );
        fs::write(&path, text).unwrap();
        StorePath::parse(&path).unwrap()
    }

    #[test]
    fn one_that_is_built_from_what_is_not_known_is_not_known() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        let built = write(dir, "built", '0', ["built", "", ""], &[], "");
        let fixed = write(dir, "fixed", '1', ["fixed", "sha256", "00"], &[], "");
        let floating = write(dir, "floating", '2', ["", "r:sha256", ""], &[], "");
        let gone = StorePath::parse(&built.as_str().replace("built", "gone")).unwrap();
        let link = built.as_str().replace("built", "link");
        std::os::unix::fs::symlink(built.as_str(), &link).unwrap();
        let broken = built.as_str().replace("built", "broken");
        fs::write(&broken, "Derive([(\"out\",").unwrap();
        let odd = write(dir, "odd", '3', ["odd", "", ""], &[], ",(\"a\")");

        let env = format!(
            ",(\"src\",\"{}\"),(\"dep\",\"{}\")",
            fixed.as_str().replace(".drv", ""),
            built.as_str().replace(".drv", "")
        );
        let inputs: [(&str, &[&str]); 6] = [
            ("all there", &[built.as_str(), fixed.as_str(), odd.as_str()]),
            ("gone", &[built.as_str(), gone.as_str()]),
            ("link", &[&link]),
            ("broken", &[&broken]),
            ("floating", &[floating.as_str()]),
            ("no derivation", &["/dev/zero"]),
        ];
        let mut table = Vec::new();
        for (what, inputs) in inputs {
            let package = write(dir, "package", '4', ["package", "", ""], inputs, &env);
            let made = StorePath::parse(&package.as_str().replace(".drv", "")).unwrap();
            let mut facts = Facts::default();
            let read = Reader::default().read(&package, std::slice::from_ref(&made), &mut facts);
            let known = facts.of(&made).map(|fact| {
                (
                    &fact.output,
                    &fact.recipe.sources,
                    fact.recipe.attributes.keys(),
                )
            });
            assert_eq!(read.is_ok(), known.is_some());
            let said = read.map_or_else(|error| error.to_string(), |()| format!("{known:?}"));
            table.push(format!(
                "{what}: {}",
                said.replace(&dir.display().to_string(), "$D")
            ));
        }
        insta::assert_snapshot!(table.join("\n"), @r#"
        all there: Some(("out", {"fixed": "11111111111111111111111111111111-fixed"}, ["builder", "dep", "system"]))
        gone: it is built from $D/00000000000000000000000000000000-gone.drv, which cannot be read
        link: it is built from $D/00000000000000000000000000000000-link.drv, which cannot be read
        broken: it is built from $D/00000000000000000000000000000000-broken.drv, which cannot be read
        floating: it is built from an output of $D/22222222222222222222222222222222-floating.drv whose path is not known beforehand
        no derivation: it is built from /dev/zero, which cannot be read
        "#);
    }

    #[test]
    fn what_makes_a_source_is_looked_into_only_so_deep() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        // One makes the source of the next, and the last one that of the first.
        let path = |digit: char, name: &str| {
            format!("{}/{}-{name}", dir.display(), digit.to_string().repeat(32))
        };
        let mut before = path('7', "n.drv");
        for digit in '0'..='7' {
            let env = format!(",(\"src\",\"{}\")", before.replace(".drv", ""));
            let written = write(dir, "n", digit, ["n", "", ""], &[&before], &env);
            before = written.as_str().to_owned();
        }
        let recipe = |text: &str| {
            let last = path('7', "n.drv");
            let changed = path('4', "n.drv");
            let drv = fs::read_to_string(&changed).unwrap();
            fs::write(&changed, drv.replace("/bin/sh", text)).unwrap();
            let made = StorePath::parse(&path('7', "n")).unwrap();
            let mut facts = Facts::default();
            let last = StorePath::parse(&last).unwrap();
            Reader::default()
                .read(&last, std::slice::from_ref(&made), &mut facts)
                .unwrap();
            facts.of(&made).unwrap().recipe.clone()
        };
        let (old, new) = (recipe("/bin/sh"), recipe("/bin/bash"));
        assert_eq!(old.change(&new).unwrap().sources, ["n"]);
    }
}
