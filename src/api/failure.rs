//! Determines whether a failed request may have been sent, whether a retry may help, and what the
//! user can do.

use std::error::Error as StdError;
use std::io;

use jiff::Timestamp;
use rustls::CertificateError;

use super::http::SendError;
use super::proxy::Proxy;
use crate::error::{Error, Kind, io_reason};

const INTERCEPTED: &str =
    "check the host, the port and whether your network intercepts TLS connections";

pub fn never_sent(error: Error, retryable: bool) -> SendError {
    SendError::NeverSent { error, retryable }
}

/// Returns the error for a request that got no response by the deadline but may have been sent.
pub fn no_response(host: &str) -> SendError {
    let message = format!("{host} did not respond in time");
    SendError::Lost(Error::new(Kind::Unreachable, message))
}

/// Determines from the causes of `error` whether the request may have been sent.
pub fn classify(error: &reqwest::Error, host: &str, proxy: Option<&Proxy>) -> SendError {
    if let Some(refused) = find::<Error>(error) {
        return never_sent(refused.clone(), false);
    }
    let reason = reason(error);
    if !error.is_connect() {
        let message = format!("lost the connection to {host} ({reason})");
        return SendError::Lost(Error::new(Kind::Unreachable, message));
    }
    let failed_proxy = proxy.filter(|_| is_at_proxy(error));
    if let Some(tls) = find::<rustls::Error>(error) {
        let peer = failed_proxy.map_or(host, |proxy| &proxy.address);
        return never_sent(tls_error(tls, peer), false);
    }
    match failed_proxy {
        _ if error.is_timeout() => unreachable(host, "timed out", proxy),
        Some(proxy) => never_sent(proxy_error(proxy, host, &reason), false),
        None => unreachable(host, &reason, proxy),
    }
}

fn unreachable(host: &str, reason: &str, proxy: Option<&Proxy>) -> SendError {
    let message = format!("couldn't connect to {host} ({reason})");
    let mut error = Error::new(Kind::Unreachable, message);
    error.facts.hint = proxy.map(|proxy| format!("check your network and {proxy}, then try again"));
    never_sent(error, true)
}

fn tls_error(error: &rustls::Error, peer: &str) -> Error {
    use CertificateError as Bad;

    let rustls::Error::InvalidCertificate(reason) = error else {
        let problem = match error {
            rustls::Error::InvalidMessage(_) => "did not respond with valid TLS".into(),
            error => format!("did not complete the TLS handshake ({error})"),
        };
        let message = format!("{peer} {problem}");
        return Error::new(Kind::UnexpectedResponse, message).with_hint(INTERCEPTED);
    };
    let today = Timestamp::now().strftime("%Y-%m-%d");
    let clock = format!("check this computer's clock, which is set to {today}");
    let (problem, hint) = match reason {
        Bad::Expired | Bad::ExpiredContext { .. } => ("has expired", Some(clock)),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => ("is not valid yet", Some(clock)),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            ("is for a different host name", Some(INTERCEPTED.into()))
        }
        Bad::UnknownIssuer => ("is not trusted (unknown issuer)", None),
        // rustls describes other defects, such as a self-signed certificate, only in debug format.
        _ => ("is not trusted (self-signed or invalid)", None),
    };
    let message = format!("the certificate of {peer} {problem}");
    let mut error = Error::new(Kind::Certificate, message);
    error.facts.hint = hint;
    error
}

fn proxy_error(proxy: &Proxy, host: &str, reason: &str) -> Error {
    let message = match reason {
        // hyper-util reports any status except 200 and 407 as "unsuccessful".
        "unsuccessful" => format!("the proxy {} refused to connect to {host}", proxy.address),
        reason => format!("the proxy {} failed ({reason})", proxy.address),
    };
    let hint = format!("check the credentials and address in {proxy}, or add {host} to NO_PROXY");
    Error::new(Kind::Proxy, message).with_hint(hint)
}

/// Returns whether the failure occurred at the proxy. hyper-util's proxy errors are private types,
/// so only their messages identify them.
fn is_at_proxy(error: &reqwest::Error) -> bool {
    let texts: Vec<String> = causes(error).map(ToString::to_string).collect();
    let says = |part: &str| texts.iter().any(|text| text.contains(part));
    says("tunnel error: ") || says("SOCKS error: ")
}

fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| {
        let e: &'e (dyn StdError + 'static) = *e;
        // For an I/O error, use `get_ref`, because `source` would skip the error that it wraps.
        match e.downcast_ref().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => e.source(),
        }
    })
}

fn find<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    causes(error).find_map(|e| e.downcast_ref::<T>())
}

/// Returns the root cause, for example "connection refused" or "name or service not known".
fn reason(error: &reqwest::Error) -> String {
    let io = find::<io::Error>(error).map(io_reason);
    let root = || causes(error).last().map(ToString::to_string);
    let text = io.or_else(root).unwrap_or_default();
    let text = text.split(": https://").next().unwrap_or_default();
    // Drop the name of the failed step, for example "failed to lookup address information: ".
    let step = text.rsplit(": ").next();
    step.unwrap_or_default().to_lowercase()
}
