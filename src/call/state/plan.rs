//! What the runs of the model do and meet.

use proptest::prelude::*;

/// What calls are asked to do.
pub const TASKS: [&str; 2] = ["Reserve a table", "Ask for the hours"];

/// What the POST of a run meets.
#[derive(Debug, Clone)]
pub enum Fault {
    None,
    /// The answer is a call that has only begun.
    Begins,
    NoConnection(bool),
    NotTaken,
    Refused,
    Unauthorized,
    /// This status or, for 0, a cut connection; the phone rings, or the request never arrived.
    Lost(u16, bool),
}

/// What the user does, and what happens to that run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub resume: bool,
    pub again: bool,
    pub detach: bool,
    pub task: usize,
    /// What each POST meets; the last one repeats.
    pub faults: Vec<Fault>,
    /// Which looks at the service fail.
    pub deaf: Vec<bool>,
    /// After how many actions the process is killed, or gets a signal.
    pub kill_at: Option<usize>,
    pub signal_at: Option<usize>,
    /// Whether stdout is closed.
    pub mute: bool,
    pub renewable: bool,
    /// How long the user waits before, in seconds.
    pub pause: i64,
}

fn fault() -> impl Strategy<Value = Fault> {
    let status = prop::sample::select(vec![
        0u16, 0, 0, 200, 201, 204, 302, 307, 408, 409, 460, 499, 500, 502, 503, 503, 504, 520,
    ]);
    prop_oneof![
        2 => Just(Fault::None),
        2 => Just(Fault::Begins),
        1 => any::<bool>().prop_map(Fault::NoConnection),
        1 => Just(Fault::NotTaken),
        1 => Just(Fault::Refused),
        1 => Just(Fault::Unauthorized),
        6 => (status, any::<bool>()).prop_map(|(status, rang)| Fault::Lost(status, rang)),
    ]
}

/// Any plan.
pub fn plan() -> impl Strategy<Value = Plan> {
    let moment = || prop::option::weighted(0.25, 0..12usize);
    let who = (any::<bool>(), prop::bool::weighted(0.15), prop::bool::weighted(0.25), 0..TASKS.len());
    let met = (prop::collection::vec(fault(), 1..4), prop::collection::vec(any::<bool>(), 0..6));
    let pause = prop::sample::select(vec![0i64, 0, 1, 90, 700, 3600, 7 * 3600]);
    let end = (moment(), moment(), prop::bool::weighted(0.15), any::<bool>(), pause);
    (who, met, end).prop_map(
        |((resume, again, detach, task), (faults, deaf), (kill_at, signal_at, mute, renewable, pause))| {
            Plan {
                resume,
                again,
                detach: detach && !resume,
                task,
                faults,
                deaf,
                kill_at,
                signal_at,
                mute,
                renewable,
                pause,
            }
        },
    )
}
