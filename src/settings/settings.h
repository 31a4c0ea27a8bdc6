// What the configuration file says, checked and typed. Filled by load() from the one declaration of
// every option (declaration.cc), from which the manual and `mansio config` come too.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/octets.h"
#include "base/stream.h"
#include "base/time.h"
#include "message/message.h"

namespace mansio::settings {

struct Server {
  std::string hostname;
  Duration drain = std::chrono::seconds(30);
  std::uint32_t connections_out_max = 20000;
  std::uint32_t connections_out_reserve = 200;
  std::uint32_t loops = 0;  ///< event loops; 0: one per core
};

struct Spool {
  std::string url;                     ///< memory: | file:PATH
  std::uint64_t reserve = 1ull << 30;  ///< free octets below which nothing is accepted
  double reserve_share = 0.05;         ///< and this share of the file system
  bool existing = false;               ///< must hold a spool already: an empty folder is an error
};

struct Listener {
  std::string protocol = "smtp";  ///< smtp | lmtp | http
  Endpoint address;
  std::vector<std::string> relay_from;  ///< networks
  std::string tls = "none";             ///< none | starttls | implicit
  std::string certificate, key;         ///< PEM files
  std::string bare_newline = "reject";  ///< reject | normalize
  std::string mode = "0600";            ///< of a Unix socket's file, octal
};

struct Limits {
  std::uint32_t connections = 10000;
  std::uint32_t connections_per_client = 200;
  bool connections_per_client_set = false;  ///< then it holds for relay_from too
  std::uint64_t message = 50ull << 20;
  std::uint32_t recipients = 1000;
  std::uint32_t line = 998;
  std::string line_over = "encode";  ///< encode | reject
  std::uint32_t command_line = 4096;
  std::uint64_t header = 1ull << 20;
  std::uint32_t header_lines = 2000;
  std::uint32_t messages_per_connection = 10000;
  std::uint32_t hops = 100;
  std::uint32_t errors_soft = 10, errors_hard = 20, junk_commands = 100;
  Duration idle = std::chrono::seconds(300);
  Duration idle_under_stress = std::chrono::seconds(30);
  Duration command = std::chrono::seconds(60);
  Duration message_time = std::chrono::hours(1);
  std::uint32_t data_rate = 500;
  Duration tls_handshake = std::chrono::seconds(30);
  std::uint64_t memory = 256ull << 20;  ///< content held in memory by the queue and the listeners
  std::uint64_t content_in_memory = 256ull << 10;  ///< larger content is streamed to the spool
};

struct Auth {
  std::string user;
  std::string password;       ///< the secret itself, read by load(); never shown
  std::string password_from;  ///< "file:PATH" or "env:NAME" where it came from, else ""
};

struct Route {
  std::string pattern;
  std::string sender;  ///< holds only for this pattern of reverse-paths; empty: for all
  std::string channel = "smtp";
  std::vector<Endpoint> next_hop;  ///< address may be a host name
  std::uint16_t port = 25;
  std::string tls = "opportunistic";  ///< none | opportunistic | required
  bool tls_verify = false;
  std::optional<Auth> auth;
};

struct Retry {
  Duration min = std::chrono::minutes(15);
  double factor = 2.0;
  Duration max = std::chrono::hours(4);
  double jitter = 0.1;
  Duration lifetime = std::chrono::hours(120);
  std::uint32_t tries_max = 0;
  std::vector<Duration> intervals;
  std::string in_doubt = "resend";  ///< resend | hold
};

struct Notify {
  std::vector<Duration> delay = {std::chrono::hours(4)};  ///< ages at which a sender is told
  bool delay_bulk = false;  ///< also about mail with List-* fields or Precedence: bulk
  Duration lifetime = std::chrono::hours(24);
  std::string return_content = "headers";  ///< headers | full | none
  std::uint64_t return_max = 50ull << 10;
  std::uint32_t connections = 4;  ///< sessions with notices to a destination at a time
  std::string postmaster;         ///< gets a copy of each failure notice; empty: nobody
  bool double_bounce = false;     ///< a notice that fails goes to the postmaster
};

/// DNS lookups, for MX hosts and for the names of next hops.
struct Dns {
  std::vector<std::string> servers;  ///< "127.0.0.1@5353"; empty: the system's
  std::string trust_anchor;          ///< file; empty: none
  bool allow_private = false;        ///< MX hosts on private and loopback addresses
  std::string prefer = "ipv6";       ///< ipv6 | ipv4 | ipv4-only | ipv6-only
  Duration timeout = std::chrono::seconds(20);
};

/// Notices of other servers that come back to us are read instead of relayed.
struct Bounces {
  std::string domain;        ///< mail to any address in it is read as a notice; empty: off
  bool verp = false;         ///< the reverse-path of each recipient is an address in `domain`
  bool envelope_id = false;  ///< an ENVID of ours where the sender gave none
  std::string secret;        ///< the secret itself, read by load(); never shown
  std::string secret_from;   ///< "file:PATH" or "env:NAME" where it came from, else ""
};

/// Where `sendmail` leaves mail while the daemon is down.
struct Maildrop {
  std::string path;  ///< folder; empty: none
};

struct Timeouts {  ///< [timeouts]: client side, RFC 5321 §4.5.3.2
  Duration connect = std::chrono::seconds(30);
  Duration greeting = std::chrono::minutes(5);
  Duration ehlo = std::chrono::minutes(5);
  Duration mail = std::chrono::minutes(5);
  Duration rcpt = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(2);
  Duration block = std::chrono::minutes(3);
  Duration final_dot = std::chrono::minutes(10);
  Duration quit = std::chrono::seconds(5);
  Duration idle = std::chrono::seconds(5);  ///< a connection waits so long for more work
};

inline constexpr std::uint32_t destination_connections = 32;
inline constexpr std::uint32_t destination_messages = 0;  ///< no limit
inline constexpr std::uint32_t destination_recipients = 100;

struct Destination {
  std::string pattern;
  std::optional<std::uint32_t> connections;              ///< unset: destination_connections
  std::optional<std::uint32_t> messages_per_connection;  ///< 0: no limit
  std::optional<std::uint32_t> recipients_per_transaction;
};

/// A channel of its own beside smtp and lmtp.
struct Channel {
  std::string name;
  std::string type;  ///< smtp | lmtp | hold | discard
};

struct Admin {
  std::string listen = "127.0.0.1:8025";  ///< "" to switch off
  std::string socket;
  std::string tokens_file;
};

struct Log {
  std::string level = "info";  ///< debug | info | warning | error
};

struct Settings {
  Server server;
  Spool spool;
  std::vector<Listener> listeners;
  Limits limits;
  std::vector<Route> routes;
  Retry retry;
  Notify notify;
  Dns dns;
  Bounces bounces;
  Maildrop maildrop;
  Timeouts timeouts;
  Duration history_keep = std::chrono::hours(24 * 7);
  std::vector<Destination> destinations;
  std::vector<Channel> channels;
  Admin admin;
  Log log;
};

/// The route that holds for all senders. Most specific pattern wins: exact, then the longest
/// "*.suffix" (or "*suffix"), then "*". Null: none.
const Route* route_for(const Settings& settings, std::string_view destination);
/// The binding of a new lane: "default", or "sender:PATTERN" where the most specific route for the
/// destination has a table for that sender (the most specific one). Fixed at acceptance: see LaneKey.
std::string binding_for(const Settings& settings, std::string_view destination,
                        const Address& reverse_path);
/// The route of a lane: that of its sender pattern, or if there is no such table any more, the one
/// for all senders. Our own notices take a table for the null path "<>".
const Route* route_for(const Settings& settings, const LaneKey& lane);
/// What a channel does: smtp | lmtp | hold | discard, by its name; these four names are channels by
/// themselves. "": there is no such channel.
std::string channel_type(const Settings& settings, std::string_view name);
/// The effective values for a destination, defaults filled in.
Destination destination_settings(const Settings& settings, std::string_view destination);

}  // namespace mansio::settings
