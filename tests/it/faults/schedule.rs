//! What is played in a run: drawn from a seed and the run's number, and so drawn again from them.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use fastrand::Rng;
use longshore::local::Fault;

/// A run: what does the work, on what, and what goes wrong.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) kind: Kind,
    pub(super) program: Program,
    pub(super) source: Source,
    /// Whether another image has the tag: an Update, for the function.
    pub(super) replaces: bool,
    /// Whether one blob flows at a time, so that requests come in the same order again.
    pub(super) one_by_one: bool,
    /// Whether each request is made once only.
    pub(super) without_retries: bool,
    pub(super) plays: Vec<Play>,
    pub(super) kill: Option<Kill>,
}

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// One place and one fault.
    Matrix,
    /// Several faults at random requests.
    Random,
    /// A process that is killed.
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Program {
    Function,
    Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Archive,
    Registry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Destination,
    Source,
    Bucket,
    Aws,
    Stack,
}

/// Requests at which something goes wrong.
#[derive(Debug)]
pub(super) struct Place {
    name: &'static str,
    pub(super) server: Server,
    method: &'static str,
    path: &'static str,
    /// Which source a run needs that makes such requests, and which program.
    source: Option<Source>,
    program: Option<Program>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wrong {
    Status(u16),
    Page,
    Empty,
    Truncated,
    Reset,
    BrokenOff,
    Refused,
    CutRequest,
    Slow,
    Late,
    Corrupt,
    OtherDigest,
    Hang,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// Once, after so many of these requests.
    Once(u32),
    /// Always, after so many of these requests.
    From(u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Play {
    pub(super) place: &'static Place,
    pub(super) wrong: Wrong,
    when: When,
}

/// Kills the process at a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) server: Server,
    /// How many requests come before it.
    request: u32,
    /// Whether the request is carried out first.
    after_it: bool,
    /// How long the process lives on.
    pub(super) pause: Duration,
}

const PLACES: [Place; 20] = [
    to("HEAD manifest", "HEAD", "/v2/app/manifests/"),
    to("GET manifest", "GET", "/v2/app/manifests/"),
    to("HEAD blob", "HEAD", "/v2/app/blobs/"),
    to("POST upload", "POST", "/v2/app/blobs/uploads/"),
    to("PATCH upload", "PATCH", "/v2/app/blobs/uploads/"),
    to("PUT upload", "PUT", "/v2/app/blobs/uploads/"),
    to("PUT manifest", "PUT", "/v2/app/manifests/sha256"),
    to("PUT tag", "PUT", "/v2/app/manifests/1"),
    of_registry("GET source manifest", "GET", "/v2/source/manifests/"),
    of_registry("HEAD source manifest", "HEAD", "/v2/source/manifests/"),
    of_registry("GET source blob", "GET", "/v2/source/blobs/"),
    of_registry("GET source token", "GET", "/token"),
    Place {
        name: "GET object",
        server: Server::Bucket,
        method: "GET",
        path: "",
        source: Some(Source::Archive),
        program: None,
    },
    api("GetAuthorizationToken", "/ecr/GetAuthorizationToken"),
    api("DescribeRepositories", "/ecr/DescribeRepositories"),
    api("CreateRepository", "/ecr/CreateRepository"),
    Place {
        source: Some(Source::Archive),
        program: Some(Program::Function),
        ..api("AssumeRole", "/sts")
    },
    Place {
        source: Some(Source::Registry),
        program: Some(Program::Function),
        ..api("GetSecretValue", "/secretsmanager/")
    },
    Place {
        name: "ResponseURL",
        server: Server::Stack,
        method: "PUT",
        path: "",
        source: None,
        program: Some(Program::Function),
    },
    to("any of the destination", "", "/v2/app/"),
];

const fn to(name: &'static str, method: &'static str, path: &'static str) -> Place {
    Place {
        name,
        server: Server::Destination,
        method,
        path,
        source: None,
        program: None,
    }
}

const fn of_registry(name: &'static str, method: &'static str, path: &'static str) -> Place {
    Place {
        server: Server::Source,
        source: Some(Source::Registry),
        ..to(name, method, path)
    }
}

const fn api(name: &'static str, path: &'static str) -> Place {
    Place {
        server: Server::Aws,
        ..to(name, "POST", path)
    }
}

const WRONGS: [Wrong; 25] = [
    Wrong::Status(400),
    Wrong::Status(401),
    Wrong::Status(403),
    Wrong::Status(404),
    Wrong::Status(405),
    Wrong::Status(408),
    Wrong::Status(409),
    Wrong::Status(413),
    Wrong::Status(416),
    Wrong::Status(429),
    Wrong::Status(500),
    Wrong::Status(502),
    Wrong::Status(503),
    Wrong::Page,
    Wrong::Empty,
    Wrong::Truncated,
    Wrong::Reset,
    Wrong::BrokenOff,
    Wrong::Refused,
    Wrong::CutRequest,
    Wrong::Slow,
    Wrong::Late,
    Wrong::Corrupt,
    Wrong::OtherDigest,
    Wrong::Hang,
];
const WHENS: [When; 3] = [When::Once(0), When::Once(2), When::From(0)];
/// So many runs of the kind [`Kind::Matrix`] play each cell once.
pub(super) const CELLS: usize = PLACES.len() * WRONGS.len() * WHENS.len();
/// Requests of a run to the destination, about.
const REQUESTS: u32 = 24;

impl Schedule {
    /// Nothing goes wrong.
    pub(super) fn peaceful(program: Program, source: Source) -> Self {
        Self {
            kind: Kind::Matrix,
            program,
            source,
            replaces: false,
            one_by_one: true,
            without_retries: false,
            plays: Vec::new(),
            kill: None,
        }
    }

    /// Whether the tag may be written and no answer tell of it: then the program cannot know.
    pub(super) fn may_hide_the_tag(&self) -> bool {
        self.plays.iter().any(|play| {
            let writes_tags = ["PUT tag", "any of the destination"].contains(&play.place.name);
            writes_tags && matches!(play.wrong, Wrong::Reset | Wrong::OtherDigest)
        })
    }

    /// Half of the runs are of the matrix, the others random, and kills.
    pub(super) fn draw(seed: u64, number: usize) -> Self {
        let mut rng = Rng::with_seed(seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let program = rng.choice([Program::Function, Program::Command]);
        let source = rng.choice([Source::Archive, Source::Registry]);
        let (program, source) = program.zip(source).expect("two of each");
        let drawn = Self {
            replaces: rng.bool(),
            one_by_one: rng.bool(),
            without_retries: rng.bool(),
            ..Self::peaceful(program, source)
        };
        match number % 4 {
            0 | 2 => drawn.of_the_matrix(seed, number / 2),
            1 => drawn.with_random_faults(&mut rng),
            _ => drawn.with_a_kill(&mut rng),
        }
    }

    /// A cell of the matrix: each once, in the seed's order.
    fn of_the_matrix(self, seed: u64, position: usize) -> Self {
        let mut cells: Vec<usize> = (0..CELLS).collect();
        Rng::with_seed(seed).shuffle(&mut cells);
        let cell = cells[position % CELLS];
        let play = Play {
            place: &PLACES[cell % PLACES.len()],
            wrong: WRONGS[cell / PLACES.len() % WRONGS.len()],
            when: WHENS[cell / PLACES.len() / WRONGS.len()],
        };
        self.with(play)
    }

    fn with_random_faults(mut self, rng: &mut Rng) -> Self {
        self.kind = Kind::Random;
        for _ in 0..rng.u32(2..7) {
            let place = rng.choice(&PLACES).expect("a place");
            let fits = place.source.is_none_or(|source| source == self.source)
                && place.program.is_none_or(|program| program == self.program);
            let wrong = WRONGS[rng.usize(..WRONGS.len())];
            let lasts = matches!(wrong, Wrong::Hang) && self.program == Program::Command;
            if fits && !lasts {
                let when = match rng.u32(..4) {
                    0 => When::From(rng.u32(..REQUESTS)),
                    _ => When::Once(rng.u32(..6)),
                };
                self.plays.push(Play { place, wrong, when });
            }
        }
        self
    }

    fn with_a_kill(mut self, rng: &mut Rng) -> Self {
        self.kind = Kind::Kill;
        let near = match self.source {
            Source::Archive => Server::Bucket,
            Source::Registry => Server::Source,
        };
        let (server, requests) = match rng.u32(..8) {
            0 => (Server::Aws, 3),
            1 => (near, 5),
            2 if self.program == Program::Function => (Server::Stack, 1),
            _ => (Server::Destination, REQUESTS),
        };
        self.kill = Some(Kill {
            server,
            request: rng.u32(..requests),
            after_it: rng.bool(),
            pause: Duration::from_millis(rng.u64(..30)),
        });
        self
    }

    /// This with a fault, and with a program and a source that meet it.
    fn with(mut self, play: Play) -> Self {
        self.source = play.place.source.unwrap_or(self.source);
        self.program = play.place.program.unwrap_or(self.program);
        if matches!(play.wrong, Wrong::Hang) {
            // A person ends a command that hangs.
            self.program = Program::Function;
        }
        self.plays.push(play);
        self
    }
}

impl Play {
    pub(super) fn fault(&self) -> Fault {
        let fault = self.wrong.fault();
        let fault = match self.when {
            When::Once(before) => fault.skip(before),
            When::From(before) => fault.skip(before).times(u32::MAX),
        };
        match self.place.method {
            "" => fault.at(self.place.path),
            method => fault.on(method, self.place.path),
        }
    }
}

impl Wrong {
    fn fault(self) -> Fault {
        match self {
            Self::Status(status) => Fault::answer(status),
            Self::Page => Fault::page(200),
            Self::Empty => Fault::truncate(0),
            Self::Truncated => Fault::truncate(9),
            Self::Reset => Fault::drop_answer(),
            Self::BrokenOff => Fault::cut_answer(9),
            Self::Refused => Fault::refuse(),
            Self::CutRequest => Fault::cut_request(1000),
            Self::Slow => Fault::pace(NonZeroU64::new(100_000).expect("a pace")),
            Self::Late => Fault::delay(Duration::from_millis(500)),
            Self::Corrupt => Fault::corrupt(9),
            Self::OtherDigest => Fault::wrong_digest(),
            Self::Hang => Fault::hang(),
        }
    }
}

impl Kill {
    /// When all faults of a server were met.
    pub(super) fn at_once(server: Server) -> Self {
        Self {
            server,
            request: 0,
            after_it: false,
            pause: Duration::ZERO,
        }
    }

    pub(super) fn fault(&self) -> Fault {
        let fault = if self.after_it {
            Fault::delay(Duration::ZERO)
        } else {
            Fault::hang()
        };
        fault.skip(self.request)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} from {:?}", self.program, self.source)?;
        let once = self.without_retries && self.program == Program::Function;
        for (is, what) in [
            (self.replaces, "over another image"),
            (self.one_by_one, "one by one"),
            (once, "without retries"),
        ] {
            if is {
                write!(f, ", {what}")?;
            }
        }
        for play in &self.plays {
            write!(f, "; {}: {:?} {:?}", play.place.name, play.wrong, play.when)?;
        }
        match &self.kill {
            Some(kill) => write!(f, "; {kill:?}"),
            None => Ok(()),
        }
    }
}
