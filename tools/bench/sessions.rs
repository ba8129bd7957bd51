//! Whole sessions: what comes in from a publisher, what goes out to a player.

use crate::{
    material::{SORTS, STREAM, Sort, chunked, gop, set_chunk_size},
    memory,
    pair::{Pair, Split},
};
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use weir::{
    base::MonoTime,
    flv::Tag,
    rtmp::{
        ClientConfig, ServerConfig, Session,
        chunk::EncodedTags,
        session::{Play, PlayStart, PublishType, Wanted},
    },
};

/// Bytes that a server session holds once it is connected and nothing happens: itself and its allocations.
pub(crate) fn idle_bytes() -> isize {
    let before = memory::live();
    let Pair { server, .. } = connected();
    let heap = memory::live() - before;
    let own = size_of_val(&server);
    drop(server);
    heap + own as isize
}

fn connected() -> Pair {
    let client =
        ClientConfig { app: "live".into(), tc_url: "rtmp://localhost/live".into(), ..Default::default() };
    let mut pair = Pair::new(client, ServerConfig::default(), Split::Whole);
    pair.connect();
    pair
}

/// The server's side of a publisher.
fn publishing() -> Session {
    let mut pair = connected();
    let stream = pair.create_stream();
    assert_eq!(stream, STREAM);
    pair.client.publish(stream, "bench", PublishType::Live).expect("a created stream");
    pair.run().expect("publish");
    pair.server
}

/// The server's side of a player.
fn playing() -> Session {
    let mut pair = connected();
    let stream = pair.create_stream();
    assert_eq!(stream, STREAM);
    let play = Play {
        stream,
        name: "bench".into(),
        start: PlayStart::Live,
        duration: None,
        reset: true,
        wanted: Wanted { audio: true, video: true },
    };
    pair.client.play(&play).expect("a created stream");
    pair.run().expect("play");
    pair.server
}

/// Takes all output, 16 slices at a time.
fn drain(session: &mut Session) {
    loop {
        let mut slices = [&[][..]; 16];
        let count = session.output(&mut slices);
        if count == 0 {
            return;
        }
        let taken = black_box(&slices[..count]).iter().map(|slice| slice.len()).sum();
        session.advance_output(taken);
    }
}

#[divan::bench(args = SORTS)]
fn ingest(bencher: Bencher<'_, '_>, sort: Sort) {
    ingest_all(bencher, &[sort.tag()], 65_536);
}

#[divan::bench(args = [65_536, 4096, 128])]
fn ingest_gop(bencher: Bencher<'_, '_>, chunk_size: u32) {
    ingest_all(bencher, &gop(), chunk_size);
}

fn ingest_all(bencher: Bencher<'_, '_>, tags: &[Tag], chunk_size: u32) {
    let mut session = publishing();
    let set_chunk_size = set_chunk_size(chunk_size);
    assert_eq!(session.handle_input(MonoTime(0), &set_chunk_size), Ok(set_chunk_size.len()));
    let media = chunked(tags, chunk_size);
    bencher.counter(ItemsCount::new(tags.len())).counter(BytesCount::new(media.len())).bench_local(|| {
        // As much as the server reads at once.
        for mut input in black_box(&media).chunks(64 << 10) {
            while !input.is_empty() {
                let taken = session.handle_input(MonoTime(0), input).expect("our own chunks");
                input = &input[taken..];
                while let Some(event) = session.poll_event() {
                    black_box(event);
                }
            }
            drain(&mut session);
        }
    });
}

/// A tag that was chunked once, queued for a player and taken by the socket.
#[divan::bench(args = SORTS)]
fn send_encoded(bencher: Bencher<'_, '_>, sort: Sort) {
    let encoded = EncodedTags::new(vec![sort.tag()], STREAM, 65_536);
    let mut session = playing();
    drain(&mut session);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        session.send_encoded(STREAM, black_box(&encoded)).expect("an empty queue");
        drain(&mut session);
    });
}
