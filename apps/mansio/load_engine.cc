#include "mansio/load_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <deque>
#include <memory>
#include <thread>

#include "base/text.h"

namespace mansio::load {

namespace {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using SteadyClock = std::chrono::steady_clock;

/// What all threads share: which message is next and when it may go.
class Plan {
 public:
  Plan(std::uint64_t messages, double rate) : messages_(messages), rate_(rate) {}

  /// The number of the next message. nullopt: none is left, or, with `not_before` set, not yet.
  std::optional<std::uint64_t> take(std::optional<SteadyClock::time_point>& not_before) {
    std::uint64_t number = next_.load(std::memory_order_relaxed);
    do {
      if (stopped_ || number >= messages_) return std::nullopt;
      if (rate_ > 0) {
        const std::chrono::duration<double> offset(static_cast<double>(number) / rate_);
        const auto due = start_ + std::chrono::duration_cast<SteadyClock::duration>(offset);
        if (SteadyClock::now() < due) {
          not_before = due;
          return std::nullopt;
        }
      }
    } while (!next_.compare_exchange_weak(number, number + 1, std::memory_order_relaxed));
    return number;
  }

  void stop() { stopped_ = true; }

  bool stopped() const { return stopped_; }

  std::uint64_t taken() const { return next_; }

 private:
  const std::uint64_t messages_;
  const double rate_;
  const SteadyClock::time_point start_ = SteadyClock::now();
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> stopped_{false};
};

struct RecipientResult {
  std::string address;
  bool accepted = false;
  std::string reply;
};

struct Transaction {
  std::uint64_t number = 0;
  std::vector<RecipientResult> recipients;
  std::string refusal;  ///< the first reply that ended it
  std::string header;
  SteadyClock::time_point dot_sent{};
};

class Worker;

/// One connection after another. Runs on: the loop of its worker.
class Session {
 public:
  Session(Worker& worker, asio::io_context& loop);
  void start();
  /// A message may be due now; called for a session that waits.
  void wake();
  void stop();

 private:
  enum class Expect : std::uint8_t {
    greeting,
    ehlo,
    reset,
    mail,
    recipient,
    data,
    dot,
    nothing_sent,
    quit
  };

  // A connection's life.
  void connect();
  void connected();
  void lost(const std::string& why);
  void retry_connect();
  void finish();

  // Commands out.
  void next_message();
  void begin(std::uint64_t number);
  void send_commands();
  void send_one_command();
  void send_body();
  void command(std::string_view line, Expect reply);
  void flush();

  // Replies in.
  void wait_readable();
  void read();
  bool take_reply();
  void handle(std::string_view reply);
  void handle_envelope(Expect expected, std::string_view reply, bool positive);
  void handle_dot(std::string_view reply, bool positive);
  void envelope_refused();

  Worker& worker_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::array<char, 16384> input_{};
  std::size_t input_size_ = 0;
  std::deque<Expect> expected_;

  // Output not yet taken by the socket, in this order. The body belongs to the maker.
  std::string head_;
  std::string_view body_;
  std::string tail_;
  std::size_t sent_ = 0;
  bool writing_ = false;

  std::optional<Transaction> current_;    ///< commands sent, body not yet
  std::optional<Transaction> in_flight_;  ///< final dot sent
  std::size_t step_ = 0;                  ///< next command of current_ without pipelining
  std::size_t recipient_reply_ = 0;       ///< recipient of current_ whose reply comes next
  std::size_t dot_reply_ = 0;             ///< recipient of in_flight_ whose LMTP reply comes next
  std::uint64_t messages_here_ = 0;
  bool reset_needed_ = false;
  bool established_ = false;
  bool pipelining_ = false;
  bool ehlo_pipelining_ = false;
  bool waiting_ = false;
  bool closing_ = false;
  bool done_ = false;
  std::uint64_t generation_ = 0;  ///< of the connection: handlers of an older one do nothing
  SteadyClock::time_point without_connection_since_{};
};

/// The sessions of one thread.
class Worker {
 public:
  Worker(const LoadOptions& load_options, const MessageMaker& message_maker,
         RecordFile& record_file, Plan& shared_plan, std::vector<tcp::endpoint> resolved,
         std::uint32_t session_count)
      : options(load_options),
        maker(message_maker),
        record(record_file),
        plan(shared_plan),
        endpoints(std::move(resolved)),
        loop(1),
        pacing_(loop) {
    for (std::uint32_t i = 0; i < session_count; ++i) {
      sessions_.push_back(std::make_unique<Session>(*this, loop));
    }
  }

  void run() {
    for (const auto& session : sessions_) session->start();
    loop.run();
  }

  /// From any thread.
  void stop() {
    asio::post(loop, [this] {
      pacing_.cancel();
      for (const auto& session : sessions_) session->stop();
    });
  }

  /// The next message for `session`, or nothing: then wake() follows if one is only not due yet
  /// (`later`).
  std::optional<std::uint64_t> take(bool& later) {
    later = false;
    if (!again_.empty() && !plan.stopped()) {
      const std::uint64_t number = again_.back();
      again_.pop_back();
      return number;
    }
    std::optional<SteadyClock::time_point> not_before;
    const auto number = plan.take(not_before);
    if (!number && not_before) {
      later = true;
      if (!pacing_armed_) arm_pacing(*not_before);
    }
    return number;
  }

  /// A message that did not reach its final dot.
  void put_back(std::uint64_t number) { again_.push_back(number); }

  std::uint64_t not_sent() const { return again_.size(); }

  void note(const Transaction& transaction, std::string_view outcome, std::string_view reply);

  const LoadOptions& options;
  const MessageMaker& maker;
  RecordFile& record;
  Plan& plan;
  const std::vector<tcp::endpoint> endpoints;
  asio::io_context loop;
  LoadTotals totals;

 private:
  void arm_pacing(SteadyClock::time_point due) {
    pacing_armed_ = true;
    pacing_.expires_at(due);
    pacing_.async_wait([this](const boost::system::error_code& error) {
      pacing_armed_ = false;
      if (error) return;
      for (const auto& session : sessions_) session->wake();
    });
  }

  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<std::uint64_t> again_;
  asio::steady_timer pacing_;
  bool pacing_armed_ = false;
};

void Worker::note(const Transaction& transaction, std::string_view outcome,
                  std::string_view reply) {
  std::vector<std::string> accepted;
  std::vector<std::string> refused;
  for (const RecipientResult& recipient : transaction.recipients) {
    (recipient.accepted ? accepted : refused).push_back(recipient.address);
  }
  if (outcome == "accepted") {
    ++totals.accepted;
    totals.recipients_accepted += accepted.size();
    totals.recipients_refused += refused.size();
  } else if (outcome == "refused") {
    ++totals.refused;
    totals.recipients_refused += transaction.recipients.size();
    totals.last_refusal = reply;
  } else {
    ++totals.unanswered;
  }
  if (!record.active()) return;
  record.line(fmt::format(
      R"({{"token":"{}","outcome":"{}","recipients":{},"refused":{},"size":{},"crc":"{:08x}","dot":{:.6f},)"
      R"("at":{:.6f},"reply":{}}})",
      maker.token(transaction.number), outcome, json_strings(accepted), json_strings(refused),
      maker.size(), maker.checksum(maker.header(transaction.number)),
      monotonic_seconds(transaction.dot_sent), monotonic_seconds(SteadyClock::now()),
      json_string(reply)));
}

Session::Session(Worker& worker, asio::io_context& loop)
    : worker_(worker), socket_(loop), timer_(loop) {}

void Session::start() {
  without_connection_since_ = SteadyClock::now();
  connect();
}

void Session::stop() {
  if (done_) return;
  if (in_flight_) worker_.note(*in_flight_, "unanswered", "stopped");
  if (current_) worker_.put_back(current_->number);
  in_flight_.reset();
  current_.reset();
  finish();
}

void Session::finish() {
  done_ = true;
  ++generation_;
  timer_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Session::connect() {
  const std::uint64_t generation = ++generation_;
  asio::async_connect(
      socket_, worker_.endpoints,
      [this, generation](const boost::system::error_code& error, const tcp::endpoint&) {
        if (generation != generation_) return;
        if (error) {
          worker_.totals.last_refusal = "connect: " + error.message();
          retry_connect();
        } else {
          connected();
        }
      });
}

void Session::connected() {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  ++worker_.totals.connections;
  input_size_ = 0;
  expected_.assign(1, Expect::greeting);
  head_.clear();
  body_ = {};
  tail_.clear();
  sent_ = 0;
  step_ = 0;
  messages_here_ = 0;
  writing_ = reset_needed_ = established_ = ehlo_pipelining_ = pipelining_ = closing_ = waiting_ =
      false;
  wait_readable();
}

void Session::retry_connect() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (worker_.plan.stopped() ||
      SteadyClock::now() - without_connection_since_ > worker_.options.connect_timeout) {
    finish();
    return;
  }
  const std::uint64_t generation = ++generation_;
  timer_.expires_after(std::chrono::milliseconds(50));
  timer_.async_wait([this, generation](const boost::system::error_code& error) {
    if (!error && generation == generation_) connect();
  });
}

/// The connection ended: what had reached its final dot is unanswered, the rest goes again.
void Session::lost(const std::string& why) {
  if (established_) without_connection_since_ = SteadyClock::now();
  if (in_flight_) worker_.note(*in_flight_, "unanswered", why);
  if (current_) worker_.put_back(current_->number);
  in_flight_.reset();
  current_.reset();
  if (closing_) {
    finish();
    return;
  }
  worker_.totals.last_refusal = why;
  retry_connect();
}

void Session::wake() {
  if (!waiting_) return;
  waiting_ = false;
  next_message();
  flush();
}

/// Starts the next message if there is one; without one, and with nothing in flight, says goodbye.
void Session::next_message() {
  if (current_ || waiting_ || closing_) return;
  const std::uint64_t limit = worker_.options.messages_per_session;
  if (limit != 0 && messages_here_ >= limit) {
    if (in_flight_) return;
    // A fresh connection for the rest; QUIT needs no answer here.
    boost::system::error_code ignored;
    socket_.write_some(asio::buffer("QUIT\r\n", 6), ignored);
    socket_.close(ignored);
    without_connection_since_ = SteadyClock::now();
    connect();
    return;
  }
  bool later = false;
  const auto number = worker_.take(later);
  if (number) {
    begin(*number);
  } else if (later) {
    waiting_ = true;
  } else if (!in_flight_) {
    closing_ = true;
    command("QUIT\r\n", Expect::quit);
  }
}

void Session::begin(std::uint64_t number) {
  ++messages_here_;
  Transaction transaction;
  transaction.number = number;
  transaction.header = worker_.maker.header(number);
  for (std::string& address : worker_.maker.recipients(number)) {
    transaction.recipients.push_back({std::move(address), false, {}});
  }
  current_ = std::move(transaction);
  step_ = 0;
  recipient_reply_ = 0;
  if (reset_needed_) {
    reset_needed_ = false;
    command("RSET\r\n", Expect::reset);
  }
  send_commands();
}

void Session::send_commands() {
  if (!pipelining_) {
    // After RSET its reply comes first, and sends on.
    if (expected_.empty()) send_one_command();
    return;
  }
  while (step_ < current_->recipients.size() + 2) send_one_command();
}

void Session::send_one_command() {
  const std::size_t step = step_++;
  if (step == 0) {
    command("MAIL FROM:<" + worker_.options.from + ">\r\n", Expect::mail);
  } else if (step <= current_->recipients.size()) {
    command("RCPT TO:<" + current_->recipients[step - 1].address + ">\r\n", Expect::recipient);
  } else {
    command("DATA\r\n", Expect::data);
  }
}

void Session::command(std::string_view line, Expect reply) {
  // Behind a body that is still on its way, commands wait behind it.
  (body_.empty() ? head_ : tail_) += line;
  expected_.push_back(reply);
}

void Session::send_body() {
  const bool wanted =
      std::any_of(current_->recipients.begin(), current_->recipients.end(),
                  [](const RecipientResult& recipient) { return recipient.accepted; });
  if (!wanted) {
    // 354 without a recipient: an empty message ends it (RFC 2920 §3.1).
    worker_.note(*current_, "refused", current_->refusal);
    current_.reset();
    command(".\r\n", Expect::nothing_sent);
    return;
  }
  in_flight_ = std::move(current_);
  current_.reset();
  dot_reply_ = 0;
  head_ += in_flight_->header;
  body_ = worker_.maker.wire_body();
  tail_ += ".\r\n";
  in_flight_->dot_sent = SteadyClock::now();
  std::size_t replies = 1;
  if (worker_.options.lmtp) {
    replies = static_cast<std::size_t>(
        std::count_if(in_flight_->recipients.begin(), in_flight_->recipients.end(),
                      [](const RecipientResult& recipient) { return recipient.accepted; }));
  }
  expected_.insert(expected_.end(), replies, Expect::dot);
  if (pipelining_ && worker_.options.pipeline == Pipeline::full) next_message();
}

/// Gives the socket what it takes at once, and waits for it only if something is left.
void Session::flush() {
  if (writing_ || done_) return;
  while (true) {
    const std::size_t total = head_.size() + body_.size() + tail_.size();
    if (sent_ == total) break;
    std::array<asio::const_buffer, 3> pieces;
    std::size_t skip = sent_;
    std::size_t count = 0;
    for (const std::string_view piece : {std::string_view(head_), body_, std::string_view(tail_)}) {
      const std::size_t gone = std::min(skip, piece.size());
      skip -= gone;
      if (gone < piece.size()) pieces[count++] = asio::buffer(piece.substr(gone));
    }
    boost::system::error_code error;
    sent_ += socket_.write_some(std::span(pieces).first(count), error);
    if (error == asio::error::would_block) {
      writing_ = true;
      socket_.async_wait(tcp::socket::wait_write,
                         [this, generation = generation_](const boost::system::error_code&) {
                           if (generation != generation_) return;
                           writing_ = false;
                           flush();
                         });
      return;
    }
    if (error) return;  // reading meets the same end, and deals with it
  }
  head_.clear();
  body_ = {};
  tail_.clear();
  sent_ = 0;
}

void Session::wait_readable() {
  socket_.async_wait(tcp::socket::wait_read,
                     [this, generation = generation_](const boost::system::error_code& error) {
                       if (generation != generation_) return;
                       if (error) {
                         lost(error.message());
                       } else {
                         read();
                       }
                     });
}

void Session::read() {
  const std::uint64_t generation = generation_;
  boost::system::error_code error;
  const std::size_t count = socket_.read_some(
      asio::buffer(input_.data() + input_size_, input_.size() - input_size_), error);
  if (error && error != asio::error::would_block) {
    lost(error.message());
    return;
  }
  input_size_ += count;
  while (generation == generation_ && take_reply()) {
  }
  if (generation != generation_) return;
  if (input_size_ == input_.size()) {
    lost("a reply of more than 16 KiB");
    return;
  }
  flush();
  wait_readable();
}

/// Handles the first whole reply of the input, if there is one.
bool Session::take_reply() {
  const std::string_view input(input_.data(), input_size_);
  std::size_t line = 0;
  while (true) {
    const std::size_t end = input.find('\n', line);
    if (end == std::string_view::npos) return false;
    const std::string_view text = input.substr(line, end - line);
    if (expected_.size() == 1 && expected_.front() == Expect::ehlo && text.size() > 4) {
      if (equals_ignoring_case(trim(text.substr(4, text.find_last_not_of('\r') - 3)),
                               "PIPELINING")) {
        ehlo_pipelining_ = true;
      }
    }
    if (text.size() < 4 || text[3] != '-') {
      const std::size_t length = text.ends_with('\r') ? text.size() - 1 : text.size();
      const std::string reply(text.substr(0, length));
      input_size_ -= end + 1;
      std::copy_n(input_.data() + end + 1, input_size_, input_.data());
      handle(reply);
      return true;
    }
    line = end + 1;
  }
}

void Session::handle(std::string_view reply) {
  if (expected_.empty() || reply.size() < 3) {
    lost("unexpected: " + std::string(reply));
    return;
  }
  const Expect expected = expected_.front();
  expected_.pop_front();
  const bool positive = reply[0] == '2';
  switch (expected) {
    case Expect::greeting:
      if (!positive) return lost(std::string(reply));
      command((worker_.options.lmtp ? "LHLO " : "EHLO ") + worker_.options.ehlo + "\r\n",
              Expect::ehlo);
      return;
    case Expect::ehlo:
      if (!positive) return lost(std::string(reply));
      pipelining_ = ehlo_pipelining_ && worker_.options.pipeline != Pipeline::none;
      established_ = true;
      return next_message();
    case Expect::reset:
      if (current_ && !pipelining_) send_one_command();
      return;
    case Expect::mail:
    case Expect::recipient:
    case Expect::data:
      return handle_envelope(expected, reply, positive);
    case Expect::dot:
      return handle_dot(reply, positive);
    case Expect::nothing_sent:
      return next_message();
    case Expect::quit:
      return finish();
  }
}

void Session::handle_envelope(Expect expected, std::string_view reply, bool positive) {
  if (expected == Expect::data) {
    if (reply[0] == '3') {
      send_body();
    } else {
      if (current_->refusal.empty()) current_->refusal = reply;
      envelope_refused();
    }
    return;
  }
  if (!positive && current_->refusal.empty()) current_->refusal = reply;
  if (expected == Expect::recipient) {
    RecipientResult& recipient = current_->recipients[recipient_reply_++];
    recipient.accepted = positive;
    recipient.reply = reply;
  }
  if (pipelining_) return;
  const bool last_recipient = recipient_reply_ == current_->recipients.size();
  const bool any = std::any_of(current_->recipients.begin(), current_->recipients.end(),
                               [](const RecipientResult& recipient) { return recipient.accepted; });
  if ((expected == Expect::mail && !positive) || (last_recipient && !any))
    return envelope_refused();
  send_one_command();
}

void Session::envelope_refused() {
  reset_needed_ = true;
  worker_.note(*current_, "refused", current_->refusal);
  current_.reset();
  next_message();
}

/// The reply to the final dot: one for the message, with LMTP one per accepted recipient.
void Session::handle_dot(std::string_view reply, bool positive) {
  Transaction& transaction = *in_flight_;
  if (worker_.options.lmtp) {
    while (!transaction.recipients[dot_reply_].accepted) ++dot_reply_;
    transaction.recipients[dot_reply_].accepted = positive;
    transaction.recipients[dot_reply_++].reply = reply;
    const bool more = !expected_.empty() && expected_.front() == Expect::dot;
    if (!positive) transaction.refusal = reply;
    if (more) return;
    positive = std::any_of(transaction.recipients.begin(), transaction.recipients.end(),
                           [](const RecipientResult& recipient) { return recipient.accepted; });
  }
  const auto waited = SteadyClock::now() - transaction.dot_sent;
  worker_.totals.latencies.push_back(static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(waited).count()));
  worker_.note(transaction, positive ? "accepted" : "refused", reply);
  in_flight_.reset();
  if (reply.starts_with("421")) return;  // the server closes, and the rest follows from that
  next_message();
}

std::vector<tcp::endpoint> resolve(const Endpoint& to) {
  asio::io_context loop;
  tcp::resolver resolver(loop);
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : resolver.resolve(to.address, std::to_string(to.port))) {
    endpoints.push_back(entry.endpoint());
  }
  return endpoints;
}

void add(LoadTotals& sum, LoadTotals& part) {
  sum.accepted += part.accepted;
  sum.refused += part.refused;
  sum.unanswered += part.unanswered;
  sum.recipients_accepted += part.recipients_accepted;
  sum.recipients_refused += part.recipients_refused;
  sum.connections += part.connections;
  sum.latencies.insert(sum.latencies.end(), part.latencies.begin(), part.latencies.end());
  if (!part.last_refusal.empty()) sum.last_refusal = part.last_refusal;
}

}  // namespace

LoadTotals run_load(const LoadOptions& options, const MessageMaker& maker, RecordFile& record) {
  raise_descriptor_limit();
  const auto endpoints = resolve(options.to);
  const double processor_before = processor_seconds();
  const auto start = SteadyClock::now();
  Plan plan(options.messages, options.rate);
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::uint32_t i = 0; i < options.threads; ++i) {
    const std::uint32_t sessions =
        options.sessions / options.threads + (i < options.sessions % options.threads);
    workers.push_back(std::make_unique<Worker>(options, maker, record, plan, endpoints, sessions));
  }
  asio::io_context signal_loop(1);
  asio::signal_set signals(signal_loop, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    plan.stop();
    for (const auto& worker : workers) worker->stop();
  });
  std::thread signal_thread([&] { signal_loop.run(); });
  std::vector<std::thread> threads;
  for (const auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });
  for (std::thread& thread : threads) thread.join();
  asio::post(signal_loop, [&] { signals.cancel(); });
  signal_thread.join();

  LoadTotals totals;
  for (const auto& worker : workers) add(totals, worker->totals);
  totals.unsent = options.messages - totals.accepted - totals.refused - totals.unanswered;
  totals.started = monotonic_seconds(start);
  totals.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  totals.processor_seconds = processor_seconds() - processor_before;
  std::sort(totals.latencies.begin(), totals.latencies.end());
  record.flush();
  return totals;
}

}  // namespace mansio::load
