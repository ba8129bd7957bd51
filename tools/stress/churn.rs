//! Clients that come and break off anywhere: with a FIN or a reset, in a handshake, in a command, in a frame.
//!
//! A first short churn warms the server up, since memory that a program has used once stays with it; then it must
//! come back to what it is afterwards.

use crate::{
    probe::SHAPE,
    report::Report,
    stage::{Problem, Stage},
    stream::Source,
    weir_process::Weir,
};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};
use weir::{
    base::MonoTime,
    rtmp::{Event, Session, session::PublishType},
    server::client::{ClientOptions, Role, play_request, session_config},
};

/// Clients at a time.
const VISITORS: u64 = 24;
/// Between two clients of a thread. With the time that they stay, some hundred clients a second: TIME_WAIT keeps
/// each port for a minute.
const PAUSE: Duration = Duration::from_millis(10);
/// What may be left of memory, in KiB: pages that the allocator keeps. A leak of 100 bytes a client is as much.
const MEMORY_KIB: f64 = 1024.0;
/// Percent of a core.
const IDLE_CPU: f64 = 1.0;
/// For the last threads and windows to end: `--resume-window` and some.
const SETTLE: Duration = Duration::from_secs(8);

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let weir = Weir::start(stage, &["--resume-window=2"])?;
    let cold = weir.usage()?;
    stage.step("warming up");
    churn(stage, &weir, Duration::from_secs(5), 1)?;
    stage.pass(SETTLE)?;
    let (before, files) = (weir.usage()?, weir.files()?);

    stage.step("churn");
    let time = Duration::from_secs(stage.choose(60, 15));
    let (tally, most) = churn(stage, &weir, time, 2)?;
    let during = weir.usage()?;
    stage.step("settling");
    let is_back = || {
        let threads = weir.usage().map(|usage| usage.threads);
        threads == Ok(before.threads) && weir.files() == Ok(files)
    };
    let settled = Instant::now();
    stage.until(SETTLE, is_back)?;
    let settled = settled.elapsed();
    stage.pass(SETTLE.saturating_sub(settled))?;
    let after = weir.usage()?;
    report.figure("clients", format!("{} in {} s", tally.iter().sum::<u64>(), time.as_secs()));
    for (end, count) in ENDS.iter().zip(tally) {
        report.figure(format!("  that {}", end.name()), count.to_string());
    }
    report.figure("files and threads at the most", format!("{} and {}", most.0, most.1));
    report.figure("back to idle after", format!("{:.1} s", settled.as_secs_f64()));
    report.equal("threads, idle again", after.threads as usize, before.threads as usize);
    report.equal("file descriptors, idle again", weir.files()?, files);
    let idle = format!("memory, idle again ({} KiB before any client)", cold.pss);
    report.at_most(idle, after.pss as f64, before.pss as f64 + MEMORY_KIB, " KiB");
    report.figure("CPU during churn", {
        let cpu = (during.cpu - before.cpu) / time.as_secs_f64() * 100.0;
        format!(
            "{cpu:.0} %, {:.0} us a client",
            cpu * 1e4 * time.as_secs_f64() / tally.iter().sum::<u64>() as f64
        )
    });
    report.at_most("CPU, idle again", weir.cpu_during(stage, Duration::from_secs(5))?, IDLE_CPU, " %");
    let (opened, closed) = (weir.logged(" opened: "), weir.logged(" closed: "));
    report.equal("connections closed, of those opened", closed, opened);
    report.equal("panics in the log", weir.logged("panicked"), 0);
    Ok(())
}

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Before it said anything.
    Silent,
    /// Somewhere in the first 5000 bytes that it has to say: handshake, commands, first frames.
    MidSentence,
    /// Somewhere in what the server says.
    MidAnswer,
    /// After up to half a second of stream, properly.
    Goodbye,
}

const ENDS: [End; 4] = [End::Silent, End::MidSentence, End::MidAnswer, End::Goodbye];

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Silent => "say nothing",
            End::MidSentence => "break off in what they say",
            End::MidAnswer => "break off in what they hear",
            End::Goodbye => "take part and leave",
        }
    }
}

/// Lets clients come and go. How many ended in which way, and the most files and threads seen.
fn churn(
    stage: &Stage,
    weir: &Weir,
    time: Duration,
    seed: u64,
) -> Result<([u64; ENDS.len()], (usize, u64)), Problem> {
    let tally: [AtomicU64; ENDS.len()] = Default::default();
    let stop = AtomicBool::new(false);
    let failed = AtomicU64::new(0);
    let mut most = (0, 0);
    thread::scope(|scope| {
        for index in 0..VISITORS {
            let (stop, tally, failed) = (&stop, &tally, &failed);
            scope.spawn(move || {
                let mut random = Random(seed * 1000 + index + 1);
                while !stop.load(Relaxed) {
                    let end = ENDS[random.below(ENDS.len() as u64) as usize];
                    match visit(weir, end, &mut random) {
                        Ok(()) => tally[end as usize].fetch_add(1, Relaxed),
                        Err(_) => failed.fetch_add(1, Relaxed),
                    };
                    thread::sleep(PAUSE);
                }
            });
        }
        let deadline = Instant::now() + time;
        let outcome = stage.until(time + Duration::from_secs(1), || {
            let threads = weir.usage().map_or(0, |usage| usage.threads);
            most = (most.0.max(weir.files().unwrap_or(0)), most.1.max(threads));
            Instant::now() >= deadline || threads == 0
        });
        stop.store(true, Relaxed);
        outcome
    })?;
    let tally = tally.map(AtomicU64::into_inner);
    let failed = failed.into_inner();
    // Nothing may refuse them; a server that is gone refuses all.
    if failed > 0 {
        return Err(Problem::Broken(format!("{failed} clients could not do as they were told")));
    }
    Ok((tally, most))
}

/// One client, from its SYN to its end.
fn visit(weir: &Weir, end: End, random: &mut Random) -> Result<(), Problem> {
    let mut socket = TcpStream::connect(weir.address())?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    if random.below(2) == 0 {
        // What is closed with this is reset.
        SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    }
    let role = if random.below(2) == 0 { Role::Publisher } else { Role::Player };
    let url = weir.url(&format!("churn-{}", random.below(20)))?;
    let (says, hears) = match end {
        End::Silent => (0, u64::MAX),
        End::MidSentence => (random.below(5000), u64::MAX),
        End::MidAnswer => (u64::MAX, random.below(5000)),
        End::Goodbye => (u64::MAX, u64::MAX),
    };
    let until = Instant::now() + Duration::from_millis(random.below(500));
    let config = session_config(&url, &ClientOptions::default(), role);
    let mut session = Session::client(config, random.next(), MonoTime(0));
    let mut talk = Talk { socket: &mut socket, says, hears };
    let mut source = Source::new(SHAPE, 0);
    let mut live = None;
    let mut buffer = vec![0; 4096];
    loop {
        while let Some(event) = session.poll_event() {
            match event {
                Event::Connected(_) => drop(session.create_stream()),
                Event::StreamCreated { stream, .. } if role == Role::Player => {
                    let _ = session.play(&play_request(stream, &url));
                }
                Event::StreamCreated { stream, .. } => {
                    let _ = session.publish(stream, &url.key, PublishType::Live);
                    live = Some(stream);
                }
                _ => {}
            }
        }
        if let Some(stream) = live {
            // Somebody else may publish there: then this is refused, and the server closes.
            let _ = session.send_tag(stream, &source.next_tag(until));
        }
        let is_over = end == End::Goodbye && Instant::now() >= until;
        if is_over {
            session.close(MonoTime(0), weir::rtmp::session::CloseReason::Done);
        }
        if !talk.say(&mut session)? || is_over || Instant::now() >= until + LONGEST {
            return Ok(());
        }
        if !talk.hear(&mut session, &mut buffer)? {
            return Ok(());
        }
    }
}

/// A client that breaks off does so in this time, since it may have nothing to say or hear any more.
const LONGEST: Duration = Duration::from_millis(300);

/// The socket, and how many bytes either side may still say.
struct Talk<'a> {
    socket: &'a mut TcpStream,
    says: u64,
    hears: u64,
}

impl Talk<'_> {
    /// Writes what waits; false if that is the end.
    fn say(&mut self, session: &mut Session) -> io::Result<bool> {
        while session.output_len() > 0 {
            let mut slices = [&[][..]; 1];
            session.output(&mut slices);
            let most = slices[0].len().min(usize::try_from(self.says).unwrap_or(usize::MAX));
            if most == 0 {
                return Ok(false);
            }
            let written = match self.socket.write(&slices[0][..most]) {
                Ok(written) => written,
                // The server may close whom it refuses.
                Err(error) if is_gone(error.kind()) => return Ok(false),
                Err(error) => return Err(error),
            };
            self.says = self.says.saturating_sub(written as u64);
            session.advance_output(written);
        }
        Ok(true)
    }

    /// Reads what there is; false if that is the end.
    fn hear(&mut self, session: &mut Session, buffer: &mut [u8]) -> io::Result<bool> {
        let most = buffer.len().min(usize::try_from(self.hears).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(false);
        }
        match self.socket.read(&mut buffer[..most]) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.hears = self.hears.saturating_sub(count as u64);
                let mut input = &buffer[..count];
                while !input.is_empty() {
                    match session.handle_input(MonoTime(0), input) {
                        Ok(0) | Err(_) => return Ok(false),
                        Ok(taken) => input = &input[taken..],
                    }
                    // An answer in the way is an event to take, and nothing here waits for one.
                    if !session.wants_input() && !input.is_empty() {
                        while session.poll_event().is_some() {}
                    }
                }
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(true),
            Err(error) if is_gone(error.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// xorshift64: the same clients in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        // The lower bits of small seeds are alike at first.
        (self.next() >> 20) % bound
    }
}
