//! One transaction for all that a request does, where it has to be all or nothing together with the request's own record.
//!
//! Within [`Unit::scope`], whatever use case begins a transaction gets a savepoint of this one, and its commit leaves that behind. So each of a request's
//! transactions is taken back or stands as it would alone, and what stands is committed by one word at the end: a crash before that leaves nothing.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{PgPool, StoreError};

type Tx = Transaction<'static, Postgres>;

tokio::task_local! {
    static CURRENT: Option<Unit>;
}

/// Does some work outside of the request's transaction: many parts that would hold their locks until the end of it. The request's own record still comes last.
pub async fn apart<F: Future>(work: F) -> F::Output {
    CURRENT.scope(None, work).await
}

/// Has the request's transaction wait for work that is done [`apart`] from it, however long that takes: to the database it is idle meanwhile.
pub async fn wait_for_parts() -> Result<(), StoreError> {
    let Some(unit) = Unit::current() else {
        return Ok(());
    };
    let mut conn = unit.own().await?;
    // Longer than any request may last; not for ever, because its process may be gone.
    sqlx::query!("SELECT set_config('idle_in_transaction_session_timeout', '15min', true)")
        .fetch_one(&mut *conn)
        .await?;
    Ok(())
}

/// How many units of work there may be at once, in one process: fewer than the pool has connections.
///
/// A unit holds a connection as long as it lasts, and work that is done [`apart`] from it takes another one for each part. Were every connection
/// held by a unit, all of them would wait for one that none gives back.
#[derive(Debug, Clone)]
pub struct Units(Arc<Semaphore>);

impl Units {
    /// As many as leave a quarter of the pool's connections, and at least one, to everybody else.
    pub fn of(pool: &PgPool) -> Self {
        let connections = pool.options().get_max_connections();
        let free = (connections / 4).max(1);
        let most = connections.saturating_sub(free).max(1);
        Self(Arc::new(Semaphore::new(most as usize)))
    }

    /// Waits for its turn; in the order of arrival.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = self.0.clone().acquire_owned().await;
        // Nobody closes it.
        turn.map_err(|_| StoreError::InUse)
    }
}

/// The transaction of a request.
#[derive(Debug, Clone)]
pub struct Unit(Arc<Mutex<Slot>>);

#[derive(Debug)]
struct Slot {
    tx: Tx,
    /// A use case has given up, and what it did has to be taken back before anything else is done.
    given_up: bool,
    /// There is a savepoint, of a part that stands.
    marked: bool,
    /// Given back with the connection.
    _turn: OwnedSemaphorePermit,
}

tokio::task_local! {
    static FAULTY: Arc<AtomicBool>;
}

/// Says that the answer of the request tells of a fault: it is not kept, so that the same request is done again.
pub fn answer_is_faulty() {
    // Outside of a request there is no answer.
    let _ = FAULTY.try_with(|faulty| faulty.store(true, Ordering::Relaxed));
}

/// Does some work, and answers with it whether [`answer_is_faulty`] was said.
pub async fn watched<F: Future>(work: F) -> (F::Output, bool) {
    let faulty = Arc::new(AtomicBool::new(false));
    let done = FAULTY.scope(Arc::clone(&faulty), work).await;
    (done, faulty.load(Ordering::Relaxed))
}

impl Slot {
    async fn settle(&mut self) -> Result<(), StoreError> {
        if self.given_up {
            self.run("ROLLBACK TO SAVEPOINT work").await?;
            self.given_up = false;
        }
        Ok(())
    }

    /// Begins a part. The savepoint of one before is released in the same word, or else by the end of the transaction: each word is a way to the database.
    async fn mark(&mut self) -> Result<(), StoreError> {
        let word = if self.marked {
            "RELEASE SAVEPOINT work; SAVEPOINT work"
        } else {
            "SAVEPOINT work"
        };
        self.run(word).await?;
        self.marked = true;
        Ok(())
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(statement).execute(&mut *self.tx).await?;
        Ok(())
    }
}

impl Unit {
    /// Begins one, when it is its turn.
    pub async fn begin(pool: &PgPool, units: &Units) -> Result<Self, StoreError> {
        let turn = units.turn().await?;
        let tx = pool.begin().await?;
        Ok(Self(Arc::new(Mutex::new(Slot {
            tx,
            given_up: false,
            marked: false,
            _turn: turn,
        }))))
    }

    /// Does some work within it.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(Some(self.clone()), work).await
    }

    /// The unit that this task works in.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok().flatten()
    }

    /// The transaction for its own record, outside of what use cases do.
    pub async fn own(&self) -> Result<Look, StoreError> {
        let mut guard = self.0.clone().lock_owned().await;
        guard.settle().await?;
        Ok(Look(guard))
    }

    /// A part of it for a use case. Fails while another use case works in it: they are done one after the other.
    pub async fn work(self) -> Result<Work, StoreError> {
        let mut guard = self.0.try_lock_owned().map_err(|_| StoreError::InUse)?;
        guard.settle().await?;
        guard.mark().await?;
        Ok(Work::Part(Part {
            guard,
            stands: false,
        }))
    }

    /// The transaction for a read, so that what the request did is seen; `None` while a use case works in it.
    pub async fn read(self) -> Result<Option<Reader>, StoreError> {
        let Ok(mut guard) = self.0.try_lock_owned() else {
            return Ok(None);
        };
        guard.settle().await?;
        Ok(Some(Reader::Shared(Look(guard))))
    }

    /// Takes everything back, and gives the locks back before anybody is answered: a transaction that is merely dropped ends a little later.
    pub async fn give_up(self) -> Result<(), StoreError> {
        let slot = Arc::into_inner(self.0).map(Mutex::into_inner);
        let slot = slot.ok_or(StoreError::InUse)?;
        Ok(slot.tx.rollback().await?)
    }

    /// Commits all that stands.
    pub async fn commit(self) -> Result<(), StoreError> {
        let slot = Arc::into_inner(self.0).map(Mutex::into_inner);
        let mut slot = slot.ok_or(StoreError::InUse)?;
        slot.settle().await?;
        Ok(slot.tx.commit().await?)
    }
}

/// A transaction that a use case works in. Dropping it without a commit takes back what was done in it.
#[derive(Debug)]
pub enum Work {
    /// Its own.
    Own(Tx),
    /// A part of the request's.
    Part(Part),
}

impl Work {
    /// What was done stands; in a unit of work, with the rest of it. Answers whether it stands already.
    pub async fn commit(self) -> Result<bool, StoreError> {
        match self {
            Self::Own(tx) => {
                tx.commit().await?;
                Ok(true)
            }
            Self::Part(mut part) => {
                part.stands = true;
                Ok(false)
            }
        }
    }
}

/// A part of a request's transaction.
#[derive(Debug)]
pub struct Part {
    guard: OwnedMutexGuard<Slot>,
    stands: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.guard.given_up = !self.stands;
    }
}

impl Deref for Work {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Own(tx) => tx,
            Self::Part(part) => &part.guard.tx,
        }
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Own(tx) => tx,
            Self::Part(part) => &mut part.guard.tx,
        }
    }
}

/// A database connection for reads that need no transaction.
#[derive(Debug)]
pub enum Reader {
    /// One of the pool.
    Pooled(PoolConnection<Postgres>),
    /// The request's transaction.
    Shared(Look),
}

impl Deref for Reader {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Shared(look) => look,
        }
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Pooled(conn) => conn,
            Self::Shared(look) => look,
        }
    }
}

/// The request's transaction, between the use cases.
#[derive(Debug)]
pub struct Look(OwnedMutexGuard<Slot>);

impl Deref for Look {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0.tx
    }
}

impl DerefMut for Look {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0.tx
    }
}

tokio::task_local! {
    static WATCHED: Watch;
}

/// Counts the entries about one subject that a request writes itself.
#[derive(Debug, Clone)]
pub struct Watch {
    subject: Uuid,
    written: Arc<AtomicUsize>,
}

impl Watch {
    /// Watches a subject.
    pub fn over(subject: Uuid) -> Self {
        Self {
            subject,
            written: Arc::default(),
        }
    }

    /// Does some work, and counts what it writes.
    pub async fn scope<F: Future>(&self, work: F) -> F::Output {
        WATCHED.scope(self.clone(), work).await
    }

    /// How many entries were written.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }
}

/// Notes that an entry was written. Nobody need be watching.
pub(super) fn note_written(subject: Uuid) {
    let _ = WATCHED.try_with(|watch| {
        if watch.subject == subject {
            watch.written.fetch_add(1, Ordering::Relaxed);
        }
    });
}
