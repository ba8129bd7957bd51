//! What `--source PATH=SPEC` says.
//!
//! ```text
//! live/loop=/srv/clip.flv            a file, in real time, over and over; ?loop=0: once
//! live/cam=/run/cam.h264?fps=30      raw H.264, H.265 or ADTS, from a file or a named pipe
//! live/cam=-?format=h264             standard input
//! live/cam=exec:rpicam-vid -o - ?format=h264&on-demand=1
//! live/far=rtmp://host/live/cam?token=x&on-demand=1
//! live/door=rtsp://user:password@camera/stream1?transport=udp&on-demand=1
//! ```
//!
//! Options stand behind the last `?`, and all of them must be known there: in a command or a URL, anything else behind
//! a `?` belongs to it. A URL keeps the options that are not ours.
//! Shows itself without query strings, which carry tokens, and commands by their first word.

use super::format::InputFormat;
use crate::server::{
    StreamPath,
    client::{StreamUrl, UrlError},
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use std::path::PathBuf;

/// One source: what feeds which stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// The stream.
    pub path: StreamPath,
    /// What feeds it.
    pub input: Input,
    /// When it runs.
    pub start: Start,
}

/// What feeds a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The built-in clip, over and over.
    Demo,
    /// A file, or a named pipe.
    File {
        /// Its name.
        name: PathBuf,
        /// What is in it; by its name or content if not said.
        format: Option<InputFormat>,
        /// Pictures a second of raw video; by the stream itself if not said.
        fps: Option<f64>,
        /// A file begins again at its end.
        is_looped: bool,
    },
    /// Standard input.
    Stdin {
        /// What is in it; by its content if not said.
        format: Option<InputFormat>,
        /// Pictures a second of raw video; by the stream itself if not said.
        fps: Option<f64>,
    },
    /// The standard output of a command.
    Command {
        /// For `sh -c`.
        command: String,
        /// What it writes; by its content if not said.
        format: Option<InputFormat>,
        /// Pictures a second of raw video; by the stream itself if not said.
        fps: Option<f64>,
    },
    /// A stream of another server.
    Server(StreamUrl),
}

/// When a source runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the server.
    AtOnce,
    /// With the first player, until some seconds after the last.
    OnDemand,
}

/// Why a text is no source. Shows nothing of a query string but names of options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// No `=` between path and source.
    NoPath,
    /// The path names no stream.
    Path,
    /// The path is one that weir uses itself.
    Reserved,
    /// Nothing behind the `=`.
    Empty,
    /// The URL cannot be used.
    Url(UrlError),
    /// An option that does not exist, or not for this kind of source.
    UnknownOption(String),
    /// An option whose value makes no sense.
    BadValue(&'static str),
}

impl SourceConfig {
    /// Reads `PATH=SPEC`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<SourceConfig, SpecError> {
        let (path, spec) = split(text)?;
        let spec = spec.trim();
        if let Some(command) = spec.strip_prefix("exec:") {
            // Without options, anything behind a `?` is part of the command.
            let (command, options) = match cut_options(command) {
                Some((front, options)) => match Options::parse(options, &["format", "fps", "on-demand"]) {
                    Err(SpecError::UnknownOption(_)) => (command, Options::default()),
                    parsed => (front, parsed?),
                },
                None => (command, Options::default()),
            };
            let command = command.trim().to_string();
            if command.is_empty() {
                return Err(SpecError::Empty);
            }
            let input = Input::Command { command, format: options.format, fps: options.fps };
            return Ok(SourceConfig { path, input, start: options.start() });
        }
        if is_url(spec) {
            let (url, is_on_demand) = take_on_demand(spec)?;
            let input = Input::Server(url.parse().map_err(SpecError::Url)?);
            let start = if is_on_demand { Start::OnDemand } else { Start::AtOnce };
            return Ok(SourceConfig { path, input, start });
        }
        let (name, options) = match cut_options(spec) {
            Some((name, options)) => (name, Options::parse(options, &ALL_OPTIONS)?),
            None => (spec, Options::default()),
        };
        if name.is_empty() {
            return Err(SpecError::Empty);
        }
        let (format, fps) = (options.format, options.fps);
        let input = match name {
            "-" if options.is_looped.is_some() => return Err(SpecError::UnknownOption("loop".into())),
            "-" => Input::Stdin { format, fps },
            _ => Input::File { name: name.into(), format, fps, is_looped: options.is_looped.unwrap_or(true) },
        };
        Ok(SourceConfig { path, input, start: options.start() })
    }

    /// Reads `PATH=URL`, as `--pull` has it: a source that is a URL.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse_pull(text: &str) -> Result<SourceConfig, SpecError> {
        let (_, spec) = split(text)?;
        if is_url(spec.trim()) {
            SourceConfig::parse(text)
        } else {
            Err(SpecError::Url(UrlError::StreamScheme))
        }
    }
}

/// `PATH=REST`: the path of a stream, and what belongs to it.
///
/// # Errors
/// There is no path, or it names no stream.
pub fn split(text: &str) -> Result<(StreamPath, &str), SpecError> {
    let (path, rest) = text.split_once('=').ok_or(SpecError::NoPath)?;
    let path = StreamPath::join("", "", path.trim()).map_err(|_| SpecError::Path)?;
    if path.is_reserved() {
        return Err(SpecError::Reserved);
    }
    if rest.trim().is_empty() {
        return Err(SpecError::Empty);
    }
    Ok((path, rest))
}

const ALL_OPTIONS: [&str; 4] = ["loop", "format", "fps", "on-demand"];

#[derive(Debug, Default)]
struct Options {
    is_looped: Option<bool>,
    format: Option<InputFormat>,
    fps: Option<f64>,
    is_on_demand: bool,
}

impl Options {
    fn parse(text: &str, known: &[&str]) -> Result<Options, SpecError> {
        let mut options = Options::default();
        let pairs: Vec<(&str, &str)> =
            text.trim().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(name)) {
            return Err(SpecError::UnknownOption((*name).into()));
        }
        for (name, value) in pairs {
            match name {
                "loop" => options.is_looped = Some(switch("loop", value)?),
                "on-demand" => options.is_on_demand = switch("on-demand", value)?,
                "format" => {
                    options.format = Some(value.parse().map_err(|()| SpecError::BadValue("format"))?);
                }
                _ => options.fps = Some(frame_rate(value).ok_or(SpecError::BadValue("fps"))?),
            }
        }
        Ok(options)
    }

    fn start(&self) -> Start {
        if self.is_on_demand { Start::OnDemand } else { Start::AtOnce }
    }
}

/// Splits at the last `?`, if something like `name=value` follows.
fn cut_options(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('?').filter(|(_, options)| options.contains('='))
}

/// A URL and whether `on-demand` stood in its query, from which it is removed.
fn take_on_demand(url: &str) -> Result<(String, bool), SpecError> {
    let Some((front, query)) = url.split_once('?') else { return Ok((url.into(), false)) };
    let mut is_on_demand = false;
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("on-demand", value)) => is_on_demand = switch("on-demand", value)?,
            _ => kept.push(pair),
        }
    }
    let mut rest = front.to_string();
    if !kept.is_empty() {
        rest.push('?');
        rest.push_str(&kept.join("&"));
    }
    Ok((rest, is_on_demand))
}

fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn switch(name: &'static str, value: &str) -> Result<bool, SpecError> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(SpecError::BadValue(name)),
    }
}

/// `25`, `29.97` or `30000/1001`.
fn frame_rate(text: &str) -> Option<f64> {
    let number = match text.split_once('/') {
        Some((count, seconds)) => count.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?,
        None => text.parse().ok()?,
    };
    Some(number).filter(|number| (0.01..=1000.0).contains(number))
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Demo => f.write_str("the demo"),
            Input::File { name, .. } => write!(f, "{}", name.display()),
            Input::Stdin { .. } => f.write_str("standard input"),
            // Arguments may be passwords of cameras.
            Input::Command { command, .. } => {
                write!(f, "exec:{}", command.split_whitespace().next().unwrap_or_default())
            }
            Input::Server(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::NoPath => f.write_str("not of the form PATH=..., such as live/cam=..."),
            SpecError::Path => f.write_str("what stands before the = names no stream"),
            SpecError::Reserved => f.write_str("what stands before the = is reserved for files and pages"),
            SpecError::Empty => f.write_str("nothing behind the ="),
            SpecError::Url(error) => write!(f, "{error}"),
            SpecError::UnknownOption(name) => write!(f, "there is no option {name} for it"),
            SpecError::BadValue("format") => f.write_str("format is not flv, mp4, h264, h265 or aac"),
            SpecError::BadValue("fps") => f.write_str("fps is not a number such as 25 or 30000/1001"),
            SpecError::BadValue(name) => write!(f, "{name} is not 0 or 1"),
        }
    }
}

impl core::error::Error for SpecError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rtsp::Lower, server::source::RawFormat};

    fn parsed(text: &str) -> SourceConfig {
        SourceConfig::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn file(name: &str, format: Option<InputFormat>, fps: Option<f64>, is_looped: bool) -> Input {
        Input::File { name: name.into(), format, fps, is_looped }
    }

    #[test]
    fn files_pipes_and_standard_input() {
        assert_eq!(parsed("live/a=/srv/a.flv").input, file("/srv/a.flv", None, None, true));
        assert_eq!(parsed("/live/a/=a.flv?loop=0").input, file("a.flv", None, None, false));
        assert_eq!(parsed("live/a=/srv/a.flv").path.as_str(), "live/a");
        let raw = parsed("live/a=/run/cam?fps=30000/1001&format=h265&on-demand=1");
        assert_eq!(
            raw.input,
            file("/run/cam", Some(InputFormat::Raw(RawFormat::H265)), Some(30_000.0 / 1001.0), true)
        );
        assert_eq!(raw.start, Start::OnDemand);
        let stdin = Input::Stdin { format: Some(InputFormat::Raw(RawFormat::H264)), fps: None };
        assert_eq!(parsed("live/a=-?format=h264").input, stdin);
        // A name with a question mark that introduces no option.
        assert_eq!(parsed("live/a=what?.flv").input, file("what?.flv", None, None, true));
        assert_eq!(parsed("live/a=b=c?loop=1").input, file("b=c", None, None, true));
    }

    #[test]
    fn a_command_keeps_what_is_no_option_of_ours() {
        let command = |text: &str| match parsed(text).input {
            Input::Command { command, format, .. } => (command, format),
            other => panic!("{other:?}"),
        };
        assert_eq!(command("a=exec:cam -o -"), ("cam -o -".into(), None));
        assert_eq!(
            command("a=exec:cam -o - ?format=aac"),
            ("cam -o -".into(), Some(InputFormat::Raw(RawFormat::Aac)))
        );
        assert_eq!(
            command("a=exec:get http://h/x?user=1&format=flv"),
            ("get http://h/x?user=1&format=flv".into(), None)
        );
        assert_eq!(
            command("a=exec:get http://h/x?u=1 ?format=flv"),
            ("get http://h/x?u=1".into(), Some(InputFormat::Flv))
        );
        assert_eq!(parsed("a=exec:cam?on-demand=1").start, Start::OnDemand);
    }

    #[test]
    fn a_url_keeps_its_query_but_for_the_option_of_ours() {
        let source = parsed("live/a=rtmp://h/live/cam?token=a/b&on-demand=1&x=2");
        let Input::Server(StreamUrl::Rtmp(url)) = &source.input else { panic!("{source:?}") };
        assert_eq!((&*url.key, source.start), ("cam?token=a/b&x=2", Start::OnDemand));
        assert_eq!(source.input.to_string(), "rtmp://h/live/cam");
        let source = parsed("live/a=rtmp://h/live/cam?on-demand=0");
        let Input::Server(StreamUrl::Rtmp(url)) = &source.input else { panic!("{source:?}") };
        assert_eq!((&*url.key, source.start), ("cam", Start::AtOnce));
        assert_eq!(
            SourceConfig::parse_pull("a=rtmp://h/live/cam"),
            SourceConfig::parse("a=rtmp://h/live/cam")
        );
    }

    #[test]
    fn a_camera_keeps_its_query_but_for_the_options_of_ours_and_shows_no_secrets() {
        let text = "live/a=rtsp://u:p@cam/s?on-demand=1&channel=1&transport=udp";
        let source = parsed(text);
        let Input::Server(StreamUrl::Rtsp(url)) = &source.input else { panic!("{source:?}") };
        assert_eq!((url.transport, source.start), (Lower::Udp, Start::OnDemand));
        assert_eq!(*url, "rtsp://u:p@cam/s?channel=1&transport=udp".parse().unwrap());
        assert_eq!(source.input.to_string(), "rtsp://cam/s");
        assert_eq!(SourceConfig::parse_pull(text).as_ref(), Ok(&source));
        for (text, error) in [
            ("a=rtsps://cam/s", UrlError::Tls),
            ("a=rtsp://cam/s?transport=quic", UrlError::Transport),
            ("a=http://cam/s", UrlError::StreamScheme),
        ] {
            assert_eq!(SourceConfig::parse(text), Err(SpecError::Url(error)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use SpecError::{BadValue, Empty, NoPath, Path, UnknownOption, Url};
        for (text, error) in [
            ("live/a", NoPath),
            ("=a.flv", Path),
            ("../a=a.flv", Path),
            ("live/a=", Empty),
            ("live/a= ", Empty),
            ("live/a=exec:", Empty),
            ("live/a=exec: ?format=flv", Empty),
            ("live/a=?loop=1", Empty),
            ("live/a=a.flv?lop=1", UnknownOption("lop".into())),
            ("live/a=-?loop=1", UnknownOption("loop".into())),
            ("live/a=a.flv?loop=2", BadValue("loop")),
            ("live/a=a.flv?fps=0", BadValue("fps")),
            ("live/a=a.flv?fps=1/0", BadValue("fps")),
            ("live/a=a.flv?format=avi", BadValue("format")),
            ("live/a=exec:cam ?format=avi", BadValue("format")),
            ("live/a=rtmp://h/live", Url(UrlError::Path)),
            ("live/a=http://h/live/a.flv", Url(UrlError::StreamScheme)),
        ] {
            assert_eq!(SourceConfig::parse(text), Err(error), "{text}");
        }
        assert_eq!(SourceConfig::parse_pull("a=b.flv"), Err(Url(UrlError::StreamScheme)));
    }

    #[test]
    fn commands_are_shown_by_their_first_word() {
        assert_eq!(parsed("a=exec:cam --password x").input.to_string(), "exec:cam");
        assert_eq!(parsed("a=-").input.to_string(), "standard input");
    }
}
