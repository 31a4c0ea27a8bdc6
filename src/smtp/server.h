// One inbound SMTP or LMTP connection (RFC 5321, 2033): from the greeting to the end, reading like
// the protocol. Knows nothing of queue or settings: the Handler decides, this keeps the rules.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "message/envelope.h"
#include "message/reply.h"

namespace mansio::smtp {

/// Limits of one connection; each has its own reply (docs/CONFORMANCE.md). Defaults are the
/// settings'.
struct ServerLimits {
  std::uint32_t command_line = 4096;    ///< octets with CRLF; over it 500 5.5.2
  std::uint32_t data_line = 998;        ///< octets without CRLF
  std::uint64_t message = 50ull << 20;  ///< octets; 0: no limit
  std::uint64_t header = 1ull << 20;    ///< octets of the header section
  std::uint32_t header_lines = 2000;
  std::uint32_t recipients = 1000;  ///< then 452 4.5.3
  std::uint32_t messages = 10000;   ///< then 421
  std::uint32_t hops = 100;         ///< Received fields, then 554 5.4.6
  std::uint32_t errors_soft = 10;   ///< from here on each error reply waits error_delay
  std::uint32_t errors_hard = 20;   ///< then 421
  std::uint32_t junk = 100;         ///< NOOP, RSET, VRFY, EHLO without mail; then 421
  Duration error_delay = std::chrono::seconds(1);
  Duration idle = std::chrono::seconds(300);  ///< waiting for a command
  Duration idle_under_stress = std::chrono::seconds(30);
  Duration command = std::chrono::seconds(60);  ///< one whole command, from its first octet
  Duration message_time = std::chrono::hours(1);
  std::uint32_t data_rate = 500;  ///< octets per second at least, over any 60 s
  Duration handshake = std::chrono::seconds(30);
};

enum class BareNewline : std::uint8_t { reject, normalize };
/// A data line over the limit: `reject` gives 554 5.6.0; with `encode` the receiver
/// re-encodes the message.
enum class LongLine : std::uint8_t { reject, encode };

struct ServerOptions {
  bool lmtp = false;
  std::string hostname;       ///< greeting and EHLO
  TlsContext* tls = nullptr;  ///< offers STARTTLS; null: not offered
  bool tls_implicit = false;  ///< handshake before the greeting
  BareNewline bare_newline = BareNewline::reject;
  LongLine long_line = LongLine::encode;
  ServerLimits limits;
};

/// No reply at all: the outcome of the commit is unknown, the connection is closed.
struct NoReply {};

/// One reply for SMTP; for LMTP one per accepted recipient, in order.
using ContentVerdict = std::variant<std::vector<Reply>, NoReply>;

/// Takes the decoded content of one message. Destroyed without finish(): the message is dropped.
class ContentReceiver {
 public:
  virtual ~ContentReceiver() = default;
  /// The next octets: dot-stuffing undone, CRLF line ends. An error reply means: read to the end of
  /// the data, then answer with it.
  virtual Task<std::optional<Reply>> write(std::string_view octets) = 0;
  /// End of data. Completes when the message is durable or refused.
  virtual Task<ContentVerdict> finish() = 0;
};

/// How a connection went, for logs and counters.
struct ServerReport {
  std::string cause;  ///< "quit", "closed by peer", "idle", "pipelining", ...
  std::string client_name;
  std::string tls;           ///< version and cipher, empty without TLS
  std::string last_error;    ///< last reply of 4yz or 5yz, empty if none
  std::uint64_t octets = 0;  ///< of content, before any refusal
  std::uint32_t commands = 0;
  std::uint32_t messages = 0;          ///< accepted (by at least one recipient of LMTP)
  std::uint32_t refused_messages = 0;  ///< refused after the final dot
  std::uint32_t refused_recipients = 0;
  std::uint32_t errors = 0;  ///< replies of 5yz
};

/// Decides. Runs on: the connection's loop.
class ServerHandler {
 public:
  virtual ~ServerHandler() = default;
  /// Before the greeting. A reply that is not positive is sent instead, and ends the connection.
  virtual Reply connect(const Endpoint& peer) = 0;
  /// Syntax and limits were checked; a positive reply accepts. `size`: SIZE=, 0 if absent.
  virtual Reply mail(const Envelope& envelope, std::uint64_t size) = 0;
  virtual Reply rcpt(const Envelope& envelope, const Recipient& recipient) = 0;
  /// Before 354. Null and a reply: refused. The envelope is complete, origin included.
  virtual std::unique_ptr<ContentReceiver> data(Envelope envelope, Reply& refusal) = 0;
  /// True when the listener is nearly full: the shorter idle time holds.
  virtual bool under_stress() const = 0;
  /// True once the server wants to end: the next command is answered 421.
  virtual bool stopping() const = 0;

  /// Given once, before the greeting: call it on the connection's loop when stopping() turns true,
  /// and a connection that waits for a command ends with 421 at once. Empty function: forget it.
  virtual void when_stopping(std::function<void()> /*wake*/) {}

  /// The last call.
  virtual void ended(const ServerReport& /*report*/) {}
};

/// Serves the connection to its end; never throws for what the peer does.
Task<void> serve(std::unique_ptr<Stream> stream, ServerOptions options,
                 std::shared_ptr<ServerHandler> handler, Clock& clock);

}  // namespace mansio::smtp
