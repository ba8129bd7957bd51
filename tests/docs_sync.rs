//! The documents say what the program does: flag tables equal the program's, links lead somewhere.
//!
//! `BLESS=1` writes the flag tables anew.

use std::{
    env, fs,
    path::{Path, PathBuf},
};
use weir::cli;

const BEGIN: &str = "<!-- flags: kept equal to `weir --help` by tests/docs_sync.rs -->\n";
const END: &str = "<!-- /flags -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("docs").path());
    let mut documents: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.extend([root().join("README.md"), root().join("tests/data/README.md")]);
    documents.sort();
    documents
}

#[test]
fn the_flag_tables_are_those_of_the_program() {
    for name in ["README.md", "docs/operations.md"] {
        let path = root().join(name);
        let text = read(&path);
        let begin = text.find(BEGIN).unwrap_or_else(|| panic!("{name} has no flag table")) + BEGIN.len();
        let end = begin + text[begin..].find(END).unwrap_or_else(|| panic!("{name}: the table has no end"));
        if env::var_os("BLESS").is_some() {
            let text = format!("{}{}{}", &text[..begin], cli::markdown(), &text[end..]);
            fs::write(&path, text).expect("the document can be written");
        } else {
            assert_eq!(
                &text[begin..end],
                cli::markdown(),
                "the flag table of {name}; BLESS=1 writes it anew"
            );
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().expect("a file has a folder").join(target);
            assert!(path.exists(), "{}: link to {target}", document.display());
        }
    }
}

/// Paths that the documents name in code style exist.
#[test]
fn files_that_the_documents_name_exist() {
    let looks_like_a_path = |word: &str| {
        let is_source = ["src/", "tests/", "tools/", "docs/"].iter().any(|folder| word.starts_with(folder));
        is_source && !word.contains(['*', '<', ' '])
    };
    for document in documents() {
        let text = read(&document);
        for word in text.split('`').skip(1).step_by(2).filter(|word| looks_like_a_path(word)) {
            assert!(root().join(word).exists(), "{}: {word}", document.display());
        }
    }
}

/// All Rust source below a folder, in one piece.
fn source(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &source(&path);
        } else if path.extension().is_some_and(|end| end == "rs") {
            text += &read(&path);
        }
    }
    text
}

#[test]
fn tests_that_the_protocol_page_names_exist() {
    let source = source(&root().join("src")) + &source(&root().join("tests"));
    let text = read(&root().join("docs/protocol.md"));
    let is_test = |word: &&str| {
        let is_name =
            word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_');
        is_name && word.matches('_').count() > 2
    };
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(source.contains(&format!("fn {name}()")), "docs/protocol.md names the test {name}");
    }
}

#[test]
fn every_fuzz_target_is_documented() {
    let testing = read(&root().join("docs/testing.md"));
    for entry in fs::read_dir(root().join("tools/fuzz/targets")).expect("targets") {
        let path = entry.expect("targets").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(
            testing.contains(&format!("`{name}`")),
            "docs/testing.md does not name the fuzz target {name}"
        );
    }
}
