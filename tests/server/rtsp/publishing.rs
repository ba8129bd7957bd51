//! Streams published over RTSP.

use super::*;
use weir::{
    flv::{Codec, TagKind},
    rtp::{
        Format,
        send::{Sender, Sink},
    },
};

const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LACtkEJsBEAAADAAQAAAMAyDxImSA=,aMuDyyA=\r\na=control:streamid=0\r\n\
    m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\n\
    a=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=1210\r\na=control:streamid=1\r\n\
    m=application 0 RTP/AVP 98\r\na=rtpmap:98 vnd.onvif.metadata/90000\r\na=control:streamid=2\r\n";

/// Packets by track.
#[derive(Default)]
struct Packets(Vec<(usize, Vec<u8>)>);

impl Sink for Packets {
    fn packet(&mut self, track: usize, header: &[u8; 12], payload: &[&[u8]]) {
        self.0.push((track, [&header[..], &payload.concat()].concat()));
    }
}

pub(super) fn sender() -> Sender {
    let formats = [(Codec::H264, RECORD), (Codec::Aac, &[0x12, 0x10][..])];
    Sender::new(formats.map(|(codec, record)| Format::to_send(codec, record, None).unwrap()).into(), 7, 1400)
}

pub(super) fn packets(sender: &mut Sender, tags: &[Tag]) -> Vec<(usize, Vec<u8>)> {
    let mut packets = Packets::default();
    tags.iter().for_each(|tag| sender.write(tag, &mut packets));
    packets.0
}

fn announce(talker: &mut Talker) -> String {
    let fields = ["Content-Type: application/sdp".to_string(), format!("Content-Length: {}", SDP.len())];
    let session = talker.session.clone().map(|id| format!("Session: {id}\r\n")).unwrap_or_default();
    talker.send(
        format!(
            "ANNOUNCE {} RTSP/1.0\r\nCSeq: 900\r\n{session}{}\r\n\r\n{SDP}",
            talker.base,
            fields.join("\r\n")
        )
        .as_bytes(),
    );
    match talker.hear() {
        Said::Message(head, _) => head,
        other => panic!("{other:?}"),
    }
}

/// Over TCP, all three tracks set up.
fn publisher(address: SocketAddr, path: &str) -> Talker {
    announced(Talker::new(address, path))
}

/// All three tracks announced and set up over TCP.
pub(super) fn announced(mut talker: Talker) -> Talker {
    talker.get("OPTIONS {base}", &[]);
    assert!(announce(&mut talker).starts_with("RTSP/1.0 200 "));
    for track in 0..3 {
        let transport =
            format!("Transport: RTP/AVP/TCP;unicast;interleaved={}-{};mode=record", 2 * track, 2 * track + 1);
        let (head, _) = talker.get(&format!("SETUP {{base}}/streamid={track}"), &[&transport]);
        assert!(field(&head, "Transport").unwrap().contains(&format!(
            "interleaved={}-{}",
            2 * track,
            2 * track + 1
        )));
    }
    talker
}

pub(super) fn send(talker: &mut Talker, packets: &[(usize, Vec<u8>)]) {
    for (track, packet) in packets {
        let mut frame = vec![b'$', 2 * *track as u8];
        frame.extend((packet.len() as u16).to_be_bytes());
        frame.extend(packet);
        talker.send(&frame);
    }
}

fn frames(tags: &[Tag]) -> Vec<&Tag> {
    let is_frame = |tag: &&Tag| tag.kind != TagKind::Data && tag.classify().role.is_frame();
    tags.iter().filter(is_frame).collect()
}

#[test]
fn what_is_published_over_rtsp_plays_over_rtmp_as_it_was() {
    let (_server, address) = start(config());
    let mut talker = publisher(address, "live/cam");
    talker.get("RECORD {base}", &["Range: npt=0.000-"]);
    let sent = [picture(0, true, 4000), audio(0), picture(40, false, 90), audio(23), picture(80, false, 100)];
    let mut sender = sender();
    // As ffmpeg does: a report on each track, and then its packets.
    let now = 0xe0_0000_0000_0000;
    sender.set_clock(weir::base::Timestamp(0), now);
    for track in 0..2 {
        let mut report = Vec::new();
        sender.report(track, now, &mut report);
        let len = report.len() as u16;
        talker.send(&[&[b'$', 2 * track as u8 + 1][..], &len.to_be_bytes(), &report].concat());
    }
    send(&mut talker, &packets(&mut sender, &sent[..3]));
    let (mut player, _) = Client::player(address, "cam");
    send(&mut talker, &packets(&mut sender, &sent[3..]));
    let tags = player.tags_up_to(|tag| tag.body == picture(80, false, 100).body);
    let headers: Vec<&[u8]> =
        tags.iter().filter(|tag| tag.kind == TagKind::Video).take(1).map(|tag| &*tag.body).collect();
    assert_eq!(headers, [&*picture_header().body]);
    let mut heard: Vec<_> = frames(&tags)
        .into_iter()
        .map(|tag| (tag.kind.type_id(), tag.timestamp.0, tag.body.to_vec()))
        .collect();
    let mut expected: Vec<_> =
        sent.iter().map(|tag| (tag.kind.type_id(), tag.timestamp.0, tag.body.to_vec())).collect();
    heard.sort();
    expected.sort();
    assert_eq!(heard.len(), expected.len());
    let began = heard.iter().map(|frame| frame.1).min().unwrap();
    for (heard, expected) in heard.iter().zip(&expected) {
        assert_eq!((heard.0, &heard.2), (expected.0, &expected.2));
        let time = heard.1 - began;
        assert!(time.abs_diff(expected.1) <= 1, "{time} is {}", expected.1);
    }
    talker.get("TEARDOWN {base}", &[]);
    player.notice(StreamNotice::Eof);
}

#[test]
fn a_publisher_over_udp_is_heard_and_strangers_are_not() {
    let (_server, address) = start(config());
    let mut talker = Talker::new(address, "live/cam.sdp");
    assert!(announce(&mut talker).starts_with("RTSP/1.0 200 "));
    let sockets: Vec<UdpSocket> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut servers = Vec::new();
    for track in 0..2 {
        let port = |at: usize| sockets[at].local_addr().unwrap().port();
        let transport = format!(
            "Transport: RTP/AVP/UDP;unicast;client_port={}-{};mode=record",
            port(2 * track),
            port(2 * track + 1)
        );
        let (head, _) = talker.get(&format!("SETUP {{base}}/streamid={track}"), &[&transport]);
        let chosen = field(&head, "Transport").unwrap().to_string();
        let ports = chosen.split("server_port=").nth(1).unwrap().split(['-', ';']).next().unwrap();
        servers.push(ports.parse::<u16>().unwrap());
    }
    talker.get("RECORD {base}", &[]);
    let mut sender = sender();
    let all = packets(
        &mut sender,
        &[picture(0, true, 9000), audio(0), picture(40, false, 100), picture(80, false, 110)],
    );
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut player, _) = Client::player(address, "cam");
    for (number, (track, packet)) in all.iter().enumerate() {
        sockets[2 * track].send_to(packet, ("127.0.0.1", servers[*track])).unwrap();
        if number > 0 {
            // The same with another picture in it.
            let mut forged = packet.clone();
            forged.iter_mut().skip(14).for_each(|byte| *byte = 0xaa);
            stranger.send_to(&forged, ("127.0.0.1", servers[*track])).unwrap();
        }
    }
    let tags = player.tags_up_to(|tag| tag.body == picture(80, false, 110).body);
    let pictures: Vec<&Tag> = frames(&tags).into_iter().filter(|tag| tag.kind == TagKind::Video).collect();
    assert_eq!(pictures[0].body, picture(0, true, 9000).body);
    assert_eq!(pictures.len(), 3);
    assert!(pictures.iter().all(|tag| !tag.body.windows(20).any(|bytes| bytes == [0xaa; 20])));
}

#[test]
fn a_name_that_is_taken_and_what_cannot_be_read_are_refused() {
    let (_server, address) = start(Config { takeover: Takeover::Never, ..config() });
    let (_held, _) = Client::publisher(address, "cam");
    let mut second = publisher(address, "live/cam");
    assert!(second.ask("RECORD {base}", &[]).0.starts_with("RTSP/1.0 403 "));
    let mut talker = Talker::new(address, "live/other");
    let sdp = "v=0\r\nm=video 0 RTP/AVP 99\r\na=rtpmap:99 H263-2000/90000\r\n";
    let body = format!(
        "ANNOUNCE {} RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        talker.base,
        sdp.len()
    );
    talker.send(body.as_bytes());
    let Said::Message(head, _) = talker.hear() else { panic!() };
    assert!(head.starts_with("RTSP/1.0 415 "), "{head}");
    let (_server, address) = start(Config { publish_from: "none".parse().unwrap(), ..config() });
    let mut talker = Talker::new(address, "live/cam");
    assert!(announce(&mut talker).starts_with("RTSP/1.0 403 "));
}

#[test]
fn a_publisher_that_vanishes_may_come_back() {
    let (_server, address) = start(config());
    let mut talker = publisher(address, "live/cam");
    talker.get("RECORD {base}", &[]);
    let mut first = sender();
    send(&mut talker, &packets(&mut first, &[picture(0, true, 500)]));
    let (mut player, _) = Client::player(address, "cam");
    let _ = player.tags_up_to(|tag| tag.classify().is_keyframe());
    drop(talker);
    let mut again = publisher(address, "live/cam");
    again.get("RECORD {base}", &[]);
    send(&mut again, &packets(&mut sender(), &[picture(0, true, 700), picture(40, false, 70)]));
    // No notice in between: `tag` would panic at one.
    let tags = player.tags_up_to(|tag| {
        tag.kind == TagKind::Video && !tag.classify().is_keyframe() && tag.classify().role.is_frame()
    });
    assert!(frames(&tags).iter().any(|tag| tag.body == picture(0, true, 700).body));
}

#[test]
fn a_player_over_rtsp_hears_what_is_published_over_rtsp_to_the_tick() {
    let (_server, address) = start(config());
    let mut talker = publisher(address, "live/cam");
    talker.get("RECORD {base}", &[]);
    // 30000 / 1001 pictures a second: no whole milliseconds.
    let time = |number: u32| u64::from(number) * 1001 * 1_000_000_000 / 30_000;
    let tag = |number: u32| {
        let nanos = time(number);
        let mut tag = picture((nanos / 1_000_000) as u32, number == 0, 100);
        tag.nanos = (nanos % 1_000_000) as i32;
        tag
    };
    let mut sender = sender();
    send(&mut talker, &packets(&mut sender, &[tag(0), audio(0), tag(1)]));
    let (mut watcher, _) = Client::player(address, "cam");
    let _ = watcher.tags_up_to(|tag| tag.kind == TagKind::Video && tag.timestamp.0 >= 33);
    let mut player = Talker::new(address, "live/cam");
    player.get("DESCRIBE {base}", &[]);
    player.get("SETUP {base}/trackID=0", &["Transport: RTP/AVP/TCP;unicast;interleaved=4-5"]);
    player.get("PLAY {base}/", &[]);
    let rest: Vec<Tag> = (2..40).map(tag).collect();
    send(&mut talker, &packets(&mut sender, &rest));
    let mut times: Vec<u32> = Vec::new();
    while times.len() < 40 {
        let (channel, packet) = player.frame();
        let (_, is_last, _, timestamp, _) = rtp(&packet);
        if channel == 4 && is_last {
            times.push(timestamp);
        }
    }
    for (number, time) in times.iter().enumerate() {
        assert!(
            time.wrapping_sub(times[0]).abs_diff(3003 * number as u32) <= 1,
            "{number}: {}",
            time.wrapping_sub(times[0])
        );
    }
}
