//! weir under stress: named scenarios that start it, make its life hard, and compare figures with stated bounds.
//!
//! A scenario ([`SCENARIOS`], a file each) gets a [`stage::Stage`] and writes figures and checks into a
//! [`report::Report`]. What it starts are children and threads of its own; network namespaces and mounts live no
//! longer than the children that use them. Nothing stays behind after a failure, SIGINT or SIGTERM.
//! Not here: load itself (`load`, run as a child, has many players), other servers (`bench-peers`).
//!
//! Bounds: every wait has a deadline, a whole run stays below twelve minutes.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program has std anyway")]

mod bad_network;
#[path = "../children.rs"]
mod children;
mod churn;
#[path = "../common.rs"]
#[allow(dead_code, reason = "no flag here has a value to parse")]
mod common;
mod disk_full;
mod hostile;
mod long_time;
mod network;
mod no_files;
mod probe;
mod report;
mod shapes;
mod slow_players;
mod stage;
#[path = "../load/stream.rs"]
mod stream;
#[path = "../load/system.rs"]
#[allow(dead_code, reason = "load has a use for all of it")]
mod system;
mod weir_process;
mod wire;

use common::{Failure, Tool};
use getopts::{Matches, Options};
use report::{Report, Verdict};
use stage::{Problem, Stage};
use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

/// One kind of trouble.
struct Scenario {
    name: &'static str,
    /// What happens, for `--list`.
    about: &'static str,
    run: fn(&Stage, &mut Report) -> Result<(), Problem>,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "slow-players",
        about: "2000 players, 5 % of them stalled or reading at a tenth of the rate",
        run: slow_players::run,
    },
    Scenario {
        name: "churn",
        about: "publishers and players that come and break off anywhere, for 60 s",
        run: churn::run,
    },
    Scenario {
        name: "hostile",
        about: "1000 handshakes byte by byte, chunk size 1, 16 MB messages, csids, deep AMF, silence",
        run: hostile::run,
    },
    Scenario {
        name: "bad-network",
        about: "loss, delay and cut links between publisher, server and players",
        run: bad_network::run,
    },
    Scenario { name: "no-files", about: "the server is out of file descriptors", run: no_files::run },
    Scenario {
        name: "disk-full",
        about: "the disk is full while --capture writes to it",
        run: disk_full::run,
    },
    Scenario {
        name: "long-time",
        about: "timestamps past 16 777 215 ms and past 2^32 ms, up to a real ffprobe",
        run: long_time::run,
    },
    Scenario {
        name: "shapes",
        about: "audio only, video only, 100 streams x 20 players, 50 Mbit/s with keyframes of 4 MB",
        run: shapes::run,
    },
];

fn main() -> ExitCode {
    let tool = Tool {
        name: "stress",
        synopsis: "[flags]",
        purpose: "Makes weir's life hard in named scenarios and checks figures against bounds. Exit code 1: something\n\
                  does not hold, or could not be run.",
        arguments: 0,
    };
    let mut flags = Options::new();
    flags.optmulti("", "only", "of all scenarios this one; repeatable", "NAME");
    flags.optflag("", "quick", "fewer players and shorter times: a look, in less than five minutes");
    flags.optflag("", "list", "name the scenarios and what happens in them");
    flags.optflag("", "allow-missing", "succeed although a scenario could not be run on this machine");
    tool.main(flags, |matches| {
        if matches.opt_present("list") {
            let lines = SCENARIOS.iter().map(|scenario| format!("{:14} {}\n", scenario.name, scenario.about));
            return print(&lines.collect::<String>());
        }
        run(matches)
    })
}

fn run(matches: &Matches) -> Result<(), Failure> {
    let only = matches.opt_strs("only");
    if let Some(name) = only.iter().find(|&name| SCENARIOS.iter().all(|scenario| scenario.name != name)) {
        return Err(Failure::Usage(format!("--only {name}: no such scenario (try --list)")));
    }
    let chosen: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| only.is_empty() || only.iter().any(|name| name == scenario.name))
        .collect();
    let stage = Stage::new(matches.opt_present("quick"), chosen.len())?;
    let started = Instant::now();
    let mut verdicts = Vec::new();
    for scenario in chosen {
        stage.open(scenario.name);
        let since = Instant::now();
        let mut report = Report::default();
        let result = (scenario.run)(&stage, &mut report);
        if stage.is_stopped() {
            return Err(Failure::Run("interrupted".into()));
        }
        let verdict = report.verdict(result);
        stage.close();
        print(&report.text(scenario.name, since.elapsed(), &verdict))?;
        verdicts.push((scenario.name, verdict));
    }
    stage.finish();
    conclude(&verdicts, started.elapsed(), matches.opt_present("allow-missing"))
}

/// The last line, and the exit code.
fn conclude(verdicts: &[(&str, Verdict)], time: Duration, may_miss: bool) -> Result<(), Failure> {
    let names = |is_wanted: fn(&Verdict) -> bool| {
        let named = verdicts.iter().filter(|(_, verdict)| is_wanted(verdict)).map(|(name, _)| *name);
        named.collect::<Vec<_>>().join(", ")
    };
    let failed = names(|verdict| matches!(verdict, Verdict::Failed));
    let missing = names(|verdict| matches!(verdict, Verdict::NotRun(_)));
    let passed = names(|verdict| matches!(verdict, Verdict::Passed));
    let mut summary = format!("in {} s", time.as_secs());
    for (what, names) in [("passed", &passed), ("FAILED", &failed), ("NOT RUN", &missing)] {
        if !names.is_empty() {
            summary.push_str(&format!("; {what}: {names}"));
        }
    }
    if failed.is_empty() && (missing.is_empty() || may_miss) {
        print(&format!("{summary}\n"))
    } else {
        Err(Failure::Run(summary))
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::run("standard output", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_in_which_all_held_is_a_success() {
        let all = |second| [("a", Verdict::Passed), ("b", second)];
        let time = Duration::from_secs(1);
        assert!(conclude(&all(Verdict::Passed), time, false).is_ok());
        assert!(conclude(&all(Verdict::Failed), time, true).is_err());
        assert!(conclude(&all(Verdict::NotRun("no tc".into())), time, false).is_err());
        assert!(conclude(&all(Verdict::NotRun("no tc".into())), time, true).is_ok());
    }
}
