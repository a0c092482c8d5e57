// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

namespace netcow {

/// What a client asked for cannot be done; what() tells it why in one line.
class Refusal : public std::runtime_error {
 public:
  enum class Kind {
    badRequest,  ///< wrong in itself: asking again is of no use
    notFound,    ///< no such image or upload
    conflict,    ///< the upload is past that, or not there yet
    busy,        ///< possible in a moment
    noSpace,     ///< the disk is about to be full: possible when somebody made room
  };

  Refusal(Kind kind, const std::string& line) : std::runtime_error(line), kind_(kind) {}
  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

}  // namespace netcow
