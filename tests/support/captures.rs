//! The recorded conversations of `tests/data/captures`.

use core::time::Duration;
use std::{fs, path::PathBuf};
use weir::pcap::{self, Segment, Stream};

/// One recorded conversation.
pub(crate) struct Recorded {
    /// File name without its ending.
    pub(crate) name: String,
    /// What the client sent.
    pub(crate) from_client: Stream,
    /// What the server sent; `None` where only the client's bytes were kept.
    pub(crate) from_server: Option<Stream>,
}

impl Recorded {
    /// A conversation over RTSP; otherwise over RTMP. Their names say so.
    pub(crate) fn is_rtsp(&self) -> bool {
        self.name.contains("-rtsp")
    }

    /// When the first byte was there.
    pub(crate) fn began(&self) -> Duration {
        let server = self.from_server.as_ref().and_then(|stream| stream.time_at(0));
        self.from_client.time_at(0).into_iter().chain(server).min().unwrap_or_default()
    }
}

/// A folder below `tests/data`.
pub(crate) fn data(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}

/// All captures, by name.
pub(crate) fn all() -> Vec<Recorded> {
    let mut files: Vec<_> = fs::read_dir(data("captures"))
        .expect("tests/data/captures is there")
        .map(|entry| entry.expect("its entries can be read").path())
        .collect();
    files.sort();
    files.into_iter().map(load).collect()
}

fn load(file: PathBuf) -> Recorded {
    let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_stem().expect("files have names").to_string_lossy().into_owned();
    if file.extension().is_some_and(|ending| ending == "bin") {
        let segments = vec![Segment { offset: 0, time: Duration::ZERO }];
        let from_client = Stream { bytes, segments, ..Stream::default() };
        return Recorded { name, from_client, from_server: None };
    }
    let capture = pcap::read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(capture.oddities, [], "{}", file.display());
    let [conversation] = <[_; 1]>::try_from(capture.conversations).expect("one conversation a file");
    assert!(conversation.has_beginning, "{}", file.display());
    Recorded { name, from_client: conversation.from_client, from_server: Some(conversation.from_server) }
}
