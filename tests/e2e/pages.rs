//! The scripts of the pages under Node.js: all of them parse, and those without a DOM do what `tests/e2e/pages/` says.
//!
//! Not here: the pages in a browser, which is what `browser.rs` is for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every module in a folder of the repository.
fn modules(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut modules: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "mjs")).collect();
    modules.sort();
    assert!(modules.len() > 5, "{}: {modules:?}", folder.display());
    modules
}

/// What `node` wrote, if it ended well.
fn node(arguments: &[&str], files: &[PathBuf]) -> String {
    let output = Command::new("node").args(arguments).args(files).output().expect("node can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn every_script_of_the_pages_parses() {
    for module in modules("src/server/web/pages") {
        node(&["--check"], &[module]);
    }
}

#[test]
fn scripts_without_a_dom_pass_their_tests() {
    let report = node(&["--test"], &modules("tests/e2e/pages"));
    // A folder of tests that found none would pass as well.
    assert!(report.contains("pass ") && !report.contains("pass 0\n"), "{report}");
}
