//! What a browser would find out late: files that are missing, addresses that lead elsewhere, libraries that were changed.

use super::*;
use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::str;
use sha2::{Digest, Sha256};
use std::{fs, path::Path, println};

fn text(asset: &'static Asset) -> &'static str {
    str::from_utf8(asset.plain()).unwrap_or_else(|_| panic!("{} is no text", asset.name))
}

/// Files that were written for weir.
fn own() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter().filter(|asset| !asset.name.starts_with("vendor/"))
}

/// What stands between quotes, `(` `)` or backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'', '`', '(', ')'])
}

fn names_below(folder: &Path, prefix: &str, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}{}", path.file_name().expect("a name").to_string_lossy());
        if path.is_dir() {
            names_below(&path, &format!("{name}/"), names);
        } else {
            names.insert(name);
        }
    }
}

#[test]
fn every_file_of_the_folder_is_in_the_table_and_has_a_type() {
    let mut names = BTreeSet::new();
    names_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/web/pages"), "", &mut names);
    let table: BTreeSet<String> = ASSETS.iter().map(|asset| asset.name.to_string()).collect();
    assert_eq!(table, names);
    for asset in &ASSETS {
        let is_text = asset.name.contains("LICENSE") || asset.name.ends_with(".md");
        assert_eq!(asset.mime().starts_with("text/plain"), is_text, "{}: {}", asset.name, asset.mime());
        assert!(core::ptr::eq(find(asset.name).unwrap(), asset));
    }
    assert!(find("").is_none() && find("../assets.rs").is_none());
}

#[test]
fn what_the_pages_refer_to_is_in_the_table() {
    let mut found = 0;
    for asset in own() {
        for word in quoted(text(asset)) {
            let name = match word.strip_prefix(PREFIX).or(word.strip_prefix("./")) {
                Some(name) if !name.is_empty() => name,
                _ => continue,
            };
            assert!(find(name).is_some(), "{} refers to {word}", asset.name);
            found += 1;
        }
    }
    assert!(found > 40, "{found} references were seen");
}

#[test]
fn elements_that_the_scripts_look_for_are_in_a_page() {
    let pages = [CONSOLE, WATCH].map(|name| text(find(name).unwrap()));
    for asset in own().filter(|asset| asset.name.ends_with(".mjs")) {
        for call in text(asset).split("byId(\"").skip(1) {
            let (id, rest) = call.split_once('"').expect("a string ends");
            // `byId("view-" + name)` is not a whole name.
            if rest.starts_with(')') {
                let has = pages.iter().any(|page| page.contains(&format!("id=\"{id}\"")));
                assert!(has, "{}: no page has {id}", asset.name);
            }
        }
    }
}

#[test]
fn fields_that_the_scripts_read_are_in_the_contract() {
    let contract = include_str!("../../../../docs/openapi.yaml");
    let mut fields = BTreeSet::new();
    for asset in own().filter(|asset| asset.name.ends_with(".mjs")) {
        // Names of the scripts' own are in camel case.
        let words = text(asset).split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_field = |word: &&str| {
            word.contains('_') && word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains("__")
        };
        for field in words.filter(is_field) {
            assert!(contract.contains(&format!("{field}:")), "{}: {field}", asset.name);
            fields.insert(field);
        }
    }
    assert!(fields.len() > 15, "{fields:?}");
}

#[test]
fn the_pages_ask_nobody_else_and_run_nothing_inline() {
    for asset in own() {
        let text = text(asset);
        for (at, _) in text.match_indices("://") {
            let start = text[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |place| place + 1);
            let address = &text[start..];
            let is_namespace = address.starts_with("http://www.w3.org/2000/svg");
            assert!(!address.starts_with("http") || is_namespace, "{}: {:.60}", asset.name, address);
        }
        if asset.name.ends_with(".html") {
            let is_inline = |part: &str| !part.starts_with(" type=\"module\" src=\"");
            assert!(!text.split("<script").skip(1).any(is_inline), "{} has an inline script", asset.name);
            let words: Vec<_> = text.split_whitespace().filter(|word| word.contains('=')).collect();
            let is_bad = |word: &&&str| word.starts_with("on") || word.starts_with("style=");
            assert_eq!(words.iter().find(is_bad), None, "{}", asset.name);
        }
        assert!(!text.contains("innerHTML") && !text.contains("eval("), "{}", asset.name);
    }
}

#[test]
fn the_policy_lets_nothing_inline_run_and_video_play() {
    let policy = HEADERS.iter().find(|(name, _)| *name == "Content-Security-Policy").unwrap().1;
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("media-src 'self' blob:"), "{policy}");
    for (name, value) in HEADERS.iter().chain([&CONSOLE_FRAMES]) {
        assert!(!name.is_empty() && !value.is_empty() && !value.contains(['\r', '\n']), "{name}");
    }
}

#[test]
fn libraries_are_those_that_their_readme_says() {
    let readme = text(find("vendor/README.md").unwrap());
    let is_library = |asset: &&'static Asset| asset.name.starts_with("vendor/") && asset.name.ends_with("js");
    for asset in ASSETS.iter().filter(is_library) {
        let sum: String = Sha256::digest(asset.plain()).iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("{sum}  {}\n", asset.name.trim_start_matches("vendor/"));
        assert!(readme.contains(&line), "vendor/README.md lacks {line}");
        let folder = asset.name.rsplit_once('/').expect("a folder").0;
        assert!(find(&format!("{folder}/LICENSE")).is_some(), "{folder} has no licence");
    }
}

#[test]
fn the_program_holds_the_files_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/web/pages");
    for asset in &ASSETS {
        assert_eq!(fs::read(folder.join(asset.name)).unwrap(), asset.plain().to_vec(), "{}", asset.name);
        assert_eq!(asset.plain().len(), asset.len);
    }
    let tags: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.tag).collect();
    let contents: BTreeSet<Vec<u8>> = ASSETS.iter().map(|asset| asset.plain().to_vec()).collect();
    assert_eq!(tags.len(), contents.len());
}

#[test]
#[expect(clippy::print_stdout, reason = "the sizes are there for whoever looks")]
fn all_files_fit_into_their_part_of_the_program() {
    let sum =
        |of: &mut dyn Iterator<Item = &'static Asset>| of.map(|asset| asset.plain().len()).sum::<usize>();
    let (pages, all) = (sum(&mut own()), sum(&mut ASSETS.iter()));
    println!("pages {pages} bytes, libraries {} bytes", all - pages);
    assert!(pages < 150_000 && all < 900_000, "{pages} of {all} bytes");
}
