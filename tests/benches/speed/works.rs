//! What is measured, against what, and what must hold.

use crate::Report;

/// A work that several do in turns.
pub(crate) struct Work {
    /// For `--only`.
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) is_tls: bool,
    /// Short works are done several times a round.
    pub(crate) repeats: usize,
    /// Long ones are done in fewer rounds.
    pub(crate) most_rounds: usize,
    /// Done once before all, so that the server has made its answers.
    pub(crate) first: Option<usize>,
    pub(crate) doers: Vec<Doer>,
    pub(crate) rows: Vec<Row>,
}

/// One of those who do it.
pub(crate) struct Doer {
    pub(crate) name: String,
    pub(crate) does: Does,
}

/// In words and lines, `{..}` stands for what the bench provides: see [`crate::files`].
pub(crate) enum Does {
    /// A client of this program: the words it is called with.
    Client(Vec<String>),
    /// A line of shell, and how many items it does.
    Shell(String, usize),
    /// Such a client, as callgrind counts its instructions: for few items and for many, so that what
    /// it does once falls out.
    Counted([Vec<String>; 2]),
}

/// A line of the table: a figure of one, compared with that of another.
pub(crate) struct Row {
    pub(crate) figure: Figure,
    pub(crate) of: String,
    pub(crate) against: String,
    pub(crate) must: Must,
}

#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) of: fn(&Report) -> f64,
}

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    BytesPerSecond,
    PerSecond,
    Count,
}

/// What must hold of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Must {
    /// Stated only.
    Nothing,
    /// At most so many times the other's.
    Ratio(f64),
    /// At least so many times the other's.
    RatioAtLeast(f64),
    /// At most this, in its unit.
    Most(f64),
}

impl Must {
    /// Whether it holds. On a machine that is not quiet, a margin can be taken twice.
    pub(crate) fn holds(self, value: f64, ratio: f64, margins: f64) -> Option<bool> {
        // Twice the margin of 1.15 is 1.30.
        let widened = |limit: f64| 1.0 + (limit - 1.0) * margins;
        match self {
            Self::Nothing => None,
            Self::Ratio(limit) => Some(ratio <= widened(limit)),
            Self::RatioAtLeast(limit) if limit <= 1.0 => Some(ratio >= widened(limit)),
            Self::RatioAtLeast(limit) => Some(ratio >= limit / margins),
            Self::Most(limit) => Some(value <= limit * margins),
        }
    }
}

const fn figure(name: &'static str, unit: Unit, of: fn(&Report) -> f64) -> Figure {
    Figure { name, unit, of }
}

const WALL: Figure = figure("wall", Unit::Seconds, |report| report["wall"]);
const CPU: Figure = figure("CPU", Unit::Seconds, |report| report["cpu"]);
const WALL_EACH: Figure = figure("wall each", Unit::Seconds, |report| {
    report["wall"] / report["items"]
});
const CPU_EACH: Figure = figure("CPU each", Unit::Seconds, |report| {
    report["cpu"] / report["items"]
});
const RATE: Figure = figure("rate", Unit::PerSecond, |report| {
    report["items"] / report["wall"]
});
const THROUGHPUT: Figure = figure("throughput", Unit::BytesPerSecond, |report| {
    report["bytes"] / report["wall"]
});
/// Of the bytes that the work has, whatever of them is sent.
const SPEED: Figure = figure("speed", Unit::BytesPerSecond, |report| {
    report["items"] / report["wall"]
});
const PEAK: Figure = figure("peak memory", Unit::Bytes, |report| report["peak"]);
const SENT: Figure = figure("sent", Unit::Bytes, |report| report["stored"]);
const START: Figure = figure("from its start", Unit::Seconds, |report| report["start"]);
const P50: Figure = figure("p50", Unit::Seconds, |report| report["p50"]);
const P99: Figure = figure("p99", Unit::Seconds, |report| report["p99"]);
const MAX: Figure = figure("slowest", Unit::Seconds, |report| report["max"]);
const TAIL: Figure = figure("p99 / p50", Unit::Count, |report| {
    report["p99"] / report["p50"]
});
const LATE: Figure = figure("late by", Unit::Seconds, |report| report["p50"]);
const POLLS: Figure = figure("polls", Unit::Count, |report| {
    report["polls"] / report["items"]
});
const POLLS_A_SECOND: Figure = figure(
    "most polls in a second",
    Unit::Count,
    |report| report["polls_in_a_second"],
);
const CONNECTIONS: Figure = figure("connections", Unit::Count, |report| report["connections"]);
const INSTRUCTIONS: Figure = figure(
    "instructions each",
    Unit::Count,
    |report| report["instructions"],
);
const MEMORY: Figure = figure("memory", Unit::Bytes, |report| report["memory"]);

/// How many items are counted by callgrind.
pub(crate) const FEW: usize = 50;
pub(crate) const MANY: usize = 450;

const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;

const FLOOR: &str = "floor";
const FASTVM: &str = "fastvm";
/// In the task of `#[tokio::main]`.
const MAIN: &str = "fastvm in main";
const CURL: &str = "curl";
const TAR: &str = "tar, gzip, curl";

impl Work {
    fn new(group: &'static str, name: impl Into<String>) -> Self {
        Self {
            group,
            name: name.into(),
            is_tls: false,
            repeats: 1,
            most_rounds: usize::MAX,
            first: None,
            doers: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// By both, each in a spawned task.
    fn by_both(self, work: &str) -> Self {
        self.by(FLOOR, "floor spawned", work)
            .by(FASTVM, "fastvm spawned", work)
    }

    fn by_main_too(self, work: &str) -> Self {
        self.by_both(work).by(MAIN, "fastvm main", work)
    }

    fn by(mut self, name: impl Into<String>, who: &str, work: &str) -> Self {
        let words = ["client"]
            .into_iter()
            .chain(who.split(' '))
            .chain(work.split(' '));
        self.doers.push(Doer {
            name: name.into(),
            does: Does::Client(words.map(str::to_owned).collect()),
        });
        self
    }

    /// Counted, in a runtime of one thread, which is the same each time. `{n}` is how many items.
    fn counted(mut self, work: &str) -> Self {
        for who in [FLOOR, FASTVM] {
            let words = [FEW, MANY].map(|count| {
                let line =
                    format!("client {who} current {work}").replace("{n}", &count.to_string());
                line.split(' ').map(str::to_owned).collect()
            });
            self.doers.push(Doer {
                name: who.to_owned(),
                does: Does::Counted(words),
            });
        }
        self
    }

    fn by_shell(mut self, name: &str, line: impl Into<String>, items: usize) -> Self {
        self.doers.push(Doer {
            name: name.to_owned(),
            does: Does::Shell(line.into(), items),
        });
        self
    }

    /// Of `fastvm`, against the floor.
    fn row(self, figure: Figure, must: Must) -> Self {
        self.row_of(FASTVM, figure, FLOOR, must)
    }

    fn rows_of_each(mut self, rows: &[(Figure, Must)]) -> Self {
        for of in [FASTVM, MAIN] {
            for (figure, must) in rows {
                self = self.row_of(of, *figure, FLOOR, *must);
            }
        }
        self
    }

    fn row_of(
        mut self,
        of: impl Into<String>,
        figure: Figure,
        against: impl Into<String>,
        must: Must,
    ) -> Self {
        self.rows.push(Row {
            figure,
            of: of.into(),
            against: against.into(),
            must,
        });
        self
    }

    fn over_tls(mut self, is_tls: bool) -> Self {
        self.is_tls = is_tls;
        if is_tls {
            self.name += ", TLS";
        }
        self
    }

    fn repeated(mut self, repeats: usize) -> Self {
        self.repeats = repeats;
        self
    }

    fn at_most(mut self, rounds: usize) -> Self {
        self.most_rounds = rounds;
        self
    }

    /// This one goes first.
    fn after(mut self, doer: usize) -> Self {
        self.first = Some(doer);
        self
    }
}

pub(crate) fn all() -> Vec<Work> {
    [
        runs(),
        streams(),
        files(),
        folders(),
        launches(),
        first_results(),
        at_once(),
        memory(),
        scaling(),
        instructions(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn runs() -> Vec<Work> {
    let limit = Must::Ratio(1.15);
    vec![
        Work::new("runs", "2,000 runs in a row")
            .by_both("runs run 2000 1")
            .row(WALL_EACH, limit)
            .row(CPU_EACH, limit),
        Work::new("runs", "20 runs with 4 MiB of output")
            .by_both("runs out-4194304 20 1")
            .row(WALL_EACH, limit)
            .row(CPU_EACH, limit),
        Work::new("runs", "5,000 runs, 64 at a time")
            .by_both("runs run 5000 64")
            .repeated(5)
            .row(RATE, Must::RatioAtLeast(1.0 / 1.15))
            .row(CPU_EACH, limit),
    ]
}

fn streams() -> Vec<Work> {
    let large = "streams stream-32768-32768 1";
    let small = "streams stream-512-200000 1";
    let limits = [
        (THROUGHPUT, Must::RatioAtLeast(0.87)),
        (CPU, Must::Ratio(1.5)),
    ];
    let mut works = Vec::new();
    for is_tls in [false, true] {
        for (name, work) in [
            ("stream of 1 GiB in 32 KiB events", large),
            ("stream of 200,000 events of 512 B", small),
        ] {
            let work = Work::new("streams", name).by_main_too(work);
            works.push(work.rows_of_each(&limits).over_tls(is_tls));
        }
    }
    let limits = [(WALL_EACH, Must::Ratio(1.5)), (CPU_EACH, Must::Ratio(1.5))];
    works.push(
        Work::new("streams", "200 tiny streams, one after the other")
            .by_main_too("streams stream-6-1 200")
            .repeated(5)
            .rows_of_each(&limits),
    );
    let limits = [(P50, Must::Most(1e-3)), (P99, Must::Nothing)];
    works.push(
        Work::new("streams", "an event, from the server to the user")
            .by_main_too("ticks ticks-100")
            .rows_of_each(&limits),
    );
    works
}

fn files() -> Vec<Work> {
    let up = |size| format!("upload {{file-{size}}} {size}");
    let down = |size| format!("download {{file-{size}}} {{target}} {size}");
    let curl_up =
        format!("curl --http1.1 -sSf -o /dev/null -T {{file-{GIB}}} {{url}}/storage/sink/curl");
    let curl_down =
        format!("curl --http1.1 -sSf -o {{target}} {{url}}/storage/disk/{{hex-file-{GIB}}}");
    let mut works = Vec::new();
    for is_tls in [false, true] {
        for (name, work, line) in [
            ("upload of a 1 GiB file", up(GIB), &curl_up),
            ("download of a 1 GiB file", down(GIB), &curl_down),
        ] {
            works.push(
                Work::new("files", name)
                    .over_tls(is_tls)
                    .by_both(&work)
                    .by_shell(CURL, line, GIB)
                    .after(1)
                    .row_of(FASTVM, WALL, CURL, Must::Ratio(1.05))
                    .row(SPEED, Must::Nothing)
                    .row(CPU, Must::Nothing),
            );
        }
    }
    let (small, large) = (64 * MIB, 4 * GIB);
    for (name, work) in [
        ("upload", up as fn(usize) -> String),
        ("download", down as fn(usize) -> String),
    ] {
        let mut both = Work::new("files", format!("{name} of 64 MiB and of 4 GiB")).at_most(3);
        for (size, shown) in [(small, "64 MiB"), (large, "4 GiB")] {
            // The client of the SDK is the first, and has the server know the file.
            both = both
                .by(format!("fastvm {shown}"), "fastvm spawned", &work(size))
                .by(format!("floor {shown}"), "floor spawned", &work(size));
        }
        let least = Must::Most((24 * MIB) as f64);
        works.push(
            both.row_of("fastvm 64 MiB", PEAK, "floor 64 MiB", least)
                .row_of("fastvm 4 GiB", PEAK, "floor 4 GiB", least)
                .row_of("fastvm 4 GiB", PEAK, "fastvm 64 MiB", Must::Ratio(1.1)),
        );
    }
    works
}

fn folders() -> Vec<Work> {
    let size = 256 * MIB;
    let up = format!("upload {{folder}} {size}");
    let down = format!("download {{folder}} {{target}} {size}");
    let pipe = "set -o pipefail; tar -C {folder} -cf - . | gzip -c -6 \
        | curl --http1.1 -sSf -o /dev/null -T - {url}/storage/sink/tar";
    let many = |count| format!("upload {{small-{count}}} {count}");
    let many_down = |count| format!("download {{small-{count}}} {{target}} {count}");
    let mut works = vec![
        Work::new("folders", "upload of a folder, 5,000 files, 256 MiB")
            .by_both(&up)
            .by_shell(TAR, pipe, size)
            // They are as fast as the better of the published SDKs, within 3 %.
            .row_of(FASTVM, SPEED, TAR, Must::RatioAtLeast(2.5))
            // As many bytes as that SDK sends, within 1 %.
            .row(SENT, Must::Ratio(1.03))
            .row(SPEED, Must::Nothing)
            .row(CPU, Must::Nothing)
            .row(PEAK, Must::Nothing),
        Work::new("folders", "download of that folder")
            .by_both(&down)
            .after(1)
            .row(WALL, Must::Ratio(1.1))
            .row(CPU, Must::Nothing)
            .row(PEAK, Must::Nothing),
    ];
    for (name, work) in [
        ("upload", many as fn(usize) -> String),
        ("download", many_down as fn(usize) -> String),
    ] {
        works.push(
            Work::new("folders", format!("{name} of 50,000 small files"))
                .at_most(3)
                .by("5,000 files", "fastvm spawned", &work(5_000))
                .by(FASTVM, "fastvm spawned", &work(50_000))
                .by(FLOOR, "floor spawned", &work(50_000))
                .row(WALL, Must::Nothing)
                .row(PEAK, Must::Nothing)
                .row_of(FASTVM, PEAK, "5,000 files", Must::Ratio(1.25)),
        );
    }
    works
}

fn launches() -> Vec<Work> {
    let mut works = Vec::new();
    for (boot_ms, count, rounds) in [(50, 20, 5), (250, 10, 5), (1000, 5, 5), (3000, 3, 3)] {
        let late = (boot_ms as f64 / 10.0).max(25.0) / 1e3;
        let polls = match boot_ms {
            3000 => Must::Most(30.0),
            _ => Must::Nothing,
        };
        works.push(
            Work::new("launches", format!("a VM that is ready after {boot_ms} ms"))
                .at_most(rounds)
                .by_both(&format!("launches {boot_ms} {count}"))
                .row(LATE, Must::Most(late))
                .row(POLLS, polls),
        );
    }
    works.push(
        Work::new("launches", "500 VMs at once, ready after 5 s")
            .at_most(3)
            .by_both("waits 5000 500")
            .row(POLLS_A_SECOND, Must::Most(20.0))
            .row(LATE, Must::Most(0.5))
            .row(MAX, Must::Nothing),
    );
    works
}

fn first_results() -> Vec<Work> {
    let work = |is_tls, must| {
        Work::new("first", "process start to first result")
            .over_tls(is_tls)
            .repeated(5)
            .by_both("first")
            .row(START, must)
            .row(CPU, Must::Nothing)
            .row(PEAK, Must::Nothing)
    };
    vec![work(false, Must::Ratio(1.3)), work(true, Must::Most(15e-3))]
}

fn at_once() -> Vec<Work> {
    let tail = Must::Most(3.0);
    let work = |name: &str, work: &str| Work::new("at-once", name).over_tls(true).by_both(work);
    vec![
        work("1,000 runs at once", "runs-at-once 1000")
            .row(P50, Must::Nothing)
            .row(P99, Must::Nothing)
            .row(TAIL, tail)
            .row(CONNECTIONS, Must::Nothing),
        work("200 streams at once", "streams-at-once stream-512-1000 200")
            .row(P50, Must::Nothing)
            .row(P99, Must::Nothing)
            .row(TAIL, tail)
            .row(CONNECTIONS, Must::Nothing),
        work(
            "runs beside 200 unread streams",
            "runs-beside stream-32768-32768 200",
        )
        .row(P50, Must::Nothing)
        // Waiting for one of them would be without end.
        .row(MAX, Must::Most(0.1))
        .row(CONNECTIONS, Must::Nothing),
    ]
}

fn memory() -> Vec<Work> {
    let work = |name: &str, work: &str| {
        let work = Work::new("memory", name).by_both(work).at_most(3);
        work.row(MEMORY, Must::Nothing)
    };
    vec![
        work("an idle client", "clients 50"),
        work("an idle client", "clients 50").over_tls(true),
        work("an open stream", "open 200"),
        work("an open stream", "open 200").over_tls(true),
        work("a handle of a VM", "handles 2000"),
    ]
}

/// The cost of an item, as there are more of them, and how that of the floor grows beside it: so much of
/// it is the machine's.
fn scaling() -> Vec<Work> {
    let of_floor = |size: &str| format!("{FLOOR} {size}");
    let work = |name: &str, sizes: [(&str, String); 3]| {
        let [few, some, many] = sizes.each_ref().map(|(size, _)| *size);
        let mut work = Work::new("scaling", name).at_most(5);
        for (size, words) in &sizes {
            work = work.by(*size, "fastvm spawned", words);
        }
        // The SDK was first, and has had the server learn the files.
        for (size, words) in &sizes {
            work = work.by(of_floor(size), "floor spawned", words);
        }
        for fewer in [few, some] {
            work = work
                .row_of(of_floor(many), CPU_EACH, of_floor(fewer), Must::Nothing)
                .row_of(many, CPU_EACH, fewer, Must::Ratio(1.25));
        }
        work.row_of(many, CPU_EACH, of_floor(many), Must::Nothing)
    };
    let sized = |words: fn(usize) -> String| {
        [("10", 10), ("1,000", 1_000), ("100,000", 100_000)]
            .map(|(shown, size)| (shown, words(size)))
    };
    let events = sized(|size| format!("streams stream-100-{size} {}", 100_000 / size));
    let entries = sized(|size| format!("lists {size} {}", 100_000 / size));
    let up = sized(|size| format!("upload {{small-{size}}} {size}"));
    let down = sized(|size| format!("download {{small-{size}}} {{target}} {size}"));
    let calls = [("10", 10), ("1,000", 1_000), ("2,000", 2_000)];
    let calls = calls.map(|(shown, at_once)| (shown, format!("runs run 20000 {at_once}")));
    vec![
        work("an event, of so many in a stream", events),
        work("an entry, of so many in a list", entries),
        work("a file, of so many in an upload", up).at_most(3),
        work("a file, of so many in a download", down).at_most(3),
        work("a run, of so many at a time", calls),
    ]
}

/// What a check in CI can go by: it is the same on every machine, however busy.
fn instructions() -> Vec<Work> {
    let work = |name: &str, work: &str, limit| {
        let work = Work::new("instructions", name).at_most(1).counted(work);
        work.row(INSTRUCTIONS, Must::Ratio(limit))
    };
    vec![
        work("a run", "runs run {n} 1", 1.15),
        work("a tiny stream", "streams stream-6-1 {n}", 1.5),
        work("an event of 512 B", "streams stream-512-{n} 1", 1.5),
        work("an event of 32 KiB", "streams stream-32768-{n} 1", 1.5),
        work("an entry of a list", "lists {n} 1", 1.0),
    ]
}
