#include "settings/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "settings/addresses.h"
#include "settings/value.h"

namespace mansio::settings {
namespace {

const char* const not_available = "not available in this version";

std::string show(Duration duration) { return quote_toml(to_text(duration)); }

bool readable(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && std::ifstream(path).good();
}

void check_spool(Spool& spool, const std::string& folder, const Report& report) {
  if (spool.url == "memory:") return;
  if (spool.url.starts_with("postgresql:") || spool.url.starts_with("postgres:")) {
    report("spool.url", fmt::format("found {}, which is {}; expected \"file:PATH\" or \"memory:\"",
                                    quote_toml(spool.url), not_available));
  } else if (!spool.url.starts_with("file:") || spool.url.size() == 5) {
    report("spool.url",
           fmt::format("found {}; expected \"file:PATH\" or \"memory:\"", quote_toml(spool.url)));
  } else {
    spool.url = "file:" + resolve_path(folder, spool.url.substr(5));
  }
}

void check_server_and_limits(const Settings& settings, const Report& report) {
  const Server& server = settings.server;
  if (server.connections_out_reserve >= server.connections_out_max) {
    report("server.connections_out_reserve",
           fmt::format("found {}; expected less than connections_out_max, which is {}",
                       server.connections_out_reserve, server.connections_out_max));
  }
  const Limits& limits = settings.limits;
  if (limits.errors_hard < limits.errors_soft) {
    report("limits.errors_hard", fmt::format("found {}; expected at least errors_soft, which is {}",
                                             limits.errors_hard, limits.errors_soft));
  }
  if (limits.idle_under_stress > limits.idle) {
    report("limits.idle_under_stress",
           fmt::format("found {}; expected at most idle, which is {}",
                       show(limits.idle_under_stress), show(limits.idle)));
  }
  if (limits.content_in_memory > limits.memory) {
    report("limits.content_in_memory", "found more than memory; expected at most that");
  }
}

/// A listener of the admin API: nobody from elsewhere, and nothing that only mail needs.
void check_http_listener(const Listener& listener, const std::string& key, const Report& report) {
  const std::string address = listener.address.to_string();
  if (!listener.address.is_unix() && !valid_admin_address(address)) {
    report(key + ".address",
           fmt::format("found {} with protocol = \"http\"; expected a loopback address or a Unix "
                       "socket: others need TLS and a token, which are {}",
                       quote_toml(address), not_available));
  }
  const auto refuse = [&](const char* name, bool found) {
    if (!found) return;
    report(key + "." + name,
           "found with protocol = \"http\", where it has no effect; expected it to be absent");
  };
  refuse("relay_from", !listener.relay_from.empty());
  refuse("tls", listener.tls != "none");
  refuse("certificate", !listener.certificate.empty());
  refuse("key", !listener.key.empty());
  refuse("bare_newline", listener.bare_newline != "reject");
  refuse("mode", listener.mode != "0600");
}

void check_listener(const Listener& listener, const std::string& key, const Report& report) {
  if (listener.protocol == "http") return check_http_listener(listener, key, report);
  if (!listener.address.is_unix() && listener.mode != "0600") {
    report(key + ".mode", "found with an IP address; expected it with a Unix socket only");
  }
  if (listener.protocol == "lmtp" && !listener.address.is_unix() && listener.address.port == 25) {
    // RFC 2033 §5: who connects there expects SMTP, and one reply to the content.
    report(key + ".address", "found port 25 with protocol = \"lmtp\"; expected another port");
  }
  if (listener.tls == "none") {
    if (!listener.certificate.empty() || !listener.key.empty()) {
      report(key + (listener.certificate.empty() ? ".key" : ".certificate"),
             "found with tls = \"none\"; expected tls = \"starttls\" or \"implicit\" beside it");
    }
    return;
  }
  const auto check_file = [&](const char* name, const std::string& path) {
    const std::string full = key + "." + name;
    if (path.empty()) {
      report(full, fmt::format("found none; tls = {} needs a PEM file", quote_toml(listener.tls)));
    } else if (!readable(path)) {
      report(full, fmt::format("found {}; expected a PEM file that can be read", quote_toml(path)));
    }
  };
  check_file("certificate", listener.certificate);
  check_file("key", listener.key);
}

void check_listeners(const Settings& settings, const Report& report) {
  const auto& listeners = settings.listeners;
  if (listeners.empty()) {
    report("listener", "found none; expected at least one [[listener]] with an address");
  }
  const auto taken = [&](const Endpoint& address, std::size_t before) {
    if (!address.is_unix() && address.port == 0) return false;  // each gets a port of its own
    return std::any_of(listeners.begin(), listeners.begin() + static_cast<std::ptrdiff_t>(before),
                       [&](const Listener& other) { return other.address == address; });
  };
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const std::string key = fmt::format("listener[{}]", i);
    if (taken(listeners[i].address, i)) {
      report(key + ".address", fmt::format("found {}, which another listener has; expected an "
                                           "address of its own",
                                           quote_toml(listeners[i].address.to_string())));
    }
    check_listener(listeners[i], key, report);
  }
  if (settings.admin.listen.empty()) return;
  const auto admin = parse_listen_address(settings.admin.listen);
  if (admin && taken(*admin, listeners.size())) {
    report("admin.listen", fmt::format("found {}, which a listener has; expected an address of its "
                                       "own, or \"\"",
                                       quote_toml(settings.admin.listen)));
  }
}

/// Puts the secret itself in the place of where it comes from, which goes to `from`; reports where
/// there is none. `what`: "the password".
void read_secret(std::string& value, std::string& from, const std::string& key,
                 const std::string& folder, const std::string& what, const Report& report) {
  std::string secret;
  if (value.starts_with("file:")) {
    from = "file:" + resolve_path(folder, value.substr(5));
    std::ifstream file(from.substr(5));
    if (!std::getline(file, secret) || secret.empty()) {
      report(key, fmt::format("found {}; expected a file whose first line is {}", quote_toml(from),
                              what));
    }
    if (secret.ends_with('\r')) secret.pop_back();
  } else if (value.starts_with("env:")) {
    from = value;
    const char* found = std::getenv(value.c_str() + 4);
    if (found == nullptr || *found == '\0') {
      report(key,
             fmt::format("found {}; expected the name of an environment variable that holds {}",
                         quote_toml(value), what));
    } else {
      secret = found;
    }
  } else {
    secret = value;
    if (secret.empty()) report(key, "found none; expected \"file:PATH\" or \"env:NAME\"");
  }
  value = std::move(secret);
}

void check_bounces(Bounces& bounces, const std::string& folder, const Report& report) {
  constexpr std::size_t secret_octets_min = 16;
  bounces.domain = to_lower(bounces.domain);
  for (const auto& [key, on] : {std::pair("bounces.verp", bounces.verp),
                                std::pair("bounces.envelope_id", bounces.envelope_id)}) {
    if (on && bounces.domain.empty()) {
      report(key, "found true without a domain; expected bounces.domain beside it");
    }
  }
  if (bounces.domain.empty() && bounces.secret.empty()) return;
  if (bounces.domain.empty()) {
    report("bounces.secret", "found without a domain; expected bounces.domain beside it");
  }
  const bool named = !bounces.secret.empty();
  read_secret(bounces.secret, bounces.secret_from, "bounces.secret", folder, "the secret", report);
  const bool found = named && !bounces.secret.empty();
  if (found && bounces.secret.size() < secret_octets_min) {
    report("bounces.secret", fmt::format("found {} octets; expected at least {}, such as the "
                                         "output of \"openssl rand -hex 32\"",
                                         bounces.secret.size(), secret_octets_min));
  }
}

void check_next_hops(Route& route, const std::string& type, const Report& report) {
  const std::string key = route_key(route, "next_hop");
  const bool sends = type == "smtp" || type == "lmtp";
  if (type == "lmtp" && route.next_hop.empty()) {
    report(key,
           "found none: MX hosts speak SMTP, not LMTP (RFC 2033); expected the hosts or the Unix "
           "socket to hand the mail to, such as [\"/run/lmtp.sock\"]");
  }
  if (!sends && !route.next_hop.empty()) {
    report(key, fmt::format("found with a channel that {}s its mail; expected none", type));
  }
  for (Endpoint& hop : route.next_hop) {
    if (hop.is_unix() && type == "smtp") {
      report(key, fmt::format("found {}; expected a host and port: only lmtp speaks over a Unix "
                              "socket",
                              quote_toml(hop.address)));
    }
    if (!hop.is_unix() && hop.port == 0) hop.port = route.port;
  }
}

void check_route(Settings& settings, Route& route, const std::string& folder,
                 const Report& report) {
  const std::string type = channel_type(settings, route.channel);
  if (type.empty()) {
    report(route_key(route, "channel"),
           fmt::format("found {}; expected \"smtp\", \"lmtp\", \"hold\", \"discard\" or the name "
                       "of a [channel.NAME]",
                       quote_toml(route.channel)));
    return;
  }
  // The queue holds mail itself, by this name.
  if (type == "hold") route.channel = type;
  check_next_hops(route, type, report);
  if (route.tls_verify && route.tls != "required") {
    report(route_key(route, "tls_verify"),
           fmt::format("found true with tls = {}; expected tls = \"required\" beside it",
                       quote_toml(route.tls)));
  }
  if (!route.auth) return;
  if (route.next_hop.empty()) {
    report(route_key(route, "auth"),
           "found without next_hop, where the password would go to whatever host the DNS names; "
           "expected a next_hop beside it");
  }
  if (route.auth->user.empty()) {
    report(route_key(route, "auth.user"), "found none; expected the user to log in as");
  }
  read_secret(route.auth->password, route.auth->password_from, route_key(route, "auth.password"),
              folder, "the password", report);
  if (route.tls != "required") {
    report(route_key(route, "auth"),
           fmt::format("found with tls = {}, where the password could be sent in the clear; "
                       "expected tls = \"required\" beside it",
                       quote_toml(route.tls)));
  }
}

void check_retry(const Retry& retry, const Report& report) {
  if (retry.intervals.empty()) {
    if (retry.min > retry.max) {
      report("retry.min", fmt::format("found {}; expected at most max, which is {}",
                                      show(retry.min), show(retry.max)));
    }
    if (retry.max >= retry.lifetime) {
      report("retry.max", fmt::format("found {}; expected less than lifetime, which is {}",
                                      show(retry.max), show(retry.lifetime)));
    }
    return;
  }
  for (const Duration interval : retry.intervals) {
    if (interval >= retry.lifetime) {
      report("retry.intervals", fmt::format("found {}; expected less than lifetime, which is {}",
                                            show(interval), show(retry.lifetime)));
    }
  }
}

}  // namespace

std::string resolve_path(const std::string& folder, const std::string& path) {
  if (path.empty() || path.starts_with('/')) return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

std::string route_key(const Route& route, const std::string& key) {
  const std::string of_sender =
      route.sender.empty() ? std::string() : ".sender." + quote_toml(route.sender);
  return "route." + quote_toml(route.pattern) + of_sender + "." + key;
}

void complete_and_check(Settings& settings, const std::string& folder, const Report& report) {
  check_spool(settings.spool, folder, report);
  check_server_and_limits(settings, report);
  check_listeners(settings, report);
  if (settings.routes.empty()) {
    report("route", "found none; expected at least one, such as [route.\"*\"]");
  }
  for (Route& route : settings.routes) check_route(settings, route, folder, report);
  check_retry(settings.retry, report);
  if (settings.notify.double_bounce && settings.notify.postmaster.empty()) {
    report("notify.double_bounce",
           "found true without notify.postmaster; expected an address there");
  }
  check_bounces(settings.bounces, folder, report);
  const std::string& anchor = settings.dns.trust_anchor;
  if (!anchor.empty() && !readable(anchor)) {
    report("dns.trust_anchor",
           fmt::format("found {}; expected a file that can be read", quote_toml(anchor)));
  }
}

}  // namespace mansio::settings
