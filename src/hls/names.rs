//! Names of files: `init-ID-N.mp4`, `seg-ID-M.m4s`, `part-ID-M.P.m4s`, and the playlists, which have none of the numbers.
//!
//! ID is [`super::Config::start_id`] in hexadecimal: no name comes back with other bytes, not even after a restart of the server.

use core::fmt;

/// The multivariant playlist.
pub(super) const INDEX: &str = "index.m3u8";
/// The media playlist.
pub(super) const STREAM: &str = "stream.m3u8";
/// The MPD.
pub(super) const MPD: &str = "index.mpd";

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Index,
    Stream,
    Mpd,
    Of { id: u64, what: Item },
}

/// What kind of file a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where players begin: playlists and the MPD.
    Playlist,
    /// What those list.
    Media,
}

impl Kind {
    /// `None` if no muxer has files of such names.
    pub fn of(file: &str) -> Option<Kind> {
        Some(match Name::parse(file)? {
            Name::Index | Name::Stream | Name::Mpd => Kind::Playlist,
            Name::Of { .. } => Kind::Media,
        })
    }
}

/// A file of one muxer. Displayed behind its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Init { number: u64 },
    Segment { number: u64 },
    Part { number: u64, part: usize },
}

impl Name {
    /// `None` if there can be no such file.
    pub(super) fn parse(file: &str) -> Option<Name> {
        match file {
            INDEX => return Some(Name::Index),
            STREAM => return Some(Name::Stream),
            MPD => return Some(Name::Mpd),
            _ => {}
        }
        let (kind, rest) = file.split_once('-')?;
        let (id, rest) = rest.split_once('-')?;
        let (numbers, extension) = rest.rsplit_once('.')?;
        let number = |text: &str| text.parse().ok();
        let what = match (kind, extension) {
            ("init", "mp4") => Item::Init { number: number(numbers)? },
            ("seg", "m4s") => Item::Segment { number: number(numbers)? },
            ("part", "m4s") => {
                let (segment, part) = numbers.split_once('.')?;
                Item::Part { number: number(segment)?, part: part.parse().ok()? }
            }
            _ => return None,
        };
        let id = u64::from_str_radix(id, 16).ok()?;
        // Two names for one file would be two entries in caches.
        (Named(id, what) == *file).then_some(Name::Of { id, what })
    }
}

/// A file's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named(pub(super) u64, pub(super) Item);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        match self.1 {
            Item::Init { number } => write!(f, "init-{id:x}-{number}.mp4"),
            Item::Segment { number } => write!(f, "seg-{id:x}-{number}.m4s"),
            Item::Part { number, part } => write!(f, "part-{id:x}-{number}.{part}.m4s"),
        }
    }
}

impl PartialEq<str> for Named {
    fn eq(&self, other: &str) -> bool {
        /// What of a text has not been written yet.
        struct Rest<'a>(&'a str);
        impl fmt::Write for Rest<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        let mut rest = Rest(other);
        fmt::write(&mut rest, format_args!("{self}")).is_ok() && rest.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_are_read_as_they_were_written() {
        for (what, text) in [
            (Item::Init { number: 1 }, "init-5f-1.mp4"),
            (Item::Segment { number: u64::MAX }, "seg-5f-18446744073709551615.m4s"),
            (Item::Part { number: 12, part: 3 }, "part-5f-12.3.m4s"),
        ] {
            assert_eq!(Named(0x5f, what).to_string(), text);
            assert_eq!(Name::parse(text), Some(Name::Of { id: 0x5f, what }));
        }
        assert_eq!(Name::parse("index.m3u8"), Some(Name::Index));
    }

    #[test]
    fn every_file_has_one_name() {
        for text in [
            "",
            "seg-5f-1",
            "seg-5F-1.m4s",
            "seg-05f-1.m4s",
            "seg-5f-01.m4s",
            "seg-5f-+1.m4s",
            "seg-5f-1.mp4",
            "seg-5f-18446744073709551616.m4s",
            "part-5f-1.m4s",
            "part-5f-1.-1.m4s",
            "index.m3u8/",
            "../index.m3u8",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
