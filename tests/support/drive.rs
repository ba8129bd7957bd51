//! Drives a session with recorded bytes, cut in one way or another, and writes down what it says.

use weir::{
    base::MonoTime,
    pcap::Stream,
    rtmp::{Event, Session, session::State},
};

/// How the recorded bytes reach the session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// All that is there at once.
    Whole,
    /// As recorded.
    Segments,
    /// One at a time.
    Bytes,
    /// Pieces of random lengths; the output is taken in random pieces as well.
    Random(u64),
}

/// What a session did, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// It told its driver.
    Event(Event),
    /// Its output so far is this long.
    Sent(usize),
    /// The driver called, which is how that ended.
    Call(String),
    /// The session ended.
    End(String),
}

/// Where recorded bytes are cut.
pub(crate) struct Cutter<'a> {
    input: &'a Stream,
    cut: Cut,
    random: u64,
}

impl<'a> Cutter<'a> {
    pub(crate) fn new(input: &'a Stream, cut: Cut) -> Cutter<'a> {
        let random = match cut {
            Cut::Random(seed) => seed,
            _ => 0,
        };
        Cutter { input, cut, random }
    }

    /// Where the piece ends that begins behind `fed` bytes.
    pub(crate) fn piece_end(&mut self, fed: usize) -> usize {
        let rest = self.input.bytes.len() - fed;
        let next = |segments: &[weir::pcap::Segment]| {
            let index = segments.partition_point(|segment| segment.offset <= fed as u64);
            segments.get(index).map_or(self.input.bytes.len(), |segment| segment.offset as usize)
        };
        match self.cut {
            Cut::Whole => fed + rest,
            Cut::Segments => next(&self.input.segments),
            Cut::Bytes => fed + 1,
            Cut::Random(_) => {
                // Small pieces and large ones alike.
                let most = 1 << (self.next_random() % 13);
                fed + (self.next_random() as usize % most + 1).min(rest)
            }
        }
    }

    /// How many of `len` bytes of output are taken.
    pub(crate) fn taken(&mut self, len: usize) -> usize {
        match self.cut {
            Cut::Random(_) => self.next_random() as usize % len + 1,
            _ => len,
        }
    }

    /// SplitMix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// A session in the hands of a driver that says yes to everything.
pub(crate) struct Driver<'a> {
    pub(crate) session: Session,
    input: &'a Stream,
    cutter: Cutter<'a>,
    fed: usize,
    /// All output.
    pub(crate) output: Vec<u8>,
    /// What happened, with the bytes of input before it.
    pub(crate) steps: Vec<(usize, Step)>,
    is_over: bool,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(session: Session, input: &'a Stream, cut: Cut) -> Driver<'a> {
        let mut driver = Driver {
            session,
            input,
            cutter: Cutter::new(input, cut),
            fed: 0,
            output: Vec::new(),
            steps: Vec::new(),
            is_over: false,
        };
        driver.settle();
        driver
    }

    /// Feeds input up to `end`.
    pub(crate) fn feed(&mut self, end: usize) {
        while self.fed < end && !self.is_over {
            let piece_end = self.cutter.piece_end(self.fed).min(end);
            let mut stalled = 0;
            while self.fed < piece_end && !self.is_over {
                let piece = &self.input.bytes[self.fed..piece_end];
                match self.session.handle_input(NOW, piece) {
                    Ok(taken) => {
                        assert!(taken <= piece.len(), "more taken than offered");
                        self.fed += taken;
                        stalled = if taken == 0 { stalled + 1 } else { 0 };
                        assert!(stalled < 3, "takes nothing at {}", self.fed);
                        self.settle();
                    }
                    Err(error) => {
                        self.settle();
                        self.end(error.to_string());
                    }
                }
            }
        }
    }

    /// Feeds the rest, then the end.
    pub(crate) fn finish(&mut self) {
        self.feed(self.input.bytes.len());
        if self.is_over {
            return;
        }
        let result = self.session.handle_eof(NOW);
        self.settle();
        match result {
            Ok(()) => self.end("over".into()),
            Err(error) => self.end(error.to_string()),
        }
        assert_eq!(self.session.state(), State::Closed);
    }

    /// Writes down how a call to the session ended.
    pub(crate) fn called(&mut self, result: String) {
        self.steps.push((self.fed, Step::Call(result)));
        self.settle();
    }

    fn end(&mut self, how: String) {
        self.steps.push((self.fed, Step::End(how)));
        self.is_over = true;
    }

    /// Takes events and output until there is nothing more.
    fn settle(&mut self) {
        loop {
            while let Some(event) = self.session.poll_event() {
                let request = event.request();
                self.steps.push((self.fed, Step::Event(event)));
                if let Some(request) = request {
                    self.session.accept(request).expect("the request waits");
                }
            }
            if self.session.output_len() == 0 {
                return;
            }
            self.take_output();
        }
    }

    fn take_output(&mut self) {
        while self.session.output_len() > 0 {
            let before = self.session.output_len();
            let mut slices = [&[][..]; 8];
            let filled = self.session.output(&mut slices);
            let bytes = slices[..filled].concat();
            assert!(!bytes.is_empty() && bytes.len() <= before, "output that is not there");
            let taken = self.cutter.taken(bytes.len());
            self.session.advance_output(taken);
            assert_eq!(self.session.output_len(), before - taken);
            self.output.extend_from_slice(&bytes[..taken]);
        }
        self.steps.push((self.fed, Step::Sent(self.output.len())));
    }
}

/// The session's clock stands still, so that blocks and pings do not depend on how the input is cut.
pub(crate) const NOW: MonoTime = MonoTime(1000);
