//! A real broker of Kafka 4 in KRaft mode, from Maven, on free ports, with its data in a temporary folder.
//!
//! Its listeners: one without credentials, whose users may do everything; one with SASL, and one with SASL and TLS, whose
//! users may do what access rules allow. It ends with the process that started it, however that ends: a shell holds it, and
//! kills it when its standard input is closed.

mod client;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

pub use client::Record;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use crate::peers;

/// The user that may nothing unless told otherwise, and its password.
pub const USER: (&str, &str) = ("alice", "alice-secret");
/// How long a broker may take to start.
const START_MAX: Duration = Duration::from_secs(90);

/// A broker. It ends when dropped.
pub struct KafkaBroker {
    folder: tempfile::TempDir,
    ports: Ports,
    process: Option<Process>,
}

struct Ports {
    plain: u16,
    sasl: u16,
    tls: u16,
    controller: u16,
}

/// The shell that holds the broker.
struct Process {
    shell: Child,
    /// Closing it ends the broker.
    hold: Option<ChildStdin>,
}

/// A port that is free now. The controller's has to be in the configuration, and a broker comes back on its own.
fn free_port() -> u16 {
    match TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()) {
        Ok(address) => address.port(),
        Err(error) => unreachable!("loopback has free ports: {error}"),
    }
}

impl KafkaBroker {
    /// Starts one with nothing in it and waits until it answers.
    ///
    /// # Panics
    /// It does not start; the end of its log is in the message.
    pub fn start() -> Self {
        let Ok(folder) = tempfile::tempdir() else { unreachable!("there are temporary folders") };
        let ports =
            Ports { plain: free_port(), sasl: free_port(), tls: free_port(), controller: free_port() };
        let mut broker = Self { folder, ports, process: None };
        broker.write_certificate();
        let properties = broker.properties();
        write(&broker.path("server.properties"), &properties);
        let scram = format!("SCRAM-SHA-512=[name={},password={}]", USER.0, USER.1);
        let formatted = java(broker.folder.path())
            .args(["kafka.tools.StorageTool", "format", "--standalone", "-t", "4L6g3nShT-eMCtK--X86sw"])
            .args(["--add-scram", &scram, "-c"])
            .arg(broker.path("server.properties"))
            .stdin(Stdio::null())
            .output();
        match formatted {
            Ok(output) if output.status.success() => {}
            other => unreachable!("Kafka cannot format its folder: {other:?}"),
        }
        broker.run();
        broker
    }

    /// One that all tests of this process share; topics and groups have to be their own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<KafkaBroker> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where clients without credentials go.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where clients with credentials go.
    pub fn sasl_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.sasl)
    }

    /// Where clients with credentials and TLS go.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.ports.tls)
    }

    /// The certificate to trust there.
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    fn properties(&self) -> String {
        let Ports { plain, sasl, tls, controller } = self.ports;
        let (folder, (user, password)) = (self.folder.path().display(), USER);
        let plain_login = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let scram_login = "org.apache.kafka.common.security.scram.ScramLoginModule";
        format!(
            r"process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://localhost:{tls},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://localhost:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
delete.topic.enable=true
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config={plain_login} required user_{user}={password:?};
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config={scram_login} required;
listener.name.sasl_ssl.plain.sasl.jaas.config={plain_login} required user_{user}={password:?};
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram_login} required;
listener.name.sasl_ssl.ssl.keystore.type=PEM
listener.name.sasl_ssl.ssl.keystore.location={folder}/key-store.pem
"
        )
    }

    fn write_certificate(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let Ok(made) = made else { unreachable!("a certificate can be made") };
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        write(&self.certificate(), &certificate);
        write(&self.path("key-store.pem"), &format!("{key}{certificate}"));
    }

    fn run(&mut self) {
        let java = java(self.folder.path());
        let mut shell = Command::new("sh");
        let script = r#"log=$1; pid=$2; shift 2; "$@" >>"$log" 2>&1 </dev/null & echo $! >"$pid"; cat >/dev/null; kill -9 $!"#;
        shell.args(["-c", script, "kafka"]).arg(self.path("broker.log")).arg(self.path("broker.pid"));
        shell
            .arg(java.get_program())
            .args(java.get_args())
            .arg("kafka.Kafka")
            .arg(self.path("server.properties"));
        drop(fs::remove_file(self.path("broker.pid")));
        match shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(mut shell) => {
                let hold = shell.stdin.take();
                self.process = Some(Process { shell, hold });
            }
            Err(error) => unreachable!("no shell: {error}"),
        }
        let begun = Instant::now();
        while !self.answers() {
            assert!(begun.elapsed() < START_MAX, "Kafka does not start:\n{}", self.log_tail());
            let pid = fs::read_to_string(self.path("broker.pid")).unwrap_or_default();
            let is_gone = !pid.trim().is_empty() && !Path::new("/proc").join(pid.trim()).exists();
            assert!(!is_gone, "Kafka has ended:\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        if std::net::TcpStream::connect(self.address()).is_err() {
            return false;
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("log_level", "0");
        let consumer: Result<BaseConsumer, _> = config.create();
        consumer.is_ok_and(|consumer| {
            let metadata = consumer.fetch_metadata(None, Duration::from_secs(2));
            metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
        })
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.path("broker.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        drop(process.hold.take());
        drop(process.shell.wait());
    }

    /// Runs it again on what it has kept, after [`KafkaBroker::kill`].
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        self.kill();
        self.run();
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn java(folder: &Path) -> Command {
    let peer = peers::kafka();
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg(format!("-Dlog4j2.configurationFile={}", peer.folder().join("log4j2.properties").display()));
    command.arg(format!("-Dkafka.logs.dir={}", folder.display()));
    command.args(["-cp", peer.class_path()]);
    command
}

fn write(path: &Path, text: &str) {
    if let Err(error) = fs::write(path, text) {
        unreachable!("cannot write {}: {error}", path.display());
    }
}
