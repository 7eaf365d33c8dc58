//! What was measured, as one table or as JSON.

use serde_json::{Value, json};

use crate::Options;
use crate::measure::Figures;

/// The figures of a run.
pub(crate) struct Report {
    connections: usize,
    stages: Vec<Figures>,
    facts: Vec<(&'static str, u64, &'static str)>,
}

impl Report {
    /// Nothing measured yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            connections: options.connections,
            stages: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Adds a stage.
    pub(crate) fn stage(&mut self, figures: Figures) {
        eprintln!("{}", figures.line());
        self.stages.push(figures);
    }

    /// Adds a number with its unit.
    pub(crate) fn fact(&mut self, name: &'static str, value: u64, unit: &'static str) {
        eprintln!("{name}: {value} {unit}");
        self.facts.push((name, value, unit));
    }

    /// Writes everything to the standard output.
    pub(crate) fn print(&self, json: bool) {
        if json {
            let stages: Vec<Value> = self.stages.iter().map(Figures::json).collect();
            let facts: Vec<Value> = self
                .facts
                .iter()
                .map(|(name, value, unit)| json!({"name": name, "value": value, "unit": unit}))
                .collect();
            println!(
                "{}",
                json!({"connections": self.connections, "stages": stages, "facts": facts})
            );
            return;
        }
        println!(
            "| {} connections | calls | s | calls/s | p50 ms | p99 ms |",
            self.connections
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        for stage in &self.stages {
            println!("{}", stage.line());
        }
        println!();
        for (name, value, unit) in &self.facts {
            println!("{name}: {value} {unit}");
        }
    }
}
