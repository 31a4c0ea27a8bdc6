#include "mansio/admin_client.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/text.h"

namespace mansio::cli {
namespace {

constexpr const char* usual_socket = "/run/mansio/admin.sock";
constexpr const char* usual_url = "http://127.0.0.1:8025";
// Bulk verbs over a large queue take their time.
constexpr Duration timeout = std::chrono::minutes(10);

std::string find_url(const GlobalOptions& options) {
  if (!options.admin.empty()) {
    const std::string url =
        options.admin.starts_with('/') ? "unix:" + options.admin : options.admin;
    if (net::valid_http_url(url)) return url;
    throw Failure(usage, "--admin: expected http://HOST:PORT or the path of a socket, found " +
                             printable(options.admin));
  }
  std::error_code ignored;
  if (std::filesystem::exists(usual_socket, ignored)) {
    const std::string url = std::string("unix:") + usual_socket;
    if (net::http_request(url, "GET", "/healthz").status != 0) return url;
  }
  return usual_url;
}

/// What the daemon said, from {error:{code,message,field}} or the bare body.
std::string refusal_text(const net::HttpResult& result) {
  const Json json = Json::parse(result.body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    const std::string message = json["error"].value("message", "");
    const std::string field = json["error"].value("field", "");
    const std::string whole = field.empty() ? message : field + ": " + message;
    std::string text;
    for (const std::string_view line : split(whole, '\n'))
      text += (text.empty() ? "" : "\n  ") + printable(line);
    return text;
  }
  return fmt::format("HTTP {}: {}", result.status, printable(result.body.substr(0, 200)));
}

}  // namespace

AdminClient::AdminClient(const GlobalOptions& options) : url_(find_url(options)) {}

net::HttpResult AdminClient::checked(net::HttpResult result) const {
  if (result.status >= 200 && result.status < 300) return result;
  if (result.status == 0)
    throw Failure(unreachable, "no daemon answers at " + url_ + ": " + result.error);
  const Exit exit = result.status == 404 ? no_match : result.status == 400 ? usage : refused;
  throw Failure(exit, refusal_text(result));
}

Json AdminClient::parsed(net::HttpResult result) const {
  Json json = Json::parse(checked(std::move(result)).body, nullptr, false);
  if (json.is_discarded()) throw Failure(refused, "the answer from " + url_ + " is not JSON");
  return json;
}

Json AdminClient::get(const std::string& target) const {
  return parsed(net::http_request(url_, "GET", target, {}, {}, timeout));
}

Json AdminClient::post(const std::string& target, const Json& body) const {
  std::map<std::string, std::string> headers;
  headers["Content-Type"] = "application/json";
  const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return parsed(net::http_request(url_, "POST", target, text, headers, timeout));
}

Json AdminClient::erase(const std::string& target) const {
  return parsed(net::http_request(url_, "DELETE", target, {}, {}, timeout));
}

net::HttpResult AdminClient::raw(const std::string& target) const {
  return checked(net::http_request(url_, "GET", target, {}, {}, timeout));
}

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string query_of(const std::map<std::string, std::string>& values) {
  std::string query;
  for (const auto& [name, value] : values) {
    query += (query.empty() ? "?" : "&") + name + "=" + url_encode(value);
  }
  return query;
}

}  // namespace mansio::cli
