// SPDX-License-Identifier: Apache-2.0
#include "base/toml_file.h"

#include <utility>

#include "base/errors.h"
#include "base/whole_io.h"

namespace netcow {

TomlFile::TomlFile(const std::string& path, const std::string& advice) : path_(path) {
  std::string text;
  try {
    text = readTextFile(path);
  } catch (const std::system_error& error) {
    throw UserError("cannot read " + path + ": " + error.code().message() + "; " + advice);
  }
  read(text);
}

TomlFile TomlFile::parse(const std::string& path, std::string_view text) {
  TomlFile file(path);
  file.read(text);
  return file;
}

void TomlFile::read(std::string_view text) {
  try {
    table_ = toml::parse(text, path_);
  } catch (const toml::parse_error& error) {
    refuse(error.source().begin.line, std::string(error.description()));
  }
}

void TomlFile::refuse(std::uint32_t line, const std::string& problem) const {
  throw UserError(path_ + ":" + std::to_string(line) + ": " + problem);
}

std::optional<std::vector<std::string>> stringsOf(const toml::node& node) {
  std::vector<std::string> texts;
  if (auto one = node.value_exact<std::string>()) {
    texts.push_back(std::move(*one));
    return texts;
  }
  const toml::array* list = node.as_array();
  if (list == nullptr) {
    return std::nullopt;
  }
  for (const toml::node& entry : *list) {
    auto text = entry.value_exact<std::string>();
    if (!text) {
      return std::nullopt;
    }
    texts.push_back(std::move(*text));
  }
  return texts;
}

}  // namespace netcow
