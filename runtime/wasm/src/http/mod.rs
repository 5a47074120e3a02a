//! HTTP for plugins, carried out by the agent. This module knows nothing of WebAssembly.
//!
//! | module | holds |
//! |---|---|
//! | `request` | what a plugin asks for, checked against its grants and completed |
//! | `resolve`, `address` | from a host to addresses, every one of them checked |
//! | `connect` | connections to exactly those addresses |
//! | `client` | the pool of one plugin, its limits and its deadlines |
//! | `response` | answers within their limits |
//! | `error` | why there is none |
//!
//! A request goes to a granted origin or nowhere: no redirect is followed, no proxy and no other setting is taken from
//! the environment, and the address that was checked is the one that is connected to.

mod address;
mod client;
mod connect;
mod error;
mod request;
mod resolve;
mod response;

pub(crate) use self::{
    client::HttpClient,
    connect::check_authorities,
    error::{HttpError, Refused},
    request::{Asked, is_reserved, rebuilt},
    resolve::{Allowed, Resolve, SystemResolver, addresses},
    response::Answer,
};

#[cfg(test)]
mod tests;
