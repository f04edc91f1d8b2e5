//! The running call, shown to whoever watches.

use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::line::Tone;
use super::stream_caps;
use super::text::brief;
use super::when::duration;

/// The most columns of its lines: few terminals are narrowed to less while it is shown, which breaks lines.
const WIDEST: usize = 39;

/// What stands around what is done: the spinner and the time.
const AROUND: usize = 14;

/// How often it is drawn.
const TICK: Duration = Duration::from_millis(120);

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// To the beginning of this line, and away with it.
const CLEAR_LINE: &str = "\r\u{1b}[K";
/// The same, with all that is below.
const CLEAR: &str = "\r\u{1b}[J";

/// Two lines on stderr, what is done and for how long above an advice, until it is dropped. The cursor rests before them,
/// where what a terminal echoes of a key is drawn over.
pub struct Progress(Option<Shown>);

struct Shown {
    state: Arc<(Mutex<State>, Condvar)>,
    drawing: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    is_over: bool,
}

impl Progress {
    /// Shows nothing.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Starts showing what is done, and an advice; shows nothing where no thread can be started.
    pub(super) fn start(doing: String, advice: String, color: bool) -> Self {
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        let drawing = thread::Builder::new().spawn(move || draw(&shared, &doing, &advice, color)).ok();
        Self(Some(Shown { state, drawing }))
    }

    /// Takes the lines away while something else is printed.
    pub fn suspend(&self, print: impl FnOnce()) {
        let Some(shown) = &self.0 else { return print() };
        let _not_drawn = lock(&shown.state.0);
        write(CLEAR);
        print();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some(shown) = &mut self.0 else { return };
        lock(&shown.state.0).is_over = true;
        shown.state.1.notify_all();
        if let Some(drawing) = shown.drawing.take() {
            let _ = drawing.join();
        }
    }
}

fn draw((state, changed): &(Mutex<State>, Condvar), doing: &str, advice: &str, color: bool) {
    let since = Instant::now();
    let mut drawn_within = None;
    let mut state = lock(state);
    for frame in SPINNER.iter().cycle() {
        if state.is_over {
            break;
        }
        let time = duration(since.elapsed().as_secs_f64()).unwrap_or_default();
        // The terminal may have been narrowed since: a line that it broke would be drawn again below itself.
        let width =
            stream_caps::width(&io::stderr()).map_or(WIDEST, |width| WIDEST.min(width.saturating_sub(1)));
        let mut advised = String::new();
        Tone::Faint.paint(&brief(advice, width), color, &mut advised);
        let doing = brief(doing, width.saturating_sub(AROUND));
        // Clearing all of a screen, as from its first row, would move it to where one scrolls back to.
        let clear = if drawn_within.replace(width) == Some(width) { CLEAR_LINE } else { CLEAR };
        write(&format!("{clear}{frame} {doing}  {time}\n{clear}{advised}\r\u{1b}[A"));
        state = changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
    }
    write(CLEAR);
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(text: &str) {
    // Nobody is left to tell that stderr is gone.
    let _ = io::stderr().write_all(text.as_bytes());
}
