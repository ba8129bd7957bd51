//! Offenders of many kinds at once, beside a publisher and players that must not notice.
//!
//! The offenders are sockets in one thread, which writes what their script says and throws answers away. Some do
//! what is allowed, only expensively; the others must be closed, and the log must say so once for each.

use crate::{
    probe::{Feeder, Loss, Watcher},
    report::Report,
    stage::{Problem, Stage},
    weir_process::Weir,
    wire,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

/// One kind of offender.
struct Kind {
    name: &'static str,
    count: usize,
    script: fn(usize) -> Script,
    /// What the log says when it is closed; `None`: it may go on, until it leaves by itself.
    reason: Option<&'static str>,
}

/// What an offender says.
struct Script {
    /// First of all.
    head: Vec<u8>,
    /// Again and again behind that.
    then: Vec<u8>,
    pace: Pace,
}

/// A turn comes every 10 ms.
#[derive(Clone, Copy)]
struct Pace {
    /// Bytes of a write.
    bytes: usize,
    /// Writes of a turn.
    writes: usize,
    /// Turns left out between two.
    pause: u32,
}

const AT_ONCE: Pace = Pace { bytes: 1 << 20, writes: 1, pause: 0 };

fn said(head: Vec<u8>, then: Vec<u8>) -> Script {
    Script { head, then, pace: AT_ONCE }
}

const KINDS: &[Kind] = &[
    Kind {
        name: "connect and say nothing",
        count: 300,
        script: |_| said(vec![], vec![]),
        reason: Some("handshake"),
    },
    Kind {
        name: "a handshake byte by byte, 20 a second",
        count: 1000,
        script: |_| Script {
            pace: Pace { bytes: 1, writes: 1, pause: 4 },
            ..said(wire::handshake(), vec![])
        },
        reason: Some("handshake"),
    },
    Kind {
        name: "publish in writes of one byte",
        count: 20,
        script: |index| {
            let head = wire::publish(&format!("slowly-{index}"));
            Script { pace: Pace { bytes: 1, writes: 10, pause: 0 }, ..said(head, vec![]) }
        },
        reason: None,
    },
    Kind {
        name: "chunk size 1, and nothing but empty messages",
        count: 20,
        script: |index| {
            let head = [wire::publish(&format!("tiny-{index}")), wire::chunk_size(1)].concat();
            said(head, wire::promise(6, 0).repeat(100))
        },
        reason: Some("max_tiny_chunks"),
    },
    Kind {
        name: "video in chunks of one byte",
        count: 5,
        script: |index| {
            let head = [wire::publish(&format!("bytes-{index}")), wire::chunk_size(1)].concat();
            // Five bytes of a frame, each behind its header.
            let body = [0x27, 1, 0, 0, 0].map(|byte| vec![0xc6, byte]).concat();
            said(head, [wire::promise(6, 5), body[1..].to_vec()].concat().repeat(100))
        },
        reason: Some("max_tiny_chunks"),
    },
    Kind {
        name: "a message of 16 MB before publishing",
        count: 20,
        script: |_| {
            let head = [wire::connect_with(None), wire::chunk_size(1 << 24), wire::video(0xff_ffff)].concat();
            said(head, vec![])
        },
        reason: Some("max_early_message_len"),
    },
    Kind {
        name: "frames of 16 MB, one after the other",
        count: 2,
        script: |index| {
            let head = [wire::publish(&format!("large-{index}")), wire::chunk_size(1 << 24)].concat();
            said(head, wire::video(0xff_ffff))
        },
        reason: None,
    },
    Kind {
        name: "thousands of csids",
        count: 50,
        script: |index| {
            let begun = (3..3000).flat_map(|csid| [wire::promise(csid, 1000), vec![0; 128]].concat());
            said([wire::publish(&format!("csid-{index}")), begun.collect()].concat(), vec![])
        },
        reason: Some("max_chunk_streams"),
    },
    Kind {
        name: "AMF objects in objects, 5000 deep",
        count: 50,
        script: |_| said(wire::connect_with(Some(("deep", wire::deep(5000)))), vec![]),
        reason: Some("max_amf_depth"),
    },
];

/// For everybody who is to be closed; the handshake has 10 s.
const LIMIT: Duration = Duration::from_secs(20);
/// p99 of the delay of others meanwhile, as a multiple of that in peace, and milliseconds that are always allowed:
/// the offenders take their part of the processor.
const DELAY: f64 = 5.0;
const DELAY_MS: f64 = 50.0;
/// KiB: a connection that has not come far, and one that publishes: a partial message (20 MiB, in a buffer that
/// may be twice as large), the message before, which its hub keeps.
const CONNECTION_KIB: f64 = 16.0;
const LARGE_KIB: f64 = 3.0 * 20.0 * 1024.0;

pub(crate) fn run(stage: &Stage, report: &mut Report) -> Result<(), Problem> {
    let mut weir = Weir::start(stage, &[])?;
    let idle = weir.usage()?;
    let _feeder = Feeder::start(stage, weir.url("good")?, None)?;
    let watchers = (0..4)
        .map(|_| Watcher::start(stage, weir.url("good")?, Loss::Nothing, None))
        .collect::<Result<Vec<_>, Problem>>()?;
    stage.step("peace");
    stage.pass(Duration::from_secs(stage.choose(6, 3)))?;
    let quiet = watchers.iter().map(|watcher| watcher.restart().delay(99.0)).fold(0.0, f64::max);
    let opened_before = weir.logged(" opened: ");

    stage.step("offenders come");
    let mut offenders = Vec::new();
    for (kind_index, kind) in KINDS.iter().enumerate() {
        for index in 0..kind.count {
            let socket = TcpStream::connect(weir.address())?;
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            offenders.push(Offender::new(kind_index, socket, (kind.script)(index)));
        }
    }
    stage.step("offenders");
    let before = weir.usage()?.cpu;
    let since = Instant::now();
    // All do what they do, those that may go on as well, until the last is closed.
    let mut buffer = vec![0; 64 << 10];
    let is_over = |offenders: &[Offender]| {
        offenders.iter().all(|offender| offender.is_closed || KINDS[offender.kind].reason.is_none())
    };
    stage.until(LIMIT, || {
        for offender in &mut offenders {
            offender.turn(&mut buffer);
        }
        is_over(&offenders)
    })?;
    let took = since.elapsed();
    let cpu = (weir.usage()?.cpu - before) / took.as_secs_f64() * 100.0;
    thread::sleep(Duration::from_millis(200));
    let busy = watchers.iter().map(|watcher| watcher.restart().delay(99.0)).fold(0.0, f64::max);

    report.figure(
        "offenders",
        format!("{} for {:.1} s, CPU of the server {cpu:.0} %", offenders.len(), took.as_secs_f64()),
    );
    let log = weir.log();
    let closed: Vec<&str> = log.lines().filter(|line| line.contains(" closed: ")).collect();
    for reason in
        ["handshake", "max_tiny_chunks", "max_early_message_len", "max_chunk_streams", "max_amf_depth"]
    {
        let kinds = KINDS.iter().filter(|kind| kind.reason == Some(reason));
        let count = kinds.map(|kind| kind.count).sum();
        let lines = closed.iter().filter(|line| line.contains(reason)).count();
        report.equal(format!("closed and logged once: {reason}"), lines, count);
    }
    for (kind_index, kind) in KINDS.iter().enumerate().filter(|(_, kind)| kind.reason.is_none()) {
        let mine = || offenders.iter().filter(|offender| offender.kind == kind_index);
        let lost = mine().filter(|offender| offender.is_closed).count();
        report.equal(format!("legal, and served: {}", kind.name), mine().count() - lost, kind.count);
    }
    report.equal("publishers in writes of one byte", weir.logged("publishes live/slowly-"), 20);
    let extra = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).count();
    report.equal("warnings and errors beside that", extra, 0);
    let most = weir.usage()?.rss_peak as f64;
    let ceiling = idle.rss as f64 + CONNECTION_KIB * offenders.len() as f64 + LARGE_KIB * 2.0;
    report.at_most("memory at its peak", most, ceiling, " KiB");

    report.figure("p99 delay of the others in peace", format!("{quiet:.1} ms"));
    report.at_most("p99 delay of the others meanwhile", busy, (quiet * DELAY).max(DELAY_MS), " ms");
    for (index, watcher) in watchers.iter().enumerate() {
        let findings = watcher.findings();
        report.check(format!("player {index} lost nothing"), findings.lost_nothing(), findings.trouble());
    }
    drop(offenders);
    let is_gone = || weir.logged(" opened: ") - weir.logged(" closed: ") <= opened_before;
    report.check("all offenders are gone at last", stage.until(LIMIT, is_gone)?, "");
    report.check("the server lives", weir.is_alive(), "");
    Ok(())
}

struct Offender {
    /// Index in [`KINDS`].
    kind: usize,
    socket: TcpStream,
    script: Script,
    /// Bytes of the head, or of one repetition, that are written.
    at: usize,
    is_past_head: bool,
    /// Turns to leave out.
    pause: u32,
    is_closed: bool,
}

impl Offender {
    fn new(kind: usize, socket: TcpStream, script: Script) -> Offender {
        Offender { kind, socket, script, at: 0, is_past_head: false, pause: 0, is_closed: false }
    }

    /// Reads all there is, and writes what is possible and due.
    fn turn(&mut self, buffer: &mut [u8]) {
        if self.is_closed {
            return;
        }
        loop {
            match self.socket.read(buffer) {
                Ok(0) => self.is_closed = true,
                Ok(_) => continue,
                Err(error) if is_later(error.kind()) => {}
                Err(_) => self.is_closed = true,
            }
            break;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        self.pause = self.script.pace.pause;
        for _ in 0..self.script.pace.writes {
            self.write();
        }
    }

    fn write(&mut self) {
        let bytes = if self.is_past_head { &self.script.then } else { &self.script.head };
        let rest = &bytes[self.at..];
        if !rest.is_empty() {
            match self.socket.write(&rest[..rest.len().min(self.script.pace.bytes)]) {
                Ok(written) => self.at += written,
                Err(error) if is_later(error.kind()) => {}
                Err(_) => self.is_closed = true,
            }
        }
        if self.at == bytes.len() && !self.script.then.is_empty() {
            (self.is_past_head, self.at) = (true, 0);
        }
    }
}

fn is_later(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
