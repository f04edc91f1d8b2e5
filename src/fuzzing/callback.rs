//! The receiver without its sockets: what it reads of a connection, and what it makes of that.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use crate::auth::fuzz_api::{
    AuthResponse, LARGEST_HEAD, OAuthState, Page, Routed, Shared, read_head, read_url, route,
};

/// The largest head taken, in bytes.
pub const LARGEST: usize = LARGEST_HEAD;

/// How far the sign-in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing right has come yet.
    Waiting,
    /// The one right answer has come.
    Spent,
    /// It has, and its page is there to be fetched.
    Saved,
}

/// What a redirect says, its secrets open.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The user signed in.
    Granted {
        /// What requests carry.
        access_token: String,
        /// What renews it.
        refresh_token: Option<String>,
        /// How long it lasts.
        expires_in: Option<f64>,
    },
    /// The user, or the service, declined.
    Declined(String),
}

/// What a connection comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It ended before its head did.
    Nothing,
    /// It is refused with this status.
    Refused(u16),
    /// It is shown the page that is here.
    Shown(&'static str),
    /// It is the answer to the sign-in.
    Taken(Said),
}

/// What comes of a connection that brings these pieces and ends.
pub fn connection(pieces: &[&[u8]], port: u16, state: &str, phase: Phase) -> Option<Outcome> {
    let (arrivals, _arrival) = mpsc::channel(1);
    let arrivals = (phase == Phase::Waiting).then_some(arrivals);
    let page = (phase == Phase::Saved).then_some(Page::SignedIn);
    let (shared, _fetched) = Shared::new(port, OAuthState::parse(state)?, arrivals, page);
    let Some(head) = finished(read_head(&mut Pieces { pieces: pieces.to_vec(), idle: false })) else {
        return Some(Outcome::Nothing);
    };
    Some(match route(&head, || true, &shared) {
        Routed::Status(status) => Outcome::Refused(status),
        Routed::Page(page) => Outcome::Shown(page.path()),
        Routed::AuthResponse(reply) => Outcome::Taken(said(reply)),
    })
}

/// What a pasted URL says.
pub fn pasted(text: &str, state: &str) -> Option<Said> {
    read_url(text, &OAuthState::parse(state)?).ok().map(said)
}

fn said(reply: AuthResponse) -> Said {
    match reply {
        AuthResponse::Granted(granted) => Said::Granted {
            access_token: granted.access_token.expose().to_owned(),
            refresh_token: granted.refresh_token.map(|token| token.expose().to_owned()),
            expires_in: granted.expires_in,
        },
        AuthResponse::Declined(why) => Said::Declined(why),
    }
}

/// A connection that brings one piece at a time, and keeps its reader waiting before each.
struct Pieces<'a> {
    pieces: Vec<&'a [u8]>,
    idle: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.idle = !self.idle;
        if self.idle {
            return Poll::Pending;
        }
        self.pieces.retain(|piece| !piece.is_empty());
        if let Some(piece) = self.pieces.first_mut() {
            let (now, later) = piece.split_at(piece.len().min(to.remaining()));
            to.put_slice(now);
            *piece = later;
        }
        Poll::Ready(Ok(()))
    }
}

fn finished<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}
