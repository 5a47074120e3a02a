//! A real HDFS: a NameNode and DataNodes from Maven, each a process of its own that can be killed.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::peers::{Peer, hadoop};

const NAME_NODE: &str = "org.apache.hadoop.hdfs.server.namenode.NameNode";
const DATA_NODE: &str = "org.apache.hadoop.hdfs.server.datanode.DataNode";

/// Lines of a log that a failure shows.
const LOG_LINES: usize = 40;

const OPENED: &[&str] = &[
    "java.io",
    "java.lang",
    "java.lang.reflect",
    "java.math",
    "java.net",
    "java.text",
    "java.util",
    "java.util.concurrent",
    "java.util.zip",
    "sun.security.util",
    "sun.security.x509",
];

/// A cluster in a folder of its own. All of it ends when this is dropped.
pub struct Hdfs {
    folder: TempDir,
    peer: Peer,
    port: u16,
    name_node: Option<Child>,
    data_nodes: Vec<Option<Child>>,
}

impl Hdfs {
    /// Formats and starts a cluster.
    ///
    /// # Panics
    /// Java or Maven are missing, or a part does not start.
    pub fn start(data_nodes: usize) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let Ok(free) = free else { unreachable!("no free port: {free:?}") };
        let mut hdfs = Self {
            folder: crate::temporary_folder(),
            peer: hadoop(),
            port: free.port(),
            name_node: None,
            data_nodes: Vec::new(),
        };
        let format = hdfs.java("name", NAME_NODE).args(["-format", "-force", "-nonInteractive"]).status();
        assert!(format.is_ok_and(|status| status.success()), "cannot format:\n{}", hdfs.log("name"));
        hdfs.start_name_node();
        for number in 0..data_nodes {
            hdfs.data_nodes.push(None);
            hdfs.start_data_node(number);
        }
        hdfs.wait_until_ready(data_nodes);
        hdfs
    }

    /// `hdfs://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("hdfs://127.0.0.1:{}", self.port)
    }

    /// A folder for the files of a test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the NameNode, also again.
    pub fn start_name_node(&mut self) {
        self.name_node = Some(self.spawn("name", NAME_NODE));
    }

    /// `kill -9` of the NameNode.
    pub fn kill_name_node(&mut self) {
        end(self.name_node.take());
    }

    /// Starts a DataNode, also again.
    pub fn start_data_node(&mut self, number: usize) {
        self.data_nodes[number] = Some(self.spawn(&format!("data-{number}"), DATA_NODE));
    }

    /// `kill -9` of a DataNode.
    pub fn kill_data_node(&mut self, number: usize) {
        end(self.data_nodes[number].take());
    }

    /// Waits until the NameNode serves and this many DataNodes are there.
    ///
    /// # Panics
    /// Not within a minute and a half.
    pub fn wait_until_ready(&self, data_nodes: usize) {
        drop(self.tool(&["ready", &data_nodes.to_string()]));
    }

    /// Runs a command of `tests/peers/hadoop/Tool.java` and returns what it prints.
    ///
    /// # Panics
    /// It fails.
    pub fn tool(&self, arguments: &[&str]) -> Vec<u8> {
        let (is_done, out, errors) = self.try_tool(arguments);
        assert!(is_done, "{arguments:?} failed:\n{errors}\n{}", self.log("name"));
        out
    }

    /// The same, for commands that may fail: whether it succeeded, output and errors.
    ///
    /// # Panics
    /// Java is missing.
    pub fn try_tool(&self, arguments: &[&str]) -> (bool, Vec<u8>, String) {
        let output = self.java("tool", "Tool").args(arguments).stdin(Stdio::null()).output();
        match output {
            Ok(output) => {
                (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
            }
            Err(error) => unreachable!("java cannot be started: {error}; this test needs it"),
        }
    }

    /// Runs a command and hands on each line that it prints, so that it may be much.
    ///
    /// # Panics
    /// It fails.
    pub fn each_line(&self, arguments: &[&str], mut line: impl FnMut(&str)) {
        let errors = fs::File::create(self.log_file("tool"));
        let Ok(errors) = errors else { unreachable!("the log of the tool can be written") };
        let child = self
            .java("tool", "Tool")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn();
        let Ok(mut child) = child else { unreachable!("java cannot be started; this test needs it") };
        let mut out = child.stdout.take().map(BufReader::new);
        let mut bytes = Vec::new();
        while let Some(Ok(1..)) = out.as_mut().map(|out| out.read_until(b'\n', &mut bytes)) {
            line(String::from_utf8_lossy(&bytes).trim_end_matches('\n'));
            bytes.clear();
        }
        let is_done = child.wait().is_ok_and(|status| status.success());
        assert!(is_done, "{arguments:?} failed:\n{}\n{}", self.log("tool"), self.log("name"));
    }

    /// Length and path of each file below a folder.
    pub fn files(&self, folder: &str) -> Vec<(u64, String)> {
        let listing = self.tool(&["list", folder]);
        let line = |line: &str| {
            line.split_once(' ').map(|(size, path)| (size.parse().unwrap_or(0), path.to_owned()))
        };
        String::from_utf8_lossy(&listing).lines().filter_map(line).collect()
    }

    fn java(&self, part: &str, class: &str) -> Command {
        let class_path = format!("{}:{}", self.configure(part).display(), self.peer.classes());
        let mut command = Command::new("java");
        command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]);
        for package in OPENED {
            command.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
        }
        command.args(["-cp", &class_path, class]).current_dir(self.folder.path());
        command
    }

    fn spawn(&self, part: &str, class: &str) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file(part));
        let Ok(log) = log else { unreachable!("the log of {part} can be written") };
        match self.java(part, class).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn() {
            Ok(child) => child,
            Err(error) => unreachable!("java cannot be started: {error}; this test needs it"),
        }
    }

    /// Writes the configuration of a part; returns its folder.
    fn configure(&self, part: &str) -> PathBuf {
        let folder = self.folder.path().join(format!("conf-{part}"));
        let data = self.folder.path().join(part).display().to_string();
        let any = "127.0.0.1:0".to_owned();
        let settings = [
            ("fs.defaultFS", self.url()),
            ("hadoop.tmp.dir", format!("{data}/tmp")),
            ("dfs.namenode.name.dir", format!("{data}/names")),
            ("dfs.namenode.http-address", any.clone()),
            ("dfs.datanode.data.dir", format!("{data}/blocks")),
            ("dfs.datanode.address", any.clone()),
            ("dfs.datanode.http.address", any.clone()),
            ("dfs.datanode.ipc.address", any),
            ("dfs.namenode.datanode.registration.ip-hostname-check", "false".to_owned()),
            ("dfs.heartbeat.interval", "1".to_owned()),
            ("dfs.namenode.heartbeat.recheck-interval", "1000".to_owned()),
            ("dfs.namenode.safemode.extension", "0".to_owned()),
            ("dfs.namenode.redundancy.interval.seconds", "1s".to_owned()),
            ("dfs.datanode.du.reserved", "0".to_owned()),
            ("dfs.replication", "3".to_owned()),
        ];
        let property = |(name, value): &(&str, String)| {
            format!("<property><name>{name}</name><value>{value}</value></property>\n")
        };
        let xml = format!(
            "<configuration>\n{}</configuration>\n",
            settings.iter().map(property).collect::<String>()
        );
        let log = "log4j.rootLogger=WARN,err\nlog4j.appender.err=org.apache.log4j.ConsoleAppender\n\
                   log4j.appender.err.target=System.err\nlog4j.appender.err.layout=org.apache.log4j.PatternLayout\n\
                   log4j.appender.err.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n\n";
        let written = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("core-site.xml"), &xml))
            .and_then(|()| fs::write(folder.join("hdfs-site.xml"), &xml))
            .and_then(|()| fs::write(folder.join("log4j.properties"), log))
            // Its pages are not in Maven's artifacts, and it does not start without a place for them.
            .and_then(|()| fs::create_dir_all(folder.join("webapps/hdfs")))
            .and_then(|()| fs::create_dir_all(folder.join("webapps/datanode")));
        assert!(written.is_ok(), "cannot write {}: {written:?}", folder.display());
        folder
    }

    fn log_file(&self, part: &str) -> PathBuf {
        self.folder.path().join(format!("{part}.log"))
    }

    /// The end of a part's log.
    fn log(&self, part: &str) -> String {
        let text = fs::read_to_string(self.log_file(part)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        drop(child.kill());
        drop(child.wait());
    }
}

impl Drop for Hdfs {
    fn drop(&mut self) {
        end(self.name_node.take());
        self.data_nodes.drain(..).for_each(end);
    }
}
