//! A connection's socket, and TLS around its bytes if the client wants it: every protocol comes both ways, on every listener.
//!
//! The first byte or two decide ([`base::sniff`](crate::base::sniff)). Plain bytes are read and written by
//! `connection` as they are, and the branch that tells is all that TLS costs them. Through TLS, what a read brings is opened at once and
//! handed over as if it had been read; what is written is sealed first, and no more of it than [`SEALED`] bytes before the socket has taken
//! those: the rest stays in the session, where it counts as waiting and can still be dropped.
//! Not here: deadlines. Until the first bytes inside of TLS have come, those of a connection that has said nothing hold.
//! Bounds: [`SEALED`] bytes on their way out; inwards a record (16 KiB), or 64 KiB of handshake.
//!
//! Field notes: RTMP clients mostly close without TLS's goodbye, so an end without it is an end like any other: both
//! protocols tell by themselves where a message is cut. Renegotiation (TLS 1.2) is refused by `rustls`.

use super::tls::Tls;
use crate::base::sniff::{Sniff, sniff};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{fmt, time::Duration};
use mio::net::TcpStream;
use rustls::{AlertDescription, ServerConnection};
use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
};

/// Bytes that are sealed ahead of what the socket has taken: four records, one vectored write.
const SEALED: usize = 64 << 10;
/// What somebody who speaks TLS is told where there is none: a fatal alert, `handshake_failure`.
const NO_TLS: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 40];

/// See the module.
pub(super) struct Transport {
    pub(super) socket: TcpStream,
    layer: Layer,
}

enum Layer {
    /// Nothing has come, or the first byte of what may be a TLS hello.
    Undecided(Option<u8>),
    Plain,
    Tls(Box<Channel>),
}

/// TLS around a connection.
pub(super) struct Channel {
    tls: ServerConnection,
    /// The client has said that nothing follows.
    is_at_end: bool,
    /// Its handshake was done when it was last looked at.
    is_agreed: bool,
}

/// What a read has brought.
pub(super) enum Received {
    /// So many bytes, in the buffer.
    Plain(usize),
    /// So many bytes of TLS; what was in them is added to the other buffer.
    Sealed(usize),
    /// The peer has closed its side.
    End,
    /// TLS has failed.
    Failed(Failure),
}

/// Why TLS ended a connection.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// A client wants TLS and there is no certificate.
    NoCertificate,
    /// The client left in the handshake.
    Cut,
    /// The handshake was not done in time.
    Slow,
    /// Said by either side.
    Tls(rustls::Error),
}

impl Transport {
    pub(super) fn new(socket: TcpStream) -> Transport {
        Transport { socket, layer: Layer::Undecided(None) }
    }

    /// Reads once, into `buffer`; through TLS what was inside is added to `opened`.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        opened: &mut Vec<u8>,
        tls: Option<&Tls>,
    ) -> io::Result<Received> {
        match &mut self.layer {
            Layer::Plain => Ok(match self.socket.read(buffer)? {
                0 => Received::End,
                count => Received::Plain(count),
            }),
            Layer::Tls(channel) => channel.read(&mut self.socket, buffer, opened),
            Layer::Undecided(held) => {
                let held = *held;
                self.read_first(held, buffer, opened, tls)
            }
        }
    }

    fn read_first(
        &mut self,
        held: Option<u8>,
        buffer: &mut [u8],
        opened: &mut Vec<u8>,
        tls: Option<&Tls>,
    ) -> io::Result<Received> {
        let mut len = 0;
        if let Some(byte) = held {
            buffer[0] = byte;
            len = 1;
        }
        match self.socket.read(&mut buffer[len..])? {
            0 => return Ok(Received::End),
            count => len += count,
        }
        match sniff(&buffer[..len]) {
            Sniff::NeedsMore if buffer[0] == 0x16 => {
                self.layer = Layer::Undecided(Some(buffer[0]));
                Ok(Received::Sealed(len))
            }
            Sniff::Tls => match tls.map(Tls::accept) {
                None => {
                    // It is the first that is written here: there is room.
                    let _ = self.socket.write(&NO_TLS);
                    Ok(Received::Failed(Failure::NoCertificate))
                }
                Some(Err(error)) => Ok(Received::Failed(Failure::Tls(error))),
                Some(Ok(mut connection)) => {
                    connection.set_buffer_limit(Some(SEALED));
                    let mut channel =
                        Box::new(Channel { tls: connection, is_at_end: false, is_agreed: false });
                    let received = channel.open(&buffer[..len], opened);
                    self.layer = Layer::Tls(channel);
                    Ok(received)
                }
            },
            _ => {
                self.layer = Layer::Plain;
                Ok(Received::Plain(len))
            }
        }
    }

    /// TLS around it, to write through: its session is no longer plain.
    pub(super) fn channel(&mut self) -> Option<(&mut Channel, &mut TcpStream)> {
        match &mut self.layer {
            Layer::Tls(channel) => Some((channel, &mut self.socket)),
            _ => None,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.layer, Layer::Tls(_))
    }

    /// TLS is agreed upon, and not yet in place.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(&self.layer, Layer::Tls(channel) if channel.tls.is_handshaking())
    }

    /// What was agreed upon; told once, when the handshake is done.
    pub(super) fn agreement(&mut self) -> Option<String> {
        let Layer::Tls(channel) = &mut self.layer else { return None };
        if channel.tls.is_handshaking() || core::mem::replace(&mut channel.is_agreed, true) {
            return None;
        }
        let version = channel.tls.protocol_version()?;
        Some(format!("{version:?}, {:?}", channel.tls.negotiated_cipher_suite()?.suite()))
    }

    /// The client has said that nothing follows, which the next read tells.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(&self.layer, Layer::Tls(channel) if channel.is_at_end)
    }

    /// Sealed bytes wait for the socket.
    pub(super) fn holds_output(&self) -> bool {
        matches!(&self.layer, Layer::Tls(channel) if channel.tls.wants_write())
    }

    /// Ends our side.
    pub(super) fn shut_down(&self) {
        // Fails if the peer is gone already, which the next read tells.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Closing will reset the connection: the peer is to know that something is missing.
    pub(super) fn cut(&self) {
        // What fails because the peer has left is of no interest.
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// The last words of TLS, be it the reason of a failure, if they have not been said and the socket has room for them.
    pub(super) fn say_goodbye(&mut self) {
        if let Layer::Tls(channel) = &mut self.layer {
            channel.close();
            let _ = channel.write(&mut self.socket);
        }
    }
}

impl Channel {
    fn read(
        &mut self,
        socket: &mut TcpStream,
        buffer: &mut [u8],
        opened: &mut Vec<u8>,
    ) -> io::Result<Received> {
        if self.is_at_end {
            return Ok(Received::End);
        }
        Ok(match socket.read(buffer)? {
            0 if self.tls.is_handshaking() => Received::Failed(Failure::Cut),
            0 => Received::End,
            count => self.open(&buffer[..count], opened),
        })
    }

    /// Takes bytes of the peer. What has to be answered, a failure as well, waits until something is written.
    fn open(&mut self, mut bytes: &[u8], opened: &mut Vec<u8>) -> Received {
        let count = bytes.len();
        while !bytes.is_empty() && !self.is_at_end {
            if let Err(error) = self.open_some(&mut bytes, opened) {
                return Received::Failed(Failure::Tls(error));
            }
        }
        Received::Sealed(count)
    }

    fn open_some(&mut self, bytes: &mut &[u8], opened: &mut Vec<u8>) -> Result<(), rustls::Error> {
        // Of bytes in memory only its own buffers can be what fails.
        let full = |error: io::Error| rustls::Error::General(format!("{error}"));
        self.tls.read_tls(bytes).map_err(full)?;
        let state = self.tls.process_new_packets()?;
        let (from, more) = (opened.len(), state.plaintext_bytes_to_read());
        if more > 0 {
            opened.resize(from + more, 0);
            self.tls.reader().read_exact(&mut opened[from..]).map_err(full)?;
        }
        self.is_at_end = state.peer_has_closed();
        Ok(())
    }

    /// Seals bytes of the session's output, when nothing sealed waits any more; returns how many.
    pub(super) fn seal(&mut self, slices: &[&[u8]]) -> io::Result<usize> {
        let mut parts = [IoSlice::new(&[]); super::connection::MAX_SLICES];
        parts.iter_mut().zip(slices).for_each(|(part, slice)| *part = IoSlice::new(slice));
        self.tls.writer().write_vectored(&parts[..slices.len()])
    }

    pub(super) fn holds_output(&self) -> bool {
        self.tls.wants_write()
    }

    /// Writes what is sealed, as far as the socket takes it.
    pub(super) fn write(&mut self, socket: &mut TcpStream) -> io::Result<usize> {
        self.tls.write_tls(socket)
    }

    /// Tells the client that nothing follows, once; to be written.
    pub(super) fn close(&mut self) {
        self.tls.send_close_notify();
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoCertificate => f.write_str("it speaks TLS, and there is no certificate (--tls-cert)"),
            Failure::Cut => f.write_str("it left in the TLS handshake"),
            Failure::Slow => f.write_str("its TLS handshake took too long"),
            Failure::Tls(rustls::Error::AlertReceived(alert)) => {
                write!(f, "TLS refused by the client: {}", meaning(*alert))?;
                write!(f, " (alert {alert:?})")
            }
            Failure::Tls(error) => write!(f, "TLS: {error}"),
        }
    }
}

/// What operators want to know about an alert.
fn meaning(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => "it does not trust our certificate",
        AlertDescription::CertificateExpired => "our certificate is out of date",
        AlertDescription::CertificateRevoked => "our certificate is revoked",
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => "nothing that both sides can do",
        AlertDescription::UserCanceled => "it changed its mind",
        _ => "a fault in the conversation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tls::TlsConfig;
    use alloc::{string::ToString, sync::Arc, vec};
    use rustls::{
        ClientConfig, ClientConnection, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    };
    use std::{env, fs, net::TcpListener, process};

    /// A connection after its handshake, with its client, which has read nothing since.
    fn connected() -> (Transport, ClientConnection, std::net::TcpStream) {
        let directory = env::temp_dir().join(format!("weir-transport-{}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
        let files = TlsConfig { certificate: directory.join("cert.pem"), key: directory.join("key.pem") };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let tls = Tls::load(files.clone()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
        fs::remove_dir_all(directory).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let mut transport = Transport::new(TcpStream::from_std(socket));
        let (mut buffer, mut opened) = ([0; 4096], Vec::new());
        while client.is_handshaking() || transport.is_handshaking() {
            while client.wants_write() {
                client.write_tls(&mut peer).unwrap();
            }
            // Blocking, which is what this test waits by.
            transport.read(&mut buffer, &mut opened, Some(&tls)).unwrap();
            while transport.holds_output() {
                transport.say_all();
            }
            if client.is_handshaking() {
                client.read_tls(&mut peer).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        transport.socket = {
            let socket: std::net::TcpStream = transport.socket.into();
            socket.set_nonblocking(true).unwrap();
            TcpStream::from_std(socket)
        };
        (transport, client, peer)
    }

    impl Transport {
        fn say_all(&mut self) {
            let (channel, socket) = self.channel().unwrap();
            channel.write(socket).unwrap();
        }
    }

    #[test]
    fn no_more_is_sealed_than_four_records_ahead_of_the_socket() {
        let (mut transport, _client, _peer) = connected();
        let body = vec![7; 1 << 20];
        let (channel, socket) = transport.channel().unwrap();
        let mut sent = 0;
        loop {
            let sealed = channel.seal(&[&body[..10], &body]).unwrap();
            assert_eq!(sealed, SEALED);
            match channel.write(socket) {
                Ok(written) if !channel.holds_output() => sent += written,
                _ => break,
            }
            assert!(sent < 64 << 20, "the socket takes everything");
        }
        // Until that is written nothing more fits.
        assert!(channel.seal(&[&body]).unwrap() < SEALED);
        assert_eq!(channel.seal(&[&body]).unwrap(), 0);
    }
}
