// SPDX-License-Identifier: Apache-2.0
#include "cli/run_command.h"

#include <cstdio>
#include <string>
#include <string_view>

namespace netcow {

std::string usageLine(const CLI::ParseError& error) {
  // Its own text is meant for programmers: "Could not convert: --min-age = soon".
  constexpr std::string_view kConversion = "Could not convert: ";
  const std::string text = error.what();
  return text.starts_with(kConversion) ? text.substr(kConversion.size()) + " is no number" : text;
}

int runCommand(CLI::App& app, int argc, char** argv, const std::function<ExitStatus()>& command) {
  const auto fail = [&app](const std::string& line, ExitStatus status) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), line.c_str());
    return static_cast<int>(status);
  };
  try {
    app.parse(argc, argv);
    return static_cast<int>(command());
  } catch (const CLI::Success& text) {  // --help
    return app.exit(text);
  } catch (const CLI::ParseError& error) {
    return fail(usageLine(error) + "; see " + app.get_name() + " --help", ExitStatus::usage);
  } catch (const UserError& error) {
    return fail(error.what(), error.status());
  } catch (const std::exception& error) {
    return fail(error.what(), ExitStatus::failed);
  }
}

}  // namespace netcow
