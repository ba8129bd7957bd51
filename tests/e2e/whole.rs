//! Each kind of file, played whole over RTMP by each program that knows what is in it: every packet's bytes and times
//! against ffprobe's list of the file.

use crate::{
    Report, compare,
    kinds::{self, Audience, Kind},
    listing::{self, Probed},
    material::{self, Media},
    programs::{self, Player, Playing, Server},
};
use std::path::Path;
use weir::flv::TagRole;

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

/// Configuration once and first, then each frame.
fn holds(file: &Path, listed: &Probed) -> Result<(), String> {
    let tags = material::read_flv(file);
    let is_frame = |role| matches!(role, TagRole::Keyframe | TagRole::Frame);
    let start = tags.iter().position(|tag| is_frame(tag.classify().role)).unwrap_or(tags.len());
    let (mut headers, frames) = (tags[..start].to_vec(), &tags[start..]);
    headers.retain(|tag| tag.classify().role == TagRole::SequenceHeader);
    listing::check_headers(&headers, listed)?;
    listing::same(&listed.packets, &listing::packets_of(frames)?)
}

/// `exact` is what another player got, which has been compared.
fn as_vlc_does(exact: Option<&Path>, written: &Path) -> Result<usize, String> {
    let media = Media::of_file_without_parameter_sets;
    compare::lacks_only_the_end(&media(exact.ok_or("nothing to compare with")?), &media(written), VLC_LOSES)
}

/// Packets of AAC that VLC 3 keeps to itself at the end.
const VLC_LOSES: usize = 5;
