//! The handshake as a conversation.

use super::*;
use alloc::{vec, vec::Vec};

/// A client that is not ours: C0, a C1 with this version in bytes 4 to 7 and noise, a C2 that echoes nothing.
fn client_bytes(version: u8, product: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![version];
    bytes.extend(simple::block(MonoTime(9), product, &mut SplitMix64(99)));
    bytes.extend([0xee; BLOCK_LEN]);
    bytes
}

fn server_run(peer: &[u8]) -> (usize, Result<Option<Done>, Error>, Vec<u8>) {
    let whole = run_in_pieces(0, peer, usize::MAX);
    for step in [1, 2, 700, 1536, 1537] {
        assert_eq!(run_in_pieces(0, peer, step), whole, "in pieces of {step}");
    }
    whole
}

/// Runs two of ours against each other; what each says of the end, and what the server has sent.
fn pair(offer_digest: bool) -> (Done, Done, Vec<u8>) {
    let (mut client, mut server) = (Handshake::client(1, offer_digest), Handshake::server(2));
    let (mut to_server, mut to_client) = (Output::new(), Output::new());
    assert_eq!(client.handle(MonoTime(1), &[], &mut to_server), Ok((0, None)));
    let c0_c1 = to_server.to_vec();
    assert_eq!(c0_c1.len(), 1537);
    assert_eq!(server.handle(MonoTime(2), &c0_c1, &mut to_client), Ok((1537, None)));
    let sent = to_client.to_vec();
    assert_eq!(sent.len(), 3073);
    let (taken, client_done) = client.handle(MonoTime(3), &sent, &mut to_server).unwrap();
    assert_eq!(taken, 3073);
    let c2 = to_server.to_vec().split_off(1537);
    let (taken, server_done) = server.handle(MonoTime(4), &c2, &mut to_client).unwrap();
    assert_eq!(taken, 1536);
    (client_done.unwrap(), server_done.unwrap(), sent)
}

#[test]
fn a_simple_c1_is_answered_with_s0_s1_s2_in_one_slice_before_c2() {
    let peer = client_bytes(3, NO_VERSION);
    let mut server = Handshake::server(1);
    let mut out = Output::new();
    assert_eq!(server.handle(MonoTime(5), &peer[..1536], &mut out), Ok((1536, None)));
    assert!(out.is_empty(), "answered before C1 was whole");
    assert_eq!(server.handle(MonoTime(5), &peer[1536..1537], &mut out), Ok((1, None)));
    assert_eq!((out.len(), out.reply_len()), (3073, 3073));
    let mut slices: [&[u8]; 2] = [&[]; 2];
    assert_eq!(out.slices(&mut slices), 1);
    assert_eq!(slices[0][0], 3);
    assert_eq!(slices[0][1..9], [0, 0, 0, 5, 0, 0, 0, 0], "time, and no product version");
    assert_eq!(slices[0][1537..], peer[1..1537], "S2 is a copy of C1");
}

#[test]
fn bytes_behind_c2_are_left_to_the_chunk_stream() {
    let mut peer = client_bytes(3, NO_VERSION);
    peer.extend([2, 0, 0, 0]);
    let (taken, result, sent) = server_run(&peer);
    assert_eq!((taken, sent.len()), (3073, 3073));
    assert_eq!(result, Ok(Some(Done { digest: false, version: 3 })));
    let mut server = Handshake::server(1);
    let mut out = Output::new();
    server.handle(MonoTime(0), &peer, &mut out).unwrap();
    assert_eq!(server.handle(MonoTime(0), &[2], &mut out), Ok((0, None)), "over is over");
}

#[test]
fn a_signed_c1_is_answered_in_its_layout() {
    for layout in [digest::Layout::DigestFirst, digest::Layout::KeyFirst] {
        let mut peer = client_bytes(3, PLAYER_VERSION);
        let mut c1 = Block::try_from(&peer[1..1537]).unwrap();
        digest::sign(&mut c1, layout, &PLAYER);
        peer[1..1537].copy_from_slice(&c1);
        let (_, result, sent) = server_run(&peer);
        assert_eq!(result, Ok(Some(Done { digest: true, version: 3 })));
        let s1 = Block::try_from(&sent[1..1537]).unwrap();
        let s2 = Block::try_from(&sent[1537..]).unwrap();
        assert!(s1[4] >= 3, "ffmpeg checks the digests of such versions only");
        assert_eq!(digest::find(&s1, &SERVER).map(|(layout, _)| layout), Some(layout));
        let (_, c1_digest) = digest::find(&c1, &PLAYER).unwrap();
        let mut expected = s2;
        digest::seal(&mut expected, &SERVER, &c1_digest);
        assert_eq!(s2, expected, "S2 proves that C1 was read");
    }
}

#[test]
fn a_version_without_a_digest_gets_the_simple_answer_and_not_its_own_version_back() {
    let peer = client_bytes(3, [9, 0, 0x7c, 2]);
    let (_, result, sent) = server_run(&peer);
    assert_eq!(result, Ok(Some(Done { digest: false, version: 3 })));
    assert_eq!(sent[5..9], [0; 4]);
    assert_eq!(sent[1537..], peer[1..1537]);
}

#[test]
fn versions_that_nobody_speaks_are_answered_with_3() {
    for version in (0..32).filter(|version| ![6, 8, 9].contains(version)) {
        let (taken, result, sent) = server_run(&client_bytes(version, NO_VERSION));
        assert_eq!((taken, result), (3073, Ok(Some(Done { digest: false, version }))));
        assert_eq!(sent[0], 3);
    }
}

#[test]
fn encryption_and_other_protocols_are_refused_at_the_first_byte() {
    let refused = |first: u8| match run_in_pieces(0, &[first], 1) {
        (_, Err(error), sent) => {
            assert_eq!((error.at, sent.len()), (At::default(), 0));
            Some(error.kind)
        }
        _ => None,
    };
    for version in [6, 8, 9] {
        assert_eq!(refused(version), Some(ErrorKind::PeerMisbehaved(Misbehaviour::Encrypted(version))));
    }
    assert_eq!(refused(31), None);
    for first in 32..=255 {
        assert_eq!(refused(first), Some(ErrorKind::Malformed(Malformed::NotRtmp(first))));
    }
}

#[test]
fn tls_is_told_by_its_second_byte() {
    assert_eq!(run_in_pieces(0, &[0x16], 1).1, Ok(None));
    for step in [1, 2] {
        let (_, result, sent) = run_in_pieces(0, &[0x16, 3], step);
        assert_eq!(result.map_err(|error| error.kind), Err(ErrorKind::Malformed(Malformed::NotRtmp(0x16))));
        assert!(sent.is_empty());
    }
    assert_eq!(run_in_pieces(0, &[0x16, 0, 3], 3).1, Ok(None));
}

#[test]
fn two_of_ours_agree_with_and_without_digests() {
    for digest in [false, true] {
        let (client, server, _) = pair(digest);
        assert_eq!(client, Done { digest, version: 3 });
        assert_eq!(server, client);
    }
}

#[test]
fn the_same_seed_and_time_give_the_same_bytes() {
    assert_eq!(pair(true), pair(true));
    let first_bytes = |seed| {
        let mut out = Output::new();
        Handshake::client(seed, true).handle(MonoTime(0), &[], &mut out).unwrap();
        out.to_vec()
    };
    assert_ne!(first_bytes(1), first_bytes(2));
}

#[test]
fn a_client_sends_c2_on_s1_without_waiting_for_s2() {
    let (.., server_bytes) = pair(true);
    let mut client = Handshake::client(1, true);
    let mut out = Output::new();
    client.handle(MonoTime(1), &[], &mut out).unwrap();
    client.handle(MonoTime(1), &server_bytes[..1536], &mut out).unwrap();
    assert_eq!(out.len(), 1537);
    client.handle(MonoTime(1), &server_bytes[1536..1537], &mut out).unwrap();
    assert_eq!(out.len(), 1537 + 1536);
}

#[test]
fn a_client_signs_c2_for_a_signed_s1_and_copies_any_other() {
    let run = |s1: &Block, offer_digest: bool| {
        let mut client = Handshake::client(1, offer_digest);
        let mut out = Output::new();
        let bytes = [&[3], &s1[..], &[0xaa; BLOCK_LEN]].concat();
        let (taken, done) = client.handle(MonoTime(1), &bytes, &mut out).unwrap();
        assert_eq!(taken, 3073);
        (done.unwrap().digest, Block::try_from(&out.to_vec()[1537..]).unwrap())
    };
    // SRS: something in the place of a version, but no digest.
    let unsigned = simple::block(MonoTime(0), [1, 0, 5, 4], &mut SplitMix64(3));
    assert_eq!(run(&unsigned, true), (false, unsigned));
    for layout in [digest::Layout::DigestFirst, digest::Layout::KeyFirst] {
        let mut s1 = unsigned;
        digest::sign(&mut s1, layout, &SERVER);
        assert_eq!(run(&s1, false), (false, s1), "no digest was offered");
        let (is_digest, c2) = run(&s1, true);
        let mut expected = c2;
        digest::seal(&mut expected, &PLAYER, &digest::find(&s1, &SERVER).unwrap().1);
        assert!(is_digest);
        assert_eq!(c2, expected);
    }
}

#[test]
fn a_client_takes_no_version_above_3() {
    for version in 0..=255_u8 {
        let (_, result, _) = run_in_pieces(3, &[version], 1);
        let expected = match version {
            0..=3 => Ok(None),
            _ => Err(ErrorKind::PeerMisbehaved(Misbehaviour::Version(version))),
        };
        assert_eq!(result.map_err(|error| error.kind), expected);
    }
}

#[test]
fn nothing_is_held_once_it_is_over() {
    let peer = client_bytes(3, NO_VERSION);
    let mut server = Handshake::server(1);
    server.handle(MonoTime(0), &peer[..2000], &mut Output::new()).unwrap();
    assert!(matches!(server.state, State::Block2 { left: 1073 }), "C2 is counted, not kept");
}

#[test]
fn the_fuzz_body_holds_for_small_and_whole_inputs() {
    fuzz(&[]);
    let peer = client_bytes(3, PLAYER_VERSION);
    for pick in 0..=255 {
        fuzz(&[pick]);
        fuzz(&[pick, 3, 0]);
        if pick % 16 < 4 {
            fuzz(&[&[pick], &peer[..], &[1, 2, 3]].concat());
        }
    }
}
