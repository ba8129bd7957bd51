//! Results as Markdown: on standard output, and in the marked section of `performance.md`.

use crate::{
    common::Failure,
    results::Results,
    scenario::{BARS, Measure},
    servers::first_line,
};
use std::{fs, path::Path, process::Command, thread};

const BEGIN: &str = "<!-- bench-peers: written by make bench-peers -->\n";
const END: &str = "<!-- /bench-peers -->";
/// The chart's name, beside the document.
const CHART: &str = "performance.svg";

/// Everything: how, on what, bars, figures.
pub(crate) fn section(results: &Results, title: &str) -> String {
    let mut text = format!("{title}\n\nOn {}.\n\n", machine());
    text += &format!("Measured: {}.\n\n", results.versions.join("; "));
    text += &table(&bars(results));
    text.push('\n');
    text += &table(&figures(results));
    text
}

/// Writes a section into the document, and the chart beside it.
pub(crate) fn write(folder: &Path, section: &str, chart: &str) -> Result<(), Failure> {
    let path = folder.join("performance.md");
    let fail = |error| Failure::run(path.display(), error);
    let text = fs::read_to_string(&path).map_err(fail)?;
    let text = replaced(&text, &format!("{section}\n![CPU and delay beside nginx-rtmp]({CHART})\n"));
    let text = text.ok_or_else(|| Failure::run(path.display(), format!("has no section {BEGIN}{END}")))?;
    fs::write(folder.join(CHART), chart).map_err(|error| Failure::run(CHART, error))?;
    fs::write(&path, text).map_err(fail)
}

/// The document with another section between the marks; `None` without marks.
fn replaced(text: &str, section: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}{section}{}", &text[..begin], &text[end..]))
}

/// Cores, processor, kernel, date.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        known.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let date = first_line(Command::new("date").args(["-u", "+%F"])).unwrap_or_else(|| "unknown".into());
    format!(
        "{cores} cores ({}), Linux {}, {date}, loopback, load and server on the same cores",
        model.unwrap_or(std::env::consts::ARCH),
        kernel.trim()
    )
}

fn bars(results: &Results) -> Vec<Vec<String>> {
    let mut rows = vec![["what", "bar", "measured", "met"].map(String::from).to_vec()];
    for bar in BARS {
        let unit = match bar.measure {
            Measure::CpuPerByte | Measure::Cpu => "x nginx-rtmp".into(),
            Measure::CpuAbove => "% of a core".into(),
            Measure::Delay | Measure::AllJoined => "ms".into(),
            Measure::DelayBeside(other) => format!("x `{}`", other.trim_start_matches("weir ")),
            Measure::Memory => "KiB".to_owned(),
        };
        let measured = results.measured(bar);
        let met = match measured {
            Some(value) if results.is_full => {
                if value <= bar.at_most {
                    "yes"
                } else {
                    "**no**"
                }
            }
            _ => "",
        };
        rows.push(vec![
            bar.what.into(),
            format!("at most {} {unit}", bar.at_most),
            number(measured, 3),
            met.into(),
        ]);
    }
    rows
}

fn figures(results: &Results) -> Vec<Vec<String>> {
    // Name in the JSON and digits behind the point; the ratio is not in the JSON.
    let columns = [
        ("CPU %", "cpu_percent", 2),
        ("CPU s/GB", "cpu_seconds_per_gb", 3),
        ("x nginx-rtmp", "", 3),
        ("delay p50 ms", "delay_p50_ms", 1),
        ("p99 ms", "delay_p99_ms", 1),
        ("last picture ms", "all_joined_ms", 0),
        ("KiB a player", "pss_per_player_kib", 1),
        ("PSS KiB", "pss_kib", 0),
        ("threads", "threads", 0),
        ("switches/s", "switches_per_second", 0),
        ("load's CPU %", "load_cpu_percent", 0),
    ];
    let mut head = vec!["publishers x players".into(), "server".into()];
    head.extend(columns.map(|(title, ..)| title.to_owned()));
    head.push("remarks".into());
    let mut rows = vec![head];
    for cell in &results.cells {
        let mut row = vec![cell.scenario.title.into(), cell.server.clone()];
        // Who connects is not who plays on.
        let is_apt = |figure: &str| !cell.scenario.is_storm || figure == "all_joined_ms";
        let has_players = |figure: &str| cell.scenario.players > 0 || !figure.contains("joined");
        for (_, figure, digits) in columns {
            let value = match figure {
                _ if !is_apt(figure) || !has_players(figure) => None,
                "" => results.cpu_ratio(cell),
                _ => cell.median(figure),
            };
            row.push(number(value, digits));
        }
        row.push(cell.trouble().unwrap_or_default());
        rows.push(row);
    }
    rows
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

/// A Markdown table whose columns line up. The first row is the head.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        let cells = rows.iter().filter_map(|row: &Vec<String>| row.get(column));
        cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (cell, &width) in row.iter().zip(&widths) {
            text += &format!("| {cell:width$} ");
        }
        text += "|\n";
        if index == 0 {
            for &width in &widths {
                text += &format!("|{}", "-".repeat(width + 2));
            }
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_the_one_before_and_nothing_else() {
        let text = format!("before\n{BEGIN}old\n{END}\nbehind\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("before\n{BEGIN}new\n{END}\nbehind\n")));
        assert_eq!(replaced("no marks", "new\n"), None);
        assert_eq!(replaced(&format!("{END}{BEGIN}"), "new\n"), None);
    }

    #[test]
    fn the_document_has_a_place_for_the_section() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        assert!(replaced(&fs::read_to_string(path).unwrap(), "").is_some());
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".into(), "long name".into()], vec!["more".into(), "b".into()]];
        assert_eq!(table(&rows), "| a    | long name |\n|------|-----------|\n| more | b         |\n");
    }
}
