//! Signals to the command while its worker connects.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use crate::signals::{SIGNALS, made_no_call};
use crate::support::{AT_ONCE, CALL, Gate, Home, Proxy, Reply, Run, Running, TOKEN, now};

/// Waits until these processes have ended.
fn ended(processes: &[Pid]) {
    let until = Instant::now() + AT_ONCE;
    while processes.iter().any(|id| test_kill_process(*id).is_ok()) {
        assert!(Instant::now() < until, "a worker goes on");
        std::thread::yield_now();
    }
}

/// A command whose worker connects until the gate opens.
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
        // The first tunnel was for the look at the history.
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

    /// Lets the connection through and asserts that nothing is sent on it.
    fn sends_nothing(self) {
        ended(&self.worker);
        self.gate.open();
        assert_eq!(self.proxy.requests().len(), 1, "the look at the history");
        assert_eq!(self.home.journal(), Vec::<Value>::new());
    }
}

#[test]
fn stop_before_the_reservation_makes_no_call() {
    for (signal, exit) in SIGNALS {
        let mut connecting = Connecting::start(&[]);
        let run = connecting.ends(Some(signal));
        made_no_call(&run.exits(exit), &connecting.home);
        connecting.sends_nothing();
    }
    let mut connecting = Connecting::start(&["--timeout", "1"]);
    let error = connecting.ends(None).exits(3).error();
    assert_eq!(
        (&error["code"], &error["retry_safe"]),
        (&json!("unreachable"), &json!(true))
    );
    connecting.sends_nothing();
    let mut connecting = Connecting::start(&[]);
    connecting.ends(Some(Signal::KILL));
    connecting.sends_nothing();
}

#[test]
fn silent_worker_may_have_sent_the_call() {
    for is_hurried in [false, true] {
        let mut connecting = Connecting::start(&[]);
        kill_process(connecting.worker[0], Signal::STOP).expect("a signal");
        let started = Instant::now();
        connecting.signal(Signal::INT);
        if is_hurried {
            connecting.signal(Signal::TERM);
        }
        let run = connecting.ends(None);
        let is_early = started.elapsed() < Duration::from_secs(2);
        assert_eq!(is_early, is_hurried);
        assert!(matches!(run.exit, Some(130 | 143)), "{:?}", run.exit);
        let error = run.error();
        assert_eq!(error["retry_safe"], false);
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains("may be made"), "{message}");
        kill_process(connecting.worker[0], Signal::CONT).expect("a signal");
        connecting.sends_nothing();
    }
}
