//! Runs of programs, measured: in turn, so that whatever else the machine does meets both sides alike.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use wait4::Wait4 as _;

/// A program and its arguments, or two with a pipe between them; with a cleared environment.
#[derive(Clone)]
pub struct Run {
    stages: Vec<(PathBuf, Vec<String>)>,
    environment: Vec<(&'static str, String)>,
}

impl Run {
    /// One program.
    pub fn new(program: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { stages: vec![(program.to_owned(), arguments)], environment: Vec::new() }
    }

    /// The same with another program that reads what it writes.
    pub fn pipe(mut self, program: &Path, arguments: &[&str]) -> Self {
        self.stages.extend(Self::new(program, arguments).stages);
        self
    }

    /// The same in this environment.
    pub fn with(mut self, environment: &[(&'static str, String)]) -> Self {
        self.environment = environment.to_vec();
        self
    }

    /// The same with more in its environment.
    pub fn and(mut self, environment: &[(&'static str, String)]) -> Self {
        self.environment.extend_from_slice(environment);
        self
    }

    /// Runs it once, its output read by nobody: seconds, and the peak of its resident memory in bytes.
    pub fn measure(&self) -> io::Result<(f64, u64)> {
        let started = Instant::now();
        let mut children = Vec::new();
        let mut input = Stdio::null();
        for (index, (program, arguments)) in self.stages.iter().enumerate() {
            let is_last = index + 1 == self.stages.len();
            let mut child = self
                .command(program, arguments)
                .stdin(input)
                .stdout(if is_last { Stdio::null() } else { Stdio::piped() })
                .spawn()?;
            input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
            children.push(child);
        }
        let mut peak = 0;
        for (mut child, (program, arguments)) in children.into_iter().zip(&self.stages) {
            let ended = child.wait4()?;
            if !ended.status.success() {
                let command = program.display();
                return Err(io::Error::other(format!("{command} {arguments:?}: {}", ended.status)));
            }
            peak = peak.max(ended.rusage.maxrss);
        }
        Ok((started.elapsed().as_secs_f64(), peak))
    }

    /// The instructions that its only stage takes, as callgrind counts them.
    pub fn instructions(&self, valgrind: &Path) -> io::Result<f64> {
        let (program, arguments) = self.stages.first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut wrapped = vec!["--tool=callgrind".to_owned(), "--callgrind-out-file=/dev/null".to_owned()];
        wrapped.push(program.display().to_string());
        wrapped.extend(arguments.iter().cloned());
        let output = self.command(valgrind, &wrapped).stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
        let report = String::from_utf8_lossy(&output.stderr);
        let count = report
            .lines()
            .find_map(|line| line.split_once("Collected :").and_then(|(_, count)| count.trim().parse().ok()));
        count.filter(|_| output.status.success()).ok_or_else(|| io::Error::other(report.into_owned()))
    }

    /// Its only stage as a command.
    pub fn to_command(&self) -> Command {
        let (program, arguments) = self.stages.first().expect("a stage");
        self.command(program, arguments)
    }

    fn command(&self, program: &Path, arguments: &[String]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What came of two sides that ran in turn.
pub struct Pairs {
    pub wall: [Series; 2],
    pub peak: [Series; 2],
}

/// The same quantity of each run, in order.
pub struct Series(Vec<f64>);

impl Series {
    /// These, in order.
    pub fn of(quantities: Vec<f64>) -> Self {
        Self(quantities)
    }

    /// This less that, run by run.
    pub fn differences([this, that]: &[Self; 2]) -> Self {
        Self(this.0.iter().zip(&that.0).map(|(this, that)| this - that).collect())
    }

    /// The middle of them.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The least and the greatest.
    pub fn spread(&self) -> (f64, f64) {
        self.0.iter().fold((f64::MAX, f64::MIN), |(least, most), &n| (least.min(n), most.max(n)))
    }

    /// This in that, run by run.
    pub fn ratios([this, that]: &[Self; 2]) -> Self {
        Self(this.0.iter().zip(&that.0).map(|(this, that)| this / that).collect())
    }
}

/// Runs both sides in turn, `rounds` times after a warm-up.
pub fn pairs(sides: [&Run; 2], rounds: usize) -> io::Result<Pairs> {
    let mut pairs = Pairs {
        wall: [Series(Vec::new()), Series(Vec::new())],
        peak: [Series(Vec::new()), Series(Vec::new())],
    };
    for round in 0..rounds + 2 {
        for (index, side) in sides.iter().enumerate() {
            let (wall, peak) = side.measure()?;
            if round >= 2 {
                pairs.wall[index].0.push(wall);
                pairs.peak[index].0.push(peak as f64);
            }
        }
    }
    Ok(pairs)
}

/// Where a program is, as a shell would find it.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
