//! Tests of single turns: what one connection may do before the others get theirs, and what its session is told.

use super::*;
use crate::{
    http::Date,
    server::{Config, Server, sockets::Sockets, testing::feed_port},
};
use alloc::{format, string::ToString, vec};
use std::io::{Read, Write};

/// A connection in a table of its own, and its client.
struct Bench {
    _server: Server,
    shared: Arc<Shared>,
    sockets: Sockets,
    index: usize,
    peer: std::net::TcpStream,
}

impl Bench {
    fn new() -> Bench {
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let server = Server::start(Config { listen: listen.clone(), ..Config::default() }).unwrap();
        let shared = server.shared.clone().unwrap();
        let listener = std::net::TcpListener::bind(listen[0]).unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (socket, address) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let owner = feed_port(1).0.port().clone();
        let socket = TcpStream::from_std(socket);
        let connection = Connection::new(socket, address, ConnectionId(1), owner, &shared);
        let (mut sockets, _) = Sockets::new(0).unwrap();
        let index = sockets.insert(Box::new(connection)).map_err(|(error, _)| error).unwrap();
        Bench { _server: server, shared, sockets, index, peer }
    }

    fn connection(&mut self) -> &mut Connection {
        self.sockets.get_mut(self.index).unwrap()
    }

    /// Bytes written so far.
    fn written(&mut self) -> u64 {
        self.connection().protocol.bytes().1
    }

    fn turn(&mut self) {
        let now = self.shared.now();
        let until = now + Duration::from_secs(20);
        let (shared, mut ready, mut actions) = (self.shared.clone(), Vec::new(), Vec::new());
        self.sockets.wait(now, Some(until), &mut ready);
        self.sockets.take_again();
        self.sockets.turn(self.index, &mut Context { now, shared: &shared, actions: &mut actions });
        assert!(self.sockets.settle(now, self.index).is_none(), "it is over");
    }

    /// The next bytes that the client gets.
    fn read(&mut self) -> String {
        let mut buffer = vec![0; 4096];
        let count = self.peer.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }
}

/// As many as fit a read buffer.
#[test]
fn requests_that_come_together_are_answered_in_many_turns() {
    for path in ["/live/nobody.flv", "/_weir/watch.mjs"] {
        let mut bench = Bench::new();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let count = 40_000 / request.len();
        bench.peer.write_all(request.repeat(count).as_bytes()).unwrap();
        bench.turn();
        let one = {
            let mut other = Bench::new();
            other.peer.write_all(request.as_bytes()).unwrap();
            other.turn();
            other.written()
        };
        let whole = one * count as u64;
        let client = bench.peer.try_clone().unwrap();
        let reader = std::thread::spawn(move || io::copy(&mut client.take(whole), &mut io::sink()).unwrap());
        // Of small ones not as many as there would be room for.
        let most = (TURN_ANSWERS as u64).min((TURN_ANSWERS / ANSWER_COST) as u64 * one) + one;
        let mut before = bench.written();
        assert!(before <= most, "{path}: {before} in the first turn, answers have {one}");
        while bench.written() < whole {
            bench.turn();
            let written = bench.written() - before;
            before += written;
            // What the socket did not take before leaves together with what is new.
            assert!(written <= 2 * most, "{path}: {written} in one turn, answers have {one}");
        }
        assert_eq!(reader.join().unwrap(), whole, "{path}");
    }
}

#[test]
fn what_a_session_says_by_itself_has_the_time_of_day() {
    let today = || Date(web::date().0).to_string()[..16].to_string();
    let (wrong, half) = ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n");
    // Its first bytes, after others, and when it has waited for too long.
    for (first, is_late) in [(wrong, false), ("OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", false), (half, true)] {
        let mut bench = Bench::new();
        let day = today();
        bench.peer.write_all(first.as_bytes()).unwrap();
        bench.turn();
        if first != wrong {
            bench.connection().protocol.http().unwrap().set_date(Date(0));
        }
        if is_late {
            let (shared, mut actions) = (bench.shared.clone(), Vec::new());
            let now = shared.now() + Duration::from_secs(20);
            let index = bench.sockets.expire(&mut Context { now, shared: &shared, actions: &mut actions });
            assert_eq!(index, Some(bench.index));
            bench.sockets.settle(now, bench.index);
        } else if first != wrong {
            bench.read();
            bench.peer.write_all(wrong.as_bytes()).unwrap();
            bench.turn();
        }
        let answer = bench.read();
        let status = if is_late { "HTTP/1.1 408 " } else { "HTTP/1.1 400 " };
        let has_date = [day, today()].iter().any(|day| answer.contains(&format!("\r\nDate: {day}")));
        assert!(answer.starts_with(status) && has_date, "{answer}");
    }
}

#[test]
fn an_answer_that_is_not_read_ends_its_connection_unless_it_is_endless() {
    for (call, ends) in [("events", false), ("server", true)] {
        let mut bench = Bench::new();
        let request = format!("GET /api/v1/{call} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        bench.peer.write_all(request.as_bytes()).unwrap();
        bench.turn();
        let (shared, mut actions) = (bench.shared.clone(), Vec::new());
        let now = shared.now();
        let mut cx = Context { now, shared: &shared, actions: &mut actions };
        let connection = bench.connection();
        // What comes by mail is not written here.
        while connection.protocol.output_len() == 0 {
            assert!(shared.now() < now + Duration::from_secs(20), "{call} is not answered");
            connection.check_mail(&mut cx);
            std::thread::yield_now();
        }
        cx.now = now + shared.stall_timeout * 100;
        connection.handle_timeout(&mut cx);
        assert_eq!(connection.is_over(), ends, "{call}");
    }
}
