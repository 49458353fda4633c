//! Names to addresses, behind a trait so that tests can lie the way an attacker's name server does.

use std::io;
use std::net::IpAddr;

use futures::future::BoxFuture;

/// Looks a name up, once.
pub trait Resolve: Send + Sync + 'static {
    /// Every address of `host`. Called once a hop; what is dialled is one of these, never looked up again.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0))
                .await?
                .map(|found| found.ip())
                .collect())
        })
    }
}
