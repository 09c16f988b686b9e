//! Two closures of the user's own, compared, and a closure kept as a file.
//!
//! A closure that is in the store is read through Nix; one that is in a snapshot needs no Nix at all.

mod error;
mod operand;

use std::collections::HashMap;
use std::sync::Arc;

use crate::closure::{
    Closure, Facts, Graph, GraphError, PathId, Side, Snapshot, StorePath, Union, diff, is_nixos,
};
use crate::nix::{self, Nix, NixError};
use crate::report::{Comparison, End, Redactor, Sensitive, SystemSide, impact};

use super::{Context, Error};

pub use error::{CompareError, OperandError};
pub(super) use operand::{Known, Operand};

/// What writes a snapshot, as the file has it.
const TOOL: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// Says what changes from one closure to another.
///
/// # Errors
///
/// A closure is not in the store, or goes while it is read; Nix fails; two stores contradict each other. There is never a part of
/// a comparison.
pub(super) async fn compare(
    old: Operand,
    new: Operand,
    sensitive: &Sensitive,
    options: nix::Options,
    context: &Context,
) -> Result<Comparison, Error> {
    let operands = [old, new];
    let store = Store::read(&operands, options, context).await?;
    let [old, new] = operands.map(|operand| Read::of(operand, store.as_ref()));
    let (old, new) = (old?, new?);
    let graph = joined(&old, &new)?;
    let closures = graph.closures([&old.root, &new.root]).map_err(unreadable)?;
    let (Some(before), Some(after)) = (closures.of(&old.root), closures.of(&new.root)) else {
        return Err(unreadable("a root has no closure").into());
    };

    // Of paths on both sides nothing is asked, so that it does not matter which store knows more of them.
    let mut facts = Facts::default();
    let mut unasked: Vec<PathId> = Vec::new();
    for (read, ids) in [
        (&old, before.without(Some(after))),
        (&new, after.without(Some(before))),
    ] {
        match &read.facts {
            Some(known) => copy(&graph, ids, known, &mut facts),
            None => unasked.extend(ids),
        }
    }
    if let Some(store) = &store {
        let known = store.nix.facts(&graph, unasked.iter().copied()).await;
        copy(&graph, unasked, &known, &mut facts);
    }
    context.still_wanted().await?;

    let mut diff = diff(
        Side {
            closure: Some(before),
            selected: &before.selection(&old.links),
        },
        Side {
            closure: Some(after),
            selected: &after.selection(&new.links),
        },
        &facts,
    );
    let redactor = Redactor::new(context.secrets.clone(), Vec::new());
    redactor.diff(&mut diff);
    let are_systems = [&old, &new].iter().all(|read| is_nixos(read.root.name()));
    let impact = are_systems.then(|| {
        let sides = [(&old, before), (&new, after)].map(|(read, closure)| SystemSide {
            closure,
            kernel_params: read.kernel_params.as_deref(),
        });
        let mut impact = impact(sides, true, &diff, sensitive);
        redactor.impact(&mut impact);
        impact
    });
    Ok(Comparison {
        before: end(&old.root, before),
        after: end(&new.root, after),
        diff,
        impact,
    })
}

/// Returns the file that keeps a closure.
///
/// # Errors
///
/// As [`compare`], and where it would be too large to be read again.
pub(super) async fn snapshot(
    operand: Operand,
    options: nix::Options,
    context: &Context,
) -> Result<Vec<u8>, Error> {
    let operands = [operand];
    let store = Store::read(&operands, options, context).await?;
    let [read] = operands.map(|operand| Read::of(operand, store.as_ref()));
    let Read {
        word,
        root,
        links,
        kernel_params,
        graph,
        facts,
    } = read?;
    let facts = match (facts, &store) {
        (None, Some(store)) => store.nix.facts(&graph, graph.ids()).await,
        (facts, _) => facts.unwrap_or_default(),
    };
    context.still_wanted().await?;
    let snapshot = Snapshot {
        root,
        links,
        kernel_params,
        graph: Arc::unwrap_or_clone(graph),
        facts,
    };
    let bytes = snapshot.to_json(TOOL);
    bytes.map_err(|source| CompareError::NotKept { word, source }.into())
}

/// A closure that was read.
struct Read {
    /// As it was named.
    word: String,
    root: StorePath,
    /// The paths that users select packages through.
    links: Vec<StorePath>,
    /// What the system's kernel is started with, where it is a NixOS system.
    kernel_params: Option<String>,
    /// What it is in: the same one for all that are in the store.
    graph: Arc<Graph>,
    /// What is known by derivations; none where the store is to be asked.
    facts: Option<Facts>,
}

impl Read {
    fn of(operand: Operand, store: Option<&Store>) -> Result<Self, NixError> {
        let Operand { word, known } = operand;
        match known {
            Known::Snapshot(snapshot) => {
                let Snapshot {
                    root,
                    links,
                    kernel_params,
                    graph,
                    facts,
                } = *snapshot;
                Ok(Self {
                    word,
                    root,
                    links,
                    kernel_params,
                    graph: Arc::new(graph),
                    facts: Some(facts),
                })
            }
            Known::Store(root) => {
                let store = store.ok_or_else(|| unreadable("it was not asked"))?;
                Ok(Self {
                    word,
                    links: store.links.get(&root).cloned().unwrap_or_default(),
                    kernel_params: store.kernel_params.get(&root).cloned(),
                    root,
                    graph: Arc::clone(&store.graph),
                    facts: None,
                })
            }
        }
    }
}

/// What was read from the store.
struct Store {
    nix: Nix,
    /// The closures of all roots.
    graph: Arc<Graph>,
    /// For each root, the paths that users select packages through.
    links: HashMap<StorePath, Vec<StorePath>>,
    /// For each root that is a NixOS system, what its kernel is started with.
    kernel_params: HashMap<StorePath, String>,
}

impl Store {
    /// Reads the closures of those of `operands` that are in the store; none where all are in snapshots.
    async fn read(
        operands: &[Operand],
        options: nix::Options,
        context: &Context,
    ) -> Result<Option<Self>, Error> {
        let roots: Vec<&StorePath> = operands.iter().filter_map(Operand::store_path).collect();
        if roots.is_empty() {
            return Ok(None);
        }
        let nix = Nix::connect(context.door.clone(), options).await?;
        // Before the closures, whose reading fails if a root is gone by then: without its links it would select something else.
        let mut links = HashMap::new();
        let mut kernel_params = HashMap::new();
        for root in &roots {
            links.insert((*root).clone(), nix.selecting_paths(root)?);
            if let Some(params) = nix.kernel_params(root).filter(|_| is_nixos(root.name())) {
                kernel_params.insert((*root).clone(), params);
            }
        }
        match nix.graph(&roots).await {
            Ok(graph) => Ok(Some(Self {
                nix,
                graph: Arc::new(graph),
                links,
                kernel_params,
            })),
            Err(error) => Err(why_unread(&nix, operands, error).await),
        }
    }
}

/// Says which closure is not in the store, if that is why they could not be read.
async fn why_unread(nix: &Nix, operands: &[Operand], error: NixError) -> Error {
    if error.is_stop() {
        return error.into();
    }
    for operand in operands {
        let Some(path) = operand.store_path() else {
            continue;
        };
        // One by one, for Nix does not answer at all where one of several is in no store.
        let invalid = nix.invalid(&[path]).await;
        if invalid.is_ok_and(|invalid| invalid.contains(path)) {
            let (word, path) = (operand.word.clone(), path.clone());
            return CompareError::NotInStore { word, path }.into();
        }
    }
    error.into()
}

/// Returns the graph that both closures are in.
fn joined(old: &Read, new: &Read) -> Result<Arc<Graph>, Error> {
    if Arc::ptr_eq(&old.graph, &new.graph) {
        return Ok(Arc::clone(&new.graph));
    }
    let Union { graph, resized } =
        Union::of(&old.graph, &new.graph).map_err(|error| match error {
            GraphError::Contradiction { path } => Error::from(CompareError::Contradiction {
                path,
                old: old.word.clone(),
                new: new.word.clone(),
            }),
            error => unreadable(error).into(),
        })?;
    if let Some(first) = resized.first() {
        let more = match resized.len() - 1 {
            0 => String::new(),
            more => format!(", and so have {more} more paths"),
        };
        tracing::warn!(
            "{first} has another size in {} than in {}{more}: built twice, it came out differently; it counts as unchanged, with \
             its size in {}",
            old.word,
            new.word,
            new.word
        );
    }
    Ok(Arc::new(graph))
}

/// Adds what `from` knows of some paths to `to`.
fn copy(graph: &Graph, ids: impl IntoIterator<Item = PathId>, from: &Facts, to: &mut Facts) {
    for path in ids.into_iter().filter_map(|id| graph.path(id)) {
        if let Some(fact) = from.of(path) {
            to.insert(path.clone(), fact.clone());
        }
    }
}

fn end(root: &StorePath, closure: Closure<'_>) -> End {
    End {
        path: root.clone(),
        paths: u64::try_from(closure.len()).unwrap_or(u64::MAX),
        nar_size: closure.nar_size(),
    }
}

fn unreadable(error: impl std::fmt::Display) -> NixError {
    NixError::Store(error.to_string())
}
