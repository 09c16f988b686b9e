//! What a real Nix's derivations say of the packages they make: which output a path is, and what changed of a package by itself.

use std::ffi::OsString;
use std::fs;

use flake_herald::closure::{Fact, Facts, Graph, OwnChange, StorePath};
use flake_herald::command::{Cancel, ChildEnvironment, Door};
use flake_herald::nix::{Nix, Options};

use crate::support::TestEnv;

/// The packages of `fixtures/recipes`, each with its outputs, and what is known of all of them.
struct Packages {
    env: TestEnv,
    nix: Nix,
    graph: Graph,
    outputs: Vec<(String, Vec<StorePath>)>,
}

impl Packages {
    async fn build() -> Self {
        let env = TestEnv::new();
        for name in ["packages.nix", "a.patch", "b.patch"] {
            let file = format!("{}/fixtures/recipes/{name}", env!("CARGO_MANIFEST_DIR"));
            env.write(name, fs::read(file).unwrap());
        }
        let names = "builtins.attrNames (import ./packages.nix)";
        let mut eval = env.command("nix-instantiate");
        let names = env
            .output(eval.args(["--eval", "--strict", "--json", "-E", names]))
            .success();
        let mut outputs = Vec::new();
        for name in serde_json::from_str::<Vec<String>>(&names.stdout).unwrap() {
            let mut build = env.command("nix-build");
            let built = env.output(build.args([
                "packages.nix",
                "--no-out-link",
                "-A",
                &name,
                "-A",
                &format!("{name}.dev"),
            ]));
            let paths = built
                .success()
                .stdout
                .lines()
                .map(|line| StorePath::parse(line).unwrap())
                .collect();
            outputs.push((name, paths));
        }
        let variables = env
            .command("nix")
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect::<Vec<(OsString, OsString)>>();
        let door = Door::new(ChildEnvironment::new(variables, &[], &[]).0, Cancel::new());
        let nix = Nix::connect(door, Options::default()).await.unwrap();
        let roots: Vec<&StorePath> = outputs.iter().flat_map(|(_, paths)| paths).collect();
        let graph = nix.graph(&roots).await.unwrap();
        Self {
            env,
            nix,
            graph,
            outputs,
        }
    }

    async fn facts(&self) -> Facts {
        self.nix.facts(&self.graph, self.graph.ids()).await
    }

    /// Returns the path of an output of a package.
    fn path(&self, package: &str, output: usize) -> &StorePath {
        let (_, paths) = self
            .outputs
            .iter()
            .find(|(name, _)| name == package)
            .unwrap();
        &paths[output]
    }

    /// Puts other bytes into a derivation, which is read-only.
    fn replace(&self, path: &str, bytes: &[u8]) {
        assert!(path.starts_with(self.env.dir().to_str().unwrap()));
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs nix: run scripts/test"]
async fn derivations_tell_what_changed_by_itself() {
    let packages = Packages::build().await;
    let facts = packages.facts().await;
    let fact =
        |name: &str, output: usize| -> &Fact { facts.of(packages.path(name, output)).unwrap() };
    assert_eq!(
        (&*fact("base", 0).output, &*fact("base", 1).output),
        ("out", "dev")
    );

    let mut table = Vec::new();
    for (name, _) in &packages.outputs {
        let recipe = &fact(name, 0).recipe;
        assert_eq!(recipe, &fact(name, 1).recipe);
        assert_eq!(recipe.pname.as_deref(), Some("hello"));
        let version = if name == "version" { "1.1" } else { "1.0" };
        assert_eq!(recipe.version.as_deref(), Some(version));
        // Nothing of the store is left in it but the sources.
        let text = format!("{recipe:?}");
        assert!(
            !text.contains(packages.env.dir().to_str().unwrap()),
            "{text}"
        );
        if name.starts_with("made") {
            continue;
        }
        let change = fact("base", 0).recipe.change(recipe);
        table.push(format!(
            "{name}: {}",
            change.map_or("nothing".to_owned(), |change| line(&change))
        ));
    }
    insta::assert_snapshot!(table.join("\n"), @r#"
    attribute: attributes ["doCheck"]
    base: nothing
    dependency-rebuilt: nothing
    dependency-upgraded: nothing
    flag: flags_added ["--with-x"]
    patch: patches_added ["b.patch"]
    source: sources ["hello-1.0.tar.gz"]
    source-moved: nothing
    structured: nothing
    structured-flag: flags_added ["--with-x"]
    structured-patch: patches_removed ["a.patch"]
    structured-rebuilt: nothing
    version: nothing
    "#);

    // What makes the sources counts as they do, as far down as they come from, and not what it is built with.
    let made = packages
        .outputs
        .iter()
        .filter(|(name, _)| name.starts_with("made"));
    let table: Vec<String> = made
        .map(|(name, _)| {
            let change = fact("made", 0).recipe.change(&fact(name, 0).recipe);
            let change = change.map_or("nothing".to_owned(), |change| line(&change));
            format!("{name}: {change}")
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    made: nothing
    made-patch: sources ["paths.patch"]
    made-rebuilt: nothing
    made-source: sources ["source-patched"]
    made-source-moved: nothing
    made-source-patched: sources ["source-patched"]
    made-structured: nothing
    "#);

    // The other way round, and between structured ones.
    let change = |old: &str, new: &str| fact(old, 0).recipe.change(&fact(new, 0).recipe);
    assert_eq!(change("structured", "structured-rebuilt"), None);
    assert_eq!(
        change("patch", "base").unwrap().patches_removed,
        ["b.patch"]
    );
    assert_eq!(
        change("structured-flag", "structured")
            .unwrap()
            .flags_removed,
        ["--with-x"]
    );
}

/// Returns the lists that are not empty.
fn line(change: &OwnChange) -> String {
    let json = serde_json::to_value(change).unwrap();
    let lists = json.as_object().unwrap().iter();
    let lists = lists.filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()));
    lists
        .map(|(name, list)| format!("{name} {list}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[tokio::test]
#[ignore = "needs nix: run scripts/test"]
async fn nothing_is_known_without_the_derivations() {
    let packages = Packages::build().await;
    let deriver = |name: &str| {
        let id = packages.graph.id(packages.path(name, 0)).unwrap();
        packages.graph.deriver(id).unwrap().as_str().to_owned()
    };
    // One is gone, one is cut off, one is not the one that made the path, and of one what it is built from is gone.
    let is_source_of = |name: &str| {
        let text = fs::read_to_string(deriver(name)).unwrap();
        let (path, _) = text.split_once("-hello-1.0.tar.gz.drv").unwrap();
        format!(
            "{}-hello-1.0.tar.gz.drv",
            &path[path.rfind('"').unwrap() + 1..]
        )
    };
    fs::remove_file(is_source_of("source")).unwrap();
    fs::remove_file(deriver("patch")).unwrap();
    let cut = fs::read(deriver("flag")).unwrap();
    packages.replace(&deriver("flag"), &cut[..cut.len() - 1]);
    packages.replace(&deriver("attribute"), &fs::read(deriver("base")).unwrap());
    let facts = packages.facts().await;
    let known = |name: &&String| facts.of(packages.path(name, 0)).is_some();
    let unknown: Vec<&String> = packages
        .outputs
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !known(name))
        .collect();
    assert_eq!(
        unknown,
        ["attribute", "flag", "made-source", "patch", "source"]
    );
}
