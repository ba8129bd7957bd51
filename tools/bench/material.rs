//! What the benches work on: a synthetic GOP, and what a real program sent.

use crate::stream::{Shape, Source};
use std::{fs, path::Path, time::Instant};
use weir::{
    base::Output,
    flv::{Tag, TagKind},
    pcap::{self, Direction, dissect::dissect},
    rtmp::{
        MessageStreamId,
        chunk::{Writer, csid_of},
    },
};

/// 2 Mbit/s, 30 frames and 43 audio tags a second, a keyframe every 2 s.
const SHAPE: Shape =
    Shape { bitrate: 2_000_000, fps: 30, gop: 60, audio_bitrate: 64_000, keyframe: None, start: 0 };

/// The message stream that the benches use.
pub(crate) const STREAM: MessageStreamId = MessageStreamId(1);

/// The tags of one GOP.
pub(crate) fn gop() -> Vec<Tag> {
    let mut source = Source::new(SHAPE, 0);
    let epoch = Instant::now();
    std::iter::from_fn(|| (source.due().as_secs() < 2).then(|| source.next_tag(epoch))).collect()
}

/// One tag of each sort.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sort {
    Keyframe,
    Frame,
    Sound,
}

pub(crate) const SORTS: [Sort; 3] = [Sort::Keyframe, Sort::Frame, Sort::Sound];

impl Sort {
    pub(crate) fn tag(self) -> Tag {
        let is_it = |tag: &Tag| match self {
            Sort::Keyframe => tag.classify().is_keyframe(),
            Sort::Frame => tag.kind == TagKind::Video && !tag.classify().is_keyframe(),
            Sort::Sound => tag.kind == TagKind::Audio,
        };
        gop().into_iter().find(is_it).expect("a GOP has one of each sort")
    }
}

/// Set Chunk Size (RTMP 1.0, 5.4.1) as a chunk.
pub(crate) fn set_chunk_size(size: u32) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][..], &size.to_be_bytes()].concat()
}

/// These tags as a publisher chunks them.
pub(crate) fn chunked(tags: &[Tag], chunk_size: u32) -> Vec<u8> {
    let (mut writer, mut out, mut bytes) = (Writer::new(), Output::new(), Vec::new());
    writer.set_chunk_size(chunk_size);
    for tag in tags {
        write(&mut writer, &mut out, tag);
        drain(&mut out, |slice| bytes.extend_from_slice(slice));
    }
    bytes
}

/// Queues a tag as media of [`STREAM`].
pub(crate) fn write(writer: &mut Writer, out: &mut Output, tag: &Tag) {
    writer.write(out, csid_of(tag.kind), STREAM, tag.kind.type_id(), tag.timestamp, &tag.body);
}

/// Takes all that waits, 16 slices at a time.
pub(crate) fn drain(out: &mut Output, mut take: impl FnMut(&[u8])) {
    while !out.is_empty() {
        let mut slices = [&[][..]; 16];
        let count = out.slices(&mut slices);
        let taken = slices[..count].iter().map(|slice| slice.len()).sum();
        slices[..count].iter().for_each(|slice| take(slice));
        out.advance(taken);
    }
}

/// What OBS sent to publish.
pub(crate) struct Recorded {
    /// C0 to C2.
    pub(crate) handshake: Vec<u8>,
    /// The body of `connect`.
    pub(crate) connect: Vec<u8>,
    /// The body of `@setDataFrame onMetaData`.
    pub(crate) metadata: Vec<u8>,
}

impl Recorded {
    /// From the capture of this name.
    pub(crate) fn load(name: &str) -> Recorded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/captures/{name}.pcap"));
        let capture = pcap::read(&fs::read(path).expect("the capture is there")).expect("it is one");
        let bytes = &capture.conversations[0].from_client.bytes;
        let said = dissect(Direction::FromClient, bytes);
        let body = |type_id| {
            let message = said.messages.iter().find(|message| message.raw.type_id == type_id);
            message.expect("a publisher sends one").raw.body.to_vec()
        };
        let handshake = said.handshake.expect("a whole handshake").len as usize;
        Recorded { handshake: bytes[..handshake].to_vec(), connect: body(COMMAND), metadata: body(DATA) }
    }
}

/// Message types of commands and of data messages (RTMP 1.0, 7.1).
const COMMAND: u8 = 20;
const DATA: u8 = 18;
