//! Classifies a failed request: whether it was sent, whether a retry may help, and otherwise what
//! the user can change.

use std::error::Error as StdError;
use std::io;

use jiff::Timestamp;
use rustls::CertificateError;

use super::http::SendError;
use super::proxy::Proxy;
use crate::error::{Error, Kind, io_reason};

const INTERCEPTED: &str = "check the address and the network, which may intercept connections";

pub fn never_sent(error: Error, retryable: bool) -> SendError {
    SendError::NeverSent { error, retryable }
}

/// Returns the error for a request that was sent but got no response by the deadline.
pub fn no_response(host: &str) -> SendError {
    let message = format!("{host} did not respond in time");
    SendError::Lost(Error::new(Kind::Unreachable, message))
}

/// Determines from the chain of causes whether the request was sent.
pub fn classify(error: &reqwest::Error, host: &str, proxy: Option<&Proxy>) -> SendError {
    if let Some(refused) = find::<Error>(error) {
        return never_sent(refused.clone(), false);
    }
    let reason = reason(error);
    if !error.is_connect() {
        let message = format!("lost the connection to {host} ({reason})");
        return SendError::Lost(Error::new(Kind::Unreachable, message));
    }
    let proxy_error = proxy.and_then(|proxy| proxy_error(error, proxy, host));
    let peer = match (proxy, &proxy_error) {
        (Some(proxy), Some(_)) => proxy.address(),
        _ => host,
    };
    match (find::<rustls::Error>(error), proxy_error) {
        (Some(tls), _) => never_sent(tls_error(tls, peer), false),
        _ if error.is_timeout() => unreachable(host, "timed out", proxy),
        (None, Some(proxy_error)) => never_sent(proxy_error, false),
        (None, None) => unreachable(host, &reason, proxy),
    }
}

fn unreachable(host: &str, reason: &str, proxy: Option<&Proxy>) -> SendError {
    let message = format!("couldn't connect to {host} ({reason})");
    let mut error = Error::new(Kind::Unreachable, message);
    error.facts.hint = proxy.map(|proxy| format!("check the network and {proxy}, then try again"));
    never_sent(error, true)
}

fn tls_error(error: &rustls::Error, peer: &str) -> Error {
    use CertificateError as Bad;

    let rustls::Error::InvalidCertificate(reason) = error else {
        let message = format!("{peer} did not complete the TLS handshake ({error})");
        return Error::new(Kind::UnexpectedResponse, message).with_hint(INTERCEPTED);
    };
    let today = Timestamp::now().strftime("%Y-%m-%d");
    let clock = format!("check this computer's clock, which says {today}");
    let (problem, hint) = match reason {
        Bad::Expired | Bad::ExpiredContext { .. } => ("has expired", Some(clock)),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => ("is not valid yet", Some(clock)),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            ("is for another name", Some(INTERCEPTED.into()))
        }
        Bad::UnknownIssuer => ("is not trusted (unknown issuer)", None),
        other => (&*format!("is not trusted ({other})"), None),
    };
    let message = format!("the certificate of {peer} {problem}");
    let mut error = Error::new(Kind::Certificate, message);
    error.facts.hint = hint;
    error
}

/// Returns an error if the proxy itself failed. hyper-util's proxy errors are private types, so
/// only their messages distinguish them.
fn proxy_error(error: &reqwest::Error, proxy: &Proxy, host: &str) -> Option<Error> {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let says = |part: &str| texts.iter().any(|text| text.contains(part));
    if !says("tunnel error: ") && !says("SOCKS error: ") {
        return None;
    }
    let address = proxy.address();
    let needs = ["authorization required", "authentication", "credentials"];
    let (problem, hint) = if says("failed to create underlying connection") {
        let problem = format!("couldn't connect to the proxy {address}");
        (problem, format!("check {proxy}"))
    } else if needs.into_iter().any(says) {
        let (verb, hint) = match proxy.has_credentials() {
            true => ("rejected the credentials", "check user:password@ in"),
            false => ("asks for credentials", "put user:password@ into"),
        };
        let problem = format!("the proxy {address} {verb}");
        (problem, format!("{hint} {proxy}"))
    } else {
        let problem = format!("the proxy {address} refused to connect to {host}");
        (
            problem,
            format!("check {proxy}, or list {host} in NO_PROXY"),
        )
    };
    let message = format!("{problem} ({})", reason(error));
    Some(Error::new(Kind::Proxy, message).with_hint(hint))
}

/// Returns an error and its causes, root cause last.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| {
        let e: &'e (dyn StdError + 'static) = *e;
        // An I/O error's `source` skips the error that it wraps.
        match e.downcast_ref().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => e.source(),
        }
    })
}

fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    causes(error).find_map(|e| e.downcast_ref::<T>())
}

/// Returns the root cause, such as "connection refused" or "name or service not known".
fn reason(error: &reqwest::Error) -> String {
    let io = find::<io::Error>(error).map(io_reason);
    let root = || causes(error).last().map(ToString::to_string);
    let text = io.or_else(root).unwrap_or_default();
    // Drop the name of the failed step, such as "failed to lookup address information: ".
    lower_first(text.rsplit(": ").next().unwrap_or_default())
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
