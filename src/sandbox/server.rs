//! Serving: a socket, and a thread for each connection, which also waits where a call rings. The
//! listener of tiny_http is not used: it buffers whatever length a request announces, writes heads
//! and bodies apart, and ends for good with the first connection that cannot be accepted.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::receive::{ReceiveError, Received, Receiver};
use super::wire::{Reply, Request};

/// How long a connection may be silent between requests or within one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a client may take nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client that was refused may go on sending before its connection is closed: one that
/// is closed earlier may lose the refusal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to wait for a free file descriptor when there is none for the next connection.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How long a server that is dropped waits for answers to be sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Many connections may wait for a call, and none of them needs much: bytes.
const STACK_SIZE: usize = 512 << 10;

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A listening server, which stops when dropped.
pub(super) struct Server {
    address: SocketAddr,
    connections: Arc<Connections>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves connections to `listener`, each in a thread of its own.
    ///
    /// # Errors
    ///
    /// When the listener has no address, or no thread can be started.
    pub(super) fn start(
        listener: TcpListener,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let connections = Arc::new(Connections::default());
        let accepting = thread::Builder::new().name("sandbox".to_owned()).spawn({
            let connections = Arc::clone(&connections);
            move || accept(&listener, address.port(), &connections, &Arc::new(handler))
        })?;
        Ok(Self { address, connections, accepting: Some(accepting) })
    }
}

impl Drop for Server {
    /// Requests that have come whole are answered, if that takes no more than a second.
    fn drop(&mut self) {
        self.connections.close();
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        // Only a connection ends the wait for one.
        let woken = TcpStream::connect_timeout(&(ip, self.address.port()).into(), CLOSE_TIMEOUT);
        if let Some(accepting) = self.accepting.take()
            && (woken.is_ok() || accepting.is_finished())
        {
            // Its panic, if any, has been reported when it happened.
            let _ = accepting.join();
        }
        self.connections.wait_for_end(CLOSE_TIMEOUT);
    }
}

/// The connections that are open.
#[derive(Default)]
struct Connections {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    is_closed: bool,
    next: u64,
    open: HashMap<u64, Arc<TcpStream>>,
}

impl Connections {
    /// `None` once closed.
    fn add(&self, stream: &Arc<TcpStream>) -> Option<u64> {
        let mut table = self.table();
        if table.is_closed {
            return None;
        }
        let number = table.next;
        table.next += 1;
        table.open.insert(number, Arc::clone(stream));
        Some(number)
    }

    fn remove(&self, number: u64) {
        self.table().open.remove(&number);
        self.changed.notify_all();
    }

    /// Lets nothing more come in. What is being answered still is.
    fn close(&self) {
        let mut table = self.table();
        table.is_closed = true;
        for stream in table.open.values() {
            // One that the client has closed is no matter.
            let _ = stream.shutdown(Shutdown::Read);
        }
        drop(table);
        self.changed.notify_all();
    }

    /// Whether the server closed before `timeout` had passed.
    fn is_closed_within(&self, timeout: Duration) -> bool {
        let wait = self.changed.wait_timeout_while(self.table(), timeout, |table| !table.is_closed);
        wait.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }

    fn wait_for_end(&self, timeout: Duration) {
        let wait = self.changed.wait_timeout_while(self.table(), timeout, |table| !table.open.is_empty());
        drop(wait);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept<H>(listener: &TcpListener, port: u16, connections: &Arc<Connections>, handler: &Arc<H>)
where
    H: Fn(&Request) -> Reply + Send + Sync + 'static,
{
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let stream = Arc::new(stream);
                let Some(number) = connections.add(&stream) else {
                    return;
                };
                let ended = RemoveOnDrop(Arc::clone(connections), number);
                let handler = Arc::clone(handler);
                let serving = move || {
                    let _ended = ended;
                    // A failure of the socket ends the connection, and there is nobody to tell.
                    let _ = serve(&stream, port, &*handler);
                };
                // Without a thread the connection is closed.
                let _ = thread::Builder::new().stack_size(STACK_SIZE).spawn(serving);
            }
            Err(_) if connections.is_closed_within(ACCEPT_RETRY_INTERVAL) => return,
            Err(_) => {}
        }
    }
}

/// Takes a connection out of the table however its thread ends.
struct RemoveOnDrop(Arc<Connections>, u64);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        self.0.remove(self.1);
    }
}

fn serve(stream: &TcpStream, port: u16, handler: &Handler) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut receiver = Receiver::new(stream, port);
    loop {
        match receiver.next() {
            Ok(Received { request, keep_alive }) => {
                send(stream, &handler(&request), !request.is_head(), keep_alive)?;
                if !keep_alive {
                    return Ok(());
                }
            }
            Err(ReceiveError::Refused(refusal)) => {
                send(stream, &Reply::from(refusal), true, false)?;
                return drain(stream);
            }
            Err(ReceiveError::Gone) => return Ok(()),
        }
    }
}

fn send(mut stream: &TcpStream, reply: &Reply, with_body: bool, keep_alive: bool) -> io::Result<()> {
    stream.write_all(&reply.to_bytes(with_body, keep_alive)?)
}

/// Reads on until the client has seen that it is refused, and closes.
fn drain(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let mut bytes = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut bytes)? == 0 {
            return Ok(());
        }
    }
}
