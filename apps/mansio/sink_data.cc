#include "mansio/sink_data.h"

#include <cstring>

#include "base/checksum.h"
#include "base/text.h"
#include "mansio/load_record.h"

namespace mansio::sink {

namespace {

// More header than that is not searched for a token.
constexpr std::size_t header_octets_max = 65536;

}  // namespace

void DataReader::feed(std::string_view& input) {
  while (!input.empty() && !finished_) {
    if (line_start_ && input.front() == '.') {
      if (input.size() < 3 && input != std::string_view(".\r\n").substr(0, input.size())) {
        input.remove_prefix(1);  // doubled
        line_start_ = false;
        continue;
      }
      if (input.size() < 3) return;
      input.remove_prefix(1);
      line_start_ = false;
      if (input.starts_with("\r\n")) {
        input.remove_prefix(2);
        if (in_header_) end_header(header_.size());
        finished_ = true;
      }
      continue;
    }
    const void* found = memmem(input.data(), input.size(), "\r\n.", 3);
    if (found != nullptr) {
      const auto length =
          static_cast<std::size_t>(static_cast<const char*>(found) - input.data()) + 2;
      add(input.substr(0, length));
      input.remove_prefix(length);
      line_start_ = true;
      continue;
    }
    // A CR or CRLF at the end waits for what comes next.
    std::size_t keep = 0;
    if (input.ends_with("\r\n")) keep = 2;
    if (input.ends_with('\r')) keep = 1;
    if (input.size() == keep) return;
    add(input.substr(0, input.size() - keep));
    input.remove_prefix(input.size() - keep);
    line_start_ = false;
    return;
  }
}

void DataReader::add(std::string_view octets) {
  received_.size += octets.size();
  if (!in_header_) {
    received_.checksum = crc32c(octets, received_.checksum);
    return;
  }
  header_ += octets;
  look_for_token();
}

void DataReader::look_for_token() {
  std::size_t line = 0;
  while (true) {
    const std::size_t end = header_.find("\r\n", line);
    if (end == std::string::npos) break;
    const std::string_view text = std::string_view(header_).substr(line, end - line);
    if (text.starts_with(load::token_field)) {
      received_.token = text.substr(load::token_field.size());
      received_.checksum = crc32c(std::string_view(header_).substr(line));
      in_header_ = false;
      header_.clear();
      return;
    }
    if (text.empty()) return end_header(end + 2);
    line = end + 2;
  }
  if (header_.size() > header_octets_max) end_header(header_.size());
}

void DataReader::end_header(std::size_t header_size) {
  const std::string_view header = std::string_view(header_).substr(0, header_size);
  constexpr std::string_view name = "Subject:";
  std::size_t line = 0;
  while (line < header.size()) {
    const std::size_t end = std::min(header.find("\r\n", line), header.size());
    const std::string_view text = header.substr(line, end - line);
    if (text.size() > name.size() && equals_ignoring_case(text.substr(0, name.size()), name)) {
      received_.subject = trim(text.substr(name.size()));
      break;
    }
    line = end + 2;
  }
  received_.checksum = crc32c(header_);
  in_header_ = false;
  header_.clear();
}

}  // namespace mansio::sink
