//! The pure part of the crate does no I/O and reads no clock; the protocol core does not even name `std`.
//!
//! Scans the source as text, so that a slip fails with file and line. What counts: everything under `src` but
//! `src/server`, `src/main.rs` and `src/cli.rs`; not comments, and not test code (`#[cfg(test)] mod` to the end of the
//! file, `tests.rs`). The compiler proves the same for the core alone in `make core`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where sockets, threads, clocks and files may be.
const IMPURE: [&str; 3] = ["src/server", "src/main.rs", "src/cli.rs"];

/// What builds without std.
const CORE: [&str; 8] =
    ["src/base", "src/rtmp", "src/rtp", "src/rtsp", "src/amf", "src/flv", "src/codec", "src/http"];

/// Names that bring in a clock, threads, sockets, files, processes, printing or chance.
const FORBIDDEN: [&str; 32] = [
    "Instant",
    "SystemTime",
    "thread",
    "thread_local",
    "Mutex",
    "RwLock",
    "Condvar",
    "mpsc",
    "ToSocketAddrs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "fs",
    "File",
    "OpenOptions",
    "process",
    "env",
    "stdin",
    "stdout",
    "stderr",
    "print",
    "println",
    "eprint",
    "eprintln",
    "dbg",
    "HashMap",
    "HashSet",
    "RandomState",
    "mio",
    "crossbeam_channel",
    "rustix",
];

/// What the core may not name in addition.
const FORBIDDEN_IN_CORE: [&str; 1] = ["std"];

/// One line for each forbidden name in `text`: `path:line: name: the line`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let is_core = CORE.iter().any(|folder| path.starts_with(folder));
    let more = if is_core { &FORBIDDEN_IN_CORE[..] } else { &[] };
    let mut found = Vec::new();
    let mut in_use = false;
    for (number, line) in without_tests(text).lines().enumerate() {
        let code = without_comment(line);
        in_use |= code.trim_start().starts_with("use ") || code.contains(" use ");
        let names = code.split(|char: char| !char.is_alphanumeric() && char != '_');
        for name in names.filter(|name| FORBIDDEN.contains(name) || more.contains(name)) {
            // A local of that name is no path, call or macro.
            if in_use || is_used_as_item(code, name) {
                found.push(format!("{path}:{}: {name}: {}", number + 1, line.trim()));
            }
        }
        in_use &= !code.contains(';');
    }
    found
}

/// The name stands on a line with a path, is a type, or is a macro.
fn is_used_as_item(code: &str, name: &str) -> bool {
    let is_type = name.starts_with(char::is_uppercase);
    let is_macro = code.contains(&format!("{name}!"));
    is_type || is_macro || code.contains("::")
}

/// The text up to the test module that ends it.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |start| &text[..start])
}

/// The line up to a comment. Two slashes behind a colon are part of a URL.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// All Rust files under `folder`, test modules left out.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the source tree") {
        let path = entry.expect("an entry of the source tree").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_outside_of_the_server_touches_the_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let mut found = Vec::new();
    let mut pure = 0;
    for file in files {
        let path =
            file.strip_prefix(root).expect("a file of ours").to_str().expect("an ASCII path").to_owned();
        if !IMPURE.iter().any(|impure| path.starts_with(impure)) {
            found.extend(violations(&path, &fs::read_to_string(&file).expect("source text")));
            pure += 1;
        }
    }
    assert!(pure > 30, "only {pure} files: is this the right folder?");
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_slip_is_named_with_its_line() {
    let slip = "//! Doc.\n\nuse core::fmt;\nuse std::time::Instant;\n";
    assert_eq!(
        violations("src/base/time.rs", slip),
        [
            "src/base/time.rs:4: std: use std::time::Instant;",
            "src/base/time.rs:4: Instant: use std::time::Instant;"
        ]
    );
    assert_eq!(violations("src/pcap/mod.rs", slip).len(), 1, "std itself is for the core alone");
    for line in [
        "std::thread::sleep(rest);",
        "    println!(\"{x}\");",
        "use std::{fs, path::Path};",
        "pub use std::{\n    fs,\n    path::Path,\n};",
        "let socket = std::net::TcpStream::connect(to);",
        "let started = Instant::now();",
        "let map: HashMap<u8, u8> = HashMap::new();",
        "    dbg!(x);",
    ] {
        assert!(!violations("src/pcap/mod.rs", line).is_empty(), "{line}");
    }
}

#[test]
fn comments_tests_and_names_alike_are_no_slips() {
    for text in [
        "// std::thread would block",
        "/// See [`std::net::TcpStream`].",
        "let url = 1; // println!",
        "let thread = 5;",
        "let instant = printed(net_mask);",
        "use core::net::{IpAddr, SocketAddr};",
        "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}\n",
    ] {
        assert_eq!(violations("src/rtmp/mod.rs", text), Vec::<String>::new(), "{text}");
    }
    // A test module that is a file of its own ends nothing.
    let text = "#[cfg(test)]\nmod tests;\nuse std::fs;\n";
    assert_eq!(violations("src/amf/mod.rs", text).len(), 2);
}
