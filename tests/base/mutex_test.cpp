// SPDX-License-Identifier: Apache-2.0
#include "base/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>
#include <vector>

namespace netcow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kThreads = 4;
constexpr int kRounds = 5000;

/// Something that breaks visibly when two threads are in it.
struct Counter {
  Mutex mutex;
  int value NETCOW_GUARDED_BY(mutex) = 0;

  void add() NETCOW_EXCLUDES(mutex) {
    const MutexLock lock(mutex);
    ++value;
  }
  int read() NETCOW_EXCLUDES(mutex) {
    const MutexLock lock(mutex);
    return value;
  }
};

TEST(Mutex, LetsOneThreadInAtATime) {
  Counter counter;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          counter.add();
        }
      });
    }
  }
  EXPECT_EQ(counter.read(), kThreads * kRounds);
}

TEST(MutexLock, LetsGoInBetween) {
  Counter counter;
  MutexLock lock(counter.mutex);
  lock.unlock();
  std::jthread(&Counter::add, &counter).join();  // would wait for ever were it still held
  lock.lock();
  EXPECT_EQ(counter.value, 1);
}

TEST(SharedMutex, LetsReadersInTogether) {
  SharedMutex mutex;
  std::latch bothInside(2);
  const auto readTogether = [&] {
    const ReaderLock lock(mutex);
    bothInside.arrive_and_wait();  // for ever if readers kept each other out
  };
  std::jthread first(readTogether);
  std::jthread second(readTogether);
  first.join();
  second.join();
  EXPECT_TRUE(bothInside.try_wait());
}

TEST(SharedMutex, LetsOneWriterInAtATime) {
  struct {
    SharedMutex mutex;
    int value NETCOW_GUARDED_BY(mutex) = 0;
    int odd NETCOW_GUARDED_BY(mutex) = 0;
  } shared;
  std::atomic<int> torn = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          const WriterLock lock(shared.mutex);
          ++shared.value;
          ++shared.odd;
        }
      });
      threads.emplace_back([&] {
        for (int round = 0; round < kRounds; ++round) {
          const ReaderLock lock(shared.mutex);
          torn += shared.value == shared.odd ? 0 : 1;
        }
      });
    }
  }
  EXPECT_EQ(torn, 0);
  const ReaderLock lock(shared.mutex);
  EXPECT_EQ(shared.value, kThreads * kRounds);
}

// Some reader is always inside: each lets go only after another one has come in, or would have.
TEST(SharedMutex, LetsAWriterInBesideReadersWhoNeverPause) {
  SharedMutex mutex;
  std::atomic<int> readings = 0;
  std::atomic<bool> written = false;
  const auto limit = std::chrono::steady_clock::now() + seconds(20);
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      while (!written && std::chrono::steady_clock::now() < limit) {
        const ReaderLock lock(mutex);
        const int mine = ++readings;
        const auto end = std::chrono::steady_clock::now() + milliseconds(5);
        while (readings == mine && std::chrono::steady_clock::now() < end) {
          std::this_thread::yield();
        }
      }
    });
  }
  while (readings < 100) {
    std::this_thread::yield();
  }
  {
    const WriterLock lock(mutex);
    EXPECT_LT(std::chrono::steady_clock::now(), limit);
    written = true;
  }
}

/// A flag that threads wait for.
struct Gate {
  Mutex mutex;
  ConditionVariable changed;
  bool open NETCOW_GUARDED_BY(mutex) = false;

  void pass() NETCOW_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    while (!open) {
      changed.wait(lock);
    }
  }
};

TEST(ConditionVariable, WakesEveryWaiter) {
  Gate gate;
  std::vector<std::jthread> waiters;
  for (int i = 0; i < kThreads; ++i) {
    waiters.emplace_back(&Gate::pass, &gate);
  }
  {
    const MutexLock lock(gate.mutex);
    gate.open = true;
  }
  gate.changed.notifyAll();
  for (auto& waiter : waiters) {
    waiter.join();
  }
  SUCCEED();  // the test is that every join returned
}

TEST(ConditionVariable, StopsWaitingAfterTheTimeGiven) {
  Gate gate;
  MutexLock lock(gate.mutex);
  const auto before = std::chrono::steady_clock::now();
  gate.changed.waitFor(lock, milliseconds(1));
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(60));
  EXPECT_FALSE(gate.open);
}

}  // namespace
}  // namespace netcow
