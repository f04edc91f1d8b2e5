//! `cargo bench --bench processes`: whole runs of the release binary beside those of other programs, as ratios; many
//! calls at once; the sandbox as a server.
//!
//! Each figure is a ratio of medians over runs in turn, against a TLS service on loopback whose authority is in a
//! bundle of 145 certificates for both sides, as many of them the system's own as there are. The program is built anew,
//! as it is shipped: `cargo bench` itself would build it with the features that crates have for the tests' sake. Nothing
//! here passes or fails: a ratio belongs to the machine it was measured on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod load;
mod measure;
mod service;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use load::Sandbox;
use measure::{Run, Series, find, pairs};
use service::{CALL, SERVE, Service};

/// How often a run that takes milliseconds is repeated, and one that takes tenths of a second.
const SMALL: usize = 41;
const LARGE: usize = 11;

const MB: f64 = 1_000_000.0;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == SERVE) {
        service::serve(Path::new(&arguments.next().expect("where the bundle goes")));
        return Ok(());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("building the program as it is shipped ...");
    let (kallyai, seconds) = build(folder.path())?;
    let bundle = folder.path().join("bundle.pem");
    let service = Service::start(&bundle)?;
    println!("\n{:<46} {:>8}  {:<17} {:>8}", "figure", "median", "least to most", "target");
    let table = Table { kallyai, url: &service.url, bundle: &bundle };
    table.start()?;
    table.network()?;
    table.instructions()?;
    table.calls(folder.path())?;
    table.slow_line()?;
    table.sandbox(folder.path())?;
    line("release binary, MB", std::fs::metadata(&table.kallyai)?.len() as f64 / MB, None, 6.2);
    line("clean release build, s", seconds, None, 120.0);
    Ok(())
}

/// Builds the program with nothing to go by, and says how many seconds that took.
fn build(folder: &Path) -> io::Result<(PathBuf, f64)> {
    let started = Instant::now();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--offline", "--quiet"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--target-dir"])
        .arg(folder)
        .status()?;
    if !status.success() {
        return Err(io::Error::other("the program could not be built"));
    }
    let program = folder.join("release").join(format!("kallyai{}", std::env::consts::EXE_SUFFIX));
    Ok((program, started.elapsed().as_secs_f64()))
}

/// One line of the table.
fn line(figure: &str, median: f64, spread: Option<(f64, f64)>, target: f64) {
    let spread = spread.map(|(least, most)| format!("{least:.3} to {most:.3}")).unwrap_or_default();
    let verdict = if median <= target { "within" } else { "NOT within" };
    println!("{figure:<46} {median:>8.3}  {spread:<17} {target:>8}  {verdict}");
}

fn ratio(figure: &str, sides: &[Series; 2], target: f64) {
    let median = sides[0].median() / sides[1].median();
    line(figure, median, Some(Series::ratios(sides).spread()), target);
}

fn milliseconds(figure: &str, seconds: &Series, target: f64) {
    let (least, most) = seconds.spread();
    line(figure, seconds.median() * 1e3, Some((least * 1e3, most * 1e3)), target);
}

fn megabytes(figure: &str, peak: &Series, target: f64) {
    let (least, most) = peak.spread();
    line(figure, peak.median() / MB, Some((least / MB, most / MB)), target);
}

/// A program that is there, or a line that says it is not.
fn installed(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        println!("{program} is not installed: what is compared with it is left out");
    }
    found
}

struct Table<'a> {
    kallyai: PathBuf,
    url: &'a str,
    bundle: &'a Path,
}

impl Table<'_> {
    fn kallyai(&self, arguments: &[&str]) -> Run {
        Run::new(&self.kallyai, arguments).with(&[
            ("KALLYAI_API_URL", self.url.to_owned()),
            ("KALLYAI_ACCESS_TOKEN", "a-token".to_owned()),
            ("KALLYAI_TIMEZONE", "Europe/Madrid".to_owned()),
            ("SSL_CERT_FILE", self.bundle.display().to_string()),
        ])
    }

    fn curl(&self, curl: &Path, route: &str) -> Run {
        let bundle = self.bundle.display().to_string();
        let url = format!("{}{route}", self.url);
        Run::new(curl, &["-sSf", "--cacert", &bundle, "-H", "Authorization: Bearer a-token", &url])
    }

    /// What a start costs.
    fn start(&self) -> io::Result<()> {
        let Some(nothing) = installed("true") else { return Ok(()) };
        let nothing = Run::new(&nothing, &[]);
        for (flag, target) in [("--version", 2.0), ("--help", 2.5)] {
            let measured = pairs([&self.kallyai(&[flag]), &nothing], 3 * SMALL)?;
            ratio(&format!("{flag} ÷ true"), &measured.wall, target);
        }
        // It is called kallyai too, so that it cannot be looked for by name.
        let Some(python) = std::env::var_os("KALLYAI_CLI") else {
            println!("KALLYAI_CLI does not say where kallyai-cli's program is: the comparison is left out");
            return Ok(());
        };
        let python = Run::new(Path::new(&python), &["--version"]);
        let measured = pairs([&self.kallyai(&["--version"]), &python], LARGE)?;
        ratio("--version ÷ kallyai-cli --version", &measured.wall, 0.012);
        Ok(())
    }

    /// What a read costs.
    fn network(&self) -> io::Result<()> {
        let (curl, jq) = (installed("curl"), installed("jq"));
        let transcript = format!("/v1/calls/{CALL}/transcript");
        if let Some(curl) = &curl {
            let usage =
                pairs([&self.kallyai(&["--usage"]), &self.curl(curl, "/v1/users/me/statistics")], SMALL)?;
            ratio("--usage ÷ curl", &usage.wall, 0.15);
            ratio("--usage ÷ curl, peak memory", &usage.peak, 0.50);
        }
        if let (Some(curl), Some(jq)) = (&curl, &jq) {
            let history = self.kallyai(&["--history", "--limit", "200"]);
            let piped = self.curl(curl, "/v1/calls?limit=200").pipe(jq, &["-r", HISTORY]);
            ratio("--history --limit 200 ÷ curl | jq", &pairs([&history, &piped], SMALL)?.wall, 0.25);
        }
        let text = self.kallyai(&["--transcript", CALL]);
        if let (Some(curl), Some(jq)) = (&curl, &jq) {
            let piped = self.curl(curl, &transcript).pipe(jq, &["-r", TRANSCRIPT]);
            ratio("10 MB transcript ÷ curl | jq", &pairs([&text, &piped], LARGE)?.wall, 0.25);
        }
        if let Some(curl) = &curl {
            let alone = self.curl(curl, &transcript);
            ratio("10 MB transcript ÷ curl alone", &pairs([&text, &alone], LARGE)?.wall, 2.5);
        }
        let json = self.kallyai(&["--transcript", CALL, "--json"]);
        let [as_text, as_json] = pairs([&text, &json], LARGE)?.peak;
        megabytes("10 MB transcript, peak memory in MB", &as_text, 24.0);
        megabytes("10 MB transcript --json, peak memory in MB", &as_json, 24.0);
        Ok(())
    }

    /// What a call costs beside the service's time for it, which is none here.
    fn calls(&self, folder: &Path) -> io::Result<()> {
        let state = |name: &str| [("KALLYAI_STATE_DIR", folder.join(name).display().to_string())];
        let call = |n: usize, state: &[(&'static str, String)]| {
            let number = format!("+1555{n:07}");
            self.kallyai(&["-p", &number, "-t", "Ask for the opening hours", "--json"]).and(state)
        };
        let cost = |state: &[(&'static str, String)], first: usize| -> io::Result<Series> {
            let read = self.kallyai(&["--usage", "--json"]);
            let runs = (first..first + 30).map(|n| Ok((call(n, state).measure()?.0, read.measure()?.0)));
            let (calls, reads) = runs.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
            Ok(Series::differences(&[Series::of(calls), Series::of(reads)]))
        };
        milliseconds("a call less a read, ms", &cost(&state("calls"), 0)?, 10.0);
        let many = state("many");
        let seconds = load::at_once((0..200).map(|n| call(n, &many).to_command()))?;
        line("200 calls at once, s", seconds, None, 1.0);
        Ok(())
    }

    /// What a read takes where the service is far away, beside the three round trips of TCP, TLS and HTTP.
    fn slow_line(&self) -> io::Result<()> {
        const ROUND_TRIP: Duration = Duration::from_millis(50);
        let port = self.url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        let far = format!("https://localhost:{}", load::slow_line(port, ROUND_TRIP)?);
        let read = self.kallyai(&["--usage"]).and(&[("KALLYAI_API_URL", far)]);
        let taken = (0..15).map(|_| Ok(read.measure()?.0 - 3.0 * ROUND_TRIP.as_secs_f64()));
        let beside = Series::of(taken.collect::<io::Result<_>>()?);
        milliseconds("--usage over round trips of 50 ms, less three, ms", &beside, 12.0);
        Ok(())
    }

    /// What the sandbox takes as a server for others.
    fn sandbox(&self, folder: &Path) -> io::Result<()> {
        let sandbox = Sandbox::start(&self.kallyai, &folder.join("sandbox"))?;
        let (seconds, reads, id) = sandbox.ring(256)?;
        line("sandbox: 256 calls of 4 s at once, s", seconds, None, 5.0);
        milliseconds("sandbox: a read meanwhile, ms", &reads, 50.0);
        milliseconds("sandbox: a page on a kept connection, ms", &sandbox.kept("/v1/calls?limit=200")?, 3.0);
        for (what, path) in [("call", format!("/v1/calls/{id}")), ("usage", "/v1/users/me/statistics".into())]
        {
            let each = 1e6 / sandbox.throughput(64, &path)?;
            line(&format!("sandbox: {what}, 64 connections, µs a request"), each, None, 333.0);
        }
        Ok(())
    }

    /// What is counted rather than timed.
    fn instructions(&self) -> io::Result<()> {
        let Some(valgrind) = installed("valgrind") else { return Ok(()) };
        let version = self.kallyai(&["--version"]).instructions(&valgrind)?;
        line("--version, million instructions", version / MB, None, 0.70);
        if let Some(curl) = find("curl") {
            let ours = self.kallyai(&["--usage"]).instructions(&valgrind)?;
            let theirs = self.curl(&curl, "/v1/users/me/statistics").instructions(&valgrind)?;
            line("--usage ÷ curl, instructions", ours / theirs, None, 0.05);
        }
        Ok(())
    }
}

/// The same columns as ours.
const HISTORY: &str =
    r#".calls[] | [.metadata.created_at, .status, .submission.business_name, .highlights, .call_id] | @tsv"#;

/// The same lines as ours.
const TRANSCRIPT: &str = r#".entries[] | "\(.timestamp)  \(.speaker)  \(.content)""#;
