//! Classification of tag bodies: what a tag is for, in which codec, for which tracks.
//!
//! In: kind and body of a tag. Out: [`TagClass`]. Covers the classic audio and video tag headers (FLV
//! format 10.1, E.4.2 and E.4.3), the enhanced ones (Enhanced RTMP v1 and v2: FourCC, ModEx, multitrack) and the de-facto
//! codec numbers. Not here: configuration records and frames themselves, which nobody needs in order to relay.
//! Total: any bytes get an answer, without allocation, in time linear in the ModEx blocks.
//! Field notes: OBS and ffmpeg send track 0 in plain tags and the others as OneTrack; a library writes
//! CodedFramesX for AV1, which the text does not define; v1 put the byte of a command frame behind the FourCC,
//! v2 before it, and neither matters here.

use super::{TagKind, codec::Codec, data, metadata};
use crate::base::wire::Cursor;
use core::{iter::FusedIterator, ops::Range};

/// What a tag is for: decides what is cached for late joiners and where decoding can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagRole {
    /// Video or audio: configuration of the decoder, for each of [`TagClass::tracks`]. Replaces the last one of
    /// the same kind and track id. Also Enhanced RTMP's MPEG2TSSequenceStart.
    SequenceHeader,
    /// Video: coded frame that decoding can start with. Never a sequence header, although those are marked as
    /// keyframes as well.
    Keyframe,
    /// Audio, or video that needs earlier frames.
    Frame,
    /// Video or audio: the sequence is over; players may ignore it.
    EndOfSequence,
    /// Video: an instruction to the player (start or end of a seek), no picture.
    Command,
    /// Video: packet of name/value pairs, in practice `colorInfo` (HDR). Applies until the next one; late joiners
    /// need it behind the sequence header.
    VideoMetadata,
    /// Audio: which channel is which speaker. Applies until the next one; late joiners need it behind the
    /// sequence header.
    MultichannelConfig,
    /// Audio with an empty body: nothing will come for a while.
    Silence,
    /// Data: `onMetaData`. Replaces the last one.
    Metadata,
    /// Data: `@clearDataFrame`: the metadata is void.
    ClearMetadata,
    /// Data of any other name: cue points, text, timecode.
    Data,
    /// Too short, or of a reserved type: of no use to a player.
    Unknown,
}

impl TagRole {
    /// Audio or video that is heard or shown at its timestamp, unlike configuration and commands.
    pub const fn is_frame(self) -> bool {
        matches!(self, TagRole::Keyframe | TagRole::Frame)
    }

    /// Replaces something that who begins here needs first: see [`super::Configuration`].
    pub const fn is_configuration(self) -> bool {
        matches!(self, TagRole::Metadata) || self.is_track_configuration()
    }

    /// The same of some tracks, unlike metadata, which is of the stream.
    pub const fn is_track_configuration(self) -> bool {
        matches!(self, TagRole::SequenceHeader | TagRole::VideoMetadata | TagRole::MultichannelConfig)
    }
}

/// What [`super::Tag::classify`] finds.
#[derive(Clone, Debug)]
pub struct TagClass<'a> {
    /// What the tag is for.
    pub role: TagRole,
    /// Codec of the first track; `None` if there is none (data, commands) or it is unknown, which need not keep
    /// anybody from relaying it.
    pub codec: Option<Codec>,
    /// Milliseconds from decoding to showing the first track's frame; may be negative.
    pub composition_time: i32,
    tracks: Tracks<'a>,
}

impl<'a> TagClass<'a> {
    /// Classifies a body.
    pub fn of(kind: TagKind, body: &'a [u8]) -> TagClass<'a> {
        let (mut role, tracks) = match kind {
            TagKind::Video => video(body),
            TagKind::Audio if body.is_empty() => Some((TagRole::Silence, Tracks::NONE)),
            TagKind::Audio => audio(body),
            TagKind::Data => Some((data_role(body), Tracks::NONE)),
        }
        .unwrap_or((TagRole::Unknown, Tracks::NONE));
        let first = tracks.clone().next();
        // An empty record would replace the good one that late joiners need. Opus alone may go without.
        let is_void =
            first.as_ref().is_some_and(|track| track.data.is_empty() && track.codec != Some(Codec::Opus));
        if role == TagRole::SequenceHeader && is_void {
            role = TagRole::Unknown;
        }
        if tracks.form != Form::End && first.is_none() {
            role = TagRole::Unknown;
        }
        let (codec, composition_time) =
            first.map_or((None, 0), |track| (track.codec, track.composition_time));
        TagClass { role, codec, composition_time, tracks }
    }

    /// The tracks, in the order of the body: one with id 0 in an ordinary tag, any number in a multitrack tag,
    /// none in data, commands and silence. Ends before the first track that is cut off. The role counts for all.
    pub fn tracks(&self) -> Tracks<'a> {
        self.tracks.clone()
    }

    /// Whether decoding can start here.
    pub fn is_keyframe(&self) -> bool {
        self.role == TagRole::Keyframe
    }
}

/// One track of a tag. Ids of audio and of video are separate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// 0 for the default track and in tags that name none.
    pub id: u8,
    /// `None`: unknown to us.
    pub codec: Option<Codec>,
    /// Milliseconds from decoding to showing; may be negative. 0 where the format has no such field.
    pub composition_time: i32,
    /// Where in the body the record or the frame is, behind every header field. Always inside of the body. For
    /// classic Opus, which comes with and without a packet type byte, everything behind the first byte.
    pub data: Range<usize>,
}

/// Iterator over the tracks of a tag.
#[derive(Clone, Debug)]
pub struct Tracks<'a> {
    /// At the next track's first field.
    cursor: Cursor<'a>,
    form: Form,
    composition: Composition,
}

/// How tracks are laid out from the cursor on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// No (more) tracks.
    End,
    /// One, up to the end of the body.
    One { id: u8, codec: Option<Codec> },
    /// AvMultitrackType 1: id, size, bytes.
    Many { codec: Option<Codec> },
    /// AvMultitrackType 2: FourCC, id, size, bytes.
    ManyCodecs,
}

/// Whether a track begins with a 24-bit composition time.
#[derive(Clone, Copy, Debug)]
enum Composition {
    Absent,
    Present,
    /// Present for codecs that have one.
    ByCodec,
}

impl<'a> Tracks<'a> {
    const NONE: Tracks<'static> =
        Tracks { cursor: Cursor::new(&[]), form: Form::End, composition: Composition::Absent };

    fn one(cursor: Cursor<'a>, codec: Option<Codec>, composition: Composition) -> Tracks<'a> {
        Tracks { cursor, form: Form::One { id: 0, codec }, composition }
    }

    fn read(&mut self) -> Option<Track> {
        let (id, codec, len) = match self.form {
            Form::End => return None,
            Form::One { id, codec } => {
                self.form = Form::End;
                (id, codec, self.cursor.remaining())
            }
            Form::Many { codec } => (self.cursor.u8()?, codec, self.cursor.u24()? as usize),
            Form::ManyCodecs => {
                let codec = fourcc(&mut self.cursor)?;
                (self.cursor.u8()?, codec, self.cursor.u24()? as usize)
            }
        };
        let start = self.cursor.position();
        let bytes = self.cursor.take(len)?;
        let has_time = match self.composition {
            Composition::Absent => false,
            Composition::Present => true,
            Composition::ByCodec => codec.is_some_and(Codec::has_composition_time),
        };
        let mut inner = Cursor::new(bytes);
        let composition_time = if has_time { sign_extend(inner.u24()?) } else { 0 };
        Some(Track { id, codec, composition_time, data: start + inner.position()..start + len })
    }
}

impl Iterator for Tracks<'_> {
    type Item = Track;

    fn next(&mut self) -> Option<Track> {
        let track = self.read();
        if track.is_none() {
            self.form = Form::End;
        }
        track
    }
}

impl FusedIterator for Tracks<'_> {}

fn video(body: &[u8]) -> Option<(TagRole, Tracks<'_>)> {
    let mut cursor = Cursor::new(body);
    let first = cursor.u8()?;
    let frame_type = first >> 4 & 7;
    if first & 0x80 != 0 {
        return enhanced_video(cursor, frame_type, first & 15);
    }
    if frame_type == COMMAND_FRAME {
        return Some((TagRole::Command, Tracks::NONE));
    }
    let id = first & 15;
    let codec = Codec::from_video_id(id);
    // From 12 on, everybody who invented a number took over the layout of AVC.
    if id != 7 && id < 12 {
        let tracks = Tracks::one(cursor, codec, Composition::Absent);
        return (cursor.remaining() > 0).then_some((frame_role(frame_type), tracks));
    }
    let role = match cursor.u8()? {
        0 => TagRole::SequenceHeader,
        1 => frame_role(frame_type),
        2 => TagRole::EndOfSequence,
        _ => return None,
    };
    Some((role, Tracks::one(cursor, codec, Composition::Present)))
}

/// Enhanced RTMP 2.2: ModEx blocks, then a command byte, a multitrack header or a FourCC.
fn enhanced_video(mut cursor: Cursor<'_>, frame_type: u8, packet_type: u8) -> Option<(TagRole, Tracks<'_>)> {
    let mut packet_type = skip_mod_ex(&mut cursor, packet_type)?;
    if frame_type == COMMAND_FRAME && packet_type != 4 {
        return Some((TagRole::Command, Tracks::NONE));
    }
    let form = match packet_type {
        6 => multitrack(&mut cursor, &mut packet_type)?,
        _ => Form::One { id: 0, codec: fourcc(&mut cursor)? },
    };
    let (role, composition) = match packet_type {
        0 | 5 => (TagRole::SequenceHeader, Composition::Absent),
        1 => (frame_role(frame_type), Composition::ByCodec),
        2 => (TagRole::EndOfSequence, Composition::Absent),
        3 => (frame_role(frame_type), Composition::Absent),
        4 => (TagRole::VideoMetadata, Composition::Absent),
        _ => return None,
    };
    Some((role, Tracks { cursor, form, composition }))
}

fn audio(body: &[u8]) -> Option<(TagRole, Tracks<'_>)> {
    let mut cursor = Cursor::new(body);
    let first = cursor.u8()?;
    let id = first >> 4;
    if id == ENHANCED_AUDIO {
        return enhanced_audio(cursor, first & 15);
    }
    let codec = Codec::from_audio_id(id);
    // A header alone is neither sound nor silence; web players warn about it.
    cursor.peek()?;
    let role = match codec {
        Some(Codec::Aac) => match cursor.u8()? {
            0 => TagRole::SequenceHeader,
            1 => TagRole::Frame,
            _ => return None,
        },
        // One of the two variants has AAC's packet type byte, the other has no header packet.
        Some(Codec::Opus) if cursor.rest().starts_with(b"\0OpusHead") => TagRole::SequenceHeader,
        _ => TagRole::Frame,
    };
    Some((role, Tracks::one(cursor, codec, Composition::Absent)))
}

/// Enhanced RTMP 3.1. The packet types are not those of video.
fn enhanced_audio(mut cursor: Cursor<'_>, packet_type: u8) -> Option<(TagRole, Tracks<'_>)> {
    let mut packet_type = skip_mod_ex(&mut cursor, packet_type)?;
    let form = match packet_type {
        5 => multitrack(&mut cursor, &mut packet_type)?,
        _ => Form::One { id: 0, codec: fourcc(&mut cursor)? },
    };
    let role = match packet_type {
        0 => TagRole::SequenceHeader,
        1 => TagRole::Frame,
        2 => TagRole::EndOfSequence,
        4 => TagRole::MultichannelConfig,
        _ => return None,
    };
    Some((role, Tracks { cursor, form, composition: Composition::Absent }))
}

fn data_role(body: &[u8]) -> TagRole {
    if data::is_clear_data_frame(body) {
        return TagRole::ClearMetadata;
    }
    match data::name(body) {
        Some(metadata::NAME) => TagRole::Metadata,
        Some(_) => TagRole::Data,
        None => TagRole::Unknown,
    }
}

/// Skips ModEx blocks (Enhanced RTMP 4); returns the packet type behind the last one.
fn skip_mod_ex(cursor: &mut Cursor<'_>, mut packet_type: u8) -> Option<u8> {
    while packet_type == MOD_EX {
        let mut size = usize::from(cursor.u8()?) + 1;
        if size == 256 {
            size = usize::from(cursor.u16()?) + 1;
        }
        cursor.take(size)?;
        packet_type = cursor.u8()? & 15;
    }
    Some(packet_type)
}

/// Reads the multitrack header (Enhanced RTMP 5) up to the first track; `packet_type` becomes the real one.
fn multitrack(cursor: &mut Cursor<'_>, packet_type: &mut u8) -> Option<Form> {
    let types = cursor.u8()?;
    *packet_type = types & 15;
    Some(match types >> 4 {
        0 => {
            let codec = fourcc(cursor)?;
            Form::One { id: cursor.u8()?, codec }
        }
        1 => Form::Many { codec: fourcc(cursor)? },
        2 => Form::ManyCodecs,
        _ => return None,
    })
}

/// The next four bytes as a codec: `None` if there are no four, `Some(None)` if they say nothing to us.
fn fourcc(cursor: &mut Cursor<'_>) -> Option<Option<Codec>> {
    let bytes = cursor.take(4)?;
    Some(Codec::from_fourcc(bytes.try_into().ok()?))
}

/// Frame types other than 1 (disposable, server-generated, reserved ones) never start a GOP.
const fn frame_role(frame_type: u8) -> TagRole {
    if frame_type == 1 { TagRole::Keyframe } else { TagRole::Frame }
}

/// 24 bits in two's complement.
const fn sign_extend(value: u32) -> i32 {
    (value << 8) as i32 >> 8
}

const COMMAND_FRAME: u8 = 5;
const ENHANCED_AUDIO: u8 = 9;
/// The same number for audio and video.
const MOD_EX: u8 = 7;
