//! What the system says of this process. What it does not say, on other systems than Linux, is `None`.

use crate::server::stats;
use core::time::Duration;
use rustix::{process::Resource, time::ClockId};
use std::{fs, thread};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server::web) struct Process {
    /// Processor time since the start, user and system.
    pub(in crate::server::web) cpu: Duration,
    pub(in crate::server::web) cores: usize,
    pub(in crate::server::web) resident_bytes: Option<u64>,
    pub(in crate::server::web) threads: Option<u64>,
    pub(in crate::server::web) open_files: Option<u64>,
    pub(in crate::server::web) max_open_files: Option<u64>,
}

impl Process {
    /// As it is now. Where there are more than [`MANY`] connections, open files are not counted one by one.
    pub(super) fn now(stats: &stats::Stats) -> Process {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let cpu = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
        let open = stats.connections.value();
        let open_files = match open {
            // One of them is the listing itself.
            0..=MANY => {
                fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1))
            }
            _ => Some(open),
        };
        Process {
            cpu: Duration::try_from(cpu).unwrap_or_default(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            resident_bytes: number("VmRSS:").map(|kilobytes| kilobytes << 10),
            threads: number("Threads:"),
            open_files,
            max_open_files: rustix::process::getrlimit(Resource::Nofile).current,
        }
    }
}

/// Listing the files of more connections takes milliseconds; then their number has to do.
const MANY: u64 = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_threads_and_files() {
        let process = Process::now(&stats::Stats::default());
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{process:?}");
        assert!(process.threads.is_some_and(|threads| threads >= 1));
        assert!(process.open_files.is_some_and(|files| files >= 3) && process.cores >= 1);
        let spin = (0..20_000_000_u64).fold(0_u64, |sum, number| sum ^ number.wrapping_mul(7));
        assert!(Process::now(&stats::Stats::default()).cpu > process.cpu, "{spin}");
    }
}
