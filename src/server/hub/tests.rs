//! Tests of the hub: who publishes, what joiners get, what threads are told.

use super::*;
use crate::server::{
    port::{ConnectionId, Feeder, FeederKind},
    testing::{audio, audio_header, feed_port, inter_frame, keyframe, metadata, video, video_header},
};
use alloc::{string::String, vec, vec::Vec};
use crossbeam_channel::Receiver;

const SLOT: Slot = Slot { index: 3, generation: 7 };
const NOW: MonoTime = MonoTime(100_000);

fn hub() -> Hub {
    Hub::new(StreamPath::join("live", "", "cam").unwrap(), 1 << 20, None)
}

fn connection(id: u64, address: &str) -> Arc<Mailbox> {
    let port = feed_port(1).0.port().clone();
    Arc::new(Mailbox::new(ConnectionId(id), address.parse().unwrap(), port))
}

fn publisher(hub: &Hub) -> u64 {
    hub.claim(NOW, &connection(1, "10.0.0.1"), Takeover::Never).unwrap().id
}

fn publish(hub: &Hub, claim: u64, tags: Vec<Tag>) {
    for tag in tags {
        hub.publish(NOW, claim, tag);
    }
}

/// What a thread was told: timestamps of tags, "start", "end".
fn told(feeds: &Receiver<Feed>) -> Vec<String> {
    let shown = |feed: Feed| {
        assert_eq!(feed.slot, SLOT);
        match feed.what {
            Step::Tag(tag, _) => alloc::format!("{:?} {}", tag.role(), tag.tag().timestamp),
            Step::Started => "start".into(),
            Step::Ended => "end".into(),
        }
    };
    feeds.try_iter().map(shown).collect()
}

fn headers(snapshot: &Snapshot) -> Vec<(TagRole, u32)> {
    snapshot.headers.iter().map(|tag| (tag.role(), tag.tag().timestamp.0)).collect()
}

#[test]
fn a_late_joiner_gets_metadata_headers_and_everything_since_the_keyframe() {
    let hub = hub();
    let claim = publisher(&hub);
    let tags =
        vec![metadata(0, 1), video_header(0, 1), audio_header(0), keyframe(0), audio(3), keyframe(900)];
    publish(&hub, claim, tags);
    publish(&hub, claim, vec![audio(910), inter_frame(940)]);
    let (port, feeds) = feed_port(8);
    let snapshot = hub.join(NOW, &port, SLOT);
    assert!(snapshot.is_live && snapshot.has_video);
    let expected = [(TagRole::Metadata, 0), (TagRole::SequenceHeader, 900), (TagRole::SequenceHeader, 900)];
    assert_eq!(headers(&snapshot), expected);
    let gop: Vec<u32> = snapshot.gop.iter().map(|tag| tag.tag().timestamp.0).collect();
    assert_eq!(gop, [900, 910, 940]);
    // What follows comes through the channel, numbered behind the snapshot.
    publish(&hub, claim, vec![inter_frame(980)]);
    let feed = feeds.try_recv().unwrap();
    assert_eq!(feed.step, snapshot.step + 1);
    assert!(feeds.try_recv().is_err());
}

#[test]
fn a_thread_is_told_once_however_many_players_it_has() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(8);
    for _ in 0..3 {
        hub.join(NOW, &port, SLOT);
    }
    publish(&hub, claim, vec![keyframe(0)]);
    assert_eq!(told(&feeds), ["Keyframe 0"]);
    hub.leave(&port, SLOT);
    publish(&hub, claim, vec![keyframe(40)]);
    assert!(told(&feeds).is_empty());
}

#[test]
fn a_changed_sequence_header_drops_the_gop_and_a_repeated_one_does_not() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, _feeds) = feed_port(8);
    publish(&hub, claim, vec![video_header(0, 1), keyframe(0), video_header(10, 1), inter_frame(40)]);
    assert_eq!(hub.join(NOW, &port, SLOT).gop.len(), 2);
    publish(&hub, claim, vec![video_header(80, 2)]);
    let snapshot = hub.join(NOW, &port, SLOT);
    assert_eq!((snapshot.gop.len(), snapshot.headers.iter().count()), (0, 1));
    publish(&hub, claim, vec![keyframe(80)]);
    assert_eq!(hub.join(NOW, &port, SLOT).gop.len(), 1);
}

/// Codecs without sequence headers, and nothing kept for late joiners.
#[test]
fn a_kind_that_has_come_once_is_a_track_of_the_stream() {
    let hub = Hub::new(StreamPath::join("live", "", "cam").unwrap(), 0, None);
    let claim = publisher(&hub);
    assert_eq!(hub.tracks(), (false, false));
    // In the middle of a group of pictures: they follow with the next keyframe.
    publish(&hub, claim, vec![inter_frame(0)]);
    assert_eq!(hub.tracks(), (false, true));
    publish(&hub, claim, vec![audio(10), keyframe(40)]);
    assert_eq!(hub.tracks(), (true, true));
    hub.end(claim);
    let claim = publisher(&hub);
    publish(&hub, claim, vec![audio(0)]);
    assert_eq!(hub.tracks(), (true, false));
}

#[test]
fn pictures_before_the_first_keyframe_go_nowhere_and_audio_does() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(8);
    hub.join(NOW, &port, SLOT);
    publish(&hub, claim, vec![video_header(0, 1), audio(0), inter_frame(1), keyframe(40), inter_frame(80)]);
    assert_eq!(told(&feeds), ["SequenceHeader 0", "Frame 0", "Keyframe 40", "Frame 80"]);
}

#[test]
fn a_publisher_that_flags_no_keyframe_is_heard_after_the_longest_wait() {
    let hub = hub();
    let (port, feeds) = feed_port(8);
    hub.join(NOW, &port, SLOT);
    // Again after a takeover: the new one starts in the middle as well.
    for (id, start) in [(1, NOW), (2, MonoTime(NOW.0 * 2))] {
        let claim = hub.claim(start, &connection(id, "10.0.0.1"), Takeover::Always).unwrap().id;
        let later = MonoTime(start.0 + 1000);
        let end = later + MAX_KEYFRAME_WAIT;
        for (at, number) in [(later, 1), (MonoTime(end.0 - 1), 2), (end, 3), (end, 4)] {
            hub.publish(at, claim, inter_frame(number));
        }
        assert_eq!(told(&feeds).iter().filter(|step| step.starts_with("Frame")).count(), 2, "{id}");
    }
    let snapshot = hub.join(NOW, &port, SLOT);
    assert!(snapshot.last_keyframe.is_none() && snapshot.gop.is_empty());
}

#[test]
fn command_frames_are_relayed() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(8);
    hub.join(NOW, &port, SLOT);
    publish(&hub, claim, vec![keyframe(0), video(1, vec![0x57, 0])]);
    assert_eq!(told(&feeds), ["Keyframe 0", "Command 1"]);
}

#[test]
fn a_full_channel_makes_a_gap_that_ends_when_the_thread_asks() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(2);
    hub.join(NOW, &port, SLOT);
    publish(&hub, claim, vec![keyframe(0), inter_frame(40), inter_frame(80)]);
    assert!(port.take_gaps() && !port.take_gaps());
    // There is room again, but nothing may come before the gap is over.
    assert_eq!(told(&feeds), ["Keyframe 0", "Frame 40"]);
    publish(&hub, claim, vec![inter_frame(120)]);
    assert!(told(&feeds).is_empty());
    let snapshot = hub.resync(NOW, &port, SLOT).unwrap();
    assert_eq!(snapshot.gop.len(), 4);
    assert!(hub.resync(NOW, &port, SLOT).is_none());
    publish(&hub, claim, vec![inter_frame(160)]);
    assert_eq!(told(&feeds), ["Frame 160"]);
}

#[test]
fn an_end_and_a_start_inside_a_gap_show_in_the_state() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, _feeds) = feed_port(1);
    let joined = hub.join(NOW, &port, SLOT);
    publish(&hub, claim, vec![keyframe(0), inter_frame(40)]);
    hub.end(claim);
    let again = publisher(&hub);
    publish(&hub, again, vec![keyframe(0)]);
    let snapshot = hub.resync(NOW, &port, SLOT).unwrap();
    assert!(snapshot.is_live && snapshot.epoch == joined.epoch + 1);
    hub.end(again);
    assert!(!hub.join(NOW, &port, SLOT).is_live);
}

#[test]
fn the_end_clears_what_late_joiners_would_get() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(8);
    publish(&hub, claim, vec![metadata(0, 1), video_header(0, 1), keyframe(0)]);
    hub.join(NOW, &port, SLOT);
    hub.end(claim);
    hub.end(claim);
    publish(&hub, claim, vec![keyframe(40)]);
    assert_eq!(told(&feeds), ["end"]);
    let snapshot = hub.join(NOW, &port, SLOT);
    assert!(!snapshot.is_live && snapshot.gop.is_empty() && headers(&snapshot).is_empty());
    publisher(&hub);
    assert_eq!(told(&feeds), ["start"]);
}

#[test]
fn a_lost_publisher_that_returns_is_invisible_and_continues_the_clock() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(8);
    hub.join(NOW, &port, SLOT);
    publish(&hub, claim, vec![keyframe(1000), inter_frame(1040)]);
    assert!(hub.lose(claim) && !hub.lose(claim));
    assert!(hub.join(NOW, &port, SLOT).is_live);
    let again = hub.claim(NOW, &connection(2, "10.9.9.9"), Takeover::Never).unwrap();
    assert!(again.replaced.is_none());
    assert!(!hub.expire(claim));
    publish(&hub, again.id, vec![video_header(0, 1), keyframe(0), inter_frame(40)]);
    let expected = ["Keyframe 1000", "Frame 1040", "SequenceHeader 1080", "Keyframe 1080", "Frame 1120"];
    assert_eq!(told(&feeds), expected);
}

#[test]
fn a_lost_publisher_that_stays_away_ends_the_stream() {
    let hub = hub();
    let claim = publisher(&hub);
    let (port, feeds) = feed_port(8);
    hub.join(NOW, &port, SLOT);
    hub.lose(claim);
    assert!(told(&feeds).is_empty());
    assert!(hub.expire(claim) && !hub.expire(claim));
    assert_eq!(told(&feeds), ["end"]);
}

#[test]
fn who_may_take_over_depends_on_policy_address_and_silence() {
    let later = MonoTime(NOW.0 + SILENT_AFTER.as_millis() as u64);
    let almost = MonoTime(later.0 - 1);
    let same = "10.0.0.1";
    let other = "10.0.0.2";
    let table = [
        (Takeover::Never, same, later, false),
        (Takeover::SameAddress, same, NOW, true),
        (Takeover::SameAddress, other, almost, false),
        (Takeover::SameAddress, other, later, true),
        (Takeover::Always, other, NOW, true),
    ];
    for (takeover, address, when, expected) in table {
        let hub = hub();
        let first = publisher(&hub);
        let claim = hub.claim(when, &connection(2, address), takeover);
        assert_eq!(claim.is_ok(), expected, "{takeover:?} {address} {when:?}");
        if let Ok(claim) = claim {
            assert_eq!(claim.replaced.map(|replaced| replaced.id), Some(ConnectionId(1)));
            // The first one's tags do not count any more.
            let (port, feeds) = feed_port(8);
            hub.join(when, &port, SLOT);
            publish(&hub, first, vec![keyframe(0)]);
            hub.end(first);
            assert!(told(&feeds).is_empty());
        }
    }
}

#[test]
fn a_tag_keeps_a_publisher_from_being_silent() {
    let hub = hub();
    let claim = publisher(&hub);
    let later = MonoTime(NOW.0 + 6000);
    hub.publish(later, claim, audio(0));
    assert!(hub.claim(later, &connection(2, "10.0.0.2"), Takeover::SameAddress).is_err());
}

#[test]
fn a_connection_cannot_take_over_from_itself() {
    let hub = hub();
    let same = connection(1, "10.0.0.1");
    hub.claim(NOW, &same, Takeover::Always).unwrap();
    assert_eq!(hub.claim(NOW, &same, Takeover::Always).err(), Some(NameTaken));
}

#[test]
fn an_audio_only_stream_never_grows_the_cache_and_has_no_video() {
    let hub = hub();
    let claim = publisher(&hub);
    publish(&hub, claim, vec![audio_header(0)]);
    publish(&hub, claim, (0..1000).map(|n| audio(n * 23)).collect());
    let (port, _feeds) = feed_port(8);
    let snapshot = hub.join(NOW, &port, SLOT);
    assert!(snapshot.gop.is_empty() && !snapshot.has_video);
    assert_eq!(headers(&snapshot), [(TagRole::SequenceHeader, 999 * 23)]);
}

#[test]
fn whoever_watches_learns_of_players_and_publishers() {
    let hub = hub();
    let changes = hub.watch();
    let changed = || changes.try_recv().is_ok();
    assert!(!changed() && !hub.has_players() && !hub.is_published());
    let (port, _feeds) = feed_port(8);
    hub.listen(NOW, &port, SLOT);
    assert!(changed() && !hub.has_players(), "a recorder is no player");
    let other = Slot { index: 4, ..SLOT };
    hub.join(NOW, &port, other);
    assert!(changed() && hub.has_players() && hub.is_wanted());
    let claim = publisher(&hub);
    assert!(changed() && hub.is_published() && !hub.is_wanted());
    hub.lose(claim);
    assert!(changed() && !hub.is_published() && !hub.is_wanted());
    hub.expire(claim);
    assert!(changed() && !hub.is_published() && hub.is_wanted());
    hub.leave(&port, other);
    assert!(changed() && !hub.has_players());
    assert!(!changed(), "nothing more has happened");
}

#[test]
fn what_is_played_and_not_published_is_wanted() {
    let (wanted, paths) = crossbeam_channel::unbounded();
    let hub = Hub::new(StreamPath::join("live", "", "cam").unwrap(), 1 << 20, Some(wanted));
    let asked = || paths.try_iter().count();
    let (port, _feeds) = feed_port(8);
    let claim = publisher(&hub);
    hub.join(NOW, &port, SLOT);
    assert_eq!(asked(), 0);
    hub.end(claim);
    assert_eq!(asked(), 1, "players stay when a publisher leaves");
    hub.leave(&port, SLOT);
    let claim = publisher(&hub);
    hub.end(claim);
    assert_eq!(asked(), 0, "nobody plays");
    hub.join(NOW, &port, SLOT);
    assert_eq!(asked(), 1);
}

#[test]
fn a_source_of_the_server_gives_way_to_anybody_and_takes_from_nobody() {
    let hub = hub();
    let feeder = Feeder { kind: FeederKind::Demo, server: None, name: String::new() };
    let source = || Arc::new(Mailbox::of_source(feeder.clone()));
    let (first, second) = (source(), source());
    hub.claim(NOW, &first, Takeover::Never).unwrap();
    assert!(hub.is_published() && !hub.is_published_by_client());
    assert_eq!(hub.claim(NOW, &second, Takeover::Always).err(), Some(NameTaken));
    let claim = hub.claim(NOW, &connection(7, "10.0.0.1"), Takeover::Never).unwrap();
    assert!(hub.is_published_by_client());
    assert!(claim.replaced.is_some_and(|replaced| Arc::ptr_eq(&replaced, &first)));
    assert_eq!(hub.claim(NOW + SILENT_AFTER * 2, &first, Takeover::Always).err(), Some(NameTaken));
}

#[test]
fn streams_that_are_fed_from_here_are_remembered_while_somebody_plays() {
    let hub = hub();
    let (port, _feeds) = feed_port(8);
    let ids = [1, 2].map(|_| crate::server::relay::ServerId::random().stream(hub.path()));
    hub.note_via(&ids[..1]);
    hub.note_via(&ids);
    hub.join(NOW, &port, SLOT);
    assert_eq!(hub.via(), ids);
    hub.leave(&port, SLOT);
    assert_eq!(hub.via(), []);
}
