//! weir beside other RTMP servers, on one machine and in one run; also weir by HTTP and RTSP beside those by RTMP.
//!
//! For each scenario ([`scenario`]) and round, every server is started afresh ([`servers`]), put under load by
//! the program `load` ([`run`]) and ended, one after the other, so that whatever else the machine does falls on all
//! of them. Medians over the rounds ([`results`]) go to standard output as tables ([`report`]) and, with `--docs`,
//! into `performance.md` and a chart ([`chart`]).
//!
//! Bounds: every child has a deadline and ends with this program, also on SIGINT and SIGTERM.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program has std anyway")]

mod chart;
#[path = "../children.rs"]
mod children;
#[path = "../common.rs"]
mod common;
mod report;
mod results;
mod run;
mod scenario;
mod servers;

use common::{Failure, Tool, value};
use getopts::{Matches, Options};
use indicatif::{ProgressBar, ProgressStyle};
use results::Results;
use run::{LoadPlan, load};
use scenario::{By, SCENARIOS, Scenario};
use servers::{Contender, Peer, Prefix, Running};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    env, io,
    io::Write,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

fn main() -> ExitCode {
    let tool = Tool {
        name: "bench-peers",
        synopsis: "[flags]",
        purpose: "Measures weir beside nginx-rtmp and other RTMP servers, in turns, with the program `load`.",
        arguments: 0,
    };
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.id).collect();
    let mut flags = Options::new();
    flags.optopt("", "rounds", "how often each server is measured (default 3)", "N");
    flags.optopt("", "seconds", "length of a measurement (default 6)", "S");
    flags.optmulti(
        "",
        "only",
        &format!("of all scenarios this one; repeatable: {}", names.join(", ")),
        "NAME",
    );
    flags.optflag(
        "",
        "quick",
        "one round of 2 s, unless other flags say otherwise: a look, in some three minutes",
    );
    flags.optopt("", "at-most", "players of a scenario, for a look: bars are not judged then", "N");
    flags.optmulti(
        "",
        "peer",
        "another server, repeatable, or lines of the variable PEER: name, port of 127.0.0.1, command",
        "'NAME PORT CMD'",
    );
    flags.optopt("", "docs", "write DIR/performance.md's section and DIR/performance.svg", "DIR");
    tool.main(flags, |matches| {
        let plan = Plan::parse(matches)?;
        let results = measure(&plan)?;
        let text = report::section(&results, &plan.title());
        writeln!(io::stdout(), "{text}").map_err(|error| Failure::run("standard output", error))?;
        match &plan.docs {
            Some(folder) => report::write(folder, &text, &chart::svg(&results)),
            None => Ok(()),
        }
    })
}

/// What to do.
struct Plan {
    rounds: usize,
    load: LoadPlan,
    scenarios: Vec<&'static Scenario>,
    peers: Vec<Peer>,
    at_most: Option<usize>,
    docs: Option<PathBuf>,
}

impl Plan {
    fn parse(matches: &Matches) -> Result<Plan, Failure> {
        let quick = matches.opt_present("quick");
        let only = matches.opt_strs("only");
        let scenarios: Vec<_> = SCENARIOS
            .iter()
            .filter(|scenario| only.is_empty() || only.iter().any(|name| name == scenario.id))
            .collect();
        if let Some(unknown) =
            only.iter().find(|name| !SCENARIOS.iter().any(|scenario| scenario.id == name.as_str()))
        {
            return Err(Failure::Usage(format!("--only {unknown}: no such scenario (try --help)")));
        }
        let from_environment = env::var("PEER").unwrap_or_default();
        let peers = matches.opt_strs("peer");
        let peers = peers.iter().map(String::as_str).chain(from_environment.lines());
        let peers =
            peers.filter(|line| !line.trim().is_empty()).map(Peer::parse).collect::<Result<_, _>>()?;
        let rounds = value::<usize>(matches, "rounds", if quick { 1 } else { 3 })?.max(1);
        let seconds = value::<u64>(matches, "seconds", if quick { 2 } else { 6 })?.max(1);
        Ok(Plan {
            rounds,
            // The GOP has 2 s: players join in the middle of one.
            load: LoadPlan { before: if quick { 1 } else { 3 }, seconds },
            scenarios,
            peers,
            at_most: matches.opt_str("at-most").map(|_| value(matches, "at-most", 0)).transpose()?,
            docs: matches.opt_str("docs").map(PathBuf::from),
        })
    }

    /// Which servers take part in a scenario, in the order of their turns.
    fn contenders(&self, scenario: &Scenario) -> Vec<Contender> {
        let weir = scenario.weir.iter().map(|flags| Contender::Weir(flags));
        weir.chain([Contender::Nginx]).chain(self.peers.iter().cloned().map(Contender::Peer)).collect()
    }

    /// How to repeat it.
    fn title(&self) -> String {
        let arguments: Vec<String> = env::args().skip(1).collect();
        format!(
            "`bench-peers {}`: {} round{} of {} s",
            arguments.join(" "),
            self.rounds,
            if self.rounds == 1 { "" } else { "s" },
            self.load.seconds
        )
    }
}

fn measure(plan: &Plan) -> Result<Results, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| Failure::run("signals", error))?;
    }
    let prefix = Prefix::new()?;
    if plan.scenarios.iter().any(|scenario| scenario.is_file()) {
        prefix.write_clip()?;
    }
    let turns = plan.scenarios.iter().map(|scenario| plan.contenders(scenario).len()).sum::<usize>();
    let bar = progress_bar(turns * plan.rounds);
    let mut results = Results::new(plan.at_most.is_none());
    for scenario in &plan.scenarios {
        let contenders = plan.contenders(scenario);
        let players = plan.at_most.map_or(scenario.players, |most| scenario.players.min(most));
        for round in 0..plan.rounds {
            for contender in &contenders {
                let name = contender.name();
                bar.set_message(format!("{}, round {}: {name}", scenario.title, round + 1));
                results.note_version(contender);
                // A server that does not start is a mistake; one that cannot take the load is a result.
                let mut server = Running::start(contender, &prefix, &stop)?;
                let by = match contender {
                    Contender::Weir(_) => scenario.by,
                    Contender::Nginx | Contender::Peer(_) => By::Rtmp,
                };
                let outcome = load(&plan.load, scenario, by, players, &mut server, &stop);
                if stop.load(Relaxed) {
                    return Err(Failure::Run("interrupted".into()));
                }
                results.add(scenario, name, outcome);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    Ok(results)
}

/// On a terminal only.
fn progress_bar(turns: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {elapsed}/{duration} {msg}")
        .expect("a constant template");
    let bar = ProgressBar::new(turns as u64).with_style(style);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
