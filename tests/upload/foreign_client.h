// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "session/simulated_folder.h"
#include "session/table_file.h"
#include "upload/model_servers.h"

namespace netcow::test {

/// A client like the reference one, at work on the files of a session that nobody has open: it
/// knows `meta` and `data` alone, and uploads every local block of a dirty cluster.
class ForeignClient {
 public:
  ForeignClient(SimulatedMachine& machine, ModelServers& servers)
      : servers_(servers), folder_(openSimulatedFolder(machine)), random_(machine.random) {
    const bool opened = !folder_->open("meta", meta_) && !folder_->open("data", data_);
    MetaHeader header;
    if (!opened || meta_->read(std::as_writable_bytes(std::span(&header, 1)), 0)) {
      throw std::runtime_error("the foreign client cannot open the session");
    }
    tables_ = std::make_unique<TableFile>(*meta_, 0, layoutOf(header));
  }

  /// Uploads what is dirty, of which nothing can get lost any more. `noted`: writes that down; else
  /// it is killed before.
  void upload(bool noted) {
    sync();
    forEachEntry([&](std::uint64_t cluster, ClusterEntry& entry) {
      if (entry.timeChanged == 0 || random_.oneIn(3)) {
        return false;
      }
      servers_.take(cluster, bodyOf(entry));
      if (noted) {
        entry.timeChanged = 0;
        entry.uploads = entry.uploads + 1;
      }
      return noted;
    });
    sync();
  }

  /// Fills a block with one byte, in some of the clusters that have a place. Syncs nothing, as the
  /// reference client.
  void write(std::uint64_t block, char byte) {
    const std::string content(kBlockSize, byte);
    forEachEntry([&](std::uint64_t, ClusterEntry& entry) {
      if (random_.oneIn(2)) {
        return false;
      }
      const auto place = static_cast<std::uint64_t>(std::int64_t{entry.dataOffset});
      static_cast<void>(
          data_->write(std::as_bytes(std::span(content)), place + block * kBlockSize));
      entry.bits.set(block);
      entry.timeChanged = 1;
      return true;
    });
  }

  /// Calls what is dirty clean, though nobody has sent it: no program may do so.
  void lie() {
    forEachEntry([](std::uint64_t, ClusterEntry& entry) {
      entry.timeChanged = 0;
      return true;
    });
    sync();
  }

 private:
  /// Goes through the clusters that have a place; change() says whether it changed the entry.
  template <class Change>
  void forEachEntry(Change change) {
    std::vector<TableIndex> indexes(kTables);
    static_cast<void>(tables_->readL1(indexes));
    for (std::uint64_t number = 0; number < indexes.size(); ++number) {
      TableEntries entries;
      if (indexes[number] == kNoTable || tables_->readTable(indexes[number], entries)) {
        continue;
      }
      for (std::uint64_t i = 0; i < entries.size(); ++i) {
        if (entries[i].dataOffset > 0 && change(number * kClustersPerTable + i, entries[i])) {
          static_cast<void>(tables_->writeEntry(indexes[number], i, entries[i]));
        }
      }
    }
  }

  [[nodiscard]] std::string bodyOf(const ClusterEntry& entry) {
    std::string body(entry.bits.bytes.begin(), entry.bits.bytes.end());
    for (std::uint64_t block = entry.bits.findNext(0, true); block < kBlocksPerCluster;
         block = entry.bits.findNext(block + 1, true)) {
      std::string content(kBlockSize, '\0');
      const auto place = static_cast<std::uint64_t>(std::int64_t{entry.dataOffset});
      static_cast<void>(
          data_->read(std::as_writable_bytes(std::span(content)), place + block * kBlockSize));
      body += content;
    }
    return body;
  }

  void sync() {
    static_cast<void>(data_->sync());
    static_cast<void>(meta_->sync());
  }

  static constexpr std::uint64_t kTables = 1;  ///< of the small images of these tests
  ModelServers& servers_;
  std::unique_ptr<Folder> folder_;
  SeededRandom& random_;
  std::unique_ptr<File> meta_;
  std::unique_ptr<File> data_;
  std::unique_ptr<TableFile> tables_;
};

}  // namespace netcow::test
