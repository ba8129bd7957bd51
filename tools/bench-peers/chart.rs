//! Results as a chart: an SVG with horizontal bars, written out by hand.
//!
//! Two panels: processor time beside nginx-rtmp, and the delay of pictures. Colours of text and background follow the
//! viewer's scheme and come in pairs, so that a viewer that knows no schemes shows the light one as a whole.

use crate::{
    results::{Cell, Results},
    scenario::REFERENCE,
};
use std::fmt::Write;

/// The whole file.
pub(crate) fn svg(results: &Results) -> String {
    let mut servers: Vec<&str> = Vec::new();
    for cell in &results.cells {
        if !servers.contains(&&*cell.server) {
            servers.push(&cell.server);
        }
    }
    // The reference is the last bar of a group, and so the last name.
    servers.sort_by_key(|server| *server == REFERENCE);
    let cpu = |cell: &Cell| if cell.scenario.is_storm { None } else { results.cpu_ratio(cell) };
    // Whoever gathers for longer than a frame delays by just that: no use in drawing it.
    let gathers = |cell: &Cell| cell.server.ends_with(" 100") || cell.server.ends_with(" 350");
    let delay = |cell: &Cell| {
        if cell.scenario.is_storm || gathers(cell) { None } else { cell.median("delay_p99_ms") }
    };
    let panels = [
        Panel::new(
            "Processor time per byte sent (200 x 0: in all), nginx-rtmp = 1: less is better",
            results,
            &cpu,
            2,
        ),
        Panel::new("Delay from publisher to player, 99th percentile, ms: less is better", results, &delay, 1),
    ];
    let mut body = String::new();
    let mut y = MARGIN + legend(&mut body, &servers) + GAP;
    for panel in panels {
        y = panel.draw(&mut body, &servers, y) + GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" \
         height=\"{y}\" font-family=\"sans-serif\" font-size=\"12\">\n{STYLE}\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{y}\" rx=\"6\"/>\n{body}</svg>\n"
    )
}

/// A titled group of bars for each scenario.
struct Panel<'a> {
    title: &'static str,
    /// Scenario, and the server and value of each bar.
    groups: Vec<(&'a str, Vec<(&'a str, f64)>)>,
    digits: usize,
}

impl<'a> Panel<'a> {
    fn new(
        title: &'static str,
        results: &'a Results,
        value: &dyn Fn(&Cell) -> Option<f64>,
        digits: usize,
    ) -> Panel<'a> {
        let mut groups: Vec<(&str, Vec<(&str, f64)>)> = Vec::new();
        for cell in &results.cells {
            let Some(value) = value(cell) else { continue };
            match groups.last_mut().filter(|(title, _)| *title == cell.scenario.title) {
                Some((_, bars)) => bars.push((&cell.server, value)),
                None => groups.push((cell.scenario.title, vec![(&cell.server, value)])),
            }
        }
        Panel { title, groups, digits }
    }

    /// Draws from `y` down; returns where it ends.
    fn draw(&self, out: &mut String, servers: &[&str], mut y: u32) -> u32 {
        let values = self.groups.iter().flat_map(|(_, bars)| bars).map(|(_, value)| *value);
        let greatest = values.fold(f64::MIN_POSITIVE, f64::max);
        put(out, format_args!("<text class=\"title\" x=\"{MARGIN}\" y=\"{}\">{}</text>", y + 12, self.title));
        y += TITLE;
        let top = y;
        for (title, bars) in &self.groups {
            let middle = y + bars.len() as u32 * BAR / 2 + 4;
            let at = LEFT - 8;
            put(
                out,
                format_args!("<text x=\"{at}\" y=\"{middle}\" text-anchor=\"end\">{}</text>", escaped(title)),
            );
            for (server, value) in bars {
                let length = (value / greatest * f64::from(RIGHT - LEFT)).max(1.0);
                let (height, colour) = (BAR - 3, colour(servers, server));
                put(
                    out,
                    format_args!(
                        "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{colour}\"/>"
                    ),
                );
                let (x, base, digits) = (f64::from(LEFT) + length + 5.0, y + BAR - 5, self.digits);
                put(
                    out,
                    format_args!("<text class=\"small\" x=\"{x:.1}\" y=\"{base}\">{value:.digits$}</text>"),
                );
                y += BAR;
            }
            y += GROUP_GAP;
        }
        put(out, format_args!("<path class=\"axis\" d=\"M{LEFT}.5 {top}V{y}\"/>"));
        y
    }
}

/// Which colour is which server; returns its height.
fn legend(out: &mut String, servers: &[&str]) -> u32 {
    let (mut x, mut y) = (MARGIN, MARGIN);
    for server in servers {
        // Text is not measured here: 7 units a letter is enough for this size.
        let width = 30 + 7 * server.chars().count() as u32;
        if x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LEGEND);
        }
        let colour = colour(servers, server);
        put(out, format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"));
        put(out, format_args!("<text x=\"{}\" y=\"{}\">{}</text>", x + 17, y + 10, escaped(server)));
        x += width;
    }
    y + LEGEND - MARGIN
}

/// The reference is grey; others have a colour each as long as they last.
fn colour(servers: &[&str], server: &str) -> &'static str {
    let mut others = servers.iter().filter(|known| **known != REFERENCE);
    match others.position(|known| *known == server) {
        Some(index) => COLOURS[index % COLOURS.len()],
        None => "#8b949e",
    }
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{line}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Of middle brightness, to be seen on white and on black.
const COLOURS: [&str; 7] = ["#1f77d0", "#17a2a2", "#4ca64c", "#9aa61e", "#e08214", "#c2529a", "#8a63d2"];

const STYLE: &str = "<style>\
    .paper{fill:#fff;stroke:#d0d7de}text{fill:#1f2328}.small{font-size:10px}.title{font-weight:bold}\
    .axis{stroke:#8b949e;fill:none}\
    @media(prefers-color-scheme:dark){.paper{fill:#0d1117;stroke:#3d444d}text{fill:#e6edf3}}\
    </style>\n";

const WIDTH: u32 = 840;
const MARGIN: u32 = 16;
/// Where bars begin, and where the longest ends.
const LEFT: u32 = 160;
const RIGHT: u32 = 770;
const BAR: u32 = 15;
const GROUP_GAP: u32 = 8;
const GAP: u32 = 16;
const TITLE: u32 = 24;
const LEGEND: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{children::LoadFigures, scenario::SCENARIOS};

    #[test]
    fn a_bar_is_as_long_as_its_value_and_names_are_escaped() {
        let mut results = Results::new(true);
        for (server, cpu) in [("weir", 1.0), ("a<b", 4.0), (REFERENCE, 2.0)] {
            let run = LoadFigures::from([("cpu_seconds_per_gb".into(), cpu), ("delay_p99_ms".into(), cpu)]);
            results.add(&SCENARIOS[0], server.into(), Ok(run));
        }
        let svg = svg(&results);
        let longest = f64::from(RIGHT - LEFT);
        for width in [longest, longest / 2.0, longest / 4.0] {
            let width = format!("width=\"{width:.1}\"");
            assert_eq!(svg.matches(&width).count(), 2, "{width} in both panels: {svg}");
        }
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        assert!(svg.contains(">0.50<") && svg.contains(">2.00<"));
    }
}
