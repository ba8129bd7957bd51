//! Source against what a player got.

use crate::material::{Media, Packet, Track};

/// Every packet, in order, with its bytes and times, and nothing else.
pub(crate) fn identical(source: &Media, got: &Media) -> Result<(), String> {
    for ((name, source), (_, got)) in source.tracks().into_iter().zip(got.tracks()) {
        same_config(name, source, got)?;
        same_packets(name, &source.packets, &got.packets, 0)?;
    }
    Ok(())
}

/// The source from its start, as far as it goes; returns how many milliseconds of both kinds of media there are.
pub(crate) fn is_start(source: &Media, got: &Media) -> Result<i64, String> {
    let mut end = i64::MAX;
    for ((name, source), (_, got)) in source.tracks().into_iter().zip(got.tracks()) {
        same_config(name, source, got)?;
        let count = got.packets.len().min(source.packets.len());
        same_packets(name, &source.packets[..count], &got.packets, 0)?;
        end = end.min(got.packets.last().ok_or_else(|| format!("no {name}"))?.dts);
    }
    Ok(end)
}

/// The start of the source: what somebody gets who leaves early.
pub(crate) fn is_head(source: &Media, got: &Media) -> Result<(), String> {
    for ((name, source), (_, got)) in source.tracks().into_iter().zip(got.tracks()) {
        same_config(name, source, got)?;
        let head = source.packets.get(..got.packets.len());
        same_packets(name, head.ok_or("more packets than the source has")?, &got.packets, 0)?;
        if got.packets.is_empty() || got.packets.len() == source.packets.len() {
            return Err(format!("{name}: {} packets, which is no part of the source", got.packets.len()));
        }
    }
    Ok(())
}

/// The source from its start, without at most so many packets of each kind at its end; returns how many are missing.
pub(crate) fn lacks_only_the_end(source: &Media, got: &Media, most: usize) -> Result<usize, String> {
    let mut missing = 0;
    for ((name, source), (_, got)) in source.tracks().into_iter().zip(got.tracks()) {
        same_config(name, source, got)?;
        let count = got.packets.len().clamp(source.packets.len().saturating_sub(most), source.packets.len());
        same_packets(name, &source.packets[..count], &got.packets, 0)?;
        missing += source.packets.len() - count;
    }
    Ok(missing)
}

/// [`identical`], with times that may differ by a millisecond.
pub(crate) fn similar(source: &Media, got: &Media) -> Result<(), String> {
    identical(source, &rounded(source, got))
}

/// With the times of the source where those differ by a millisecond at most.
pub(crate) fn rounded(source: &Media, got: &Media) -> Media {
    let mut moved = got.clone();
    for (source, got) in [(&source.video, &mut moved.video), (&source.audio, &mut moved.audio)] {
        for (expected, packet) in source.packets.iter().zip(&mut got.packets) {
            if (packet.dts - expected.dts).abs() <= 1 && (packet.pts - expected.pts).abs() <= 1 {
                (packet.dts, packet.pts) = (expected.dts, expected.pts);
            }
        }
    }
    moved
}

/// The end of the source, from a keyframe that is not the first one: what somebody who joins late gets.
pub(crate) fn is_tail(source: &Media, got: &Media, gop: usize) -> Result<(), String> {
    for ((name, source), (_, got)) in source.tracks().into_iter().zip(got.tracks()) {
        same_config(name, source, got)?;
        let skipped = source.packets.len().checked_sub(got.packets.len());
        let skipped = skipped.ok_or_else(|| format!("{name}: more packets than the source has"))?;
        same_packets(name, &source.packets[skipped..], &got.packets, 0)?;
    }
    let skipped = source.video.packets.len() - got.video.packets.len();
    if skipped == 0 || skipped % gop != 0 {
        return Err(format!("video starts at frame {skipped}, which is not a later keyframe"));
    }
    let (Some(video), Some(audio)) = (got.video.packets.first(), got.audio.packets.first()) else {
        return Err("a stream is empty".into());
    };
    if (audio.dts - video.dts).abs() > 100 {
        return Err(format!("audio starts at {} ms, video at {} ms", audio.dts, video.dts));
    }
    Ok(())
}

/// The bytes of the end of the source, from a keyframe that is not the first one, without at most so many packets of each kind at
/// its very end: what somebody who joins late gets through a program with times of its own. Returns how many are missing.
pub(crate) fn holds_tail(source: &Media, got: &Media, gop: usize, most: usize) -> Result<usize, String> {
    let (starts, missing) = runs(source, got, most)?;
    let [video, audio] = starts;
    if video == 0 || video % gop != 0 || audio == 0 {
        return Err(format!("starts at frame {video}, and packet {audio} of audio"));
    }
    Ok(missing)
}

/// The bytes of the source from its first picture on, likewise.
pub(crate) fn holds_head(source: &Media, got: &Media, most: usize) -> Result<usize, String> {
    let ([video, _], missing) = runs(source, got, most)?;
    if video == 0 { Ok(missing) } else { Err(format!("starts at frame {video}")) }
}

/// Where in the source the bytes of each kind begin that are there without a gap, and how many packets are missing behind them.
fn runs(source: &Media, got: &Media, most: usize) -> Result<([usize; 2], usize), String> {
    let (mut starts, mut missing) = ([0; 2], 0);
    for (at, ((name, source), (_, got))) in source.tracks().into_iter().zip(got.tracks()).enumerate() {
        same_config(name, source, got)?;
        let hashes =
            |track: &Track| track.packets.iter().map(|packet| packet.hash.clone()).collect::<Vec<_>>();
        let (source, got) = (hashes(source), hashes(got));
        let first = got.first().ok_or_else(|| format!("no {name}"))?;
        let start = source.iter().position(|hash| hash == first);
        let start = start.ok_or_else(|| format!("{name}: the first packet is not of the source"))?;
        if !source[start..].starts_with(&got) {
            return Err(format!("{name}: {} packets, not those of the source", got.len()));
        }
        let lost = source.len() - start - got.len();
        if lost > most {
            return Err(format!("{name}: lacks the last {lost} packets"));
        }
        starts[at] = start;
        missing += lost;
    }
    Ok((starts, missing))
}

/// A part of the source from its start, then all of it again, moved by one offset for everything so that time goes
/// on: what a player gets when the publisher is lost and comes back. Returns the packets of the first run.
pub(crate) fn is_resumed(source: &Media, got: &Media) -> Result<usize, String> {
    let mut offsets = Vec::new();
    let mut first_run = 0;
    for ((name, source), (_, got)) in source.tracks().into_iter().zip(got.tracks()) {
        same_config(name, source, got)?;
        let seam = got.packets.len().checked_sub(source.packets.len());
        let seam =
            seam.ok_or_else(|| format!("{name}: {} packets, fewer than one run", got.packets.len()))?;
        let (before, after) = got.packets.split_at(seam);
        same_packets(name, source.packets.get(..seam).unwrap_or_default(), before, 0)?;
        let (Some(last), Some(next)) = (before.last(), after.first()) else {
            return Err(format!("{name}: nothing of the first run"));
        };
        let offset = next.dts - source.packets[0].dts;
        same_packets(name, &source.packets, after, offset)?;
        if !(1..=MAX_SEAM).contains(&(next.dts - last.dts)) {
            return Err(format!("{name}: time goes from {} to {} ms", last.dts, next.dts));
        }
        offsets.push(offset);
        first_run += seam;
    }
    if offsets[0] != offsets[1] {
        return Err(format!("video moved by {} ms, audio by {} ms", offsets[0], offsets[1]));
    }
    Ok(first_run)
}

fn same_config(name: &str, source: &Track, got: &Track) -> Result<(), String> {
    let is_same = source.config == got.config;
    if is_same { Ok(()) } else { Err(format!("{name}: another configuration record")) }
}

/// `got` is `source` moved by `offset` ms.
fn same_packets(name: &str, source: &[Packet], got: &[Packet], offset: i64) -> Result<(), String> {
    for (index, (expected, packet)) in source.iter().zip(got).enumerate() {
        let moved =
            Packet { dts: expected.dts + offset, pts: expected.pts + offset, hash: expected.hash.clone() };
        if *packet != moved {
            return Err(format!("{name} packet {index}: expected {moved:?}, got {packet:?}"));
        }
    }
    if source.len() != got.len() {
        return Err(format!("{name}: {} packets instead of {}", got.len(), source.len()));
    }
    Ok(())
}

/// Most milliseconds of media time from the last packet before a publisher was lost to the first one after.
const MAX_SEAM: i64 = 3000;
