//! Name look-up with an error of its own type, so that an unknown name is told from a failed connection.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

/// The system's resolver.
pub struct SystemResolver;

/// The name of the host could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} could not be resolved: {source}")]
pub struct NameUnknown {
    name: String,
    source: io::Error,
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            match look_up(&name).await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(source) => Err(NameUnknown { name, source }.into()),
            }
        })
    }
}

/// In a thread, as a look-up may take its time and cannot be given up. Not one of the runtime's, which panics where none
/// can be started: there the look-up holds everything up.
async fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    let (sender, looked_up) = oneshot::channel();
    let in_thread = name.to_owned();
    let started = std::thread::Builder::new()
        .name("resolver".into())
        .spawn(move || drop(sender.send(look_up_now(&in_thread))));
    match started {
        Ok(_) => looked_up.await.unwrap_or_else(|_| Err(io::Error::other("the look-up ended early"))),
        Err(_) => look_up_now(name),
    }
}

fn look_up_now(name: &str) -> io::Result<Vec<SocketAddr>> {
    (name, 0).to_socket_addrs().map(Iterator::collect)
}
