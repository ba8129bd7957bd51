//! Build script: packs the pages (`src/server/web/pages`) for the program, each file compressed once, as browsers take them.
//!
//! The files stay as they are written, and are two thirds smaller in the program and on the way. Out: `pages.rs`, a table, and
//! `count.rs`, its length, for `src/server/web/assets.rs`. Every file of the folder is in it, licences too: who gets the libraries
//! gets their terms.

#![allow(
    clippy::print_stdout,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "it speaks to cargo, where there is std"
)]

fn main() {
    println!("cargo::rerun-if-changed=tools/pages.rs");
    #[cfg(feature = "server")]
    pages::pack();
}

#[cfg(feature = "server")]
mod pages {
    use flate2::{Compression, write::GzEncoder};
    use std::{
        env,
        fmt::Write as _,
        fs,
        hash::{DefaultHasher, Hasher},
        io::Write as _,
        path::{Path, PathBuf},
    };

    const FOLDER: &str = "src/server/web/pages";

    pub(super) fn pack() {
        println!("cargo::rerun-if-changed={FOLDER}");
        let [root, out] =
            ["CARGO_MANIFEST_DIR", "OUT_DIR"].map(|name| PathBuf::from(env::var_os(name).unwrap()));
        let mut names = Vec::new();
        collect(&root.join(FOLDER), "", &mut names);
        names.sort();
        let mut table = String::from("[\n");
        for (number, name) in names.iter().enumerate() {
            let bytes = fs::read(root.join(FOLDER).join(name)).unwrap();
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(&bytes).unwrap();
            let path = out.join(format!("{number}.gz"));
            fs::write(&path, packed.finish().unwrap()).unwrap();
            let tag = hasher.finish();
            writeln!(
                table,
                "Asset::new({name:?}, include_bytes!({path:?}), {}, \"{tag:016x}\"),",
                bytes.len()
            )
            .unwrap();
        }
        table.push(']');
        fs::write(out.join("pages.rs"), table).unwrap();
        fs::write(out.join("count.rs"), names.len().to_string()).unwrap();
    }

    fn collect(folder: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().expect("a name in ASCII"));
            if entry.file_type().unwrap().is_dir() {
                collect(&entry.path(), &format!("{name}/"), names);
            } else {
                names.push(name);
            }
        }
    }
}
