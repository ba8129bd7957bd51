//! What the tools share: flags, one-line errors, exit codes. 0 is success, 1 a failure while running, 2 a wrong
//! command line, as with weir itself.

use getopts::{Matches, Options};
use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
    str::FromStr,
};

/// Why a tool ends without success.
pub(crate) enum Failure {
    /// Wrong command line.
    Usage(String),
    /// Anything later.
    Run(String),
}

impl Failure {
    /// A failure while running: `what: why`.
    pub(crate) fn run(what: impl Display, why: impl Display) -> Failure {
        Failure::Run(format!("{what}: {why}"))
    }
}

impl From<weir::server::client::ClientError> for Failure {
    fn from(error: weir::server::client::ClientError) -> Failure {
        Failure::Run(error.to_string())
    }
}

/// The command line of a tool.
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: &'static str,
    /// What comes behind the name: `[flags] FILE URL`.
    pub(crate) synopsis: &'static str,
    /// One line for the help.
    pub(crate) purpose: &'static str,
    /// How many arguments it takes beside flags.
    pub(crate) arguments: usize,
}

impl Tool {
    /// Parses the command line and runs `body` with it.
    pub(crate) fn main(
        &self,
        mut flags: Options,
        body: impl FnOnce(&Matches) -> Result<(), Failure>,
    ) -> ExitCode {
        flags.optflag("h", "help", "show this help");
        let result =
            flags.parse(std::env::args_os().skip(1)).map_err(|fail| Failure::Usage(fail.to_string()));
        let result = result.and_then(|matches| {
            if matches.opt_present("help") {
                let brief = format!("{}\n\nUsage: {} {}", self.purpose, self.name, self.synopsis);
                // A closed standard output is the reader's choice.
                let _ = io::stdout().write_all(flags.usage(&brief).as_bytes());
                return Ok(());
            }
            if matches.free.len() != self.arguments {
                return Err(Failure::Usage(format!("usage: {} {} (try --help)", self.name, self.synopsis)));
            }
            body(&matches)
        });
        let (code, message) = match result {
            Ok(()) => return ExitCode::SUCCESS,
            Err(Failure::Usage(message)) => (2, message),
            Err(Failure::Run(message)) => (1, message),
        };
        // There is no other place to complain.
        let _ = writeln!(io::stderr(), "{}: {message}", self.name);
        ExitCode::from(code)
    }
}

/// The value of `--flag`, or `default`.
pub(crate) fn value<T: FromStr<Err: Display>>(
    matches: &Matches,
    flag: &str,
    default: T,
) -> Result<T, Failure> {
    match matches.opt_str(flag) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|error| Failure::Usage(format!("--{flag} {text}: {error}"))),
    }
}
