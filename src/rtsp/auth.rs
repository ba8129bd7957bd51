//! Logins: Basic (RFC 7617) and Digest with MD5 and SHA-256 (RFC 2617, 7616), as server and as client.
//!
//! In: the values of `WWW-Authenticate` and `Authorization`. Out: the same, and whether they are right.
//! As a server no `qop` is offered: without it the login is the same for ffmpeg, GStreamer and live555. Who uses it anyway is
//! understood. The URL that a digest covers is taken as sent: live555 names the whole presentation in SETUP, GStreamer
//! loses the path where there is a query.
//! Bounds: [`MAX_PARAMETERS`]; names and passwords are as long as heads allow.

use crate::base::base64;
use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};
use sha2::{Digest, Sha256};

/// Parameters of one header that are read; what follows is passed over. RFC 7616 knows twelve.
const MAX_PARAMETERS: usize = 16;

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Without a colon, which Basic has no place for.
    pub name: String,
    /// Any text.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.name)
    }
}

/// The better ones stand last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// That of a parameter; one that is missing is MD5.
    fn parse(name: Option<&str>) -> Option<Algorithm> {
        match name {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    /// The digest of the parts with colons between, as digits.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => hex(&md5::Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// Lower-case digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What an `Authorization` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The user of that number.
    Right(usize),
    /// Would be right, but for a nonce of another connection.
    Stale,
    Wrong,
}

/// The header fields of an answer 401. MD5 stands behind SHA-256, because ffmpeg takes the last Digest and knows MD5 alone.
pub(super) fn challenge(realm: &str, nonce: &str, is_stale: bool) -> String {
    let stale = if is_stale { ", stale=TRUE" } else { "" };
    let digest = format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\"");
    format!(
        "{digest}, algorithm=SHA-256{stale}\r\n{digest}{stale}\r\nWWW-Authenticate: Basic realm=\"{realm}\"\r\n"
    )
}

/// Checks an `Authorization` of a request with that method.
pub(super) fn verify(
    authorization: &str,
    method: &str,
    users: &[Credentials],
    realm: &str,
    nonce: &str,
) -> Verdict {
    let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        let login = base64::decode(rest.trim().as_bytes()).unwrap_or_default();
        let is_of =
            |user: &Credentials| is_same(&login, format!("{}:{}", user.name, user.password).as_bytes());
        return users.iter().position(is_of).map_or(Verdict::Wrong, Verdict::Right);
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return Verdict::Wrong;
    }
    let given = Parameters::parse(rest);
    let name = given.value("username").unwrap_or("");
    let found = users.iter().enumerate().find(|(_, user)| user.name == name);
    let (Some((number, user)), Some(algorithm), Some(response)) =
        (found, Algorithm::parse(given.value("algorithm")), given.value("response"))
    else {
        return Verdict::Wrong;
    };
    let given_nonce = given.value("nonce").unwrap_or("");
    let uri = given.value("uri").unwrap_or("");
    let qop = given
        .value("qop")
        .map(|qop| [given.value("nc").unwrap_or(""), given.value("cnonce").unwrap_or(""), qop]);
    let right = response_of(algorithm, user, realm, given_nonce, method, uri, qop);
    let is_right = is_same(right.as_bytes(), response.to_ascii_lowercase().as_bytes());
    match is_right {
        true if given_nonce == nonce => Verdict::Right(number),
        true => Verdict::Stale,
        false => Verdict::Wrong,
    }
}

/// The digest that proves a login; `qop` with nc and cnonce before it.
fn response_of(
    algorithm: Algorithm,
    user: &Credentials,
    realm: &str,
    nonce: &str,
    method: &str,
    uri: &str,
    qop: Option<[&str; 3]>,
) -> String {
    let first = algorithm.hash(&[&user.name, realm, &user.password]);
    let second = algorithm.hash(&[method, uri]);
    match qop {
        Some([nc, cnonce, qop]) => algorithm.hash(&[&first, nonce, nc, cnonce, qop, &second]),
        None => algorithm.hash(&[&first, nonce, &second]),
    }
}

/// Takes as long for nearly right as for wrong.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    left.len() == right.len() && differing == 0
}

/// What a server wants, as a client answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// `None`: Basic.
    algorithm: Option<Algorithm>,
    realm: String,
    pub(super) nonce: String,
    opaque: Option<String>,
    has_qop: bool,
}

impl Challenge {
    /// The best one of the values of `WWW-Authenticate` that is understood.
    pub(super) fn best<'a>(offered: impl Iterator<Item = &'a str>) -> Option<Challenge> {
        offered.filter_map(Challenge::parse).max_by_key(|challenge| challenge.algorithm)
    }

    fn parse(text: &str) -> Option<Challenge> {
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let given = Parameters::parse(rest);
        let value = |name| given.value(name).map(String::from);
        let algorithm = if scheme.eq_ignore_ascii_case("digest") {
            Some(Algorithm::parse(given.value("algorithm"))?)
        } else if scheme.eq_ignore_ascii_case("basic") {
            None
        } else {
            return None;
        };
        Some(Challenge {
            algorithm,
            realm: value("realm").unwrap_or_default(),
            nonce: value("nonce").unwrap_or_default(),
            opaque: value("opaque"),
            has_qop: given
                .value("qop")
                .is_some_and(|all| all.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"))),
        })
    }

    /// The value of `Authorization` for a request. `count` is how often this nonce was answered, with this one; `cnonce`
    /// is a nonce of our own.
    pub(super) fn answer(
        &self,
        user: &Credentials,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let Some(algorithm) = self.algorithm else {
            return format!(
                "Basic {}",
                base64::encode(format!("{}:{}", user.name, user.password).as_bytes())
            );
        };
        let nc = format!("{count:08x}");
        let qop = self.has_qop.then_some([&*nc, cnonce, "auth"]);
        let response = response_of(algorithm, user, &self.realm, &self.nonce, method, uri, qop);
        let mut text = String::from("Digest ");
        let quoted = [
            ("username", &*user.name),
            ("realm", &self.realm),
            ("nonce", &self.nonce),
            ("uri", uri),
            ("response", &response),
        ];
        for (number, (name, value)) in quoted.into_iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{name}=\"{}\"", escaped(value));
        }
        if algorithm == Algorithm::Sha256 {
            text.push_str(", algorithm=SHA-256");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(text, ", opaque=\"{}\"", escaped(opaque));
        }
        if self.has_qop {
            let _ = write!(text, ", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
        }
        text
    }
}

/// As it stands between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Digits that nobody can guess who does not know the seed, and that are the same for the same one.
pub(super) fn secret(seed: u64, purpose: &str, number: u32) -> String {
    let hash = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(purpose)
        .chain_update(number.to_be_bytes())
        .finalize();
    hex(&hash[..10])
}

/// `name=value` and `name="value"`, between commas.
#[derive(Debug, Default)]
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(text: &str) -> Parameters {
        let mut found = Vec::new();
        let mut rest = text;
        while found.len() < MAX_PARAMETERS {
            let Some((name, tail)) = rest.split_once('=') else { break };
            let tail = tail.trim_start();
            let mut value = String::new();
            rest = match tail.strip_prefix('"') {
                Some(quoted) => {
                    let mut chars = quoted.char_indices();
                    let mut end = quoted.len();
                    while let Some((at, char)) = chars.next() {
                        match char {
                            '"' => {
                                end = at + 1;
                                break;
                            }
                            '\\' => value.extend(chars.next().map(|(_, char)| char)),
                            char => value.push(char),
                        }
                    }
                    &quoted[end..]
                }
                None => {
                    let end = tail.find(',').unwrap_or(tail.len());
                    value.push_str(tail[..end].trim());
                    &tail[end..]
                }
            };
            let name = name.trim_matches(|char: char| char == ',' || char.is_whitespace());
            found.push((name.to_ascii_lowercase(), value));
        }
        Parameters(found)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn user(name: &str, password: &str) -> Credentials {
        Credentials { name: name.into(), password: password.into() }
    }

    #[test]
    fn digests_are_those_of_the_vectors() {
        let known = user("admin", "secret");
        let md5 = |user: &Credentials, realm, nonce, method, uri| {
            response_of(Algorithm::Md5, user, realm, nonce, method, uri, None)
        };
        assert_eq!(
            md5(&known, "live", "b0f6c1", "DESCRIBE", "rtsp://h:554/live/cam"),
            "a24bc3cabdb383e351e036fd73b31690"
        );
        // RFC 7616, 3.9.1.
        let mufasa = user("Mufasa", "Circle of Life");
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let qop = ["00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth"];
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let realm = "http-auth@example.org";
            let uri = "/dir/index.html";
            assert_eq!(response_of(algorithm, &mufasa, realm, nonce, "GET", uri, Some(qop)), response);
        }
    }

    #[test]
    fn what_a_client_answers_a_server_takes() {
        let users = vec![user("a", "b"), user("admin", "se:cr\"et\\")];
        let header = challenge("live", "abc", false);
        let offered: Vec<&str> = header
            .lines()
            .map(|line| line.strip_prefix("WWW-Authenticate: ").expect("a challenge"))
            .collect();
        assert_eq!(offered.len(), 3);
        assert_eq!(
            Challenge::best(offered.iter().copied()).map(|best| best.algorithm),
            Some(Some(Algorithm::Sha256))
        );
        let last = offered.iter().rev().find(|one| one.starts_with("Digest "));
        assert!(last.is_some_and(|last| !last.contains("algorithm")), "ffmpeg takes the last one: MD5");
        for one in offered.into_iter().chain(["Digest realm=\"live\", nonce=\"abc\", qop=\"auth-int, auth\""])
        {
            let known = Challenge::parse(one).expect("a challenge");
            let answer = known.answer(&users[1], "SETUP", "rtsp://h/x?\"y\"", 1, "cn");
            assert_eq!(verify(&answer, "SETUP", &users, "live", "abc"), Verdict::Right(1), "{answer}");
            let wrong = known.answer(&user("admin", "secret"), "SETUP", "rtsp://h/x", 1, "cn");
            assert_eq!(verify(&wrong, "SETUP", &users, "live", "abc"), Verdict::Wrong, "{wrong}");
            let nobody = known.answer(&user("x", "b"), "SETUP", "rtsp://h/x", 1, "cn");
            assert_eq!(verify(&nobody, "SETUP", &users, "live", "abc"), Verdict::Wrong, "{nobody}");
            if known.algorithm.is_some() {
                assert_eq!(verify(&answer, "SETUP", &users, "live", "other"), Verdict::Stale);
                assert_eq!(verify(&answer, "PLAY", &users, "live", "abc"), Verdict::Wrong);
            }
        }
    }

    #[test]
    fn logins_are_read_as_clients_write_them() {
        let users = vec![user("admin", "secret")];
        let verify = |text: &str| verify(text, "DESCRIBE", &users, "live", "b0f6c1");
        let basic = "YWRtaW46c2VjcmV0";
        assert_eq!(verify(&format!("Basic {basic}")), Verdict::Right(0));
        assert_eq!(verify(&format!("basic  {basic} ")), Verdict::Right(0));
        let plain = "username=\"admin\",realm=\"live\",nonce=\"b0f6c1\",uri=\"rtsp://h:554/live/cam\",\
                     response=\"A24BC3CABDB383E351E036FD73B31690\"";
        assert_eq!(verify(&format!("Digest {plain}")), Verdict::Right(0));
        assert_eq!(verify(&format!("Digest {plain}, algorithm=\"MD5\"")), Verdict::Right(0));
        assert_eq!(verify(&format!("Digest {plain}, algorithm=\"MD5-sess\"")), Verdict::Wrong);
        // ffmpeg, with quotes around some values only.
        let response = response_of(
            Algorithm::Md5,
            &users[0],
            "live",
            "b0f6c1",
            "DESCRIBE",
            "u",
            Some(["00000001", "12ab", "auth"]),
        );
        let ffmpeg = format!(
            "Digest username=\"admin\", realm=\"live\", nonce=\"b0f6c1\", uri=\"u\", response=\"{response}\", \
             algorithm=\"MD5\", qop=\"auth\", cnonce=\"12ab\", nc=00000001"
        );
        assert_eq!(verify(&ffmpeg), Verdict::Right(0));
        for text in [
            "",
            "Basic",
            "Basic ?",
            "Digest",
            "Digest =,=",
            "Digest username=\"admin",
            "Bearer x",
            "Digest username=\"\\",
        ] {
            assert_eq!(verify(text), Verdict::Wrong, "{text}");
        }
        let many = "x=1,".repeat(100);
        assert_eq!(Parameters::parse(&many).0.len(), MAX_PARAMETERS);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(format!("{:?}", user("a", "geheim")), "Credentials(a)");
    }
}
