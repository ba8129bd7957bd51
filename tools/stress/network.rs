//! Network namespaces, the links between them, and what makes a link bad.
//!
//! A namespace belongs to a child that waits for its standard input to end, so it goes with this program and with
//! what that started there, and takes its links, addresses, queues and rules along. Needs root.

use crate::{
    children::Ending,
    stage::{Problem, Stage},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    fs::{self, File},
    io,
    os::fd::AsFd,
    process::{Command, Stdio},
    time::Duration,
};

/// A network of its own, with a loopback interface.
pub(crate) struct Namespace {
    holder: Ending,
}

/// For a thread that is to live in a namespace.
pub(crate) struct Entrance(File);

impl Entrance {
    /// Moves the calling thread there.
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))?)
    }
}

impl Namespace {
    /// # Errors
    /// [`Problem::CannotRun`] where namespaces are not allowed.
    pub(crate) fn new(stage: &Stage) -> Result<Namespace, Problem> {
        let mut command = Command::new("unshare");
        command.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let missing = |error| Problem::CannotRun(format!("unshare: {error}"));
        let mut namespace = Namespace { holder: Ending(command.spawn().map_err(missing)?) };
        let own = fs::read_link("/proc/self/ns/net")?;
        let path = namespace.path();
        let is_apart = || fs::read_link(&path).is_ok_and(|link| link != own);
        let child = &mut namespace.holder.0;
        let settled = stage.until(START, || is_apart() || !matches!(child.try_wait(), Ok(None)))?;
        if !settled || !is_apart() {
            return Err(Problem::CannotRun("no network namespaces: not root, or not in this kernel".into()));
        }
        namespace.must("ip", &["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.0.id())
    }

    pub(crate) fn entrance(&self) -> Result<Entrance, Problem> {
        let path = self.path();
        File::open(&path).map(Entrance).map_err(|error| Problem::broken(path, error))
    }

    /// A command that runs a program there, in place: the child's id is the program's.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        command
    }

    /// Runs a program to its end; what it printed, or why it failed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let output = self.command().arg(program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} {}: {}", arguments.join(" "), said.trim()))
    }

    /// The same, where it can only fail for lack of a program or a right.
    pub(crate) fn must(&self, program: &str, arguments: &[&str]) -> Result<String, Problem> {
        self.run(program, arguments).map_err(Problem::CannotRun)
    }
}

/// Two interfaces, joined: `name` here with address `net`.1 and `name` there with `net`.2.
pub(crate) fn join(here: &Namespace, there: &Namespace, name: &str, net: &str) -> Result<(), Problem> {
    let pid = there.holder.0.id().to_string();
    here.must("ip", &["link", "add", name, "type", "veth", "peer", "name", name, "netns", &pid])?;
    for (namespace, host) in [(here, 1), (there, 2)] {
        namespace.must("ip", &["address", "add", &format!("{net}.{host}/24"), "dev", name])?;
        // Packets as they are on a wire, so that losing one loses that much and no more.
        namespace.must("ip", &["link", "set", name, "gso_max_segs", "1"])?;
        namespace.must("ip", &["link", "set", name, "up"])?;
    }
    Ok(())
}

/// A bad link: what is sent from one end comes late, and some of it not at all.
pub(crate) struct Trouble<'a> {
    from: &'a Namespace,
    to: &'a Namespace,
    name: &'a str,
    by: By,
}

#[derive(Clone, Copy)]
enum By {
    Netem,
    /// A kernel without netem: a queue that fills and overflows, and a filter that drops at random.
    QueueAndFilter,
}

impl<'a> Trouble<'a> {
    /// Begins; ends with [`Trouble::end`].
    pub(crate) fn begin(
        from: &'a Namespace,
        to: &'a Namespace,
        name: &'a str,
    ) -> Result<Trouble<'a>, Problem> {
        let netem = ["delay", "40ms", "10ms", "loss", "2%"];
        let add = ["qdisc", "add", "dev", name, "root"];
        if from.run("tc", &[&add[..], &["netem"], &netem].concat()).is_ok() {
            return Ok(Trouble { from, to, name, by: By::Netem });
        }
        // 4 Mbit/s: a keyframe takes tens of milliseconds, and what is in the queue for longer than 200 ms is lost.
        let queue = ["tbf", "rate", "4mbit", "burst", "4kb", "latency", "200ms"];
        from.must("tc", &[&add[..], &queue].concat())?;
        let chain = "{ type filter hook input priority 0; }";
        let rules = format!(
            "add table inet loss\nadd chain inet loss in {chain}\n\
             add rule inet loss in iifname {name} numgen random mod 100 < 2 counter drop\n"
        );
        to.must("nft", &[&rules])?;
        Ok(Trouble { from, to, name, by: By::QueueAndFilter })
    }

    /// What was used.
    pub(crate) fn means(&self) -> &'static str {
        match self.by {
            By::Netem => "tc netem: 40 +- 10 ms, 2 % lost",
            By::QueueAndFilter => "no netem here; tc tbf: 4 Mbit/s, queue of 200 ms; nft: 2 % lost at random",
        }
    }

    /// Ends it; how many packets were lost.
    pub(crate) fn end(self) -> Result<usize, Problem> {
        let queue = self.from.must("tc", &["-s", "qdisc", "show", "dev", self.name, "root"])?;
        let mut lost = number_behind(&queue, "dropped ");
        self.from.must("tc", &["qdisc", "del", "dev", self.name, "root"])?;
        if matches!(self.by, By::QueueAndFilter) {
            let rules = self.to.must("nft", &["list", "table", "inet", "loss"])?;
            lost += number_behind(&rules, "counter packets ");
            self.to.must("nft", &["delete", "table", "inet", "loss"])?;
        }
        Ok(lost)
    }
}

/// The first number behind `name`; 0 if there is none.
fn number_behind(text: &str, name: &str) -> usize {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    let digits = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().unwrap_or(0)
}

/// For a child to be in its namespace.
const START: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_lost_packets_are_found() {
        let queue = "qdisc tbf 8001: root\n Sent 0 bytes 0 pkt (dropped 17, overlimits 0 requeues 0)";
        assert_eq!(number_behind(queue, "dropped "), 17);
        assert_eq!(number_behind("counter packets 31 bytes 5", "counter packets "), 31);
        assert_eq!(number_behind("", "dropped "), 0);
    }
}
