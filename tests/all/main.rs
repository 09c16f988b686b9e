//! Tests from the outside: the binary on the fixture fleet with a real Nix, and the structure of the source.

#[cfg(test)]
mod action;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod broken;
#[cfg(test)]
mod budget;
#[cfg(test)]
mod build;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod diff_command;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod evaluation;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod first_run;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hostile_text;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod impact;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod made;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod nixes;
#[cfg(test)]
mod no_build;
#[cfg(test)]
mod packaging;
#[cfg(test)]
mod page;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod push;
#[cfg(test)]
mod real_systems;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod report;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod run;
#[cfg(test)]
mod run_time;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod standin;
mod support;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod workflows;
