//! The process's limit of open files, which bounds connections and who of them plays files at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a connection has open while it plays one, beside its socket: the poll and the waker of its thread, the
/// file, and for a moment the next one of a playlist.
pub const PER_FILE_PLAYER: u64 = 4;

/// How many connections a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// At once.
    pub connections: usize,
    /// Of them, so many that play files.
    pub file_players: usize,
}

impl Ceilings {
    /// What `room` open files allow of these; `per_connection`: what any connection has open. Where there is too little
    /// for all, a quarter is kept for the files that are played.
    #[must_use]
    pub fn lowered_to(self, room: u64, per_connection: u64) -> Ceilings {
        let wanted = PER_FILE_PLAYER.saturating_mul(self.file_players as u64);
        let kept = wanted.min(room / 4);
        let connections = fit(self.connections, (room - kept) / per_connection.max(1));
        let rest = room.saturating_sub(per_connection.saturating_mul(connections as u64));
        Ceilings { connections, file_players: fit(self.file_players, rest / PER_FILE_PLAYER) }
    }
}

/// Not more than allowed, and one in any case; none if none is wanted.
fn fit(wanted: usize, allowed: u64) -> usize {
    wanted.min(usize::try_from(allowed).unwrap_or(usize::MAX).max(1))
}

/// Raises the soft limit to the hard one; returns how many files may be open, `None` for no limit.
pub fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // Some systems have a ceiling below the hard limit.
        Err(_) => limit.current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_limit_allows_is_shared_between_connections_and_those_that_play_files() {
        let ceilings = |connections, file_players| Ceilings { connections, file_players };
        for (wanted, room, per_connection, expected) in [
            // Enough for all.
            ((10_000, 1024), 20_000, 1, (10_000, 1024)),
            ((10_000, 1024), 14_096, 1, (10_000, 1024)),
            // A quarter is for files.
            ((10_000, 1024), 1000, 1, (750, 62)),
            ((10_000, 1024), 1000, 2, (375, 62)),
            // Few connections leave more to files.
            ((100, 1024), 1000, 1, (100, 225)),
            // Nobody plays files.
            ((10_000, 0), 1000, 1, (1000, 0)),
            ((10_000, 1024), 0, 1, (1, 1)),
        ] {
            let lowered = ceilings(wanted.0, wanted.1).lowered_to(room, per_connection);
            assert_eq!(lowered, ceilings(expected.0, expected.1), "{wanted:?} of {room}");
        }
    }
}
