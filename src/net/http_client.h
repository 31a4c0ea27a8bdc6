// A blocking HTTP/1.1 client for command line programs and tests. Not for the daemon's loops.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/time.h"

namespace mansio::net {

struct HttpResult {
  int status = 0;  ///< 0: no answer came; `error` says why
  std::string body;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string error;                           ///< "connect to unix:/run/x.sock: Permission denied"
};

/// One request on a connection of its own. `url`: "http://HOST:PORT" ("http://[::1]:PORT") or
/// "unix:/PATH". `target`: path and query. Never throws for what the world does.
/// Thread safety: any thread; blocks it for at most `timeout`.
HttpResult http_request(std::string_view url, std::string_view method, std::string_view target,
                        std::string_view body = {},
                        const std::map<std::string, std::string>& headers = {},
                        Duration timeout = std::chrono::seconds(60));

/// True if `url` has one of the two forms.
bool valid_http_url(std::string_view url);

}  // namespace mansio::net
