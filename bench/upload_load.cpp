// SPDX-License-Identifier: Apache-2.0
// Sends updates to an upload service as fast as it takes them, and says how fast that was.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::uint64_t kBlocksPerCluster = 320;
constexpr std::size_t kBitfield = 40;
constexpr std::size_t kBlock = 4096;

struct Options {
  std::uint16_t port = 5000;
  std::string image;
  unsigned connections = 1;
  unsigned uploads = 1;
  std::uint64_t updates = 1000;
  std::uint64_t blocks = 1;
  std::uint64_t clusters = 800;
};

/// One HTTP connection, one request at a time.
class Connection {
 public:
  explicit Connection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }

  /// The body of a 200.
  std::string post(const std::string& target, const std::string& body) {
    // At once: else the body waits for the acknowledgement of the header.
    send("POST " + target + " HTTP/1.1\r\nHost: bench\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
    std::string answer;
    std::size_t end = std::string::npos;
    while (end == std::string::npos) {
      receive(answer);
      end = answer.find("\r\n\r\n");
    }
    if (answer.substr(9, 3) != "200") {
      throw std::runtime_error("the server answered " + answer);
    }
    const std::string field = "Content-Length: ";
    const std::size_t length = std::stoul(answer.substr(answer.find(field) + field.size()));
    while (answer.size() < end + 4 + length) {
      receive(answer);
    }
    return answer.substr(end + 4);
  }

 private:
  void send(const std::string& text) {
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t now = ::send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) {
        throw std::runtime_error("cannot send");
      }
      sent += static_cast<std::size_t>(now);
    }
  }
  void receive(std::string& text) {
    char part[4096];
    const ssize_t got = ::recv(fd_.get(), part, sizeof part, 0);
    if (got <= 0) {
      throw std::runtime_error("the server closed the connection");
    }
    text.append(part, static_cast<std::size_t>(got));
  }

  netcow::UniqueFd fd_;
};

std::string updateBody(std::uint64_t blocks, unsigned seed) {
  std::string body(kBitfield, '\0');
  for (std::uint64_t block = 0; block < blocks; ++block) {
    body[block / 8] =
        static_cast<char>(static_cast<unsigned char>(body[block / 8]) | (1U << (block % 8)));
  }
  std::independent_bits_engine<std::mt19937, 8, unsigned> random(seed);
  for (std::uint64_t left = blocks * kBlock; left > 0; --left) {
    body += static_cast<char>(random());
  }
  return body;
}

struct Work {
  const Options& options;
  std::vector<std::string> uuids;
  std::atomic<std::uint64_t> next = 0;
};

/// Seconds that each update took.
std::vector<double> sendUpdates(Work& work, unsigned number) {
  const std::string body = updateBody(work.options.blocks, number);
  const std::string& uuid = work.uuids[number % work.uuids.size()];
  Connection connection(work.options.port);
  std::vector<double> seconds;
  for (std::uint64_t update = work.next++; update < work.options.updates; update = work.next++) {
    const auto begin = SteadyClock::now();
    connection.post("/v1/file/update?uuid=" + uuid +
                        "&clusterindex=" + std::to_string(update % work.options.clusters),
                    body);
    seconds.push_back(std::chrono::duration<double>(SteadyClock::now() - begin).count());
  }
  return seconds;
}

void run(const Options& options) {
  Work work{options, {}};
  for (unsigned i = 0; i < options.uploads; ++i) {
    work.uuids.push_back(
        Connection(options.port)
            .post("/v1/file/create", "revision=1&bitfieldSize=40&imageName=" + options.image));
  }
  std::vector<std::vector<double>> results(options.connections);
  const auto begin = SteadyClock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options.connections; ++i) {
      threads.emplace_back([&work, &results, i] { results[i] = sendUpdates(work, i); });
    }
  }
  const double elapsed = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  std::vector<double> all;
  for (const auto& result : results) {
    all.insert(all.end(), result.begin(), result.end());
  }
  std::ranges::sort(all);
  const auto count = static_cast<double>(all.size());
  const double bytes = count * static_cast<double>(kBitfield + options.blocks * kBlock);
  std::printf("%.0f updates/s, %.1f MB/s, median %.2f ms, 99 %% below %.2f ms\n", count / elapsed,
              bytes / elapsed / 1e6, all[all.size() / 2] * 1e3, all[all.size() * 99 / 100] * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Sends updates to an upload service as fast as it takes them");
  Options options;
  app.add_option("--port", options.port, "Of the server's HTTP on this machine")->required();
  app.add_option("--image", options.image, "Whose revision 1 is the base")->required();
  app.add_option("--connections", options.connections, "That send at the same time [1]");
  app.add_option("--uploads", options.uploads, "That they are spread over [1]");
  app.add_option("--updates", options.updates, "To send, all together [1000]");
  app.add_option("--blocks", options.blocks, "In each update [1]")
      ->check(CLI::Range(std::uint64_t{0}, kBlocksPerCluster));
  app.add_option("--clusters", options.clusters, "Of the image that they go to, in turn [800]");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "upload_load: %s\n", error.what());
    return 1;
  }
  return 0;
}
