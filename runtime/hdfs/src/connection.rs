//! The client, made when it is first needed, and made anew when it has not answered.
//!
//! A call on the names of files may be given up when its time is over: whether it was done is asked for afterwards.
//! Writes are given up too, but the file is then never written again.

use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};

use hdfs_native::{Client, ClientBuilder, HdfsError};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::error::to_io;

/// What is needed to connect.
#[derive(Debug, Clone, Default)]
pub struct ConnectionSettings {
    /// `hdfs://host:port` or `hdfs://nameservice`; None: the default of the configuration folder.
    pub url: Option<String>,
    /// The folder with `core-site.xml` and `hdfs-site.xml`.
    pub folder: Option<PathBuf>,
    /// Settings that count more than those in files.
    pub overrides: Vec<(String, String)>,
    pub user: Option<String>,
    pub principal: Option<String>,
    pub keytab: Option<PathBuf>,
    /// How long a call may take.
    pub call_timeout: Duration,
}

/// A connection to a name service.
#[derive(Debug)]
pub struct Connection {
    settings: ConnectionSettings,
    client: Mutex<Option<Client>>,
}

impl Connection {
    pub fn new(settings: ConnectionSettings) -> Arc<Self> {
        Arc::new(Self { settings, client: Mutex::new(None) })
    }

    /// Where it leads.
    pub fn url(&self) -> &str {
        self.settings.url.as_deref().unwrap_or("hdfs:default")
    }

    /// Does something with the client and waits for it. Not to be called on a thread that may not block.
    pub fn call<T, F>(&self, call: impl FnOnce(Client) -> F) -> io::Result<T>
    where
        F: Future<Output = Result<T, HdfsError>>,
    {
        let client = self.client()?;
        let result = self.wait(call(client));
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            // Nobody knows what its connections are in the middle of.
            *self.client.lock() = None;
        }
        result
    }

    /// Waits for something, but not for ever.
    pub fn wait<T>(&self, call: impl Future<Output = Result<T, HdfsError>>) -> io::Result<T> {
        let handle = Handle::try_current().map_err(io::Error::other)?;
        handle.block_on(self.limited(call))
    }

    /// The same for a caller that waits for several things.
    pub async fn limited<T>(&self, call: impl Future<Output = Result<T, HdfsError>>) -> io::Result<T> {
        let limit = self.settings.call_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(to_io),
            Err(_) => {
                let text = format!("{} has not answered within {limit:?}", self.url());
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }

    fn client(&self) -> io::Result<Client> {
        let mut client = self.client.lock();
        match &*client {
            Some(client) => Ok(client.clone()),
            None => Ok(client.insert(self.build()?).clone()),
        }
    }

    fn build(&self) -> io::Result<Client> {
        let settings = &self.settings;
        let mut overrides = settings.overrides.clone();
        let is_one_node = settings
            .url
            .as_deref()
            .and_then(|url| url::Url::parse(url).ok())
            .is_some_and(|url| url.port().is_some());
        if is_one_node {
            // There is nothing to fail over to, and the sink tries again by itself.
            overrides.insert(0, ("dfs.client.failover.max.attempts".to_owned(), "1".to_owned()));
        }
        let mut builder = ClientBuilder::new().with_config(overrides);
        if let Some(url) = &settings.url {
            builder = builder.with_url(url);
        }
        if let Some(folder) = &settings.folder {
            builder = builder.with_config_dir(folder.to_string_lossy());
        }
        if let Some(user) = &settings.user {
            builder = builder.with_user(user);
        }
        if let Some(principal) = &settings.principal {
            builder = builder.with_kerberos_principal(principal);
        }
        if let Some(keytab) = &settings.keytab {
            builder = builder.with_kerberos_keytab(keytab.to_string_lossy());
        }
        let handle = Handle::try_current().map_err(io::Error::other)?;
        builder.with_io_runtime(handle).build().map_err(to_io)
    }
}
