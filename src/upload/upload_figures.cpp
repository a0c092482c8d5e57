// SPDX-License-Identifier: Apache-2.0
#include "upload/upload_figures.h"

#include <fmt/format.h>

#include "base/progress_meter.h"
#include "format/geometry.h"

namespace netcow {
namespace {

std::string counted(std::uint64_t count, const char* what, std::uint64_t bytes) {
  return fmt::format("{} {}{} ({})", count, what, count == 1 ? "" : "s",
                     sizeText(static_cast<double>(bytes)));
}

}  // namespace

std::string summaryOf(const UploadFigures& figures) {
  std::string text = "sent " + counted(figures.clustersSent, "cluster", figures.bytesSent);
  if (figures.clustersUnchanged > 0) {
    text += "; not sent: " + counted(figures.clustersUnchanged, "cluster", figures.bytesUnchanged) +
            " that the server has already";
  }
  if (figures.blocksOfBase > 0) {
    text +=
        "; left out: " + counted(figures.blocksOfBase, "block", figures.blocksOfBase * kBlockSize) +
        " that the base has too";
  }
  return text;
}

}  // namespace netcow
