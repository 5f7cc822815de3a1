//! Where clients connect to: the servers themselves, or a proxy before each.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::net::lookup_host;
use tonic::transport::Uri;

use super::proxy::{Mode, Proxy};
use super::{Fault, Site};
use crate::server::Servers;

/// The port of HTTP where a URL names none.
const HTTP_PORT: u16 = 80;

/// The servers, as clients reach them. Dropping it closes all connections through proxies.
#[derive(Debug)]
pub struct Fronts {
    urls: Vec<String>,
    /// One before each server, or none where no fault needs them: they cost the load time.
    proxies: Vec<Proxy>,
}

impl Fronts {
    /// Starts a proxy before each server if one of the faults is the network's.
    ///
    /// # Errors
    /// Where a server's address is not to be found or its connections are encrypted, or where a proxy cannot listen.
    pub async fn start(servers: &Servers, faults: &[Fault], seed: u64) -> Result<Self> {
        let urls = servers.urls();
        if !faults.iter().any(|fault| fault.site() == Site::Network) {
            return Ok(Self { urls, proxies: Vec::new() });
        }
        let mut proxies = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            proxies.push(Proxy::start(address(url).await?, seed.wrapping_add(index as u64)).await?);
        }
        Ok(Self { urls: proxies.iter().map(Proxy::url).collect(), proxies })
    }

    /// Where clients connect to, one for each server and in the same order.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// How many proxies there are.
    pub fn count(&self) -> usize {
        self.proxies.len()
    }

    /// Makes the network to one server so, or to all where none is named, until the answer is dropped.
    pub fn impose(&self, mode: Mode, server: Option<usize>) -> Imposed<'_> {
        let one = server.and_then(|index| self.proxies.get(index)).map(std::slice::from_ref);
        let proxies = one.unwrap_or(&self.proxies);
        proxies.iter().for_each(|proxy| proxy.set(mode));
        Imposed(proxies)
    }
}

/// A network that is bad until this is dropped.
#[must_use = "the network works again when this is dropped"]
#[derive(Debug)]
pub struct Imposed<'a>(&'a [Proxy]);

impl Drop for Imposed<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|proxy| proxy.set(Mode::Pass));
    }
}

/// The address of a URL such as `http://HOST:PORT`.
async fn address(url: &str) -> Result<SocketAddr> {
    let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
    ensure!(
        uri.scheme_str() == Some("http"),
        "{url} cannot be put behind a proxy: faults of the network need a server without TLS, at http://HOST:PORT"
    );
    let host = uri.host().with_context(|| format!("{url} names no host"))?;
    // In URLs, and there alone, IPv6 addresses stand in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut found = lookup_host((host, uri.port_u16().unwrap_or(HTTP_PORT)))
        .await
        .with_context(|| format!("the address of {url} cannot be found"))?;
    found.next().with_context(|| format!("{url} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_runs_already_gets_a_front_where_a_fault_needs_it() {
        let servers = Servers::Running { url: "http://127.0.0.1:50051/".to_owned() };
        let fronts = Fronts::start(&servers, &[Fault::KillServer], 1).await.unwrap();
        assert_eq!((fronts.urls(), fronts.count()), (&["http://127.0.0.1:50051/".to_owned()][..], 0));
        let fronts = Fronts::start(&servers, &[Fault::KillServer, Fault::Delay], 1).await.unwrap();
        assert_eq!(fronts.count(), 1);
        assert!(fronts.urls()[0].starts_with("http://127.0.0.1:") && !fronts.urls()[0].contains("50051"));
    }

    #[tokio::test]
    async fn an_address_is_found_or_the_refusal_says_why_not() {
        assert_eq!(address("http://127.0.0.1").await.unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("http://[::1]:7/x").await.unwrap(), "[::1]:7".parse().unwrap());
        assert!(address("https://127.0.0.1:7").await.unwrap_err().to_string().contains("without TLS"));
        assert!(address("127.0.0.1:7").await.is_err());
    }

    #[tokio::test]
    async fn a_bad_network_works_again_when_it_is_no_longer_imposed() {
        let servers = Servers::Running { url: "http://127.0.0.1:50051".to_owned() };
        let fronts = Fronts::start(&servers, &[Fault::Partition], 1).await.unwrap();
        for server in [None, Some(0)] {
            let imposed = fronts.impose(Mode::Partition, server);
            assert_eq!(fronts.proxies[0].mode(), Mode::Partition);
            drop(imposed);
            assert_eq!(fronts.proxies[0].mode(), Mode::Pass);
        }
    }
}
