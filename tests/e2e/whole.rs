//! Each kind of file, played over RTMP by each program that knows what is in it, whole and in pieces: every packet's bytes and
//! times against ffprobe's list of the file.

use crate::{
    Report, compare,
    kinds::{self, Audience, Kind},
    listing::{self, Packet, Probed},
    material::{self, Media},
    programs::{self, Player, Playing, RTMPDUMP_ENDS, Server},
};
use std::path::Path;
use weir::flv::{Tag, TagRole};

#[test]
fn every_program_plays_every_kind_of_file_that_it_knows_to_the_last_packet() {
    let kinds = kinds::all();
    let server = Server::start("whole", &["--media", "../kinds"]);
    let mut report = Report::new(&format!("each kind of file ({})", programs::versions()));
    for group in kinds.chunks(AT_ONCE) {
        let playing: Vec<Vec<_>> = group
            .iter()
            .map(|kind| {
                players(kind).iter().map(|player| server.play_file(*player, &name(kind, *player))).collect()
            })
            .collect();
        for (kind, playing) in group.iter().zip(playing) {
            let listed = listing::probe(&kind.listed, kind.probing);
            report.line(kind.name, judge(&listed, playing));
        }
    }
    report.end();
}

/// Files whose players run at the same time: all of them at once would keep each other waiting.
const AT_ONCE: usize = 6;

fn players(kind: &Kind) -> &'static [Player] {
    const PLAYERS: [Player; 5] =
        [Player::Pull, Player::Rtmpdump, Player::Rtmp2src, Player::Ffmpeg, Player::Vlc];
    match kind.audience {
        Audience::All => &PLAYERS,
        Audience::NotVlc => &PLAYERS[..4],
        Audience::Enhanced => &PLAYERS[..3],
    }
}

/// Waits for all players of a file; says what each got, or what was wrong.
fn judge(listed: &Probed, playing: Vec<Playing>) -> Result<String, String> {
    let (mut told, mut wrong) = (format!("{} packets, identical:", listed.packets.len()), Vec::new());
    let mut exact = None;
    for playing in playing {
        let player = playing.player;
        let missing = match player {
            Player::Ffmpeg => compare::identical(&listed.media(), &playing.finish()).map(|()| 0),
            Player::Vlc => as_vlc_does(exact.as_deref(), &playing.written()),
            _ => {
                let file = playing.written();
                let result = holds(&file, listed).map(|()| 0);
                exact = Some(file);
                result
            }
        };
        match missing {
            Ok(0) => told.push_str(&format!(" {}", player.name())),
            Ok(count) => told.push_str(&format!(" {} (but the last {count})", player.name())),
            Err(error) => wrong.push(format!("{}: {error}", player.name())),
        }
    }
    if wrong.is_empty() { Ok(told) } else { Err(wrong.join("; ")) }
}

/// As its user would type it. By the extension VLC takes FLV for what the file was.
fn name(kind: &Kind, player: Player) -> String {
    let file = kind.file_name();
    match file.rsplit_once('.') {
        Some((stem, "mp3")) if player == Player::Vlc => format!("mp3:{stem}"),
        Some((stem, "aac")) if player == Player::Vlc => stem.to_string(),
        _ => file.to_string(),
    }
}

/// rtmpdump finds no keyframe in enhanced tags, and so nothing to go on from. G.711 has no frames: it can begin anywhere.
#[test]
fn rtmpdump_gets_pieces_of_every_kind_of_file_and_goes_on_where_it_broke_off() {
    let server = Server::start("pieces-of-all", &["--media", "../kinds"]);
    let mut report = Report::new("each kind of file: rtmpdump --start, --stop, --resume");
    let has_places = |kind: &&Kind| kind.audience != Audience::Enhanced && kind.file_name() != "alaw.mov";
    for kind in kinds::all().iter().filter(has_places) {
        let (name, url) = (kind.file_name(), server.file_url(kind.file_name()));
        let listed = listing::probe(&kind.listed, kind.probing);
        let dump = |more: &[&str], output: &str| {
            let arguments = [&["-q", "-r", &url, "-o", output], more].concat();
            server.run(&format!("{name} {}", more.join(" ")), "rtmpdump", arguments).end_with(&RTMPDUMP_ENDS);
            server.dir.join(output)
        };
        let (tail, cut) = (format!("{name}-tail.flv"), format!("{name}-cut.flv"));
        let tail = is_tail(&listed, &dump(&["--start", "1.2"], &tail));
        let result = tail.and_then(|from| {
            let head = frames_of(&dump(&["--stop", "2"], &cut), &listed)?.len();
            if !(1..listed.packets.len()).contains(&head) {
                return Err(format!("--stop gives {head} packets"));
            }
            holds(&dump(&["--resume"], &cut), &listed).map_err(|error| format!("--resume: {error}"))?;
            Ok(format!("from {from} ms; {head} packets, then all, identical"))
        });
        report.line(kind.name, result);
    }
    report.end();
}

/// A later part of the source up to its end, on a clock of its own; returns when it begins in the source.
fn is_tail(listed: &Probed, file: &Path) -> Result<i64, String> {
    let (source, mut got) =
        (&listed.packets, frames_of(file, listed).map_err(|error| format!("--start: {error}"))?);
    let skipped = source.len().checked_sub(got.len()).filter(|skipped| *skipped > 0);
    let (_, expected) = source.split_at(skipped.ok_or(format!("--start gives {} packets", got.len()))?);
    let (Some(first), Some(first_got)) = (expected.first(), got.first()) else {
        return Err("--start gives nothing".into());
    };
    let (start, offset) = (first.dts, first.dts - first_got.dts);
    for packet in &mut got {
        (packet.dts, packet.pts) = (packet.dts + offset, packet.pts + offset);
    }
    listing::same(expected, &got).map_err(|error| format!("--start: {error}"))?;
    // Keyframes are a second apart.
    if (200..=1200).contains(&start) { Ok(start) } else { Err(format!("--start begins at {start} ms")) }
}

/// Configuration once and first, then each frame.
fn holds(file: &Path, listed: &Probed) -> Result<(), String> {
    listing::same(&listed.packets, &frames_of(file, listed)?)
}

/// The frames of a file that has the right configuration before the first of them, and not again.
fn frames_of(file: &Path, listed: &Probed) -> Result<Vec<Packet>, String> {
    let tags = material::read_flv(file);
    let start = tags.iter().position(|tag| tag.classify().role.is_frame()).unwrap_or(tags.len());
    let (before, frames) = tags.split_at(start);
    let is_header = |tag: &&Tag| tag.classify().role == TagRole::SequenceHeader;
    let headers: Vec<_> = before.iter().filter(is_header).cloned().collect();
    listing::check_headers(&headers, listed)?;
    listing::packets_of(frames)
}

/// `exact` is what another player got, which has been compared.
fn as_vlc_does(exact: Option<&Path>, written: &Path) -> Result<usize, String> {
    let media = Media::of_file_without_parameter_sets;
    compare::lacks_only_the_end(&media(exact.ok_or("nothing to compare with")?), &media(written), VLC_LOSES)
}

/// Packets of AAC that VLC 3 keeps to itself at the end.
pub(crate) const VLC_LOSES: usize = 5;
