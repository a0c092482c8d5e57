// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_options.h"

#include <chrono>

#include "base/errors.h"
#include "server/blocks/other_servers.h"
#include "server/http/form.h"

namespace netcow {
namespace {

std::vector<ListenAddress> addressesOf(const std::vector<std::string>& texts,
                                       std::vector<ListenAddress> otherwise) {
  std::vector<ListenAddress> addresses;
  for (const std::string& text : texts) {
    addresses.push_back(parseListenAddress(text, otherwise.front()));
  }
  return addresses.empty() ? std::move(otherwise) : addresses;
}

/// `Size`: ByteCount, or an optional one.
template <typename Size>
void addSize(CLI::App& app, const std::string& names, const ServeOption& option, Size& size) {
  app.add_option_function<std::string>(
         names,
         [&size, names](const std::string& given) {
           const auto parsed = parseByteCount(given);
           if (!parsed) {
             throw CLI::ValidationError(names, "\"" + given + "\" is not a size like 64M");
           }
           size = *parsed;
         },
         option.help)
      ->type_name(option.type);
}

void addToCommandLine(CLI::App& app, const ServeOption& option) {
  const std::string names =
      (option.letter.empty() ? std::string() : "-" + option.letter + ",") + "--" + option.name;
  if (bool* const* flag = std::get_if<bool*>(&option.value)) {
    app.add_flag(names, **flag, option.help);
  } else if (std::string* const* text = std::get_if<std::string*>(&option.value)) {
    app.add_option(names, **text, option.help)->type_name(option.type);
  } else if (std::uint64_t* const* number = std::get_if<std::uint64_t*>(&option.value)) {
    app.add_option(names, **number, option.help)
        ->type_name(option.type)
        ->check(CLI::Range(option.least, UINT64_MAX));
  } else if (ByteCount* const* size = std::get_if<ByteCount*>(&option.value)) {
    addSize(app, names, option, **size);
  } else if (auto* const* optional = std::get_if<std::optional<ByteCount>*>(&option.value)) {
    addSize(app, names, option, **optional);
  } else {
    app.add_option(names, *std::get<std::vector<std::string>*>(option.value), option.help)
        ->type_name(option.type)
        ->expected(1)
        ->take_all();
  }
}

}  // namespace

std::optional<ByteCount> parseByteCount(std::string text) {
  try {
    const std::string problem = CLI::AsSizeValue(/*kb_is_1000=*/false)(text);
    const auto bytes = parseNumber(text);  // what was a size is plain bytes now
    return problem.empty() && bytes ? std::optional(ByteCount{*bytes}) : std::nullopt;
  } catch (const CLI::ValidationError&) {  // an unknown unit
    return std::nullopt;
  }
}

std::vector<ServeOption> describeServeOptions(ServeOptions& o) {
  constexpr bool kReloads = true;
  return {
      {"images", "", "DIR", "Folder of images, NAME.rN in it and its sub-folders", false,
       &o.images},
      {"listen", "", "HOST:PORT",
       "Where dnbd3 clients connect; may be given several times [127.0.0.1:5003]", false,
       &o.listen},
      {"http", "", "HOST:PORT",
       "Where uploads and web browsers connect; may be given several times [127.0.0.1:5000]", false,
       &o.http},
      {"state", "", "DIR",
       "Folder for uploads that are not merged yet [.netcow in the folder of images]", false,
       &o.state},
      {"token-file", "", "FILE",
       "Who may change which images (TOML, see docs/server.md) [everybody all]", kReloads,
       &o.tokenFile},
      {"tls-cert", "", "FILE", "Certificate (PEM, with its chain): --http speaks HTTPS", kReloads,
       &o.tlsCertificate},
      {"tls-key", "", "FILE", "Its private key (PEM)", kReloads, &o.tlsKey},
      {"access-log", "", "FILE", "One line of JSON for each HTTP request; - = into the log",
       kReloads, &o.accessLog},
      {"alt-server", "", "HOST:PORT",
       "Another dnbd3 server that has these images, for clients to know; may be given up to 8 "
       "times",
       false, &o.otherServers},
      {"max-clients", "", "N", "How many dnbd3 clients may be connected at once [8000]", false,
       &o.maxClients, 1},
      {"checksum-rate", "", "SIZE",
       "How much is read in a second to make lists of checksums (NAME.rN.crc) that images lack; "
       "0 = none are made [64M]",
       false, &o.checksumRate},
      {"max-http-clients", "", "N", "HTTP connections at once; more get 503 [1024]", kReloads,
       &o.maxHttpClients, 1},
      {"max-http-clients-per-address", "", "N", "The same for one address [256]", kReloads,
       &o.maxHttpClientsPerAddress, 1},
      {"session-ttl", "", "DAYS",
       "Forget an upload that nobody changed for so long; 0 = never [30]", false,
       &o.sessionTtlDays},
      {"reserve", "", "SIZE",
       "What uploads and merges leave free on a disk [a hundredth of it, 16M to 1G]", false,
       &o.reserve},
      {"log", "l", "FILE", "Write the log to a file [standard error]", false, &o.logFile},
      {"debug", "d", "", "Log more", kReloads, &o.debug},
  };
}

void addServeOptions(CLI::App& app, ServeOptions& options) {
  app.add_option("--config", options.config,
                 "Take options that are not given here from a TOML file: their names without --")
      ->type_name("FILE");
  for (const ServeOption& option : describeServeOptions(options)) {
    addToCommandLine(app, option);
  }
}

ServerOptions serverOptions(const ServeOptions& given) {
  if (given.images.empty()) {
    throw UserError("no folder of images is named; give --images DIR, or a --config file with it",
                    ExitStatus::usage);
  }
  if (given.tlsCertificate.empty() != given.tlsKey.empty()) {
    throw UserError("--tls-cert and --tls-key go together; give both or none", ExitStatus::usage);
  }
  ServerOptions options;
  options.imagesFolder = given.images;
  options.stateFolder = given.state;
  options.blocksAddresses = addressesOf(given.listen, options.blocksAddresses);
  options.httpAddresses = addressesOf(given.http, options.httpAddresses);
  options.otherServers = lookUpOtherServers(given.otherServers);
  options.maxBlockClients = given.maxClients;
  options.checksumBytesPerSecond = given.checksumRate.bytes;
  options.tokenFile = given.tokenFile;
  options.tls = {given.tlsCertificate, given.tlsKey};
  options.accessLog = given.accessLog;
  options.uploads.sessionTtl = std::chrono::hours(24) * given.sessionTtlDays;
  if (given.reserve) {
    options.uploads.reserve = given.reserve->bytes;
  }
  options.httpLimits.clients = given.maxHttpClients;
  options.httpLimits.clientsPerAddress = given.maxHttpClientsPerAddress;
  return options;
}

}  // namespace netcow
