//! Timestamps beyond 24 and 32 bits, from a publisher to a real ffprobe.
//!
//! A stream need not last for hours to pass 4 h 40 min (16 777 215 ms, where extended timestamps begin) or 49 days
//! (2^32 ms, where timestamps start again): it begins a few seconds before. Its media is the demo clip, so that
//! ffprobe, which demuxes as ffmpeg does, can make packets of it; every packet's size and time is compared.

use crate::{
    children::Ending,
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
};
use std::{
    fs::{self, File},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use weir::{
    base::Timestamp,
    flv::{Item, Reader, ReaderLimits, Tag, TagKind, TagRole},
    server::client::{ClientOptions, Publisher},
};

const CLIP: &[u8] = include_bytes!("../../src/server/demo.flv");

/// Where timestamps change their form.
const BORDERS: [(&str, u64); 2] = [("16 777 215 ms", 0xff_ffff), ("2^32 ms", 1 << 32)];
/// Milliseconds of stream before the border, of 8 s in all.
const BEFORE: u64 = 4000;
/// Bytes in front of a frame in its tag: what ffprobe does not count.
const VIDEO_HEADER: usize = 5;
const AUDIO_HEADER: usize = 2;

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    if Command::new("ffprobe").arg("-version").stdout(Stdio::null()).status().is_err() {
        return Err(Problem::CannotRun("no ffprobe: tools/setup.sh stress installs it".into()));
    }
    let weir = Weir::start(stage, &[])?;
    for (name, border) in BORDERS {
        stage.step(name);
        let start = (border - BEFORE) as u32;
        for is_late in [false, true] {
            let who = if is_late { "late player" } else { "player" };
            let (sent, got) = pass(stage, &weir, start, is_late)?;
            compare(report, &format!("{who}, past {name}"), &sent, &got, border as u32);
        }
    }
    Ok(())
}

/// A media packet: is it video, its time, its size.
type Packet = (bool, u32, usize);

/// Publishes the clip from `start` on; what was sent and what ffprobe got.
fn pass(
    stage: &Stage,
    weir: &Weir,
    start: u32,
    is_late: bool,
) -> Result<(Vec<Packet>, Vec<Packet>), Problem> {
    let tags = clip()?;
    let key = format!("long-{start}-{is_late}");
    let out = stage.folder().join(&key);
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-loglevel", "error", "-probesize", "32768", "-show_packets"]);
    ffprobe.args(["-show_entries", "packet=codec_type,dts,size", "-of", "csv=p=0"]).arg(weir.url_text(&key));
    ffprobe.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(Stdio::null());
    let mut play = move || ffprobe.spawn().map(Ending).map_err(|error| Problem::broken("ffprobe", error));
    let plays = weir.logged("plays live/long");
    let mut player = None;
    let mut publisher = Publisher::open(&weir.url(&key)?, &ClientOptions::default())?;
    if !is_late {
        player = Some(play()?);
        stage.expect("ffprobe plays", JOIN, || weir.logged("plays live/long") > plays)?;
    }
    let began = Instant::now();
    let mut sent = Vec::new();
    for mut tag in tags {
        let due = began + Duration::from_millis(tag.timestamp.0.into());
        publisher.serve(due)?;
        if stage.is_stopped() {
            return Err(Problem::Broken("interrupted".into()));
        }
        // A late one joins a second before the border, in the middle of a group of pictures.
        if is_late && player.is_none() && u64::from(tag.timestamp.0) + 1000 >= BEFORE {
            player = Some(play()?);
        }
        tag.timestamp = tag.timestamp.wrapping_add(start);
        publisher.send_tag(&tag)?;
        if tag.classify().role == TagRole::Keyframe || tag.classify().role == TagRole::Frame {
            let header = if tag.kind == TagKind::Video { VIDEO_HEADER } else { AUDIO_HEADER };
            sent.push((tag.kind == TagKind::Video, tag.timestamp.0, tag.body.len() - header));
        }
    }
    publisher.finish()?;
    let mut player = player.ok_or_else(|| Problem::Broken("the clip is too short".into()))?;
    stage.expect("ffprobe ends with the stream", JOIN, || !matches!(player.0.try_wait(), Ok(None)))?;
    let text = fs::read_to_string(&out)?;
    // Metadata may be a packet of yet another kind.
    let is_media = |line: &&str| line.starts_with("video") || line.starts_with("audio");
    let got = text.lines().filter(is_media).map(parse).collect::<Option<Vec<_>>>();
    Ok((sent, got.ok_or_else(|| Problem::broken("ffprobe says", text.trim()))?))
}

/// `video,12345,678`; ffprobe gives times before a border that it has seen as negative ones.
fn parse(line: &str) -> Option<Packet> {
    let mut fields = line.trim_end_matches(',').split(',');
    let is_video = fields.next()? == "video";
    let dts: i64 = fields.next()?.parse().ok()?;
    Some((is_video, dts as u32, fields.next()?.parse().ok()?))
}

fn clip() -> Result<Vec<Tag>, Problem> {
    let mut reader = Reader::new(ReaderLimits::default());
    let mut input = CLIP;
    let mut tags = Vec::new();
    while let Some(item) = reader.read(&mut input).map_err(|error| Problem::broken("the demo clip", error))? {
        if let Item::Tag { tag, .. } = item {
            tags.push(tag);
        }
    }
    Ok(tags)
}

/// Of each medium: from the first packet that ffprobe got, all that were sent, with their times.
fn compare(report: &mut Report, what: &str, sent: &[Packet], got: &[Packet], border: u32) {
    for (medium, is_video) in [("video", true), ("audio", false)] {
        let of = |packets: &[Packet]| -> Vec<Packet> {
            packets.iter().filter(|packet| packet.0 == is_video).copied().collect()
        };
        let (sent, got) = (of(sent), of(got));
        let from = got.first().and_then(|first| sent.iter().position(|packet| packet == first));
        let expected = from.map_or(&sent[..], |from| &sent[from..]);
        let differing = expected.iter().zip(&got).filter(|(sent, got)| sent != got).count();
        let differing = differing + expected.len().abs_diff(got.len());
        let crossed =
            got.windows(2).any(|pair| is_before(pair[0].1, border) && !is_before(pair[1].1, border));
        let step = got.windows(2).map(|pair| pair[1].1.wrapping_sub(pair[0].1) as i32);
        let (least, most) = (step.clone().min().unwrap_or(0), step.max().unwrap_or(0));
        let seen = format!(
            "{} packets, {differing} differ, steps {least} to {most} ms{}",
            got.len(),
            if crossed { "" } else { ", border not passed" }
        );
        report.check(format!("{what}: {medium}"), differing == 0 && crossed && least >= 0, seen);
    }
}

fn is_before(time: u32, border: u32) -> bool {
    Timestamp(border).is_after(Timestamp(time))
}

/// For ffprobe to begin and to end.
const JOIN: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(sent: &[Packet], got: &[Packet]) -> bool {
        let mut report = Report::default();
        compare(&mut report, "", sent, got, 0);
        report.verdict(Ok(())) == crate::report::Verdict::Passed
    }

    #[test]
    fn a_packet_that_is_missing_late_or_short_is_noticed() {
        let stream =
            |is_video| (0..10_u32).map(move |n| (is_video, (n * 40).wrapping_sub(200), 100 + n as usize));
        let sent: Vec<Packet> = stream(true).chain(stream(false)).collect();
        assert!(is_good(&sent, &sent));
        assert!(is_good(&sent, &sent[2..]), "a late player");
        for (name, change) in [
            ("missing", (|packets| packets.retain(|packet| packet.2 != 105)) as fn(&mut Vec<Packet>)),
            ("late", |packets| packets[15].1 += 1),
            ("short", |packets| packets[5].2 -= 1),
            ("cut", |packets| packets.truncate(12)),
        ] {
            let mut got = sent.clone();
            change(&mut got);
            assert!(!is_good(&sent, &got), "{name}");
        }
    }

    #[test]
    fn times_before_the_border_may_be_negative() {
        assert_eq!(parse("video,-40,678"), Some((true, u32::MAX - 39, 678)));
        assert_eq!(parse("audio,4294967336,9,"), Some((false, 40, 9)));
        assert_eq!(parse("audio,N/A,9"), None);
    }
}
