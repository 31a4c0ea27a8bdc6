#include "smtp/client.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "base/assert.h"
#include "smtp/data_encoder.h"
#include "smtp/outgoing.h"

namespace mansio::smtp {
namespace {

constexpr std::size_t input_size = 2048;  // a connection has so much all its life
constexpr std::size_t write_size = 64 * 1024;
/// Each chunk waits for its reply: large enough for that to cost little, small enough for memory.
constexpr std::size_t chunk_size = 256 * 1024;

/// RFC 5321 §4.2.1 knows 4.0.0-like classes only for what peers say; our own answers carry none.
Answer own_answer(Stage stage, Cause cause, std::string text) {
  Answer answer;
  answer.stage = stage;
  answer.cause = cause;
  answer.reply.text = std::move(text);
  return answer;
}

/// BDAT asks for no leave: a recipient is enough.
Answer chunks_may_come(const Transaction& transaction) {
  Answer answer;
  if (!transaction.mail.positive() || transaction.accepted() == 0) return answer;
  answer.stage = Stage::data;
  answer.cause = Cause::reply;
  answer.reply.code = 354;
  return answer;
}

}  // namespace

std::size_t Transaction::accepted() const {
  std::size_t count = 0;
  for (const Answer& answer : recipient) count += answer.positive() ? 1 : 0;
  return count;
}

ClientSession::ClientSession(std::unique_ptr<Stream> stream, ClientOptions options, Clock& clock)
    : stream_(std::move(stream)),
      options_(std::move(options)),
      clock_(clock),
      input_(std::make_unique_for_overwrite<char[]>(input_size)) {
  MANSIO_ASSERT(stream_ != nullptr);
  peer_ = stream_->peer();
}

// ---- the octets ------------------------------------------------------------------------------

void ClientSession::break_off(Cause cause, std::string text) {
  if (!broken_) {
    broken_ = true;
    broken_cause_ = cause;
    broken_text_ = std::move(text);
  }
  output_.clear();
  stream_->close();
}

void ClientSession::break_off(Stage stage, const ErrorCode& error) {
  if (error == boost::asio::error::operation_aborted) {
    break_off(Cause::local, "the session was stopped");
    throw boost::system::system_error(error);
  }
  const std::string where = std::string(" (") + to_text(stage) + ")";
  if (error == boost::asio::error::timed_out) {
    break_off(Cause::timeout, "timed out" + where);
  } else if (error == boost::asio::error::eof) {
    break_off(Cause::network, "the peer closed the connection" + where);
  } else {
    break_off(Cause::network, "connection lost: " + error.message() + where);
  }
}

Answer ClientSession::broken_answer(Stage stage) const {
  return own_answer(stage, broken_cause_, broken_text_);
}

/// Nothing is outstanding, so nothing may have come: otherwise every later reply would be taken for
/// the answer to the command before it.
bool ClientSession::unexpected_input(Stage stage) {
  if (!has_input()) return false;
  break_off(Cause::protocol,
            std::string("the peer sent more replies than commands (") + to_text(stage) + ")");
  return true;
}

Task<bool> ClientSession::flush(Stage stage, Duration timeout) {
  if (broken_) co_return false;
  if (output_.empty()) co_return true;
  std::vector<boost::asio::const_buffer> pieces;
  pieces.emplace_back(output_.data(), output_.size());
  const bool written = co_await write(std::move(pieces), stage, timeout);
  output_.clear();
  co_return written;
}

Task<bool> ClientSession::write(std::vector<boost::asio::const_buffer> pieces, Stage stage,
                                Duration timeout) {
  if (broken_) co_return false;
  stream_->set_deadline(clock_.steady_now() + timeout);
  const Result<void> written = co_await stream_->write(std::move(pieces));
  if (!written) break_off(stage, written.error());
  co_return !broken_;
}

/// The answer from what is there already, or that none can come. False: more has to be read.
bool ClientSession::take_answer(Stage stage, Answer& answer) {
  if (!broken_) {
    input_begin_ += reader_.feed({input_.get() + input_begin_, input_end_ - input_begin_});
    if (reader_.failed()) break_off(Cause::protocol, reader_.error());
  }
  if (broken_) {
    answer = broken_answer(stage);
    return true;
  }
  if (!reader_.complete()) return false;
  answer.stage = stage;
  answer.cause = Cause::reply;
  answer.reply = reader_.take();
  if (answer.reply.code == 421) closing_ = true;
  return true;
}

Task<Answer> ClientSession::read_answer(Stage stage, Duration timeout) {
  stream_->set_deadline(clock_.steady_now() + timeout);
  Answer answer;
  while (!take_answer(stage, answer)) {
    // Everything was fed to the reader.
    const std::span<char> space(input_.get(), input_size);
    const Result<std::size_t> got = co_await stream_->read_some(space);
    input_begin_ = 0;
    input_end_ = got ? *got : 0;
    if (!got) break_off(stage, got.error());
  }
  co_return answer;
}

/// Not a coroutine itself: the line is taken before anything is awaited, so that callers may pass
/// a temporary.
Task<Answer> ClientSession::command(Stage stage, const std::string& line, Duration timeout) {
  if (!broken_ && !unexpected_input(stage)) output_ += line;
  return exchange(stage, timeout);
}

Task<Answer> ClientSession::exchange(Stage stage, Duration timeout) {
  co_await flush(stage, timeout);
  Answer answer = co_await read_answer(stage, timeout);
  co_return answer;
}

bool ClientSession::stale() { return out_of_step() || stream_->has_input(); }

// ---- opening ---------------------------------------------------------------------------------

Task<Answer> ClientSession::greet() {
  co_return co_await read_answer(Stage::greeting, options_.timeouts.greeting);
}

Task<Answer> ClientSession::hello() {
  offered_ = Extensions{};
  const char* verb = options_.lmtp ? "LHLO" : "EHLO";
  Answer answer =
      co_await command(Stage::ehlo, simple_command(verb, options_.ehlo), options_.timeouts.hello);
  if (answer.positive()) {
    offered_ = parse_extensions(answer.reply.text);
    // A server that offers STARTTLS within TLS is wrong; RFC 3207 §4.2 says it must not.
    if (under_tls()) offered_.starttls = false;
    co_return answer;
  }
  const bool unknown_command = answer.replied() && answer.reply.permanent() &&
                               answer.reply.code != 521 && answer.reply.code != 554;
  if (options_.lmtp || !unknown_command) co_return answer;
  co_return co_await command(Stage::ehlo, simple_command("HELO", options_.ehlo),
                             options_.timeouts.hello);
}

Task<Answer> ClientSession::start_tls(TlsContext& context, std::string server_name) {
  MANSIO_ASSERT(!under_tls());
  Answer answer =
      co_await command(Stage::starttls, simple_command("STARTTLS"), options_.timeouts.hello);
  if (!answer.positive()) co_return answer;
  // Whoever can put octets behind the 220 could have them read as if TLS protected them.
  // What arrives later still meets the handshake, which fails over it.
  if (has_input()) {
    break_off(Cause::protocol, "the peer sent plain text after agreeing to STARTTLS");
    co_return broken_answer(Stage::starttls);
  }
  stream_->set_deadline(clock_.steady_now() + options_.timeouts.hello);
  Result<TlsInfo> info = co_await stream_->start_tls(context, false, std::move(server_name));
  if (!info) {
    if (info.error() == boost::asio::error::operation_aborted) {
      break_off(Stage::starttls, info.error());
    }
    const bool late = info.error() == boost::asio::error::timed_out;
    break_off(late ? Cause::timeout : Cause::tls,
              "the TLS handshake failed: " + info.error().message());
    co_return broken_answer(Stage::starttls);
  }
  tls_ = std::move(*info);
  if (tls_.version.empty()) tls_.version = "TLS";
  offered_ = Extensions{};
  co_return answer;
}

Task<Answer> ClientSession::authenticate(std::string user, std::string password) {
  if (!under_tls()) {
    co_return own_answer(Stage::auth, Cause::policy,
                         "authentication is configured, but the connection has no TLS");
  }
  const Duration timeout = options_.timeouts.hello;
  if (offered_.auth_plain) {
    const std::string secret = std::string(1, '\0') + user + std::string(1, '\0') + password;
    co_return co_await command(Stage::auth, simple_command("AUTH PLAIN", base64(secret)), timeout);
  }
  if (!offered_.auth_login) {
    co_return own_answer(
        Stage::auth, Cause::policy,
        "authentication is configured, but the host offers neither PLAIN nor LOGIN");
  }
  Answer answer = co_await command(Stage::auth, simple_command("AUTH LOGIN"), timeout);
  if (!answer.replied() || answer.reply.code != 334) co_return answer;
  answer = co_await command(Stage::auth, simple_command(base64(user)), timeout);
  if (!answer.replied() || answer.reply.code != 334) co_return answer;
  co_return co_await command(Stage::auth, simple_command(base64(password)), timeout);
}

// ---- the envelope ----------------------------------------------------------------------------

Task<Answer> ClientSession::mail(Transaction& transaction) {
  transaction.recipient.assign(transaction.recipients.size(), Answer{});
  transaction.sent = true;
  transaction.mail = co_await command(
      Stage::mail, mail_command(*transaction.envelope, transaction.facts, offered_),
      options_.timeouts.mail);
  co_return transaction.mail;
}

Task<Answer> ClientSession::recipient(Transaction& transaction, std::size_t index) {
  if (transaction.recipient.size() <= index) transaction.recipient.resize(index + 1);
  const Recipient& recipient =
      transaction.envelope->recipients.at(transaction.recipients.at(index));
  transaction.recipient[index] =
      co_await command(Stage::rcpt, rcpt_command(recipient, transaction.facts, offered_),
                       options_.timeouts.recipient);
  co_return transaction.recipient[index];
}

Task<Answer> ClientSession::data(Transaction& transaction) {
  if (transaction.facts.binary) {
    transaction.data = chunks_may_come(transaction);
    co_return transaction.data;
  }
  transaction.data = co_await command(Stage::data, simple_command("DATA"), options_.timeouts.data);
  co_return transaction.data;
}

Task<void> ClientSession::envelope(Transaction& transaction) {
  if (offered_.pipelining) {
    if (!broken_ && unexpected_input(Stage::mail)) co_return;
    queue_envelope(transaction);
    co_await read_envelope(transaction);
    co_return;
  }
  co_await mail(transaction);
  if (transaction.mail.positive()) {
    for (std::size_t i = 0; i < transaction.recipients.size() && usable(); ++i) {
      co_await recipient(transaction, i);
    }
    if (usable() && transaction.accepted() != 0) co_await data(transaction);
  }
  co_await recover(transaction);
}

void ClientSession::queue_envelope(Transaction& transaction) {
  MANSIO_ASSERT(offered_.pipelining);
  if (broken_) return;
  transaction.sent = true;
  transaction.recipient.assign(transaction.recipients.size(), Answer{});
  output_ += mail_command(*transaction.envelope, transaction.facts, offered_);
  for (const std::uint32_t index : transaction.recipients) {
    output_ +=
        rcpt_command(transaction.envelope->recipients.at(index), transaction.facts, offered_);
  }
  if (!transaction.facts.binary) output_ += simple_command("DATA");
}

Task<void> ClientSession::read_envelope(Transaction& transaction) {
  transaction.recipient.resize(transaction.recipients.size());
  if (!output_.empty()) co_await flush(Stage::mail, options_.timeouts.mail);
  transaction.mail = co_await read_answer(Stage::mail, options_.timeouts.mail);
  // The others mostly came with it.
  for (Answer& answer : transaction.recipient) {
    if (closing_) break;
    if (take_answer(Stage::rcpt, answer)) continue;
    answer = co_await read_answer(Stage::rcpt, options_.timeouts.recipient);
  }
  if (transaction.facts.binary) {
    if (usable()) transaction.data = chunks_may_come(transaction);
  } else if (!closing_ && !take_answer(Stage::data, transaction.data)) {
    transaction.data = co_await read_answer(Stage::data, options_.timeouts.data);
  }
  if (!broken_ && !closing_ && unexpected_input(Stage::data)) {
    disbelieve(transaction);
  }
  if (!went_well(transaction)) co_await recover(transaction);
}

/// Some reply was not the answer it was taken for, so none of them is worth anything.
void ClientSession::disbelieve(Transaction& transaction) {
  transaction.mail = broken_answer(Stage::mail);
  transaction.recipient.assign(transaction.recipients.size(), broken_answer(Stage::rcpt));
  transaction.data = broken_answer(Stage::data);
}

/// Every command was answered as it is when there is nothing to object to.
bool ClientSession::went_well(const Transaction& transaction) const {
  const std::size_t accepted = transaction.accepted();
  return usable() && transaction.mail.positive() && transaction.data_accepted() && accepted != 0 &&
         accepted == transaction.recipient.size();
}

Task<void> ClientSession::recover(Transaction& transaction) {
  if (!usable()) co_return;
  // MAIL and RCPT are answered by 2yz or refused, DATA by 354 or refused (RFC 5321 §4.3.2).
  bool odd = transaction.mail.replied() && transaction.mail.reply.intermediate();
  for (const Answer& answer : transaction.recipient) {
    odd |= answer.replied() && answer.reply.intermediate();
  }
  odd |= transaction.data.replied() && transaction.data.reply.code != 354 &&
         transaction.data.reply.code < 400;
  if (odd) {
    break_off(Cause::protocol, "a reply does not fit its command");
    disbelieve(transaction);
    co_return;
  }
  const bool hopeless = !transaction.mail.positive() || transaction.accepted() == 0;
  if (transaction.data_accepted() && !hopeless) co_return;
  if (transaction.data_accepted()) {
    // RFC 2920 §3.1: the server waits for a message that has no recipient; an empty one ends it.
    output_ += ".\r\n";
    if (!co_await flush(Stage::final_dot, options_.timeouts.block)) co_return;
    const Answer ignored = co_await read_answer(Stage::final_dot, options_.timeouts.data);
    if (!ignored.replied() || closing_) co_return;
  }
  co_await reset();
}

// ---- the content -----------------------------------------------------------------------------

Task<void> ClientSession::content(Transaction& transaction, BodySource& source,
                                  const std::function<void()>& before_dot) {
  MANSIO_ASSERT(transaction.data_accepted() && transaction.accepted() != 0);
  if (transaction.facts.binary) {
    co_await content_in_chunks(transaction, source, before_dot);
    co_return;
  }
  Outgoing outgoing(source.lasting());
  DataEncoder encoder;
  for (;;) {
    const Result<std::string_view> piece = co_await source.next();
    if (!piece) {
      // Half a message must never be ended by a dot: the peer would take it for the whole.
      break_off(Cause::local, "the content cannot be read: " + piece.error().message());
      transaction.content = broken_answer(Stage::body);
      co_return;
    }
    if (piece->empty()) break;
    encoder.feed(*piece, outgoing);
    if (outgoing.size() < write_size) continue;
    if (!co_await write(outgoing.buffers(), Stage::body, options_.timeouts.block)) {
      transaction.content = broken_answer(Stage::body);
      co_return;
    }
    outgoing.clear();
    if (stream_->has_input()) {
      // The peer does not wait for the end: it refuses, or it is gone.
      transaction.content = co_await read_answer(Stage::body, options_.timeouts.block);
      if (transaction.content.positive()) {
        break_off(Cause::protocol, "the peer answered before the end of the content");
        transaction.content = broken_answer(Stage::body);
      } else {
        break_off(Cause::network, "the peer refused the content before its end");
      }
      co_return;
    }
  }
  encoder.finish(outgoing);
  outgoing.copy(output_);  // what is queued follows the dot
  output_.clear();
  if (before_dot) before_dot();
  transaction.dot_written = true;
  co_await write(outgoing.buffers(), Stage::final_dot, options_.timeouts.block);
}

Task<void> ClientSession::content_in_chunks(Transaction& transaction, BodySource& source,
                                            const std::function<void()>& before_dot) {
  std::string queued = std::exchange(output_, {});
  std::string chunk;
  for (;;) {
    const Result<std::string_view> piece = co_await source.next();
    if (!piece) {
      // The peer never gets a LAST, and drops what it has.
      break_off(Cause::local, "the content cannot be read: " + piece.error().message());
      transaction.content = broken_answer(Stage::body);
      co_return;
    }
    if (piece->empty()) break;
    // A chunk leaves once it is known not to be the last.
    if (chunk.size() + piece->size() > chunk_size && !chunk.empty()) {
      if (!co_await send_chunk(transaction, chunk)) {
        if (usable()) co_await reset();
        if (usable()) output_ = std::move(queued);
        co_return;
      }
      chunk.clear();
    }
    chunk += *piece;
  }
  output_ = bdat_command(chunk.size(), true) + chunk + queued;
  if (before_dot) before_dot();
  transaction.dot_written = true;
  co_await flush(Stage::final_dot, options_.timeouts.block);
}

/// False: it was refused, or the session is broken; `content` says which.
Task<bool> ClientSession::send_chunk(Transaction& transaction, const std::string& chunk) {
  output_ = bdat_command(chunk.size(), false) + chunk;
  const Answer answer = co_await exchange(Stage::body, options_.timeouts.block);
  if (answer.positive()) co_return true;
  if (answer.replied() && answer.reply.intermediate()) {
    break_off(Cause::protocol, "a reply does not fit a chunk of the content");
    transaction.content = broken_answer(Stage::body);
  } else {
    transaction.content = answer;
  }
  co_return false;
}

Task<void> ClientSession::final_answers(Transaction& transaction) {
  const std::size_t accepted = transaction.accepted();
  const std::size_t expected = options_.lmtp ? accepted : 1;
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < expected; ++i) {
    answers.push_back(co_await read_answer(Stage::final_dot, options_.timeouts.final_dot));
    if (answers.back().replied() && answers.back().reply.intermediate()) {
      break_off(Cause::protocol, "a reply does not fit the end of the content");
      answers.back() = broken_answer(Stage::final_dot);
    }
    if (closing_ && !broken_ && i + 1 < expected) {
      // RFC 2033 §4.2 still owes a reply for each recipient, but 421 was the last word.
      break_off(Cause::network, "the peer ended the session with replies missing");
    }
  }
  if (!options_.lmtp) answers.resize(accepted, answers.front());
  transaction.final_answers = std::move(answers);
}

// ---- the end ---------------------------------------------------------------------------------

Task<Answer> ClientSession::reset() {
  Answer answer = co_await command(Stage::mail, simple_command("RSET"), options_.timeouts.mail);
  // RSET is never refused (RFC 5321 §4.1.1.5): a peer that does is in a state we do not know.
  if (answer.replied() && !answer.positive()) {
    break_off(Cause::protocol, "the peer refused RSET: " + answer.reply.to_string());
  }
  co_return answer;
}

Task<void> ClientSession::quit() {
  if (broken_) co_return;
  output_.clear();
  if (!closing_) co_await command(Stage::quit, simple_command("QUIT"), options_.timeouts.quit);
  close();
}

void ClientSession::close() { break_off(Cause::local, "closed"); }

}  // namespace mansio::smtp
