// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_config.h"

#include <toml++/toml.h>

#include <algorithm>

#include "base/errors.h"
#include "base/toml_file.h"

namespace netcow {
namespace {

std::string allowedKeys(const std::vector<ServeOption>& known) {
  std::string names;
  for (const ServeOption& option : known) {
    names += (names.empty() ? "" : ", ") + option.name;
  }
  return names;
}

/// Sets a value from a node of the file; false if it has another type. `typeName` is what it must
/// be.
struct Assign {
  const toml::node& node;
  std::uint64_t least;
  std::string& typeName;

  bool operator()(bool* flag) const {
    typeName = "true or false";
    const auto value = node.value_exact<bool>();
    *flag = value.value_or(*flag);
    return value.has_value();
  }
  bool operator()(std::string* text) const {
    typeName = "a string";
    const auto value = node.value_exact<std::string>();
    *text = value.value_or(*text);
    return value.has_value();
  }
  bool operator()(std::uint64_t* number) const {
    typeName = "a number, at least " + std::to_string(least);
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < 0 || static_cast<std::uint64_t>(*value) < least) {
      return false;
    }
    *number = static_cast<std::uint64_t>(*value);
    return true;
  }
  bool operator()(ByteCount* size) const {
    const auto given = givenSize();
    *size = given.value_or(*size);
    return given.has_value();
  }
  bool operator()(std::optional<ByteCount>* size) const {
    const auto given = givenSize();
    *size = given ? given : *size;
    return given.has_value();
  }
  bool operator()(std::vector<std::string>* texts) const {
    typeName = "a string or a list of strings";
    const auto values = stringsOf(node);
    *texts = values.value_or(*texts);
    return values.has_value();
  }

 private:
  [[nodiscard]] std::optional<ByteCount> givenSize() const {
    typeName = "a number of bytes, or a string like \"64M\"";
    const auto text = node.value_exact<std::string>();
    const auto bytes = node.value_exact<std::int64_t>();
    return parseByteCount(text ? *text : std::to_string(bytes.value_or(-1)));
  }
};

}  // namespace

void completeFromConfig(ServeOptions& options,
                        const std::function<bool(const std::string&)>& isGiven) {
  const TomlFile file(options.config, "name another with --config");
  const auto known = describeServeOptions(options);
  for (const auto& [key, node] : file.table()) {
    const auto option = std::ranges::find(known, key.str(), &ServeOption::name);
    if (option == known.end()) {
      file.refuse(key.source().begin.line, "unknown key \"" + std::string(key.str()) +
                                               "\"; known are " + allowedKeys(known));
    }
    ServeOptions unused;  // what the command line overrides must be right all the same
    const auto unusedOptions = describeServeOptions(unused);
    const ServeOption& target =
        isGiven(option->name) ? unusedOptions[static_cast<std::size_t>(option - known.begin())]
                              : *option;
    std::string typeName;
    if (!std::visit(Assign{node, option->least, typeName}, target.value)) {
      file.refuse(key.source().begin.line, "\"" + option->name + "\" must be " + typeName);
    }
  }
}

}  // namespace netcow
