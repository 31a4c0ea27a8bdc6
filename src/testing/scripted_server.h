// An SMTP or LMTP server for tests of clients. It answers by rules (everything is accepted unless
// a rule says otherwise), or a connection follows a script line by line. It records everything.
// Thread safety: none; all on one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "testing/memory_stream.h"

namespace mansio::fake {

/// What a script does next on its connection.
struct Step {
  enum class Kind : std::uint8_t {
    send,       ///< text, as it is
    expect,     ///< a line that starts with text, case ignored; anything else ends the connection
    read_data,  ///< content up to and including the final dot
    start_tls,  ///< handshake as server
    wait,       ///< for `duration` of clock time
    stall,      ///< says nothing more, reads nothing more, until the client leaves
    drain,      ///< reads and ignores what comes until the client leaves
    close,
    reset
  };
  Kind kind = Kind::close;
  std::string text;
  Duration duration{};
};

/// Builds steps: Script().send("220 mx\r\n").expect("EHLO").send("250 mx\r\n").close()
class Script {
 public:
  Script&& send(std::string text) && {
    return std::move(*this).add(Step::Kind::send, std::move(text));
  }

  Script&& expect(std::string prefix) && {
    return std::move(*this).add(Step::Kind::expect, std::move(prefix));
  }

  Script&& read_data() && { return std::move(*this).add(Step::Kind::read_data); }

  Script&& start_tls() && { return std::move(*this).add(Step::Kind::start_tls); }

  Script&& wait(Duration duration) && {
    return std::move(*this).add(Step::Kind::wait, {}, duration);
  }

  Script&& stall() && { return std::move(*this).add(Step::Kind::stall); }

  Script&& drain() && { return std::move(*this).add(Step::Kind::drain); }

  Script&& close() && { return std::move(*this).add(Step::Kind::close); }

  Script&& reset() && { return std::move(*this).add(Step::Kind::reset); }

  const std::vector<Step>& steps() const { return steps_; }

 private:
  Script&& add(Step::Kind kind, std::string text = {}, Duration duration = {}) {
    steps_.push_back(Step{kind, std::move(text), duration});
    return std::move(*this);
  }

  std::vector<Step> steps_;
};

/// What a rule does instead of the usual reply.
struct Reaction {
  enum class Then : std::uint8_t { go_on, close, reset, stall };
  std::string reply;  ///< lines with CRLF; empty: nothing is said
  Then then = Then::go_on;
  Duration delay{};         ///< before the reply
  std::uint32_t times = 0;  ///< the rule ends after so many matches; 0: never

  Reaction() = default;

  Reaction(const char* its_reply, Then its_then = Then::go_on)  // NOLINT: on("RCPT", "550 no\r\n")
      : reply(its_reply), then(its_then) {}

  Reaction(std::string its_reply, Then its_then = Then::go_on)  // NOLINT
      : reply(std::move(its_reply)), then(its_then) {}

  Reaction&& once() && {
    times = 1;
    return std::move(*this);
  }

  Reaction&& after(Duration its_delay) && {
    delay = its_delay;
    return std::move(*this);
  }
};

class ScriptedServer {
 public:
  /// A transaction that got as far as the final dot.
  struct Delivery {
    std::string mail;                     ///< the MAIL line
    std::vector<std::string> recipients;  ///< the RCPT lines that were accepted
    std::string content;                  ///< dot-stuffing undone, without the final dot
    std::size_t connection = 0;           ///< index into connections()
    std::string reply;                    ///< what was answered
  };

  struct Connection {
    Endpoint peer;
    std::vector<std::string> lines;  ///< commands as received, without CRLF
    std::string problem;             ///< how the client left the script; empty: it did not
    bool ended = false;
    bool tls = false;
  };

  /// Serves the listener from now on. All must outlive the server, except the listener.
  ScriptedServer(boost::asio::any_io_executor executor, Clock& clock,
                 std::unique_ptr<Listener> listener, bool lmtp = false);
  ~ScriptedServer();  ///< as stop(); tasks that still run share the state

  /// Extension lines after the first line of the EHLO reply; the default offers PIPELINING,
  /// 8BITMIME, SIZE 52428800, ENHANCEDSTATUSCODES and DSN. STARTTLS works when it is listed.
  void set_extensions(std::vector<std::string> extensions);
  /// `event`: prefix of a command line (case ignored), "connect" for the greeting, "." for the end
  /// of data; LMTP: ". user@example.org" for one recipient. The rule added last wins.
  void on(std::string event, Reaction reaction);
  void clear_rules();
  /// The next connection without a script of its own follows this one.
  void follow(Script script);
  /// Context for handshakes of real sockets; memory streams need none.
  void set_tls(std::shared_ptr<TlsContext> context);

  Endpoint endpoint() const;
  const std::deque<Connection>& connections() const;
  const std::vector<Delivery>& deliveries() const;
  /// Connections that are open now, and the most there were at once.
  std::size_t open() const;
  std::size_t open_most() const;
  /// All lines of all connections that start with `prefix`.
  std::size_t count(std::string_view prefix) const;

  /// Closes the listener and all connections. The tasks end at their next turn.
  void stop();

 private:
  friend struct ScriptedServerTasks;  // the coroutines
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mansio::fake
