//! Has all do the works in turns, and compares.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use nix::sys::resource::UsageWho;

use crate::client;
use crate::files::Files;
use crate::table::{Line, Table};
use crate::works::{self, Doer, Does, FEW, MANY, Work};
use crate::{CERTIFICATE, Failure, KEY, Report, URL};

/// What is left to the caller.
pub(crate) struct Options {
    only: Vec<String>,
    rounds: usize,
    is_markdown: bool,
    /// Fails if something does not hold, with twice the margin.
    checks: bool,
    lists: bool,
    /// The words of a client.
    profile: Option<Vec<String>>,
}

const USAGE: &str = "cargo bench -p fastvm-benches --bench speed -- \
[--only WORD]... [--rounds N] [--markdown] [--check] [--list] [--profile floor|fastvm WORK...]";

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self, Failure> {
        let mut options = Self {
            only: Vec::new(),
            rounds: 5,
            is_markdown: false,
            checks: false,
            lists: false,
            profile: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(USAGE);
            match *word {
                // Cargo says so.
                "--bench" => {}
                "--only" => options.only.push(value()?.to_lowercase()),
                "--rounds" => options.rounds = value()?.parse()?,
                "--markdown" => options.is_markdown = true,
                "--check" => options.checks = true,
                "--list" => options.lists = true,
                "--profile" => {
                    let who = (*value()?).to_owned();
                    let work = words.by_ref().map(|word| (*word).to_owned());
                    let client = ["client".to_owned(), who, "current".to_owned()];
                    options.profile = Some(client.into_iter().chain(work).collect());
                }
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    /// By its group, or by a part of its name.
    fn wants(&self, work: &Work, groups: &[&str]) -> bool {
        let name = work.name.to_lowercase();
        let matches = |only: &String| match groups.contains(&only.as_str()) {
            true => work.group == only,
            false => name.contains(only),
        };
        self.only.is_empty() || self.only.iter().any(matches)
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let works = works::all();
    let groups: Vec<_> = works.iter().map(|work| work.group).collect();
    let works = works.iter().filter(|work| options.wants(work, &groups));
    if options.lists {
        works.for_each(|work| println!("{}: {}", work.group, work.name));
        return Ok(ExitCode::SUCCESS);
    }
    let bench = Bench::start()?;
    if let Some(client) = &options.profile {
        bench.profile(client)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::default();
    for work in works {
        let lines = match bench.measure(work, options) {
            Ok(lines) => lines,
            Err(failure) => {
                eprintln!("{failure}");
                vec![Line::failed(work)]
            }
        };
        // The table comes at the end, and that may take a while.
        lines.iter().for_each(|line| eprintln!("{}", line.brief()));
        table.push(lines);
    }
    println!("{}", table.shown(options.is_markdown));
    Ok(match options.checks && table.has_misses() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The servers and files that all works share.
struct Bench {
    program: PathBuf,
    key: String,
    files: Files,
    plain: Server,
    tls: Server,
}

/// Where curl finds it.
const CURL_CERTIFICATE: &str = "CURL_CA_BUNDLE";

/// Of the server for TLS, beside the files.
const CERTIFICATE_FILE: &str = "certificate.pem";

impl Bench {
    fn start() -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let key = format!("{:016x}", fastrand::u64(..));
        let files = Files::new()?;
        let certificate = files.path(CERTIFICATE_FILE);
        let server = |certificate: Option<&Path>| Server::start(&program, &key, certificate);
        Ok(Self {
            plain: server(None)?,
            tls: server(Some(&certificate))?,
            program,
            key,
            files,
        })
    }

    fn measure(&self, work: &Work, options: &Options) -> Result<Vec<Line>, Failure> {
        let does = |doer: &Doer| {
            let report = self.does(work, doer);
            report.map_err(|failure| format!("{}, by {}: {failure}", work.name, doer.name))
        };
        if let Some(first) = work.first {
            does(&work.doers[first])?;
        }
        let mut reports: HashMap<&str, Vec<Report>> = HashMap::new();
        for round in 0..options.rounds.min(work.most_rounds) * work.repeats {
            // Nobody is always the first, or always after the same one: what one leaves to the next, such
            // as memory that the machine has at hand, is the luck of each.
            let count = work.doers.len();
            let mut turns: Vec<_> = (round..round + count).map(|turn| turn % count).collect();
            if round / count % 2 == 1 {
                turns.reverse();
            }
            for doer in turns {
                let doer = &work.doers[doer];
                reports.entry(&doer.name).or_default().push(does(doer)?);
            }
        }
        let margins = if options.checks { 2.0 } else { 1.0 };
        let line = |row| Line::new(work, row, &reports, margins);
        Ok(work.rows.iter().map(line).collect())
    }

    fn does(&self, work: &Work, doer: &Doer) -> Result<Report, Failure> {
        let server = match work.is_tls {
            true => &self.tls,
            false => &self.plain,
        };
        server.take_counts()?;
        let mut report = match &doer.does {
            Does::Client(words) => {
                let mut command = Command::new(&self.program);
                self.set_up(&mut command, server, words)?;
                cost_of(command)?
            }
            Does::Shell(line, items) => {
                let mut command = Command::new("bash");
                self.set_up(&mut command, server, &["-c".to_owned(), line.clone()])?;
                let mut report = cost_of(command)?;
                report.insert("items".to_owned(), *items as f64);
                report
            }
            Does::Counted(both) => {
                let [few, many] = both.each_ref().map(|words| self.count(server, words));
                let each = (many? - few?) / (MANY - FEW) as f64;
                crate::report([("instructions", each)])
            }
        };
        report.extend(server.take_counts()?);
        Ok(report)
    }

    fn set_up(
        &self,
        command: &mut Command,
        server: &Server,
        words: &[String],
    ) -> Result<(), Failure> {
        for word in words {
            command.arg(self.files.fill_in(word, &server.url)?);
        }
        command.env(KEY, &self.key).env(URL, &server.url);
        if let Some(certificate) = &server.certificate {
            command.env(CERTIFICATE, certificate);
            command.env(CURL_CERTIFICATE, certificate);
        }
        Ok(())
    }

    /// How many instructions a client takes.
    fn count(&self, server: &Server, words: &[String]) -> Result<f64, Failure> {
        let counts = std::fs::read_to_string(self.callgrind(server, words)?)?;
        let total = counts
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        Ok(total.ok_or("callgrind tells no total")?.trim().parse()?)
    }

    /// Shows where the instructions of a client are.
    fn profile(&self, words: &[String]) -> Result<(), Failure> {
        let counts = self.callgrind(&self.plain, words)?;
        let mut command = Command::new("callgrind_annotate");
        command.args(["--auto=no", "--threshold=90"]).arg(counts);
        command.status()?;
        Ok(())
    }

    fn callgrind(&self, server: &Server, words: &[String]) -> Result<PathBuf, Failure> {
        let counts = self.files.path("callgrind");
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind");
        command.arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(&self.program);
        self.set_up(&mut command, server, words)?;
        let done = command.output();
        let done = done.map_err(|error| format!("valgrind is needed: {error}"))?;
        match done.status.success() {
            true => Ok(counts),
            false => Err(String::from_utf8_lossy(&done.stderr).into()),
        }
    }
}

/// What a process tells of itself, or else what it has cost as a whole.
fn cost_of(mut command: Command) -> Result<Report, Failure> {
    let cpu = client::cpu(UsageWho::RUSAGE_CHILDREN);
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut told = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut told)?;
    }
    let first_line = start.elapsed();
    let done = child.wait_with_output()?;
    let mut report = crate::report([
        ("start", first_line.as_secs_f64()),
        ("wall", start.elapsed().as_secs_f64()),
        (
            "cpu",
            (client::cpu(UsageWho::RUSAGE_CHILDREN) - cpu).as_secs_f64(),
        ),
    ]);
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    if !told.is_empty() {
        report.extend(serde_json::from_str::<Report>(&told)?);
    }
    Ok(report)
}

/// The stub in its own process. It ends with this one.
struct Server {
    child: Child,
    url: String,
    certificate: Option<PathBuf>,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Server {
    fn start(program: &Path, key: &str, certificate: Option<&Path>) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        command.arg("serve").args(certificate).env(KEY, key);
        if let Some(path) = certificate {
            // For the commands that it runs.
            command.env(CURL_CERTIFICATE, path);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err("the server has no pipes".into());
        };
        let mut stdout = BufReader::new(stdout);
        let mut url = String::new();
        stdout.read_line(&mut url)?;
        Ok(Self {
            child,
            url: url.trim().to_owned(),
            certificate: certificate.map(Path::to_owned),
            pipes: Mutex::new((stdin, stdout)),
        })
    }

    /// What it has seen since the last time.
    fn take_counts(&self) -> Result<Report, Failure> {
        let mut pipes = self.pipes.lock().map_err(|_| "the pipes are lost")?;
        writeln!(pipes.0)?;
        let mut line = String::new();
        pipes.1.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
