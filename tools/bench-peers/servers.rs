//! The servers under test: starting, finding their processes, ending.
//!
//! Everything listens on 127.0.0.1. nginx runs from a configuration in a temporary folder, with one worker, the chunk
//! size that its users set, and no access log; weir and nginx log warnings alone. Files for `vod` lie in that folder.

use crate::{
    children::{Ending, beside, descendants, free_port},
    common::Failure,
    scenario::{Flags, REFERENCE},
};
use std::{
    env, fs,
    fs::File,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

/// A server that takes part.
#[derive(Clone)]
pub(crate) enum Contender {
    /// The weir built beside this program.
    Weir(Flags),
    /// Debian's nginx with libnginx-mod-rtmp.
    Nginx,
    /// Any other.
    Peer(Peer),
}

/// A server that the user named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    name: String,
    /// Where its command makes it listen, on 127.0.0.1.
    port: u16,
    /// For `sh -c`. Must stay in the foreground.
    command: String,
}

impl Peer {
    /// `name port command`.
    pub(crate) fn parse(text: &str) -> Result<Peer, Failure> {
        let wrong = || Failure::Usage(format!("--peer {text}: not `name port command`"));
        let (name, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (port, command) = rest.trim_start().split_once(' ').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        Ok(Peer { name: name.into(), port, command: command.trim().into() })
    }
}

impl Contender {
    /// For the tables.
    pub(crate) fn name(&self) -> String {
        match self {
            Contender::Weir(flags) => weir_name(flags),
            Contender::Nginx => REFERENCE.into(),
            Contender::Peer(peer) => peer.name.clone(),
        }
    }

    /// Which version it says it is, if we know how to ask.
    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Contender::Weir(_) => first_line(Command::new(beside("weir").ok()?).arg("--version")),
            Contender::Nginx => {
                let nginx = first_line(Command::new("nginx").arg("-v"))?;
                let query = ["-W", "-f", "${Version}", "libnginx-mod-rtmp"];
                let module = first_line(Command::new("dpkg-query").args(query));
                let module = module.unwrap_or_else(|| "of unknown version".into());
                Some(format!("{}, libnginx-mod-rtmp {module}", nginx.trim_start_matches("nginx version: ")))
            }
            Contender::Peer(_) => None,
        }
    }
}

pub(crate) fn weir_name(flags: &str) -> String {
    format!("weir {flags}").trim_end().into()
}

/// A temporary folder, removed at the end.
pub(crate) struct Prefix(PathBuf);

impl Prefix {
    pub(crate) fn new() -> Result<Prefix, Failure> {
        let path = env::temp_dir().join(format!("weir-bench-peers-{}", process::id()));
        fs::create_dir_all(&path).map_err(|error| Failure::run(path.display(), error))?;
        Ok(Prefix(path))
    }

    /// Makes the file that players of files play: longer than any measurement.
    pub(crate) fn write_clip(&self) -> Result<(), Failure> {
        let mut load = Command::new(beside("load")?);
        let status = load.args(["--write", "--seconds=120"]).arg(self.0.join(CLIP)).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::run("load --write", status)),
            Err(error) => Err(Failure::run("load", error)),
        }
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        // Whoever cleans the temporary folder finds it there.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that listens. It ends when this is dropped.
pub(crate) struct Running {
    child: Ending,
    pub(crate) port: u16,
    /// The processes that do the work.
    pub(crate) pids: Vec<u32>,
}

impl Running {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(
        contender: &Contender,
        prefix: &Prefix,
        stop: &AtomicBool,
    ) -> Result<Running, Failure> {
        let name = contender.name();
        let log_path = prefix.0.join("log");
        let log = || File::create(&log_path).map_err(|error| Failure::run(log_path.display(), error));
        let port = match contender {
            Contender::Peer(peer) => peer.port,
            _ => free_port()?,
        };
        let mut command = match contender {
            Contender::Weir(flags) => {
                let mut weir = Command::new(beside("weir")?);
                weir.args(["-q", "--listen", &format!("127.0.0.1:{port}"), "--media"]).arg(&prefix.0);
                weir.args(flags.split_whitespace());
                weir
            }
            Contender::Nginx => nginx(&prefix.0, port)?,
            Contender::Peer(peer) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("exec {}", peer.command)]);
                shell
            }
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log()?).spawn();
        let mut child = Ending(child.map_err(|error| Failure::run(format!("{name}: {command:?}"), error))?);
        let deadline = Instant::now() + START;
        let mut pids = Vec::new();
        while pids.is_empty() || TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(&log_path).unwrap_or_default();
            if let Some(status) = child.0.try_wait().map_err(|error| Failure::run(&name, error))? {
                return Err(Failure::run(name, format!("ended at once: {status}: {}", log().trim())));
            }
            if Instant::now() >= deadline || stop.load(Relaxed) {
                let why = format!("does not listen on port {port} after {} s", START.as_secs());
                return Err(Failure::run(name, format!("{why}: {}", log().trim())));
            }
            thread::sleep(Duration::from_millis(20));
            let own = child.0.id();
            pids = match contender {
                Contender::Weir(_) => vec![own],
                // The master does nothing.
                Contender::Nginx => descendants(own),
                Contender::Peer(_) => [own].into_iter().chain(descendants(own)).collect(),
            };
        }
        thread::sleep(SETTLE);
        Ok(Running { child, port, pids })
    }

    /// Whether the server still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.0.try_wait(), Ok(None))
    }
}

fn nginx(prefix: &Path, port: u16) -> Result<Command, Failure> {
    if !Path::new(NGINX_MODULE).exists() {
        return Err(Failure::run(NGINX_MODULE, "not there: tools/setup.sh bench installs it"));
    }
    let configuration = format!(
        "load_module {NGINX_MODULE};\n\
         daemon off;\n\
         worker_processes 1;\n\
         worker_rlimit_nofile 16384;\n\
         error_log stderr warn;\n\
         pid nginx.pid;\n\
         events {{ worker_connections 8192; }}\n\
         rtmp {{\n\
             access_log off;\n\
             server {{\n\
                 listen 127.0.0.1:{port};\n\
                 chunk_size 4096;\n\
                 application live {{ live on; }}\n\
                 application vod {{ play {}; }}\n\
             }}\n\
         }}\n",
        prefix.display()
    );
    let path = prefix.join("nginx.conf");
    fs::write(&path, configuration).map_err(|error| Failure::run(path.display(), error))?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(prefix).arg("-c").arg(&path).args(["-e", "stderr"]);
    Ok(nginx)
}

/// What a program prints first, wherever it prints it.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned());
    line.filter(|line| output.status.success() && !line.is_empty())
}

/// Where Debian's libnginx-mod-rtmp puts it.
const NGINX_MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// Plays as `vod/` and this.
pub(crate) const CLIP: &str = "clip.flv";

/// For a server to listen.
const START: Duration = Duration::from_secs(10);

/// Between listening and the load, so that start-up is not measured.
const SETTLE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_a_port_and_a_command_with_arguments() {
        let peer = Peer::parse("old 1999  weir --listen 127.0.0.1:1999").ok();
        let command = "weir --listen 127.0.0.1:1999".into();
        assert_eq!(peer, Some(Peer { name: "old".into(), port: 1999, command }));
        for wrong in ["", "old", "old 1999", "old port weir", "old 70000 weir"] {
            assert!(Peer::parse(wrong).is_err(), "{wrong}");
        }
    }
}
