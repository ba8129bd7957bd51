//! Peers that leave in the middle of a conversation.

use super::*;

/// `getStreamLength("cam")` as chunks, whatever the chunk size.
fn question() -> Vec<u8> {
    let body = b"\x02\0\x0fgetStreamLength\0\0\0\0\0\0\0\0\0\x05\x02\0\x03cam";
    let mut message = vec![3, 0, 0, 0, 0, 0, body.len() as u8, 20, 0, 0, 0, 0];
    message.extend(body);
    // The transaction id, so that it is answered.
    message[12 + 19] = 0x40;
    message
}

#[test]
fn who_asks_without_reading_and_resets_is_gone_at_once() {
    let (server, address) = start(config());
    let socket = TcpStream::connect(address).unwrap();
    let mut raw = socket.try_clone().unwrap();
    let client = Client::over(socket, "live");
    raw.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let questions = question().repeat(1000);
    // Until the answers fill both sides' buffers and the server reads no more.
    while raw.write_all(&questions).is_ok() {}
    drop(raw);
    client.reset();
    until("the connection is gone", || server.stats().connections.value() == 0);
}

#[test]
fn an_end_that_comes_while_answers_wait_is_seen() {
    let limits = Limits { max_queued_replies: 1, ..Limits::default() };
    let (server, address) = start(Config { limits, ..config() });
    let sockets: Vec<TcpStream> = (0..50)
        .map(|_| {
            let socket = TcpStream::connect(address).unwrap();
            let mut raw = socket.try_clone().unwrap();
            let mut client = Client::over(socket, "live");
            raw.write_all(&question()).unwrap();
            raw.shutdown(Shutdown::Write).unwrap();
            // Half a connection is enough to read the answer, of which the client session knows no question.
            client.wait("the answer", |event| matches!(event, Event::Ignored { .. }).then_some(()));
            raw
        })
        .collect();
    until("the connections are gone", || server.stats().connections.value() == 0);
    drop(sockets);
}
