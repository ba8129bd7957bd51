//! inspect: what two RTMP peers said to each other, one line a message, and what is odd about it.
//!
//! Reads pcap and pcapng files, or the bytes of one direction. Exit codes: 0 read, 1 not readable, 2 wrong usage;
//! odd conversations are no failure.

extern crate alloc;

#[path = "inspect/report.rs"]
mod report;

use core::fmt;
use getopts::Options;
use report::{Detail, Report, Side};
use std::{
    env, fs,
    io::{self, BufWriter, ErrorKind, Write},
    process::ExitCode,
};
use weir::pcap::{self, Direction, ReadError, dissect::dissect};

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = run(&env::args().skip(1).collect::<Vec<_>>(), &mut out);
    // What was found before a failure is worth reading as well.
    let result = result.and(out.flush().map_err(Failure::Output));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `inspect ... | head` is fine.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "inspect: {failure}");
            failure.exit_code()
        }
    }
}

enum Failure {
    Usage(String),
    Unreadable { file: String, why: String },
    Output(io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Unreadable { .. } | Failure::Output(_) => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) => write!(f, "{what}; see inspect --help"),
            Failure::Unreadable { file, why } => write!(f, "{file}: {why}"),
            Failure::Output(error) => write!(f, "cannot write: {error}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

fn options() -> Options {
    let mut options = Options::new();
    options.optmulti("c", "client", "bytes that a client sent, from its version byte on", "FILE");
    options.optmulti("s", "server", "bytes that a server sent, from its version byte on", "FILE");
    options.optflag("q", "quiet", "counts and oddities only, no line per message");
    options.optflag("h", "help", "this text");
    options
}

fn run(args: &[String], out: &mut impl Write) -> Result<(), Failure> {
    let options = options();
    let given = options.parse(args).map_err(|error| Failure::Usage(error.to_string()))?;
    if given.opt_present("help") {
        let brief = "Usage: inspect [-q] CAPTURE...\n       inspect [-q] --client FILE | --server FILE\n\n\
            Shows the RTMP conversations of pcap and pcapng files, or the bytes of one direction.\n\n\
            Columns: seconds, direction (C> client, S> server), offset in that direction, chunk stream id, fmt of\n\
            the first chunk, message stream id, timestamp, length, type id and name, contents.";
        return Ok(write!(out, "{}", options.usage(brief))?);
    }
    let raw = [("client", Direction::FromClient), ("server", Direction::FromServer)];
    let raw: Vec<_> = raw
        .into_iter()
        .flat_map(|(name, direction)| given.opt_strs(name).into_iter().map(move |file| (file, direction)))
        .collect();
    if raw.is_empty() && given.free.is_empty() {
        return Err(Failure::Usage("no file given".into()));
    }
    let detail = if given.opt_present("quiet") { Detail::Summary } else { Detail::Messages };
    for file in given.free {
        capture(&file, detail, out)?;
    }
    for (file, direction) in raw {
        let bytes = read(&file)?;
        let side = Side { direction, dissection: dissect(direction, &bytes), stream: None };
        writeln!(out, "{file}: {} bytes", bytes.len())?;
        Report { sides: &[side], began: None }.write(detail, out)?;
    }
    Ok(())
}

fn read(file: &str) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::Unreadable { file: file.into(), why: error.to_string() })
}

fn capture(file: &str, detail: Detail, out: &mut impl Write) -> Result<(), Failure> {
    let capture = pcap::read(&read(file)?).map_err(|error| {
        let hint = match error {
            ReadError::NotACapture => "; for the bytes of one direction say --client or --server",
            _ => "",
        };
        Failure::Unreadable { file: file.into(), why: format!("{error}{hint}") }
    })?;
    writeln!(out, "{file}: {} conversations", capture.conversations.len())?;
    for oddity in &capture.oddities {
        writeln!(out, "odd: {oddity}")?;
    }
    for conversation in &capture.conversations {
        writeln!(
            out,
            "\n{} -> {}: {} bytes there, {} back{}",
            conversation.client,
            conversation.server,
            conversation.from_client.bytes.len(),
            conversation.from_server.bytes.len(),
            if conversation.has_beginning { "" } else { "; the capture lacks the beginning" },
        )?;
        let sides = [Direction::FromClient, Direction::FromServer].map(|direction| {
            let stream = conversation.stream(direction);
            Side { direction, dissection: dissect(direction, &stream.bytes), stream: Some(stream) }
        });
        let began = sides.iter().filter_map(|side| side.stream?.time_at(0)).min();
        Report { sides: &sides, began }.write(detail, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/captures/");

    fn inspect(args: &[&str]) -> (Result<(), String>, String) {
        let mut out = Vec::new();
        let args: Vec<_> = args.iter().map(|arg| arg.replace("CAPTURES/", CAPTURES)).collect();
        let result = run(&args, &mut out).map_err(|failure| match failure {
            Failure::Usage(_) => format!("usage: {failure}"),
            _ => failure.to_string(),
        });
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_capture_shows_both_directions_in_order_of_time() {
        let (result, text) = inspect(&["CAPTURES/ffmpeg-5.1.9-play-nginx.pcap"]);
        assert_eq!(result, Ok(()));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "127.0.0.1:53086 -> 127.0.0.1:1935: 3447 bytes there, 57548 back");
        assert_eq!(lines[4], "    0.000000 C>        1  C1 time 0, product 9.0.124.2, signed");
        assert_eq!(lines[5], "    0.000093 S>        0  S0 version 3");
        let play = "    0.172482 C>     3377  csid 8  fmt 0 msid 1 ts 0        len 32     20 command         \
                    play 4 null \"cam\" -2000";
        let begin = "    0.172511 S>     3365  csid 2  fmt 0 msid 0 ts 0        len 6       4 user-control    \
                     StreamBegin 1";
        let at = lines.iter().position(|line| *line == play).expect("play is there");
        assert_eq!(lines[at + 2], begin, "behind play and SetBufferLength");
        let counts = "      43    34458 bytes  9 video";
        assert!(lines.iter().any(|line| line.ends_with(counts)), "{text}");
        let odd = "odd: C> at 3447: ends inside a message (8 bytes behind the last whole one)";
        assert_eq!(lines.last(), Some(&odd));
    }

    #[test]
    fn quiet_leaves_the_messages_out() {
        let (result, text) = inspect(&["-q", "CAPTURES/ffmpeg-5.1.9-play-nginx.pcap"]);
        assert_eq!(result, Ok(()));
        assert!(!text.contains("csid") && text.contains("289 messages") && text.contains("odd: "), "{text}");
    }

    #[test]
    fn the_bytes_of_one_direction_have_no_times() {
        let (result, text) = inspect(&["--client", "CAPTURES/ffmpeg-play-client.bin"]);
        assert_eq!(result, Ok(()));
        assert!(text.contains("           - C>     3345  csid 3  fmt 1 msid 0 ts 0        len 21"), "{text}");
        // The wrong direction is not refused: a server's blocks have the same form, its digest does not.
        let (result, text) = inspect(&["--server", "CAPTURES/ffmpeg-play-client.bin"]);
        assert_eq!(result, Ok(()));
        assert!(text.contains("S1 time 0, product 9.0.124.2, not signed"), "{text}");
    }

    #[test]
    fn wrong_usage_and_unreadable_files_are_told_apart() {
        assert_eq!(inspect(&[]).0.unwrap_err(), "usage: no file given; see inspect --help");
        assert!(inspect(&["--sideways"]).0.unwrap_err().starts_with("usage: "));
        let (result, _) = inspect(&["CAPTURES/flash-client.bin"]);
        assert!(result.unwrap_err().ends_with("say --client or --server"));
        assert!(inspect(&["/nowhere/at/all"]).0.unwrap_err().starts_with("/nowhere/at/all: "));
        let (result, text) = inspect(&["--help"]);
        assert!(result.is_ok() && text.starts_with("Usage: inspect"));
    }
}
