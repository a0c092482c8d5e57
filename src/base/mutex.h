// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

// Locks whose use clang checks at compile time (-Wthread-safety): members say which lock guards
// them (NETCOW_GUARDED_BY), private methods which lock they need (NETCOW_REQUIRES). The order in
// which locks may be taken is one table in ARCHITECTURE.md.
#if defined(__clang__)
#define NETCOW_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define NETCOW_THREAD_ANNOTATION(x)
#endif
#define NETCOW_CAPABILITY(x) NETCOW_THREAD_ANNOTATION(capability(x))
#define NETCOW_SCOPED_CAPABILITY NETCOW_THREAD_ANNOTATION(scoped_lockable)
#define NETCOW_GUARDED_BY(x) NETCOW_THREAD_ANNOTATION(guarded_by(x))
#define NETCOW_REQUIRES(...) NETCOW_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define NETCOW_REQUIRES_SHARED(...) \
  NETCOW_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define NETCOW_EXCLUDES(...) NETCOW_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define NETCOW_ACQUIRE(...) NETCOW_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define NETCOW_ACQUIRE_SHARED(...) NETCOW_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define NETCOW_RELEASE(...) NETCOW_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define NETCOW_RELEASE_GENERIC(...) \
  NETCOW_THREAD_ANNOTATION(release_generic_capability(__VA_ARGS__))
#define NETCOW_NO_THREAD_SAFETY_ANALYSIS NETCOW_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace netcow {

class NETCOW_CAPABILITY("mutex") Mutex {
 public:
  void lock() NETCOW_ACQUIRE() { mutex_.lock(); }
  void unlock() NETCOW_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// For many readers or one writer. A writer that waits goes before readers that come later, however
/// many there are; std::shared_mutex lets a writer wait for ever beside readers who never pause. So
/// no thread may take it for reading twice at a time: it would wait for a writer that waits for it.
class NETCOW_CAPABILITY("shared mutex") SharedMutex {
 public:
  SharedMutex() {
    // None of this fails: the kind is one that glibc knows, and no memory is taken.
    pthread_rwlockattr_t kind;
    ::pthread_rwlockattr_init(&kind);
    ::pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    ::pthread_rwlock_init(&lock_, &kind);
    ::pthread_rwlockattr_destroy(&kind);
  }
  ~SharedMutex() { ::pthread_rwlock_destroy(&lock_); }
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() NETCOW_ACQUIRE() { ::pthread_rwlock_wrlock(&lock_); }
  void unlock() NETCOW_RELEASE() { ::pthread_rwlock_unlock(&lock_); }
  void lock_shared() NETCOW_ACQUIRE_SHARED() { ::pthread_rwlock_rdlock(&lock_); }
  void unlock_shared() NETCOW_RELEASE_GENERIC() { ::pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

/// Holds a Mutex while in scope; unlock() and lock() let go of it in between.
class NETCOW_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) NETCOW_ACQUIRE(mutex) : lock_(mutex) {}
  ~MutexLock() NETCOW_RELEASE() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void unlock() NETCOW_RELEASE() { lock_.unlock(); }
  void lock() NETCOW_ACQUIRE() { lock_.lock(); }

 private:
  friend class ConditionVariable;
  std::unique_lock<Mutex> lock_;
};

/// Holds a SharedMutex for reading while in scope.
class NETCOW_SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) NETCOW_ACQUIRE_SHARED(mutex) : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReaderLock() NETCOW_RELEASE_GENERIC() { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

/// Holds a SharedMutex for writing while in scope.
class NETCOW_SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) NETCOW_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriterLock() NETCOW_RELEASE() { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

/// Waits with a MutexLock held. Always wait in a loop that checks the condition: wake-ups may be
/// spurious, and the loop is where clang can see the lock.
class ConditionVariable {
 public:
  void wait(MutexLock& lock) { condition_.wait(lock.lock_); }
  template <class Duration>
  void waitFor(MutexLock& lock, Duration duration) {
    condition_.wait_for(lock.lock_, duration);
  }
  void notifyOne() { condition_.notify_one(); }
  void notifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace netcow
