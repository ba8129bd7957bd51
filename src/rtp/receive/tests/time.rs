//! Times: the tracks' clocks on one timeline, reports in both directions.

use super::*;
use crate::rtp::rtcp::{self, Part, ReportBlock, SenderReport};

/// A track of G.711 and one of H.264 with sets and an IDR picture in a packet each: times are all that counts.
struct Pair {
    receiver: Receiver,
    video: Source,
    audio: Source,
    /// When the newest picture is shown and the newest sound is heard, in milliseconds.
    shown: [Option<i64>; 2],
}

const SETS: [&[u8]; 2] = [&[0x67, 66, 0, 0x0a, 0xf4, 0x21, 0x32], &[0x68, 0xce, 0x38, 0x80]];
const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x3f];

/// In seconds since 1900.
fn ntp(seconds: f64) -> u64 {
    (seconds * 4_294_967_296.0) as u64
}

impl Pair {
    fn new() -> Pair {
        let mut h264 = format(Codec::H264, 90_000);
        h264.record = h264::build_record(SETS[0], &[SETS[1]]).expect("good sets");
        let receiver = Receiver::new(vec![Some(h264), Some(format(Codec::G711A, 8000))], TCP, 7, NOW);
        Pair { receiver, video: Source::new(1), audio: Source::new(2), shown: [None; 2] }
    }

    /// One whose tracks have settled by arrival: pictures of 5000 and sound of 1000 come at 2000 and `audio_came`.
    fn settled(audio_came: u64) -> Pair {
        let mut pair = Pair::new();
        pair.video(2000, 5000);
        pair.audio(audio_came, 1000);
        assert_eq!(pair.shown, [None; 2], "not before it is known where they lie");
        pair.receiver.handle_timeout(MonoTime(2000) + SETTLING);
        pair.look();
        pair
    }

    /// A picture of the sender's time in milliseconds comes; when the newest is shown.
    fn video(&mut self, came: u64, time: i64) -> i64 {
        let packet = self.video.packet(time * 90, true, IDR);
        self.receiver.handle_rtp(MonoTime(came), 0, &packet);
        self.look();
        self.shown[0].unwrap_or(i64::MIN)
    }

    fn audio(&mut self, came: u64, time: i64) -> i64 {
        let packet = self.audio.packet(time * 8, true, b"x");
        self.receiver.handle_rtp(MonoTime(came), 1, &packet);
        self.look();
        self.shown[1].unwrap_or(i64::MIN)
    }

    fn look(&mut self) {
        for tag in all_tags(&mut self.receiver) {
            let place = usize::from(tag.kind == TagKind::Audio);
            let class = tag.classify();
            if class.role.is_frame() {
                self.shown[place] = Some(i64::from(tag.timestamp.0) + i64::from(class.composition_time));
            }
        }
    }

    /// A report: the sender's time in milliseconds, at that wall clock.
    fn report(&mut self, came: u64, track: usize, time: i64, wall: u64) {
        let (source, rate) = [(&self.video, 90), (&self.audio, 8)][track];
        let report = SenderReport {
            ssrc: source.ssrc,
            ntp: wall,
            rtp_timestamp: source.base.wrapping_add((time * rate) as u32),
            ..SenderReport::default()
        };
        let mut packet = vec![];
        rtcp::sender_report(&mut packet, &report, "");
        // ffmpeg's: nothing but the report.
        self.receiver.handle_rtcp(MonoTime(came), track, &packet[..28]);
    }
}

#[test]
fn reports_before_the_first_packets_put_tracks_in_place_from_the_first_frame_on() {
    for is_video_first in [true, false] {
        let mut pair = Pair::new();
        // The wall clock wraps in between.
        pair.report(2000, 0, 1000, ntp(4_294_967_295.9));
        pair.report(2000, 1, 1000, ntp(4_294_967_295.9));
        // Video is 80 ms later than sound, of the same moment; both come at once.
        if is_video_first {
            pair.video(2000, 1080);
            pair.audio(2003, 1000);
        } else {
            pair.audio(2000, 1000);
            pair.video(2003, 1080);
        }
        assert_eq!(pair.shown, [Some(80), Some(0)], "{is_video_first}");
        assert_eq!(pair.audio(2500, 1020), 20);
    }
}

#[test]
fn until_reports_come_arrival_counts_and_then_the_early_track_is_moved_once() {
    for (late, moved) in [(70, 1), (-70, 0)] {
        let mut pair = Pair::settled(2040);
        assert_eq!(pair.shown, [Some(0), Some(40)]);
        pair.report(3000, 0, 6000, ntp(100.0));
        assert_eq!(pair.audio(3040, 2000), 1040);
        pair.report(3000, 1, 2000, ntp(100.0 + 0.040 + late as f64 / 1000.0));
        let (video, audio) = (pair.video(4000, 7000), pair.audio(4040, 3000));
        assert_eq!(audio - video, 40 + late);
        let expected = [2000, 2040][moved] + late.abs();
        assert_eq!([video, audio][moved], expected, "it is the early one that moves");
        // What reports say from now on is the same but for their jitter.
        pair.report(5000, 0, 8000, ntp(102.010));
        pair.report(5000, 1, 4000, ntp(102.0 + 0.040 + late as f64 / 1000.0));
        assert_eq!(pair.video(6000, 9000) - video, 2000);
        assert_eq!(pair.audio(6040, 5000) - audio, 2000);
    }
}

#[test]
fn what_delays_on_the_way_explain_is_no_reason_to_move() {
    let mut pair = Pair::settled(2040);
    pair.report(3000, 0, 6000, ntp(100.0));
    pair.report(3000, 1, 2000, ntp(100.0));
    assert_eq!((pair.video(4000, 7000), pair.audio(4040, 3000)), (2000, 2040));
}

#[test]
fn the_least_delayed_frames_of_the_beginning_tell_where_tracks_lie() {
    let mut pair = Pair::new();
    // The first picture is sent before its time.
    pair.video(2000, 5160);
    pair.video(2200, 5200);
    pair.video(2240, 5240);
    // Sound is held up for 40 ms in the sender's TCP, as some of it is not.
    pair.audio(2040, 1000);
    pair.audio(2120, 1120);
    pair.audio(2180, 1140);
    pair.audio(2190, 1190);
    pair.audio(2260, 1220);
    assert_eq!(pair.shown, [None; 2]);
    // Pictures of 5000 and sound of 1000 are of one moment.
    pair.audio(2300, 1300);
    assert_eq!(pair.shown, [Some(240), Some(300)]);
}

#[test]
fn what_is_pushed_faster_than_it_plays_begins_together() {
    let mut pair = Pair::new();
    for number in 0..100 {
        pair.video(2000 + number, number as i64 * 40);
        pair.audio(2000 + number, number as i64 * 40);
    }
    pair.receiver.handle_timeout(MonoTime(2000) + SETTLING);
    pair.look();
    let [Some(video), Some(audio)] = pair.shown else { panic!("{:?}", pair.shown) };
    assert!((3960..4300).contains(&video) && (video - audio).abs() <= 40, "{video} {audio}");
}

#[test]
fn wrong_clocks_are_not_believed() {
    for (video_clock, audio_clock) in
        [(0, ntp(100.0)), (ntp(100.0), 0), (ntp(100.0), ntp(3700.0)), (ntp(100.0), ntp(102.0)), (0, 0)]
    {
        let mut pair = Pair::settled(2010);
        pair.report(3000, 0, 6000, video_clock);
        pair.report(3000, 1, 2000, audio_clock);
        assert_eq!(pair.video(4000, 7000), 2000, "{video_clock:x} {audio_clock:x}");
        assert_eq!(pair.audio(4010, 3000), 2010);
    }
    // Before the first packets.
    let mut pair = Pair::new();
    pair.report(2000, 0, 0, ntp(100.0));
    pair.report(2000, 1, 0, ntp(7300.0));
    pair.video(2000, 0);
    pair.audio(2010, 0);
    pair.receiver.handle_timeout(MonoTime(2300));
    pair.look();
    assert_eq!(pair.shown, [Some(0), Some(10)]);
}

#[test]
fn a_track_that_drifts_is_moved_when_two_reports_say_so() {
    let mut pair = Pair::new();
    pair.report(2000, 0, 0, ntp(100.0));
    pair.report(2000, 1, 0, ntp(100.0));
    pair.video(2000, 0);
    pair.audio(2000, 0);
    assert_eq!(pair.shown, [Some(0); 2]);
    // An hour later the microphone's clock is 100 ms slow.
    let hour = 3_600_000;
    for minute in 1..=60 {
        pair.video(2000 + minute * 60_000, minute as i64 * 60_000);
        pair.audio(2000 + minute * 60_000, minute as i64 * 60_000 - 100);
    }
    pair.report(0, 0, hour, ntp(3700.0));
    pair.report(0, 1, hour - 100, ntp(3700.0));
    assert_eq!(pair.audio(3_602_000, hour - 100), hour - 100);
    pair.report(0, 1, hour - 100, ntp(3700.0));
    assert_eq!(pair.audio(3_602_000, hour - 100), hour);
}

#[test]
fn a_track_that_comes_late_and_lies_before_the_beginning_moves_the_others() {
    let mut pair = Pair::new();
    pair.report(2000, 0, 0, ntp(100.0));
    pair.report(2000, 1, 0, ntp(100.0));
    pair.video(2000, 900);
    pair.receiver.handle_timeout(MonoTime(2300));
    pair.look();
    assert_eq!(pair.shown, [Some(0), None]);
    assert_eq!(pair.audio(2301, 0), 0);
    assert_eq!(pair.video(2340, 940), 940);
}

#[test]
fn a_jump_and_another_source_go_on_from_where_the_track_is() {
    let mut pair = Pair::settled(2000);
    assert_eq!(pair.video(2340, 5340), 340);
    assert_eq!(pair.video(2380, 40_000_000), 380, "ahead");
    assert_eq!(pair.video(2420, 100), 420, "back");
    pair.video = Source { sequence: 7, ssrc: 4, base: 1 };
    let first = pair.video.packet(0, true, IDR);
    pair.receiver.handle_rtp(MonoTime(2460), 0, &first);
    assert_eq!(pair.video(2500, 40), 420 + 80 + 40);
    // An hour without a packet, and an hour in its clock.
    let hour = 3_600_000;
    assert_eq!(pair.video(2500 + hour, 40 + hour as i64), 540 + hour as i64);
}

#[test]
fn times_are_exact_to_the_nanosecond_over_days() {
    let mut receiver = Receiver::new(vec![Some(format(Codec::G711A, 44_100))], TCP, 7, NOW);
    let mut source = Source::new(1);
    // 24 hours, a packet a minute.
    for minute in 0..1440u64 {
        let packet = source.packet(minute as i64 * 60 * 44_100 + 1, true, b"x");
        receiver.handle_rtp(NOW + Duration::from_secs(minute * 60), 0, &packet);
        let tag = all_tags(&mut receiver).pop().expect("a tag");
        assert_eq!((u64::from(tag.timestamp.0), tag.nanos), (minute * 60_000, 1), "from the first on");
    }
    let packet = source.packet(1439 * 60 * 44_100 + 2, true, b"x");
    receiver.handle_rtp(NOW, 0, &packet);
    assert_eq!(all_tags(&mut receiver)[0].nanos, 22_676, "a 44100th of a second");
}

#[test]
fn receivers_report_what_they_have_seen() {
    let mut pair = Pair::new();
    assert_eq!(pair.receiver.poll_timeout(), Some(NOW + REPORT_INTERVAL));
    pair.receiver.handle_timeout(NOW + REPORT_INTERVAL);
    assert_eq!(pair.receiver.poll_report(), None, "nothing has come");
    pair.video(7000, 0);
    // Three of ten are missing.
    pair.video.sequence = pair.video.sequence.wrapping_add(3);
    for index in 1..7 {
        pair.video(7000 + index * 40, index as i64 * 40);
    }
    pair.report(10_000, 0, 0, ntp(100.5));
    pair.receiver.handle_timeout(MonoTime(11_000));
    let (track, report) = pair.receiver.poll_report().expect("a report");
    assert_eq!((track, pair.receiver.poll_report()), (0, None));
    let block = ReportBlock {
        ssrc: 1,
        fraction_lost: 76,
        lost: 3,
        highest_sequence: 0x1_0007,
        jitter: 0,
        last_report: 100 << 16 | 0x8000,
        delay: 65_536,
    };
    assert_eq!(rtcp::parse(&report), [Part::Block(block)]);
    assert_eq!(report[4..8], [0, 0, 0, 7], "who reports");
    // Late by 80 ms: a sixteenth of 7200 ticks.
    pair.video(11_400, 280);
    pair.video(11_400 + 40 + 80, 320);
    pair.receiver.handle_timeout(MonoTime(16_000));
    let report = pair.receiver.poll_report().expect("a report").1;
    let [Part::Block(next)] = rtcp::parse(&report)[..] else { panic!("one block") };
    assert_eq!((next.fraction_lost, next.lost), (0, 3));
    assert!(next.jitter > 7200 / 16, "{}", next.jitter);
}

#[test]
fn a_stream_has_ended_when_every_track_has_said_goodbye() {
    let mut pair = Pair::new();
    assert!(!pair.receiver.has_ended());
    // No markers: the picture is complete only because nothing follows.
    let open = pair.video.packet(3600, false, IDR);
    pair.receiver.handle_rtp(NOW, 0, &open);
    assert_eq!(pair.receiver.poll_tag(), None);
    let goodbye = |ssrc| {
        let mut packet = vec![];
        rtcp::goodbye(&mut packet, &SenderReport { ssrc, ..SenderReport::default() }, "x");
        packet
    };
    pair.receiver.handle_rtcp(NOW, 0, &goodbye(77));
    assert_eq!(pair.receiver.poll_tag(), None, "of somebody else");
    pair.receiver.handle_rtcp(NOW, 0, &goodbye(1));
    pair.receiver.handle_timeout(NOW + SETTLING);
    assert!(pair.receiver.poll_tag().is_some() && !pair.receiver.has_ended());
    pair.audio(2000, 0);
    pair.receiver.handle_rtcp(NOW, 1, &goodbye(2));
    assert!(pair.receiver.has_ended());
    // The last packets by UDP may come behind it.
    pair.audio(2020, 20);
    assert!(pair.receiver.has_ended());
    pair.audio = Source::new(5);
    let first = pair.audio.packet(0, true, b"x");
    pair.receiver.handle_rtp(NOW, 1, &first);
    pair.audio(2060, 20);
    assert!(!pair.receiver.has_ended(), "another one has come");
    let none = Receiver::new(vec![None], TCP, 7, NOW);
    assert!(!none.has_ended());
}
