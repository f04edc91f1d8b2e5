//! Many calls at once, a line that is slow, and the sandbox as a server for others.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::measure::Series;

/// The same command many times, each with its own number, at once: seconds until the last has ended.
pub fn at_once(commands: impl Iterator<Item = Command>) -> io::Result<f64> {
    let started = Instant::now();
    let running: Vec<Child> = commands
        .map(|mut command| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn())
        .collect::<io::Result<_>>()?;
    for mut child in running {
        if !child.wait()?.success() {
            return Err(io::Error::other("a call of many failed"));
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// A line to `service` on which a byte takes half of a round trip, and a connection one. Returns its port.
pub fn slow_line(service: u16, round_trip: Duration) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                thread::sleep(round_trip);
                let service = TcpStream::connect(("127.0.0.1", service))?;
                delayed(client.try_clone()?, service.try_clone()?, round_trip / 2);
                delayed(service, client, round_trip / 2);
                io::Result::Ok(())
            });
        }
    });
    Ok(port)
}

/// Passes bytes on, each `delay` after it came.
fn delayed(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let _ = to.set_nodelay(true);
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

/// A sandbox that others use as their test server, which ends with this value.
pub struct Sandbox {
    child: Child,
    address: String,
    token: String,
}

impl Sandbox {
    /// Starts it with a memory of its own in `folder`.
    pub fn start(kallyai: &Path, folder: &Path) -> io::Result<Self> {
        let mut child = Command::new(kallyai)
            .args(["--serve-sandbox", "127.0.0.1:0", "--json"])
            .env_clear()
            .env("KALLYAI_STATE_DIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        let served: Value = serde_json::from_str(&line)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let address = text(&served["api_url"]).trim_start_matches("http://").trim_end_matches('/').to_owned();
        let login: Value = serde_json::from_slice(&std::fs::read(text(&served["token_file"]))?)?;
        Ok(Self { child, address, token: text(&login["access_token"]) })
    }

    /// So many calls, which ring at once: seconds until all have ended, and those that a read takes meanwhile. Returns
    /// the ID of one.
    pub fn ring(&self, calls: usize) -> io::Result<(f64, Series, String)> {
        let started = Instant::now();
        thread::scope(|scope| {
            let placing: Vec<_> = (0..calls).map(|n| scope.spawn(move || self.place(n))).collect();
            // All have begun by then, and none has ended.
            thread::sleep(Duration::from_secs(1));
            let mut connection = self.connect()?;
            let reads = (0..20).map(|_| self.timed(&mut connection, "/v1/users/me/statistics"));
            let reads = Series::of(reads.collect::<io::Result<_>>()?);
            let ids = placing
                .into_iter()
                .map(|call| call.join().expect("a call"))
                .collect::<io::Result<Vec<_>>>()?;
            Ok((started.elapsed().as_secs_f64(), reads, ids.into_iter().next().unwrap_or_default()))
        })
    }

    /// Reads on one connection, one after the other: seconds each.
    pub fn kept(&self, path: &str) -> io::Result<Series> {
        let mut connection = self.connect()?;
        Ok(Series::of((0..100).map(|_| self.timed(&mut connection, path)).collect::<io::Result<_>>()?))
    }

    /// Reads on so many connections for two seconds: requests a second.
    pub fn throughput(&self, connections: usize, path: &str) -> io::Result<f64> {
        let until = Instant::now() + Duration::from_secs(2);
        let counted: io::Result<Vec<u32>> = thread::scope(|scope| {
            let reading: Vec<_> = (0..connections)
                .map(|_| {
                    scope.spawn(move || {
                        let mut connection = self.connect()?;
                        let mut requests = 0;
                        while Instant::now() < until {
                            self.timed(&mut connection, path)?;
                            requests += 1;
                        }
                        Ok(requests)
                    })
                })
                .collect();
            reading.into_iter().map(|thread| thread.join().expect("a count")).collect()
        });
        Ok(f64::from(counted?.iter().sum::<u32>()) / 2.0)
    }

    fn place(&self, n: usize) -> io::Result<String> {
        let submission = json!({
            "task_category": "general", "task_description": "Ask for the opening hours",
            "respondent_phone": format!("+1555{n:07}"), "language": "en", "call_language": "en",
        });
        let body = json!({ "submission": submission, "timezone": "UTC" }).to_string();
        let head = format!("Idempotency-Key: bench-{n}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = self.exchange(&mut self.connect()?, &format!("POST /v1/calls HTTP/1.1\r\n{head}"))?;
        Ok(answer["call_id"].as_str().unwrap_or_default().to_owned())
    }

    fn timed(&self, connection: &mut BufReader<TcpStream>, path: &str) -> io::Result<f64> {
        let started = Instant::now();
        self.exchange(connection, &format!("GET {path} HTTP/1.1\r\n\r\n"))?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Sends a request and returns what was answered, which must be a success.
    fn exchange(&self, connection: &mut BufReader<TcpStream>, request: &str) -> io::Result<Value> {
        let login = format!("Host: {}\r\nAuthorization: Bearer {}\r\n", self.address, self.token);
        let request = request.replacen("\r\n", &format!("\r\n{login}"), 1);
        connection.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut line, mut length) = (String::new(), String::new(), 0);
        connection.read_line(&mut status)?;
        while connection.read_line(&mut line)? > 2 {
            if let Some((name, value)) =
                line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("content-length"))
            {
                length =
                    value.trim().parse().map_err(|_| io::Error::other(format!("{name} is no number")))?;
            }
            line.clear();
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body)?;
        if !status.starts_with("HTTP/1.1 2") {
            return Err(io::Error::other(status));
        }
        // What is only timed need not be understood.
        Ok(if request.starts_with("POST") { serde_json::from_slice(&body)? } else { Value::Null })
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
