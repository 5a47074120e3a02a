//! From a file to an object.
//!
//! ```text
//! abort what the note names -> begin -> note the id -> parts -> complete -> remove the note
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "what is staged is read from files, notes are written beside them"
)]

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{MultipartId, ObjectStoreExt, multipart::MultipartStore, path::Path as ObjectPath};

use crate::{part::parts, remote::Remote};

impl Remote {
    /// Uploads a file; an object of that name is replaced. `note` is where the id of an upload in parts is kept.
    ///
    /// # Errors
    /// Of kind `NotFound` only where the file itself is gone: what the store does not find is its own affair.
    pub async fn upload(&self, file: &Path, object: &ObjectPath, note: &Path) -> io::Result<()> {
        let opened = File::open(file)?;
        self.send(&opened, object, note).await.map_err(io::Error::other)
    }

    async fn send(&self, opened: &File, object: &ObjectPath, note: &Path) -> io::Result<()> {
        let length = opened.metadata()?.len();
        match &self.parts {
            Some(store) => {
                abort_noted(&**store, object, note).await?;
                if length > self.part_bytes {
                    return self.upload_in_parts(&**store, opened, length, object, note).await;
                }
            }
            None if length > self.part_bytes => return self.upload_streaming(opened, length, object).await,
            None => {}
        }
        let body = read(opened, 0, length)?;
        self.store.put(object, body.into()).await.map(drop).map_err(io::Error::from)
    }

    async fn upload_in_parts(
        &self,
        store: &dyn MultipartStore,
        file: &File,
        length: u64,
        object: &ObjectPath,
        note: &Path,
    ) -> io::Result<()> {
        let id = store.create_multipart(object).await?;
        write_durably(note, id.as_bytes())?;
        let sent = stream::iter(parts(length, self.part_bytes).into_iter().enumerate())
            .map(|(number, (offset, length))| {
                let id = &id;
                async move {
                    let body = read(file, offset, length)?;
                    store.put_part(object, id, number, body.into()).await.map_err(io::Error::from)
                }
            })
            .buffered(self.concurrency)
            .try_collect::<Vec<_>>()
            .await;
        let completed = match sent {
            Ok(parts) => {
                store.complete_multipart(object, &id, parts).await.map(drop).map_err(io::Error::from)
            }
            Err(error) => Err(error),
        };
        match completed {
            Ok(()) => fs::remove_file(note),
            Err(error) => {
                // Should this fail, the note stays and the next attempt begins with it.
                if let Err(abort) = abort_noted(store, object, note).await {
                    tracing::warn!(%object, error = %abort, "parts of a failed upload are removed before the next attempt");
                }
                Err(error)
            }
        }
    }

    /// For stores whose uploads leave nothing behind that would need a note.
    async fn upload_streaming(&self, file: &File, length: u64, object: &ObjectPath) -> io::Result<()> {
        let mut upload = self.store.put_multipart(object).await?;
        for (offset, length) in parts(length, self.part_bytes) {
            upload.put_part(read(file, offset, length)?.into()).await?;
        }
        upload.complete().await.map(drop).map_err(io::Error::from)
    }
}

/// Removes the parts of an upload that was cut short.
async fn abort_noted(store: &dyn MultipartStore, object: &ObjectPath, note: &Path) -> io::Result<()> {
    let id = match fs::read_to_string(note) {
        Ok(id) => id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // Empty: the note was begun and no part was sent.
    if !id.is_empty() {
        match store.abort_multipart(object, &MultipartId::from(id)).await {
            // Completed, or aborted by somebody else.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fs::remove_file(note)
}

fn read(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut body, offset)?;
    Ok(body.into())
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = File::create(path)?;
    file.write_all_at(bytes, 0)?;
    file.sync_all()?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use object_store::{
        ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory, path::Path as ObjectPath,
    };

    use crate::remote::Remote;

    async fn uploaded(remote: &Remote, body: &[u8], note: Option<&str>) -> (Vec<u8>, bool) {
        let folder = tempfile::tempdir().unwrap();
        let (file, noted) = (folder.path().join("file"), folder.path().join("file.upload"));
        fs::write(&file, body).unwrap();
        if let Some(id) = note {
            fs::write(&noted, id).unwrap();
        }
        let object = ObjectPath::from("a/b.log");
        remote.upload(&file, &object, &noted).await.unwrap();
        let found = remote.store.get(&object).await.unwrap().bytes().await.unwrap();
        (found.to_vec(), noted.exists())
    }

    fn in_memory(part_bytes: u64) -> Remote {
        let store = Arc::new(InMemory::new());
        let parts = Arc::clone(&store);
        Remote { store, parts: Some(parts), part_bytes, concurrency: 3 }
    }

    #[tokio::test]
    async fn objects_are_what_the_file_was_whatever_its_size() {
        let body: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
        for part_bytes in [1, 7, 3999, 4000, 4001] {
            assert_eq!(uploaded(&in_memory(part_bytes), &body, None).await, (body.clone(), false));
        }
        assert_eq!(uploaded(&in_memory(5), b"", None).await, (Vec::new(), false));
    }

    #[tokio::test]
    async fn an_upload_that_comes_again_replaces_the_object() {
        let remote = in_memory(3);
        assert_eq!(uploaded(&remote, b"first one", None).await.0, b"first one");
        assert_eq!(uploaded(&remote, b"second", None).await.0, b"second");
    }

    #[tokio::test]
    async fn a_note_that_was_begun_and_not_written_is_no_obstacle() {
        assert_eq!(uploaded(&in_memory(3), b"whole again", Some("")).await, (b"whole again".to_vec(), false));
    }

    #[tokio::test]
    async fn a_folder_takes_objects_too() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        let remote = Remote { store, parts: None, part_bytes: 4, concurrency: 1 };
        assert_eq!(uploaded(&remote, b"longer than a part", None).await.0, b"longer than a part");
        assert_eq!(fs::read(folder.path().join("a/b.log")).unwrap(), b"longer than a part");
    }
}
