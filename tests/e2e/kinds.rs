//! Files of each kind that can be played: containers, codecs, and where their index is; what ffmpeg and GStreamer write.
//!
//! Each is made once, 4 s long, and no two differ in their extension alone. No installed program writes enhanced FLV:
//! those files are our reading of MP4 files, and are to give what ffprobe lists of these.

use crate::{material, process, programs::scratch};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use weir::media::{MediaReader, mp4::Mp4Reader};

/// A file and what to compare with it.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) file: PathBuf,
    /// What ffprobe lists: the file itself, or one with the same packets that ffprobe can tell about.
    pub(crate) listed: PathBuf,
    /// What ffprobe is told besides.
    pub(crate) probing: &'static str,
    pub(crate) audience: Audience,
}

/// Which programs play it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// H.264, AAC, MP3.
    All,
    /// What VLC plays otherwise or does not know.
    NotVlc,
    /// What only enhanced tags carry: those that pass on what they do not know.
    Enhanced,
}

impl Kind {
    /// Below [`folder`].
    pub(crate) fn file_name(&self) -> &str {
        self.file.file_name().and_then(|name| name.to_str()).expect("a readable name")
    }

    /// Whether it is of the MP4 family.
    pub(crate) fn is_mp4(&self) -> bool {
        [".mp4", ".mov", ".f4v"].iter().any(|extension| self.file_name().ends_with(extension))
    }
}

/// Where all files are; nothing else is there.
pub(crate) fn folder() -> PathBuf {
    scratch().join("kinds")
}

/// All of them; the first call makes them.
pub(crate) fn all() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let dir = folder();
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        make(&dir)
    })
}

/// A file to be made: name, ffmpeg's arguments, file.
type Case = (&'static str, &'static str, &'static str);

const PICTURE: &str = "-f lavfi -i testsrc2=s=192x108:r=25:d=4";
const SOUND: &str = "-f lavfi -i sine=440:r=44100:d=4";

/// What the copies are made of: pictures shown in another order than decoded, and so an edit list.
const BASE: Case = ("moov last", "-c:v libx264 -preset veryfast -g 25 -bf 3 -c:a aac", "base.mp4");

const COPIES: [Case; 13] = [
    ("moov first", "-movflags +faststart", "faststart.mp4"),
    ("fragmented", "-movflags frag_keyframe+empty_moov", "fragmented.mp4"),
    ("first fragment in moov", "-movflags frag_keyframe", "hybrid.mp4"),
    ("default base moof", "-movflags frag_keyframe+empty_moov+default_base_moof", "base-moof.mp4"),
    ("old base rule", "-movflags frag_keyframe+empty_moov+omit_tfhd_offset", "omitted.mp4"),
    ("a fragment a track", "-movflags frag_keyframe+empty_moov+separate_moof", "separate.mp4"),
    ("sidx each", "-movflags dash+frag_keyframe", "dash.mp4"),
    ("sidx for all", "-movflags dash+frag_keyframe+global_sidx", "sidx.mp4"),
    ("QuickTime", "", "quick.mov"),
    ("negative offsets", "-movflags negative_cts_offsets", "negative.mp4"),
    ("F4V", "-f f4v", "flash.f4v"),
    ("no edit list", "-use_editlist 0 -avoid_negative_ts make_zero", "plain.mp4"),
    ("FLV", "", "classic.flv"),
];

const ENCODED: [(Case, Audience); 15] = [
    (
        (
            "HEVC, AAC",
            "-c:v libx265 -preset veryfast -x265-params log-level=error:keyint=24:min-keyint=1:b-adapt=2:bframes=4 -tag:v hvc1 -c:a aac",
            "hevc.mp4",
        ),
        Audience::Enhanced,
    ),
    (
        (
            "VP9, Opus",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libopus -ar 48000",
            "vp9.mp4",
        ),
        Audience::Enhanced,
    ),
    (
        (
            "VP9, fragmented",
            "-c:v libvpx-vp9 -deadline realtime -force_key_frames expr:gte(t,n_forced) -an -movflags frag_keyframe+empty_moov",
            "vp9-fragments.mp4",
        ),
        Audience::Enhanced,
    ),
    (("AV1, Opus", "-c:v libsvtav1 -preset 12 -g 25 -c:a libopus -ar 48000", "av1.mp4"), Audience::Enhanced),
    (("H.264, MP3 in MP4", "-c:v libx264 -preset ultrafast -g 25 -c:a libmp3lame", "mp3.mp4"), Audience::All),
    (("MP3 in QuickTime", "-vn -c:a libmp3lame", "mp3-alone.mov"), Audience::All),
    (("FLAC in MP4", "-vn -c:a flac -strict -2", "flac.mp4"), Audience::Enhanced),
    (("AC-3 in MP4", "-vn -c:a ac3", "ac3.mp4"), Audience::Enhanced),
    (("G.711 in QuickTime", "-vn -ar 8000 -ac 1 -c:a pcm_alaw", "alaw.mov"), Audience::NotVlc),
    (("H.263, MP3 in FLV", "-c:v flv -g 25 -c:a libmp3lame", "sorenson.flv"), Audience::NotVlc),
    (("Screen, Nellymoser in FLV", "-c:v flashsv -c:a nellymoser -ar 22050", "screen.flv"), Audience::NotVlc),
    (("AAC alone in FLV", "-vn -c:a aac", "sound.flv"), Audience::All),
    (("H.264 alone in FLV", "-c:v libx264 -g 25 -bf 2 -an", "silent.flv"), Audience::All),
    (("MP3", "-c:a libmp3lame", "song.mp3"), Audience::All),
    (("ADTS", "-c:a aac", "noise.aac"), Audience::All),
];

/// Elements that write MP4, and files.
const MUXERS: [(&str, &str); 3] = [
    ("mp4mux", "mp4mux.mp4"),
    ("qtmux", "qtmux.mp4"),
    ("mp4mux fragment-duration=1000", "mp4mux-fragments.mp4"),
];

/// Enhanced FLV, and MP4 files with what is in it.
const REWRITTEN: [(&str, &str, &str); 3] = [
    ("HEVC, AAC in FLV", "hevc.mp4", "enhanced-hevc.flv"),
    ("VP9, Opus in FLV", "vp9.mp4", "enhanced-vp9.flv"),
    ("AV1, Opus in FLV", "av1.mp4", "enhanced-av1.flv"),
];

fn make(dir: &Path) -> Vec<Kind> {
    let kind = |name, file: &str, audience| {
        let file = dir.join(file);
        Kind { name, listed: file.clone(), file, probing: "", audience }
    };
    let (name, options, base) = BASE;
    ffmpeg(dir, &format!("{PICTURE} {SOUND} {options}"), base);
    let from = |file: &str| format!("-i {} -c copy", dir.join(file).display());
    let mut kinds = vec![kind(name, base, Audience::All)];
    for (name, options, file) in COPIES {
        ffmpeg(dir, &format!("{} {options}", from(base)), file);
        kinds.push(kind(name, file, Audience::All));
    }
    ffmpeg(dir, &format!("{} -movflags frag_every_frame+empty_moov", from(base)), "frames.mp4");
    // Two frames of sound at a time, which VLC spreads.
    kinds.push(kind("short fragments", "frames.mp4", Audience::NotVlc));
    ffmpeg(dir, &format!("-ss 1.5 {}", from(base)), "cut.mp4");
    // By default ffprobe leaves out packets before the edit; all of them are there to be decoded.
    let cut = kind("edit list of a cut", "cut.mp4", Audience::All);
    kinds.push(Kind { probing: "-advanced_editlist 0", ..cut });
    for ((name, options, file), audience) in ENCODED {
        ffmpeg(dir, &format!("{PICTURE} {SOUND} {options}"), file);
        let mut kind = kind(name, file, audience);
        if file.ends_with("aac") {
            // Without the headers of ADTS, which are no part of a packet.
            kind.listed = dir.join("../bare.m4a");
            ffmpeg(dir, &from(file), "../bare.m4a");
        }
        kinds.push(kind);
    }
    for (muxer, file) in MUXERS {
        let at = |file: &str| dir.join(file).display().to_string();
        let pipeline = format!(
            "-q filesrc location={} ! qtdemux name=d {muxer} name=m ! filesink location={} \
             d.video_0 ! queue ! h264parse ! m. d.audio_0 ! queue ! aacparse ! m.",
            at(base),
            at(file)
        );
        process::output("gst-launch-1.0", &pipeline.split_whitespace().collect::<Vec<_>>());
        kinds.push(kind(muxer, file, Audience::All));
    }
    for (name, original, file) in REWRITTEN {
        let original = dir.join(original);
        let bytes = fs::read(&original).unwrap_or_else(|error| panic!("{}: {error}", original.display()));
        let mut reader = Mp4Reader::open(&*bytes).expect("ffmpeg's file is sound");
        let mut tags = reader.headers();
        while let Some(tag) = reader.next().expect("ffmpeg's file is sound") {
            tags.push(tag);
        }
        material::write_flv(&dir.join(file), &tags);
        kinds.push(Kind { listed: original, ..kind(name, file, Audience::Enhanced) });
    }
    kinds
}

/// Has `output` made in `dir`.
fn ffmpeg(dir: &Path, options: &str, output: &str) {
    let output = dir.join(output).display().to_string();
    let arguments = ["-nostdin", "-v", "error", "-y"].into_iter();
    let arguments: Vec<_> = arguments.chain(options.split_whitespace()).chain([&*output]).collect();
    process::output("ffmpeg", &arguments);
}
