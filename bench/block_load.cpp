// SPDX-License-Identifier: Apache-2.0
// Reads blocks from a server on this machine for a while, over dnbd3 or NBD, with the same client
// for both, and prints as JSON what came of it. See bench/blocks.sh.
#include "support/block_load.h"

#include <CLI/CLI.hpp>
#include <iostream>

int main(int argc, char** argv) {
  netcow::test::LoadOptions options;
  bool nbd = false;
  double seconds = 3;
  CLI::App app("Reads blocks from a server on this machine for a while");
  app.add_option("--port", options.port, "Port on 127.0.0.1")->required();
  app.add_flag("--nbd", nbd, "The server speaks NBD, not dnbd3");
  app.add_option("--image", options.image, "Name of the image (dnbd3)");
  app.add_option("--image-size", options.imageSize, "Its size in bytes")->required();
  app.add_option("--clients", options.clients, "Connections")->capture_default_str();
  app.add_option("--depth", options.depth, "Requests of one on their way")->capture_default_str();
  app.add_option("--size", options.size, "Bytes of a request")->capture_default_str();
  app.add_option("--sequential", options.sequential, "Share of connections that read in order");
  app.add_option("--seconds", seconds, "How long")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.protocol =
      nbd ? netcow::test::LoadOptions::Protocol::nbd : netcow::test::LoadOptions::Protocol::dnbd3;
  std::cout.setstate(std::ios::failbit);  // the seed of the random numbers is not asked for
  netcow::test::BlockLoad load(options);
  const auto result = load.run(std::chrono::duration<double>(seconds));
  std::cout.clear();
  if (!result.wrong.empty() || result.reconnects > 0 || result.leastReplies == 0) {
    std::cerr << "block_load: " << (result.wrong.empty() ? "lost a connection" : result.wrong)
              << "\n";
    return 1;
  }
  std::cout << "{\"replies\": " << result.replies << ", \"bytes\": " << result.bytes
            << ", \"seconds\": " << result.seconds << "}\n";
  return 0;
}
