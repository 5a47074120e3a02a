//! Groups with members that deliver in two phases: a token carries the name of its member.

use bytes::{BufMut, Bytes, BytesMut};
use millrace_core::{DeliveryToken, Member, SinkError};

/// Whether any member delivers in two phases.
pub(super) fn any<'a>(mut members: impl Iterator<Item = &'a Member>) -> bool {
    members.any(|member| member.sink.is_two_phase())
}

/// Prepares what this member staged.
pub(super) async fn prepare(member: &mut Member) -> Result<Vec<DeliveryToken>, SinkError> {
    if !member.sink.is_two_phase() {
        return Ok(Vec::new());
    }
    let tokens = member.sink.prepare().await?;
    Ok(tokens.iter().map(|token| tagged(&member.name, token)).collect())
}

/// What a group does with tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Commit,
    Abort,
    Recover,
}

/// Gives each member its tokens; the first error is returned after all had theirs.
pub(super) async fn each(
    members: Vec<&mut Member>,
    tokens: &[DeliveryToken],
    step: Step,
) -> Result<(), SinkError> {
    let mut result = Ok(());
    let mut known = 0;
    for member in members.into_iter().filter(|member| member.sink.is_two_phase()) {
        let own: Vec<DeliveryToken> =
            tokens.iter().filter_map(|token| untagged(&member.name, token)).collect();
        known += own.len();
        let done = match step {
            Step::Recover => member.sink.recover(&own).await,
            _ if own.is_empty() => Ok(()),
            Step::Commit => member.sink.commit(&own).await,
            Step::Abort => member.sink.abort(&own).await,
        };
        result = result.and(done);
    }
    if step == Step::Recover && known < tokens.len() {
        let deliveries = tokens.len() - known;
        tracing::error!(deliveries, "prepared deliveries of sinks that left the group stay uncommitted");
    }
    result
}

fn tagged(member: &str, token: &[u8]) -> DeliveryToken {
    let mut tagged = BytesMut::with_capacity(4 + member.len() + token.len());
    tagged.put_u32_le(u32::try_from(member.len()).unwrap_or(u32::MAX));
    tagged.put_slice(member.as_bytes());
    tagged.put_slice(token);
    tagged.freeze()
}

fn untagged(member: &str, token: &Bytes) -> Option<DeliveryToken> {
    let mut rest = token.clone();
    let length = usize::try_from(u32::from_le_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
    drop(rest.split_to(4));
    (rest.get(..length)? == member.as_bytes()).then(|| rest.split_off(length))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{tagged, untagged};

    #[test]
    fn a_token_goes_back_to_the_member_that_gave_it_and_to_no_other() {
        for token in [&b""[..], b"t", b"\0\xff\0"] {
            let tagged = tagged("lake", token);
            assert_eq!(untagged("lake", &tagged).unwrap(), token);
            for other in ["", "l", "lak", "lakes", "sea"] {
                assert_eq!(untagged(other, &tagged), None, "{other}");
            }
        }
        assert_eq!(untagged("lake", &Bytes::from_static(b"\xff\xff\xff\xfflake")), None);
        assert_eq!(untagged("lake", &Bytes::from_static(b"\x04")), None);
    }
}
