// SPDX-License-Identifier: Apache-2.0
#include "image/stress_writer.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/mutex.h"

namespace netcow::test {

struct StressWriter::Operation {
  const char* what;
  std::uint64_t offset;
  std::vector<std::byte> bytes;
  std::function<void()> ended;                    ///< runs in the completion, on any thread
  std::function<void(const Operation&)> check{};  ///< runs in the writer's thread, of a read
  std::vector<std::uint32_t> acknowledged{};      ///< of each sector, before a read began
};

/// Operations that are under way together.
class StressWriter::Batch {
 public:
  explicit Batch(Findings& findings) : findings_(findings) {}

  Operation& add(Operation operation) {
    const MutexLock lock(mutex_);
    ++pending_;
    operations_.push_back(std::move(operation));
    return operations_.back();
  }
  Completion completionOf(Operation& operation) {
    return [this, &operation](const std::error_code& error) {
      if (error) {
        findings_.add(std::string(operation.what) + " at " + std::to_string(operation.offset) +
                      ": " + error.message());
      } else if (operation.ended) {
        operation.ended();
      }
      const MutexLock lock(mutex_);
      --pending_;
      changed_.notifyAll();
    };
  }
  void wait() {
    MutexLock lock(mutex_);
    while (pending_ > 0) {
      changed_.wait(lock);
    }
    for (const Operation& operation : operations_) {
      if (operation.check) {
        operation.check(operation);
      }
    }
  }
  /// False if it is in use by this batch already: nobody writes one place twice at a time.
  bool claim(std::uint64_t offset) { return claimed_.insert(offset).second; }

 private:
  Findings& findings_;
  std::set<std::uint64_t> claimed_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Operation> operations_ NETCOW_GUARDED_BY(mutex_);
  int pending_ NETCOW_GUARDED_BY(mutex_) = 0;
};

std::vector<std::byte> readAndWait(Image& image, std::uint64_t offset, std::uint64_t length,
                                   Findings& findings) {
  std::vector<std::byte> bytes(length, std::byte{0xEE});
  Mutex mutex;
  ConditionVariable changed;
  bool ended = false;
  image.read(bytes, offset, [&](const std::error_code& error) {
    if (error) {
      findings.add("read at " + std::to_string(offset) + ": " + error.message());
    }
    const MutexLock lock(mutex);
    ended = true;
    changed.notifyAll();
  });
  MutexLock lock(mutex);
  while (!ended) {
    changed.wait(lock);
  }
  return bytes;
}

StressWriter::StressWriter(Image& image, StressField& field, Findings& findings,
                           std::uint32_t number, std::uint32_t writers, std::uint64_t seed)
    : image_(image),
      field_(field),
      findings_(findings),
      number_(number),
      writers_(writers),
      random_(seed),
      odd_(field.oddPieces) {
  for (const OwnedWindow& window : field.owned) {
    owned_.emplace_back(window.sectors());
  }
}

void StressWriter::run(int batches) {
  for (int i = 0; i < batches && !findings_.any(); ++i) {
    Batch batch(findings_);
    for (std::uint64_t n = upTo(5); n < 6; ++n) {
      addSome(batch);
    }
    batch.wait();
  }
}

void StressWriter::addSome(Batch& batch) {
  switch (upTo(9)) {
    case 0:
    case 1:
      return writeContested(batch);
    case 2:
      return writeOdd(batch);
    case 3:
      return readOdd(batch);
    case 4:
    case 5:
    case 6:
      return readOwned(batch);
    default:
      return writeOwned(batch);
  }
}

std::uint64_t StressWriter::ownUnit(const OwnedWindow& window) {
  return upTo(window.units() / writers_ - 1) * writers_ + number_ - 1;
}

void StressWriter::writeOwned(Batch& batch) {
  const std::size_t index = upTo(field_.owned.size() - 1);
  OwnedWindow& window = field_.owned[index];
  const std::uint64_t unit = ownUnit(window);
  const std::uint64_t within = upTo(1) == 0 ? 0 : upTo(window.unit() - 1);
  const std::uint64_t count = 1 + upTo(window.unit() - within - 1);
  const std::uint64_t first = unit * window.unit() + within;
  if (!batch.claim(window.offsetOf(unit * window.unit()))) {
    return;
  }
  const std::uint32_t write = ++writes_;
  const bool zeros = upTo(4) == 0;
  window.begin(first, count, write, zeros);
  for (std::uint64_t i = first; i < first + count; ++i) {
    owned_[index][i] = {write, zeros};
  }
  const std::uint64_t offset = window.offsetOf(first);
  Operation& operation =
      batch.add({zeros ? "zero" : "write", offset, std::vector<std::byte>(count * kSectorSize),
                 [&window, first, count, write] { window.acknowledge(first, count, write); }});
  if (zeros) {
    image_.zero(offset, operation.bytes.size(), true, batch.completionOf(operation));
    return;
  }
  fillWithTags(operation.bytes, offset, number_, write);
  image_.write(operation.bytes, offset, batch.completionOf(operation));
}

/// Of any writer's sectors, while they are being written.
void StressWriter::readOwned(Batch& batch) {
  OwnedWindow& window = field_.owned[upTo(field_.owned.size() - 1)];
  const std::uint64_t first = upTo(window.sectors() - 1);
  const std::uint64_t count = 1 + upTo(std::min<std::uint64_t>(window.sectors() - first, 40) - 1);
  Operation& operation =
      batch.add({"read", window.offsetOf(first), std::vector<std::byte>(count * kSectorSize), {}});
  for (std::uint64_t i = first; i < first + count; ++i) {
    operation.acknowledged.push_back(window.acknowledged(i));
  }
  operation.check = [this, &window, first](const Operation& ended) {
    for (std::uint64_t at = 0; at < ended.bytes.size(); at += kWordSize) {
      const std::uint64_t sector = at / kSectorSize;
      const std::uint64_t word = wordAt(ended.bytes, at);
      if (!window.mayBe(word, first + sector, ended.acknowledged[sector])) {
        findings_.add("a read of sector " +
                      std::to_string(window.offsetOf(first + sector) / kSectorSize) + " found " +
                      describeWord(word) + " after write " +
                      std::to_string(ended.acknowledged[sector]) + " was acknowledged");
      }
    }
  };
  image_.read(operation.bytes, operation.offset, batch.completionOf(operation));
}

void StressWriter::writeContested(Batch& batch) {
  ContestedWindow& window = field_.contested[upTo(field_.contested.size() - 1)];
  const std::uint64_t first = upTo(window.sectors() - 1);
  const std::uint64_t count = 1 + upTo(std::min<std::uint64_t>(window.sectors() - first, 30) - 1);
  const ContestedWindow::Write write{first, count, number_, ++writes_, window.now(), 0};
  Operation& operation = batch.add({"write", window.offsetOf(first),
                                    std::vector<std::byte>(count * kSectorSize), [&window, write] {
                                      auto ended = write;
                                      ended.ended = window.now();
                                      window.ended(ended);
                                    }});
  fillWithTags(operation.bytes, operation.offset, number_, write.number);
  image_.write(operation.bytes, operation.offset, batch.completionOf(operation));
}

std::byte StressWriter::oddByte(std::uint64_t offset, std::uint32_t number) const {
  return number == 0 ? baseByte(offset)
                     : static_cast<std::byte>((offset * 31 + number * 13 + number_ * 101) & 0xFFU);
}

void StressWriter::writeOdd(Batch& batch) {
  const std::uint64_t piece = upTo(field_.oddPieces / writers_ - 1) * writers_ + number_ - 1;
  const std::uint64_t offset = field_.oddBegin + piece * kOddPiece;
  if (!batch.claim(offset)) {
    return;
  }
  odd_[piece] = ++writes_;
  Operation& operation = batch.add({"write", offset, std::vector<std::byte>(kOddPiece), {}});
  for (std::uint64_t i = 0; i < kOddPiece; ++i) {
    operation.bytes[i] = oddByte(offset + i, odd_[piece]);
  }
  image_.write(operation.bytes, offset, batch.completionOf(operation));
}

void StressWriter::readOdd(Batch& batch) {
  const std::uint64_t piece = upTo(field_.oddPieces / writers_ - 1) * writers_ + number_ - 1;
  const std::uint64_t offset = field_.oddBegin + piece * kOddPiece;
  if (!batch.claim(offset)) {
    return;
  }
  Operation& operation = batch.add({"read", offset, std::vector<std::byte>(kOddPiece), {}});
  operation.check = [this, piece](const Operation& ended) { checkOddRead(piece, ended.bytes); };
  image_.read(operation.bytes, offset, batch.completionOf(operation));
}

void StressWriter::checkOddRead(std::uint64_t piece, std::span<const std::byte> content) {
  const std::uint64_t offset = field_.oddBegin + piece * kOddPiece;
  for (std::uint64_t i = 0; i < kOddPiece; ++i) {
    if (content[i] != oddByte(offset + i, odd_[piece])) {
      findings_.add("byte " + std::to_string(offset + i) + " is not what writer " +
                    std::to_string(number_) + " wrote last");
      return;
    }
  }
}

void StressWriter::checkOwnSector(std::size_t window, std::uint64_t sector,
                                  std::span<const std::byte> content) {
  const std::uint64_t number = field_.owned[window].offsetOf(sector) / kSectorSize;
  const Content& last = owned_[window][sector];
  const std::uint32_t writer = last.number == 0 ? 0 : number_;
  const std::uint64_t expected = last.zeros ? 0 : SectorTag{number, writer, last.number}.word();
  for (std::uint64_t at = 0; at < kSectorSize; at += kWordSize) {
    if (wordAt(content, at) != expected) {
      findings_.add("sector " + std::to_string(number) + " holds " +
                    describeWord(wordAt(content, at)) + " in place of " + describeWord(expected));
      return;
    }
  }
}

void StressWriter::checkOwn(Image& image) {
  for (std::size_t index = 0; index < field_.owned.size(); ++index) {
    const OwnedWindow& window = field_.owned[index];
    for (std::uint64_t unit = number_ - 1; unit < window.units(); unit += writers_) {
      const std::uint64_t first = unit * window.unit();
      const auto content =
          readAndWait(image, window.offsetOf(first), window.unit() * kSectorSize, findings_);
      for (std::uint64_t i = 0; i < window.unit(); ++i) {
        checkOwnSector(index, first + i, std::span(content).subspan(i * kSectorSize, kSectorSize));
      }
    }
  }
  for (std::uint64_t piece = number_ - 1; piece < field_.oddPieces; piece += writers_) {
    const std::uint64_t offset = field_.oddBegin + piece * kOddPiece;
    checkOddRead(piece, readAndWait(image, offset, kOddPiece, findings_));
  }
}

}  // namespace netcow::test
