// The state of one inbound connection; internal to smtp/. Its functions stand in three files: the
// dialogue (server.cc), content by DATA and BDAT (server_content.cc), and octets and time
// (server_connection.cc).
//
// The session is one coroutine that reads commands in order; replies gather in `output_` and go out
// when the input is drained (RFC 2920 §3.2), or at once where the protocol wants it.
//
// Time: a watchdog timer follows `deadline_`. When it passes during a read, a second, short
// coroutine says 421 and closes the stream, which ends the session's read. The stream's own
// deadline is only the backstop behind that (an error of the stream would leave no way to say why).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/command.h"
#include "smtp/content_meter.h"
#include "smtp/server.h"

namespace mansio::smtp {

struct Incoming;

class ServerSession : public std::enable_shared_from_this<ServerSession> {
 public:
  ServerSession(std::unique_ptr<Stream> stream, ServerOptions options,
                std::shared_ptr<ServerHandler> handler, Clock& clock,
                boost::asio::any_io_executor executor);

  ~ServerSession();

  Task<void> run();

 private:
  /// What a wait is for; it decides what is said when the time is over.
  enum class Wait : std::uint8_t { none, idle, command, data_rate, message, write };
  enum class Line : std::uint8_t { incomplete, complete, too_long, bare_newline, ended };

  // The protocol
  Task<bool> open();
  Task<bool> handshake();
  Task<bool> refuse_early_talk();
  Task<void> talk();
  Task<void> execute(std::string_view line);
  void hello(Verb verb, std::string_view name);
  void mail(std::string_view argument);
  void rcpt(std::string_view argument);
  Task<void> starttls(std::string_view argument);
  bool take_junk();
  void reset_transaction();
  bool refuse_pipelined();
  bool refuse_announcement(std::string_view line);
  Origin origin() const;

  // Content (server_content.cc)
  Task<void> data(std::string_view argument);
  Task<void> bdat(std::string_view argument);
  std::optional<Reply> refuse_chunk() const;
  Task<bool> take_chunk(Incoming& incoming, BdatCommand command);
  std::unique_ptr<Incoming> begin_content();
  void begin_measuring(Incoming& incoming) const;
  Task<bool> await_octets(Incoming& incoming);
  Task<void> pass_on(Incoming& incoming, const ContentMeter& seen, bool at_end);
  Task<void> conclude(Incoming& incoming);
  std::optional<Reply> content_fault(const ContentMeter& seen, bool binary) const;
  bool smuggling(const ContentMeter& seen) const;

  // Replies
  void say(std::string_view line) { output_.append(line); }

  void reply(const Reply& reply, bool counts = true);
  void end(const char* cause);
  void end_with(const Reply& reply, const char* cause);
  // These build the reply outside of coroutines, where g++ 12 destroys braced aggregates wrongly.
  void refuse(std::uint16_t code, EnhancedCode enhanced, const char* text);
  void end_with(std::uint16_t code, EnhancedCode enhanced, const char* text, const char* cause);
  Task<void> flush();
  Task<void> settle_errors();

  // Input
  std::size_t buffered() const { return input_end_ - input_begin_; }

  std::string_view buffer() const { return {input_.data() + input_begin_, buffered()}; }

  Task<bool> fill();
  Line take_line(std::string_view& line, std::size_t seen = 0);
  Task<Line> read_line(std::string_view& line);
  Task<Line> discard_line();
  bool first_octets_are_foreign() const;

  // Time
  void wait_for(Wait wait, SteadyTime deadline);
  void arm(SteadyTime when);
  void time_is_over();
  void stop_if_waiting();
  void part(const char* cause, std::string line);
  static Task<void> farewell(std::shared_ptr<ServerSession> self, std::string line);

  // Constant after construction
  std::unique_ptr<Stream> stream_;
  const ServerOptions options_;
  const ServerLimits& limits_;
  std::shared_ptr<ServerHandler> handler_;
  Clock& clock_;
  boost::asio::any_io_executor executor_;

  // Time
  std::unique_ptr<Timer> watchdog_;
  Wait wait_ = Wait::none;
  SteadyTime deadline_{};
  SteadyTime armed_{};  // zero: the timer does not run
  bool parting_ = false;

  // Input and output
  std::vector<char> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::string output_;
  bool prompt_ = false;  // the reply may not wait for others (RFC 2920 §3.2)

  // The dialogue
  bool over_ = false;
  std::string client_name_;
  bool greeted_ = false;
  bool extended_ = false;  // EHLO or LHLO, not HELO
  TlsInfo tls_;
  bool in_tls_ = false;
  Envelope envelope_;
  bool in_transaction_ = false;
  std::unique_ptr<Incoming> chunked_;  // a message of which chunks have come
  bool utf8_replies_ = false;          // the transaction has SMTPUTF8 (RFC 6531 §3.7.4)
  std::uint32_t messages_ = 0;
  std::uint32_t errors_ = 0;         // since the last accepted message
  std::uint32_t unpaid_errors_ = 0;  // not yet delayed
  std::uint32_t junk_ = 0;           // since the last accepted message
  ServerReport report_;
};

}  // namespace mansio::smtp
