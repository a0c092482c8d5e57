// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <utility>
#include <variant>

#include "base/logging.h"
#include "server/access/upload_access.h"
#include "server/blocks/block_server.h"
#include "server/catalog/folder_watch.h"
#include "server/catalog/image_catalog.h"
#include "server/health.h"
#include "server/http/access_log.h"
#include "server/http/cross_site.h"
#include "server/http/http_server.h"
#include "server/http/request_path.h"
#include "server/metrics/metrics.h"
#include "server/page/overview_source.h"
#include "server/page/page.h"
#include "server/state_folder.h"
#include "server/uploads/refusal.h"
#include "server/uploads/upload_api.h"
#include "server/uploads/upload_service.h"

namespace netcow {
namespace {

std::string stateFolderOf(const ServerOptions& options, const ImageCatalog& catalog) {
  // A name that begins with '.' is never an image, so the default may lie among them.
  return options.stateFolder.empty() ? (catalog.folder() / ".netcow").string()
                                     : options.stateFolder;
}

std::string textOf(const std::vector<ListenAddress>& addresses) {
  std::string text;
  for (const ListenAddress& address : addresses) {
    text += (text.empty() ? "" : ", ") + address.text();
  }
  return text;
}

std::shared_ptr<const AccessTokens> tokensOf(const ServerOptions& options) {
  return options.tokenFile.empty()
             ? nullptr
             : std::make_shared<const AccessTokens>(AccessTokens::fromFile(options.tokenFile));
}

std::optional<UploadIdentity> identityOf(const UploadService& uploads, const std::string& uuid) {
  try {
    const UploadRecord record = uploads.status(uuid);
    return UploadIdentity{record.base.name, record.owner};
  } catch (const Refusal&) {  // there is none
    return std::nullopt;
  }
}

}  // namespace

// In the order in which they need each other; destroyed from the end, so that no request runs when
// what it uses goes.
struct Server::Parts {
  explicit Parts(const ServerOptions& options)
      : scheme(options.tls.certificate.empty() ? "http://" : "https://"),
        catalog(options.imagesFolder),
        state(stateFolderOf(options, catalog)),
        checksums(catalog, state.path() + "/checksums"),
        checksumMaker(catalog, checksums,
                      ChecksumMakerOptions{.bytesPerSecond = options.checksumBytesPerSecond}),
        watch(catalog.folder(), [this] { checksumMaker.look(); }),
        uploads(state.path(), catalog, options.uploads),
        api(uploads),
        access(tokensOf(options),
               [this](const std::string& uuid) { return identityOf(uploads, uuid); }),
        accessLog(options.accessLog),
        overviewSource(
            catalog, watch, uploads, [this] { return blocks->figures(); }, uploadKeys),
        overviews([this] { return overviewSource.make(); }),
        page(overviews, uploadKeys,
             [this](const std::string& path, HttpRequest&& request, HttpReply reply) {
               callUploadApi(path, std::move(request), std::move(reply));
             }) {
    blocks =
        std::make_unique<BlockServer>(catalog, checksums,
                                      BlockServerOptions{.addresses = options.blocksAddresses,
                                                         .longestSilence = options.longestSilence,
                                                         .otherServers = options.otherServers,
                                                         .maxClients = options.maxBlockClients});
    http = std::make_unique<HttpServer>(
        HttpServerOptions{
            .addresses = options.httpAddresses,
            .limits = options.httpLimits,
            .tls = options.tls,
            .onAnswered = [this](const HttpExchange& exchange) { accessLog.write(exchange); }},
        [this](HttpRequest&& request, HttpReply reply) {
          std::string caller = access.callerOf(request);
          answer(std::move(request),
                 HttpReply([caller = std::move(caller),
                            reply = std::move(reply)](HttpResponse response) mutable {
                   response.caller = std::move(caller);
                   reply(std::move(response));
                 }));
        });
  }

  void answer(HttpRequest&& request, HttpReply reply) {
    const auto path = canonicalPath(request.target);
    if (!path) {
      reply({.status = 400, .body = "the path holds a bad escape"});
    } else {
      answer(*path, std::move(request), counted(*path, std::move(reply)));
    }
  }

  /// The same reply, which is counted when it is given.
  HttpReply counted(const std::string& path, HttpReply reply) {
    return HttpReply([this, path, begin = std::chrono::steady_clock::now(),
                      reply = std::move(reply)](HttpResponse response) mutable {
      httpStatistics.answered(path, response.status, std::chrono::steady_clock::now() - begin);
      reply(std::move(response));
    });
  }

  void answer(const std::string& path, HttpRequest&& request, HttpReply reply) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (!reads && isFromAnotherSite(request)) {
      reply({.status = 403, .body = "a page of another site must not change anything here"});
    } else if (!reads && (path == "/metrics" || path == "/healthz")) {
      reply({.status = 405, .body = "this takes GET", .allow = "GET, HEAD"});
    } else if (path == "/metrics") {
      reply(figuresFor(request));
    } else if (path == "/healthz") {
      tellHealth(std::move(reply));
    } else if (!Page::takes(path)) {
      callUploadApi(path, std::move(request), std::move(reply));
    } else if (auto refusal = path.starts_with("/api/") ? refusalOf(request) : std::nullopt) {
      reply(std::move(*refusal));
    } else {
      page.handle(path, std::move(request), std::move(reply));
    }
  }

  /// Strangers may watch how the server does, but the names of its images are for those with a
  /// token, as they are on the page.
  HttpResponse figuresFor(const HttpRequest& request) const {
    BlockFigures exported = blocks->figures();
    if (auto refusal = refusalOf(request)) {
      if (request.field("authorization") != nullptr) {
        return *refusal;  // who means to send a token wants to know that it is wrong
      }
      exported.images.clear();
    }
    return tellMetrics(exported, uploads.figures(), httpStatistics);
  }

  /// What somebody hears who may not.
  std::optional<HttpResponse> refusalOf(const HttpRequest& request) const {
    auto verdict = access.check(request);
    auto* refusal = std::get_if<HttpResponse>(&verdict);
    return refusal != nullptr ? std::optional(std::move(*refusal)) : std::nullopt;
  }

  /// The one way to the API, so that nobody gets there who may not.
  void callUploadApi(const std::string& path, HttpRequest&& request, HttpReply reply) {
    auto verdict = access.check(request);
    if (auto* refusal = std::get_if<HttpResponse>(&verdict)) {
      reply(std::move(*refusal));
    } else {
      api.handle(path, std::move(request), std::get<std::string>(std::move(verdict)),
                 std::move(reply));
    }
  }

  void tellHealth(HttpReply reply) {
    uploads.workers().post([this, reply = std::move(reply)]() mutable {
      reply(checkHealth({.imagesFolder = catalog.folder(),
                         .stateFolder = state.path(),
                         .askRegistry = [this] { uploads.askRegistry(); }}));
    });
  }

  const std::string scheme;
  ImageCatalog catalog;
  StateFolder state;
  ChecksumLists checksums;
  ChecksumMaker checksumMaker;
  FolderWatch watch;
  UploadService uploads;
  UploadApi api;
  HttpStatistics httpStatistics;
  UploadAccess access;
  AccessLog accessLog;
  UploadKeys uploadKeys;
  OverviewSource overviewSource;
  OverviewKeeper overviews;
  Page page;
  std::unique_ptr<BlockServer> blocks;
  std::unique_ptr<HttpServer> http;
};

Server::Server(const ServerOptions& options) : parts_(std::make_unique<Parts>(options)) {
  if (::access(parts_->catalog.folder().c_str(), W_OK) != 0) {
    spdlog::warn("the folder of images {} cannot be written: merges will fail",
                 parts_->catalog.folder().string());
  }
  if (options.tokenFile.empty()) {
    for (const ListenAddress& address : options.httpAddresses) {
      if (!isLoopback(address)) {
        spdlog::warn("everybody who reaches {} may change images; see --token-file",
                     address.text());
      }
    }
  }
  parts_->blocks->start();
  if (options.checksumBytesPerSecond > 0) {
    parts_->checksumMaker.start();
  }
  parts_->http->start();
}

Server::~Server() = default;

void Server::reload(const ServerOptions& options) {
  auto tokens = tokensOf(options);
  loadTls(options.tls);  // before anything changes
  parts_->accessLog.reopen(options.accessLog);
  parts_->http->replaceTls(options.tls);
  parts_->http->replaceLimits(options.httpLimits);
  parts_->access.replaceTokens(std::move(tokens));
}

void Server::stop() {
  parts_->http.reset();
  parts_->blocks.reset();
  parts_->uploads.stop();
}

std::uint16_t Server::blocksPort() const {
  return parts_->blocks->addresses().front().port;
}

std::uint16_t Server::httpPort() const {
  return parts_->http->addresses().front().port;
}

BlockFigures Server::blockFigures() const {
  return parts_->blocks->figures();
}

std::vector<std::string> Server::describe() const {
  std::vector<std::string> lines = {
      "exports " + parts_->catalog.folder().string() + " (" +
          std::to_string(parts_->catalog.list().size()) + " images) over dnbd3 on " +
          textOf(parts_->blocks->addresses()),
  };
  for (const ListenAddress& address : parts_->http->addresses()) {
    lines.push_back("takes uploads on " + parts_->scheme + address.text() + "/ and keeps them in " +
                    parts_->state.path());
  }
  return lines;
}

}  // namespace netcow
