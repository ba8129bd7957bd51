//! `docs/push-and-pull.md` shows what the tools print, and explains no step that they do not take.
//!
//! `BLESS=1` writes the output in the document anew.

use crate::{Config, port, run, scratch, server_with, text};
use std::{env, fs, path::PathBuf};

const PUSH: &str = env!("CARGO_BIN_EXE_push");
const PULL: &str = env!("CARGO_BIN_EXE_pull");

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/push-and-pull.md")
}

/// What both print, as the document has it.
fn printed() -> [(&'static str, String); 2] {
    let server = server_with(0, Config { demo: true, ..Config::default() });
    let address = format!("127.0.0.1:{}", port(&server));
    let clip = scratch("walkthrough.flv");
    let clip = clip.to_str().unwrap();
    let lines = |program: &str, args: &[&str]| {
        let output = run(program, args);
        let printed = text(&output.stderr);
        assert!(output.status.success(), "{printed}");
        printed.lines().map(|line| stable(line, &address) + "\n").collect()
    };
    let pulled = lines(PULL, &["-v", "--duration", "2", &format!("rtmp://{address}/live/demo"), clip]);
    let pushed = lines(PUSH, &["-v", clip, &format!("rtmp://{address}/live/cam")]);
    [("pull", pulled), ("push", pushed)]
}

/// A line without what differs from run to run: the time in front, addresses, clocks and counts.
fn stable(line: &str, address: &str) -> String {
    let line = line.replace(address, "127.0.0.1:21935");
    let is_time = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
    let line = match line.trim_start().split_once(' ') {
        Some((time, rest)) if is_time(time) => rest.to_string(),
        _ => line,
    };
    let is_count = line.contains("> FIN after ") || line.starts_with("pull: ") || line.starts_with("push: ");
    match line.split_once("; time ") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|char: char| char.is_ascii_digit());
            format!("{before}; time N{after}")
        }
        None if is_count => {
            let mut text = String::new();
            for char in line.chars() {
                match char {
                    '0'..='9' if text.ends_with('N') => {}
                    '0'..='9' => text.push('N'),
                    char => text.push(char),
                }
            }
            text
        }
        None => line,
    }
}

/// The lines of one side, in order. How the sides interleave at the end depends on who is faster.
fn of<'a>(side: &'static str, text: &'a str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(side)).collect()
}

fn block(name: &str, text: &str) -> core::ops::Range<usize> {
    let begin = format!("<!-- {name}: kept by tests/tools/walkthrough.rs -->\n```text\n");
    let begin = text.find(&begin).unwrap_or_else(|| panic!("no output of {name}")) + begin.len();
    begin..begin + text[begin..].find("```").expect("a block ends")
}

#[test]
fn the_document_shows_what_the_tools_print() {
    let mut document_text = fs::read_to_string(document()).unwrap();
    for (name, printed) in printed() {
        let range = block(name, &document_text);
        if env::var_os("BLESS").is_some() {
            document_text.replace_range(range, &printed);
            continue;
        }
        let shown = &document_text[range];
        for side in ["--", "C>", "S>", name] {
            assert_eq!(of(side, shown), of(side, &printed), "{name}; BLESS=1 writes it anew");
        }
    }
    if env::var_os("BLESS").is_some() {
        fs::write(document(), document_text).unwrap();
    }
}

/// What the tables of steps name stands in the output above.
#[test]
fn every_step_that_the_document_explains_is_taken() {
    let text = fs::read_to_string(document()).unwrap();
    let shown = [block("pull", &text), block("push", &text)].map(|range| text[range].to_string()).concat();
    let steps = text.split("<!-- steps -->").nth(1).expect("tables of steps");
    let names: Vec<&str> = steps.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        // In a table, a bar is written with a backslash.
        assert!(shown.contains(&name.replace('\\', "")), "{name} is explained and not in the output");
    }
}

#[test]
fn every_flag_of_the_tools_is_in_the_operations_page_and_no_other() {
    let page =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let table = page.split("## Push and pull").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = |tool: &str| -> Vec<String> {
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
        let rows = rows.filter(|(_, rest)| rest.starts_with(tool) || rest.starts_with("both"));
        rows.map(|(flag, _)| flag.replace(", ", " ")).collect()
    };
    for (tool, program) in [("push", PUSH), ("pull", PULL)] {
        let help = text(&run(program, &["--help"]).stdout);
        let flags = help.lines().filter(|line| line.trim_start().starts_with('-'));
        let is_flag =
            |word: &&str| word.starts_with('-') || word.chars().all(|char| char.is_ascii_uppercase());
        let flags = flags.map(|line| {
            let words = line.split_whitespace().map(|word| word.trim_end_matches(','));
            words.take_while(is_flag).collect::<Vec<&str>>().join(" ")
        });
        let mut flags: Vec<String> = flags.filter(|flag| flag != "-h --help").collect();
        let mut documented = rows(tool);
        flags.sort();
        documented.sort();
        assert_eq!(flags, documented, "{tool}");
    }
}
