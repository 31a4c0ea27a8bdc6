// How content comes in: by DATA to the final dot (RFC 5321 §4.1.1.4), or in counted chunks by BDAT
// (RFC 3030 §2). Both keep the same limits, and both read what they refuse to its end: nothing of
// it may ever be taken for a command.
#include <algorithm>

#include "base/assert.h"
#include "smtp/data_decoder.h"
#include "smtp/server_incoming.h"
#include "smtp/server_replies.h"
#include "smtp/server_session.h"

namespace mansio::smtp {
namespace {

/// Content goes to the receiver in pieces of about this size.
constexpr std::size_t piece_octets = 64 * 1024;
constexpr Duration data_rate_window = std::chrono::seconds(60);

Reply bad_sequence(const char* text) { return {503, {5, 5, 1}, text}; }

Reply chunk_taken(std::uint64_t octets) {
  return {250, {2, 0, 0}, std::to_string(octets) + " octets received"};
}

}  // namespace

Task<void> ServerSession::data(std::string_view argument) {
  if (refuse_pipelined()) co_return;
  if (!argument.empty()) {
    refuse(501, {5, 5, 4}, "DATA takes no parameters");
    co_return;
  }
  if (!in_transaction_) {
    refuse(503, {5, 5, 1}, "MAIL comes first");
    co_return;
  }
  if (chunked_) {
    refuse(503, {5, 5, 1}, "DATA cannot follow BDAT");
    co_return;
  }
  if (envelope_.body == BodyType::binary_mime) {
    refuse(503, {5, 5, 1}, "BODY=BINARYMIME needs BDAT");
    co_return;
  }
  if (envelope_.recipients.empty()) {
    // RFC 2033 §4.2 fixes 503 for LMTP.
    const std::uint16_t code = options_.lmtp ? 503 : 554;
    refuse(code, {5, 5, 1}, "No valid recipients");
    co_return;
  }
  const std::unique_ptr<Incoming> incoming = begin_content();
  if (incoming->receiver == nullptr) {
    reply(*incoming->failure);
    reset_transaction();
    prompt_ = true;
    co_return;
  }
  say("354 End data with <CR><LF>.<CR><LF>\r\n");
  co_await flush();
  if (over_) co_return;
  DataDecoder decoder(options_.bare_newline == BareNewline::normalize);
  begin_measuring(*incoming);
  while (!decoder.done()) {
    if (buffered() == 0) {
      const bool more = co_await await_octets(*incoming);
      if (!more) co_return;  // nothing is queued
    }
    input_begin_ += decoder.decode(buffer(), incoming->piece);
    co_await pass_on(*incoming, decoder, decoder.done());
  }
  report_.octets += decoder.size();
  co_await conclude(*incoming);
  reset_transaction();
  if (smuggling(decoder)) end("bare newline");
}

/// Each chunk gets one reply; the last one that of the message (RFC 3030 §2, RFC 2033 §4.3).
Task<void> ServerSession::bdat(std::string_view argument) {
  const std::optional<BdatCommand> command = parse_bdat(argument);
  if (!command) {
    end_with(501, {5, 5, 4}, "Syntax: BDAT size [LAST]", "BDAT");
    co_return;
  }
  if (const std::optional<Reply> refusal = refuse_chunk()) {
    Incoming dropped(true, false);
    dropped.failure = refusal;
    dropped.deadline = clock_.steady_now() + limits_.message_time;
    const bool all_there = co_await take_chunk(dropped, *command);
    if (all_there) reply(*refusal);
    co_return;
  }
  // Chunks of nothing lead nowhere.
  if (command->size == 0 && !command->last && !take_junk()) co_return;
  if (!chunked_) chunked_ = begin_content();
  if (over_) {
    reply(*chunked_->failure);
    co_return;
  }
  if (clock_.steady_now() >= chunked_->deadline) {
    end_with(421, {4, 4, 2}, "Message takes too long", "message time");
    co_return;
  }
  const std::uint64_t size = chunked_->chunks.size() + command->size;
  if (!chunked_->failure && limits_.message != 0 && size > limits_.message) {
    chunked_->failure = message_too_big();
  }
  const bool all_there = co_await take_chunk(*chunked_, *command);
  if (!all_there) co_return;
  const bool smuggled = !chunked_->binary && smuggling(chunked_->chunks);
  if (command->last) {
    const std::unique_ptr<Incoming> complete = std::move(chunked_);
    co_await conclude(*complete);
    reset_transaction();
  } else {
    reply(chunked_->failure ? *chunked_->failure : chunk_taken(command->size));
  }
  if (smuggled) end("bare newline");
}

/// What is wrong with a chunk whatever it holds.
std::optional<Reply> ServerSession::refuse_chunk() const {
  if (!in_transaction_) return bad_sequence("MAIL comes first");
  if (!chunked_ && envelope_.recipients.empty()) return bad_sequence("No valid recipients");
  return std::nullopt;
}

/// Reads exactly the octets of one chunk. False: the connection ended.
Task<bool> ServerSession::take_chunk(Incoming& incoming, BdatCommand command) {
  begin_measuring(incoming);
  std::uint64_t left = command.size;
  while (left > 0) {
    if (buffered() == 0) {
      const bool more = co_await await_octets(incoming);
      if (!more) co_return false;
    }
    const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffered()));
    incoming.chunks.decode(buffer().substr(0, used), incoming.piece);
    input_begin_ += used;
    left -= used;
    co_await pass_on(incoming, incoming.chunks, false);
  }
  report_.octets += command.size;
  if (command.last) {
    incoming.chunks.finish(incoming.piece);
    co_await pass_on(incoming, incoming.chunks, true);
  }
  co_return true;
}

/// Hands the envelope over. Without a receiver `failure` says why.
std::unique_ptr<Incoming> ServerSession::begin_content() {
  auto incoming = std::make_unique<Incoming>(envelope_.body == BodyType::binary_mime,
                                             options_.bare_newline == BareNewline::normalize);
  incoming->recipients = envelope_.recipients.size();
  incoming->deadline = clock_.steady_now() + limits_.message_time;
  Reply refusal;
  incoming->receiver = handler_->data(std::exchange(envelope_, {}), refusal);
  if (incoming->receiver == nullptr) {
    if (refusal.code == 421) end("refused");
    incoming->failure = std::move(refusal);
  }
  return incoming;
}

void ServerSession::begin_measuring(Incoming& incoming) const {
  incoming.window_deadline = clock_.steady_now() + data_rate_window;
  incoming.in_window = 0;
}

/// Waits for more. False: the connection ended.
Task<bool> ServerSession::await_octets(Incoming& incoming) {
  if (!output_.empty()) co_await flush();
  if (over_) co_return false;
  const bool rate = limits_.data_rate != 0 && incoming.window_deadline < incoming.deadline;
  wait_for(rate ? Wait::data_rate : Wait::message,
           rate ? incoming.window_deadline : incoming.deadline);
  if (!co_await fill()) co_return false;
  incoming.in_window += buffered();
  const auto window_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(data_rate_window).count();
  if (incoming.in_window >= limits_.data_rate * static_cast<std::uint64_t>(window_seconds)) {
    begin_measuring(incoming);
  }
  co_return true;
}

/// Gives the receiver what is decoded, in pieces that are worth it. After the first refusal the
/// rest is dropped.
Task<void> ServerSession::pass_on(Incoming& incoming, const ContentMeter& seen, bool at_end) {
  if (!incoming.failure || at_end) {
    if (auto fault = content_fault(seen, incoming.binary)) incoming.failure = std::move(fault);
  }
  if (incoming.failure) {
    incoming.piece.clear();
    co_return;
  }
  const bool enough = incoming.piece.size() >= piece_octets || at_end;
  if (!enough || incoming.piece.empty()) co_return;
  const SteadyTime before = clock_.steady_now();
  incoming.failure = co_await incoming.receiver->write(incoming.piece);
  // The time that the receiver takes is ours, not the client's.
  incoming.window_deadline += clock_.steady_now() - before;
  incoming.piece.clear();
}

/// What is wrong with the content by what was seen of it.
std::optional<Reply> ServerSession::content_fault(const ContentMeter& seen, bool binary) const {
  if (limits_.message != 0 && seen.size() > limits_.message) return message_too_big();
  if (binary) return std::nullopt;
  if (smuggling(seen)) {
    return Reply{550, {5, 5, 2}, "Lines must end with CR LF; a CR or LF stood alone"};
  }
  if (seen.nul()) return Reply{550, {5, 6, 0}, "Message holds a NUL octet"};
  if (options_.long_line == LongLine::reject && seen.longest_line() > limits_.data_line) {
    return Reply{554, {5, 6, 0}, "Message holds a line that is too long"};
  }
  return std::nullopt;
}

/// Whoever sends such line ends may hope for another server to see an end of data in them; the
/// connection ends, rather than going on as if both sides agreed about what follows.
bool ServerSession::smuggling(const ContentMeter& seen) const {
  return seen.bare_newline() && options_.bare_newline == BareNewline::reject;
}

/// Answers the whole message: once, or in LMTP for each accepted recipient (RFC 2033 §4.2).
Task<void> ServerSession::conclude(Incoming& incoming) {
  std::vector<Reply> replies;
  const std::size_t count = options_.lmtp ? incoming.recipients : 1;
  if (incoming.failure) {
    replies.assign(count, *incoming.failure);
  } else {
    wait_ = Wait::none;
    ContentVerdict verdict = co_await incoming.receiver->finish();
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

}  // namespace mansio::smtp
