//! Whether the caller closed stdout (`>&-`), or left it open for reading alone. Rust's runtime opens `/dev/null` in its place before `main`, where it cannot be
//! told from one that the caller gave; so it is looked at before that.

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use rustix::fs::OFlags;

static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether nothing could be written to stdout when this program started.
pub fn was_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

#[cfg(unix)]
extern "C" fn look() {
    // Nothing can be written to what is open for reading alone either, and the runtime takes that for success.
    let writes = |flags: OFlags| flags & OFlags::ACCMODE != OFlags::RDONLY;
    let is_closed = !rustix::fs::fcntl_getfl(rustix::stdio::stdout()).is_ok_and(writes);
    IS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// The loader calls what is listed here before `main`; it gets by with a system call and an atomic.
#[cfg(unix)]
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[expect(unsafe_code, reason = "nothing safe runs before the runtime has replaced a closed stdout")]
static LOOK: extern "C" fn() = look;
