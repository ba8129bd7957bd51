//! What is measured, and the bars it is measured against.

/// One load, put on every server in turn.
pub(crate) struct Scenario {
    /// For `--only`.
    pub(crate) id: &'static str,
    /// For the tables.
    pub(crate) title: &'static str,
    /// None: all play the same file.
    pub(crate) publishers: usize,
    /// Of each publisher.
    pub(crate) players: usize,
    /// Further flags of `load`.
    pub(crate) flags: &'static [&'static str],
    /// The forms of weir that take part.
    pub(crate) weir: &'static [Flags],
    /// How weir's players play. The others' do so by RTMP.
    pub(crate) by: By,
    /// Only the joining counts: one second of measurement is enough.
    pub(crate) is_storm: bool,
}

impl Scenario {
    /// Players play a file.
    pub(crate) fn is_file(&self) -> bool {
        self.publishers == 0
    }
}

/// A protocol of players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Rtmp,
    /// FLV as the body of a response.
    Http,
    /// FLV in binary messages.
    WebSocket,
    /// Interleaved packets.
    Rtsp,
    /// Datagrams.
    RtspOverUdp,
}

/// Flags of weir, separated by spaces; none as shipped.
pub(crate) type Flags = &'static str;

/// What everybody else is compared with.
pub(crate) const REFERENCE: &str = "nginx-rtmp";

const SHIPPED: &[Flags] = &[""];
const UNGATHERED: &[Flags] = &["", "--merge 0"];
const ALL: &[Flags] = &[
    "",
    "--merge 0",
    "--merge 100",
    "--merge 350",
    // Beside one thread per core but one, as shipped.
    "--subscriber-threads 2",
    "--subscriber-threads 8",
];
/// nginx-rtmp keeps no GOP.
const WITHOUT_GOP: &[Flags] = &["", "--gop-cache 0"];

const fn scenario(id: &'static str, title: &'static str, publishers: usize, players: usize) -> Scenario {
    Scenario { id, title, publishers, players, flags: &[], weir: SHIPPED, by: By::Rtmp, is_storm: false }
}

/// All scenarios. A stream has 2 Mbit/s, 30 frames and 43 audio tags a second unless the flags say otherwise.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("1x1", "1 x 1", 1, 1),
    scenario("1x10", "1 x 10", 1, 10),
    scenario("1x100", "1 x 100", 1, 100),
    Scenario { weir: UNGATHERED, ..scenario("1x500", "1 x 500", 1, 500) },
    Scenario { weir: ALL, ..scenario("1x1000", "1 x 1000", 1, 1000) },
    Scenario { weir: UNGATHERED, by: By::Http, ..scenario("http", "HTTP-FLV, 1 x 1000", 1, 1000) },
    Scenario { by: By::WebSocket, ..scenario("ws", "WebSocket, 1 x 1000", 1, 1000) },
    Scenario { weir: UNGATHERED, by: By::Rtsp, ..scenario("rtsp", "RTSP over TCP, 1 x 500", 1, 500) },
    Scenario {
        weir: UNGATHERED,
        by: By::RtspOverUdp,
        ..scenario("rtsp-udp", "RTSP over UDP, 1 x 500", 1, 500)
    },
    Scenario { weir: WITHOUT_GOP, ..scenario("200x0", "200 x 0", 200, 0) },
    Scenario { weir: WITHOUT_GOP, ..scenario("200x1", "200 x 1", 200, 1) },
    Scenario {
        weir: UNGATHERED,
        flags: &["--bitrate", "20000"],
        ..scenario("20mbit", "20 Mbit/s, 1 x 100", 1, 100)
    },
    Scenario { weir: UNGATHERED, flags: &["--fps", "0"], ..scenario("audio", "audio only, 1 x 100", 1, 100) },
    scenario("vod", "200 play a file", 0, 200),
    Scenario { is_storm: true, ..scenario("storm", "500 connect at once", 1, 500) },
];

/// What a bar compares.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    /// Processor time per byte sent, as a multiple of the reference's.
    CpuPerByte,
    /// Processor time, as a multiple of the reference's.
    Cpu,
    /// Processor time above the reference's, in percent of a core.
    CpuAbove,
    /// 99th percentile of the delay of pictures, in milliseconds.
    Delay,
    /// The same as a multiple of another form of weir in the same round.
    DelayBeside(&'static str),
    /// KiB of memory that a player adds.
    Memory,
    /// From the first connect to the last picture, in milliseconds.
    AllJoined,
}

/// A claim that a run confirms or not.
pub(crate) struct Bar {
    pub(crate) what: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) server: &'static str,
    pub(crate) measure: Measure,
    pub(crate) at_most: f64,
}

const fn bar(
    what: &'static str,
    scenario: &'static str,
    server: &'static str,
    measure: Measure,
    at_most: f64,
) -> Bar {
    Bar { what, scenario, server, measure, at_most }
}

/// What weir claims.
pub(crate) const BARS: &[Bar] = &[
    bar("CPU per GB sent, 1 x 1000, `--merge 0`", "1x1000", "weir --merge 0", Measure::CpuPerByte, 0.95),
    bar("the same, as shipped", "1x1000", "weir", Measure::CpuPerByte, 0.65),
    // 1.2 is a choice: a fifth of a few milliseconds, which nobody sees.
    bar("picture delay p99, as shipped", "1x1000", "weir", Measure::DelayBeside("weir --merge 0"), 1.2),
    bar("CPU per GB sent, `--merge 100`", "1x1000", "weir --merge 100", Measure::CpuPerByte, 0.2),
    bar("CPU per GB sent, `--merge 350`", "1x1000", "weir --merge 350", Measure::CpuPerByte, 0.11),
    bar("CPU per GB sent, HTTP-FLV, 1 x 1000", "http", "weir", Measure::CpuPerByte, 0.85),
    bar("memory per player, HTTP-FLV, 1 x 1000", "http", "weir", Measure::Memory, 8.0),
    bar("CPU per GB sent, RTSP over TCP, 1 x 500", "rtsp", "weir", Measure::CpuPerByte, 0.85),
    bar("memory per player, RTSP over TCP, 1 x 500", "rtsp", "weir", Measure::Memory, 8.0),
    bar("CPU, 200 publishers, nobody watching", "200x0", "weir", Measure::Cpu, 0.9),
    bar("the same without a GOP, as nginx-rtmp", "200x0", "weir --gop-cache 0", Measure::Cpu, 0.9),
    bar("CPU per GB sent, 200 play a file", "vod", "weir", Measure::CpuPerByte, 1.0),
    bar("picture delay p99, 1 x 500, `--merge 0`", "1x500", "weir --merge 0", Measure::Delay, 15.0),
    bar("memory per player, 1 x 1000", "1x1000", "weir", Measure::Memory, 8.0),
    bar("500 players connect at once, until the last picture", "storm", "weir", Measure::AllJoined, 2000.0),
    bar("CPU above the reference's, 1 x 1", "1x1", "weir", Measure::CpuAbove, 1.0),
    bar("CPU above the reference's, 1 x 10", "1x10", "weir", Measure::CpuAbove, 1.0),
    bar("picture delay p99, 1 x 1", "1x1", "weir", Measure::Delay, 2.0),
    bar("picture delay p99, 1 x 10", "1x10", "weir", Measure::Delay, 2.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_about_something_that_is_measured() {
        for bar in BARS {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.id == bar.scenario);
            let weir = scenario.unwrap_or_else(|| panic!("no scenario {}", bar.scenario)).weir;
            let forms: Vec<String> = weir.iter().map(|flags| crate::servers::weir_name(flags)).collect();
            let beside = match bar.measure {
                Measure::DelayBeside(other) => other,
                _ => bar.server,
            };
            for name in [bar.server, beside] {
                assert!(forms.iter().any(|form| form == name), "{} does not measure {name}", bar.scenario);
            }
        }
    }
}
