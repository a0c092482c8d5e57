// SPDX-License-Identifier: Apache-2.0
#include "server/page/start_page.h"

#include <string>
#include <string_view>

namespace netcow {
namespace {

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string cell(std::string_view text) {
  return "<td>" + escaped(text) + "</td>";
}

std::string imageRows(const ImageCatalog& catalog) {
  std::string rows;
  for (const auto& entry : catalog.list()) {
    rows += "<tr>" + cell(entry.image.name) + cell(std::to_string(entry.image.revision)) +
            cell(std::to_string(entry.size)) + "</tr>\n";
  }
  return rows;
}

std::string uploadRows(const UploadService& uploads) {
  std::string rows;
  for (const auto& record : uploads.list()) {
    // The uuid stays out: whoever knows it may write to the upload.
    const std::string result =
        record.state == UploadState::done ? std::to_string(record.newRevision) : "";
    rows += "<tr>" + cell(record.base.name) + cell(std::to_string(record.base.revision)) +
            cell(stateName(record.state)) + cell(result) + cell(record.message) + "</tr>\n";
  }
  return rows;
}

}  // namespace

HttpResponse startPage(const ImageCatalog& catalog, const UploadService& uploads) {
  const std::string text =
      "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>netcow</title>\n"
      "<h1>netcow</h1>\n<p>This server exports disk images over dnbd3 and takes the changes that "
      "clients make to them.</p>\n"
      "<h2>Images</h2>\n<table>\n<tr><th>Name<th>Revision<th>Bytes</tr>\n" +
      imageRows(catalog) +
      "</table>\n<h2>Uploads</h2>\n<table>\n"
      "<tr><th>Image<th>Revision<th>State<th>New revision<th>Message</tr>\n" +
      uploadRows(uploads) + "</table>\n</html>\n";
  return {.body = text, .contentType = "text/html; charset=utf-8"};
}

}  // namespace netcow
