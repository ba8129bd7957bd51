//! Streams through several servers, one of them nginx-rtmp: `push`, `--pull` and `--origin` in a row.
//!
//! ```text
//! publisher -> weir --push-> nginx-rtmp <-pull-- weir <-origin-- weir -> player
//! ```

use crate::{
    Report, compare,
    material::Media,
    process::Process,
    programs::{Player, Publisher, Server, free_port, open_connections, scratch, source},
    wait::until,
};
use std::{fs, thread, time::Duration};

/// Every server of a chain, each on its own port.
struct Chain {
    name: &'static str,
    ports: [u16; 4],
    first: Server,
    nginx: Process,
    third: Server,
    last: Server,
}

impl Chain {
    fn start(name: &'static str) -> Chain {
        let ports = [(); 4].map(|()| free_port());
        Chain {
            name,
            ports,
            first: first(name, ports, "first"),
            nginx: nginx(name, ports[1]),
            third: third(name, ports, "third"),
            last: last(name, ports, "last"),
        }
    }
}

fn first(name: &str, ports: [u16; 4], this: &str) -> Server {
    let push = format!("live/cam=rtmp://127.0.0.1:{}/live/cam", ports[1]);
    Server::start_on(ports[0], &format!("{name}-{this}"), &["--push", &push])
}

fn third(name: &str, ports: [u16; 4], this: &str) -> Server {
    let pull = format!("live/cam=rtmp://127.0.0.1:{}/live/cam", ports[1]);
    Server::start_on(ports[2], &format!("{name}-{this}"), &["--pull", &pull])
}

fn last(name: &str, ports: [u16; 4], this: &str) -> Server {
    let origin = format!("rtmp://127.0.0.1:{}", ports[2]);
    Server::start_on(ports[3], &format!("{name}-{this}"), &["--origin", &origin])
}

fn nginx(name: &str, port: u16) -> Process {
    let dir = scratch().join(format!("{name}-nginx"));
    fs::create_dir_all(&dir).unwrap();
    let configuration = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         daemon off;\nmaster_process off;\nerror_log stderr warn;\npid nginx.pid;\n\
         events {{ worker_connections 64; }}\n\
         rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 4096; max_message 8M;\n\
         application live {{ live on; }} }} }}\n"
    );
    fs::write(dir.join("nginx.conf"), configuration).unwrap();
    let prefix = dir.to_str().expect("a readable name");
    let process = Process::start("nginx", &dir, "nginx", ["-p", prefix, "-c", "nginx.conf", "-e", "stderr"]);
    until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

#[test]
fn a_chain_with_nginx_rtmp_in_it_is_bit_exact() {
    let source = source();
    let mut chain = Chain::start("chain");
    let player = chain.last.play(Player::Pull, "cam", "player");
    // The last asks the third, and the third asks nginx.
    until("the chain is there", || {
        open_connections(chain.ports[2]) == 1 && open_connections(chain.ports[1]) >= 1
    });
    chain.last.wait_for_connections(1);
    chain.first.publish(Publisher::Push, "cam", "publisher").succeed();
    let got = player.finish();
    let mut report = Report::new("weir -> nginx-rtmp -> weir -> weir");
    let told = |()| format!("{} packets, identical", got.packet_count());
    report.line("push, pull, origin", compare::identical(source, &got).map(told));
    report.end();
    chain.nginx.expect_running();
}

#[test]
fn a_chain_recovers_when_any_link_is_killed() {
    source();
    let Chain { name, ports, first: head, nginx: middle, third: tail, last: mut end } = Chain::start("links");
    let url = format!("rtmp://127.0.0.1:{}/live/cam", ports[0]);
    let publish = |server: &Server, name: &str| {
        server.run(name, env!("CARGO_BIN_EXE_push"), ["--loop", "0", "../source.flv", &url])
    };
    let publisher = publish(&head, "publisher");
    let pull = ["--duration", "60", "--wait", "20"].map(String::from).into_iter();
    let output = end.dir.join("out.flv");
    let player =
        end.run("player", env!("CARGO_BIN_EXE_pull"), pull.chain([end.url("cam"), "out.flv".into()]));
    end.wait_for_connections(1);
    let size = || fs::metadata(&output).map_or(0, |about| about.len());
    let flows = |what: &str| {
        let before = size();
        until(what, || size() > before + 300_000);
    };
    let mut report = Report::new("links killed, one after another");
    flows("at first");
    middle.kill();
    thread::sleep(Duration::from_millis(500));
    let mut again = nginx(name, ports[1]);
    flows("after nginx was killed");
    report.line("nginx-rtmp", Ok("came back".into()));
    tail.kill();
    thread::sleep(Duration::from_millis(500));
    let _tail = third(name, ports, "third-again");
    flows("after the third was killed");
    report.line("the pulling weir", Ok("came back".into()));
    player.kill();
    let got = Media::of_file(&output);
    for (track, packets) in got.tracks() {
        let back = packets.packets.windows(2).find(|pair| pair[1].dts <= pair[0].dts);
        let result = match back {
            Some(pair) => Err(format!("from {} to {} ms", pair[0].dts, pair[1].dts)),
            None => Ok(format!("{} packets, time goes on", packets.packets.len())),
        };
        report.line(track, result);
    }
    // nginx tells its players that the stream is over when its publisher is gone, and so do those behind.
    head.kill();
    publisher.kill_if_running();
    let late =
        end.run("late player", env!("CARGO_BIN_EXE_pull"), ["--duration", "2", &end.url("cam"), "late.flv"]);
    thread::sleep(Duration::from_millis(500));
    let head = first(name, ports, "first-again");
    let _publisher = publish(&head, "publisher again");
    late.succeed();
    report.line("the pushing weir", Ok("came back".into()));
    again.expect_running();
    report.end();
}
