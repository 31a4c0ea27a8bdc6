#include "smtp/server.h"

#include <boost/asio/this_coro.hpp>

#include "base/assert.h"
#include "base/text.h"
#include "smtp/server_incoming.h"
#include "smtp/server_replies.h"
#include "smtp/server_session.h"

namespace mansio::smtp {
namespace {

namespace asio = boost::asio;

constexpr std::size_t input_octets = 16 * 1024;
constexpr std::size_t output_octets_max = 16 * 1024;

}  // namespace

ServerSession::ServerSession(std::unique_ptr<Stream> stream, ServerOptions options,
                             std::shared_ptr<ServerHandler> handler, Clock& clock,
                             asio::any_io_executor executor)
    : stream_(std::move(stream)),
      options_(std::move(options)),
      limits_(options_.limits),
      handler_(std::move(handler)),
      clock_(clock),
      executor_(executor),
      watchdog_(clock.make_timer(executor)),
      input_(std::max<std::size_t>(input_octets, limits_.command_line)) {}

ServerSession::~ServerSession() = default;

// ---- the beginning ------------------------------------------------------------------------------

Task<bool> ServerSession::handshake() {
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
Task<bool> ServerSession::refuse_early_talk() {
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
Task<bool> ServerSession::open() {
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

Task<void> ServerSession::run() {
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

Task<void> ServerSession::talk() {
  while (!over_) {
    std::string_view line;
    Line read = take_line(line);
    if (read == Line::incomplete) read = co_await read_line(line);
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
        if (!refuse_announcement(line)) reply(line_too_long());
        break;
      case Line::bare_newline:
        if (!refuse_announcement(line)) refuse(500, {5, 5, 2}, "Lines must end with CR LF");
        break;
      case Line::incomplete:
      case Line::ended:
        break;
    }
    if (!over_ && unpaid_errors_ != 0) co_await settle_errors();
    if (prompt_ || output_.size() >= output_octets_max) co_await flush();
    prompt_ = false;
  }
  if (!parting_) co_await flush();
}

// ---- commands -----------------------------------------------------------------------------------

/// Octets behind a command that must be the last of its group: refused, since the client cannot
/// know what they will mean (RFC 2920 §3.1, RFC 3207 §4.2).
bool ServerSession::refuse_pipelined() {
  if (buffered() == 0) return false;
  end_with(554, {5, 5, 1}, "Improper command pipelining", "pipelining");
  return true;
}

Task<void> ServerSession::execute(std::string_view line) {
  const CommandLine command = parse_command_line(line);
  if (command.verb == Verb::foreign) {
    end_with(foreign_protocol(), "foreign protocol");
    co_return;
  }
  if (has_control_octets(line)) {
    if (refuse_announcement(line)) co_return;
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
      co_await bdat(command.argument);
      break;
    case Verb::foreign:
    case Verb::unknown:
      refuse(500, {5, 5, 1}, "Command not recognized");
      prompt_ = true;
      break;
  }
}

/// True: the line is a BDAT that cannot be understood, and what follows must not be read as
/// commands.
bool ServerSession::refuse_announcement(std::string_view line) {
  if (!announces_octets(line)) return false;
  end_with(501, {5, 5, 4}, "Syntax: BDAT size [LAST]", "BDAT");
  return true;
}

/// Counts a command that leads to no mail. False: one too many.
bool ServerSession::take_junk() {
  if (++junk_ <= limits_.junk) return true;
  end_with(421, {4, 7, 0}, "Too many commands without mail", "junk commands");
  return false;
}

void ServerSession::reset_transaction() {
  in_transaction_ = false;
  utf8_replies_ = false;
  envelope_ = {};
  if (chunked_ && chunked_->failure) ++report_.refused_messages;
  chunked_.reset();
}

Origin ServerSession::origin() const {
  Origin origin;
  // RFC 3848, and RFC 6531 §4.3 for SMTPUTF8; there is no SMTPS.
  if (envelope_.smtputf8) {
    origin.protocol = options_.lmtp ? "UTF8LMTP" : "UTF8SMTP";
  } else {
    origin.protocol = options_.lmtp ? "LMTP" : extended_ ? "ESMTP" : "SMTP";
  }
  if (in_tls_ && origin.protocol != "SMTP") origin.protocol += 'S';
  origin.client_address = stream_->peer().address;
  origin.client_name = client_name_;
  origin.tls = report_.tls;
  return origin;
}

/// Replies to it carry no enhanced code (RFC 2034 §4).
void ServerSession::hello(Verb verb, std::string_view name) {
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
  say("250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n");
  say("250-BINARYMIME\r\n250 DSN\r\n");
}

void ServerSession::mail(std::string_view argument) {
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
  envelope_.smtputf8 = command.smtputf8;
  envelope_.dsn_return = command.dsn_return;
  envelope_.envelope_id = std::move(command.envelope_id);
  envelope_.origin = origin();
  const Reply verdict = handler_->mail(envelope_, command.size);
  in_transaction_ = verdict.positive();
  utf8_replies_ = envelope_.smtputf8;
  if (verdict.code == 421) end("refused");
  reply(verdict);
  utf8_replies_ = utf8_replies_ && in_transaction_;
}

void ServerSession::rcpt(std::string_view argument) {
  if (!in_transaction_) {
    refuse(503, {5, 5, 1}, "MAIL comes first");
    return;
  }
  if (chunked_) {
    refuse(503, {5, 5, 1}, "The content has begun");
    return;
  }
  auto parsed = parse_rcpt(argument, envelope_.smtputf8);
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

Task<void> ServerSession::starttls(std::string_view argument) {
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

Task<void> serve(std::unique_ptr<Stream> stream, ServerOptions options,
                 std::shared_ptr<ServerHandler> handler, Clock& clock) {
  MANSIO_ASSERT(options.tls != nullptr || !options.tls_implicit);
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto session = std::make_shared<ServerSession>(std::move(stream), std::move(options),
                                                       std::move(handler), clock, executor);
  co_await session->run();
}

}  // namespace mansio::smtp
