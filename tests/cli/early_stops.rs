//! Tests signals that the command receives while its worker connects.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use crate::signals::{SIGNALS, assert_no_call};
use crate::support::{CALL, Gate, Home, PROMPT, Proxy, Reply, Run, Running, TOKEN, now, says};

/// Waits until these processes have exited.
fn wait_for_exit(processes: &[Pid]) {
    let until = Instant::now() + PROMPT;
    while processes.iter().any(|id| test_kill_process(*id).is_ok()) {
        assert!(Instant::now() < until, "a worker goes on");
        std::thread::yield_now();
    }
}

/// A command whose worker cannot connect until the gate opens.
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
        std::fs::write(home.path(".kallyai_token.json"), login.to_string()).expect("a login");
        let proxy = Proxy::start(|_| Reply::json(200, &json!({ "calls": [], "total": 0 })));
        proxy.trust(&home.path("ca.pem"));
        proxy.hold(&gate);
        let mut command = home.kallyai(CALL);
        command.args(flags).env("KALLYAI_STATE_DIR", home.state());
        command
            .env("HTTPS_PROXY", &proxy.url)
            .env("SSL_CERT_FILE", home.path("ca.pem"));
        let running = Running::start(command.arg("--json"));
        // The first tunnel was for the lookup in the history.
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

    /// Opens the gate and asserts that the worker sends nothing.
    fn assert_sends_nothing(self) {
        wait_for_exit(&self.worker);
        self.gate.open();
        assert_eq!(self.proxy.requests().len(), 1, "the history lookup");
        assert_eq!(self.home.journal(), Vec::<Value>::new());
    }
}

#[test]
fn stop_while_connecting_makes_no_call() {
    for (signal, exit) in SIGNALS {
        let mut connecting = Connecting::start(&[]);
        let run = connecting.ends(Some(signal));
        assert_no_call(&run.exits(exit), &connecting.home);
        connecting.assert_sends_nothing();
    }
    let mut connecting = Connecting::start(&["--timeout", "1"]);
    let error = connecting.ends(None).fails(3, "unreachable");
    assert_eq!(error["retry_safe"], true);
    connecting.assert_sends_nothing();
    let mut connecting = Connecting::start(&[]);
    connecting.ends(Some(Signal::KILL));
    connecting.assert_sends_nothing();
}

#[test]
fn unresponsive_worker_may_have_sent_the_call() {
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
        says(&error, "message", "may be made");
        kill_process(connecting.worker[0], Signal::CONT).expect("a signal");
        connecting.assert_sends_nothing();
        elapsed
    };
    let report = Duration::from_secs(2);
    assert!(interrupted(&[Signal::INT]) >= report);
    // A second signal ends the wait at once. On a busy machine that may take several attempts.
    assert!((0..5).any(|_| interrupted(&[Signal::INT, Signal::TERM]) < report));
}
