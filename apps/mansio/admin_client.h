// The command's side of the admin API: finds the daemon, asks, and turns refusals into exit codes.
#pragma once

#include <map>
#include <stdexcept>
#include <string>

#include "mansio/format.h"
#include "mansio/options.h"
#include "net/http_client.h"

namespace mansio::cli {

/// Ends the verb: the text goes to standard error, the process exits with `exit`.
class Failure : public std::runtime_error {
 public:
  Failure(Exit exit, const std::string& what) : std::runtime_error(what), exit_(exit) {}

  Exit exit() const { return exit_; }

 private:
  Exit exit_;
};

class AdminClient {
 public:
  /// Decides where the daemon is: the option, else the first that answers of the usual places.
  /// Throws Failure (usage) for an address that is none.
  explicit AdminClient(const GlobalOptions& options);

  /// Throws Failure: 404 no_match, 400 usage, no answer unreachable, everything else refused.
  Json get(const std::string& target) const;
  Json post(const std::string& target, const Json& body) const;
  Json erase(const std::string& target) const;
  /// Not parsed; 200 and 206 pass.
  net::HttpResult raw(const std::string& target) const;

 private:
  net::HttpResult checked(net::HttpResult result) const;
  Json parsed(net::HttpResult result) const;

  std::string url_;
};

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
std::string url_encode(std::string_view text);
/// "?a=1&b=2", or nothing.
std::string query_of(const std::map<std::string, std::string>& values);

}  // namespace mansio::cli
