//! Name look-up with an error of its own type, so that an unknown name is told from a failed connection.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver.
pub struct SystemResolver;

/// The name of the host could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} could not be resolved: {source}")]
pub struct NameUnknown {
    name: String,
    source: std::io::Error,
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(addresses) => Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as Addrs),
                Err(source) => Err(NameUnknown { name: name.as_str().to_owned(), source }.into()),
            }
        })
    }
}
