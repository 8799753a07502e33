//! What a server keeps: records, and the folders of data that belong to them.
//!
//! ```text
//! <folder>/format                    the version of all this
//!         /lock                      held by the one server that uses the folder
//!         /records/<kind>/<id>.json  only if the records outlive the server
//!         /data/<kind>/<id>/…
//! ```
//!
//! A record is written beside its place and renamed into it, so one that is there is whole.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

const FORMAT: &str = "fastvm-local 1\n";

/// A folder for what outlives a request, be it until the server's end or beyond.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
    keeps_records: bool,
    _lock: File,
}

/// What is kept in a [`Table`].
pub(crate) trait Record: Clone + Serialize + DeserializeOwned {
    /// The name of their folder.
    const KIND: &'static str;

    fn id(&self) -> &str;

    fn created_at(&self) -> DateTime<Utc>;
}

/// Why a store cannot be used.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// Another server uses it.
    InUse,
    /// It was written by another version.
    Format(String),
    /// A record is damaged.
    Record(PathBuf, serde_json::Error),
    Io(io::Error),
}

impl Store {
    /// Opens a folder, made if it is missing. Records are written only if they are to be kept.
    pub(crate) fn open(folder: PathBuf, keeps_records: bool) -> Result<Self, StoreError> {
        make_private(&folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))?;
        match lock_soon(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let store = Self {
            folder,
            keeps_records,
            _lock: lock,
        };
        let format = store.folder.join("format");
        match fs::read_to_string(&format) {
            Ok(found) if found == FORMAT => {}
            Ok(found) => return Err(StoreError::Format(found.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_whole(&format, FORMAT.as_bytes())?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(store)
    }

    /// The folder for the data of all records of a kind, made if it is missing.
    pub(crate) fn data_of(&self, kind: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join("data").join(kind);
        make_private(&folder)?;
        Ok(folder)
    }

    fn path_of(&self, kind: &str, id: &str) -> PathBuf {
        self.records_of(kind).join(format!("{id}.json"))
    }

    fn records_of(&self, kind: &str) -> PathBuf {
        self.folder.join("records").join(kind)
    }

    fn save<R: Record>(&self, record: &R) -> io::Result<()> {
        if !self.keeps_records {
            return Ok(());
        }
        make_private(&self.records_of(R::KIND))?;
        let bytes = serde_json::to_vec_pretty(record)?;
        write_whole(&self.path_of(R::KIND, record.id()), &bytes)
    }

    fn remove<R: Record>(&self, id: &str) -> io::Result<()> {
        if !self.keeps_records {
            return Ok(());
        }
        unless_missing(fs::remove_file(self.path_of(R::KIND, id)))
    }

    fn load<R: Record>(&self) -> Result<Vec<R>, StoreError> {
        let entries = match fs::read_dir(self.records_of(R::KIND)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // What was being written when the server was killed has another name.
            if path.extension().is_none_or(|found| found != "json") {
                fs::remove_file(&path)?;
                continue;
            }
            let record = serde_json::from_slice(&fs::read(&path)?);
            records.push(record.map_err(|error| StoreError::Record(path, error))?);
        }
        Ok(records)
    }
}

/// All records of a kind. Each change is in the store, if that keeps them, before it is seen.
#[derive(Debug)]
pub(crate) struct Table<R> {
    store: Arc<Store>,
    records: Mutex<BTreeMap<String, R>>,
}

impl<R: Record> Table<R> {
    /// What is in the store already.
    pub(crate) fn load(store: &Arc<Store>) -> Result<Self, StoreError> {
        let records = store.load::<R>()?.into_iter();
        let by_id = records.map(|record| (record.id().to_owned(), record));
        Ok(Self {
            store: Arc::clone(store),
            records: Mutex::new(by_id.collect()),
        })
    }

    pub(crate) fn get(&self, id: &str) -> Option<R> {
        self.lock().get(id).cloned()
    }

    /// All, the oldest first.
    pub(crate) fn list(&self) -> Vec<R> {
        let mut records: Vec<_> = self.lock().values().cloned().collect();
        records.sort_by_key(Record::created_at);
        records
    }

    pub(crate) fn insert(&self, record: R) -> io::Result<()> {
        let mut records = self.lock();
        self.store.save(&record)?;
        records.insert(record.id().to_owned(), record);
        Ok(())
    }

    /// Inserts a record that is made while nobody else can insert, so that it can be refused for
    /// what is there.
    pub(crate) fn insert_if<E: From<io::Error>>(
        &self,
        make: impl FnOnce(&BTreeMap<String, R>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut records = self.lock();
        let record = make(&records)?;
        self.store.save(&record)?;
        records.insert(record.id().to_owned(), record.clone());
        Ok(record)
    }

    /// Changes a record, if it is there; what it is then. A change that is refused changes nothing.
    pub(crate) fn change<E: From<io::Error>>(
        &self,
        id: &str,
        change: impl FnOnce(&mut R) -> Result<(), E>,
    ) -> Result<Option<R>, E> {
        let mut records = self.lock();
        let Some(record) = records.get_mut(id) else {
            return Ok(None);
        };
        let mut changed = record.clone();
        change(&mut changed)?;
        self.store.save(&changed)?;
        *record = changed.clone();
        Ok(Some(changed))
    }

    /// Takes a record out, if it is there.
    pub(crate) fn remove(&self, id: &str) -> io::Result<Option<R>> {
        let mut records = self.lock();
        if !records.contains_key(id) {
            return Ok(None);
        }
        self.store.remove::<R>(id)?;
        Ok(records.remove(id))
    }

    /// No code panics while it holds the lock; if some did, the records would still be whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, R>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody else on the host may read what VMs and their users leave here.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn unless_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another server uses it"),
            Self::Format(found) => write!(
                f,
                "it is of the format {found:?}, and this version knows {:?} only",
                FORMAT.trim_end()
            ),
            Self::Record(path, _) => write!(f, "the record {} is damaged", path.display()),
            Self::Io(_) => f.write_str("it cannot be read and written"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InUse | Self::Format(_) => None,
            Self::Record(_, error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

/// Locks the file. A program that is being started has all open files until it has become another,
/// so a lock that was given up this moment is waited for.
fn lock_soon(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..50 {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(std::time::Duration::from_millis(10))
            }
            done => return done,
        }
    }
    lock.try_lock()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Thing {
        id: String,
        created_at: DateTime<Utc>,
        note: String,
    }

    impl Record for Thing {
        const KIND: &'static str = "things";

        fn id(&self) -> &str {
            &self.id
        }

        fn created_at(&self) -> DateTime<Utc> {
            self.created_at
        }
    }

    fn thing(id: &str, second: i64) -> Thing {
        Thing {
            id: id.to_owned(),
            created_at: DateTime::from_timestamp(second, 0).unwrap_or_default(),
            note: String::new(),
        }
    }

    fn open(folder: &Path, keeps: bool) -> Result<Arc<Store>, StoreError> {
        Store::open(folder.to_owned(), keeps).map(Arc::new)
    }

    #[test]
    fn records_come_back_as_they_were_changed() -> Result<(), Box<dyn Error>> {
        let place = tempfile::tempdir()?;
        {
            let things = Table::load(&open(place.path(), true)?)?;
            things.insert(thing("b", 1))?;
            things.insert(thing("a", 2))?;
            things.insert(thing("c", 3))?;
            things.remove("c")?;
            things.change("a", |thing| {
                thing.note = "changed".to_owned();
                Ok::<_, io::Error>(())
            })?;
            let refused = things.change("b", |thing| {
                thing.note = "refused".to_owned();
                Err(io::Error::other("no"))
            });
            assert!(refused.is_err());
        }
        let things = Table::<Thing>::load(&open(place.path(), true)?)?;
        let found: Vec<_> = things.list().into_iter().map(|t| (t.id, t.note)).collect();
        let expected = [("b", ""), ("a", "changed")];
        assert_eq!(
            found,
            expected.map(|(id, note)| (id.to_owned(), note.to_owned()))
        );
        Ok(())
    }

    #[test]
    fn nothing_is_written_that_is_not_to_be_kept() -> Result<(), Box<dyn Error>> {
        let place = tempfile::tempdir()?;
        Table::load(&open(place.path(), false)?)?.insert(thing("a", 1))?;
        assert!(!place.path().join("records").exists());
        Ok(())
    }

    #[test]
    fn a_store_is_for_one_server_and_one_format() -> Result<(), Box<dyn Error>> {
        let place = tempfile::tempdir()?;
        let first = open(place.path(), true)?;
        assert!(matches!(open(place.path(), true), Err(StoreError::InUse)));
        drop(first);
        fs::write(place.path().join("format"), "fastvm-local 99\n")?;
        let refused = open(place.path(), true).unwrap_err();
        assert!(refused.to_string().contains("fastvm-local 99"), "{refused}");
        Ok(())
    }

    #[test]
    fn a_half_written_record_is_never_read_and_a_damaged_one_is_told() -> Result<(), Box<dyn Error>>
    {
        let place = tempfile::tempdir()?;
        let store = open(place.path(), true)?;
        Table::load(&store)?.insert(thing("a", 1))?;
        let folder = place.path().join("records/things");
        fs::write(folder.join(".tmpXYZ"), "{\"id\"")?;
        assert_eq!(Table::<Thing>::load(&store)?.list(), [thing("a", 1)]);
        assert!(!folder.join(".tmpXYZ").exists());

        fs::write(folder.join("b.json"), "{\"id\"")?;
        assert!(
            matches!(Table::<Thing>::load(&store), Err(StoreError::Record(path, _)) if path.ends_with("b.json"))
        );
        Ok(())
    }
}
