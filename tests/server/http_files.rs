//! Files over HTTP: whole and in parts, many requests on a connection, what names cannot reach, clients that leave or do not
//! read, files that grow and shrink.

use super::{files::Films, process::Process, *};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::{FileExt, symlink},
    path::Path,
    process::Command,
    time::SystemTime,
};
use weir::{
    rtmp::session::PublishType,
    server::{RecordConfig, RecordFormat},
};

/// A connection that is kept.
struct Browser(BufReader<TcpStream>);

/// What came back, without the body of an answer to HEAD.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Browser {
    fn new(address: SocketAddr) -> Browser {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Browser(BufReader::new(socket))
    }

    fn say(&mut self, line: &str, fields: &str) {
        let request = format!("{line} HTTP/1.1\r\nHost: here\r\n{fields}\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn ask(&mut self, line: &str, fields: &str) -> Answer {
        self.say(line, fields);
        self.hear(line)
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "")
    }

    fn range(&mut self, path: &str, range: &str) -> Answer {
        self.ask(&format!("GET {path}"), &format!("Range: bytes={range}\r\n"))
    }

    fn hear(&mut self, line: &str) -> Answer {
        let mut answer = self.hear_head();
        if !line.starts_with("HEAD ") && answer.status != 304 {
            answer.body = vec![0; answer.length()];
            self.0.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    fn hear_head(&mut self) -> Answer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: Vec::new() }
    }
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn length(&self) -> usize {
        self.field("Content-Length").expect("a length").parse().unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Bytes that are nowhere the same.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = core::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// As if it had been there for a while.
fn age(path: &Path) {
    let day = SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(path).unwrap().set_modified(day).unwrap();
}

/// Room for many terabytes of nothing, and some bytes at its end.
fn sparse(path: &Path, len: u64, end: &[u8]) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    file.write_all_at(end, len - end.len() as u64).unwrap();
}

#[test]
fn a_file_comes_whole_and_in_parts_byte_for_byte() {
    let bytes = noise(700_001);
    let films = Films::new("http").with("sub folder/clip.mp4", &bytes).with("empty.mp3", b"");
    age(&films.0.join("sub folder/clip.mp4"));
    let (_server, address) = films.start();
    let mut browser = Browser::new(address);
    let path = "/vod/sub%20folder/clip.mp4";
    let whole = browser.get(path);
    assert_eq!((whole.status, whole.body.len()), (200, bytes.len()));
    assert!(whole.body == bytes);
    for (name, value) in [
        ("Content-Type", "video/mp4"),
        ("Accept-Ranges", "bytes"),
        ("Cache-Control", "no-cache"),
        ("Access-Control-Allow-Origin", "*"),
    ] {
        assert_eq!(whole.field(name), Some(value));
    }
    assert!(whole.field("ETag").is_some() && whole.field("Last-Modified").is_some(), "{}", whole.head);
    let head = browser.ask(&format!("HEAD {path}"), "");
    assert_eq!((head.status, head.length(), head.field("ETag")), (200, bytes.len(), whole.field("ETag")));
    for (range, part) in [
        ("0-0", 0..1),
        ("0-", 0..700_001),
        ("65535-65536", 65_535..65_537),
        ("1-699999", 1..700_000),
        ("700000-", 700_000..700_001),
        ("600000-9999999", 600_000..700_001),
        ("-1", 700_000..700_001),
        ("-300000", 400_001..700_001),
        ("-9999999", 0..700_001),
    ] {
        let answer = browser.range(path, range);
        assert_eq!(answer.status, 206, "{range}");
        let place = format!("bytes {}-{}/700001", part.start, part.end - 1);
        assert_eq!(answer.field("Content-Range"), Some(&*place), "{range}");
        assert!(answer.body == bytes[part], "{range}");
    }
    assert!(browser.range(path, "0-1,5-6").body == bytes, "several parts are the whole");
    let behind = browser.range(path, "700001-");
    assert_eq!((behind.status, behind.field("Content-Range")), (416, Some("bytes */700001")));
    let empty = browser.get("/vod/empty.mp3");
    assert_eq!((empty.status, empty.length(), empty.field("Content-Type")), (200, 0, Some("audio/mpeg")));
    assert_eq!(browser.range("/vod/empty.mp3", "0-").status, 416);
    // Whoever speaks the older version has its connection closed behind the answer.
    let mut old = Browser::new(address);
    write!(old.0.get_mut(), "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(old.hear_head().status, 200);
    let mut body = Vec::new();
    old.0.read_to_end(&mut body).unwrap();
    assert!(body == bytes);
}

#[test]
fn what_a_client_has_already_is_not_sent_again_and_not_joined_to_something_else() {
    let films = Films::new("conditions").with("clip.flv", &noise(1000));
    let file = films.0.join("clip.flv");
    age(&file);
    let (_server, address) = films.start();
    let mut browser = Browser::new(address);
    let first = browser.get("/vod/clip.flv");
    let (tag, date) = (first.field("ETag").unwrap(), first.field("Last-Modified").unwrap());
    let status = |browser: &mut Browser, fields: &str| browser.ask("GET /vod/clip.flv", fields).status;
    let part = "Range: bytes=10-19\r\n";
    for (fields, expected) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        (format!("If-Range: {tag}\r\n{part}"), 206),
        (format!("If-Range: {date}\r\n{part}"), 206),
        (format!("If-Range: \"other\"\r\n{part}"), 200),
        (format!("If-Match: {tag}\r\n{part}"), 206),
        (format!("If-Match: \"other\"\r\n{part}"), 412),
    ] {
        assert_eq!(status(&mut browser, &fields), expected, "{fields}");
    }
    // Another file of that name, size and date.
    let modified = file.metadata().unwrap().modified().unwrap();
    fs::write(films.0.join("other"), noise(1000)).unwrap();
    fs::rename(films.0.join("other"), &file).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    assert_eq!(status(&mut browser, &format!("If-None-Match: {tag}\r\n")), 200);
    assert_eq!(status(&mut browser, &format!("If-Range: {tag}\r\n{part}")), 200);
    // In the second of a change a date says nothing.
    fs::write(&file, noise(1000)).unwrap();
    assert_eq!(browser.get("/vod/clip.flv").field("Last-Modified"), None);
}

#[test]
fn a_connection_serves_one_request_after_the_other_and_in_their_order() {
    let bytes = noise(3_000_000);
    let films = Films::new("kept").with("clip.mp4", &bytes);
    // One thread at a time is enough for one connection.
    let media = Some(films.0.clone());
    let (server, address) = start(Config { media, max_file_players: 1, ..config() });
    let mut browser = Browser::new(address);
    for number in 0..50 {
        let start = number * 59_999;
        let answer = browser.range("/vod/clip.mp4", &format!("{start}-{}", start + number * 1000));
        assert_eq!(answer.status, 206, "{number}: {}", answer.text());
        assert!(answer.body == bytes[start..=start + number * 1000], "{number}");
    }
    let lines =
        ["GET /vod/clip.mp4", "HEAD /vod/clip.mp4", "GET /vod/none.mp4", "GET /", "GET /vod/clip.mp4"];
    let fields = ["Range: bytes=-1000000\r\n", "", "", "", "Range: bytes=5-9\r\n"];
    for _ in 0..5 {
        let all: Vec<String> = lines
            .iter()
            .zip(fields)
            .map(|(line, fields)| format!("{line} HTTP/1.1\r\nHost: here\r\n{fields}\r\n"))
            .collect();
        browser.0.get_mut().write_all(all.concat().as_bytes()).unwrap();
        let answers = lines.map(|line| browser.hear(line));
        assert_eq!(answers.each_ref().map(|answer| answer.status), [206, 200, 404, 200, 206]);
        assert!(answers[0].body == bytes[2_000_000..] && answers[4].body == bytes[5..10]);
        assert_eq!(answers[3].field("Content-Type"), Some("text/html; charset=utf-8"));
    }
    assert_eq!(server.stats().accepted.value(), 1);
}

#[test]
fn no_name_leads_to_anything_but_media_below_the_folder() {
    let films = Films::new("names")
        .with("media/clip.mp4", b"the film")
        .with("media/CLIP.MOV", b"the film")
        .with("media/clip.txt", b"secret")
        .with("media/key", b"secret")
        .with("media/.hidden.mp4", b"secret")
        .with("media/.weir/1.mp4", b"secret")
        .with("media/folder.mp4/clip.mp4", b"the film")
        .with("secret.mp4", b"secret");
    let media = films.0.join("media");
    symlink(films.0.join("secret.mp4"), media.join("link.mp4")).unwrap();
    symlink(&films.0, media.join("up")).unwrap();
    symlink(media.join("clip.mp4"), media.join("inside.mp4")).unwrap();
    let pipe = Command::new("mkfifo").arg(media.join("pipe.mp4")).status().unwrap();
    assert!(pipe.success());
    let record = Some(RecordConfig::new(media.clone()));
    let (_server, address) = start(Config { media: Some(media.clone()), record, ..config() });
    let absolute = format!("/{}", films.0.join("secret.mp4").display());
    for folder in ["vod", "recordings"] {
        for (name, status) in [
            ("clip.mp4", 200),
            ("CLIP.MOV", 200),
            ("inside.mp4", 200),
            ("folder.mp4/clip.mp4", 200),
            ("%63lip.mp4?token=1", 200),
            ("", 404),
            ("clip", 404),
            ("mp4:clip.mp4", 404),
            ("clip.mp4/", 404),
            ("/clip.mp4", 404),
            ("clip.txt", 404),
            ("key", 404),
            ("none.mp4", 404),
            ("folder.mp4", 404),
            ("folder.mp4/none.mp4", 404),
            ("clip.mp4/clip.mp4", 404),
            (".hidden.mp4", 404),
            ("%2ehidden.mp4", 404),
            (".weir/1.mp4", 404),
            ("link.mp4", 404),
            ("up/secret.mp4", 404),
            ("up/media/clip.mp4", 200),
            ("pipe.mp4", 404),
            (&absolute, 404),
            (&"n".repeat(300), 404),
            (&format!("{}.mp4", "n".repeat(300)), 404),
            ("../secret.mp4", 400),
            ("%2e%2e/secret.mp4", 400),
            ("folder.mp4/..%2f../secret.mp4", 404),
            ("..%2Fsecret.mp4", 404),
            ("up%2Fsecret.mp4", 404),
            ("clip.txt%00.mp4", 400),
            ("..%5csecret.mp4", 400),
        ] {
            let answer = Browser::new(address).get(&format!("/{folder}/{name}"));
            assert_eq!(answer.status, status, "{folder}/{name}: {}", answer.text());
            assert_eq!(answer.text() == "the film", status == 200, "{folder}/{name}");
            assert!(!answer.text().contains("secret"), "{folder}/{name}");
        }
    }
    assert!(logged("may not get /vod/link.mp4: leads out of the folder"));
}

#[test]
fn without_folders_the_answer_names_the_flag() {
    let (_server, address) = start(config());
    let mut browser = Browser::new(address);
    for (path, flag) in [("/vod/clip.mp4", "--media DIR"), ("/recordings/a.flv", "--record DIR")] {
        let answer = browser.get(path);
        assert!(answer.status == 404 && answer.text().contains(flag), "{}", answer.text());
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"));
    }
    let films = Films::new("flags");
    let (_server, address) = films.start();
    assert!(Browser::new(address).get("/recordings/a.flv").text().contains("--record DIR"));
}

#[test]
fn at_the_limit_a_client_is_told_to_come_again_and_its_connection_goes_on() {
    let films = Films::new("ceiling").with("small.mp4", b"small");
    sparse(&films.0.join("big.mp4"), 1 << 30, b"end");
    let media = Some(films.0.clone());
    let (_server, address) = start(Config { media, max_file_players: 1, ..config() });
    let mut slow = Browser::new(address);
    slow.say("GET /vod/big.mp4", "");
    assert_eq!(slow.hear_head().status, 200);
    let mut other = Browser::new(address);
    let refused = other.get("/vod/small.mp4");
    assert_eq!((refused.status, refused.field("Retry-After")), (503, Some("5")), "{}", refused.text());
    assert!(refused.text().contains("plays too many files"));
    drop(slow);
    until("there is room again", || other.get("/vod/small.mp4").status == 200);
}

#[test]
fn the_end_of_a_file_of_10_gb_comes_at_once() {
    let films = Films::new("sparse");
    let len = 10_u64 << 30;
    sparse(&films.0.join("long.mp4"), len, b"the end");
    let (_server, address) = films.start();
    let mut browser = Browser::new(address);
    for range in ["-7".to_string(), format!("{}-", len - 7), format!("{}-{}", len - 7, u64::MAX)] {
        let answer = browser.range("/vod/long.mp4", &range);
        assert_eq!((answer.status, &*answer.text()), (206, "the end"), "{range}");
        let place = format!("bytes {}-{}/{len}", len - 7, len - 1);
        assert_eq!(answer.field("Content-Range"), Some(&*place));
    }
    let head = browser.ask("HEAD /vod/long.mp4", "");
    assert_eq!(head.length() as u64, len);
}

#[test]
fn a_recording_that_is_being_written_is_as_long_as_it_is_then() {
    for format in [RecordFormat::Flv, RecordFormat::Mp4] {
        let films = Films::new(&format!("growing-{format:?}"));
        let record =
            RecordConfig { name: "{path}".parse().unwrap(), format, ..RecordConfig::new(films.0.clone()) };
        let (_server, address) = start(Config { record: Some(record), ..config() });
        let mut publisher = Client::connect(address, "live");
        let out = publisher.create_stream();
        publisher.publish_as(out, "cam", PublishType::Record);
        let ending = if format == RecordFormat::Flv { "flv" } else { "mp4" };
        let path = format!("/recordings/live/cam.{ending}");
        let mut browser = Browser::new(address);
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut time = 0;
        publisher.send(out, &[video_header(1)]);
        while parts.len() < 3 {
            for _ in 0..25 {
                let frame = if time % 1000 == 0 { keyframe } else { inter_frame };
                publisher.send(out, &[frame(time, &time.to_be_bytes())]);
                time += 40;
            }
            let before = parts.last().map_or(0, Vec::len);
            until("it has grown", || {
                let answer = browser.get(&path);
                if answer.status == 200 {
                    assert_eq!(answer.field("Cache-Control"), Some("no-cache"));
                }
                let has_grown = answer.status == 200 && answer.body.len() > before.max(100);
                if has_grown {
                    parts.push(answer.body);
                }
                has_grown
            });
        }
        assert!(
            parts.windows(2).all(|pair| pair[1].starts_with(&pair[0])),
            "{format:?}: it grows at its end"
        );
        // Whoever has a part of it gets what has come meanwhile.
        let has = parts[0].len();
        let rest = browser.range(&path, &format!("{has}-"));
        assert!(rest.status == 206 && rest.body.starts_with(&parts[2][has..]));
        for marker in fs::read_dir(films.0.join(".weir")).unwrap() {
            let name = marker.unwrap().file_name().into_string().unwrap();
            assert_eq!(browser.get(&format!("/recordings/.weir/{name}")).status, 404);
        }
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let films = Films::new("shrinking");
    let file = films.0.join("cut.mp4");
    sparse(&file, 1 << 30, b"end");
    let (server, address) = films.start();
    let mut browser = Browser::new(address);
    browser.say("GET /vod/cut.mp4", "");
    assert_eq!(browser.hear_head().length(), 1 << 30);
    File::options().write(true).open(&file).unwrap().set_len(1000).unwrap();
    let mut rest = Vec::new();
    browser.0.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 1 << 30);
    assert!(logged("cannot get the rest of /vod/cut.mp4: it has become shorter"));
    drop(browser);
    until("nothing is left of it", || server.stats().connections.value() == 0);
}

#[test]
fn a_client_that_reads_nothing_is_closed() {
    let films = Films::new("stalled");
    sparse(&films.0.join("big.mp4"), 1 << 30, b"end");
    let media = Some(films.0.clone());
    let (server, address) = start(Config { media, stall_timeout: Duration::from_millis(300), ..config() });
    let mut browser = Browser::new(address);
    browser.say("GET /vod/big.mp4", "");
    assert_eq!(browser.hear_head().status, 200);
    until("the end of a connection that takes nothing", || server.stats().connections.value() == 0);
    assert!(logged("closed: too slow"));
}

#[test]
fn a_server_that_stops_waits_for_no_download() {
    let films = Films::new("stopping");
    sparse(&films.0.join("big.mp4"), 1 << 30, b"end");
    let (server, address) = films.start();
    let mut browser = Browser::new(address);
    browser.say("GET /vod/big.mp4", "");
    assert_eq!(browser.hear_head().status, 200);
    let begun = Instant::now();
    server.stop();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// The program by itself, so that what it uses can be counted.
struct Program {
    process: Process,
    address: SocketAddr,
}

impl Program {
    fn start(films: &Films) -> Program {
        let media = films.0.to_str().unwrap();
        let arguments = ["-l", "127.0.0.1:0", "--media", media];
        let process = Process::start("weir", &films.0, env!("CARGO_BIN_EXE_weir"), arguments);
        let address = || {
            let text = process.printed();
            let (_, address) = text.split_once("listening on ")?;
            address.split(' ').next()?.parse().ok()
        };
        until("it listens", || address().is_some());
        let address = address().unwrap();
        Program { process, address }
    }

    fn count(&self, what: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{what}", self.process.id())).unwrap().count()
    }

    /// Descriptors and threads.
    fn uses(&self) -> (usize, usize) {
        (self.count("fd"), self.count("task"))
    }

    fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        // One that ends meanwhile has no name any more.
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.collect()
    }

    /// KiB at its peak.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

#[test]
fn who_breaks_off_leaves_neither_a_thread_nor_a_descriptor() {
    let films = Films::new("abort").with("clip.mp4", &noise(1000));
    sparse(&films.0.join("big.mp4"), 1 << 30, b"end");
    let program = Program::start(&films);
    // A connection that asks for nothing any more has none either.
    let mut kept = Browser::new(program.address);
    assert_eq!(kept.get("/vod/clip.mp4").status, 200);
    until("the thread has ended", || !program.threads().iter().any(|name| name.starts_with("weir-file")));
    let before = program.uses();
    for number in 0..40 {
        let mut browser = Browser::new(program.address);
        browser.say("GET /vod/big.mp4", "");
        assert_eq!(browser.hear_head().status, 200);
        let mut some = vec![0; 100_000];
        match number % 3 {
            0 => {}
            1 => browser.0.read_exact(&mut some).unwrap(),
            // Properly, and without reading on.
            _ => browser.0.get_ref().shutdown(Shutdown::Write).unwrap(),
        }
    }
    until("all is given back", || program.uses() == before);
    assert_eq!(kept.get("/vod/clip.mp4").status, 200);
}

#[test]
fn who_reads_slowly_or_not_at_all_costs_little_memory() {
    let films = Films::new("memory");
    sparse(&films.0.join("big.mp4"), 1 << 30, b"end");
    let program = Program::start(&films);
    let mut browsers: Vec<Browser> = (0..40).map(|_| Browser::new(program.address)).collect();
    let before = program.memory();
    for browser in &mut browsers {
        browser.say("GET /vod/big.mp4", "");
        assert_eq!(browser.hear_head().status, 200);
        let mut some = vec![0; 200_000];
        browser.0.read_exact(&mut some).unwrap();
    }
    // What waits to be sent, a buffer for reading, and a stack.
    let each = (program.memory() - before) / browsers.len();
    assert!(each < 512, "{each} KiB for each");
}
