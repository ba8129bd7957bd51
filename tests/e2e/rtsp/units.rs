//! Access units with their times, of files, of what ffmpeg lists and of what GStreamer says; and how they are compared.

use super::Program;
use super::{GOP, ffmpeg};
use std::{fs, path::Path};

/// Makes ffmpeg list access units without parameter sets, messages and delimiters, as byte streams.
pub(super) const FRAMEHASH: [&str; 10] = [
    "-map",
    "0:v",
    "-map",
    "0:a",
    "-c",
    "copy",
    "-bsf:v",
    "filter_units=remove_types=6-9",
    "-f",
    "framehash",
];

/// Ticks a second of the RTP clocks of the source: of video, of audio.
pub(super) const CLOCKS: [i64; 2] = [90_000, 44_100];

/// An access unit of video, or a frame of audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// When it is shown, in ticks of [`CLOCKS`]; ffmpeg does not know it of the first one that it receives.
    pub(super) at: Option<i64>,
    pub(super) hash: String,
}

/// Video and audio, in the order of decoding.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    pub(super) tracks: [Vec<Unit>; 2],
}

const NAMES: [&str; 2] = ["video", "audio"];

impl Units {
    /// The source: audio has a frame every 1024 samples, which milliseconds do not tell.
    pub(super) fn of_source(path: &Path) -> Units {
        let mut units = Units::of_file(path);
        for (index, unit) in units.tracks[1].iter_mut().enumerate() {
            unit.at = Some(1024 * index as i64);
        }
        units
    }

    /// A file with length-prefixed NAL units.
    pub(super) fn of_file(path: &Path) -> Units {
        let path = path.to_str().expect("the target directory has a readable name");
        let filter = "h264_mp4toannexb,filter_units=remove_types=6-9";
        let arguments = FRAMEHASH.map(|word| if word.starts_with("filter_units") { filter } else { word });
        Units::parse(&ffmpeg(&[&["-copyts", "-i", path], &arguments[..], &["-"]].concat()))
    }

    /// What ffmpeg has listed.
    pub(super) fn of_framehash(path: &Path) -> Units {
        Units::parse(&fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Lines are `#tb 0: 1/90000`, `#media_type 0: video` and `0, dts, pts, duration, size, hash`.
    fn parse(text: &str) -> Units {
        let mut units = Units::default();
        let is_video = |index: &str| text.contains(&format!("#media_type {index}: video"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let [index, _, pts, _, _, hash, ..] = *fields.as_slice() else { continue };
            let track = usize::from(!is_video(index));
            let pts: i64 = pts.parse().unwrap_or_else(|_| panic!("no time: {line}"));
            let unit = text.lines().find_map(|line| line.strip_prefix(&format!("#tb {index}: 1/")));
            let unit: i64 = unit.and_then(|unit| unit.trim().parse().ok()).expect("a unit for every stream");
            let at = (pts != i64::MIN).then(|| (pts * CLOCKS[track] + unit / 2).div_euclid(unit));
            units.tracks[track].push(Unit { at, hash: hash.to_string() });
        }
        units
    }

    /// What GStreamer wrote to `output`.h264 and `output`.aac, and the packets that it made that of to `output`.video and
    /// `output`.audio: the times are theirs. Those of its own buffers it moves when it puts tracks together by the second report.
    pub(super) fn of_gstreamer(output: &Path) -> Units {
        let hashes = |extension: &str, format: &str, filter: [&str; 2]| {
            let file = output.with_extension(extension);
            let file = file.to_str().expect("the target directory has a readable name");
            let listed = ffmpeg(
                &[&["-f", format, "-i", file, "-c", "copy"], &filter[..], &["-f", "framehash", "-"]].concat(),
            );
            let lines = listed.lines().filter(|line| !line.starts_with('#'));
            let hash = |line: &str| line.split(',').nth(5).unwrap_or_default().trim().to_string();
            lines.map(hash).collect::<Vec<_>>()
        };
        let video = hashes("h264", "h264", ["-bsf:v", "filter_units=remove_types=6-9"]);
        let audio = hashes("aac", "aac", ["-bsf:a", "aac_adtstoasc"]);
        let tracks = [(video, "video"), (audio, "audio")];
        let mut units = Units::default();
        for (track, (hashes, extension)) in tracks.into_iter().enumerate() {
            let buffers = fs::read(output.with_extension(extension)).expect("GStreamer has written it");
            let times = packet_times(&buffers);
            // A buffer more or less shows in a difference of lengths, which no source has.
            let rest = times.len().saturating_sub(hashes.len());
            let times = times.into_iter().chain(std::iter::repeat(None));
            let found = hashes.into_iter().zip(times).map(|(hash, at)| Unit { at, hash });
            units.tracks[track] = found.collect();
            let none = Unit { at: None, hash: "a buffer without a unit".into() };
            units.tracks[track].extend(std::iter::repeat_n(none, rest));
        }
        units
    }

    pub(super) fn count(&self) -> usize {
        self.tracks[0].len() + self.tracks[1].len()
    }
}

/// The times of all units of a track, in ticks, from its packets as `gdppay` writes them: 62 bytes before each, with a type
/// (1: a packet; others are events) and the length of what follows.
fn packet_times(mut bytes: &[u8]) -> Vec<Option<i64>> {
    let (mut times, mut last): (Vec<Option<i64>>, Option<(u32, i64)>) = (Vec::new(), None);
    while let Some((header, rest)) = bytes.split_at_checked(62) {
        let len = u32::from_be_bytes(header[6..10].try_into().unwrap()) as usize;
        let packet = rest.get(..len).unwrap_or_default();
        if let ([0, 1], Some(stamp)) = (&header[4..6], packet.get(4..8)) {
            let stamp = u32::from_be_bytes(stamp.try_into().unwrap());
            // Unwrapped from the first on.
            let at = last.map_or(0, |(before, at)| at + i64::from(stamp.wrapping_sub(before) as i32));
            if last.is_none_or(|(before, _)| before != stamp) {
                times.push(Some(at));
            }
            last = Some((stamp, at));
        }
        bytes = rest.get(len..).unwrap_or_default();
    }
    times
}

/// What a program is to have of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// Its first picture; otherwise any keyframe comes first. Sound may begin so many frames later than that of the source.
    pub(super) first: Option<usize>,
    /// Frames of sound that may be missing at the end.
    pub(super) last: usize,
    /// Milliseconds between pictures and sound, beside those of the source.
    pub(super) skew: i64,
    /// Times went through milliseconds on their way, and may be off by one.
    pub(super) is_cut: bool,
    /// Milliseconds by which a track may be moved once: when the first report of a sender says how its tracks belong together.
    pub(super) step: i64,
}

impl Expected {
    /// Everything, by that program. Times of GStreamer's packets have a beginning of their own for each track, which reports put together.
    pub(super) fn by(program: Program) -> Expected {
        let skew = if program == Program::GStreamer { i64::MAX } else { 1 };
        Expected { skew, ..Expected::ALL }
    }

    /// Everything. One millisecond is what FLV cuts times to.
    pub(super) const ALL: Expected = Expected { first: Some(0), last: 0, skew: 1, is_cut: false, step: 0 };
}

/// Units in order without a gap to the end, times within a tick beside the first. Says what there was.
pub(super) fn same(source: &Units, got: &Units, wanted: Expected) -> Result<String, String> {
    let (mut skipped, mut missing, mut moved) = ([0; 2], 0, [0; 2]);
    let mut steps = usize::from(wanted.step > 0);
    for (track, name) in NAMES.into_iter().enumerate() {
        let (source, got) = (&source.tracks[track], &got.tracks[track]);
        let start = got.first().ok_or_else(|| format!("no {name}"))?;
        let start = source.iter().position(|unit| unit.hash == start.hash);
        let start =
            start.ok_or_else(|| format!("{name}: the first of {} units is not of the source", got.len()))?;
        let mut offset = None;
        for (index, unit) in got.iter().enumerate() {
            let expected = source.get(start + index);
            let expected = expected.ok_or_else(|| format!("{name}: {} units, too many", got.len()))?;
            if expected.hash != unit.hash {
                return Err(format!("{name} unit {index} of {}: other bytes", got.len()));
            }
            let (Some(expected), Some(at)) = (expected.at, unit.at) else { continue };
            let place = offset.get_or_insert(at - expected);
            let off = (at - expected - *place).abs();
            let allowed = if wanted.is_cut { CLOCKS[track] / 1000 + 1 } else { 1 };
            if off > allowed && steps > 0 && off <= wanted.step * CLOCKS[track] / 1000 {
                (steps, *place) = (steps - 1, at - expected);
            } else if off > allowed {
                return Err(format!(
                    "{name} unit {index} of {}: at {at}, not {}",
                    got.len(),
                    expected + *place
                ));
            }
        }
        moved[track] = offset.ok_or_else(|| format!("{name}: no times"))? * 1000 / CLOCKS[track];
        skipped[track] = start;
        let lost = source.len() - start - got.len();
        if lost > wanted.last * track {
            return Err(format!("{name}: the last {lost} units are missing"));
        }
        missing += lost;
    }
    let is_start = match wanted.first {
        Some(sounds) => skipped[0] == 0 && skipped[1] <= sounds,
        None => skipped[0] % GOP == 0,
    };
    if !is_start {
        return Err(format!("begins with picture {} and sound {}", skipped[0], skipped[1]));
    }
    if (moved[0] - moved[1]).abs() > wanted.skew {
        return Err(format!("pictures are moved by {} ms, sound by {} ms", moved[0], moved[1]));
    }
    let [video, audio] = skipped;
    let end = if missing > 0 { format!(", but the last {missing} of sound") } else { String::new() };
    Ok(format!("{} units, identical, from picture {video} and sound {audio} on{end}", got.count()))
}

/// Units of the source in its order, with gaps: what loss leaves. Those that are of no source are the receiver's
/// own work, and `may_damage` says whether it is known to hand them on. Of each track, how many percent are there whole.
pub(super) fn remains(source: &Units, got: &Units, may_damage: bool) -> Result<[usize; 2], String> {
    let mut shares = [0; 2];
    for (track, name) in NAMES.into_iter().enumerate() {
        let (source, mut next, mut whole) = (&source.tracks[track], 0, 0);
        for (index, unit) in got.tracks[track].iter().enumerate() {
            match source[next..].iter().position(|expected| expected.hash == unit.hash) {
                Some(ahead) => {
                    next += ahead + 1;
                    whole += 1;
                }
                None if may_damage => {}
                None => return Err(format!("{name} unit {index} is damaged, doubled or out of order")),
            }
        }
        shares[track] = whole * 100 / source.len();
    }
    Ok(shares)
}
