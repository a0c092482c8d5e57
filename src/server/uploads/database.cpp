// SPDX-License-Identifier: Apache-2.0
#include "server/uploads/database.h"

#include <fcntl.h>

#include "base/errors.h"
#include "base/unique_fd.h"

namespace netcow {
namespace {

/// How long another program, which looks at the registry just now, is waited for.
constexpr int kBusyMilliseconds = 5000;

/// SQLite would create it readable for everybody. It takes an empty file as a new database.
void createForOwner(const std::string& path) {
  // Closed before SQLite opens the file: closing it later would let go of SQLite's locks.
  const UniqueFd created(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

}  // namespace

Database::Database(const std::string& path) : path_(path) {
  createForOwner(path);
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  handle_.reset(handle);
  if (result != SQLITE_OK) {
    fail("open");
  }
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  // With a log, a commit is one append and one sync (FULL: less would not survive a power cut), and
  // whoever reads the file meanwhile holds nobody up. An older file needs nobody to read it just
  // now.
  run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
}

void Database::run(const std::string& sql) {
  if (sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    fail("use");
  }
}

void Database::fail(const std::string& doing) const {
  throw UserError("cannot " + doing + " the registry " + path_ + ": " + sqlite3_errmsg(handle()) +
                  "; see that its folder can be written and is not full");
}

Statement::Statement(Database& database, const std::string& sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v2(database.handle(), sql.c_str(), -1, &statement, nullptr);
  statement_.reset(statement);
  check(result);
}

Statement& Statement::bind(std::int64_t value) {
  check(sqlite3_bind_int64(statement_.get(), ++bound_, value));
  return *this;
}

Statement& Statement::bind(const std::string& value) {
  // SQLite copies the text (its SQLITE_TRANSIENT is this number as an old-style cast).
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  static const auto kCopy = reinterpret_cast<sqlite3_destructor_type>(std::intptr_t{-1});
  check(sqlite3_bind_text(statement_.get(), ++bound_, value.data(), static_cast<int>(value.size()),
                          kCopy));
  return *this;
}

Statement& Statement::bindNull() {
  check(sqlite3_bind_null(statement_.get(), ++bound_));
  return *this;
}

bool Statement::next() {
  const int result = sqlite3_step(statement_.get());
  if (result != SQLITE_ROW && result != SQLITE_DONE) {
    database_.fail("use");
  }
  return result == SQLITE_ROW;
}

bool Statement::isNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  const int length = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr
             ? std::string()
             : std::string(reinterpret_cast<const char*>(text), static_cast<std::size_t>(length));
}

void Statement::check(int result) const {
  if (result != SQLITE_OK) {
    database_.fail("use");
  }
}

}  // namespace netcow
