use super::*;
use crate::{
    base::base64,
    codec::{self, h264, h265, opus::OpusConfig},
    flv::{Codec, body::AudioFormat},
    rtp::Packing,
};
use alloc::{format, vec, vec::Vec};

fn formats(text: &str) -> Vec<Option<Format>> {
    let whole = Description::parse(text.as_bytes()).expect("a description");
    for cut in [text.replace("\r\n", "\n"), text.replace('\n', "\r\n"), text.replace('\n', " \r\n\r\n")] {
        assert_eq!(Description::parse(cut.as_bytes()), Ok(whole.clone()));
    }
    whole.tracks.into_iter().map(|media| media.format).collect()
}

/// Of the only track, which is `a=` lines behind `m=` line.
fn format_of(media: &str, lines: &[&str]) -> Option<Format> {
    let lines: Vec<String> = lines.iter().map(|line| format!("a={line}\n")).collect();
    formats(&format!("v=0\nm={media}\n{}", lines.concat())).remove(0)
}

/// Of x264 and ffmpeg 5.1: 160x120.
const SPROP: &str = "Z2QACqzZQoR+XARAAAADAEAAAAUDxIllgA==,aOvjyyLA";

#[test]
fn descriptions_of_ffmpeg_are_read() {
    let head = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=No Name\nt=0 0\na=tool:libavformat 59.27.100\n";
    let text = format!(
        "{head}m=video 22400 RTP/AVP 96\nc=IN IP4 127.0.0.1\na=rtpmap:96 H264/90000\n\
         a=fmtp:96 packetization-mode=1; sprop-parameter-sets={SPROP}; profile-level-id=64000A\n\
         m=audio 22402 RTP/AVP 97\nc=IN IP4 127.0.0.1\nb=AS:128\na=rtpmap:97 MPEG4-GENERIC/44100/2\n\
         a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=121056E500\n"
    );
    let description = Description::parse(text.as_bytes()).expect("a description");
    assert_eq!((&description.name[..], description.range), ("No Name", Range::Live));
    assert_eq!(description.address, Some(IpAddr::from([127, 0, 0, 1])));
    let ports: Vec<u16> = description.tracks.iter().map(|media| media.port).collect();
    assert_eq!(ports, [22_400, 22_402]);
    let [Some(video), Some(audio)] = &formats(&text)[..] else { panic!("two formats") };
    assert_eq!((video.codec, video.payload_type, video.clock_rate), (Codec::H264, 96, 90_000));
    assert_eq!(codec::dimensions(Codec::H264, &video.record), Some((160, 120)));
    assert_eq!(video.record[..4], [1, 0x64, 0, 0x0a]);
    let expected = Format {
        codec: Codec::Aac,
        payload_type: 97,
        clock_rate: 44_100,
        channels: 2,
        record: vec![0x12, 0x10, 0x56, 0xe5, 0],
        packing: Packing::AAC_HBR,
    };
    assert_eq!(*audio, expected);

    let text = format!(
        "{head}m=video 22400 RTP/AVP 96\na=rtpmap:96 H265/90000\n\
         a=fmtp:96 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwAelZgJ; \
         sprop-sps=QgEBAWAAAAMAkAAAAwAAAwAeoBQgeWWVmkkyvAWgIAAAAwAgAAADAUE=; sprop-pps=RAHBcrRiQA==\n\
         m=audio 22402 RTP/AVP 14\nc=IN IP4 127.0.0.1\n"
    );
    let [Some(video), Some(audio)] = &formats(&text)[..] else { panic!("two formats") };
    assert_eq!(codec::dimensions(Codec::Hevc, &video.record), Some((160, 120)));
    let record = h265::Record::parse(&video.record).expect("a record");
    assert_eq!((record.vps.len(), record.pps), (1, vec![&[0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40][..]]));
    assert_eq!((audio.codec, audio.payload_type, audio.clock_rate), (Codec::Mp3, 14, 90_000));

    let text = format!(
        "{head}m=video 22400 RTP/AVP 96\na=rtpmap:96 VP8/90000\nm=audio 22402 RTP/AVP 8\nb=AS:64\n\
         m=video 22400 RTP/AVP 96\na=rtpmap:96 VP9/90000\nm=audio 22402 RTP/AVP 97\na=rtpmap:97 PCMU/16000/2\n\
         m=audio 22402 RTP/AVP 97\na=rtpmap:97 opus/48000/2\na=fmtp:97 sprop-stereo=1\n\
         m=audio 22402 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/44100/1\n\
         a=fmtp:97 profile-level-id=41;cpresent=0;config=400024103fc0\n"
    );
    let found: Vec<_> = formats(&text)
        .into_iter()
        .flatten()
        .map(|format| (format.codec, format.payload_type, format.clock_rate, format.channels))
        .collect();
    assert_eq!(
        found,
        [
            (Codec::Vp8, 96, 90_000, 0),
            (Codec::G711A, 8, 8000, 1),
            (Codec::Vp9, 96, 90_000, 0),
            (Codec::G711U, 97, 16_000, 2),
            (Codec::Opus, 97, 48_000, 2),
            (Codec::Aac, 97, 44_100, 1),
        ]
    );
}

#[test]
fn parameter_sets_are_found_however_cameras_write_them() {
    let plain = format_of(
        "video 0 RTP/AVP 96",
        &["rtpmap:96 H264/90000", &format!("fmtp:96 sprop-parameter-sets={SPROP}")],
    );
    let plain = plain.expect("a format").record;
    assert!(h264::Record::parse(&plain).is_some_and(|record| record.pps.len() == 1));
    let nals: Vec<Vec<u8>> = SPROP.split(',').map(|set| base64::decode(set.as_bytes()).unwrap()).collect();
    let annex_b: Vec<u8> = nals.iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect();
    for fmtp in [
        format!("fmtp:96 packetization-mode=1;SPROP-Parameter-Sets=\"{SPROP}\";;"),
        format!("fmtp:96 sprop-parameter-sets={}; ", base64::encode(&annex_b)),
        format!("fmtp:96 sprop-parameter-sets={}", SPROP.trim_end_matches('=').replace("==", "")),
        format!("fmtp:96\tx ; sprop-parameter-sets = {SPROP},,!?,AAAB"),
        format!("fmtp:96 sprop-parameter-sets={}", base64::encode(&[&annex_b[..], &[0, 0, 0]].concat())),
    ] {
        let found = format_of("video 0 RTP/AVP 96", &[&fmtp, "RTPMAP:96 h264/90000"]);
        assert_eq!(found.map(|format| format.record), Some(plain.clone()), "{fmtp}");
    }
    for fmtp in ["fmtp:96 sprop-parameter-sets=", "fmtp:96 sprop-parameter-sets=Z2Q=,aOs=", "fmtp:97 x=y"] {
        let found = format_of("video 0 RTP/AVP 96", &["rtpmap:96 H264", fmtp]).expect("still a format");
        assert_eq!((found.record, found.clock_rate), (vec![], 90_000), "in the stream, perhaps");
    }
}

#[test]
fn configurations_of_aac_are_found_or_made_up() {
    let aac = |lines: &[&str]| {
        format_of("audio 0 RTP/AVP 97", lines)
            .map(|format| (format.record, format.clock_rate, format.channels, format.packing))
    };
    let config =
        "fmtp:97 streamtype=5; mode=AAC-hbr; config=1190; SizeLength=13; IndexLength=3; IndexDeltaLength=3;";
    let found = aac(&["rtpmap:97 MPEG4-GENERIC/48000/2", config]);
    assert_eq!(found, Some((vec![0x11, 0x90], 48_000, 2, Packing::AAC_HBR)));
    let none = aac(&["rtpmap:97 mpeg4-generic/16000", "fmtp:97 mode=AAC-hbr"]);
    assert_eq!(none, Some((vec![0x14, 0x08], 16_000, 1, Packing::AAC_HBR)));
    let low = Packing::AacHbr { size_length: 6, index_length: 2, delta_length: 2 };
    let found = aac(&["rtpmap:97 mpeg4-generic/22050/1", "fmtp:97 mode=aac-LBR;config=1388"]);
    assert_eq!(found, Some((vec![0x13, 0x88], 22_050, 1, low)));
    assert_eq!(aac(&["rtpmap:97 mpeg4-generic/8000/1", "fmtp:97 mode=CELP-cbr"]), None);
    assert_eq!(aac(&["rtpmap:97 mpeg4-generic/8000/1", "fmtp:97 sizelength=17"]), None);
    assert_eq!(aac(&["rtpmap:97 mpeg4-generic", "fmtp:97 config=xyz"]), None, "no rate anywhere");

    // ffmpeg's, GStreamer's with five bytes, and one with SBR: 24000 to 48000 Hz.
    for (config, record) in [
        ("400023203fc0", vec![0x11, 0x90]),
        ("40002410adca00", vec![0x12, 0x08]),
        ("40005623101fe0", vec![0x2b, 0x11, 0x88, 0]),
    ] {
        let found = aac(&["rtpmap:97 MP4A-LATM/44100", &format!("fmtp:97 cpresent=0;config={config}")]);
        let found = found.expect("a format");
        assert_eq!((found.0, found.3), (record, Packing::Latm), "{config}");
    }
    for fmtp in
        ["fmtp:97 config=410023203fc0", "fmtp:97 config=4000", "fmtp:97 cpresent=1;config=400023203fc0", "x"]
    {
        assert_eq!(aac(&["rtpmap:97 MP4A-LATM/48000", fmtp]), None, "{fmtp}");
    }
}

#[test]
fn opus_is_stereo_unless_it_says_otherwise() {
    for (lines, channels) in [
        (&["rtpmap:97 OPUS/48000/2"][..], 2),
        (&["rtpmap:97 opus/48000/2", "fmtp:97 sprop-stereo=0"], 1),
        (&["rtpmap:97 opus/48000", "fmtp:97 minptime=10;sprop-stereo=1"], 2),
    ] {
        let format = format_of("audio 0 RTP/AVP 97", lines).expect("a format");
        assert_eq!((format.channels, format.clock_rate), (channels, 48_000));
        let head = OpusConfig::parse_head(&format.record).expect("a header");
        assert_eq!((u16::from(head.channels), head.mapping_family), (channels, 0));
    }
}

#[test]
fn tracks_that_nobody_knows_keep_their_place() {
    let text = "a=control:rtsp://h/before\nv=0\no=x\nnonsense\ns=-\nm=video 0 RTP/AVP 35\na=control:trackID=0\n\
                m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\na=control:trackID=1\n\
                m=audio 0 RTP/SAVP 0\na=control:trackID=2\nm=audio 0 RTP/AVP 26\na=rtpmap:26 H264/90000\n\
                m=\nm=audio 0/2 rtp/avpf 35 110 8 0\na=rtpmap:110 L16/44100\nb=AS:1\n a = control : trackID=5 \n";
    let description = Description::parse(text.as_bytes()).expect("a description");
    assert_eq!((&description.name[..], &description.control[..]), ("", "rtsp://h/before"));
    let controls: Vec<&str> = description.tracks.iter().map(|media| &media.control[..]).collect();
    assert_eq!(controls, ["trackID=0", "trackID=1", "trackID=2", "", "", "trackID=5"]);
    let known: Vec<bool> = description.tracks.iter().map(|media| media.format.is_some()).collect();
    assert_eq!(known, [false, false, false, false, false, true]);
    let last = description.tracks[5].format.clone().expect("the first of its types that is known");
    assert_eq!((last.codec, last.payload_type), (Codec::G711A, 8));
}

#[test]
fn addresses_and_ranges_are_read_wherever_they_stand() {
    for (line, address, ttl) in [
        ("c=IN IP4 0.0.0.0", None, 0),
        ("c=IN IP4 239.1.2.3/16", Some([239, 1, 2, 3]), 16),
        ("c=IN IP4 239.1.2.3/16/2", Some([239, 1, 2, 3]), 16),
        ("c=IN IP4", None, 0),
        ("c=IN IP4 host.example/1", None, 0),
    ] {
        for text in [format!("{line}\nm=video 7000 RTP/AVP 96"), format!("m=video 7000 RTP/AVP 96\n{line}")] {
            let description = Description::parse(text.as_bytes()).expect("a description");
            assert_eq!((description.address, description.ttl), (address.map(IpAddr::from), ttl), "{line}");
            assert_eq!(description.tracks[0].port, 7000);
        }
    }
    for (line, range) in [
        ("a=range:npt=0-120.5", Range::Recorded { duration: 120_500 }),
        ("a=Range: npt=0.000-00:02:00.500", Range::Recorded { duration: 120_500 }),
        ("a=range:npt=now-", Range::Live),
        ("a=range:npt=0-", Range::Live),
        ("a=range:npt=0-0", Range::Live),
        ("a=range:clock=20240501T120000Z-20240501T121000Z", Range::Live),
        ("a=range:", Range::Live),
    ] {
        for text in [format!("{line}\nm=video 0 RTP/AVP 96"), format!("m=video 0 RTP/AVP 96\n{line}")] {
            assert_eq!(Description::parse(text.as_bytes()).map(|read| read.range), Ok(range), "{line}");
        }
    }
}

#[test]
fn what_is_too_much_or_nothing_is_refused() {
    let tracks = |count: usize| "m=audio 0 RTP/AVP 0\n".repeat(count);
    let parse = |text: &str| Description::parse(text.as_bytes()).map(|read| read.tracks.len());
    assert_eq!(parse(&tracks(MAX_TRACKS)), Ok(MAX_TRACKS));
    assert_eq!(parse(&tracks(MAX_TRACKS + 1)), Err(SdpError::TooManyTracks));
    for nothing in ["", "v=0\r\n", "\u{0}\u{1}", "<html>"] {
        assert_eq!(parse(nothing), Err(SdpError::NoTracks));
    }
    let padded = |len: usize| format!("{}{}", tracks(1), "x".repeat(len - tracks(1).len()));
    assert_eq!(parse(&padded(MAX_LEN)), Ok(1));
    assert_eq!(parse(&padded(MAX_LEN + 1)), Err(SdpError::TooLong));
    assert_eq!(Description::parse(b"s=\xff\xfe\nm=audio 0 RTP/AVP 0\n").map(|read| read.tracks.len()), Ok(1));
}

/// Records as publishers send them.
fn sent() -> Vec<Format> {
    let record = |lines: &[&str]| format_of("video 0 RTP/AVP 96", lines).expect("a format").record;
    let avcc = record(&["rtpmap:96 H264/90000", &format!("fmtp:96 sprop-parameter-sets={SPROP}")]);
    let hvcc = record(&[
        "rtpmap:96 H265/90000",
        "fmtp:96 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwAelZgJ; sprop-pps=RAHBcrRiQA==; \
         sprop-sps=QgEBAWAAAAMAkAAAAwAAAwAeoBQgeWWVmkkyvAWgIAAAAwAgAAADAUE=",
    ]);
    let stereo = AudioFormat { sample_rate: 16_000, channels: 2 };
    [
        (Codec::H264, &avcc[..], None),
        (Codec::H264, &[1, 0x42, 0xc0, 0x1f, 0xff, 0xe0, 0], None),
        (Codec::Hevc, &hvcc, None),
        (Codec::Av1, &[0x81, 0x48, 0xe0, 0], None),
        (Codec::Av1, &[], None),
        (Codec::Vp8, &[], None),
        (Codec::Vp9, &[], None),
        (Codec::Aac, &[0x12, 0x10, 0x56, 0xe5, 0], None),
        (Codec::Aac, &[0x2b, 0x11, 0x88, 0x00], None),
        (Codec::Opus, &[], None),
        (Codec::Mp3, &[], None),
        (Codec::G711A, &[], None),
        (Codec::G711U, &[], None),
        (Codec::G711A, &[], Some(stereo)),
    ]
    .into_iter()
    .map(|(codec, record, audio)| Format::to_send(codec, record, audio).expect("RTP carries it"))
    .collect()
}

#[test]
fn each_format_that_is_sent_is_read_as_it_was() {
    for format in sent() {
        let media = Media::new(format.clone(), "trackID=7".to_owned());
        let text = Description::new("live/cam", Range::Recorded { duration: 120_500 }, vec![media]).write();
        let read = Description::parse(text.as_bytes()).expect("a description");
        assert_eq!((&read.name[..], read.range), ("live/cam", Range::Recorded { duration: 120_500 }));
        assert_eq!((&read.control[..], &read.tracks[0].control[..]), ("*", "trackID=7"));
        let mut found = read.tracks[0].format.clone().expect("a format");
        // Those have no place for a record, or none is needed.
        let has_record = match format.codec {
            Codec::H264 => h264::Record::parse(&format.record).is_some_and(|record| !record.sps.is_empty()),
            codec => matches!(codec, Codec::Hevc | Codec::Aac),
        };
        if !has_record {
            found.record.clone_from(&format.record);
        }
        assert_eq!(found, format, "{text}");
    }
}

#[test]
fn descriptions_are_written_line_by_line_as_players_expect() {
    let [video, .., telephone] = &sent()[..] else { panic!("formats") };
    let aac = Format::to_send(Codec::Aac, &[0x12, 0x10], None).expect("RTP carries it");
    let tracks = [video, &aac].into_iter().enumerate();
    let tracks =
        tracks.map(|(number, format)| Media::new(format.clone(), format!("trackID={number}"))).collect();
    let text = Description::new("Küche\r\nm=evil", Range::Live, tracks).write();
    let expected = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=Küche  m=evil",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=tool:weir",
        "a=control:*",
        "a=range:npt=now-",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        &format!("a=fmtp:96 packetization-mode=1;profile-level-id=64000A;sprop-parameter-sets={SPROP}"),
        "a=control:trackID=0",
        "m=audio 0 RTP/AVP 97",
        "a=rtpmap:97 mpeg4-generic/44100/2",
        "a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1210",
        "a=control:trackID=1",
        "",
    ];
    assert_eq!(text.split("\r\n").collect::<Vec<_>>(), expected);

    let group = Media { port: 7000, ..Media::new(telephone.clone(), String::new()) };
    let unknown = Media { format: None, control: "x".to_owned(), port: 1 };
    let mut description = Description::new("", Range::Recorded { duration: 1 }, vec![unknown, group]);
    description.address = Some(IpAddr::from([239, 1, 2, 3]));
    description.ttl = 16;
    let text = description.write();
    for line in [
        "s=-",
        "c=IN IP4 239.1.2.3/16",
        "a=range:npt=0.000-0.001",
        "m=audio 7000 RTP/AVP 97",
        "a=rtpmap:97 PCMA/16000/2",
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "{line} in {text}");
    }
    assert!(!text.contains("a=control:x"));
    description.address = Some("ff15::7".parse().expect("an address"));
    assert!(description.write().contains("c=IN IP6 ff15::7\r\n"));
}

#[test]
fn controls_complete_the_base_as_ffmpeg_and_live555_do_it() {
    for (base, control, url) in [
        ("rtsp://h/live/a/", "trackID=0", "rtsp://h/live/a/trackID=0"),
        ("rtsp://h/live/a", "trackID=0", "rtsp://h/live/a/trackID=0"),
        ("rtsp://h/live/a?x=1", "trackID=0", "rtsp://h/live/a?x=1/trackID=0"),
        ("rtsp://h/live/a?x=1/", "trackID=0", "rtsp://h/live/a?x=1/trackID=0"),
        ("rtsp://h/live/a/", "*", "rtsp://h/live/a/"),
        ("rtsp://h/live/a", "", "rtsp://h/live/a"),
        ("rtsp://h/live/a", "rtsp://g/track1", "rtsp://g/track1"),
        ("rtsp://h/live/a", "RTSPS://g/track1", "RTSPS://g/track1"),
        ("rtsp://h/live/a/", "/live/a/track1", "rtsp://h/live/a/track1"),
        ("rtsp://h/live/a/", "/track1", "rtsp://h/live/a/track1"),
        ("rtsp://h", "/track1", "rtsp://h/track1"),
        ("rtsp://h", "track1", "rtsp://h/track1"),
        ("rtsp://h/a", " track1?u=rtsp://x ", "rtsp://h/a/track1?u=rtsp://x"),
    ] {
        assert_eq!(resolve_control(base, control), url, "{base} and {control}");
    }
}

#[test]
fn the_fuzz_body_holds_for_good_texts_and_each_byte_changed() {
    let tracks = sent().into_iter().map(|format| Media::new(format, "t".to_owned())).collect();
    let text = Description::new("x", Range::Recorded { duration: 1500 }, tracks).write().into_bytes();
    fuzz(&text);
    for at in 0..text.len() {
        for byte in [b'=', b'\n'] {
            let mut changed = text.clone();
            changed[at] = byte;
            fuzz(&changed);
        }
        fuzz(&text[..at]);
    }
}
