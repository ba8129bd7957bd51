//! FLV: the tag, which is what the whole server passes around, and the FLV file format around it.
//!
//! RTMP audio, video and data messages are FLV tag bodies, so [`Tag`] serves both. [`class`] says what a tag is
//! for, [`body`] builds one, [`configuration`] knows which of them a decoder needs first, [`data`] looks into data
//! messages, [`metadata`] into `onMetaData`; [`reader`] and [`writer`] turn files and HTTP streams into tags and back,
//! [`growing`] is a file that is written, [`timeline`] keeps time going where one source follows another.

pub mod body;
pub mod class;
pub mod codec;
pub mod configuration;
pub mod data;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
pub mod growing;
pub mod metadata;
pub mod reader;
pub mod summary;
pub mod tag;
pub mod timeline;
pub mod writer;

pub use class::{TagClass, TagRole, Track, Tracks};
pub use codec::Codec;
pub use configuration::{Change, Configuration};
#[cfg(any(test, feature = "fuzzing"))]
pub use fuzz::fuzz;
pub use growing::Growing;
pub use reader::{Item, ReadError, ReadErrorKind, Reader, ReaderLimits};
pub use tag::{Tag, TagKind};
pub use timeline::Timeline;

#[cfg(test)]
mod tests;
