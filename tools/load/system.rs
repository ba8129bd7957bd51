//! What the system knows: processor time, memory, threads and context switches of a process, and our file limit.

use std::{fs, io};

/// Figures of a process, or the sum of several, at one moment, from Linux's `/proc`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time in seconds.
    pub(crate) cpu: f64,
    /// Resident memory in KiB.
    pub(crate) rss: u64,
    /// The most that it ever was.
    pub(crate) rss_peak: u64,
    /// Resident memory in KiB, shared pages counted by share; 0 where it may not be read.
    pub(crate) pss: u64,
    pub(crate) threads: u64,
    /// Of all threads that live.
    pub(crate) switches: u64,
}

impl Usage {
    /// # Errors
    /// If one of the processes does not exist.
    pub(crate) fn of(pids: &[u32]) -> io::Result<Usage> {
        pids.iter().try_fold(Usage::default(), |sum, &pid| {
            let one = Usage::of_one(pid)?;
            Ok(Usage {
                cpu: sum.cpu + one.cpu,
                rss: sum.rss + one.rss,
                rss_peak: sum.rss_peak + one.rss_peak,
                pss: sum.pss + one.pss,
                threads: sum.threads + one.threads,
                switches: sum.switches + one.switches,
            })
        })
    }

    fn of_one(pid: u32) -> io::Result<Usage> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold spaces. Behind it, utime and stime are fields 12 and 13, in ticks.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let (mut switches, mut run) = (0, 0);
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // Threads come and go.
            let thread = thread?.path();
            let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
            switches +=
                field(&status, "voluntary_ctxt_switches") + field(&status, "nonvoluntary_ctxt_switches");
            run += first(&fs::read_to_string(thread.join("schedstat")).unwrap_or_default());
        }
        Ok(Usage {
            // The ticks are cut off and the nanoseconds leave out threads that have ended: neither is too much.
            cpu: f64::max(ticks as f64 / TICKS_PER_SECOND, run as f64 / 1e9),
            rss: field(&status, "VmRSS"),
            rss_peak: field(&status, "VmHWM"),
            pss: field(&rollup, "Pss"),
            threads: field(&status, "Threads"),
            switches,
        })
    }
}

/// The first number behind `name:`; 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map_or(0, first)
}

/// The number that a text begins with; 0 if it does not.
fn first(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// USER_HZ, fixed at 100 by Linux's ABI on all common machines.
const TICKS_PER_SECOND: f64 = 100.0;

/// Raises the limit of open files to what is allowed, and fails if `needed` are not.
pub(crate) fn allow_files(needed: u64) -> Result<(), String> {
    match weir::server::raise_file_limit() {
        Some(allowed) if allowed < needed => {
            Err(format!("{needed} open files are needed, {allowed} allowed"))
        }
        _ => Ok(()),
    }
}
