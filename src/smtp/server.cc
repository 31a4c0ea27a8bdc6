// The session is one coroutine that reads commands in order; replies gather in `output_` and go out
// when the input is drained (RFC 2920 §3.2), or at once where the protocol wants it.
//
// Time: a watchdog timer follows `deadline_`. When it passes during a read, a second, short
// coroutine says 421 and closes the stream, which ends the session's read. The stream's own
// deadline is only the backstop behind that (an error of the stream would leave no way to say why).
#include "smtp/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstring>

#include "base/assert.h"
#include "base/text.h"
#include "smtp/command.h"
#include "smtp/data_decoder.h"
#include "smtp/server_replies.h"

namespace mansio::smtp {
namespace {

namespace asio = boost::asio;

constexpr std::size_t input_octets = 16 * 1024;
constexpr std::size_t output_octets_max = 16 * 1024;
/// Content goes to the receiver in pieces of about this size.
constexpr std::size_t piece_octets = 64 * 1024;
/// An overlong command line is skipped up to here, then the connection ends.
constexpr std::uint64_t discard_octets_max = 1 << 20;
constexpr Duration data_rate_window = std::chrono::seconds(60);
constexpr Duration farewell_time = std::chrono::seconds(5);
constexpr Duration backstop = std::chrono::seconds(30);

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::unique_ptr<Stream> stream, ServerOptions options,
          std::shared_ptr<ServerHandler> handler, Clock& clock, asio::any_io_executor executor)
      : stream_(std::move(stream)),
        options_(std::move(options)),
        limits_(options_.limits),
        handler_(std::move(handler)),
        clock_(clock),
        executor_(executor),
        watchdog_(clock.make_timer(executor)),
        input_(std::max<std::size_t>(input_octets, limits_.command_line)) {}

  Task<void> run();

 private:
  /// What a wait is for; it decides what is said when the time is over.
  enum class Wait : std::uint8_t { none, idle, command, data_rate, message, write };
  enum class Line : std::uint8_t { complete, too_long, bare_newline, ended };

  // The protocol
  Task<bool> open();
  Task<bool> handshake();
  Task<bool> refuse_early_talk();
  Task<void> talk();
  Task<void> execute(std::string_view line);
  void hello(Verb verb, std::string_view name);
  void mail(std::string_view argument);
  void rcpt(std::string_view argument);
  Task<void> data(std::string_view argument);
  Task<void> starttls(std::string_view argument);
  Task<std::optional<Reply>> receive(ContentReceiver& receiver, DataDecoder& decoder);
  Task<void> conclude(ContentReceiver& receiver, std::optional<Reply> refusal,
                      std::size_t recipients);
  std::optional<Reply> content_fault(const DataDecoder& decoder) const;
  bool take_junk();
  void reset_transaction();
  bool refuse_pipelined();
  Origin origin() const;

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
  Task<Line> read_line(std::string_view& line);
  Task<Line> discard_line();
  bool first_octets_are_foreign() const;

  // Time
  void wait_for(Wait wait, SteadyTime deadline);
  void arm(SteadyTime when);
  void time_is_over();
  void stop_if_waiting();
  void part(const char* cause, std::string line);
  static Task<void> farewell(std::shared_ptr<Session> self, std::string line);

  // Constant after construction
  std::unique_ptr<Stream> stream_;
  const ServerOptions options_;
  const ServerLimits& limits_;
  std::shared_ptr<ServerHandler> handler_;
  Clock& clock_;
  asio::any_io_executor executor_;

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
  std::uint32_t messages_ = 0;
  std::uint32_t errors_ = 0;         // since the last accepted message
  std::uint32_t unpaid_errors_ = 0;  // not yet delayed
  std::uint32_t junk_ = 0;           // since the last accepted message
  ServerReport report_;
};

// ---- replies ------------------------------------------------------------------------------------

void Session::reply(const Reply& reply, bool counts) {
  append_reply(output_, reply);
  if (!reply.temporary() && !reply.permanent()) return;
  report_.last_error = reply.to_string();
  if (!reply.permanent() || !counts) return;
  ++report_.errors;
  ++errors_;
  ++unpaid_errors_;
}

void Session::end(const char* cause) {
  over_ = true;
  if (report_.cause.empty()) report_.cause = cause;
}

void Session::end_with(const Reply& last, const char* cause) {
  reply(last, false);
  end(cause);
}

void Session::refuse(std::uint16_t code, EnhancedCode enhanced, const char* text) {
  reply({code, enhanced, text});
}

void Session::end_with(std::uint16_t code, EnhancedCode enhanced, const char* text,
                       const char* cause) {
  end_with({code, enhanced, text}, cause);
}

Task<void> Session::flush() {
  if (output_.empty()) co_return;
  wait_for(Wait::write, clock_.steady_now() + limits_.command);
  std::vector<asio::const_buffer> pieces{asio::buffer(output_)};
  const Result<void> written = co_await stream_->write(std::move(pieces));
  wait_ = Wait::none;
  output_.clear();
  if (!written) end("closed by peer");
}

/// Slows a client down that makes errors, then ends it (robust against harvesting of addresses).
Task<void> Session::settle_errors() {
  if (errors_ >= limits_.errors_hard) {
    end_with(421, {4, 7, 0}, "Too many errors", "too many errors");
    co_return;
  }
  if (unpaid_errors_ == 0) co_return;
  const bool slow = errors_ >= limits_.errors_soft;
  unpaid_errors_ = 0;
  if (!slow) co_return;
  // The reply itself waits too: it is still in output_.
  wait_ = Wait::none;
  co_await sleep_for(clock_, limits_.error_delay);
}

// ---- time ---------------------------------------------------------------------------------------

void Session::wait_for(Wait wait, SteadyTime deadline) {
  wait_ = wait;
  deadline_ = deadline;
  stream_->set_deadline(deadline + backstop);
  // A timer that is set earlier is left alone: it looks again when it fires. So most commands cost
  // no timer operation at all.
  if (armed_ == SteadyTime{} || deadline < armed_) arm(deadline);
}

void Session::arm(SteadyTime when) {
  armed_ = when;
  watchdog_->start(when, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->time_is_over();
  });
}

void Session::time_is_over() {
  armed_ = {};
  if (wait_ == Wait::none || parting_) return;
  if (clock_.steady_now() < deadline_) {
    arm(deadline_);
    return;
  }
  switch (wait_) {
    case Wait::none:
      break;
    case Wait::write:
      end("peer does not read");
      stream_->close();
      return;
    case Wait::idle:
      part("idle", "421 4.4.2 Idle for too long\r\n");
      break;
    case Wait::command:
      part("slow command",
           "421 4.4.2 Command not complete within " + to_text(limits_.command) + "\r\n");
      break;
    case Wait::data_rate:
      part("slow data", "421 4.4.2 Data comes too slowly\r\n");
      break;
    case Wait::message:
      part("message time", "421 4.4.2 Message takes too long\r\n");
      break;
  }
}

/// Ends a connection while a read is pending.
void Session::part(const char* cause, std::string line) {
  end(cause);
  parting_ = true;
  asio::co_spawn(executor_, farewell(shared_from_this(), std::move(line)), asio::detached);
}

void Session::stop_if_waiting() {
  const bool waits = wait_ == Wait::idle || wait_ == Wait::command;
  if (!waits || parting_ || over_) return;
  part("shutdown", std::string(shutdown_line));
}

/// Runs beside the pending read, which ends when the stream is closed here.
Task<void> Session::farewell(std::shared_ptr<Session> self, std::string line) {
  self->stream_->set_deadline(self->clock_.steady_now() + farewell_time);
  self->report_.last_error = std::string(trim(line));
  std::vector<asio::const_buffer> pieces{asio::buffer(line)};
  const Result<void> written = co_await self->stream_->write(std::move(pieces));
  static_cast<void>(written);  // it is closed either way
  self->stream_->close();
}

// ---- input --------------------------------------------------------------------------------------

/// Reads more. False: the connection is over. REQUIRES: a wait was set, and room in the buffer.
Task<bool> Session::fill() {
  if (input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, buffered());
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  MANSIO_ASSERT(input_end_ < input_.size());
  const std::span<char> room(input_.data() + input_end_, input_.size() - input_end_);
  const Result<std::size_t> read = co_await stream_->read_some(room);
  wait_ = Wait::none;
  if (!read || over_) {
    end("closed by peer");
    co_return false;
  }
  input_end_ += *read;
  co_return true;
}

/// The next line without CR LF; it stays valid until the next read.
Task<Session::Line> Session::read_line(std::string_view& line) {
  std::size_t seen = 0;
  SteadyTime first_octet{};
  while (true) {
    const std::string_view text = buffer();
    const auto newline = text.find('\n', seen);
    if (newline != std::string_view::npos) {
      input_begin_ += newline + 1;
      if (newline + 1 > limits_.command_line) co_return Line::too_long;
      if (newline == 0 || text[newline - 1] != '\r') co_return Line::bare_newline;
      line = text.substr(0, newline - 1);
      co_return Line::complete;
    }
    seen = text.size();
    if (text.size() >= limits_.command_line) co_return co_await discard_line();
    co_await flush();
    if (over_) co_return Line::ended;
    const SteadyTime now = clock_.steady_now();
    if (text.empty()) {
      if (handler_->stopping()) {
        say(shutdown_line);
        end("shutdown");
        co_return Line::ended;
      }
      const bool stress = handler_->under_stress();
      wait_for(Wait::idle, now + (stress ? limits_.idle_under_stress : limits_.idle));
    } else {
      if (first_octet == SteadyTime{}) first_octet = now;
      wait_for(Wait::command, first_octet + limits_.command);
    }
    if (!co_await fill()) co_return Line::ended;
    if (report_.commands == 0 && first_octets_are_foreign()) {
      end_with(foreign_protocol(), "foreign protocol");
      co_return Line::ended;
    }
  }
}

/// The line is too long already: skips to its end in constant memory.
Task<Session::Line> Session::discard_line() {
  const SteadyTime until = clock_.steady_now() + limits_.command;
  std::uint64_t skipped = 0;
  while (true) {
    const auto newline = buffer().find('\n');
    if (newline != std::string_view::npos) {
      input_begin_ += newline + 1;
      co_return Line::too_long;
    }
    skipped += buffered();
    input_begin_ = input_end_ = 0;
    if (skipped > discard_octets_max) {
      end_with(line_too_long(), "endless line");
      co_return Line::ended;
    }
    co_await flush();
    if (over_) co_return Line::ended;
    wait_for(Wait::command, until);
    if (!co_await fill()) co_return Line::ended;
  }
}

/// No mail client begins with such an octet; a TLS hello or another binary protocol does.
bool Session::first_octets_are_foreign() const {
  if (buffered() == 0) return false;
  const auto first = static_cast<unsigned char>(buffer().front());
  return (first < ' ' && first != '\r' && first != '\n' && first != '\0') || first >= 0x7f;
}

// ---- the beginning ------------------------------------------------------------------------------

Task<bool> Session::handshake() {
  stream_->set_deadline(clock_.steady_now() + limits_.handshake);
  wait_ = Wait::none;
  const Result<TlsInfo> agreed = co_await stream_->start_tls(*options_.tls, true, std::string());
  if (!agreed) {
    end("TLS handshake failed");
    co_return false;
  }
  tls_ = *agreed;
  in_tls_ = true;
  report_.tls = tls_.version + " " + tls_.cipher;
  co_return true;
}

/// A client that talks before the greeting is no mail client, or means to deceive one.
Task<bool> Session::refuse_early_talk() {
  if (!stream_->has_input()) co_return false;
  wait_for(Wait::idle, clock_.steady_now() + limits_.command);
  if (!co_await fill()) co_return true;
  const bool foreign =
      first_octets_are_foreign() || parse_command_line(buffer()).verb == Verb::foreign;
  if (foreign) {
    end_with(foreign_protocol(), "foreign protocol");
  } else {
    end_with(554, {5, 5, 1}, "Client spoke before the greeting", "early talker");
  }
  co_await flush();
  co_return true;
}

/// True: the client was greeted.
Task<bool> Session::open() {
  if (options_.tls_implicit) {
    const bool secure = co_await handshake();
    if (!secure) co_return false;
  }
  const Reply verdict = handler_->connect(stream_->peer());
  if (!verdict.positive()) {
    end_with(verdict, "refused");
    co_await flush();
    co_return false;
  }
  if (co_await refuse_early_talk()) co_return false;
  say("220 " + options_.hostname + (options_.lmtp ? " LMTP Mansio\r\n" : " ESMTP Mansio\r\n"));
  co_await flush();
  co_return !over_;
}

Task<void> Session::run() {
  handler_->when_stopping([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->stop_if_waiting();
  });
  if (co_await open()) co_await talk();
  handler_->when_stopping({});
  watchdog_->cancel();
  // A farewell under way closes the stream itself.
  if (!parting_) stream_->close();
  report_.client_name = client_name_;
  handler_->ended(report_);
}

Task<void> Session::talk() {
  while (!over_) {
    std::string_view line;
    const Line read = co_await read_line(line);
    if (!parting_ && read != Line::ended && handler_->stopping()) {
      const bool quits = read == Line::complete && parse_command_line(line).verb == Verb::quit;
      if (quits) {
        say("221 2.0.0 Bye\r\n");
      } else {
        say(shutdown_line);
      }
      end("shutdown");
      break;
    }
    switch (read) {
      case Line::complete:
        ++report_.commands;
        co_await execute(line);
        break;
      case Line::too_long:
        reply(line_too_long());
        break;
      case Line::bare_newline:
        refuse(500, {5, 5, 2}, "Lines must end with CR LF");
        break;
      case Line::ended:
        break;
    }
    if (!over_) co_await settle_errors();
    if (prompt_ || output_.size() >= output_octets_max) co_await flush();
    prompt_ = false;
  }
  if (!parting_) co_await flush();
}

// ---- commands -----------------------------------------------------------------------------------

/// Octets behind a command that must be the last of its group: refused, since the client cannot
/// know what they will mean (RFC 2920 §3.1, RFC 3207 §4.2).
bool Session::refuse_pipelined() {
  if (buffered() == 0) return false;
  end_with(554, {5, 5, 1}, "Improper command pipelining", "pipelining");
  return true;
}

Task<void> Session::execute(std::string_view line) {
  const CommandLine command = parse_command_line(line);
  if (command.verb == Verb::foreign) {
    end_with(foreign_protocol(), "foreign protocol");
    co_return;
  }
  if (has_control_octets(line)) {
    refuse(501, {5, 5, 2}, "Control characters are not allowed in commands");
    co_return;
  }
  const bool pipelines = extended_ || !greeted_;  // HELO does not offer it
  if (!pipelines && command.verb != Verb::quit && refuse_pipelined()) co_return;
  switch (command.verb) {
    case Verb::ehlo:
    case Verb::helo:
    case Verb::lhlo:
      if (refuse_pipelined()) co_return;
      hello(command.verb, command.argument);
      prompt_ = true;
      break;
    case Verb::mail:
      mail(command.argument);
      break;
    case Verb::rcpt:
      rcpt(command.argument);
      break;
    case Verb::data:
      co_await data(command.argument);
      break;
    case Verb::rset:
      if (!take_junk()) break;
      reset_transaction();
      say("250 2.0.0 Ok\r\n");
      break;
    case Verb::noop:
      if (!take_junk()) break;
      say("250 2.0.0 Ok\r\n");
      prompt_ = true;
      break;
    case Verb::vrfy:
      if (!take_junk()) break;
      say("252 2.5.0 Cannot verify, will accept mail\r\n");
      prompt_ = true;
      break;
    case Verb::help:
      if (!take_junk()) break;
      say("214 2.0.0 See RFC 5321\r\n");
      break;
    case Verb::quit:
      say("221 2.0.0 Bye\r\n");
      end("quit");
      break;
    case Verb::starttls:
      co_await starttls(command.argument);
      break;
    case Verb::expn:
    case Verb::auth:
      refuse(502, {5, 5, 1}, "Command not available in this version");
      prompt_ = true;
      break;
    case Verb::bdat:
      // What follows is content that must not be read as commands.
      end_with(502, {5, 5, 1}, "CHUNKING is not available in this version", "BDAT");
      break;
    case Verb::foreign:
    case Verb::unknown:
      refuse(500, {5, 5, 1}, "Command not recognized");
      prompt_ = true;
      break;
  }
}

/// Counts a command that leads to no mail. False: one too many.
bool Session::take_junk() {
  if (++junk_ <= limits_.junk) return true;
  end_with(421, {4, 7, 0}, "Too many commands without mail", "junk commands");
  return false;
}

void Session::reset_transaction() {
  in_transaction_ = false;
  envelope_ = {};
}

Origin Session::origin() const {
  Origin origin;
  if (options_.lmtp) {
    origin.protocol = in_tls_ ? "LMTPS" : "LMTP";
  } else if (extended_) {
    origin.protocol = in_tls_ ? "ESMTPS" : "ESMTP";
  } else {
    origin.protocol = "SMTP";  // RFC 3848 knows no SMTPS
  }
  origin.client_address = stream_->peer().address;
  origin.client_name = client_name_;
  origin.tls = report_.tls;
  return origin;
}

/// Replies to it carry no enhanced code (RFC 2034 §4).
void Session::hello(Verb verb, std::string_view name) {
  if (!take_junk()) return;
  if ((verb == Verb::lhlo) != options_.lmtp) {
    refuse(500, {}, options_.lmtp ? "LMTP clients say LHLO" : "SMTP clients say EHLO");
    return;
  }
  if (!valid_client_name(name)) {
    refuse(501, {}, "A client name is needed");
    return;
  }
  reset_transaction();
  client_name_ = name;
  greeted_ = true;
  extended_ = verb != Verb::helo;
  if (!extended_) {
    say("250 " + options_.hostname + "\r\n");
    return;
  }
  say("250-" + options_.hostname + "\r\n250-PIPELINING\r\n250-SIZE ");
  say(std::to_string(limits_.message));
  say("\r\n");
  if (options_.tls != nullptr && !in_tls_) say("250-STARTTLS\r\n");
  say("250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN\r\n");
}

void Session::mail(std::string_view argument) {
  if (!greeted_) {
    refuse(503, {5, 5, 1}, options_.lmtp ? "Say LHLO first" : "Say EHLO first");
    return;
  }
  if (in_transaction_) {
    refuse(503, {5, 5, 1}, "A transaction is open already");
    return;
  }
  if (messages_ >= limits_.messages) {
    end_with(421, {4, 7, 0}, "Too many messages on this connection", "messages");
    return;
  }
  auto parsed = parse_mail(argument);
  if (const auto* refusal = std::get_if<Reply>(&parsed)) {
    reply(*refusal);
    return;
  }
  auto& command = std::get<MailCommand>(parsed);
  if (limits_.message != 0 && command.size > limits_.message) {
    reply(message_too_big());
    return;
  }
  envelope_ = {};
  envelope_.reverse_path = std::move(command.reverse_path);
  envelope_.body = command.body;
  envelope_.dsn_return = command.dsn_return;
  envelope_.envelope_id = std::move(command.envelope_id);
  envelope_.origin = origin();
  const Reply verdict = handler_->mail(envelope_, command.size);
  in_transaction_ = verdict.positive();
  if (verdict.code == 421) end("refused");
  reply(verdict);
}

void Session::rcpt(std::string_view argument) {
  if (!in_transaction_) {
    refuse(503, {5, 5, 1}, "MAIL comes first");
    return;
  }
  auto parsed = parse_rcpt(argument);
  if (const auto* refusal = std::get_if<Reply>(&parsed)) {
    ++report_.refused_recipients;
    reply(*refusal);
    return;
  }
  auto& recipient = std::get<Recipient>(parsed);
  if (envelope_.recipients.size() >= limits_.recipients) {
    ++report_.refused_recipients;
    refuse(452, {4, 5, 3}, "Too many recipients in this transaction");
    return;
  }
  const Reply verdict = handler_->rcpt(envelope_, recipient);
  if (verdict.positive()) {
    envelope_.recipients.push_back(std::move(recipient));
  } else {
    ++report_.refused_recipients;
  }
  if (verdict.code == 421) end("refused");
  reply(verdict);
}

Task<void> Session::starttls(std::string_view argument) {
  if (options_.tls == nullptr) {
    refuse(502, {5, 5, 1}, "STARTTLS is not offered");
    co_return;
  }
  if (in_tls_) {
    refuse(503, {5, 5, 1}, "TLS is active already");
    co_return;
  }
  if (!argument.empty()) {
    refuse(501, {5, 5, 4}, "STARTTLS takes no parameters");
    co_return;
  }
  // Nothing that came in plain text may count as said inside TLS.
  if (refuse_pipelined()) co_return;
  if (stream_->has_input()) {
    end_with(554, {5, 5, 1}, "Improper command pipelining", "pipelining");
    co_return;
  }
  say("220 2.0.0 Ready to start TLS\r\n");
  co_await flush();
  if (over_) co_return;
  const bool secure = co_await handshake();
  if (!secure) co_return;
  reset_transaction();
  greeted_ = false;
  extended_ = false;
  client_name_.clear();
}

// ---- content ------------------------------------------------------------------------------------

Task<void> Session::data(std::string_view argument) {
  if (refuse_pipelined()) co_return;
  if (!argument.empty()) {
    refuse(501, {5, 5, 4}, "DATA takes no parameters");
    co_return;
  }
  if (!in_transaction_) {
    refuse(503, {5, 5, 1}, "MAIL comes first");
    co_return;
  }
  if (envelope_.recipients.empty()) {
    // RFC 2033 §4.2 fixes 503 for LMTP.
    const std::uint16_t code = options_.lmtp ? 503 : 554;
    refuse(code, {5, 5, 1}, "No valid recipients");
    co_return;
  }
  const std::size_t recipients = envelope_.recipients.size();
  Reply refusal;
  auto receiver = handler_->data(std::move(envelope_), refusal);
  reset_transaction();
  if (receiver == nullptr) {
    if (refusal.code == 421) end("refused");
    reply(refusal);
    prompt_ = true;
    co_return;
  }
  say("354 End data with <CR><LF>.<CR><LF>\r\n");
  co_await flush();
  if (over_) co_return;
  DataDecoder decoder(options_.bare_newline == BareNewline::normalize);
  std::optional<Reply> failure = co_await receive(*receiver, decoder);
  if (!decoder.done()) co_return;  // the connection ended: nothing is queued
  if (auto fault = content_fault(decoder)) failure = std::move(fault);
  co_await conclude(*receiver, std::move(failure), recipients);
  // Whoever sends such line ends may hope for another server to see an end of data in them; do not
  // read on as if the two of us agreed about what follows.
  const bool smuggling = decoder.bare_newline() && options_.bare_newline == BareNewline::reject;
  if (smuggling) end("bare newline");
}

/// Reads to the end of data. Gives the first refusal; after it the rest is read and dropped.
Task<std::optional<Reply>> Session::receive(ContentReceiver& receiver, DataDecoder& decoder) {
  const SteadyTime message_deadline = clock_.steady_now() + limits_.message_time;
  const std::uint64_t window_octets =
      limits_.data_rate *
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::seconds>(data_rate_window).count());
  SteadyTime window_deadline = clock_.steady_now() + data_rate_window;
  std::uint64_t in_window = 0;
  std::optional<Reply> failure;
  std::string piece;
  while (!decoder.done()) {
    if (buffered() == 0) {
      const bool rate = limits_.data_rate != 0 && window_deadline < message_deadline;
      wait_for(rate ? Wait::data_rate : Wait::message, rate ? window_deadline : message_deadline);
      if (!co_await fill()) co_return failure;
      in_window += buffered();
      if (in_window >= window_octets) {
        in_window = 0;
        window_deadline = clock_.steady_now() + data_rate_window;
      }
    }
    const std::size_t used = decoder.decode(buffer(), piece);
    input_begin_ += used;
    if (!failure) {
      if (auto fault = content_fault(decoder)) failure = std::move(fault);
    }
    if (failure) {
      piece.clear();
      continue;
    }
    if (piece.size() < piece_octets && !decoder.done()) continue;
    if (!piece.empty()) {
      const SteadyTime before = clock_.steady_now();
      failure = co_await receiver.write(piece);
      // The time that the receiver takes is ours, not the client's.
      window_deadline += clock_.steady_now() - before;
      piece.clear();
    }
  }
  report_.octets += decoder.size();
  co_return failure;
}

/// What is wrong with the content by what the decoder saw of it.
std::optional<Reply> Session::content_fault(const DataDecoder& decoder) const {
  if (decoder.bare_newline() && options_.bare_newline == BareNewline::reject) {
    return Reply{550, {5, 5, 2}, "Lines must end with CR LF; a CR or LF stood alone"};
  }
  if (decoder.nul()) return Reply{550, {5, 6, 0}, "Message holds a NUL octet"};
  if (limits_.message != 0 && decoder.size() > limits_.message) return message_too_big();
  if (options_.long_line == LongLine::reject && decoder.longest_line() > limits_.data_line) {
    return Reply{554, {5, 6, 0}, "Message holds a line that is too long"};
  }
  return std::nullopt;
}

/// Answers the final dot: once, or in LMTP for each accepted recipient (RFC 2033 §4.2).
Task<void> Session::conclude(ContentReceiver& receiver, std::optional<Reply> refusal,
                             std::size_t recipients) {
  std::vector<Reply> replies;
  const std::size_t count = options_.lmtp ? recipients : 1;
  if (refusal) {
    replies.assign(count, *refusal);
  } else {
    wait_ = Wait::none;
    ContentVerdict verdict = co_await receiver.finish();
    if (std::holds_alternative<NoReply>(verdict)) {
      // Whatever we said could be a lie; and replies to earlier commands do not matter any more.
      output_.clear();
      end("outcome unknown");
      co_return;
    }
    replies = std::move(std::get<std::vector<Reply>>(verdict));
    MANSIO_ASSERT(replies.size() == count);
  }
  bool accepted = false;
  for (const Reply& one : replies) {
    accepted = accepted || one.positive();
    reply(one);
    if (one.code == 421) end("refused");
  }
  ++messages_;
  if (accepted) {
    ++report_.messages;
    errors_ = unpaid_errors_ = junk_ = 0;
  } else {
    ++report_.refused_messages;
  }
}

}  // namespace

Task<void> serve(std::unique_ptr<Stream> stream, ServerOptions options,
                 std::shared_ptr<ServerHandler> handler, Clock& clock) {
  MANSIO_ASSERT(options.tls != nullptr || !options.tls_implicit);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto session = std::make_shared<Session>(std::move(stream), std::move(options),
                                                 std::move(handler), clock, executor);
  co_await session->run();
}

}  // namespace mansio::smtp
