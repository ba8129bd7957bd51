//! Load on a live server: publishers and players, and whether everything arrived, and when.
//!
//! Works against any RTMP server, so that weir can be compared; players may play FLV by HTTP or WebSocket instead, or RTSP.
//! Publishers send a synthetic stream whose tags carry stamps ([`stream`]); all players join at once while it runs; then
//! the measurement begins and lasts `--seconds`. Most players only count bytes, a few probes check every tag and measure
//! delays ([`players`]).
//!
//! With `--file` nothing is published: players play a recorded stream of the server, such as one that `--write` made.

#![expect(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "a program has std anyway")]

#[path = "../common.rs"]
mod common;
mod counter;
mod figures;
mod http;
mod line;
mod players;
mod publishers;
mod rtp;
mod rtsp;
mod stream;
mod system;

use common::{Failure, Tool, value};
use figures::{ENOUGH, Figures};
use getopts::{Matches, Options};
use indicatif::{ProgressBar, ProgressStyle};
use line::PlayUrl;
use players::{Findings, Hall, Manner, PlayerCounters, Seat};
use publishers::PublisherCounters;
use std::{
    fs, io,
    io::Write,
    process::{self, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use stream::{Shape, Source};
use system::Usage;
use weir::{
    flv::writer,
    server::client::{RtmpUrl, UrlError},
};

fn main() -> ExitCode {
    let tool = Tool {
        name: "load",
        synopsis: "[flags] rtmp://HOST[:PORT]/APP/KEY",
        purpose: "Puts publishers and players on an RTMP server and measures what arrives.\n\
                  With several publishers, KEY-0, KEY-1 ... are published.\n\
                  With --play http://HOST:PORT/APP/KEY.flv, players play that.",
        arguments: 1,
    };
    let mut flags = Options::new();
    flags.optopt("", "publishers", "streams to publish (default 1)", "N");
    flags.optopt("", "players", "players of each stream (default 10)", "N");
    flags.optopt("", "probes", "of all players, how many check every tag (default 4)", "N");
    flags.optopt("", "stalled", "of all players, how many stop to read once they have a picture", "N");
    flags.optopt("", "slow", "of all players, how many read at a tenth of the rate from there", "N");
    flags.optopt("", "seconds", "length of the measurement (default 10)", "S");
    flags.optopt("", "bitrate", "kbit/s of a stream, audio included (default 2000)", "KBIT");
    flags.optopt("", "fps", "video frames a second, 0 = audio only (default 30)", "N");
    flags.optopt("", "keyframe", "bytes of a keyframe (default 8 times another frame's)", "BYTES");
    flags.optopt("", "start", "the first timestamp in ms; they wrap at 2^32 (default 0)", "MS");
    flags.optopt("", "gop", "frames from keyframe to keyframe (default 60)", "N");
    flags.optopt("", "audio", "kbit/s of audio, 43 tags a second, 0 = video only (default 64)", "KBIT");
    flags.optopt(
        "",
        "play",
        "play from here instead: FLV by http:// or ws://, RTSP by rtsp:// or (over UDP) rtspu://",
        "URL",
    );
    flags.optopt("", "threads", "threads for counting players (default 2)", "N");
    flags.optopt("", "before", "seconds that streams run before players join (default 0)", "S");
    flags.optflag("", "file", "play a file of the server, published by nobody; implies --probes 0");
    flags.optflag("", "write", "write a stream, --seconds of it, to an FLV file, named in place of the URL");
    flags.optmulti("", "pid", "measure this process, the server; repeatable: their sum", "PID");
    flags.optopt("", "json", "write the figures as JSON, - = standard output instead of the line", "FILE");
    tool.main(flags, |matches| {
        if matches.opt_present("write") {
            return write_file(&matches.free[0], shape(matches)?, value(matches, "seconds", 10)?);
        }
        let plan = Plan::parse(matches)?;
        let figures = run(&plan)?;
        report(&figures, matches.opt_str("json").as_deref())?;
        if figures.is_good() {
            Ok(())
        } else {
            Err(Failure::Run("players were closed, short or damaged".into()))
        }
    })
}

/// What to do.
struct Plan {
    url: RtmpUrl,
    /// Where players play, if it is not there.
    play: Option<PlayUrl>,
    /// Nothing is published; `publishers` is 1 for the one stream there is.
    is_file: bool,
    publishers: usize,
    /// Of each stream.
    players: usize,
    probes: usize,
    /// Of all players, those that do not read, and those that read at a tenth of the rate.
    stalled: usize,
    slow: usize,
    /// From the last publisher's start to the first player.
    before: Duration,
    /// The measurement.
    time: Duration,
    shape: Shape,
    threads: usize,
    /// The processes of the server, if they are known.
    pids: Vec<u32>,
}

impl Plan {
    fn parse(matches: &Matches) -> Result<Plan, Failure> {
        let is_file = matches.opt_present("file");
        let play = matches.opt_str("play").map(|url| {
            PlayUrl::parse(&url).map_err(|error| Failure::Usage(format!("--play {url}: {error}")))
        });
        if is_file && play.is_some() {
            return Err(Failure::Usage("--file plays by RTMP alone, without --play".into()));
        }
        let play = play.transpose()?;
        let (stalled, slow) = (value(matches, "stalled", 0)?, value(matches, "slow", 0)?);
        if matches!(play, Some(PlayUrl::Rtsp(_))) && stalled + slow > 0 {
            return Err(Failure::Usage("--stalled and --slow are not for players by RTSP".into()));
        }
        Ok(Plan {
            play,
            url: matches.free[0].parse().map_err(|error: UrlError| Failure::Usage(error.to_string()))?,
            is_file,
            publishers: if is_file { 1 } else { value(matches, "publishers", 1)? },
            players: value(matches, "players", 10)?,
            // A file's stamps tell nothing of delays.
            probes: if is_file { 0 } else { value(matches, "probes", 4)? },
            stalled,
            slow,
            before: Duration::from_secs(value(matches, "before", 0)?),
            time: Duration::from_secs(value(matches, "seconds", 10)?),
            shape: shape(matches)?,
            threads: value::<usize>(matches, "threads", 2)?.max(1),
            pids: matches
                .opt_strs("pid")
                .iter()
                .map(|pid| pid.parse().map_err(|error| Failure::Usage(format!("--pid {pid}: {error}"))))
                .collect::<Result<_, _>>()?,
        })
    }

    /// What the player with this number of `total` does. Probes come last, where a server that serves in order is
    /// late; laggards come first.
    fn manner(&self, index: usize, total: usize) -> Manner {
        if index + self.probes >= total {
            Manner::Probe
        } else if index < self.stalled {
            Manner::Lag(0)
        } else if index < self.stalled + self.slow {
            Manner::Lag(u64::from(self.shape.bitrate) / 80)
        } else {
            Manner::Count
        }
    }

    /// Where each of these streams is played.
    fn play_urls(&self, published: &[RtmpUrl]) -> Vec<PlayUrl> {
        match &self.play {
            None => published.iter().cloned().map(PlayUrl::Rtmp).collect(),
            Some(url) if published.len() == 1 => vec![url.clone()],
            Some(url) => (0..published.len()).map(|number| url.numbered(number)).collect(),
        }
    }

    /// One for each publisher.
    fn urls(&self) -> Vec<RtmpUrl> {
        let mut urls = vec![self.url.clone(); self.publishers];
        if self.publishers > 1 {
            let (name, query) = match self.url.key.split_once('?') {
                Some((name, query)) => (name, format!("?{query}")),
                None => (&*self.url.key, String::new()),
            };
            for (index, url) in urls.iter_mut().enumerate() {
                url.key = format!("{name}-{index}{query}");
            }
        }
        urls
    }
}

/// The stream that is published, written or expected.
fn shape(matches: &Matches) -> Result<Shape, Failure> {
    let kbit = |flag, default| value(matches, flag, default).map(|kbit: u32| kbit.saturating_mul(1000));
    let fps = value(matches, "fps", 30)?;
    let audio_bitrate = kbit("audio", 64)?;
    let shape = Shape {
        bitrate: if fps == 0 { audio_bitrate } else { kbit("bitrate", 2000)? },
        fps,
        gop: value::<u32>(matches, "gop", 60)?.max(1),
        audio_bitrate,
        keyframe: matches.opt_str("keyframe").map(|_| value(matches, "keyframe", 0)).transpose()?,
        start: value(matches, "start", 0)?,
    };
    if fps == 0 && audio_bitrate == 0 {
        return Err(Failure::Usage("--fps 0 and --audio 0 leave nothing to send".into()));
    }
    Ok(shape)
}

/// Writes a stream as publishers send it.
fn write_file(path: &str, shape: Shape, seconds: u64) -> Result<(), Failure> {
    let mut source = Source::new(shape, 0);
    let mut bytes = writer::header(true, true).to_vec();
    let epoch = Instant::now();
    let mut tags = source.headers();
    while source.due() < Duration::from_secs(seconds) {
        tags.push(source.next_tag(epoch));
    }
    for tag in &tags {
        writer::write_tag(&mut bytes, tag).map_err(|error| Failure::run(path, error))?;
    }
    fs::write(path, bytes).map_err(|error| Failure::run(path, error))
}

fn run(plan: &Plan) -> Result<Figures, Failure> {
    let urls = plan.urls();
    let play_urls = plan.play_urls(&urls);
    let resolve = |url: &PlayUrl| url.resolve().map_err(|error| Failure::run(url, error));
    let server = resolve(&PlayUrl::Rtmp(plan.url.clone()))?;
    let play_server = play_urls.first().map_or(Ok(server), resolve)?;
    let total = plan.publishers * plan.players;
    // By UDP, two for each of two tracks as well.
    let files = if matches!(&plan.play, Some(PlayUrl::Rtsp(url)) if url.is_udp) { 5 } else { 1 };
    system::allow_files((plan.publishers + files * total + 64) as u64).map_err(Failure::Run)?;
    let epoch = Instant::now();
    let bar = progress_bar();

    let sending = Arc::new(PublisherCounters {
        sent: urls.iter().map(|_| AtomicU64::new(0)).collect(),
        ..PublisherCounters::default()
    });
    let (tell, failed) = mpsc::channel();
    let published = if plan.is_file { Vec::new() } else { urls.clone() };
    let count = published.len();
    let publishers = publishers::start(published, server, plan.shape.clone(), epoch, sending.clone(), tell);
    let publishers = publishers.map_err(|error| Failure::run("thread", error))?;
    let live = wait_until(&bar, "publishers", count, &failed, || sending.live.load(Relaxed))?;
    if live < count {
        return Err(Failure::Run(format!(
            "{live} of {count} publishers are live after {} s",
            OPENING.as_secs()
        )));
    }

    measure(&bar, "streaming", plan.before, &failed)?;
    let usage = |when: &str| match &*plan.pids {
        [] => Ok(None),
        pids => Usage::of(pids).map(Some).map_err(|error| Failure::run(format!("--pid {when}"), error)),
    };
    let idle = usage("before the players")?;
    let first_connect = epoch.elapsed();
    let hall = Hall {
        server: play_server,
        has_video: plan.shape.fps > 0,
        epoch,
        stop: Arc::default(),
        measured_from: Arc::default(),
        wake: Arc::default(),
    };
    let players: Vec<Arc<PlayerCounters>> = (0..total).map(|_| Arc::default()).collect();
    let seats = players.iter().enumerate().map(|(index, counters)| Seat {
        url: play_urls[index % play_urls.len()].clone(),
        manner: plan.manner(index, total),
        counters: counters.clone(),
    });
    let (counting, others): (Vec<Seat>, Vec<Seat>) = seats.partition(|seat| seat.manner == Manner::Count);
    let (probes, laggards) = others.into_iter().partition(|seat| seat.manner == Manner::Probe);
    let mut rows: Vec<Vec<Seat>> = (0..plan.threads).map(|_| Vec::new()).collect();
    for (index, seat) in counting.into_iter().enumerate() {
        rows[index % plan.threads].push(seat);
    }
    rows.extend([probes, laggards]);
    let mut threads = Vec::new();
    for (index, row) in rows.into_iter().filter(|row| !row.is_empty()).enumerate() {
        let thread = players::start(format!("players-{index}"), row, hall.clone());
        threads.push(thread.map_err(|error| Failure::run("thread", error))?);
    }
    let has_joined =
        |player: &&Arc<PlayerCounters>| player.joined.load(Relaxed) > 0 || player.is_closed.load(Relaxed);
    // Who has no picture by then counts as short.
    wait_until(&bar, "players", total, &failed, || players.iter().filter(has_joined).count())?;

    let read = |player: &Arc<PlayerCounters>| player.received.load(Relaxed);
    let before = usage("before the measurement")?;
    let own_before = Usage::of(&[process::id()]).ok();
    hall.measured_from.store(epoch.elapsed().as_micros() as u64, Relaxed);
    let started = Instant::now();
    let sent_before: Vec<u64> = sending.sent.iter().map(|sent| sent.load(Relaxed)).collect();
    let received_before: Vec<u64> = players.iter().map(read).collect();
    measure(&bar, "measuring", plan.time, &failed)?;
    let seconds = started.elapsed().as_secs_f64();
    let own_after = Usage::of(&[process::id()]).ok();
    let after = usage("after the measurement")?;
    sending.pause.store(true, Relaxed);
    thread::sleep(DRAIN);

    let rest = plan.time.saturating_sub(AHEAD);
    let expected: Vec<u64> = match plan.is_file {
        true => vec![(f64::from(plan.shape.bitrate) / 8.0 * rest.as_secs_f64()).max(1.0) as u64],
        false => {
            sending.sent.iter().zip(&sent_before).map(|(sent, before)| sent.load(Relaxed) - before).collect()
        }
    };
    let received: Vec<u64> =
        players.iter().zip(&received_before).map(|(player, before)| read(player) - before).collect();
    let laggards = &players[..players.len().min(plan.stalled + plan.slow)];
    let others = laggards.len()..;
    let shares: Vec<f64> = received
        .iter()
        .enumerate()
        .skip(laggards.len())
        .map(|(index, &received)| received as f64 / expected[index % urls.len()] as f64)
        .collect();
    let is_closed = |player: &&Arc<PlayerCounters>| player.is_closed.load(Relaxed);
    let closed = players[others.clone()].iter().filter(is_closed).count();
    let has_caught_up = |player: &&Arc<PlayerCounters>| player.has_caught_up.load(Relaxed);
    if !laggards.is_empty() {
        // What they and the publishers have to make up for is not to be measured.
        hall.measured_from.store(u64::MAX, Relaxed);
        hall.wake.store(epoch.elapsed().as_micros() as u64, Relaxed);
        sending.pause.store(false, Relaxed);
        let is_done = |player: &&Arc<PlayerCounters>| is_closed(player) || has_caught_up(player);
        wait_until(&bar, "laggards", laggards.len(), &failed, || laggards.iter().filter(is_done).count())?;
    }

    hall.stop.store(true, Relaxed);
    let mut findings = Findings::default();
    for thread in threads {
        let found = thread.join().map_err(|_| Failure::Run("a player thread panicked".into()))?;
        findings.merge(found.map_err(|error| Failure::run("players", error))?);
    }
    sending.stop.store(true, Relaxed);
    publishers.join().map_err(|_| Failure::Run("the publisher thread panicked".into()))?;
    bar.finish_and_clear();

    let joins: Vec<u32> =
        players.iter().map(|player| player.joined.load(Relaxed)).filter(|&time| time > 0).collect();
    let last_picture = players.iter().map(|player| player.pictured.load(Relaxed)).max().unwrap_or(0);
    let short = players[others]
        .iter()
        .zip(&shares)
        .filter(|(player, share)| player.joined.load(Relaxed) == 0 || **share < ENOUGH);
    Ok(Figures {
        publishers: plan.publishers,
        players: plan.players,
        seconds,
        bytes: received.iter().sum(),
        short: short.count(),
        shares,
        joins,
        all_joined: Duration::from_micros(last_picture).saturating_sub(first_connect),
        closed,
        laggards: laggards.len(),
        laggards_closed: laggards.iter().filter(is_closed).count(),
        laggards_caught_up: laggards.iter().filter(has_caught_up).count(),
        findings,
        idle,
        usage: before.zip(after),
        own_usage: own_before.zip(own_after),
    })
}

/// On a terminal only.
fn progress_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:12} [{wide_bar}] {pos}/{len}").expect("a constant template");
    ProgressBar::new(0).with_style(style)
}

/// Waits until `count` reaches `goal`, or for [`OPENING`]; how far it came.
fn wait_until(
    bar: &ProgressBar,
    what: &'static str,
    goal: usize,
    failed: &mpsc::Receiver<String>,
    count: impl Fn() -> usize,
) -> Result<usize, Failure> {
    bar.set_message(what);
    bar.set_length(goal as u64);
    let deadline = Instant::now() + OPENING;
    loop {
        let reached = count();
        bar.set_position(reached as u64);
        if reached >= goal || Instant::now() >= deadline {
            return Ok(reached);
        }
        pass_time(Duration::from_millis(20), failed)?;
    }
}

/// Lets the time pass.
fn measure(
    bar: &ProgressBar,
    what: &'static str,
    time: Duration,
    failed: &mpsc::Receiver<String>,
) -> Result<(), Failure> {
    bar.set_message(what);
    bar.set_length(time.as_secs());
    let started = Instant::now();
    while started.elapsed() < time {
        bar.set_position(started.elapsed().as_secs());
        let rest = time.saturating_sub(started.elapsed()).min(Duration::from_millis(200));
        pass_time(rest, failed)?;
    }
    Ok(())
}

/// Waits, but not when a publisher fails.
fn pass_time(time: Duration, failed: &mpsc::Receiver<String>) -> Result<(), Failure> {
    match failed.recv_timeout(time) {
        Ok(error) => Err(Failure::Run(error)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(()),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(Failure::Run("the publisher thread panicked".into()))
        }
    }
}

fn report(figures: &Figures, json: Option<&str>) -> Result<(), Failure> {
    let print = |text: String| {
        writeln!(io::stdout(), "{text}").map_err(|error| Failure::run("standard output", error))
    };
    match json {
        Some("-") => print(figures.json()),
        Some(path) => {
            fs::write(path, figures.json() + "\n").map_err(|error| Failure::run(path, error))?;
            print(figures.to_string())
        }
        None => print(figures.to_string()),
    }
}

/// For all publishers to be live, and for all players to have a picture; for laggards to catch up.
const OPENING: Duration = Duration::from_secs(30);

/// A server may rest for as long as what it sent of a file lasts: what players ask for, and a second.
const AHEAD: Duration = Duration::from_secs(4);

/// For the last tags to arrive.
const DRAIN: Duration = Duration::from_millis(1000);
