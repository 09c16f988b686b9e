//! From what became of the two sides of a host to what the update does to it. Pure.

use crate::nix::{Evaluated, Unbuildable};
use crate::report::{SideName, Status};

/// What became of one side of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SideState {
    /// There is no such side: the base has no lock.
    Absent,
    /// It has no derivation.
    NotEvaluated {
        /// Nix's message.
        message: String,
    },
    /// Nothing here can build what evaluating it needs, and why.
    NotEvaluable(String),
    /// Whether it evaluates could not be found out, and why.
    Unasked(String),
    /// It has a derivation.
    Evaluated(Evaluated, BuildState),
}

/// What became of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BuildState {
    /// It was not looked at.
    NotTried,
    /// It is not to be built: that there is a derivation is all that is asked.
    Unwanted,
    /// Its output is in the store.
    Valid,
    /// It does not build.
    Failed(FailedBuild),
    /// Nothing here can build it.
    Skipped(Unbuildable),
    /// It could not be found out, and why.
    Unknown(String),
}

/// What is told of a build that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedBuild {
    /// The derivation that failed itself, of several the first by name.
    pub derivation: Option<crate::closure::StorePath>,
    /// Why.
    pub reason: String,
    /// What else failed that the host needs, by name.
    pub others: Vec<crate::closure::StorePath>,
    /// The end of its log, raw.
    pub log_tail: Vec<String>,
    /// The first lines of its log that look like an error, without colours.
    pub log_errors: Vec<String>,
}

/// What the update does to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub status: Status,
    /// Why it is skipped or unknown.
    pub reason: Option<String>,
    /// The side whose failure is worth telling.
    pub failed: Option<SideName>,
}

impl Verdict {
    fn of(status: Status) -> Self {
        Self {
            status,
            reason: None,
            failed: None,
        }
    }

    fn failing(status: Status, side: SideName) -> Self {
        Self {
            status,
            reason: None,
            failed: Some(side),
        }
    }

    fn because(status: Status, reason: String) -> Self {
        Self {
            status,
            reason: Some(reason),
            failed: None,
        }
    }
}

/// How a side stands, its details aside.
enum Standing<'a> {
    Absent,
    Fine,
    Fails,
    Skipped(String),
    Unknown(&'a str),
}

impl SideState {
    pub(super) fn evaluated(&self) -> Option<&Evaluated> {
        match self {
            Self::Evaluated(evaluated, _) => Some(evaluated),
            Self::Absent | Self::NotEvaluated { .. } | Self::NotEvaluable(_) | Self::Unasked(_) => {
                None
            }
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        matches!(self, Self::Evaluated(_, BuildState::Valid))
    }

    fn standing(&self) -> Standing<'_> {
        match self {
            Self::Absent => Standing::Absent,
            Self::NotEvaluated { .. } | Self::Evaluated(_, BuildState::Failed(_)) => {
                Standing::Fails
            }
            Self::Evaluated(_, BuildState::Valid | BuildState::Unwanted) => Standing::Fine,
            Self::Evaluated(_, BuildState::Skipped(what)) => Standing::Skipped(missing(what)),
            Self::NotEvaluable(why) => Standing::Skipped(why.clone()),
            Self::Unasked(why) => Standing::Unknown(why),
            Self::Evaluated(_, BuildState::Unknown(why)) => Standing::Unknown(why),
            Self::Evaluated(_, BuildState::NotTried) => Standing::Unknown("it was not built"),
        }
    }
}

/// Returns what the update does to a host whose sides came out like this.
pub(super) fn judge(before: &SideState, after: &SideState) -> Verdict {
    if let (Some(b), Some(a)) = (before.evaluated(), after.evaluated())
        && b.out == a.out
    {
        return Verdict::of(Status::Unchanged);
    }
    // What evaluated and does not any more is broken, whether or not it could be built here.
    if matches!(after, SideState::NotEvaluated { .. })
        && matches!(before, SideState::Evaluated(_, state) if !matches!(state, BuildState::Failed(_)))
    {
        return Verdict::failing(Status::Broken, SideName::After);
    }
    match (before.standing(), after.standing()) {
        (Standing::Fine | Standing::Absent, Standing::Fine) => Verdict::of(Status::Changed),
        (Standing::Fine, Standing::Fails) => Verdict::failing(Status::Broken, SideName::After),
        (Standing::Fails, Standing::Fine) => Verdict::failing(Status::Mended, SideName::Before),
        // Without a *before* there is nothing that an update could have broken.
        (Standing::Fails | Standing::Absent, Standing::Fails) => {
            Verdict::failing(Status::AlreadyBroken, SideName::After)
        }
        // It fails, and whether it did before is not known.
        (Standing::Skipped(why), Standing::Fails) => Verdict {
            failed: Some(SideName::After),
            ..Verdict::because(Status::Unknown, why)
        },
        (Standing::Unknown(why), Standing::Fails) => Verdict {
            failed: Some(SideName::After),
            ..Verdict::because(Status::Unknown, why.to_owned())
        },
        (_, Standing::Skipped(why)) | (Standing::Skipped(why), _) => {
            Verdict::because(Status::Skipped, why)
        }
        (_, Standing::Unknown(why)) | (Standing::Unknown(why), _) => {
            Verdict::because(Status::Unknown, why.to_owned())
        }
        // A host that goes away is not looked at: hosts are those of one flake.nix.
        (_, Standing::Absent) => Verdict::because(
            Status::Unknown,
            "there is nothing after the update".to_owned(),
        ),
    }
}

/// Says what is missing to build something.
fn missing(what: &Unbuildable) -> String {
    let features = if what.features.is_empty() {
        String::new()
    } else {
        format!(" with {}", what.features.join(", "))
    };
    format!(
        "no builder for {}{features}, which {} needs",
        what.system,
        what.drv.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closure::StorePath;

    fn path(name: &str) -> StorePath {
        StorePath::parse(&format!(
            "/nix/store/00000000000000000000000000000000-{name}"
        ))
        .unwrap()
    }

    #[test]
    fn every_pair_of_sides_has_a_verdict() {
        let side = |name: &str, state: BuildState| {
            let evaluated = Evaluated {
                drv: path(&format!("{name}.drv")),
                out: path(name),
                system: None,
                image: false,
            };
            SideState::Evaluated(evaluated, state)
        };
        let sides = |name: &str| {
            vec![
                ("absent", SideState::Absent),
                (
                    "no evaluation",
                    SideState::NotEvaluated {
                        message: "x".to_owned(),
                    },
                ),
                ("unasked", SideState::Unasked("x".to_owned())),
                ("no IFD", SideState::NotEvaluable("x".to_owned())),
                ("fine", side(name, BuildState::Valid)),
                (
                    "fails",
                    side(
                        name,
                        BuildState::Failed(FailedBuild {
                            derivation: None,
                            reason: "x".to_owned(),
                            others: Vec::new(),
                            log_tail: Vec::new(),
                            log_errors: Vec::new(),
                        }),
                    ),
                ),
                (
                    "no builder",
                    side(
                        name,
                        BuildState::Skipped(Unbuildable {
                            drv: path("linux.drv"),
                            system: "aarch64-linux".to_owned(),
                            features: Vec::new(),
                        }),
                    ),
                ),
                (
                    "unknown",
                    side(name, BuildState::Unknown("timed out".to_owned())),
                ),
            ]
        };
        let mut table = Vec::new();
        for (b, before) in sides("before") {
            for (a, after) in sides("after") {
                if a == "absent" {
                    continue;
                }
                let verdict = judge(&before, &after);
                table.push(format!(
                    "{b:>13} -> {a:<13} {} {:?}",
                    verdict.status.as_str(),
                    verdict.failed
                ));
            }
        }
        insta::assert_snapshot!(table.join("\n"), @"
               absent -> no evaluation already-broken Some(After)
               absent -> unasked       unknown None
               absent -> no IFD        skipped None
               absent -> fine          changed None
               absent -> fails         already-broken Some(After)
               absent -> no builder    skipped None
               absent -> unknown       unknown None
        no evaluation -> no evaluation already-broken Some(After)
        no evaluation -> unasked       unknown None
        no evaluation -> no IFD        skipped None
        no evaluation -> fine          mended Some(Before)
        no evaluation -> fails         already-broken Some(After)
        no evaluation -> no builder    skipped None
        no evaluation -> unknown       unknown None
              unasked -> no evaluation unknown Some(After)
              unasked -> unasked       unknown None
              unasked -> no IFD        skipped None
              unasked -> fine          unknown None
              unasked -> fails         unknown Some(After)
              unasked -> no builder    skipped None
              unasked -> unknown       unknown None
               no IFD -> no evaluation unknown Some(After)
               no IFD -> unasked       skipped None
               no IFD -> no IFD        skipped None
               no IFD -> fine          skipped None
               no IFD -> fails         unknown Some(After)
               no IFD -> no builder    skipped None
               no IFD -> unknown       skipped None
                 fine -> no evaluation broken Some(After)
                 fine -> unasked       unknown None
                 fine -> no IFD        skipped None
                 fine -> fine          changed None
                 fine -> fails         broken Some(After)
                 fine -> no builder    skipped None
                 fine -> unknown       unknown None
                fails -> no evaluation already-broken Some(After)
                fails -> unasked       unknown None
                fails -> no IFD        skipped None
                fails -> fine          mended Some(Before)
                fails -> fails         already-broken Some(After)
                fails -> no builder    skipped None
                fails -> unknown       unknown None
           no builder -> no evaluation broken Some(After)
           no builder -> unasked       skipped None
           no builder -> no IFD        skipped None
           no builder -> fine          skipped None
           no builder -> fails         unknown Some(After)
           no builder -> no builder    skipped None
           no builder -> unknown       skipped None
              unknown -> no evaluation broken Some(After)
              unknown -> unasked       unknown None
              unknown -> no IFD        skipped None
              unknown -> fine          unknown None
              unknown -> fails         unknown Some(After)
              unknown -> no builder    skipped None
              unknown -> unknown       unknown None
        ");
        // Not built on purpose is as good as built.
        let [b, a] = ["before", "after"].map(|name| side(name, BuildState::Unwanted));
        let fails = SideState::NotEvaluated {
            message: "x".to_owned(),
        };
        let statuses = [
            (&b, &a),
            (&b, &fails),
            (&fails, &a),
            (&SideState::Absent, &a),
        ]
        .map(|(before, after)| judge(before, after).status);
        assert_eq!(
            statuses,
            [
                Status::Changed,
                Status::Broken,
                Status::Mended,
                Status::Changed
            ]
        );
        let same = side("same", BuildState::NotTried);
        assert_eq!(judge(&same, &same).status, Status::Unchanged);
    }
}
