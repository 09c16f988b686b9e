//! The binary comes with the pipeline.

fn main() {}
