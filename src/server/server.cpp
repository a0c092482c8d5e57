// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include <unistd.h>

#include <chrono>
#include <memory>

#include "base/logging.h"
#include "server/blocks/block_server.h"
#include "server/catalog/image_catalog.h"
#include "server/http/cross_site.h"
#include "server/http/http_server.h"
#include "server/http/request_path.h"
#include "server/metrics/metrics.h"
#include "server/page/overview_source.h"
#include "server/page/page.h"
#include "server/state_folder.h"
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

}  // namespace

// In the order in which they need each other; destroyed from the end, so that no request runs when
// what it uses goes.
struct Server::Parts {
  explicit Parts(const ServerOptions& options)
      : catalog(options.imagesFolder),
        state(stateFolderOf(options, catalog)),
        checksums(catalog, state.path() + "/checksums"),
        checksumMaker(catalog, checksums,
                      ChecksumMakerOptions{.bytesPerSecond = options.checksumBytesPerSecond}),
        uploads(state.path(), catalog, options.uploads),
        api(uploads),
        overviewSource(
            catalog, uploads, [this] { return blocks->figures(); }, uploadKeys),
        overviews([this] { return overviewSource.make(); }),
        page(overviews, uploadKeys,
             [this](const std::string& path, HttpRequest&& request, HttpReply reply) {
               api.handle(path, std::move(request), {}, std::move(reply));
             }) {
    blocks =
        std::make_unique<BlockServer>(catalog, checksums,
                                      BlockServerOptions{.addresses = options.blocksAddresses,
                                                         .longestSilence = options.longestSilence,
                                                         .otherServers = options.otherServers,
                                                         .maxClients = options.maxBlockClients});
    http = std::make_unique<HttpServer>(HttpServerOptions{.address = options.httpAddress},
                                        [this](HttpRequest&& request, HttpReply reply) {
                                          answer(std::move(request), std::move(reply));
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
    } else if (path == "/metrics") {
      reply(reads ? tellMetrics(blocks->figures(), uploads.figures(), httpStatistics)
                  : HttpResponse{.status = 405, .body = "this takes GET", .allow = "GET, HEAD"});
    } else if (Page::takes(path)) {
      page.handle(path, std::move(request), std::move(reply));
    } else {
      api.handle(path, std::move(request), {}, std::move(reply));
    }
  }

  ImageCatalog catalog;
  StateFolder state;
  ChecksumLists checksums;
  ChecksumMaker checksumMaker;
  UploadService uploads;
  UploadApi api;
  HttpStatistics httpStatistics;
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
  parts_->blocks->start();
  if (options.checksumBytesPerSecond > 0) {
    parts_->checksumMaker.start();
  }
  parts_->http->start();
}

Server::~Server() = default;

void Server::stop() {
  parts_->http.reset();
  parts_->blocks.reset();
  parts_->uploads.stop();
}

std::uint16_t Server::blocksPort() const {
  return parts_->blocks->addresses().front().port;
}

std::uint16_t Server::httpPort() const {
  return parts_->http->address().port;
}

BlockFigures Server::blockFigures() const {
  return parts_->blocks->figures();
}

std::vector<std::string> Server::describe() const {
  return {
      "exports " + parts_->catalog.folder().string() + " (" +
          std::to_string(parts_->catalog.list().size()) + " images) over dnbd3 on " +
          textOf(parts_->blocks->addresses()),
      "takes uploads on http://" + parts_->http->address().text() + "/ and keeps them in " +
          parts_->state.path(),
  };
}

}  // namespace netcow
