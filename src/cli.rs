//! The command line: one table of flags, from which parsing, `--help` and the table in the documentation come.
//!
//! In: arguments. Out: a [`Config`] and a log level, or one line that names the flag. `@FILE` stands for the flags
//! in a file, one a line, `#` starts a comment. Sizes take K, M, G (KiB, MiB, GiB) behind the number.

use crate::rtsp::Credentials;
use crate::server::{
    Config, Hls, Merge, NameTemplate, Pattern, RecordConfig, RecordFormat, Takeover, TlsConfig,
    relay::Push,
    source::{self, Input, SourceConfig, SpecError},
};
use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{
    fmt::{self, Write},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};
use getopts::{HasArg, Matches, Occur, Options};
use log::LevelFilter;
use std::{fs, path::PathBuf};

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// One letter, or nothing.
    pub short: &'static str,
    /// Without the dashes.
    pub long: &'static str,
    /// What its value is called; nothing for a flag without value.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What holds without it, as the documentation shows it.
    pub default: &'static str,
    /// May be given more than once.
    pub is_repeatable: bool,
}

const fn flag(
    short: &'static str,
    long: &'static str,
    value: &'static str,
    help: &'static str,
    default: &'static str,
) -> Flag {
    Flag { short, long, value, help, default, is_repeatable: false }
}

/// Every flag of the program.
pub const FLAGS: &[Flag] = &[
    Flag {
        is_repeatable: true,
        ..flag(
            "l",
            "listen",
            "ADDR",
            "listen here: address:port, address or port; repeatable",
            "[::]:1935, [::]:8080, [::]:8554",
        )
    },
    flag("m", "media", "DIR", "play the files below DIR as vod/...", "none"),
    flag("", "demo", "", "publish a built-in clip, looped, as live/demo", "off"),
    Flag {
        is_repeatable: true,
        ..flag(
            "s",
            "source",
            "PATH=SPEC",
            "feed a live stream from a file, a pipe, - (standard input), exec:COMMAND, or an rtsp:// (camera) or rtmp:// URL; repeatable",
            "none",
        )
    },
    Flag {
        is_repeatable: true,
        ..flag(
            "",
            "pull",
            "PATH=URL",
            "feed a live stream from another server, by RTMP or RTSP; repeatable",
            "none",
        )
    },
    Flag {
        is_repeatable: true,
        ..flag(
            "",
            "push",
            "PATH=URL",
            "send a live stream on to another server, by RTMP or RTSP; repeatable",
            "none",
        )
    },
    flag(
        "",
        "origin",
        "URL",
        "fetch what is played here and published by nobody from URL/PATH, while it is played",
        "none",
    ),
    flag(
        "",
        "publish-from",
        "NETS",
        "who may publish: networks such as 10.0.0.0/8, comma-separated; private, any, none",
        "private (loopback and private networks)",
    ),
    flag(
        "",
        "takeover",
        "WHO",
        "who may replace an active publisher: never, same-address (or anybody, once it was silent for 5 s), always",
        "same-address",
    ),
    flag(
        "",
        "resume-window",
        "SECONDS",
        "how long players wait, unaware, for a publisher that vanished; 0 = not at all",
        "10",
    ),
    flag(
        "",
        "subscriber-threads",
        "N",
        "threads that write to players; up to N players get one each",
        "one per core but one, at least 1",
    ),
    flag(
        "",
        "merge",
        "MS",
        "gather a player's writes for up to MS milliseconds; 0 = write every tag at once",
        "audio rides with the next video tag, 40 ms at most",
    ),
    flag("", "gop-cache", "BYTES", "what late joiners start with: bytes per stream, 0 = off", "8M"),
    flag("", "max-connections", "N", "connections at once", "10000, or what the file limit allows"),
    flag(
        "",
        "hls",
        "WHEN",
        "live streams as HLS and DASH, http://.../APP/KEY/index.m3u8 and index.mpd: on-demand, always, off",
        "on-demand",
    ),
    flag("", "max-queue", "BYTES", "what may wait for a slow player before it loses pictures", "8M"),
    flag(
        "r",
        "record",
        "DIR",
        "record streams into DIR: of publishers that ask for it, and see --record-match",
        "off",
    ),
    Flag {
        is_repeatable: true,
        ..flag(
            "",
            "record-match",
            "PATTERN",
            "record these streams unasked: live/*, ** for anything; repeatable",
            "none",
        )
    },
    flag("", "record-format", "FORMAT", "flv or mp4", "flv"),
    flag("", "record-segment", "SECONDS", "begin another file at the next keyframe after that long", "off"),
    flag(
        "",
        "record-max-size",
        "BYTES",
        "begin another file at the next keyframe after that many bytes",
        "off",
    ),
    flag("", "record-keep", "N", "files of a stream that stay; the oldest are removed", "all"),
    flag(
        "",
        "record-name",
        "TEMPLATE",
        "name of the files, with {path}, {date}, {time}, {n}; sub-folders are made",
        "{path}-{date}-{time}-{n}",
    ),
    flag(
        "",
        "rtsp-multicast",
        "NET",
        "send streams to groups of NET, such as 239.255.0.0/16, for players that ask for multicast",
        "off",
    ),
    flag("", "rtsp-ports", "FIRST-LAST", "UDP ports for RTSP, two a track of each client", "20000-29999"),
    Flag {
        is_repeatable: true,
        ..flag(
            "",
            "rtsp-user",
            "NAME:PASSWORD",
            "who may play and publish over RTSP, from anywhere; repeatable",
            "everybody",
        )
    },
    flag(
        "",
        "tls-cert",
        "FILE",
        "take TLS as well, on every listener: the certificate and its chain, PEM; read again on SIGHUP",
        "no TLS",
    ),
    flag("", "tls-key", "FILE", "the private key of that certificate, PEM", "none"),
    flag(
        "",
        "admin-token",
        "TOKEN",
        "who may use console, API and metrics: whoever sends it; without, loopback and private networks",
        "none",
    ),
    flag("", "capture", "DIR", "write each connection as a pcap into DIR", "off"),
    Flag {
        is_repeatable: true,
        ..flag("v", "verbose", "", "log more; twice: everything (RUST_LOG works too)", "info")
    },
    Flag {
        is_repeatable: true,
        ..flag("q", "quiet", "", "log warnings and errors only; twice: errors only", "info")
    },
    flag("h", "help", "", "print this", ""),
    flag("V", "version", "", "print the version", ""),
];

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run a server.
    Run {
        /// What it does.
        config: Box<Config>,
        /// What it logs, unless `RUST_LOG` says otherwise.
        level: LevelFilter,
    },
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// A command line that makes no sense: one line that names the flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for UsageError {}

/// Understands the arguments behind the program's name.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let mut expanded = Vec::new();
    for arg in args {
        match arg.strip_prefix('@') {
            Some(file) => expanded.extend(read_file(file)?),
            None => expanded.push(arg),
        }
    }
    let matches = options().parse(expanded).map_err(|fail| UsageError(explain(&fail)))?;
    if matches.opt_present("help") {
        return Ok(Command::Help);
    }
    if matches.opt_present("version") {
        return Ok(Command::Version);
    }
    if let Some(free) = matches.free.first() {
        return Err(UsageError(format!("{free}: not a flag; see --help")));
    }

    let mut config = Config::default();
    let value = |name: &str| matches.opt_str(name);
    let listen = matches.opt_strs("listen");
    if !listen.is_empty() {
        let addresses = listen.iter().map(|text| convert("listen", text, address));
        config.listen = addresses.collect::<Result<_, _>>()?;
    }
    if let Some(text) = value("media") {
        config.media = Some(convert("media", &text, directory)?);
    }
    config.demo = matches.opt_present("demo");
    config.sources = sources(&matches.opt_strs("source"), &matches.opt_strs("pull"))?;
    config.pushes = pushes(&matches.opt_strs("push"))?;
    if let Some(text) = value("origin") {
        // Without the value, whose query may be a token.
        config.origin = Some(text.parse().map_err(|why| UsageError(format!("--origin: {why}")))?);
    }
    if let Some(text) = value("publish-from") {
        config.publish_from = text.parse().map_err(|why| bad("publish-from", &text, &format!("{why}")))?;
    }
    if let Some(text) = value("takeover") {
        config.takeover = convert("takeover", &text, takeover)?;
    }
    if let Some(text) = value("resume-window") {
        config.resume_window = convert("resume-window", &text, seconds)?;
    }
    if let Some(text) = value("subscriber-threads") {
        config.subscriber_threads = convert("subscriber-threads", &text, threads)?;
    }
    if let Some(text) = value("merge") {
        config.merge = Merge::Gather(convert("merge", &text, milliseconds)?);
    }
    if let Some(text) = value("gop-cache") {
        config.gop_cache = convert("gop-cache", &text, size)?;
    }
    if let Some(text) = value("max-connections") {
        config.max_connections = convert("max-connections", &text, positive)?;
    }
    if let Some(text) = value("hls") {
        config.hls = convert("hls", &text, hls)?;
    }
    if let Some(text) = value("max-queue") {
        config.max_queue = convert("max-queue", &text, size)?;
    }
    if let Some(text) = value("rtsp-ports") {
        config.rtsp.ports = convert("rtsp-ports", &text, ports)?;
    }
    if let Some(text) = value("rtsp-multicast") {
        let net = text.parse().map_err(|why| bad("rtsp-multicast", &text, &format!("{why}")))?;
        config.rtsp.multicast = Some(net);
    }
    for text in matches.opt_strs("rtsp-user") {
        // Without the value, which is a secret.
        let user = credentials(&text).map_err(|why| UsageError(format!("--rtsp-user: {why}")))?;
        config.rtsp.users.push(user);
    }
    config.tls = match (value("tls-cert"), value("tls-key")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(TlsConfig {
            certificate: convert("tls-cert", &certificate, file)?,
            key: convert("tls-key", &key, file)?,
        }),
        (Some(_), None) => return Err(UsageError("--tls-cert needs --tls-key".into())),
        (None, Some(_)) => return Err(UsageError("--tls-key needs --tls-cert".into())),
    };
    if let Some(text) = value("capture") {
        config.capture = Some(convert("capture", &text, directory)?);
    }

    if let Some(text) = value("admin-token") {
        // Without the value, which is a secret.
        config.admin_token = Some(text.parse().map_err(|why| UsageError(format!("--admin-token: {why}")))?);
    }

    config.record = record(&matches)?;

    let level = match matches.opt_count("verbose").cmp(&matches.opt_count("quiet")) {
        core::cmp::Ordering::Equal => LevelFilter::Info,
        core::cmp::Ordering::Greater if matches.opt_count("verbose") > 1 => LevelFilter::Trace,
        core::cmp::Ordering::Greater => LevelFilter::Debug,
        core::cmp::Ordering::Less if matches.opt_count("quiet") > 1 => LevelFilter::Error,
        core::cmp::Ordering::Less => LevelFilter::Warn,
    };
    Ok(Command::Run { config: Box::new(config), level })
}

/// `--record` and the flags that need it.
fn record(matches: &Matches) -> Result<Option<RecordConfig>, UsageError> {
    let value = |name: &str| matches.opt_str(name);
    let Some(text) = value("record") else {
        let names =
            ["match", "format", "segment", "max-size", "keep", "name"].map(|name| format!("record-{name}"));
        return match names.iter().find(|name| matches.opt_present(name)) {
            Some(name) => Err(UsageError(format!("--{name}: needs --record"))),
            None => Ok(None),
        };
    };
    let mut record = RecordConfig::new(convert("record", &text, directory)?);
    for text in matches.opt_strs("record-match") {
        record.patterns.push(convert("record-match", &text, Pattern::from_str)?);
    }
    if let Some(text) = value("record-format") {
        record.format = convert("record-format", &text, record_format)?;
    }
    if let Some(text) = value("record-segment") {
        record.segment = Some(convert("record-segment", &text, positive_seconds)?);
    }
    if let Some(text) = value("record-max-size") {
        record.max_size = Some(convert("record-max-size", &text, positive_size)?);
    }
    if let Some(text) = value("record-keep") {
        record.keep = Some(convert("record-keep", &text, positive)?);
    }
    if let Some(text) = value("record-name") {
        record.name = convert("record-name", &text, NameTemplate::from_str)?;
    }
    Ok(Some(record))
}

/// What `--help` prints.
pub fn help() -> String {
    let brief = "Usage: weir [FLAGS] [@FILE]\n\nA live media server. @FILE holds flags, one a line.";
    let examples = "\nPublish to rtmp://HOST/live/NAME, play the same.\n";
    options().usage(brief) + examples
}

/// The table of flags as the documentation holds it.
pub fn markdown() -> String {
    let mut table = String::from("| flag | meaning | default |\n|---|---|---|\n");
    for flag in FLAGS {
        let short = if flag.short.is_empty() { String::new() } else { format!("-{}, ", flag.short) };
        let value = if flag.value.is_empty() { String::new() } else { format!(" {}", flag.value) };
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| `{short}--{}{value}` | {} | {} |", flag.long, flag.help, flag.default);
    }
    table
}

fn options() -> Options {
    let mut options = Options::new();
    for flag in FLAGS {
        let has_value = if flag.value.is_empty() { HasArg::No } else { HasArg::Yes };
        let occur = if flag.is_repeatable { Occur::Multi } else { Occur::Optional };
        let help = match flag.default {
            "" | "off" => flag.help.to_string(),
            default => format!("{} [{default}]", flag.help),
        };
        options.opt(flag.short, flag.long, &help, flag.value, has_value, occur);
    }
    options
}

fn explain(fail: &getopts::Fail) -> String {
    let dashed = |name: &str| match name.len() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    };
    match fail {
        getopts::Fail::ArgumentMissing(name) => format!("{}: a value is missing", dashed(name)),
        getopts::Fail::UnrecognizedOption(name) => format!("{}: no such flag; see --help", dashed(name)),
        getopts::Fail::OptionMissing(name) => format!("{}: missing", dashed(name)),
        getopts::Fail::OptionDuplicated(name) => format!("{}: given twice", dashed(name)),
        getopts::Fail::UnexpectedArgument(name) => format!("{}: takes no value", dashed(name)),
    }
}

/// The arguments that a file of flags stands for.
fn read_file(name: &str) -> Result<Vec<String>, UsageError> {
    let text = fs::read_to_string(name).map_err(|error| UsageError(format!("@{name}: {error}")))?;
    let mut args = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with('-') {
            return Err(UsageError(format!("@{name}, line {}: not a flag: {line}", number + 1)));
        }
        match line.split_once(char::is_whitespace) {
            Some((flag, value)) => args.extend([flag.to_string(), value.trim().to_string()]),
            None => args.push(line.to_string()),
        }
    }
    Ok(args)
}

// ---- values

/// Runs a converter, whose error says what it expects.
fn convert<T>(flag: &str, text: &str, with: fn(&str) -> Result<T, &'static str>) -> Result<T, UsageError> {
    with(text).map_err(|expected| bad(flag, text, expected))
}

fn bad(flag: &str, text: &str, why: &str) -> UsageError {
    UsageError(format!("--{flag} {text}: {why}"))
}

/// The values may hold tokens and passwords, so messages show their paths only.
fn sources(sources: &[String], pulls: &[String]) -> Result<Vec<SourceConfig>, UsageError> {
    let sources = sources.iter().map(|text| about("source", text, SourceConfig::parse(text)));
    let pulls = pulls.iter().map(|text| about("pull", text, SourceConfig::parse_pull(text)));
    let all = sources.chain(pulls).collect::<Result<Vec<_>, _>>()?;
    let is_stdin = |source: &&SourceConfig| matches!(source.input, Input::Stdin { .. });
    match all.iter().filter(is_stdin).nth(1) {
        Some(second) => {
            Err(UsageError(format!("--source {}=-: there is only one standard input", second.path)))
        }
        None => Ok(all),
    }
}

fn pushes(texts: &[String]) -> Result<Vec<Push>, UsageError> {
    let parse = |text: &String| {
        let push = source::split(text)
            .and_then(|(path, url)| Ok(Push { path, url: url.trim().parse().map_err(SpecError::Url)? }));
        about("push", text, push)
    };
    texts.iter().map(parse).collect()
}

fn about<T>(flag: &str, text: &str, result: Result<T, SpecError>) -> Result<T, UsageError> {
    result.map_err(|why| match text.split_once('=') {
        Some((path, _)) => UsageError(format!("--{flag} {path}=...: {why}")),
        None => UsageError(format!("--{flag} {text}: {why}")),
    })
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    const PORT: u16 = 1935;
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    text.parse()
        .or_else(|_| bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT)))
        .or_else(|_| {
            let port = text.strip_prefix(':').unwrap_or(text);
            port.parse().map(|port| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))
        })
        .map_err(|_| "not an address such as 0.0.0.0:1935, [::]:1935 or 1935")
}

fn takeover(text: &str) -> Result<Takeover, &'static str> {
    Ok(match text {
        "never" => Takeover::Never,
        "same-address" => Takeover::SameAddress,
        "always" => Takeover::Always,
        _ => return Err("not never, same-address or always"),
    })
}

fn hls(text: &str) -> Result<Hls, &'static str> {
    Ok(match text {
        "on-demand" => Hls::OnDemand,
        "always" => Hls::Always,
        "off" => Hls::Off,
        _ => return Err("not on-demand, always or off"),
    })
}

fn record_format(text: &str) -> Result<RecordFormat, &'static str> {
    Ok(match text {
        "flv" => RecordFormat::Flv,
        "mp4" => RecordFormat::Mp4,
        _ => return Err("not flv or mp4"),
    })
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    /// A week; nobody waits longer.
    const MAX: f64 = 604_800.0;
    let seconds = f64::from_str(text).ok().filter(|seconds| (0.0..=MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or("not a number of seconds")
}

fn positive_seconds(text: &str) -> Result<Duration, &'static str> {
    seconds(text).ok().filter(|seconds| !seconds.is_zero()).ok_or("not a number of seconds above 0")
}

fn positive_size(text: &str) -> Result<u64, &'static str> {
    size(text).and_then(|size| if size > 0 { Ok(size as u64) } else { Err("not a size above 0") })
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    /// Longer than any player buffers.
    const MAX: u64 = 60_000;
    let number = text.parse().ok().filter(|number| *number <= MAX);
    number.map(Duration::from_millis).ok_or("not a number of milliseconds up to 60000")
}

fn threads(text: &str) -> Result<usize, &'static str> {
    /// More than cores of any machine; each takes three of the open files that connections need.
    const MAX: usize = 1024;
    positive(text).ok().filter(|number| *number <= MAX).ok_or("not a number from 1 to 1024")
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, &'static str> {
    let range = text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    let has_pair = |range: &RangeInclusive<u16>| {
        *range.start() > 0
            && range.start().checked_next_multiple_of(2).is_some_and(|even| even < *range.end())
    };
    range
        .filter(has_pair)
        .ok_or("not a range of ports such as 20000-29999 with an even one and the one above")
}

fn credentials(text: &str) -> Result<Credentials, &'static str> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !text.contains(char::is_control) => {
            Ok(Credentials { name: name.into(), password: password.into() })
        }
        _ => Err("not a name and a password with a colon between"),
    }
}

/// An empty name, mostly of a variable that is not set, would mean the current directory.
fn directory(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("not the name of a directory") } else { Ok(text.into()) }
}

fn file(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("not the name of a file") } else { Ok(text.into()) }
}

fn positive(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("not a number above 0")
}

fn size(text: &str) -> Result<usize, &'static str> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err("not a size such as 512K, 8M or 1G"),
    };
    let bytes = digits.parse().ok().and_then(|number: usize| number.checked_mul(unit));
    bytes.ok_or("not a size such as 512K, 8M or 1G")
}

#[cfg(test)]
mod tests;
