// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_record.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <vector>

#include "base/errors.h"
#include "base/whole_io.h"
#include "format/checksum_list.h"

namespace netcow {
namespace {

/// Raised when an older netcow would take the blocks for something else.
constexpr int kFormat = 1;

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

bool shareAWord(const std::string& one, const std::string& other) {
  const auto left = words(one);
  const auto right = words(other);
  return std::find_first_of(left.begin(), left.end(), right.begin(), right.end()) != left.end();
}

}  // namespace

void CacheRecord::save(const std::string& folder) const {
  const nlohmann::ordered_json json = {{"format", kFormat},
                                       {"image", image.name},
                                       {"revision", image.revision},
                                       {"size", size},
                                       {"servers", servers}};
  // A name that is no UTF-8 only has to be the same each time.
  const auto handler = nlohmann::ordered_json::error_handler_t::replace;
  replaceTextFile(folder + "/cache.json", json.dump(2, ' ', false, handler) + "\n", true);
}

std::optional<CacheRecord> CacheRecord::load(const std::string& folder) {
  const std::string path = folder + "/cache.json";
  if (!std::filesystem::exists(path)) {
    return std::nullopt;
  }
  try {
    const auto json = nlohmann::json::parse(readTextFile(path));
    if (json.at("format") != kFormat) {
      throw UserError(path +
                      " is of a format that this version of netcow does not know; use a "
                      "newer one, or name another --cache");
    }
    CacheRecord record;
    record.image.name = json.at("image").get<std::string>();
    record.image.revision = json.at("revision").get<std::uint16_t>();
    record.size = json.at("size").get<std::uint64_t>();
    record.servers = json.at("servers").get<std::string>();
    return record;
  } catch (const nlohmann::json::exception&) {
    throw UserError(path + " cannot be understood; remove the folder " + folder);
  }
}

std::string CacheRecord::whyNot(const CacheRecord& other) const {
  const auto shown = [](const ImageName& name) {
    return name.name + " revision " + std::to_string(name.revision);
  };
  if (image.revision != other.image.revision ||
      cacheFolderName(image) != cacheFolderName(other.image)) {
    return "holds blocks of " + shown(image) + ", not of " + shown(other.image);
  }
  if (size != other.size) {
    return "holds blocks of an image of " + std::to_string(size) + " bytes, but the server's has " +
           std::to_string(other.size);
  }
  if (!shareAWord(servers, other.servers)) {
    return "holds blocks of the server " + servers + ", and the image is now read from " +
           other.servers;
  }
  return {};
}

std::string cacheFolderName(const ImageName& image) {
  constexpr std::size_t kLongest = 180;
  std::string name;
  for (const char c : image.name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.')) {
      name += c;
    } else {
      constexpr const char* kDigits = "0123456789ABCDEF";
      name += '%';
      name += kDigits[byte >> 4U];
      name += kDigits[byte & 0xFU];
    }
  }
  if (name.size() > kLongest) {
    Crc32 checksum;
    checksum.add(std::as_bytes(std::span(image.name)));
    name = name.substr(0, kLongest) + "~" + std::to_string(checksum.value());
  }
  return name + ".r" + std::to_string(image.revision);
}

}  // namespace netcow
