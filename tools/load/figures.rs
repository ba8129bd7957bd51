//! The result of a run: as a line for people and as JSON.

use crate::{players::Findings, system::Usage};
use std::{
    fmt::{self, Write},
    time::Duration,
};

/// Everything a run measured.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) publishers: usize,
    pub(crate) players: usize,
    /// Seconds of the measurement.
    pub(crate) seconds: f64,
    /// Bytes that all players received meanwhile, but for laggards.
    pub(crate) bytes: u64,
    /// Received by expected, for each player.
    pub(crate) shares: Vec<f64>,
    /// Microseconds to the picture, for each player that has one.
    pub(crate) joins: Vec<u32>,
    /// From the first connect of any player to the last picture of any player; 0 without players.
    pub(crate) all_joined: Duration,
    /// Players whose connection was closed.
    pub(crate) closed: usize,
    /// Players that got no picture, or less than [`ENOUGH`].
    pub(crate) short: usize,
    /// Players that read late on purpose; the figures above are without them.
    pub(crate) laggards: usize,
    /// Those that the server closed, before they were woken or after.
    pub(crate) laggards_closed: usize,
    /// Those that saw what was sent after they were woken.
    pub(crate) laggards_caught_up: usize,
    pub(crate) findings: Findings,
    /// The server's processes before any player came, if they are known.
    pub(crate) idle: Option<Usage>,
    /// The same before and after the measurement.
    pub(crate) usage: Option<(Usage, Usage)>,
    /// The same of this program: if it needs a whole processor, it measures itself.
    pub(crate) own_usage: Option<(Usage, Usage)>,
}

/// The least share of what was sent that a player must have got. Tags in flight at both ends of the measurement,
/// and the server's chunk headers, account for less than the rest.
pub(crate) const ENOUGH: f64 = 0.98;

impl Figures {
    /// Nobody closed, nobody short, nothing damaged.
    pub(crate) fn is_good(&self) -> bool {
        self.closed == 0 && self.short == 0 && self.findings.faults == 0
    }

    /// All figures by name, the order of the JSON.
    fn named(&self) -> Vec<(&'static str, f64)> {
        let megabytes = self.bytes as f64 / 1e6;
        let mut named = vec![
            ("publishers", self.publishers as f64),
            ("players", self.players as f64),
            ("seconds", self.seconds),
            ("bytes", self.bytes as f64),
            ("bytes_per_second", self.bytes as f64 / self.seconds),
            ("share_min", percentile(&self.shares, 0.0)),
            ("share_median", percentile(&self.shares, 50.0)),
            ("closed", self.closed as f64),
            ("short", self.short as f64),
            ("checked", self.findings.checked as f64),
            ("faults", self.findings.faults as f64),
        ];
        if self.laggards > 0 {
            named.extend([
                ("laggards", self.laggards as f64),
                ("laggards_closed", self.laggards_closed as f64),
                ("laggards_caught_up", self.laggards_caught_up as f64),
                ("laggards_gaps", self.findings.gaps as f64),
            ]);
        }
        let times = [
            (["delay_p50_ms", "delay_p99_ms", "delay_max_ms"], &self.findings.picture_delays),
            (["audio_delay_p50_ms", "audio_delay_p99_ms", "audio_delay_max_ms"], &self.findings.sound_delays),
            (["join_p50_ms", "join_p99_ms", "join_max_ms"], &self.joins),
        ];
        for (names, times) in times {
            let times: Vec<f64> = times.iter().map(|&micros| f64::from(micros) / 1000.0).collect();
            named.extend(names.into_iter().zip([50.0, 99.0, 100.0].map(|part| percentile(&times, part))));
        }
        named.push(("all_joined_ms", self.all_joined.as_secs_f64() * 1000.0));
        if let Some((before, after)) = self.own_usage {
            named.push(("load_cpu_percent", (after.cpu - before.cpu) / self.seconds * 100.0));
        }
        if let Some((before, after)) = self.usage {
            let cpu = after.cpu - before.cpu;
            named.extend([
                ("cpu_seconds", cpu),
                ("cpu_percent", cpu / self.seconds * 100.0),
                ("cpu_seconds_per_gb", cpu / (megabytes / 1000.0)),
                ("rss_kib", after.rss as f64),
                ("rss_peak_kib", after.rss_peak as f64),
                ("pss_kib", after.pss as f64),
                ("threads", after.threads as f64),
                ("switches_per_second", after.switches.saturating_sub(before.switches) as f64 / self.seconds),
            ]);
        }
        if let Some((idle, (_, with_players))) = self.idle.zip(self.usage) {
            let players = (self.shares.len() + self.laggards) as f64;
            let more = with_players.pss as f64 - idle.pss as f64;
            named.extend([
                ("idle_rss_kib", idle.rss as f64),
                ("idle_pss_kib", idle.pss as f64),
                ("pss_per_player_kib", more / players),
            ]);
        }
        named
    }

    /// One object, on one line. What could not be measured is null.
    pub(crate) fn json(&self) -> String {
        let mut json = String::from("{");
        for (index, (name, value)) in self.named().into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let value =
                if value.is_finite() { format!("{}", (value * 1e4).round() / 1e4) } else { "null".into() };
            // Writing to a string cannot fail.
            let _ = write!(json, "{comma}\"{name}\":{value}");
        }
        json.push('}');
        json
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.named();
        let figure =
            |name| named.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value);
        write!(
            f,
            "{} x {} players, {:.0} s: {:.1} MB/s, each got min {:.1} % median {:.1} % of what was sent, \
             delay p50 {:.1} p99 {:.1} max {:.1} ms (audio {:.1} {:.1} {:.1}), \
             picture after p50 {:.1} p99 {:.1} max {:.1} ms (all after {:.1}), closed {}, short {}, {} tags checked, {} faults",
            self.publishers,
            self.players,
            self.seconds,
            figure("bytes_per_second") / 1e6,
            figure("share_min") * 100.0,
            figure("share_median") * 100.0,
            figure("delay_p50_ms"),
            figure("delay_p99_ms"),
            figure("delay_max_ms"),
            figure("audio_delay_p50_ms"),
            figure("audio_delay_p99_ms"),
            figure("audio_delay_max_ms"),
            figure("join_p50_ms"),
            figure("join_p99_ms"),
            figure("join_max_ms"),
            figure("all_joined_ms"),
            self.closed,
            self.short,
            self.findings.checked,
            self.findings.faults,
        )?;
        if self.usage.is_some() {
            write!(
                f,
                "; server: CPU {:.1} % ({:.2} s/GB), RSS {:.1} MB, PSS {:.1} MB ({:.1} KB a player), \
                 {:.0} threads, {:.0} switches/s; load itself: CPU {:.1} %",
                figure("cpu_percent"),
                figure("cpu_seconds_per_gb"),
                figure("rss_kib") / 1024.0,
                figure("pss_kib") / 1024.0,
                figure("pss_per_player_kib"),
                figure("threads"),
                figure("switches_per_second"),
                figure("load_cpu_percent"),
            )?;
        }
        if self.laggards > 0 {
            write!(
                f,
                "; of {} laggards {} closed, {} caught up, {} gaps at keyframes",
                self.laggards, self.laggards_closed, self.laggards_caught_up, self.findings.gaps,
            )?;
        }
        match &self.findings.first_fault {
            Some(fault) => write!(f, "\nfirst fault: {fault}"),
            None => Ok(()),
        }
    }
}

/// The value that `part` percent of all do not exceed; not a number if there are none.
fn percentile<T: Into<f64> + Copy>(values: &[T], part: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().map(|&value| value.into()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * part / 100.0).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(
            [0.0, 50.0, 99.0, 100.0].map(|part| percentile(&values, part)),
            [1.0, 100.0, 198.0, 200.0]
        );
        assert!(percentile::<f64>(&[], 50.0).is_nan());
    }

    #[test]
    fn json_says_null_where_nothing_was_measured() {
        let figures = Figures {
            publishers: 1,
            players: 2,
            seconds: 2.0,
            bytes: 3,
            shares: vec![1.0, 0.5],
            joins: vec![1500],
            closed: 0,
            laggards: 0,
            laggards_closed: 0,
            laggards_caught_up: 0,
            short: 1,
            all_joined: Duration::from_millis(7),
            findings: Findings::default(),
            idle: None,
            usage: None,
            own_usage: None,
        };
        let json = figures.json();
        assert!(
            json.starts_with(r#"{"publishers":1,"players":2,"seconds":2,"bytes":3,"bytes_per_second":1.5,"#)
        );
        assert!(json.contains(r#""share_min":0.5,"#) && json.contains(r#""delay_p50_ms":null,"#), "{json}");
        assert!(json.ends_with(r#""join_p99_ms":1.5,"join_max_ms":1.5,"all_joined_ms":7}"#), "{json}");
        assert!(!figures.is_good());
    }
}
