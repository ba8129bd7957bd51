//! MP4, MOV, M4V, F4V (ISO 14496-12 and -14, QuickTime): the boxes, without I/O.
//!
//! Reading goes through [`crate::media::ReadAt`], table by table in small windows: nothing here holds a table whole, however
//! long the film. [`crate::media::mp4`] makes tags of what these modules find. [`writer`] makes files that survive a crash at any
//! moment, and [`repair`] finds what is sound of one that a crash has cut.

pub(crate) mod boxes;
pub(crate) mod edits;
pub(crate) mod entries;
pub(crate) mod fragments;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub(crate) mod header;
pub(crate) mod index;
pub mod repair;
pub(crate) mod samples;
pub(crate) mod tables;
pub(crate) mod track;
pub(crate) mod window;
pub mod writer;

#[cfg(test)]
pub(crate) mod testing;
