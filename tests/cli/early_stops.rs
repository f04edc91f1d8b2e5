//! Tests commands that are interrupted while their worker is connecting to the service.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use crate::signals::{SIGNALS, assert_no_call};
use crate::support::{CALL, Gate, Home, PROMPT, Proxy, Reply, Run, Running, TOKEN, now, says};

fn wait_for_exit(processes: &[Pid]) {
    let until = Instant::now() + PROMPT;
    while processes.iter().any(|id| test_kill_process(*id).is_ok()) {
        assert!(Instant::now() < until, "a worker is still running");
        std::thread::yield_now();
    }
}

/// A command whose worker cannot connect to the service until the test opens `gate`.
struct Connecting {
    home: Home,
    proxy: Proxy,
    gate: Gate,
    running: Option<Running>,
    worker: Vec<Pid>,
}

impl Connecting {
    fn start(flags: &[&str]) -> Self {
        let (home, gate) = (Home::new(), Gate::default());
        let login = json!({ "access_token": TOKEN, "expires_at": now() + 3600 });
        std::fs::write(home.path(".kallyai_token.json"), login.to_string()).expect("a file");
        let proxy = Proxy::start(|_| Reply::json(200, &json!({ "calls": [], "total": 0 })));
        proxy.trust(&home.path("ca.pem"));
        proxy.hold(&gate);
        let mut command = home.kallyai(CALL);
        command.args(flags).env("KALLYAI_STATE_DIR", home.state());
        command
            .env("HTTPS_PROXY", &proxy.url)
            .env("SSL_CERT_FILE", home.path("ca.pem"));
        let running = Running::start(command.arg("--json"));
        // The first tunnel is for the history lookup, the second for the call.
        proxy.wait_for_tunnels(2);
        let worker = running.children();
        Self {
            home,
            proxy,
            gate,
            running: Some(running),
            worker,
        }
    }

    fn signal(&self, signal: Signal) {
        self.running.as_ref().expect("a run").signal(signal);
    }

    fn ends(&mut self, signal: Option<Signal>) -> Run {
        signal.into_iter().for_each(|signal| self.signal(signal));
        self.running.take().expect("a run").end()
    }

    /// Waits for the worker to exit, unblocks its connection and asserts that no call was sent.
    fn assert_no_call_was_sent(self) {
        wait_for_exit(&self.worker);
        self.gate.open();
        assert_eq!(self.proxy.requests().len(), 1, "unexpected requests");
        assert_eq!(self.home.journal(), Vec::<Value>::new());
    }
}

#[test]
fn command_stopped_while_connecting_makes_no_call() {
    for (signal, exit) in SIGNALS {
        let mut connecting = Connecting::start(&[]);
        let run = connecting.ends(Some(signal));
        assert_no_call(&run.exits(exit), &connecting.home);
        connecting.assert_no_call_was_sent();
    }
    let mut connecting = Connecting::start(&["--timeout", "1"]);
    let error = connecting.ends(None).fails(3, "unreachable");
    assert_eq!(error["retry_safe"], true);
    connecting.assert_no_call_was_sent();
    let mut connecting = Connecting::start(&[]);
    connecting.ends(Some(Signal::KILL));
    connecting.assert_no_call_was_sent();
}

#[test]
fn interrupted_command_with_a_hung_worker_is_not_retry_safe() {
    let interrupted = |signals: &[Signal]| {
        let mut connecting = Connecting::start(&[]);
        kill_process(connecting.worker[0], Signal::STOP).expect("a signal");
        let started = Instant::now();
        signals.iter().for_each(|signal| connecting.signal(*signal));
        let run = connecting.ends(None);
        let elapsed = started.elapsed();
        assert!(matches!(run.exit, Some(130 | 143)), "{:?}", run.exit);
        let error = run.error();
        assert_eq!(error["retry_safe"], false);
        says(&error, "message", "may still be made");
        kill_process(connecting.worker[0], Signal::CONT).expect("a signal");
        connecting.assert_no_call_was_sent();
        elapsed
    };
    let report = Duration::from_secs(2);
    assert!(interrupted(&[Signal::INT]) >= report);
    // A second signal ends the command at once. Try five times, because the machine may be busy.
    assert!((0..5).any(|_| interrupted(&[Signal::INT, Signal::TERM]) < report));
}
