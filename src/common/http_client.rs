//! HTTP clients for the calls to other servers.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect};

use crate::common::failure::Failure;

/// A server that accepts no connection for this long is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns a builder of a client for calls to `address`. `timeout` limits a call as a whole. The client follows
/// no redirect, which could pass a key or a patient's data on to another server; a caller may allow some.
pub fn builder(address: &str, timeout: Duration) -> ClientBuilder {
    let builder = Client::builder();
    // A proxy of the environment cannot reach this machine's own servers.
    let builder = if is_this_machine(address) { builder.no_proxy() } else { builder };
    builder
        .user_agent(concat!("jhe-ow/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        // Plain http needs no root certificates, which a bare machine may not have.
        .tls_built_in_native_certs(address.starts_with("https:"))
}

/// Returns true if a URL names the machine of whoever opens it.
pub fn is_this_machine(url: &str) -> bool {
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let ip = ip.map(|ip| ip.to_canonical());
    let name = host.trim_end_matches('.');
    ["localhost", "ip6-localhost", "ip6-loopback"].contains(&name)
        || name.ends_with(".localhost")
        || ip.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

pub fn build(builder: ClientBuilder) -> Result<Client, Failure> {
    builder.build().map_err(|error| {
        let remedy = "install this machine's root certificates (Debian: ca-certificates)";
        Failure::failed(format!("no HTTPS client: {}", error.without_url()), remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_this_machine_is_called_without_a_proxy() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "ow.localhost",
            "ip6-localhost",
            "ip6-loopback",
            "127.1.2.3",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_this_machine(&format!("http://{host}:8000/api")), "{host}");
        }
        for host in ["example.org", "localhost.example.org", "10.0.0.1", "[2001:db8::1]"] {
            assert!(!is_this_machine(&format!("http://{host}/")), "{host}");
        }
    }
}
