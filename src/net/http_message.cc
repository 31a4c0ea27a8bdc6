// The parts of net/http_server.h that know no connection.
#include <array>

#include "base/text.h"
#include "net/http_server.h"

namespace mansio::net {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  const auto found = headers.find(std::string(name));
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string HttpRequest::query_or(std::string_view name, std::string_view fallback) const {
  const auto found = query.find(std::string(name));
  return found == query.end() ? std::string(fallback) : found->second;
}

HttpResponse http_error(int status, std::string_view code, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body =
      "{\"error\":{\"code\":" + json_string(code) + ",\"message\":" + json_string(message) + "}}\n";
  return response;
}

std::string json_string(std::string_view text) { return '"' + json_escape(text) + '"'; }

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '%' && i + 2 < text.size();
    const int high = escaped ? hex_value(text[i + 1]) : -1;
    const int low = escaped ? hex_value(text[i + 2]) : -1;
    if (high >= 0 && low >= 0) {
      result += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      result += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return result;
}

}  // namespace mansio::net
