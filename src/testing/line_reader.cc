#include "testing/line_reader.h"

#include <array>

namespace mansio::fake {

Task<Result<std::string>> LineReader::read_raw_line(Stream& stream) {
  for (;;) {
    const auto end = pending_.find('\n', searched_);
    if (end != pending_.npos) {
      std::string line = pending_.substr(0, end + 1);
      pending_.erase(0, end + 1);
      searched_ = 0;
      co_return line;
    }
    searched_ = pending_.size();
    std::array<char, 16384> octets;
    const std::span<char> buffer(octets);
    const auto read = co_await stream.read_some(buffer);
    if (read.has_error()) co_return read.error();
    pending_.append(octets.data(), *read);
  }
}

Task<Result<std::string>> LineReader::read_line(Stream& stream) {
  auto line = co_await read_raw_line(stream);
  if (line.has_error()) co_return line;
  line->pop_back();
  if (line->ends_with('\r')) line->pop_back();
  co_return line;
}

Task<Result<std::string>> LineReader::read_data(Stream& stream) {
  std::string content;
  for (;;) {
    const auto line = co_await read_raw_line(stream);
    if (line.has_error()) co_return line.error();
    if (*line == ".\r\n") co_return content;
    content += line->starts_with('.') ? line->substr(1) : *line;
  }
}

Task<Result<std::string>> LineReader::read_octets(Stream& stream, std::size_t count) {
  while (pending_.size() < count) {
    std::array<char, 16384> octets;
    const std::span<char> buffer(octets);
    const auto read = co_await stream.read_some(buffer);
    if (read.has_error()) co_return read.error();
    pending_.append(octets.data(), *read);
  }
  std::string taken = pending_.substr(0, count);
  pending_.erase(0, count);
  searched_ = 0;
  co_return taken;
}

}  // namespace mansio::fake
