//! What all measurements gave: medians over the rounds, and comparisons within a round.

use crate::{
    children::LoadFigures,
    common::Failure,
    scenario::{Bar, Measure, REFERENCE, Scenario},
    servers::Contender,
};

/// Everything that was measured.
pub(crate) struct Results {
    /// Scenarios had all their players, so that bars mean something.
    pub(crate) is_full: bool,
    /// What was measured, once each.
    pub(crate) versions: Vec<String>,
    /// In the order of their turns.
    pub(crate) cells: Vec<Cell>,
}

/// All rounds of one server in one scenario.
pub(crate) struct Cell {
    pub(crate) scenario: &'static Scenario,
    pub(crate) server: String,
    /// A failure keeps its reason.
    pub(crate) rounds: Vec<Result<LoadFigures, String>>,
}

impl Results {
    pub(crate) fn new(is_full: bool) -> Results {
        Results { is_full, versions: Vec::new(), cells: Vec::new() }
    }

    /// Asks a server for its version, unless it did.
    pub(crate) fn note_version(&mut self, contender: &Contender) {
        let is_known = self.cells.iter().any(|cell| cell.server == contender.name());
        let version = if is_known { None } else { contender.version() };
        if let Some(version) = version.filter(|version| !self.versions.contains(version)) {
            self.versions.push(version);
        }
    }

    /// The result of the next round of a server.
    pub(crate) fn add(
        &mut self,
        scenario: &'static Scenario,
        server: String,
        outcome: Result<LoadFigures, Failure>,
    ) {
        let outcome = outcome.map_err(|failure| match failure {
            Failure::Run(why) | Failure::Usage(why) => why,
        });
        let is_it = |cell: &&mut Cell| cell.scenario.id == scenario.id && cell.server == server;
        match self.cells.iter_mut().find(is_it) {
            Some(cell) => cell.rounds.push(outcome),
            None => self.cells.push(Cell { scenario, server, rounds: vec![outcome] }),
        }
    }

    /// The cell of a server in a scenario.
    pub(crate) fn cell(&self, scenario: &str, server: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.scenario.id == scenario && cell.server == server)
    }

    /// The median over the rounds of `compare(figure here, figure of the other server in that round)`.
    fn beside(
        &self,
        cell: &Cell,
        other: &str,
        figure: &str,
        compare: impl Fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let other = self.cell(cell.scenario.id, other)?;
        let pairs = cell.rounds.iter().zip(&other.rounds);
        median(pairs.filter_map(|(one, other)| {
            let figure = |run: &Result<LoadFigures, String>| run.as_ref().ok()?.get(figure).copied();
            Some(compare(figure(one)?, figure(other)?)).filter(|value| value.is_finite())
        }))
    }

    /// Processor time as a multiple of the reference's: per byte sent, or as it is where nobody watches.
    pub(crate) fn cpu_ratio(&self, cell: &Cell) -> Option<f64> {
        let figure = if cell.scenario.players == 0 { "cpu_percent" } else { "cpu_seconds_per_gb" };
        self.beside(cell, REFERENCE, figure, |one, other| one / other)
    }

    /// What a bar is about; `None` if it was not measured.
    pub(crate) fn measured(&self, bar: &Bar) -> Option<f64> {
        let cell = self.cell(bar.scenario, bar.server)?;
        match bar.measure {
            Measure::CpuPerByte | Measure::Cpu => self.cpu_ratio(cell),
            Measure::CpuAbove => self.beside(cell, REFERENCE, "cpu_percent", |one, other| one - other),
            Measure::Delay => cell.median("delay_p99_ms"),
            Measure::DelayBeside(other) => self.beside(cell, other, "delay_p99_ms", |one, other| one / other),
            Measure::Memory => cell.median("pss_per_player_kib"),
            Measure::AllJoined => cell.median("all_joined_ms"),
        }
    }
}

impl Cell {
    /// The median over the rounds that have this figure.
    pub(crate) fn median(&self, figure: &str) -> Option<f64> {
        median(self.rounds.iter().filter_map(|run| run.as_ref().ok()?.get(figure).copied()))
    }

    /// What went wrong, if anything did: players closed, short or damaged in all rounds together, and failures.
    pub(crate) fn trouble(&self) -> Option<String> {
        let mut troubles = Vec::new();
        for figure in ["closed", "short", "faults"] {
            let runs = self.rounds.iter().filter_map(|run| run.as_ref().ok());
            let sum: f64 = runs.filter_map(|run| run.get(figure)).sum();
            if sum > 0.0 {
                troubles.push(format!("{sum} {figure}"));
            }
        }
        troubles.extend(self.rounds.iter().filter_map(|run| run.as_ref().err().cloned()));
        if troubles.is_empty() { None } else { Some(troubles.join(", ")) }
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 { Some(upper) } else { Some((values[values.len() / 2 - 1] + upper) / 2.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SCENARIOS;

    fn scenario(id: &str) -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.id == id).expect("a scenario")
    }

    fn run(figures: &[(&str, f64)]) -> Result<LoadFigures, Failure> {
        Ok(figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    #[test]
    fn servers_are_compared_within_a_round() {
        let mut results = Results::new(true);
        // The machine is three times as slow in the second round: the ratio does not change.
        for (weir, nginx) in [(1.0, 2.0), (3.0, 6.0), (1.2, 2.0)] {
            results.add(scenario("1x10"), "weir".into(), run(&[("cpu_seconds_per_gb", weir)]));
            results.add(scenario("1x10"), REFERENCE.into(), run(&[("cpu_seconds_per_gb", nginx)]));
        }
        let cell = results.cell("1x10", "weir").expect("was added");
        assert_eq!(results.cpu_ratio(cell), Some(0.5));
        assert_eq!(cell.median("cpu_seconds_per_gb"), Some(1.2));
        assert_eq!(cell.trouble(), None);
    }

    #[test]
    fn a_failed_round_is_told_and_compared_with_nothing() {
        let mut results = Results::new(true);
        results.add(scenario("200x0"), "weir".into(), Err(Failure::Run("ended".into())));
        results.add(scenario("200x0"), REFERENCE.into(), run(&[("cpu_percent", 9.0)]));
        results.add(scenario("200x0"), "weir".into(), run(&[("cpu_percent", 4.0), ("short", 2.0)]));
        results.add(scenario("200x0"), REFERENCE.into(), run(&[("cpu_percent", 5.0)]));
        let cell = results.cell("200x0", "weir").expect("was added");
        assert_eq!(results.cpu_ratio(cell), Some(0.8));
        assert_eq!(cell.trouble().as_deref(), Some("2 short, ended"));
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }
}
