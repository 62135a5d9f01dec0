//! `slotproof check`: lists and runs scenarios.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use slotproof::check::{Checked, check};
use slotproof_model::check::language;
use slotproof_model::check::scenario::{BUILT_IN, Scenario, ScenarioError};

use super::out;

/// Explore scenarios to the end, and compare with what they expect.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Names of built-in scenarios, or files; all built-in ones if none is given.
    scenarios: Vec<String>,
    /// List the scenarios and do not run them.
    #[arg(long)]
    list: bool,
    /// Explore each at its further bounds too, which takes long and needs gigabytes.
    #[arg(long)]
    all: bool,
    /// Explain a key of the language of scenarios; `all` lists them.
    #[arg(long, value_name = "KEY")]
    explain: Option<String>,
    /// Run them under these rules.
    #[arg(long, value_name = "NAME")]
    rules: Option<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
    /// Do not print counterexamples.
    #[arg(long)]
    quiet: bool,
}

pub(crate) fn run(args: &Check) -> ExitCode {
    if let Some(key) = &args.explain {
        return explain(key);
    }
    match all(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            out::mistake(e);
            ExitCode::from(2)
        }
    }
}

fn all(args: &Check) -> Result<bool, ScenarioError> {
    let names: Vec<String> = if args.scenarios.is_empty() {
        BUILT_IN.iter().map(|(n, _)| (*n).to_string()).collect()
    } else {
        args.scenarios.clone()
    };
    let mut scenarios = names.iter().map(|n| load(n)).collect::<Result<Vec<_>, _>>()?;
    if let Some(rules) = &args.rules {
        for s in &mut scenarios {
            s.rules.clone_from(rules);
            s.rules_of(None)?;
        }
    }
    if args.scenarios.is_empty() && !args.all && !args.list {
        scenarios.retain(|s| !s.long);
    }
    if args.list {
        for s in &scenarios {
            out::line(format_args!("{:<22} {:<18} {}", s.name, format!("{:?}", s.family), s.about));
        }
        return Ok(true);
    }
    if args.all {
        let further = |s: &Scenario| {
            let s = s.clone();
            s.further_d.clone().into_iter().map(move |d| Scenario { d, ..s.clone() })
        };
        scenarios = scenarios.iter().flat_map(|s| std::iter::once(s.clone()).chain(further(s))).collect();
    }
    let mut good = true;
    for scenario in &scenarios {
        let name = &scenario.name;
        let checked = check(scenario, args.threads.max(1), |states, frontier, depth, took| {
            let rate = states as f64 / took.as_secs_f64().max(1e-3);
            out::passing(format_args!(
                "{name}: {states} states, {frontier} to go, depth {depth}, {rate:.0} states/s"
            ));
        })?;
        out::passed();
        good &= checked.as_expected();
        if args.json {
            match serde_json::to_string(&checked) {
                Ok(text) => out::line(text),
                Err(e) => return Err(ScenarioError(e.to_string())),
            }
        } else {
            tell(&checked, args.quiet);
        }
    }
    Ok(good)
}

fn explain(name: &str) -> ExitCode {
    let keys = if name == "all" { language::keys() } else { language::explain(name) };
    if keys.is_empty() {
        let mut names: Vec<String> = language::keys().into_iter().map(|k| k.name).collect();
        names.dedup();
        out::mistake(format_args!("no key {name:?}; there are {}", names.join(", ")));
        return ExitCode::from(2);
    }
    for key in &keys {
        out::line(format_args!("{} {} ({}): {}", key.table, key.name, key.kind, key.text));
    }
    if ["script", "resume"].contains(&name) {
        out::line(language::script_lines());
    }
    ExitCode::SUCCESS
}

fn load(name: &str) -> Result<Scenario, ScenarioError> {
    if Path::new(name).extension().is_none_or(|e| e != "toml") {
        return Scenario::built_in(name);
    }
    let text = std::fs::read_to_string(name).map_err(|e| ScenarioError(format!("{name}: {e}")))?;
    Scenario::parse(&text).map_err(|e| ScenarioError(format!("{name}: {e}")))
}

/// One line, then the counterexamples.
fn tell(c: &Checked, quiet: bool) {
    out::line(summary(c));
    for p in c.properties.iter().filter(|_| !quiet) {
        if let Some(text) = &p.transcript {
            let note = if p.expected { "expected" } else { "NOT EXPECTED" };
            out::line(format_args!("  ({note}) {}", text.replace('\n', "\n  ")));
        }
    }
}

pub(crate) fn summary(c: &Checked) -> String {
    let list = |outcome: &str| {
        let of: Vec<String> = c
            .properties
            .iter()
            .filter(|p| p.outcome == outcome)
            .map(|p| format!("{}{}", p.name, if p.expected { "" } else { "(!)" }))
            .collect();
        if of.is_empty() { String::new() } else { format!("; {outcome}: {}", of.join(" ")) }
    };
    let whole =
        if c.complete { "complete".to_string() } else { format!("CUT OFF by {}", c.bounds.join(", ")) };
    format!(
        "{:<22} {:>9} states, depth {:>2}, {whole} at d={}, {:.1} s, {} MB: {}{}{}",
        c.scenario,
        c.states,
        c.depth,
        c.d,
        c.seconds,
        c.rss_bytes >> 20,
        c.verdict,
        list("violated"),
        list("holds"),
    )
}
