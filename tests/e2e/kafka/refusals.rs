//! What stands in the way of reading and writing: each is said clearly, nothing is lost.

use millrace_core::{Retry, SinkError};
use millrace_testkit::{RecordingChannel, SourceRig, eventually};
use millrace_tests::{KafkaBroker, Record, USER, temporary_folder};

use super::{batch, event, fresh, sink, source, source_factory, topic};

/// An address that nobody listens on.
fn nobody() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

fn said(rig: &SourceRig) -> String {
    rig.health.last_error().map(|(_, text)| text.to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_named_and_waited_for() {
    let folder = temporary_folder();
    let address = nobody();
    let mut sink = sink(folder.path(), &address, "topic \"any\"; delivery-timeout \"1s\"");
    let error = sink.deliver(&batch([event(&[], "x"), event(&[], "y")])).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Backoff);
    assert!(
        matches!(&error, SinkError::Partial { again, refusals, .. } if again == &[0, 1] && refusals.is_empty()),
        "{error:?}"
    );
    sink.close().await.unwrap();
    let kdl = format!("kafka \"in\" {{ bootstrap-servers {address:?}; topics \"any\" }}");
    let rig = SourceRig::start(&source_factory(), &kdl, RecordingChannel::default(), folder.path());
    eventually("the source says so", || said(&rig).contains(&format!("brokers {address}"))).await;
    eventually("with the cause", || said(&rig).contains("Connection refused")).await;
    rig.stop().await.1.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named_and_read_once_it_is() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let (name, group) = (fresh("later"), fresh("group"));
    let options = format!(
        "topics {name:?}; group {group:?}; properties {{ \"topic.metadata.refresh.interval.ms\" \"1000\" }}"
    );
    let rig = source(folder.path(), broker, &options);
    eventually("the source says so", || {
        said(&rig).starts_with(&format!("topics {name}: Broker: Unknown topic or partition"))
    })
    .await;
    let mut sink = sink(
        folder.path(),
        &broker.address(),
        &format!(
            "topic {name:?}; topic-header \"to\"; delivery-timeout \"3s\"; properties {{ \"topic.metadata.propagation.max.ms\" \"1000\" }}"
        ),
    );
    let own = fresh("nowhere");
    let events = [event(&[], "waits"), event(&[("to", &own)], "does not")];
    let error = sink.deliver(&batch(events)).await.unwrap_err();
    let SinkError::Partial { refusals, again, .. } = error else { panic!("{error:?}") };
    assert_eq!(again, [0]);
    assert_eq!((refusals.len(), refusals[0].row), (1, 1));
    assert!(refusals[0].reason.starts_with(&format!("topic {own}: ")), "{}", refusals[0].reason);
    broker.create_topic(&name, 1, &[]);
    millrace_testkit::within("the topic is taken", async {
        while sink.deliver(&batch([event(&[], "waits")])).await.is_err() {}
    })
    .await;
    assert_eq!(rig.channel.wait_for_events(1).await[0].body, "waits");
    sink.close().await.unwrap();
    rig.stop().await.1.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_rights_that_are_missing_are_named() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let name = topic(broker, "forbidden", 1);
    broker.produce(&name, [Record::new(0, "secret")]);
    let (user, password) = USER;
    let start = |password: &str| {
        let kdl = format!(
            "kafka \"in\" {{ bootstrap-servers {:?}; topics {name:?}; group \"forbidden\"; security-protocol \"sasl-plaintext\"; \
             sasl mechanism=\"SCRAM-SHA-512\" username={user:?} password={password:?} }}",
            broker.sasl_address()
        );
        SourceRig::start(&source_factory(), &kdl, RecordingChannel::default(), folder.path())
    };
    let rig = start("wrong");
    eventually("the password is wrong", || said(&rig).contains("SASL authentication error")).await;
    rig.stop().await.1.unwrap();
    let rig = start(password);
    eventually("the topic or the group is forbidden", || said(&rig).contains("uthorization failed")).await;
    assert_eq!(rig.channel.events().len(), 0);
    rig.stop().await.1.unwrap();
    let options = format!(
        "topic {name:?}; security-protocol \"sasl-plaintext\"; delivery-timeout \"2s\"; sasl username={user:?} password={password:?}"
    );
    let mut sink = sink(folder.path(), &broker.sasl_address(), &options);
    let error = sink.deliver(&batch([event(&[], "x")])).await.unwrap_err();
    assert!(matches!(&error, SinkError::Partial { again, .. } if again == &[0]), "{error:?}");
    sink.close().await.unwrap();
    assert_eq!(broker.records(&name).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_and_the_right_credentials_events_pass() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let name = topic(broker, "secure", 1);
    let group = fresh("secure-group");
    broker.allow(USER.0, &name, &group);
    let security = format!(
        "security-protocol \"sasl-ssl\"; sasl mechanism=\"SCRAM-SHA-512\" username={:?} password={:?}; tls ca={:?}",
        USER.0,
        USER.1,
        broker.certificate()
    );
    let mut out = sink(folder.path(), &broker.tls_address(), &format!("topic {name:?}; {security}"));
    out.deliver(&batch([event(&[], "over TLS")])).await.unwrap();
    out.close().await.unwrap();
    let kdl = format!(
        "kafka \"in\" {{ bootstrap-servers {:?}; topics {name:?}; group {group:?}; {security} }}",
        broker.tls_address()
    );
    let rig = SourceRig::start(&source_factory(), &kdl, RecordingChannel::default(), folder.path());
    assert_eq!(rig.channel.wait_for_events(1).await[0].body, "over TLS");
    rig.stop().await.1.unwrap();
    // Nobody else's certificate will do.
    let security = "security-protocol \"ssl\"; delivery-timeout \"2s\"";
    let mut out = sink(folder.path(), &broker.tls_address(), &format!("topic {name:?}; {security}"));
    assert!(out.deliver(&batch([event(&[], "never")])).await.is_err());
    out.close().await.unwrap();
    assert_eq!(broker.records(&name).len(), 1);
}
