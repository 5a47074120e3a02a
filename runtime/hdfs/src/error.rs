//! What the client says, as the errors a bucket writer understands.

use std::io::{self, ErrorKind};

use hdfs_native::HdfsError;

/// Words in the names of Java's exceptions, and what they mean.
const MEANINGS: &[(&str, ErrorKind, &str)] = &[
    ("AccessControlException", ErrorKind::PermissionDenied, "permission denied"),
    ("AuthorizationException", ErrorKind::PermissionDenied, "not authorized"),
    ("QuotaExceededException", ErrorKind::QuotaExceeded, "the quota is full"),
    ("QuotaByStorageTypeExceededException", ErrorKind::QuotaExceeded, "the quota is full"),
    ("FileAlreadyExistsException", ErrorKind::AlreadyExists, "there is such a file"),
    ("AlreadyBeingCreatedException", ErrorKind::AlreadyExists, "somebody else is writing it"),
    ("FileNotFoundException", ErrorKind::NotFound, "there is no such file"),
    ("ParentNotDirectoryException", ErrorKind::NotADirectory, "a file is in the way of its folder"),
    ("SafeModeException", ErrorKind::ReadOnlyFilesystem, "the NameNode is in safe mode"),
    ("RetriableException", ErrorKind::ResourceBusy, "the NameNode is not ready"),
    ("StandbyException", ErrorKind::ResourceBusy, "the NameNode is on standby"),
    ("InvalidToken", ErrorKind::PermissionDenied, "the token has expired"),
];

/// The same error, with its kind and without Java's stack.
pub fn to_io(error: HdfsError) -> io::Error {
    match error {
        HdfsError::IOError(error) => error,
        HdfsError::FileNotFound(text) => io::Error::new(ErrorKind::NotFound, first_line(&text)),
        HdfsError::AlreadyExists(text) => io::Error::new(ErrorKind::AlreadyExists, first_line(&text)),
        HdfsError::RPCError(class, text) | HdfsError::FatalRPCError(class, text) => {
            let known = MEANINGS.iter().find(|(word, ..)| class.contains(word));
            match known {
                Some((_, kind, meaning)) => {
                    io::Error::new(*kind, format!("{meaning}: {}", first_line(&text)))
                }
                None => io::Error::other(format!("{}: {}", short(&class), first_line(&text))),
            }
        }
        HdfsError::InvalidRPCResponse(_) => {
            io::Error::new(ErrorKind::InvalidData, "the answer is not one of a NameNode")
        }
        other => io::Error::other(other.to_string()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A class without its package.
fn short(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

#[cfg(test)]
mod tests {
    use super::{HdfsError, to_io};

    #[test]
    fn a_full_quota_is_told_without_the_stack() {
        let error = to_io(HdfsError::RPCError(
            "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException".to_owned(),
            "The DiskSpace quota of /q is exceeded: quota = 1\n\tat org.apache.Foo".to_owned(),
        ));
        assert_eq!(error.kind(), std::io::ErrorKind::QuotaExceeded);
        assert_eq!(error.to_string(), "the quota is full: The DiskSpace quota of /q is exceeded: quota = 1");
    }
}
