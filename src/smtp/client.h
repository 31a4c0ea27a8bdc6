// The client half of SMTP (RFC 5321) and LMTP (RFC 2033) on one connection: one function per step
// of the protocol, in the order of the protocol. It keeps the rules of the dialogue; what a failure
// means for a recipient, and which host comes next, is decided in delivery/.
//
//   greet → hello → [start_tls → hello] → [authenticate] → transactions → quit
//
// A transaction is sent in one of two ways, with the same results in the same places:
//   step by step      mail, recipient × n, data, content, final answers
//   pipelined         queue_envelope() puts MAIL, RCPT × n and DATA into the next write; with the
//                     content of the message before, if there is one, so that its final dot and
//                     these commands leave together (RFC 2920). read_envelope() checks every reply
//                     in order. At most two transactions are open then, and as the second one's
//                     content waits for its 354, at most one final dot is unanswered.
// Binary content has no DATA: it leaves in chunks once a recipient is accepted (RFC 3030).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "message/disposition.h"
#include "message/envelope.h"
#include "smtp/client_commands.h"
#include "smtp/client_extensions.h"
#include "smtp/reply_reader.h"

namespace mansio::smtp {

/// RFC 5321 §4.5.3.2. Defaults are the settings'.
struct ClientTimeouts {
  Duration greeting = std::chrono::minutes(5);
  Duration hello = std::chrono::minutes(5);
  Duration mail = std::chrono::minutes(5);
  Duration recipient = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(2);
  Duration block = std::chrono::minutes(3);  ///< one write of content
  Duration final_dot = std::chrono::minutes(10);
  Duration quit = std::chrono::seconds(5);
};

struct ClientOptions {
  bool lmtp = false;
  std::string ehlo;  ///< our name: FQDN or address literal
  ClientTimeouts timeouts;
};

/// What came of one command. With a cause other than `reply`, `reply.code` is 0 and the text says
/// what happened, for people.
struct Answer {
  Stage stage = Stage::none;
  Cause cause = Cause::missing;  ///< missing: the command was not answered, nor will it be
  Reply reply;

  bool replied() const { return cause == Cause::reply; }

  bool positive() const { return replied() && reply.positive(); }
};

/// The content, in pieces of any size. Pieces must stay valid until the next call.
class BodySource {
 public:
  virtual ~BodySource() = default;
  /// Empty at the end. An error is ours (the store), never the peer's.
  virtual Task<Result<std::string_view>> next() = 0;

  /// Whether pieces stay valid as long as the source, so that they need not be copied.
  virtual bool lasting() const { return false; }
};

/// One transaction: what to send, and what was answered.
struct Transaction {
  // Set by the caller; `envelope` outlives the transaction.
  const Envelope* envelope = nullptr;
  std::vector<std::uint32_t> recipients;  ///< indices into envelope->recipients
  MailFacts facts;

  // Filled by the session.
  bool sent = false;  ///< something of it was written
  Answer mail;
  std::vector<Answer> recipient;  ///< one per recipient
  Answer data;                    ///< positive is 354 here; as if it was said, for facts.binary
  bool dot_written = false;       ///< or BDAT LAST: from here on the peer may have the message
  Answer content;                 ///< set if the content could not be sent; no final answers then
  std::vector<Answer> final_answers;  ///< one per accepted recipient, in order

  std::size_t accepted() const;

  bool data_accepted() const { return data.replied() && data.reply.code == 354; }
};

/// Runs on: the executor of its stream. One call at a time. Never throws for what the peer does;
/// cancellation of the coroutine leaves as system_error (operation_aborted).
class ClientSession {
 public:
  ClientSession(std::unique_ptr<Stream> stream, ClientOptions options, Clock& clock);

  Task<Answer> greet();
  /// EHLO, and HELO if EHLO is not known (500, 502 or another 5yz but 521 and 554); LHLO for LMTP.
  Task<Answer> hello();
  /// RFC 3207. Octets that follow the 220 in plain text end the session: somebody put them there.
  /// On success everything learned before is forgotten: call hello() again.
  Task<Answer> start_tls(TlsContext& context, std::string server_name);
  /// PLAIN, else LOGIN. Only under TLS: without it the answer's cause is `policy`, nothing is sent.
  Task<Answer> authenticate(std::string user, std::string password);

  // Step by step. Each fills its part of the transaction and gives it back.
  Task<Answer> mail(Transaction& transaction);
  Task<Answer> recipient(Transaction& transaction, std::size_t index);
  Task<Answer> data(Transaction& transaction);

  /// MAIL, RCPT × n, DATA: pipelined if offered, else step by step, stopping where it is hopeless.
  /// A 354 that came without a valid recipient is answered with just the dot (RFC 2920 §3.1), and
  /// a transaction that failed is ended by RSET.
  Task<void> envelope(Transaction& transaction);

  /// Puts the envelope into the next write. REQUIRES: offered().pipelining.
  void queue_envelope(Transaction& transaction);
  /// Writes what is queued, if anything, and reads the replies to it.
  Task<void> read_envelope(Transaction& transaction);

  /// The content up to the final dot, and with the dot what was queued. `before_dot` is called
  /// before the write that carries the dot. Binary content goes in chunks (RFC 3030), each of which
  /// is answered; the last one stands for the dot. REQUIRES: data_accepted() and accepted() > 0.
  Task<void> content(Transaction& transaction, BodySource& source,
                     const std::function<void()>& before_dot);
  /// The replies to the final dot: one, or for LMTP one per accepted recipient. Those that are
  /// missing carry the reason.
  Task<void> final_answers(Transaction& transaction);

  Task<Answer> reset();
  /// Says QUIT if the peer can still hear it, and closes. Idempotent.
  Task<void> quit();
  void close();

  const Extensions& offered() const { return offered_; }

  const TlsInfo& tls() const { return tls_; }

  bool under_tls() const { return !tls_.version.empty(); }

  bool lmtp() const { return options_.lmtp; }

  Endpoint peer() const { return peer_; }

  /// False: broken, or the peer said 421.
  bool usable() const { return !broken_ && !closing_; }

  /// True if a connection kept for reuse is of no use any more: the peer closed it, or talked.
  bool stale();

  /// The same as far as it is known without asking the socket.
  bool out_of_step() const { return !usable() || has_input(); }

 private:
  Task<Answer> command(Stage stage, const std::string& line, Duration timeout);
  Task<Answer> exchange(Stage stage, Duration timeout);
  Task<bool> flush(Stage stage, Duration timeout);
  Task<bool> write(std::vector<boost::asio::const_buffer> pieces, Stage stage, Duration timeout);
  bool take_answer(Stage stage, Answer& answer);
  Task<Answer> read_answer(Stage stage, Duration timeout);
  Answer broken_answer(Stage stage) const;
  void break_off(Cause cause, std::string text);
  void break_off(Stage stage, const ErrorCode& error);

  bool has_input() const { return input_begin_ != input_end_ || reader_.in_reply(); }

  bool unexpected_input(Stage stage);
  void disbelieve(Transaction& transaction);
  bool went_well(const Transaction& transaction) const;
  Task<void> recover(Transaction& transaction);
  Task<void> content_in_chunks(Transaction& transaction, BodySource& source,
                               const std::function<void()>& before_dot);
  Task<bool> send_chunk(Transaction& transaction, const std::string& chunk);

  std::unique_ptr<Stream> stream_;
  ClientOptions options_;
  Clock& clock_;
  Endpoint peer_;

  Extensions offered_;
  TlsInfo tls_;
  ReplyReader reader_;
  std::unique_ptr<char[]> input_;  // octets from input_begin_ to input_end_ are not yet read
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::string output_;    // to go with the next write
  bool broken_ = false;   // no further octet can be exchanged
  bool closing_ = false;  // the peer said 421
  Cause broken_cause_ = Cause::network;
  std::string broken_text_;
};

}  // namespace mansio::smtp
