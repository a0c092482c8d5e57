// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

namespace netcow {

/// A connection to an SQLite database. Every error is a UserError that names the file. Not
/// thread-safe.
class Database {
 public:
  /// Opens the file, or creates it with mode 0600. Others may read it meanwhile; who changes it is
  /// waited for, for a few seconds. A statement that returned survives a power cut.
  explicit Database(const std::string& path);

  /// Runs statements that take no values and give no rows.
  void run(const std::string& sql);

  [[noreturn]] void fail(const std::string& doing) const;
  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// One SQL statement with its values, and its rows one at a time.
class Statement {
 public:
  /// `database` must outlive the statement.
  Statement(Database& database, const std::string& sql);

  /// Gives the next '?' its value.
  Statement& bind(std::int64_t value);
  Statement& bind(const std::string& value);
  Statement& bindNull();

  /// Goes to the next row; false behind the last.
  bool next();

  /// Column `column` of the current row, counted from 0.
  [[nodiscard]] bool isNull(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  void check(int result) const;

  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

}  // namespace netcow
